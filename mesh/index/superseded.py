"""Which memories another one supersedes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from .manifest import Manifest

_MOST_FILES = 500  # asked about in one query


def by(manifest: Manifest, files: Iterable[int], *, local: bool) -> dict[int, str]:
    """The id of a memory that supersedes each of some files; without `local` only of one that may be shared."""
    found: dict[int, str] = {}
    rest = iter(files)
    while some := list(islice(rest, _MOST_FILES)):
        ask = (
            "SELECT f.file_id, min(n.id) FROM files f JOIN supersedes s ON s.id = f.id"
            " JOIN files n ON n.file_id = s.file_id"
            f" WHERE n.local_only <= ? AND f.file_id IN ({', '.join('?' * len(some))}) GROUP BY f.file_id"
        )
        found |= manifest.db.execute(ask, (local, *some)).fetchall()
    return found
