"""One namespace as a use case sees it: its files, its cache and the embedder, kept in step.

Safe to use from several threads: they take turns at the cache.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import embed, git, inputs, links, served
from .current import CurrentModel
from .errors import (
    AmbiguousId,
    InvalidInput,
    LockTimeout,
    ModelUnavailable,
    UnknownMemory,
    VaultUnavailable,
)
from .freshness import Freshness
from .index.cache import Cache
from .index.manifest import UNREADABLE
from .index.plan import Plan
from .memory import MIN_PREFIX, Memory
from .missing import refuse_missing_folders
from .moves import settle
from .refresh import Refresh
from .reranking import Reranked, Reranking
from .settings import Settings
from .vault import LOCAL, Vault, roots

if TYPE_CHECKING:
    from .embedding.protocol import Embedder, Reranker

log = logging.getLogger("mesh")

EMBEDDING_SECONDS = 0.5  # to wait for another process that embeds what is pending
INDEXING_SECONDS = 1.0  # to wait, with an answer, for another process that takes in many files


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an answer was made from. `pending`: memories found by words only, as they are not embedded yet.

    `unindexed`: files that are not found yet, since another process is just taking them in. `unheld`: phrases that no
    memory holds word for word, so that only their words counted.
    """

    scanned: int
    changed: int
    pending: int
    unreadable: tuple[str, ...]
    problems: int
    lexical_only: bool
    model: str | None
    git_head: str | None
    reranked: Reranked | None = None
    unheld: tuple[str, ...] = ()
    unindexed: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"unreadable": list(self.unreadable), "unheld": list(self.unheld)}


