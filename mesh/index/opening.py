"""How a database file comes into being and is opened, so that no other connection to it is harmed."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
from pathlib import Path

BUSY_SECONDS = 30.0
OPENING = threading.Lock()  # to be held from `create` until SQLite has opened the file


def create(path: Path) -> None:
    """Make an empty file, unless it is there; SQLite gives its other files the same mode.

    One that is there must not be opened here: to close it would drop the locks (POSIX ones belong to a process, not to
    a descriptor) by which other processes know that a connection of this one is open, and they would delete its log.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)) from None


def use_wal(db: sqlite3.Connection) -> None:
    """Switch to a write-ahead log. For this alone SQLite does not wait while others make the same switch."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if (error.sqlite_errorcode or 0) & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.005)
