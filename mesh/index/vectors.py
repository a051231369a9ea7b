"""One embedding model's vectors: a `.npy` matrix that only ever grows, and the manifest's rows about it.

A row is written and flushed before the manifest names it, so a crash leaves rows that nobody names. No byte that a
reader may have mapped is ever changed, and the file is never cut. Each row has a CRC-32 in the manifest: rows that
win a search are checked every time, all of them when the file's stamp is not the one noted after the last append.

A large matrix has a sketch beside it, `vectors.bits`, that grows with it.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from . import models
from .damage import CacheDamaged
from .manifest import Manifest
from .sketch import Sketch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEADER_BYTES = 128
FIRST_CAPACITY = 1024


class Matrix:
    """The vectors of one model, `(used, dimension)` float32 unit rows, memory-mapped."""

    def __init__(self, folder: Path, manifest: Manifest, key: str, dimension: int) -> None:
        self._folder, self._manifest, self._key, self.dimension = folder, manifest, key, dimension
        self.model = 0  # its number in the manifest; 0 while it has no vectors
        self._file = ""
        self._mapped: NDArray[np.float32] | None = None  # all the file has room for, so that it is mapped seldom
        self._sketch: Sketch | None = None

    def rows(self) -> NDArray[np.float32]:
        """All rows in use, read-only. Raises `CacheDamaged` if the file is missing, short or not what was written."""
        import numpy as np

        found = self._manifest.db.execute(
            "SELECT model, file, used, stamp, dimension FROM matrices WHERE key = ?", (self._key,)
        ).fetchone()
        if not found:
            self.model, self._mapped = 0, None
            return np.empty((0, self.dimension), np.float32)
        model, file, used, stamp, dimension = found
        if dimension != self.dimension:
            raise CacheDamaged(f"{file} holds vectors of {dimension} numbers, not {self.dimension}")
        if not used:
            self.model, self._file = model, file
            return np.empty((0, dimension), np.float32)
        if self._mapped is None or (model, file) != (self.model, self._file) or len(self._mapped) < used:
            self.model, self._file = model, file
            self._mapped = _mapped(self._folder / file, used, dimension)
            if stamp != stamp_of(self._folder / file):
                self._check_all()
        return self._mapped[:used]

    def check(self, rows: Iterable[tuple[int, int]]) -> None:
        """Compare some rows with their checksums: `(row, checksum)`. Raises `CacheDamaged`."""
        matrix = self.rows()
        for row, checksum in rows:
            if row >= len(matrix) or zlib.crc32(matrix[row]) != checksum:
                raise CacheDamaged(f"row {row} of {self._file} is not what was written")

    def _check_all(self) -> None:
        ask = "SELECT row, checksum FROM vectors JOIN matrices USING (model) WHERE model = ? AND file = ?"
        self.check(self._manifest.db.execute(ask, (self.model, self._file)).fetchall())  # none if it was compacted now
        if self._manifest.writable and not self._manifest.db.in_transaction:
            with self._manifest.transaction() as db:
                stamp = stamp_of(self._folder / self._file)
                db.execute("UPDATE matrices SET stamp = ? WHERE model = ?", (stamp, self.model))

    def verify(self) -> None:
        """Check every row, whatever the stamp says. Raises `CacheDamaged`."""
        self._mapped = None
        if len(self.rows()):
            self._check_all()

    def missing(self, digests: list[bytes]) -> list[bytes]:
        """Those of some texts' digests that have no vector yet."""
        self.rows()
        have = {
            digest
            for digest in dict.fromkeys(digests)
            if self._manifest.db.execute(
                "SELECT 1 FROM vectors WHERE model = ? AND text_digest = ?", (self.model, digest)
            ).fetchone()
        }
        return [digest for digest in dict.fromkeys(digests) if digest not in have]

    def append(self, vectors: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Record the vectors of some texts, by digest. The manifest's transaction must be open.

        Texts that another process recorded in the meantime are left as they are.
        """
        import numpy as np

        self._open_for_append()
        new = self.missing(list(vectors))
        if not new:
            return
        db, path = self._manifest.db, self._folder / self._file
        used, capacity = db.execute("SELECT used, capacity FROM matrices WHERE model = ?", (self.model,)).fetchone()
        block = np.ascontiguousarray([vectors[digest] for digest in new], dtype="<f4")
        capacity = write_rows(path, used, capacity, block)
        db.executemany(
            "INSERT INTO vectors VALUES (?, ?, ?, ?)",
            [(self.model, used + i, digest, zlib.crc32(block[i])) for i, digest in enumerate(new)],
        )
        db.execute(
            "UPDATE matrices SET used = ?, capacity = ?, stamp = ? WHERE model = ?",
            (used + len(new), capacity, stamp_of(path), self.model),
        )
        self.extend_sketch()

    def extend_sketch(self) -> None:
        """Have the sketch cover what it can. The manifest's transaction must be open."""
        if checksums := self.sketch().extend(self.rows()):
            self._manifest.set(f"sketch {self.model}", checksums)

    def sketch(self) -> Sketch:
        """The sketch of the rows, as far as there is one."""
        rows, name = self.rows(), f"{self._file.removesuffix('.npy')}.bits"
        if self._sketch is None or self._sketch.path.name != name:
            self._sketch = Sketch(self._folder / name, self.dimension)
        named = self._manifest.get(f"sketch {self.model}") if len(rows) else b""
        self._sketch.follow(named if isinstance(named, bytes) else b"")
        return self._sketch

    def _open_for_append(self) -> None:
        """Find this model's file, or begin one."""
        db = self._manifest.db
        found = db.execute("SELECT model, file FROM matrices WHERE key = ?", (self._key,)).fetchone()
        if not found:
            found = models.enter(self._manifest, self._key, self.dimension)
            (self._folder / found[1]).unlink(missing_ok=True)  # left by a crash: no manifest names it
            self._manifest.set(f"sketch {found[0]}", b"")
        self.model, self._file = found


def _mapped(path: Path, used: int, dimension: int) -> NDArray[np.float32]:
    import numpy as np

    try:
        size = path.stat().st_size
        if size < HEADER_BYTES + used * dimension * 4:
            raise CacheDamaged(f"{path.name} is shorter than the {used} rows it should hold")
        room = (size - HEADER_BYTES) // (dimension * 4)
        whole = np.memmap(path, dtype="<f4", mode="r", offset=HEADER_BYTES, shape=(room, dimension))
    except (OSError, ValueError) as error:
        raise CacheDamaged(f"{path.name}: {error}") from error
    return whole.view(np.ndarray)


def stamp_of(path: Path) -> str:
    try:
        found = path.stat()
    except OSError as error:
        raise CacheDamaged(f"{path.name}: {error}") from error
    return json.dumps([found.st_size, found.st_mtime_ns, found.st_ino])


def _header(capacity: int, dimension: int) -> bytes:
    """A `.npy` version 1.0 header of exactly `HEADER_BYTES`, so that `np.load(path, mmap_mode="r")` works."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({capacity}, {dimension}), }}"
    padded = text.ljust(HEADER_BYTES - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + (HEADER_BYTES - 10).to_bytes(2, "little") + padded.encode("latin-1")


def write_rows(path: Path, used: int, capacity: int, block: NDArray[np.float32]) -> int:
    """Write rows at the end, growing the file first where needed; flushed on return. The capacity afterwards."""
    count, dimension = block.shape
    fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(fd, "r+b", buffering=0) as file:
        if used + count > capacity:
            capacity = max(FIRST_CAPACITY, capacity * 3 // 2, used + count)
            size = HEADER_BYTES + capacity * dimension * 4
            if os.fstat(fd).st_size < size:
                os.truncate(fd, size)
            os.fsync(fd)  # the header may promise rows only when the file has room for them
            file.write(_header(capacity, dimension))
        file.seek(HEADER_BYTES + used * dimension * 4)
        file.write(block.tobytes())
        os.fsync(fd)
    return capacity
