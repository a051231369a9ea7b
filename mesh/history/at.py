"""A namespace as a commit has it, for every use case that only looks: recall, list, show.

It has a cache of its own, `.cache/<namespace>/at/<key>/`: a copy of the namespace's manifest, made equal to the
commit's files by an ordinary refresh, and the namespace's vectors, which are linked and only read. So a text that is
the same then as now costs nothing, and one that was embedded in the meantime has its vector still; what has none is
found by its words. The latest few are kept.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import embed, quarantine
from ..files import failures_reported
from ..freshness import Freshness
from ..index import models
from ..index.cache import Cache
from ..index.manifest import SCHEMA_VERSION
from ..index.opening import create
from ..index.plan import Plan
from ..vault import roots
from ..workspace import Receipt, Workspace
from .past import Past
from .tree import TreeRefresh, TreeVault

if TYPE_CHECKING:
    from ..embedding.protocol import Embedder

KEPT = 8  # commits whose caches are kept
_IN_USE_SECONDS = 120.0  # a cache that was used so lately is not deleted
_TEMPORARY = "making-"


class PastWorkspace(Workspace):
    """The namespace of `present` at a commit. Nothing in it can be changed."""

    def __init__(self, present: Workspace, said: str) -> None:
        super().__init__(present.settings, present.namespace)
        past = Past(present)
        self.commit = past.commit(said)
        self._present = present
        self._tree = TreeVault(present.vault.home, past, self.commit)
        self.vault, self.reranking = self._tree, present.reranking
        self.cache = _PastCache(present.vault.home, present.namespace, _prepared(present, self._tree))
        self.freshness = _Unchanging(self._tree, present.namespace, self.cache)

    @property
    def embedder(self) -> Embedder | None:
        self._embedder = self._present.embedder
        return self._embedder

    def close(self) -> None:
        super().close()
        self._tree.close()

    def embed_now(self) -> int:
        """Take over the vectors that the namespace has of what has none here. Nothing is embedded."""
        embedder = self.embedder
        if embedder is None:
            return 0
        if embed.pending(self.cache, embedder) and self.cache.writable:
            known = self._present.cache.run(lambda: _vectors_of(self._present.cache, embedder))
            if known and self.cache.manifest.get(f"known {embedder.key}") != known:
                _take_over(self.cache, self._present.cache, embedder)
                embed.embed_known(self.vault, self.cache, embedder)
                with self.cache.manifest.transaction():
                    self.cache.manifest.set(f"known {embedder.key}", known)
        return embed.pending(self.cache, embedder)

    def receipt(self, scanned: int, done: Plan, pending: int, *, local: bool = True) -> Receipt:
        return replace(super().receipt(scanned, done, pending, local=local), git_head=self.commit)

    def watch(self) -> bool:
        return False


class _PastCache(Cache):
    """A cache in another folder."""

    def __init__(self, home: Path, namespace: str, folder: Path) -> None:
        super().__init__(home, namespace, roots(namespace))
        self.folder = folder


class _Unchanging(Freshness):
    """A commit does not change: once its files were taken in, there is nothing to look at."""

    def refresh(self, *, patience_seconds: float | None = None) -> tuple[int, Plan]:
        if self._cache.manifest.get("scan"):
            return self._cache.manifest.count_all(), Plan()
        count, _ = TreeRefresh(self._vault, self._namespace, self._cache, self.progress).run()
        return count, Plan()

    def watch(self) -> bool:
        return False


# --- the cache of a commit -----------------------------------------------------------------------------------------


def _prepared(present: Workspace, vault: TreeVault) -> Path:
    """The folder of the commit's cache, with the commit's files taken in."""
    base = present.vault.home / ".cache" / present.namespace / "at"
    key = f"{SCHEMA_VERSION} {present.namespace} {vault.tree}"
    folder = base / hashlib.sha256(key.encode()).hexdigest()[:32]
    with failures_reported(str(base)):
        if (folder / "manifest.db").exists():
            with suppress(OSError):
                os.utime(folder)
            return folder
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=base))
        try:
            _make(present, vault, making)
            with suppress(OSError):  # another process made it meanwhile
                making.rename(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
        _delete_old(base)
    return folder


def _make(present: Workspace, vault: TreeVault, folder: Path) -> None:
    with present.turn:
        present.refresh()
        create(folder / "manifest.db")
        with closing(sqlite3.connect(folder / "manifest.db")) as copy:
            present.cache.manifest.db.backup(copy)
            files = [file for (file,) in copy.execute("SELECT file FROM matrices")]
    for file in files:
        _link(present.cache.folder, folder, file)
    with closing(_PastCache(present.vault.home, present.namespace, folder)) as cache:
        quarantine.release(cache.manifest)
        cache.run(lambda: TreeRefresh(vault, present.namespace, cache, present.freshness.progress).run())


def _link(source: Path, target: Path, file: str) -> None:
    """Have a matrix and its sketch here too. They only grow, and what is named of them stays as it is."""
    for name in (file, f"{file.removesuffix('.npy')}.bits"):
        (target / name).unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            try:
                os.link(source / name, target / name)
            except FileNotFoundError:
                raise
            except OSError:  # no links here
                shutil.copyfile(source / name, target / name)


def _delete_old(base: Path) -> None:
    """Delete the caches that were used longest ago, and what was left of one that was not finished."""
    found = sorted(((one.stat().st_mtime, one) for one in base.iterdir()), reverse=True)
    whole = [pair for pair in found if not pair[1].name.startswith(_TEMPORARY)]
    for used_at, folder in [*whole[KEPT:], *(pair for pair in found if pair not in whole)]:
        if time.time() - used_at > _IN_USE_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


# --- vectors ---------------------------------------------------------------------------------------------------------


def _vectors_of(cache: Cache, embedder: Embedder) -> str:
    """What tells whether a cache got more vectors of a model; "" if it has none."""
    row = cache.manifest.db.execute("SELECT file, used FROM matrices WHERE key = ?", (embedder.key,)).fetchone()
    return f"{row[0]} {row[1]}" if row else ""


def _take_over(cache: Cache, present: Cache, embedder: Embedder) -> None:
    """Have all vectors that the namespace has, unless it dropped some that may be used here."""
    columns = "model, file, used, capacity, stamp, dimension"
    ask = f"SELECT {columns} FROM matrices WHERE key = ?"
    with present.manifest.reading():
        there, file, used, capacity, stamp, dimension = present.manifest.db.execute(ask, (embedder.key,)).fetchone()
        rows = present.manifest.db.execute(
            "SELECT row, text_digest, checksum FROM vectors WHERE model = ?", (there,)
        ).fetchall()
        sketch = present.manifest.get(f"sketch {there}")
    here = cache.manifest.db.execute(ask, (embedder.key,)).fetchone()
    if here and here[2] and here[1] != file:
        return
    _link(present.folder, cache.folder, file)
    with cache.manifest.transaction() as db:
        number = here[0] if here else models.enter(cache.manifest, embedder.key, dimension)[0]
        db.execute("DELETE FROM vectors WHERE model = ?", (number,))
        db.executemany("INSERT INTO vectors VALUES (?, ?, ?, ?)", ((number, *row) for row in rows))
        db.execute(
            "UPDATE matrices SET file = ?, used = ?, capacity = ?, stamp = ? WHERE model = ?",
            (file, used, capacity, stamp, number),
        )
        cache.manifest.set(f"sketch {number}", sketch)
