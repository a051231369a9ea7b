"""Read trees and blobs, without a work tree."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from ..errors import GitFailed, RemoteRefused
from .failures import TooMuchSaid
from .running import MAX_OUTPUT, Git, end


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


class Blobs:
    """Reads blobs one after the other from one process, which is started when the first is asked for."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Blobs:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            for stream in (self._process.stdin, self._process.stdout):
                with suppress(BrokenPipeError):  # it was killed
                    if stream:
                        stream.close()
            end(self._process)
            self._process = None

    def read(self, blob: str, limit: int) -> bytes:
        """The bytes of a blob. Raises `GitFailed` for one that is missing, is no blob, or is larger than `limit`."""
        stdin, stdout = self._streams()
        with suppress(BrokenPipeError):  # it was killed: then it says nothing either
            stdin.write(blob.encode("ascii") + b"\n")
            stdin.flush()
        header = stdout.readline(200).split()
        if len(header) != 3 or header[1] != b"blob" or int(header[2]) > limit:
            self.__exit__()  # whatever follows in the stream is not read
            said = b" ".join(header[1:]).decode("ascii", "replace") or "git ended"
            raise GitFailed(f"no blob of at most {limit:,} bytes ({said})", place=blob)
        data = stdout.read(int(header[2]))
        stdout.read(1)
        return data

    def pieces(self, name: str, size: int = 1 << 20) -> Iterator[bytes]:
        """An object of any kind, in pieces of at most `size` bytes, all of which must be taken. Raises `GitFailed`."""
        stdin, stdout = self._streams()
        stdin.write(name.encode("ascii") + b"\n")
        stdin.flush()
        header = stdout.readline(200).split()
        if len(header) != 3:
            self.__exit__()
            said = b" ".join(header[1:]).decode("ascii", "replace") or "git ended"
            raise GitFailed(f"it cannot be read ({said})", place=name)
        left = int(header[2])
        while left:
            piece = stdout.read(min(left, size))
            if not piece:
                raise GitFailed("git ended while it was read", place=name)
            left -= len(piece)
            yield piece
        stdout.read(1)

    def _streams(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process is None:
            self._process = self._git.start("cat-file", "--batch")
        assert self._process.stdin and self._process.stdout
        return self._process.stdin, self._process.stdout
