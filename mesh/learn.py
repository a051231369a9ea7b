"""Take in what somebody learned: never the same text twice, never over another, and durable before it is said.

The same text is `deduplicated`. A text of nearly the same words that differs in a number, a name or a "not" is
`stored_with_conflict`, and the other is named. Everything slow happens before the lock is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from . import contrary, embed, inputs, secrets
from .change import refuse_broken
from .errors import MeshError
from .files import sha256
from .index import authors
from .index.filters import Filters
from .index.lexical import Matches
from .index.nearest import Nearest
from .index.question import Question
from .memory import Memory, new_id
from .trash import Trashed
from .workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .embedding.protocol import Embedder

COMPARED = 8  # of the nearest memories are looked at for a contrary one


@dataclass(frozen=True, slots=True)
class Conflict:
    """A memory that a new one may update: in what they differ, and how near they are (None without a model)."""

    memory: Memory
    difference: str
    similarity: float | None


@dataclass(frozen=True, slots=True)
class Learned:
    """`status`: "stored", "stored_with_conflict" or "deduplicated" (nothing was written, `memory` was there)."""

    status: str
    memory: Memory
    conflict: Conflict | None = None
    superseded: tuple[str, ...] = ()


def new_memory(
    content: str,
    *,
    agent: str,
    memory_type: str = "fact",
    confidence: float = 1.0,
    tags: Sequence[str] | None = None,
    ttl_days: float | None = None,
    local_only: bool = False,
    supersedes: str | Sequence[str] | None = None,
    title: str = "",
    source: str = "",
    now: datetime | None = None,
) -> Memory:
    """A record to be learned, every part of it checked. Raises `InvalidInput`."""
    moment = (now or datetime.now(UTC)).replace(microsecond=0)
    days = inputs.ttl_days(ttl_days)
    return Memory(
        id=new_id(),
        content=inputs.content(content),
        type=inputs.memory_type(memory_type),
        tags=inputs.tags(tags),
        agent=inputs.agent(agent),
        created=moment,
        confidence=inputs.fraction(confidence, "confidence"),
        expires=moment + timedelta(days=days) if days else None,
        supersedes=inputs.ids(supersedes),
        source=inputs.word(source, "source"),
        title=inputs.word(title, "title"),
        local_only=bool(local_only),
    )


def learn(workspace: Workspace, memory: Memory, allow_secrets: Sequence[str] | None = None) -> Learned:
    """Store `memory` unless its very text is there. What it supersedes goes to the trash.

    Raises `SecretFound` if it is to be shared and holds one whose fingerprint is not among `allow_secrets`.
    """
    if names := secrets.needed(memory, allow_secrets):
        memory = replace(memory, extra={**memory.extra, secrets.ALLOW_KEY: names})
    with workspace.turn:
        workspace.prepare()
        memory, same, conflict = workspace.cache.run(lambda: _compared(workspace, memory))
        with workspace.vault.writing(workspace.namespace):
            same = same or workspace.cache.run(lambda: _same_text(workspace, memory))  # learned elsewhere meanwhile
            path = same.path if same else workspace.vault.add(workspace.namespace, memory)
            gone = [_discarded(workspace, old) for old in memory.supersedes]
            workspace.refresh_paths(path, *[trashed.path for trashed in gone if trashed])
        if same:
            return Learned("deduplicated", same, superseded=memory.supersedes)
        workspace.embed_path(path)
        status = "stored_with_conflict" if conflict else "stored"
        return Learned(status, replace(memory, path=path), conflict, memory.supersedes)


def _compared(workspace: Workspace, memory: Memory) -> tuple[Memory, Memory | None, Conflict | None]:
    """The memory with whole ids in `supersedes`, the one with the same text, and the one it contradicts."""
    workspace.refresh()
    workspace.embed_now()
    memory = replace(memory, supersedes=tuple(_replaceable(workspace, name) for name in memory.supersedes))
    same = _same_text(workspace, memory)
    return memory, same, None if same else _conflict(workspace, memory)


def _replaceable(workspace: Workspace, name: str) -> str:
    """The id of a memory that another one may supersede. Raises `MalformedMemory` if its file is broken."""
    memory, _ = workspace.find(name)
    refuse_broken(memory)
    return memory.id


def _same_text(workspace: Workspace, memory: Memory) -> Memory | None:
    """The memory that holds this very text already.

    One that is local does not stand in for one to be shared, nor one that has expired for one that holds.
    """
    digest = sha256(memory.content.encode("utf-8"))
    rows = workspace.cache.manifest.db.execute(
        "SELECT path FROM files WHERE text_digest = ? ORDER BY path", (digest,)
    ).fetchall()
    for (path,) in rows:
        try:
            there, _ = workspace.vault.read(path)
        except MeshError:
            continue  # it changed since it was indexed: it does not hold the text now
        fits = (memory.local_only or not there.local_only) and not _has_expired(there)
        if there.content == memory.content and fits and there.id not in memory.supersedes:
            return there
    return None


def _has_expired(memory: Memory) -> bool:
    return memory.expires is not None and memory.expires <= datetime.now(UTC)


def _conflict(workspace: Workspace, memory: Memory) -> Conflict | None:
    """The nearest memory that the new one may be an update of."""
    for path, similarity in _near(workspace, memory):
        try:
            other, _ = workspace.vault.read(path)
        except MeshError:
            continue  # it changed since it was indexed
        if other.id in memory.supersedes:
            continue
        if difference := contrary.difference(other.content, memory.content):
            return Conflict(other, difference, similarity)
    return None


def _near(workspace: Workspace, memory: Memory) -> list[tuple[str, float | None]]:
    """Paths of the nearest memories that the new one may be told of: by meaning, or by words without a model."""
    embedder = workspace.embedder
    where, values = ("", list[object]()) if memory.local_only else Filters(local=False).where()
    if embedder is None:
        question = Question.plain(memory.content)
        with workspace.cache.manifest.reading():
            words = Matches(workspace.cache.lexicon, question).best(COMPARED, where, values)
        return [(path, None) for path in _paths(workspace, list(words)).values()]
    vectors = _embedded(workspace, embedder, memory)
    with workspace.cache.manifest.reading():
        nearest = Nearest(workspace.cache.manifest, workspace.cache.matrix(embedder), vectors[0])
        near = nearest.best(COMPARED, "" if memory.local_only else where, values)
    kept = {key: one.cosine for key, one in near.items() if one.cosine >= contrary.MIN_COSINE}
    return [(path, kept[key]) for key, path in _paths(workspace, list(kept)).items()]


def _embedded(workspace: Workspace, embedder: Embedder, memory: Memory) -> NDArray[np.float32]:
    """Embed the new text, keeping the vectors for when its file is indexed."""
    differ = authors.several(workspace.cache.manifest.db, memory.source, memory.agent)
    parts = embed.passages(memory, embedder, authors_differ=differ)
    vectors = embedder.embed([part.text for part in parts])
    made = zip(parts, vectors, strict=True)
    workspace.cache.fresh_vectors = {(embedder.key, part.digest): vector for part, vector in made}
    return vectors


def _paths(workspace: Workspace, file_ids: list[int]) -> dict[int, str]:
    """The paths of some files, in the order given; one that another process just removed is left out."""
    marks = ", ".join("?" * len(file_ids))
    rows = workspace.cache.manifest.db.execute(f"SELECT file_id, path FROM files WHERE file_id IN ({marks})", file_ids)
    known = dict(rows.fetchall())
    return {one: known[one] for one in file_ids if one in known}


def _discarded(workspace: Workspace, memory_id: str) -> Trashed | None:
    path = workspace.path_of_id(memory_id)
    return workspace.vault.discard(workspace.namespace, path) if path else None
