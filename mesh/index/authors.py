"""Whether several authors speak in a source. If so, who says something is a part of what is embedded.

It is decided for all memories of a source at once, so all of them wait for new vectors when it changes; until then the
old ones serve.
"""

from __future__ import annotations

import sqlite3


def several(db: sqlite3.Connection, source: str, author: str | None = None) -> bool:
    """Whether memories of a source have more than one author; `author`: of one that is still to come."""
    if not source:
        return False
    of_source = "FROM files WHERE source = ?1 AND source <> ''"  # both the first and the last of an index
    ask = f"SELECT (SELECT min(agent) {of_source}), (SELECT max(agent) {of_source})"
    return len({*db.execute(ask, (source,)).fetchone(), author} - {None}) > 1


class Changes:
    """The sources that a transaction changes, and what was true of each before."""

    def __init__(self) -> None:
        self._before: dict[str, bool] = {}

    def begin(self) -> None:
        self._before.clear()

    def note(self, db: sqlite3.Connection, source: str | None) -> None:
        """To be called before a memory of a source comes or goes."""
        if source and source not in self._before:
            self._before[source] = several(db, source)

    def finish(self, db: sqlite3.Connection, state: int) -> None:
        """Let those memories, in this state, wait for vectors whose embedded text is another now."""
        for source, before in self._before.items():
            if several(db, source) != before:
                db.execute(
                    "INSERT OR IGNORE INTO waiting SELECT model, file_id FROM matrices CROSS JOIN files"
                    " WHERE source = ? AND source <> '' AND state = ?",
                    (source, state),
                )
