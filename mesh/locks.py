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

# A link in a lock's place could lead to anything, and holders write down who they are.
_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)

if os.name == "nt":
    import msvcrt

    def _try_lock(fd: int, *, shared: bool = False) -> bool:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(fd: int, *, shared: bool = False) -> bool:
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def locked(path: Path, *, timeout_seconds: float = 30.0) -> Iterator[None]:
    """Hold the exclusive lock of `path`, made when missing. Raises `LockTimeout`, or `OSError` if it cannot be made."""
    _make(path.parent)
    fd = os.open(path, _OPEN, 0o600)
    try:
        _wait(fd, path, timeout_seconds)
        yield
    finally:
        os.close(fd)  # which frees the lock


def taken(path: Path) -> int | None:
    """Take the exclusive lock of `path` without waiting: the descriptor that holds it until it is closed, or None.

    Raises `OSError` if the file cannot be made.
    """
    _make(path.parent)
    fd = os.open(path, _OPEN, 0o600)
    if _try_lock(fd):
        return fd
    os.close(fd)
    return None


def is_held(fd: int) -> bool:
    """Whether another holds the exclusive lock of an opened file."""
    free = _try_lock(fd, shared=True)  # to be given up by the caller, who closes the descriptor
    return not free


def _make(folder: Path) -> None:
    """The folder and those above it that are missing, each for its owner only."""
    if not folder.exists():
        _make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _wait(fd: int, path: Path, timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    pause = 0.0005
    while not _try_lock(fd):
        if time.monotonic() > deadline:
            raise LockTimeout(str(path), timeout_seconds)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)
