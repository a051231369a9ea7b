"""How much is in a namespace, as rows for users. Asks the manifest, made equal to the files first; loads no model."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from sqlite3 import Connection
from typing import Any

from . import git
from .index.filters import Filters
from .index.manifest import SERVED
from .memory import iso
from .settings import Settings
from .workspace import Workspace

Row = dict[str, Any]

TAGS_SHOWN = 20
_BORN = "coalesce(born, mtime_ns / 1e9)"


def count(settings: Settings, namespace: str) -> int:
    """How many memories a namespace has."""
    return int(summary(settings, namespace)["memory_count"])


def summary(settings: Settings, namespace: str) -> Row:
    """`memory_count`, `local_only_count` and `last_updated`: the time of the youngest file, None if there is none."""
    with closing(Workspace(settings, namespace)) as workspace, workspace.turn:
        return workspace.cache.run(lambda: _summary(_refreshed(workspace)))


def stats(settings: Settings, namespace: str) -> Row:
    """What is in a namespace. Of the tags, in lower case, the 20 most common; None for a mean or a time of nothing."""
    with closing(Workspace(settings, namespace)) as workspace, workspace.turn:
        counted = workspace.cache.run(lambda: _counted(_refreshed(workspace)))
        trash = len(workspace.vault.trash(namespace).entries())
    folder = settings.home / namespace
    return {
        "namespace": namespace,
        **counted,
        "trash": trash,
        "path": str(folder),
        "git_head": git.head_of(settings.home, namespace),
    }


def _refreshed(workspace: Workspace) -> Connection:
    workspace.refresh()
    return workspace.cache.manifest.db


def _summary(db: Connection) -> Row:
    total, local, latest = db.execute(
        f"SELECT count(*), total(local_only), max(mtime_ns) / 1e9 FROM files WHERE state = {SERVED}"
    ).fetchone()
    return {"memory_count": total, "local_only_count": int(local), "last_updated": _when(latest)}


def _counted(db: Connection) -> Row:
    total, local, confidence, oldest, newest = db.execute(
        f"SELECT count(*), total(local_only), avg(confidence), min({_BORN}), max({_BORN})"
        f" FROM files WHERE state = {SERVED}"
    ).fetchone()
    return {
        "memory_count": total,
        "local_only_count": int(local),
        "exportable_count": total - int(local),
        "type_breakdown": _shares(db, "type"),
        "agents": _shares(db, "agent"),
        "tags": _tags(db),
        "avg_confidence": None if confidence is None else round(confidence, 4),
        "oldest_memory": _when(oldest),
        "newest_memory": _when(newest),
        "stale_count": total - _not_stale(db),
        "problems": db.execute("SELECT count(*) FROM files WHERE problems <> ''").fetchone()[0],
    }


def _shares(db: Connection, column: str) -> dict[str, int]:
    """How many memories have each value of a column, the most common first; "unknown" where there is none."""
    rows = db.execute(
        f"SELECT CASE {column} WHEN '' THEN 'unknown' ELSE {column} END AS value, count(*) FROM files"
        f" WHERE state = {SERVED} GROUP BY value ORDER BY count(*) DESC, value"
    )
    return dict(rows.fetchall())


def _tags(db: Connection) -> dict[str, int]:
    rows = db.execute(f"SELECT tags FROM files WHERE state = {SERVED} AND tags <> ''")
    found = Counter(tag for (tags,) in rows for tag in tags.strip("\n").split("\n"))
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0]))[:TAGS_SHOWN])


def _not_stale(db: Connection) -> int:
    where, values = Filters(include_stale=False).where()
    return int(db.execute(f"SELECT count(*) FROM files WHERE {where}", values).fetchone()[0])


def _when(seconds: float | None) -> str | None:
    """A time as users see it; None also for one that no calendar has."""
    try:
        return None if seconds is None else iso(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, ValueError, OSError):
        return None
