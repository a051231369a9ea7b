"""Another model for a home: every memory gets its vectors, beside those that recall goes by until all are there.

A batch is kept as soon as it is made, so whatever ends this, whoever begins again goes on. One at a time does it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from . import embed
from .embedding import choice, load_model
from .embedding.choice import Choice, Model
from .errors import InvalidInput, MeshError, ModelUnavailable, NotFound, VaultUnavailable
from .index import models
from .index.cache import Cache
from .locks import locked
from .moves import settle
from .refresh import Refresh
from .settings import Settings
from .vault import Vault, roots

if TYPE_CHECKING:
    from .embedding.protocol import Embedder

log = logging.getLogger("mesh")

BATCH_BESIDE = 16  # memories, where somebody may ask for something meanwhile
_ROUNDS = 5  # of looking for files that changed while others were embedded

Progress = Callable[[int], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Held:
    """The vectors of one model in a home: of `memories` of the `of` that there are, `size` bytes on disk."""

    key: str
    memories: int
    of: int
    size: int


def alone(home: Path, *, timeout_seconds: float = 60.0) -> AbstractContextManager[None]:
    """To be held by who brings in another model. Raises `LockTimeout`."""
    return locked(home / ".locks" / "_model.lock", timeout_seconds=timeout_seconds)


def loaded(model: Model, settings: Settings) -> Embedder:
    """The embedder of a model. Raises `ModelUnavailable` if it cannot be loaded, or is nowhere on this machine."""
    found = load_model(model, settings)
    if found is None:
        raise ModelUnavailable("it is not on this machine", place=model.name, remedy="Get it: mesh model pull")
    return found


def waiting(home: Path, embedder: Embedder) -> int:
    """How many memories of a home have no vectors of an embedder, as far as its namespaces can be read."""
    counts, _ = _in_each(home, lambda _, __, cache: embed.pending(cache, embedder))
    return sum(counts)


def embed_all(
    home: Path, embedder: Embedder, progress: Progress | None = None, *, batch: int = embed.BATCH
) -> list[MeshError]:
    """Give every memory of a home vectors of an embedder. Returns what keeps namespaces from being read.

    `progress(n)` is told how many memories each batch dealt with, once they are kept; what it raises ends this.
    Raises `VaultUnavailable` if vectors cannot be written, `ModelUnavailable` if the model gives none.
    """

    def make(vault: Vault, namespace: str, cache: Cache) -> None:
        if not cache.writable:
            raise VaultUnavailable(
                "cannot be written", place=str(cache.folder), remedy="Check who owns it and its mode"
            )
        for _ in range(_ROUNDS):
            if not embed.pending(cache, embedder):
                break
            embed.embed_pending(vault, cache, embedder, progress, batch=batch)
            Refresh(vault, namespace, cache).run()

    return _in_each(home, make)[1]


def switch(home: Path, model: Model, embedder: Embedder, progress: Progress | None = None) -> list[MeshError]:
    """Make a model the one of this home, once every memory has its vectors; as `embed_all`, and `LockTimeout`.

    Whoever was bringing one in stops.
    """
    before = _before(home)
    if before.coming:
        choice.write(home, before.used)
    with alone(home):
        failed = embed_all(home, embedder, progress)
        choice.write(home, model)
    return failed


def announce(home: Path, model: Model) -> None:
    """Leave it to the next long-running process of this home to bring a model in."""
    before = _before(home)
    if before.used == model:
        choice.write(home, model)
    else:
        choice.write(home, before.used, coming=model)


def bring_in(settings: Settings, model: Model, progress: Progress) -> None:
    """Bring in a model that was announced, beside other work. Raises `LockTimeout` if somebody else does, at once.

    One that was not announced, or is not any more, is left alone.
    """
    home = settings.home
    with alone(home, timeout_seconds=0):
        if choice.read(home).coming != model:
            return
        failed = embed_all(home, loaded(model, settings), progress, batch=BATCH_BESIDE)
        if choice.read(home).coming == model:
            choice.write(home, model)
    for error in failed:
        log.warning("not embedded: %s", error)


def held(home: Path) -> tuple[list[Held], list[MeshError]]:
    """The models that have vectors in a home, by key, and what keeps namespaces from being read."""

    def look(_: Vault, __: str, cache: Cache) -> tuple[int, list[models.Embedded]]:
        return cache.manifest.count(), models.listed(cache.manifest, cache.folder)

    found, failed = _in_each(home, look)
    of = sum(count for count, _ in found)
    of_key: dict[str, list[models.Embedded]] = {}
    for _, several in found:
        for one in several:
            of_key.setdefault(one.key, []).append(one)
    return [
        Held(key, sum(one.memories for one in several), of, sum(one.size for one in several))
        for key, several in sorted(of_key.items())
    ], failed


def forget(home: Path, name: str, used: set[str]) -> list[Held]:
    """Drop the vectors that models of a name, or of a key, made here; those whose keys are `used` are kept.

    Raises `NotFound` if there are none, `InvalidInput` if there are only such as are used.
    """
    named = [one for one in held(home)[0] if one.key == name or one.key.startswith((f"{name}/", f"{name}@"))]
    dropped = [one for one in named if one.key not in used]
    if not named:
        raise NotFound(f"there are no vectors of {name!r}", remedy="See which there are: mesh model status")
    if not dropped:
        raise InvalidInput("it is in use", place=name, remedy="Choose another first: mesh model use NAME")
    keys = [one.key for one in dropped]
    _, failed = _in_each(home, lambda _, __, cache: [models.remove(cache.manifest, cache.folder, key) for key in keys])
    if failed:
        raise failed[0]
    return dropped


def _before(home: Path) -> Choice:
    """What was chosen; one that cannot be understood gives way."""
    try:
        return choice.read(home)
    except ModelUnavailable:
        return Choice()


def _in_each(home: Path, action: Callable[[Vault, str, Cache], T]) -> tuple[list[T], list[MeshError]]:
    """Do something with the refreshed cache of every namespace. One that cannot be read never stops the others."""
    settle(home)
    vault, done, failed = Vault(home), list[T](), list[MeshError]()
    for namespace in vault.namespaces():
        with closing(Cache(home, namespace, roots(namespace))) as cache:
            refresh = partial(_refreshed, vault, namespace, cache)
            try:
                cache.run(partial(refresh, lambda *_: None))
            except MeshError as error:
                failed.append(error)
            else:
                done.append(cache.run(partial(refresh, action)))
    return done, failed


def _refreshed(vault: Vault, namespace: str, cache: Cache, action: Callable[[Vault, str, Cache], T]) -> T:
    Refresh(vault, namespace, cache).run()
    return action(vault, namespace, cache)
