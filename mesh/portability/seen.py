"""What an import has met so far, kept outside memory: sources may hold millions of memories."""

from __future__ import annotations

import sqlite3

from ..files import sha256
from ..memory import Memory

_CACHE_KIB = 8192


class Seen:
    """The ids of a source, and the texts that were taken from it. SQLite keeps them in a file without a name."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def close(self) -> None:
        self._db.close()

    def take_id(self, memory: Memory) -> bool:
        """Note the memory's id; False if it was noted before."""
        return self._take(f"id {memory.id.lower()}")

    def take_text(self, memory: Memory) -> None:
        """Note the memory's text."""
        self._take(f"text {memory.local_only} {memory.content}")

    def has_text(self, memory: Memory) -> bool:
        """Whether its text was noted. One of a memory that is local does not stand in for one to be shared."""
        levels = (False, True) if memory.local_only else (False,)
        return any(self._has(f"text {local} {memory.content}") for local in levels)

    def _take(self, key: str) -> bool:
        return self._db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (_digest(key),)).rowcount > 0

    def _has(self, key: str) -> bool:
        return self._db.execute("SELECT 1 FROM seen WHERE digest = ?", (_digest(key),)).fetchone() is not None


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8"))[:16]
