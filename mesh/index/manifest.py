"""`manifest.db`: what the files held when they were last looked at, and the lexical index over it. SQLite.

    meta      name -> value: the digest of the last scan, a number that grows with every change of `files`, devices
    files     one row a file: its stamp and digest, the known keys, its problems
    words     FTS5 over content and what is about it; `rowid` is `files.file_id`
    matrices  one row an embedding model: its key, its .npy file, how many rows of it are used
    passages  the spans of a file's content that were embedded, for one model
    vectors   the row of the matrix that holds the embedding of a text, and that row's CRC-32

A writer holds SQLite's write lock; readers never wait (WAL). Nothing here is the truth: whatever is missing, damaged
or of another version is made again from the files.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..memory import Problem

if TYPE_CHECKING:
    from .file_row import FileRow

SCHEMA_VERSION = 3
BUSY_SECONDS = 30.0
CACHE_KIB = 32_768  # of pages that SQLite keeps in memory, as they are read

SERVED, REFUSED, UNREADABLE, EMPTY = range(4)

_SHORT_READ = 522  # SQLITE_IOERR_SHORT_READ: the file is shorter than it should be
_CANNOT_WRITE = {  # a read-only home, a full disk
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
}

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE files (
    file_id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, state INTEGER NOT NULL,
    size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER, settled INTEGER, digest BLOB,
    id TEXT, type TEXT, tags TEXT, agent TEXT, born REAL, fades_from REAL, confidence REAL, expires REAL,
    local_only INTEGER,
    source TEXT, title TEXT, text_digest BLOB, problems TEXT, embedded INTEGER NOT NULL DEFAULT 0);
CREATE INDEX files_by_id ON files (id COLLATE NOCASE);
CREATE INDEX files_by_text ON files (text_digest);
CREATE INDEX files_by_state ON files (state, embedded);
CREATE INDEX files_with_problems ON files (path) WHERE problems <> '';
CREATE TABLE supersedes (file_id INTEGER, id TEXT COLLATE NOCASE, PRIMARY KEY (id, file_id)) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5 (content, about, tokenize = 'porter unicode61 remove_diacritics 2');
INSERT INTO words (words, rank) VALUES ('rank', 'bm25(1.0, 0.5)'); -- what is written counts more than what is about it
CREATE TABLE matrices (
    model INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, file TEXT NOT NULL, dimension INTEGER NOT NULL,
    used INTEGER NOT NULL, capacity INTEGER NOT NULL, stamp TEXT);
CREATE TABLE passages (
    model INTEGER, file_id INTEGER, ordinal INTEGER, start INTEGER, stop INTEGER, text_digest BLOB,
    PRIMARY KEY (model, file_id, ordinal)) WITHOUT ROWID;
CREATE INDEX passages_by_text ON passages (model, text_digest);
CREATE TABLE vectors (
    model INTEGER, row INTEGER, text_digest BLOB, checksum INTEGER, PRIMARY KEY (model, row)) WITHOUT ROWID;
CREATE UNIQUE INDEX vectors_by_text ON vectors (model, text_digest);
"""


class CacheDamaged(Exception):
    """The cache cannot be used as it is. Never leaves the library: whoever meets it makes the cache again."""


class CacheReadOnly(Exception):
    """The cache cannot be written here (a read-only home)."""


