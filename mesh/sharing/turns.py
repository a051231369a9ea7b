"""Of several processes that sync on an interval, one at a time does it for a namespace.

.locks/sync/_regularly/<namespace>.lock  flocked by it, so free when it dies; it says there who it is
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from ..locks import is_held, taken

_FOLDER = Path(".locks") / "sync" / "_regularly"  # no namespace's name begins with an underscore


@dataclass(frozen=True, slots=True)
class Syncer:
    """A process that syncs on an interval."""

    pid: int
    program: str
    every_seconds: float


class Turn:
    """The right to, had until `release`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def take(cls, home: Path, namespace: str, syncer: Syncer) -> Turn | None:
        """None if another process has it. Raises `OSError` where it cannot be taken."""
        fd = taken(home / _FOLDER / f"{namespace}.lock")
        if fd is None:
            return None
        os.pwrite(fd, f"{json.dumps(asdict(syncer)):<200}\n".encode(), 0)
        return cls(fd)

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def syncer_of(home: Path, namespace: str) -> Syncer | None:
    """Who syncs a namespace on an interval; None if nobody does, or it cannot be told."""
    try:
        fd = os.open(home / _FOLDER / f"{namespace}.lock", os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    try:
        return Syncer(**json.loads(os.pread(fd, 4096, 0))) if is_held(fd) else None
    except (OSError, ValueError, TypeError):  # it is just being written, or by another version
        return None
    finally:
        os.close(fd)