class Workspace:
    """Opened by `Mesh`; every use case takes one."""

    def __init__(
        self,
        settings: Settings,
        namespace: str,
        embedder: Embedder | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        settle(settings.home)
        self.settings, self.namespace = settings, namespace
        self.vault = Vault(settings.home)
        self.cache = Cache(settings.home, namespace, roots(namespace))
        self.turn = threading.RLock()
        self._embedder = embedder
        self._asked_for_embedder = embedder is not None  # then that one is used, or none
        self._current = CurrentModel(settings)
        self.reranking = Reranking(settings, reranker)
        self.freshness = Freshness(self.vault, namespace, self.cache)

    def beside(self, namespace: str, home: Path) -> Workspace:
        """Another namespace, of this or another home, with the same embedder or the same lack of one."""
        embedder = self.embedder
        other = Workspace(replace(self.settings, home=home), namespace, embedder)
        other._asked_for_embedder, other.reranking = True, self.reranking
        return other

    def close(self) -> None:
        self._current.close()
        with self.turn:
            self.freshness.close()
            self.cache.close()

    @property
    def embedder(self) -> Embedder | None:
        """The embedder, loaded when first needed; None, said once, if there is no model here.

        It is another one when another model was chosen meanwhile: a use case asks once.
        """
        if not self._asked_for_embedder:
            self._embedder = self._current.embedder()
        return self._embedder

    @property
    def model_problem(self) -> ModelUnavailable | None:
        """Why there is no embedder, if there is none."""
        missing = ModelUnavailable(
            "there is none here, so recall goes by words only", place="model", remedy="Run: mesh model pull"
        )
        return None if self.embedder else self._current.problem or missing

    # --- freshness -------------------------------------------------------------------------------------------

    def refreshed(self, *, embed: bool = True, patience_seconds: float | None = None) -> Receipt:
        """Make the cache equal the files, say what was found; with `embed`, embed what is pending if it is little."""

        def refreshed() -> Receipt:
            scanned, done = self.refresh(patience_seconds=patience_seconds)
            return self.receipt(scanned, done, self.embed_now() if embed else self.pending())

        with self.turn:
            return self.cache.run(refreshed)

    def reindexed(self, progress: Callable[[int], None] | None = None) -> Receipt:
        """The same, with all that is pending embedded. `progress` is told of each batch's memories."""
        with self.turn:
            return self.cache.run(lambda: self._reindexed(progress))

    def _reindexed(self, progress: Callable[[int], None] | None) -> Receipt:
        scanned, done = self.refresh()
        self.embed_all(progress)
        return self.receipt(scanned, done, self.pending())

    def refresh(self, *, patience_seconds: float | None = None) -> tuple[int, Plan]:
        """Make the cache equal the files: how many there are, and what had changed.

        Where another process is just taking in many files, `patience_seconds` is how long to wait for it; what is
        missing then is told. None: until it is done.
        """
        return self.cache.run(lambda: self.freshness.refresh(patience_seconds=patience_seconds))

    def watch(self) -> bool:
        """Learn of changes from the system from now on, instead of looking at every file; False where that fails."""
        with self.turn:
            return self.freshness.watch()

    def refresh_paths(self, *paths: str) -> None:
        """Take in files that this process just wrote or removed."""
        self.cache.run(lambda: Refresh(self.vault, self.namespace, self.cache).run_for(paths))

    def prepare(self) -> None:
        """Make the namespace, when it is about to be written to for the first time; refuse one that went missing."""
        self.cache.run(lambda: refuse_missing_folders(self.vault, self.namespace, self.cache))
        self.vault.prepare(self.namespace)
        if not self.cache.writable:
            self.cache.close()  # it was opened when there was nothing to keep

    def pending(self) -> int:
        """How many memories have no vectors yet; 0 without a model."""
        embedder = self.embedder
        return 0 if embedder is None else self.cache.run(lambda: embed.pending(self.cache, embedder))

    def embed_now(self) -> int:
        """Embed what is pending if it is little. Returns how many memories still have no vectors."""
        embedder = self.embedder
        if embedder is None:
            return 0
        waiting = embed.pending(self.cache, embedder)
        if 0 < waiting <= embed.AT_ONCE and self.cache.writable:
            with suppress(LockTimeout):  # then they are found by words only, this once
                embed.embed_pending(self.vault, self.cache, embedder, patience_seconds=EMBEDDING_SECONDS)
            waiting = embed.pending(self.cache, embedder)
        return waiting

    def embed_all(self, progress: Callable[[int], None] | None = None) -> None:
        """Embed all that is pending, however much it is."""
        embedder = self.embedder
        if embedder is not None:
            if not self.cache.writable:
                raise VaultUnavailable(
                    "cannot be written", place=str(self.cache.folder), remedy="Check who owns it and its mode"
                )
            self.cache.run(lambda: embed.embed_pending(self.vault, self.cache, embedder, progress))

    def embed_path(self, path: str) -> None:
        """Embed one file that this process just wrote."""
        embedder = self.embedder
        if embedder is not None and self.cache.writable:
            self.cache.run(lambda: embed.embed_file(self.vault, self.cache, embedder, path))
        self.cache.fresh_vectors = {}

    def receipt(self, scanned: int, done: Plan, pending: int, *, local: bool = True) -> Receipt:
        """What an answer was made from; without `local`, nothing of what must not leave this machine."""
        db = self.cache.manifest.db
        shared = "" if local else f" AND substr(path, 1, {len(LOCAL) + 1}) <> '{LOCAL}/' AND local_only IS NOT 1"
        unreadable = db.execute(f"SELECT path FROM files WHERE state = {UNREADABLE}{shared}").fetchall()
        if not local:
            scanned = self.cache.manifest.count_shared(LOCAL)
        return Receipt(
            scanned=scanned,
            changed=len(done.added) + len(done.changed) + len(done.moved) + len(done.gone) if local else 0,
            pending=pending if local else 0,
            unreadable=tuple(path for (path,) in unreadable),
            problems=db.execute(f"SELECT count(*) FROM files WHERE problems <> ''{shared}").fetchone()[0],
            lexical_only=self._embedder is None,
            model=self._embedder.key if self._embedder else None,
            git_head=git.head_of(self.vault.home, self.namespace),
            unindexed=done.left if local else 0,
        )

    # --- naming one memory -----------------------------------------------------------------------------------

    def path_of(self, name: str, *, local: bool = True) -> str:
        """The path of the one memory that `name` names: an id, a prefix of 4 or more characters, or a path.

        Without `local` those that must not leave this machine are not there. Raises `UnknownMemory`, `AmbiguousId`,
        `InvalidInput`.
        """
        inputs.text(name, "id")
        there = "" if local else f" AND local_only IS NOT 1 AND substr(path, 1, {len(LOCAL) + 1}) <> '{LOCAL}/'"
        if "/" in name or name.lower().endswith(".md"):
            return self._path_as_given(name, there)
        if len(name) < MIN_PREFIX:
            raise InvalidInput(f"{name!r} is too short", place="id", remedy=f"Give {MIN_PREFIX} or more characters")
        for condition, values in (
            ("id = ? COLLATE NOCASE", (name,)),
            ("id >= ? COLLATE NOCASE AND id < ? COLLATE NOCASE", (name, name + "\U0010ffff")),
        ):
            found = self.cache.manifest.db.execute(
                f"SELECT id, path FROM files WHERE {condition}{there} ORDER BY id, path", values
            ).fetchall()
            if len(found) > 1:
                same = len({one[0].lower() for one in found}) == 1
                raise AmbiguousId(name, [path if same else memory_id for memory_id, path in found])
            if found:
                return str(found[0][1])
        raise UnknownMemory(name, self.namespace)

    def _path_as_given(self, name: str, there: str) -> str:
        """A path in the home, in the namespace, or on this machine."""
        tail = name.replace("\\", "/").removeprefix(self.vault.home.as_posix() + "/")
        tail = tail.removeprefix(links.place(self.vault.home, self.namespace).as_posix() + "/")
        for path in (tail, f"{self.namespace}/{tail}", f"{LOCAL}/{self.namespace}/{tail}"):
            row = self.cache.manifest.db.execute(f"SELECT path FROM files WHERE path = ?{there}", (path,)).fetchone()
            if row and path.startswith((f"{self.namespace}/", f"{LOCAL}/{self.namespace}/")):
                return path
        raise UnknownMemory(name, self.namespace)

    def find(self, name: str, *, local: bool = True) -> tuple[Memory, bytes]:
        """The memory that `name` names, from its file or as it was last good, and the sha256 to base an edit on.

        `local` as above. An edit of a file that cannot be read is refused, by whoever tries it.
        """

        def found() -> tuple[Memory, bytes]:
            memory, digest = served.read(self.vault, self.cache.manifest, self.fresh_path_of(name, local=local))
            return served.with_versions(self.cache.manifest, memory, local=local), digest

        with self.turn:
            memory, digest = self.cache.run(found)
        if memory.local_only and not local:  # since the look at its folder
            raise UnknownMemory(name, self.namespace)
        return memory, digest

    def fresh_path_of(self, name: str, *, local: bool = True) -> str:
        """`path_of`, after a refresh."""
        self.refresh()
        return self.path_of(name, local=local)

    def path_of_id(self, memory_id: str, *, rather: str = "") -> str | None:
        """The path of a living memory with exactly this id, if there is one that can be read; of two `rather`."""
        row = self.cache.manifest.db.execute(
            "SELECT path FROM files WHERE id = ? COLLATE NOCASE ORDER BY path <> ?, path", (memory_id, rather)
        ).fetchone()
        return str(row[0]) if row else None
