"""What can be wrong with a cache, told apart: damaged, not to be written, or only busy."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

_SHORT_READ = 522  # SQLITE_IOERR_SHORT_READ: the file is shorter than it should be
_CANNOT_WRITE = {  # a read-only home, a full disk
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
}


class CacheDamaged(Exception):
    """The cache cannot be used as it is. Never leaves the library: whoever meets it makes the cache again."""


class CacheReadOnly(Exception):
    """The cache cannot be written here (a read-only home)."""


@contextmanager
def translated() -> Iterator[None]:
    """Tell damage from everything else SQLite reports. Busy is neither: SQLite has waited, and it goes on."""
    try:
        yield
    except (sqlite3.IntegrityError, UnicodeDecodeError) as error:  # SQLite quotes what it found in the schema
        raise CacheDamaged(str(error)) from error
    except sqlite3.OperationalError as error:
        extended: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)  # Python's own have none: no UTF-8
        code = extended & 0xFF
        if code in {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA} or extended == _SHORT_READ:
            raise CacheDamaged(str(error)) from error
        if code in _CANNOT_WRITE:
            raise CacheReadOnly(str(error)) from error
        raise
    except sqlite3.DatabaseError as error:
        raise CacheDamaged(str(error)) from error
