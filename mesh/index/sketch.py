"""Sign bits of a matrix's rows: which of very many are worth comparing with a question exactly.

Vectors that point the same way agree in most of their signs (random hyperplanes, Charikar 2002). To count where two of
384 numbers disagree takes 48 bytes instead of 1536, and a fiftieth of the time. The order is only a rough one, so some
thousand rows are taken for the few that are wanted, and these are compared exactly.

A sketch covers a matrix from its first row on, in whole blocks: each `(words, BLOCK)` uint64, of all its rows the first
64 signs, then the next. The rows after the last whole block are compared exactly, all of them. Blocks lie one behind
the other in a file; the manifest has a CRC-32 of each, and whatever does not match it is not used.
"""

from __future__ import annotations

import logging
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bits = NDArray[np.uint64]

BLOCK = 4096  # rows
LEAST_ROWS = 20_000  # of fewer no sketch is made: the exact product takes 2 ms
_CHECKSUM_BYTES = 4

log = logging.getLogger("mesh")


class Sketch:
    """The sketch of one matrix, in memory. One thread at a time."""

    def __init__(self, path: Path, dimension: int) -> None:
        self.path, self._words = path, -(-dimension // 64)
        self._blocks: list[Bits] = []
        self._named = b""  # the checksums that were looked at last
        self._checksums = b""  # of the blocks that are used

    @property
    def rows(self) -> int:
        """How many rows of the matrix it covers."""
        return len(self._blocks) * BLOCK

    def follow(self, checksums: bytes) -> None:
        """Read what was added. `checksums`: what the manifest says of the file's blocks, 4 bytes each."""
        if checksums == self._named:
            return
        if not checksums.startswith(self._checksums):
            self._blocks, self._checksums = [], b""
        self._named = checksums
        for block in self._read(len(checksums) // _CHECKSUM_BYTES - len(self._blocks)):
            checksum = _checksum(block)
            if not checksums.startswith(self._checksums + checksum):
                break
            self._blocks.append(block)
            self._checksums += checksum
        if self._checksums != checksums:
            log.warning("%s is damaged: until it is made again, a search takes longer", self.path.name)

    def _read(self, count: int) -> Bits:
        """Up to `count` blocks of the file, after those that were read."""
        import numpy as np

        size = self._words * BLOCK
        try:
            with self.path.open("rb") as file:
                file.seek(len(self._blocks) * size * 8)
                found = np.fromfile(file, "<u8", count * size)
        except OSError:
            found = np.empty(0, "<u8")
        whole = len(found) // size
        return found[: whole * size].reshape(whole, self._words, BLOCK)

    def extend(self, matrix: NDArray[np.float32]) -> bytes | None:
        """Cover the whole blocks of a large matrix, flushed on return: the checksums for the manifest.

        None if there is nothing to add. Whoever may also write to it must be kept out.
        """
        if len(matrix) < LEAST_ROWS or len(matrix) - self.rows < BLOCK:
            return None
        new = [_signs(matrix[first : first + BLOCK]) for first in range(self.rows, len(matrix) - BLOCK + 1, BLOCK)]
        try:
            self._write(new)
        except OSError as error:
            log.warning("%s cannot be written, so searches will take longer: %s", self.path.name, error.strerror)
            return None
        self._blocks += new
        self._checksums += b"".join(map(_checksum, new))
        self._named = self._checksums
        return self._checksums

    def _write(self, blocks: list[Bits]) -> None:
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(fd, "r+b", buffering=0) as file:
            file.seek(len(self._blocks) * self._words * BLOCK * 8)
            for block in blocks:
                file.write(block.tobytes())
            os.fsync(fd)

    def distances(self, question: NDArray[np.float32]) -> NDArray[np.uint16]:
        """Of each covered row, in how many signs it differs from `question`: float32 `(d,)`."""
        import numpy as np

        signs = _signs(question[None, :])
        found = np.empty((len(self._blocks), BLOCK), np.uint16)
        for block, distances in zip(self._blocks, found, strict=True):
            np.add.reduce(np.bitwise_count(block ^ signs), axis=0, dtype=np.uint16, out=distances)
        return found.ravel()


def enough(wanted: int, rows: int) -> int:
    """How many rows to score for `wanted` of them, so that one in some hundred is missed at most.

    Measured on embeddings of MiniLM: see bench/README.md.
    """
    return 1000 + 4 * wanted + rows // 256


def nearest(distances: NDArray[np.uint16], count: int) -> NDArray[np.intp]:
    """The `count` rows of the smallest distances, and all others as near as the last of them; by number."""
    import numpy as np

    as_near = np.cumsum(np.bincount(distances))
    return np.flatnonzero(distances <= np.searchsorted(as_near, min(count, len(distances))))


def _signs(rows: NDArray[np.float32]) -> Bits:
    """Float32 `(n, d)` -> uint64 `(words, n)`, a bit for each number above 0."""
    import numpy as np

    packed = np.packbits(rows > 0, axis=1)
    whole = np.zeros((len(rows), -(-packed.shape[1] // 8) * 8), np.uint8)
    whole[:, : packed.shape[1]] = packed
    return np.ascontiguousarray(whole.view("<u8").T)


def _checksum(block: Bits) -> bytes:
    return zlib.crc32(block.data).to_bytes(_CHECKSUM_BYTES, "little")
