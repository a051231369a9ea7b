"""Answer a question from a namespace: by meaning and by words, from the files as they are now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import codec, inputs, ranking
from .errors import MalformedMemory
from .index import lexical
from .index.filters import Filters
from .index.nearest import Near, Nearest
from .memory import Memory
from .workspace import Receipt, Workspace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Hit:
    """A memory that answers, and why. `similarity` is the cosine, None where there is no vector."""

    memory: Memory
    score: float
    similarity: float | None
    bm25: float
    meaning_part: float
    words_part: float
    matched: tuple[str, ...]
    passage: str
    superseded_by: str | None


@dataclass(frozen=True, slots=True)
class Recalled:
    """The answer: hits, best first, and what they were made from."""

    query: str
    hits: tuple[Hit, ...]
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class _Candidate:
    file_id: int
    path: str
    superseded_by: str | None
    scored: ranking.Scored
    near: Near | None
    bm25: float


def recall(
    workspace: Workspace, query: str, *, n: int = 5, min_similarity: float = 0.0, filters: Filters | None = None
) -> Recalled:
    """The `n` memories that answer `query` best. Raises `InvalidInput`, `VaultUnavailable`.

    With `min_similarity` above 0 a memory without a vector does not count: nothing is known of its similarity.
    """
    asked, wanted = inputs.query(query), inputs.count(n)
    floor = inputs.fraction(min_similarity, "min_similarity", low=-1.0)
    narrowed = filters or Filters()
    embedder = workspace.embedder
    question = embedder.embed([asked])[0] if embedder else None  # before the turn is taken: it is the slowest part
    with workspace.turn:
        return workspace.cache.run(lambda: _Recall(workspace, asked, question, narrowed).answer(wanted, floor))


class _Recall:
    def __init__(
        self, workspace: Workspace, query: str, question: NDArray[np.float32] | None, filters: Filters
    ) -> None:
        self._workspace, self._query, self._question, self._filters = workspace, query, question, filters
        self._words = lexical.terms(query)

    def answer(self, n: int, floor: float) -> Recalled:
        scanned, done = self._workspace.refresh()
        pending = self._workspace.embed_now()
        winners: list[tuple[_Candidate, Memory]] = []
        for candidate in self._ranked(max(ranking.CANDIDATES, 2 * n)):
            if floor > 0 and (candidate.near is None or candidate.near.cosine < floor):
                continue
            if memory := self._read(candidate):
                winners.append((candidate, memory))
            if len(winners) == n:
                break
        receipt = self._workspace.receipt(scanned, done, pending, local=self._filters.local)
        return Recalled(self._query, self._hits(winners), receipt)

    def _ranked(self, limit: int) -> list[_Candidate]:
        """The union of both sides' best, each with both true scores, in order."""
        where, values = ("", list[object]()) if self._filters.admits_all else self._filters.where()
        bm25 = lexical.best(self._workspace.cache.manifest, self._words, limit, where, values)
        cosines: dict[int, Near] = {}
        embedder = self._workspace.embedder
        if embedder is not None and self._question is not None:
            nearest = Nearest(self._workspace.cache.manifest, self._workspace.cache.matrix(embedder), self._question)
            cosines = nearest.best(limit, where, values)
            bm25 |= lexical.scores(self._workspace.cache.manifest, self._words, cosines.keys() - bm25.keys())
            cosines |= nearest.of(bm25.keys() - cosines.keys())
        by_meaning = {file_id: near.cosine for file_id, near in cosines.items()}
        order = ranking.fused(by_meaning, bm25, cosines.keys() | bm25.keys())
        return self._with_ties_broken(order, cosines, bm25)

    def _with_ties_broken(
        self, order: Sequence[ranking.Scored], cosines: dict[int, Near], bm25: dict[int, float]
    ) -> list[_Candidate]:
        """Equal scores go by confidence, then by age, the younger first, then by path."""
        if not order:
            return []
        rows = self._workspace.cache.manifest.db.execute(
            "SELECT file_id, path, confidence, born,"
            " (SELECT n.id FROM supersedes s JOIN files n USING (file_id)"
            f"  WHERE s.id = files.id AND n.local_only <= {int(self._filters.local)} LIMIT 1)"
            f" FROM files WHERE file_id IN ({', '.join('?' * len(order))})",
            [one.key for one in order],
        )
        known = {row[0]: row[1:] for row in rows}
        ties = {key: (-confidence, -(born or 0.0), path) for key, (path, confidence, born, _) in known.items()}
        ranked = sorted(
            (one for one in order if one.key in known), key=lambda one: (-round(one.score, 9), ties[one.key])
        )
        return [
            _Candidate(one.key, known[one.key][0], known[one.key][3], one, cosines.get(one.key), bm25.get(one.key, 0.0))
            for one in ranked
        ]

    def _read(self, candidate: _Candidate) -> Memory | None:
        """A winner from its file: text never comes from the cache. None if it has gone, or turned local, since."""
        return _read(self._workspace, candidate.path, self._filters)

    def _hits(self, winners: Sequence[tuple[_Candidate, Memory]]) -> tuple[Hit, ...]:
        files = [candidate.file_id for candidate, _ in winners]
        matched = lexical.matched(self._workspace.cache.manifest, self._words, files)
        return tuple(
            Hit(
                memory=memory,
                score=candidate.scored.score,
                similarity=candidate.near.cosine if candidate.near else None,
                bm25=candidate.bm25,
                meaning_part=candidate.scored.cosine_part,
                words_part=candidate.scored.bm25_part,
                matched=tuple(matched[candidate.file_id]),
                passage=candidate.near.passage_of(memory.content) if candidate.near else memory.content,
                superseded_by=candidate.superseded_by,
            )
            for candidate, memory in winners
        )


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
    db = workspace.cache.manifest.db
    total = db.execute(f"SELECT count(*) FROM files WHERE {where}", values).fetchone()[0]
    paths = db.execute(
        f"SELECT path FROM files WHERE {where} ORDER BY coalesce(born, mtime_ns / 1e9) DESC, path LIMIT ? OFFSET ?",
        [*values, limit, offset],
    ).fetchall()
    found = [memory for (path,) in paths if (memory := _read(workspace, path, filters))]
    return found, int(total)


def _read(workspace: Workspace, path: str, filters: Filters) -> Memory | None:
    """The memory of a file; None if, since it was looked at, it has gone, broke, or may no longer be told of."""
    try:
        memory = codec.read(workspace.vault.bytes_of(path), path)
    except (OSError, MalformedMemory):
        return None
    return memory if filters.local or not memory.local_only else None
