"""Make a namespace's cache again without anything of what went, and with the vectors of all that stayed.

Not compacted in place: pages, postings and rows that nobody names would keep what they held.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from ..index import models
from ..index.cache import Cache
from ..index.manifest import SERVED
from ..index.vectors import Matrix
from ..locks import locked
from ..refresh import Refresh
from ..sharing import stamps
from ..workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH = 4096  # rows
_PASSAGES = (
    "SELECT f.path, f.digest, p.ordinal, p.start, p.stop, p.text_digest FROM passages p JOIN files f USING (file_id)"
    f" WHERE p.model = ? AND f.source = '' AND f.state = {SERVED}"
)


class _Vectors(NamedTuple):
    """One model's. `passages`: path, digest, number, start, stop and text of what memories without a source hold."""

    key: str
    dimension: int
    rows: NDArray[np.float32]
    row_of: dict[bytes, int]
    passages: list[tuple[str, bytes, int, int, int, bytes]]


def make_again(workspace: Workspace) -> None:
    """Read every file anew. Killed in between, the cache lacks vectors, which are made when they are needed."""
    workspace.close()
    with workspace.turn, closing(Cache(workspace.vault.home, workspace.namespace, ())) as cache:
        shutil.rmtree(cache.folder / "at", ignore_errors=True)
        (cache.folder / stamps.NAME).unlink(missing_ok=True)
        if not (cache.folder / "manifest.db").exists():
            return
        with locked(cache.embedding_lock):
            kept = cache.run(lambda: _kept(cache))
            cache.discard("a memory was purged")
    workspace.cache.run(lambda: Refresh(workspace.vault, workspace.namespace, workspace.cache).run())
    for one in kept:
        _enter(workspace.cache, one)


def _kept(cache: Cache) -> list[_Vectors]:
    db, found = cache.manifest.db, []
    for number, key, dimension in db.execute("SELECT model, key, dimension FROM matrices ORDER BY model").fetchall():
        matrix = Matrix(cache.folder, cache.manifest, key, dimension)
        rows = matrix.rows()
        passages = db.execute(_PASSAGES, (number,)).fetchall()
        row_of = dict(db.execute("SELECT text_digest, row FROM vectors WHERE model = ?", (number,)))
        found.append(_Vectors(key, dimension, rows, row_of, passages))
    return found


def _enter(cache: Cache, of: _Vectors) -> None:
    """Give a model's vectors to the memories that are the same as before."""
    db = cache.manifest.db
    there = {path: (file_id, digest) for path, file_id, digest in db.execute("SELECT path, file_id, digest FROM files")}
    same = [one for one in of.passages if there.get(one[0], (0, b""))[1] == one[1] and one[5] in of.row_of]
    texts = list(dict.fromkeys(one[5] for one in same))
    with cache.manifest.transaction():
        number, _ = models.enter(cache.manifest, of.key, of.dimension)
    matrix = Matrix(cache.folder, cache.manifest, of.key, of.dimension)
    for first in range(0, len(texts), _BATCH):
        some = texts[first : first + _BATCH]
        with cache.manifest.transaction():
            matrix.append({digest: of.rows[of.row_of[digest]] for digest in some})
    with cache.manifest.transaction():
        rows = [(number, there[path][0], *rest) for path, _, *rest in same]
        db.executemany("INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?)", rows)
        db.executemany("DELETE FROM waiting WHERE model = ? AND file_id = ?", {(number, row[1]) for row in rows})
