"""Which memories have a rival, and which are one: see `mesh.rivals`."""

from __future__ import annotations

from ..memory import Memory, Version
from ..rivals import rival_of
from .manifest import SERVED, Manifest


def versions(manifest: Manifest, place: str, memory: Memory, *, local: bool) -> tuple[Version, ...]:
    """A memory's rivals, or, of a rival, the memory that it is one of; without `local` those that may be shared.

    `place`: the memory's path in its namespace.
    """
    if not manifest.db.execute("SELECT 1 FROM rivals LIMIT 1").fetchone():
        return ()
    admitted, root = f"f.state = {SERVED} AND f.local_only <= ?", memory.path.removesuffix(place)
    if name := rival_of(memory):
        for where, value in (("f.id = ? COLLATE NOCASE", name), ("f.path = ? COLLATE NOCASE", root + name)):
            ask = f"SELECT f.id, f.agent FROM files f WHERE {where} AND {admitted} ORDER BY f.path LIMIT 1"
            if row := manifest.db.execute(ask, (value, local)).fetchone():
                return (Version(*row),)
        return ()
    # CROSS JOIN: from the few rivals to their files, not through all files in the order of their paths.
    ask = (
        "SELECT f.id, f.agent FROM rivals r CROSS JOIN files f ON f.file_id = r.file_id"
        f" WHERE r.name IN (?, ?) AND {admitted} ORDER BY f.path"
    )
    return tuple(Version(*row) for row in manifest.db.execute(ask, (memory.id, place, local)))
