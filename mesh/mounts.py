"""Which file systems lie at a folder and below it, by the kernel's list of mounts; and whether that has changed.

A disk that is mounted or unmounted is no event in the folder it is mounted on.
"""

from __future__ import annotations

import re
import select
import sys
from pathlib import Path
from typing import NamedTuple

# File systems that only this machine writes to, so that its kernel sees every change.
_LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "bcachefs", "jfs"})
_LIST = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """`number`: another one for each mount, so also for another disk at the same place."""

    number: str
    point: str
    kind: str


def can_be_relied_upon(folder: Path, *, below: bool = True) -> bool:
    """Whether the kernel sees every change of what lies in a folder; without `below` in those below it, too."""
    there = _mounts(folder.resolve(), _read())
    return sys.platform == "linux" and bool(there) and all(one.kind in _LOCAL for one in there[: None if below else 1])


class Mounts:
    """What is mounted at and below a folder. `changed` is cheap enough for every question."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._changed = folder.resolve(), False
        self._file = _LIST.open("rb") if _LIST.exists() else None
        self._there = _mounts(self._folder, _read())

    def close(self) -> None:
        if self._file:
            self._file.close()
        self._file = None

    @property
    def changed(self) -> bool:
        """Whether anything was mounted or unmounted there since the beginning."""
        if self._file and not self._changed:
            poll = select.poll()
            poll.register(self._file, select.POLLPRI)  # the kernel says so when the list is another one
            if poll.poll(0):
                self._changed = _mounts(self._folder, _read()) != self._there
        return self._changed


def _read() -> list[Mount]:
    try:
        lines = _LIST.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        point = _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), fields[4])
        found.append(Mount(fields[0], point, after.partition(" ")[0]))
    return found


def _mounts(folder: Path, mounts: list[Mount]) -> list[Mount]:
    """The one that a folder lies on, then those below; of several at one place the last one covers the others."""
    place = f"{folder}/"
    on = [one for one in mounts if place.startswith(one.point.rstrip("/") + "/")]
    below = [one for one in mounts if one.point.startswith(place)]
    return [max(reversed(on), key=lambda one: len(one.point)), *below] if on else []
