"""`manifest.db`: what the files held when they were last looked at, and the lexical index over it. SQLite.

    meta      name -> value: the digest of the last scan, a number that grows with every change of `files`, devices
    files     one row a file: its stamp and digest, the known keys, its problems
    batches   with postings and dropped: the lexical index, see `postings`
    supersedes  with rivals: what a file's front matter says of others
    quarantined  the last good versions of files that cannot be read, see `broken`
    matrices  one row an embedding model: its key, its .npy file, how many rows of it are used
    waiting   a served file that has no vectors of one of these models yet: as a rule there is none
    passages  the spans of a file's content that were embedded, for one model
    vectors   the row of the matrix that holds the embedding of a text, and that row's CRC-32

A writer holds SQLite's write lock; readers never wait (WAL). Nothing here is the truth: whatever is missing, damaged
or of another version is made again from the files.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..memory import Problem
from . import authors, postings
from .analysis import Analyzer
from .damage import CacheDamaged, translated
from .opening import BUSY_SECONDS, OPENING, create, use_wal

if TYPE_CHECKING:
    from .file_row import FileRow

SCHEMA_VERSION = 6
CACHE_KIB = 32_768  # of pages that SQLite keeps in memory, as they are read

SERVED, REFUSED, UNREADABLE, EMPTY = range(4)
EMBEDDED_OF = ("text_digest", "title", "agent", "source")  # the columns that the embedded text is made of; see authors

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE files (
    file_id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, state INTEGER NOT NULL,
    size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER, settled INTEGER, digest BLOB,
    id TEXT, type TEXT, tags TEXT, agent TEXT, born REAL, fades_from REAL, confidence REAL, expires REAL,
    local_only INTEGER,
    source TEXT, title TEXT, text_digest BLOB, words_digest BLOB, problems TEXT);
CREATE INDEX files_by_id ON files (id COLLATE NOCASE);
CREATE INDEX files_by_text ON files (text_digest);
CREATE INDEX files_by_state ON files (state);
CREATE INDEX files_by_born ON files (born);
CREATE INDEX files_by_source ON files (source, born, id) WHERE source <> '';
CREATE INDEX files_by_author ON files (source, agent) WHERE source <> '';
CREATE INDEX files_with_problems ON files (path) WHERE problems <> '';
CREATE INDEX files_kept_here ON files (local_only) WHERE local_only = 1;
CREATE INDEX files_unsettled ON files (path) WHERE settled = 0;
CREATE TABLE supersedes (file_id INTEGER, id TEXT COLLATE NOCASE, PRIMARY KEY (id, file_id)) WITHOUT ROWID;
CREATE INDEX supersedes_by_file ON supersedes (file_id);
CREATE TABLE rivals (file_id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE);
CREATE INDEX rivals_by_name ON rivals (name);
CREATE TABLE quarantined (
    path TEXT PRIMARY KEY, digest BLOB, asked TEXT, good BLOB, checksum BLOB, commit_id TEXT, moment REAL,
    local INTEGER, reason TEXT) WITHOUT ROWID;
CREATE TABLE matrices (
    model INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, file TEXT NOT NULL, dimension INTEGER NOT NULL,
    used INTEGER NOT NULL, capacity INTEGER NOT NULL, stamp TEXT);
CREATE TABLE waiting (model INTEGER, file_id INTEGER, PRIMARY KEY (model, file_id)) WITHOUT ROWID;
CREATE TABLE passages (
    model INTEGER, file_id INTEGER, ordinal INTEGER, start INTEGER, stop INTEGER, text_digest BLOB,
    PRIMARY KEY (model, file_id, ordinal)) WITHOUT ROWID;
CREATE INDEX passages_by_text ON passages (model, text_digest);
CREATE TABLE vectors (
    model INTEGER, row INTEGER, text_digest BLOB, checksum INTEGER, PRIMARY KEY (model, row)) WITHOUT ROWID;
CREATE UNIQUE INDEX vectors_by_text ON vectors (model, text_digest);
"""


