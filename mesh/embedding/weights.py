"""The weights of all-MiniLM-L6-v2, mapped from `model.safetensors` and never copied.

A safetensors file is: the header's length (8 bytes, little-endian), the header (JSON: name -> dtype, shape and
`data_offsets` counted from the header's end), the tensors.

Which file it is, is decided by its size and a checksum of its header and of 64 bytes at every 1 MiB: under half a
millisecond, where hashing 90 MB takes 60 and would be paid by every shell command. That tells truncated, half
downloaded, re-trained or converted weights from the known ones. It does not see a few flipped bits: `sha256_of`
reads everything, for `mesh model status` and after a download.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from mesh.errors import ModelUnavailable

if TYPE_CHECKING:
    from io import FileIO

    from numpy import float32
    from numpy.typing import NDArray

SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
SIZE = 90_868_376

_SAMPLES_CRC32 = 0x1926E0A8
_SAMPLE_BYTES, _SAMPLE_EVERY = 64, 1 << 20


class Weights:
    """The tensors of one mapped file. Read-only; the map lives as long as any array of it."""

    def __init__(self, path: Path) -> None:
        """Raises `ModelUnavailable` unless the file is the known one, as far as its samples tell."""
        self.path = path
        try:
            with path.open("rb", buffering=0) as file:
                self._data_start, header = _known_header(file, path)
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise _unavailable(path, f"it cannot be read ({error.strerror})") from error
        self._tensors = json.loads(header)

    def tensor(self, name: str) -> NDArray[float32]:
        """A view of one tensor, in the shape the header gives."""
        start, stop = self._span(name)
        return self._floats(start, stop).reshape(self._tensors[name]["shape"])

    def block(self, first: str, last: str, width: int) -> NDArray[float32]:
        """A view `(rows, width)` of all that lies from the start of one tensor to the end of another."""
        return self._floats(self._span(first)[0], self._span(last)[1]).reshape(-1, width)

    def release(self, first: str, last: str) -> None:
        """Give the pages between two tensors back to the page cache; reading them brings them in again."""
        advice = getattr(mmap, "MADV_DONTNEED", None)
        if advice is not None and sys.platform == "linux":  # elsewhere it may mean something else
            start = self._span(first)[0] // mmap.PAGESIZE * mmap.PAGESIZE
            self._map.madvise(advice, start, self._span(last)[1] - start)

    def _span(self, name: str) -> tuple[int, int]:
        start, stop = self._tensors[name]["data_offsets"]
        return self._data_start + start, self._data_start + stop

    def _floats(self, start: int, stop: int) -> NDArray[float32]:
        import numpy as np

        return np.frombuffer(self._map, dtype="<f4", count=(stop - start) // 4, offset=start)


def sha256_of(path: Path) -> str:
    """The digest of a whole file, in hexadecimal. Raises `ModelUnavailable` if it cannot be read."""
    import hashlib

    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unavailable(path, f"it cannot be read ({error.strerror})") from error


def _known_header(file: FileIO, path: Path) -> tuple[int, bytes]:
    """Where the tensors start, and the header. Raises `ModelUnavailable` for any file but the known one."""
    size = file.seek(0, os.SEEK_END)
    if size != SIZE:
        raise _unavailable(path, f"it has {size:,} bytes, not the {SIZE:,} of all-MiniLM-L6-v2")
    (length,) = struct.unpack("<Q", _read_at(file, 0, 8))
    header = _read_at(file, 8, min(length, _SAMPLE_EVERY))
    checksum = zlib.crc32(header)
    for offset in range(_SAMPLE_EVERY, size, _SAMPLE_EVERY):
        checksum = zlib.crc32(_read_at(file, offset, _SAMPLE_BYTES), checksum)
    if checksum != _SAMPLES_CRC32:
        raise _unavailable(path, "it is damaged, or other weights than all-MiniLM-L6-v2's")
    return 8 + length, header


def _read_at(file: FileIO, offset: int, count: int) -> bytes:
    file.seek(offset)
    return file.read(count)


def _unavailable(path: Path, cause: str) -> ModelUnavailable:
    return ModelUnavailable(cause, place=str(path), remedy="Run: mesh model pull")
