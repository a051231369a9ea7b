"""What the files of the folder were when they were last looked at, so that a sync need not read them all.

A file in the namespace's cache, to be deleted at will. Its first line says what the folder, HEAD and the index were
when there was nothing to commit: while that holds there is nothing to do. The second has the stamp and the blob of each
file. A stamp counts only if a later write must have changed it (`is_settled`): else the bytes are read again. It is
only ever said that a file is what it was; what differs is read.
"""

from __future__ import annotations

import json
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..index.plan import is_settled
from ..scan import Snapshot, Stamp
from ..version import __version__
from .repository import Shared

NAME = "sync.stamps"  # in the namespace's cache


class Stamps:
    """Of one look at the folder of `shared`, which begins when this is made."""

    def __init__(self, shared: Shared) -> None:
        self._shared, self._now_ns = shared, time.time_ns()
        self._path = shared.home / ".cache" / shared.namespace / NAME
        self._had: dict[str, Any] | None = None
        self._has: dict[str, tuple[Stamp, str]] = {}
        self._index, self._others = self._index_stamp(), dict[str, Stamp | None]()
        self._all_settled = True

    # --- one file ----------------------------------------------------------------------------------------------------

    def is_still(self, path: str, blob: str, stamp: Stamp | None) -> bool:
        """Whether a file surely holds a blob."""
        if self._had is None:
            self._had = self._read_body()
        if not stamp or self._had.get(path) != [*stamp, blob]:
            return False
        self._has[path] = stamp, blob
        return True

    def holds(self, path: str, blob: str, stamp: Stamp | None) -> None:
        """Take in that a file held a blob when it was read, after this look began, and had this stamp before."""
        if stamp and is_settled(stamp, self._now_ns):
            self._has[path] = stamp, blob
        else:
            self._all_settled = False

    def stamp_of_other(self, path: str) -> Stamp | None:
        """Of a tracked file that is no memory, which no scan lists."""
        try:
            found = os.lstat(self._shared.home / self._shared.namespace / path)
        except OSError:
            found = None
        stamp = self._others[path] = _stamp(found) if found and stat.S_ISREG(found.st_mode) else None
        return stamp

    # --- all of them -------------------------------------------------------------------------------------------------

    def is_clean(self, head: str | None, held: str | None, snapshot: Snapshot) -> bool:
        """Whether there was nothing to commit when everything was as it is now."""
        said = self._read_header()
        if not isinstance(others := said.get("others"), dict):
            return False
        for path in others:
            self.stamp_of_other(path)
        return said == self._state(head, held, snapshot)

    def keep(self, head: str | None, held: str | None, snapshot: Snapshot, *, is_clean: bool) -> None:
        """Note what was found. `is_clean`: whether there was nothing to commit."""
        header: dict[str, Any] = {}
        if is_clean and self._all_settled and self._index and is_settled(self._index, self._now_ns):
            header = self._state(head, held, snapshot)
        body = {path: [*stamp, blob] for path, (stamp, blob) in self._has.items()}
        if body == self._had and header == self._read_header():
            return
        with suppress(OSError):  # what cannot be kept is looked at again
            _write(self._path, json.dumps(header) + "\n" + json.dumps(body))

    def _state(self, head: str | None, held: str | None, snapshot: Snapshot) -> dict[str, Any]:
        """As JSON gives it back."""
        return {
            "version": __version__,  # another may judge otherwise what may go out
            "head": head,
            "held": held,
            "index": _listed(self._index),
            "links": snapshot.links,
            "files": snapshot.digest().hex(),
            "others": {path: _listed(stamp) for path, stamp in self._others.items()},
        }

    def _index_stamp(self) -> Stamp | None:
        try:
            return _stamp(os.lstat(self._shared.git.git_dir / "index"))
        except OSError:
            return None

    def _read_header(self) -> dict[str, Any]:
        with suppress(OSError, ValueError), self._path.open(encoding="utf-8") as file:
            return _as_dict(file.readline())
        return {}

    def _read_body(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            return _as_dict(self._path.read_text("utf-8").partition("\n")[2])
        return {}


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _listed(stamp: Stamp | None) -> list[int] | None:
    return list(stamp) if stamp else None


def _as_dict(text: str) -> dict[str, Any]:
    found = json.loads(text)
    return found if isinstance(found, dict) else {}


def _write(path: Path, text: str) -> None:
    """In one step, and not flushed: half a file is no JSON."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