class Manifest:
    """An opened manifest. One thread at a time; other processes may read and write beside it."""

    def __init__(self, path: Path, db: sqlite3.Connection, *, writable: bool) -> None:
        self.path, self.db, self.writable = path, db, writable
        self.analyzer = Analyzer()
        self._new_words: dict[int, tuple[int, str, str]] = {}  # of this transaction: (file_id, content, about)
        self._sources = authors.Changes()
        self._counted = (-1, 0)  # at which generation, how many files

    @classmethod
    def open(cls, path: Path) -> Manifest:
        """Open it, made when missing. Raises `CacheDamaged`, `CacheReadOnly`, `sqlite3.OperationalError`."""
        with translated(), OPENING:
            create(path)
            db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False)
            try:
                use_wal(db)
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

    @contextmanager
    def reading(self) -> Iterator[None]:
        """See one state of the manifest in several queries, whatever others write meanwhile."""
        self.db.execute("BEGIN")
        try:
            yield
        finally:
            self.db.rollback()

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
    def changing_files(self, *, more: bool = False) -> Iterator[None]:
        """A transaction that changes `files`; at its end the lexical index follows, and what is to be embedded.

        What the files were at the last scan is nothing to go by then. `more`: many such transactions follow, and a
        last one without it.
        """
        self._new_words.clear()
        self._sources.begin()
        with self.transaction():
            self.set("generation", self.generation() + 1)
            self.set("scan", b"")
            yield
            postings.add(self.db, self.analyzer, list(self._new_words.values()))
            postings.tidy(self.db, anew=not more)
            self._sources.finish(self.db, SERVED)

    # --- files ---------------------------------------------------------------------------------------------

    def count(self, state: int = SERVED) -> int:
        return int(self.db.execute("SELECT count(*) FROM files WHERE state = ?", (state,)).fetchone()[0])

    def count_all(self) -> int:
        if (generation := self.generation()) != self._counted[0]:
            self._counted = generation, int(self.db.execute("SELECT count(*) FROM files").fetchone()[0])
        return self._counted[1]

    def count_shared(self, local: str) -> int:
        """Those that neither lie below the folder `local` nor say that they are local: the few that do are counted."""
        below = "SELECT file_id FROM files WHERE path > ? || '/' AND path < ? || '0'"
        kept = f"SELECT count(*) FROM ({below} UNION SELECT file_id FROM files WHERE local_only = 1)"
        return self.count_all() - int(self.db.execute(kept, (local, local)).fetchone()[0])

    def paths(self, state: int = SERVED) -> list[str]:
        rows = self.db.execute("SELECT path FROM files WHERE state = ? ORDER BY path", (state,))
        return [path for (path,) in rows]

    def data_version(self) -> int:
        """A number that changes when another connection commits."""
        return int(self.db.execute("PRAGMA data_version").fetchone()[0])

    def put(self, row: FileRow, moved_from: str | None = None) -> None:
        """Insert or replace one file: its row, its words; its passages stay only if what is embedded did.

        A file that had the path `moved_from` takes that row over. It keeps its number only if its words are the same:
        the lexical index is by numbers, and never changes a file.
        """
        there = [found for path in (row.path, moved_from) if path and (found := self._old(path))]
        old = there[0] if there else None
        self._sources.note(self.db, row.source)
        self.db.execute("DELETE FROM quarantined WHERE path IN (?, ?)", (row.path, moved_from))
        embedded, number = False, None
        if old:
            embedded = old.embedded_of == row.embedded_of
            number = old.file_id if old.words_digest == row.words_digest else None
            self._drop(old, passages=not embedded, words=number is None)
        for other in there[1:]:
            self._drop(other, passages=True, words=True)
        cursor = self.db.execute(
            f"INSERT INTO files VALUES (?, ?, {', '.join('?' * len(row.columns))})", (number, row.path, *row.columns)
        )
        file_id = cursor.lastrowid or 0
        if number is None and row.words:
            self._new_words[file_id] = (file_id, *row.words)
        if old and embedded and number is None:
            self._of_each_model("UPDATE passages SET file_id = ?2", old.file_id, file_id)
            self._of_each_model("UPDATE waiting SET file_id = ?2", old.file_id, file_id)
        elif row.is_served and not embedded:
            self.db.execute("INSERT INTO waiting SELECT model, ? FROM matrices", (file_id,))
        self.db.executemany(
            "INSERT OR IGNORE INTO supersedes VALUES (?, ?)", [(file_id, one) for one in row.supersedes]
        )
        if row.rival_of:
            self.db.execute("INSERT INTO rivals VALUES (?, ?)", (file_id, row.rival_of))

    def remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            if old := self._old(path):
                self._drop(old, passages=True, words=True)
            self.db.execute("DELETE FROM quarantined WHERE path = ?", (path,))

    def _old(self, path: str) -> _Old | None:
        ask = f"SELECT file_id, words_digest, {', '.join(EMBEDDED_OF)} FROM files WHERE path = ?"
        row = self.db.execute(ask, (path,)).fetchone()
        return _Old(row[0], row[1], row[2:], row[-1]) if row else None

    def _drop(self, old: _Old, *, passages: bool, words: bool) -> None:
        self._sources.note(self.db, old.source)
        if words and not self._new_words.pop(old.file_id, None) and old.words_digest:
            postings.drop(self.db, old.file_id)
        self.db.execute("DELETE FROM supersedes WHERE file_id = ?", (old.file_id,))
        self.db.execute("DELETE FROM rivals WHERE file_id = ?", (old.file_id,))
        self.db.execute("DELETE FROM files WHERE file_id = ?", (old.file_id,))
        if passages:
            self._of_each_model("DELETE FROM passages", old.file_id)
            self._of_each_model("DELETE FROM waiting", old.file_id)

    def _of_each_model(self, statement: str, file_id: int, *values: object) -> None:
        """Delete or update a file's rows of a table, one model after the other: they are in that order."""
        for (model,) in self.db.execute("SELECT model FROM matrices").fetchall():
            self.db.execute(f"{statement} WHERE file_id = ?1 AND model = {model:d}", (file_id, *values))

    def problems(self) -> list[Problem]:
        """Every problem of every file, by path."""
        rows = self.db.execute("SELECT path, problems FROM files WHERE problems <> '' ORDER BY path")
        return [Problem(path, *one) for path, problems in rows for one in json.loads(problems)]


def _check_version(db: sqlite3.Connection) -> None:
    """Make the tables of an empty database. Raises `CacheDamaged` for one of another version."""
    version = _version(db)
    if version == 0:
        db.execute("BEGIN IMMEDIATE")
        version = _version(db)  # somebody else may have made them meanwhile
        if version == 0 and not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in (_SCHEMA + postings.SCHEMA).split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            version = SCHEMA_VERSION
        db.execute("COMMIT")
    if version != SCHEMA_VERSION:
        raise CacheDamaged(f"the cache is of version {version}, not {SCHEMA_VERSION}")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


class _Old(NamedTuple):
    """What `put` must know of the row that it replaces."""

    file_id: int
    words_digest: bytes | None
    embedded_of: tuple[object, ...]
    source: str | None
