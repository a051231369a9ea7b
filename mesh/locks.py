"""Exclusive locks between processes, and between threads of one.

`flock` on a file of its own: freed by the kernel when the holder dies, never unlinked (a waiter would then hold a
lock that nobody else can see). The library filelock does the same, but importing it costs 60 ms in every command.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import LockTimeout

if os.name == "nt":
    import msvcrt

    def _try_lock(fd: int) -> bool:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def locked(path: Path, *, timeout_seconds: float = 30.0) -> Iterator[None]:
    """Hold the exclusive lock of `path`, made when missing. Raises `LockTimeout`, or `OSError` if it cannot be made."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _wait(fd, path, timeout_seconds)
        yield
    finally:
        os.close(fd)  # which frees the lock


def _wait(fd: int, path: Path, timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    pause = 0.0005
    while not _try_lock(fd):
        if time.monotonic() > deadline:
            raise LockTimeout(str(path), timeout_seconds)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)
