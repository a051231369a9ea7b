"""Memories one after the other, and one as its file is now."""

from __future__ import annotations

from . import served
from .errors import MalformedMemory, VaultUnavailable
from .index.filters import Filters
from .memory import Memory
from .workspace import Workspace


def listed(
    workspace: Workspace, *, filters: Filters | None = None, limit: int = 20, offset: int = 0
) -> tuple[list[Memory], int]:
    """Memories by age, the youngest first, and how many there are in all."""
    chosen = filters or Filters()
    with workspace.turn:
        return workspace.cache.run(lambda: _listed(workspace, chosen, limit, offset))


def _listed(workspace: Workspace, filters: Filters, limit: int, offset: int) -> tuple[list[Memory], int]:
    workspace.refresh()
    where, values = filters.where()
    paths = workspace.cache.manifest.db.execute(
        f"SELECT path FROM files WHERE {where} ORDER BY coalesce(born, mtime_ns / 1e9) DESC, path LIMIT ? OFFSET ?",
        [*values, limit, offset],
    ).fetchall()
    found = [memory for (path,) in paths if (memory := read(workspace, path, filters))]
    return found, count(workspace, filters)


def count(workspace: Workspace, filters: Filters) -> int:
    """How many memories there are, as of the last refresh."""
    where, values = filters.where()
    ask = f"SELECT count(*) FROM files WHERE {where}"
    return int(workspace.cache.manifest.db.execute(ask, values).fetchone()[0])


def read(workspace: Workspace, path: str, filters: Filters) -> Memory | None:
    """The memory of a file; None if, since it was looked at, it has gone, broke, or may no longer be told of."""
    try:
        memory, _ = served.read(workspace.vault, workspace.cache.manifest, path)
    except (VaultUnavailable, MalformedMemory):
        return None
    if memory.local_only and not filters.local:
        return None
    return served.with_versions(workspace.cache.manifest, memory, local=filters.local)
