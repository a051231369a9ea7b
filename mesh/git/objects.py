"""Read trees and blobs, without a work tree."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from ..errors import GitFailed, RemoteRefused
from .failures import TooMuchSaid
from .running import MAX_OUTPUT, Git, end

_NONE = ("missing", "ambiguous")  # what `cat-file --batch` says of a name that stands for no object
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """What a tree says of one path. `size`: of a blob, in bytes; -1 for what is none."""

    path: bytes
    mode: str
    kind: str
    id: str
    size: int


def entries(git: Git, commit: str, limit: int = MAX_OUTPUT) -> Iterator[Entry]:
    """Every file and link below a commit's tree. Raises `RemoteRefused` where the list is longer than `limit` bytes.

    That bounds trees within trees, of which a few objects may stand for billions of files.
    """
    try:
        said = git.run("ls-tree", "-r", "-z", "--long", "--full-tree", commit, limit=limit)
    except TooMuchSaid as error:
        reason = f"its list of files is longer than {limit:,} bytes"
        raise RemoteRefused(commit[:12], [reason], "Split it into several namespaces") from error
    for line in said.split(b"\0")[:-1]:
        about, _, path = line.partition(b"\t")
        mode, kind, name, size = about.decode("ascii").split()
        yield Entry(path, mode, kind, name, int(size) if size.isdigit() else -1)


def blob_name(data: bytes, like: str = "") -> str:
    """The name that git gives to these bytes. `like`: any other name there, of the same length."""
    digest = hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % len(data))
    digest.update(data)
    return digest.hexdigest()


class Objects:
    """Reads blobs, and other objects, one after the other from one process, which is started by the first."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Objects:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process; the next blob starts another."""
        if self._process:
            for stream in (self._process.stdin, self._process.stdout):
                with suppress(BrokenPipeError):  # it was killed
                    if stream:
                        stream.close()
            end(self._process)
            self._process = None

    def read(self, blob: str, limit: int) -> bytes:
        """The bytes of a blob. Raises `GitFailed` for one that is missing, is no blob, or is larger than `limit`."""
        kind, size = self._asked(blob)
        if kind != "blob" or size > limit:
            self.close()  # whatever follows in the stream is not read
            raise GitFailed(f"no blob of at most {limit:,} bytes ({kind})", place=blob)
        return b"".join(self._pieces(blob, size, size))

    def beginning(self, name: str, limit: int) -> bytes:
        """The first `limit` bytes of a blob, by its id or as `commit:path`. `FileNotFoundError` where there is none."""
        if "\n" in name or "\r" in name:
            raise FileNotFoundError(name)
        kind, size = self._asked(name)
        if kind in _NONE:
            raise FileNotFoundError(name)
        kept = b""
        for piece in self._pieces(name, size, _PIECE):
            kept += piece[: limit - len(kept)]
        if kind != "blob":
            raise FileNotFoundError(name)
        return kept

    def whole(self, name: str) -> tuple[bytes, bytes]:
        """The kind and the bytes of an object. Raises `GitFailed` if it is not there."""
        kind, size = self._asked(name)
        if kind in _NONE:
            raise GitFailed(f"the object {name} is missing", place=str(self._git.git_dir), remedy="See: git fsck")
        return kind.encode("ascii"), b"".join(self._pieces(name, size, size))

    def pieces(self, name: str, size: int = _PIECE) -> Iterator[bytes]:
        """An object of any kind, in pieces of at most `size` bytes, all of which must be taken. Raises `GitFailed`."""
        kind, left = self._asked(name)
        if kind in _NONE:
            raise GitFailed(f"it cannot be read ({kind})", place=name)
        yield from self._pieces(name, left, size)

    def _asked(self, name: str) -> tuple[str, int]:
        """The kind and the size of an object, whose bytes follow; the kind is one of `_NONE` where nothing does."""
        if self._process is None:
            self._process = self._git.start("cat-file", "--batch")
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin and stdout
        with suppress(BrokenPipeError):  # it was killed: then it says nothing either
            stdin.write(name.encode("utf-8", "surrogateescape") + b"\n")
            stdin.flush()
        about = stdout.readline().rsplit(b" ", 2)
        if about[-1].strip().isdigit() and len(about) == 3:
            return about[1].decode("ascii", "replace"), int(about[2])
        kind = about[-1].strip().decode("ascii", "replace")
        if kind not in _NONE:
            self.close()
            raise GitFailed("git ended while it read", place=name)
        return kind, 0

    def _pieces(self, name: str, left: int, size: int) -> Iterator[bytes]:
        assert self._process and self._process.stdout
        stdout = self._process.stdout
        while left:
            piece = stdout.read(min(left, size))
            if not piece:
                self.close()
                raise GitFailed("git ended while it read", place=name)
            left -= len(piece)
            yield piece
        stdout.read(1)
