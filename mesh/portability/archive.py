"""Markdown in a tar archive, compressed or not. Nothing is unpacked to disk, and no member can name a place there."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from .. import codec
from ..errors import InvalidInput, MeshError
from ..files import failures_reported
from ..memory import Problem
from . import json_pieces
from .markdown import SUFFIX, is_hidden, note_others, record
from .record import Record

LARGEST_READ = 4 << 20  # of a member's header: tarfile reads it whole, however large it says it is
GZIP, BZIP2, XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
_TAR_AT, _TAR = 257, b"ustar"
_REFUSED = "Leave it out of the archive"


def looks_like(head: bytes) -> bool:
    """Whether a file that begins with `head` (512 bytes) is an archive, or compressed as one may be."""
    return head.startswith((GZIP, BZIP2, XZ)) or head[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR


def read(source: Path) -> Iterator[Record | Problem]:
    """Every Markdown file of an archive, in its order. Raises `InvalidInput` for what is none, `MeshError` for one
    that is damaged or cut off."""
    found, others = 0, 0
    with failures_reported(str(source)), source.open("rb") as file, _damage_reported(source.name):
        for member, tar in _members(_decompressed(file)):
            if member.isdir() or any(part != ".." and is_hidden(part) for part in _parts(member.name)):
                continue
            if _is_plain(member) and not member.name.lower().endswith(SUFFIX):
                others += 1
                continue
            found += 1
            yield _record(member, tar, source.name)
    if not found:
        raise InvalidInput("it holds no Markdown files", place=source.name, remedy="Give an archive that has them")
    note_others(source.name, others)


def _record(member: tarfile.TarInfo, tar: tarfile.TarFile, archive: str) -> Record | Problem:
    name = "/".join(_parts(member.name))
    place = f"{archive}: {name.encode('utf-8', 'replace').decode()}"
    if not member.isreg():
        return Problem(place, 0, "", "it is a link or a device, not a file", _REFUSED)
    if not _is_plain(member):
        return Problem(place, 0, "", "its name leads out of the archive, or is no text", _REFUSED)
    if member.size > codec.MAX_FILE_BYTES:
        return Problem(place, 0, "", f"larger than {codec.MAX_FILE_BYTES:,} bytes", "Split it into several memories")
    content = tar.extractfile(member)
    assert content is not None  # it is a file
    return record(content.read(), name, place, local=False)


def _parts(name: str) -> list[str]:
    """The parts of a member's name; a leading `./`, which tar writes for a folder named `.`, is none."""
    parts = name.split("/")
    while parts[0] == "." and len(parts) > 1:
        parts = parts[1:]
    return parts


def _is_plain(member: tarfile.TarInfo) -> bool:
    """A file with a name below the archive."""
    parts = _parts(member.name)
    try:
        member.name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return member.isreg() and not any(part in ("", ".", "..") for part in parts) and "\0" not in member.name


def _members(file: BinaryIO) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    bounded = _Bounded(file)
    with tarfile.open(fileobj=cast(BinaryIO, bounded), mode="r:") as tar:
        while member := tar.next():
            yield member, tar
            tar.members.clear()  # type: ignore[attr-defined]  # or it would keep them all
        # It also ends so at a header that is damaged, or missing: only a block of zeros is the end.
        bounded.seek(tar.offset)
        if bounded.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise EOFError


def _decompressed(file: BinaryIO) -> BinaryIO:
    head = file.read(len(XZ))
    file.seek(0)
    if head.startswith(GZIP):
        import gzip

        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if head.startswith(BZIP2):
        import bz2

        return cast(BinaryIO, bz2.BZ2File(file))
    if head.startswith(XZ):
        import lzma

        return cast(BinaryIO, lzma.LZMAFile(file))
    return file


class _Bounded:
    """A file of which no read may be large."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LARGEST_READ:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._file.read(size)


@contextmanager
def _damage_reported(name: str) -> Iterator[None]:
    import lzma

    try:
        yield
    except EOFError as error:
        raise json_pieces.ends_too_early(name, "or is damaged") from error
    except (tarfile.TarError, zlib.error, lzma.LZMAError, ValueError, OverflowError) as error:
        raise _no_archive(name, error) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _no_archive(name, error) from error  # gzip and bzip2 say so of damage


def _no_archive(name: str, error: Exception) -> MeshError:
    return MeshError(
        f"it is no tar archive, or is damaged ({error})", place=name, remedy="Get a whole copy of it and import that"
    )
