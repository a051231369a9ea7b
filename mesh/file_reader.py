"""Memory files as a refresh reads them: their bytes, some at a time, and the row that the manifest gets of each."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from . import codec
from .errors import MalformedMemory
from .files import Folder, sha256
from .index import lexical
from .index.file_row import FileRow
from .index.manifest import EMPTY, REFUSED, SERVED, UNREADABLE
from .index.plan import is_settled
from .memory import Problem
from .scan import Stamp
from .vault import Vault

FILES_AT_ONCE = 500
_BYTES_AT_ONCE = 8 << 20
GONE = b"\0gone"  # in place of the bytes of a file that is not there any more


class FileReader:
    """A context manager: it keeps the folder open that was read from last. One thread at a time."""

    def __init__(self, vault: Vault) -> None:
        self._vault, self._home = vault, f"{vault.home}/"
        self._now_ns = time.time_ns()
        self._waits = 25  # for files that an editor has just emptied
        self._folder: Folder | None = None
        self._open = ""  # which folder that is

    def __enter__(self) -> FileReader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder:
            self._folder.close()
        self._folder = None

    def batches(self, paths: Iterable[str]) -> Iterator[dict[str, bytes | None]]:
        """What `read` gives for each of the paths, so many at a time as memory has room for."""
        some, size = dict[str, bytes | None](), 0
        for path in paths:
            data = some[path] = self.read(path)
            size += len(data or b"")
            if len(some) >= FILES_AT_ONCE or size >= _BYTES_AT_ONCE:
                yield some
                some, size = {}, 0
        if some:
            yield some

    def read(self, path: str) -> bytes | None:
        """The bytes of a file, None if they cannot be read, `GONE` if there is no such file."""
        try:
            return self._stable_bytes(path)
        except (FileNotFoundError, NotADirectoryError):
            return GONE
        except OSError:
            return None

    def _stable_bytes(self, path: str) -> bytes:
        """The file's bytes. Some editors empty a file before they write it: one emptied just now is given a moment."""
        data = self._bytes_of(path)
        while not data and self._waits and 0 <= time.time() - (self._vault.home / path).stat().st_mtime < 1:
            self._waits -= 1
            time.sleep(0.02)
            data = self._bytes_of(path)
        return data

    def _bytes_of(self, path: str) -> bytes:
        folder, _, name = path.rpartition("/")
        if self._folder is None or folder != self._open:
            self.__exit__()
            self._folder, self._open = Folder.open(self._vault.home, *PurePosixPath(folder).parts), folder
        return self._folder.read(name, limit=codec.MAX_FILE_BYTES + 1)

    def stamp(self, path: str) -> Stamp | None:
        """The stamp of a file as it is now; None if there is none."""
        try:
            found = os.lstat(self._home + path)
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino

    def is_settled(self, stamp: Stamp) -> bool:
        """Whether a file of this stamp was, when this reader was made, surely what it was when it was read."""
        return is_settled(stamp, self._now_ns)

    def fresh_row(self, path: str) -> FileRow | None:
        """The row of a file as it is now; None if it is gone."""
        stamp = self.stamp(path)
        data = self.read(path) if stamp else GONE
        return self.row(path, stamp, data) if stamp and data is not GONE else None

    def row(self, path: str, stamp: Stamp, data: bytes | None) -> FileRow:
        """The row of a file whose bytes `read` gave."""
        return unreadable_row(path, stamp) if data is None else self._row(path, stamp, data)

    def _row(self, path: str, stamp: Stamp, data: bytes) -> FileRow:
        settled, digest = self.is_settled(stamp), sha256(data)
        try:
            memory = codec.read(data, path)
        except MalformedMemory as error:
            problem = Problem(path, error.line, "", error.reason, error.remedy)
            return FileRow(path, REFUSED, stamp, settled, digest, problems=[problem])
        return FileRow(
            path,
            SERVED if memory.content else EMPTY,
            stamp,
            settled,
            digest,
            memory,
            text_digest=sha256(memory.content.encode("utf-8")),
            about=lexical.about(memory),
            problems=memory.problems,
        )


def unreadable_row(path: str, stamp: Stamp | None) -> FileRow:
    problem = Problem(path, 0, "", "it cannot be read", "Check who owns it and its mode")
    return FileRow(path, UNREADABLE, stamp or (0, 0, 0, 0), False, None, problems=[problem])