@contextmanager
def translated() -> Iterator[None]:
    """Tell damage from everything else SQLite reports. Busy is neither: SQLite has waited, and it goes on."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise CacheDamaged(str(error)) from error
    except sqlite3.OperationalError as error:
        code = (error.sqlite_errorcode or 0) & 0xFF
        if code in {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA} or error.sqlite_errorcode == _SHORT_READ:
            raise CacheDamaged(str(error)) from error
        if code in _CANNOT_WRITE:
            raise CacheReadOnly(str(error)) from error
        raise
    except sqlite3.DatabaseError as error:
        raise CacheDamaged(str(error)) from error


class Manifest:
    """An opened manifest. One thread at a time; other processes may read and write beside it."""

    def __init__(self, path: Path, db: sqlite3.Connection, *, writable: bool) -> None:
        self.path, self.db, self.writable = path, db, writable

    @classmethod
    def open(cls, path: Path) -> Manifest:
        """Open it, made when missing. Raises `CacheDamaged`, `CacheReadOnly`, `sqlite3.OperationalError`."""
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its other files the same mode
        with translated():
            db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False)
            try:
                _use_wal(db)
                db.execute("PRAGMA synchronous = NORMAL")
                db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
                _check_version(db)
            except BaseException:
                db.close()
                raise
        return cls(path, db, writable=True)

    @classmethod
    def open_copy(cls, path: Path) -> Manifest:
        """A copy in memory, for a home that cannot be written; empty if there is nothing to copy."""
        db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        try:
            source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
            source.backup(db)
            source.close()
            _check_version(db)
        except (sqlite3.Error, CacheDamaged):
            db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            _check_version(db)
        return cls(path, db, writable=False)

    def close(self) -> None:
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the write lock; commit at the end, or undo everything if the body raises."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield self.db
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    # --- meta ----------------------------------------------------------------------------------------------

    def get(self, name: str) -> object:
        row = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def set(self, name: str, value: object) -> None:
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def generation(self) -> int:
        """A number that grows with every change of `files`, whoever makes it."""
        return int(str(self.get("generation") or 0))

    @contextmanager
    def changing_files(self) -> Iterator[None]:
        """A transaction that changes `files`. What they were at the last scan is nothing to go by then."""
        with self.transaction():
            self.set("generation", self.generation() + 1)
            self.set("scan", b"")
            yield

    # --- files ---------------------------------------------------------------------------------------------

    def count(self, state: int = SERVED) -> int:
        return int(self.db.execute("SELECT count(*) FROM files WHERE state = ?", (state,)).fetchone()[0])

    def count_all(self) -> int:
        return int(self.db.execute("SELECT count(*) FROM files").fetchone()[0])

    def paths(self, state: int = SERVED) -> list[str]:
        rows = self.db.execute("SELECT path FROM files WHERE state = ? ORDER BY path", (state,))
        return [path for (path,) in rows]

    def data_version(self) -> int:
        """A number that changes when another connection commits."""
        return int(self.db.execute("PRAGMA data_version").fetchone()[0])

    def put(self, row: FileRow, moved_from: str | None = None) -> None:
        """Insert or replace one file: its row, its words; its passages stay only if content and title did.

        A file that had the path `moved_from` takes that row over.
        """
        ask = "SELECT file_id, embedded, text_digest, title FROM files WHERE path IN (?, ?) ORDER BY path <> ?"
        old, *more = self.db.execute(ask, (row.path, moved_from, row.path)).fetchall() or [None]
        embedded = 0
        if old:
            embedded = old[1] if old[2:] == (row.text_digest, row.title) else 0
            self._drop(old[0], passages=not embedded)
        for other in more:
            self._drop(other[0], passages=True)
        cursor = self.db.execute(
            f"INSERT INTO files VALUES (?, ?, {', '.join('?' * len(row.columns))}, ?)",
            (old[0] if old else None, row.path, *row.columns, embedded),
        )
        if row.words:
            self.db.execute(
                "INSERT INTO words (rowid, content, about) VALUES (?, ?, ?)", (cursor.lastrowid, *row.words)
            )
        self.db.executemany(
            "INSERT OR IGNORE INTO supersedes VALUES (?, ?)", [(cursor.lastrowid, one) for one in row.supersedes]
        )

    def remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            for (file_id,) in self.db.execute("SELECT file_id FROM files WHERE path = ?", (path,)).fetchall():
                self._drop(file_id, passages=True)

    def _drop(self, file_id: int, *, passages: bool) -> None:
        self.db.execute("DELETE FROM words WHERE rowid = ?", (file_id,))
        self.db.execute("DELETE FROM supersedes WHERE file_id = ?", (file_id,))
        self.db.execute("DELETE FROM files WHERE file_id = ?", (file_id,))
        if passages:
            for (model,) in self.db.execute("SELECT model FROM matrices").fetchall():
                self.db.execute("DELETE FROM passages WHERE model = ? AND file_id = ?", (model, file_id))

    def problems(self) -> list[Problem]:
        """Every problem of every file, by path."""
        rows = self.db.execute("SELECT path, problems FROM files WHERE problems <> '' ORDER BY path")
        return [Problem(path, *one) for path, problems in rows for one in json.loads(problems)]


def _use_wal(db: sqlite3.Connection) -> None:
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


def _check_version(db: sqlite3.Connection) -> None:
    """Make the tables of an empty database. Raises `CacheDamaged` for one of another version."""
    version = _version(db)
    if version == 0:
        db.execute("BEGIN IMMEDIATE")
        version = _version(db)  # somebody else may have made them meanwhile
        if version == 0 and not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in re.sub("--.*", "", _SCHEMA).split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            version = SCHEMA_VERSION
        db.execute("COMMIT")
    if version != SCHEMA_VERSION:
        raise CacheDamaged(f"the cache is of version {version}, not {SCHEMA_VERSION}")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])
