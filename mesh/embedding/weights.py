"""Weights mapped from `model.safetensors` and never copied: all-MiniLM-L6-v2's, and any other's.

A safetensors file is: the header's length (8 bytes, little-endian), the header (JSON: name -> dtype, shape and
`data_offsets` counted from the header's end), the tensors.

Whether a file is the default model's is decided by its size and a checksum of its header and of 64 bytes at every
1 MiB: under half a millisecond, where hashing 90 MB takes 60 and would be paid by every shell command. That tells
truncated, half downloaded, re-trained or converted weights from the known ones. It does not see a few flipped bits:
`sha256_of` reads everything, for `mesh model status` and after a download.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelUnavailable

if TYPE_CHECKING:
    from io import FileIO

    from numpy import float32
    from numpy.typing import NDArray

SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
SIZE = 90_868_376

_SAMPLES_CRC32 = 0x1926E0A8
_SAMPLE_BYTES, _SAMPLE_EVERY = 64, 1 << 20
_LONGEST_HEADER = 100 << 20  # the format's own limit


class Safetensors:
    """The float32 tensors of one mapped file. Read-only; the map lives as long as any array of it."""

    _remedy = "Download it again"

    def __init__(self, path: Path) -> None:
        """Raises `ModelUnavailable` if it is no such file, or is cut short."""
        self.path = path
        try:
            with path.open("rb", buffering=0) as file:
                self._data_start, header = self._read_header(file)
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._tensors: dict[str, Any] = json.loads(header)
            ends = [self._span(name)[1] for name in self._tensors if name != "__metadata__"]
        except OSError as error:
            raise _unavailable(path, f"it cannot be read ({error.strerror})", self._remedy) from error
        except (struct.error, ValueError, TypeError, KeyError) as error:
            raise _unavailable(path, "it is no safetensors file", self._remedy) from error
        if max(ends, default=0) > len(self._map):
            raise _unavailable(path, "it is cut short", self._remedy)

    def _read_header(self, file: FileIO) -> tuple[int, bytes]:
        """Where the tensors start, and the header."""
        (length,) = struct.unpack("<Q", _read_at(file, 0, 8))
        return 8 + length, _read_at(file, 8, min(length, _LONGEST_HEADER))

    def tensor(self, name: str) -> NDArray[float32]:
        """A view of one tensor, in the shape the header gives. Raises `ModelUnavailable` if it is not in the file."""
        there = self._tensors.get(name)
        if there is None or there["dtype"] != "F32":
            cause = f"its weights {name!r} are {there['dtype']}, not F32" if there else f"it has no weights {name!r}"
            raise _unavailable(self.path, cause, self._remedy)
        return self._floats(*self._span(name)).reshape(there["shape"])

    def stacked(self, names: Sequence[str], width: int) -> NDArray[float32]:
        """Some tensors as rows `(n, width)`: a view if they lie one after the other in the file, else a copy."""
        import numpy as np

        tensors = [self.tensor(name) for name in names]
        spans = [self._span(name) for name in names]
        if all(stop == start for (_, stop), (start, _) in pairwise(spans)):
            return self._floats(spans[0][0], spans[-1][1]).reshape(-1, width)
        return np.concatenate([tensor.reshape(-1, width) for tensor in tensors])

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


class Weights(Safetensors):
    """The known file: the weights of all-MiniLM-L6-v2."""

    _remedy = "Run: mesh model pull"

    def _read_header(self, file: FileIO) -> tuple[int, bytes]:
        """Raises `ModelUnavailable` for any other file, as far as its samples tell."""
        return _known_header(file, self.path)


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


def _unavailable(path: Path, cause: str, remedy: str = Weights._remedy) -> ModelUnavailable:
    return ModelUnavailable(cause, place=str(path), remedy=remedy)
