"""Answer a question from a namespace: by meaning and by words, from the files as they are now."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from . import folding, inputs, listing, ranking, relevance
from .candidates import Candidate, Candidates, Meaning
from .index import superseded
from .index.filters import Filters
from .index.question import Question
from .memory import Memory
from .reranking import TOP
from .workspace import INDEXING_SECONDS, Receipt, Workspace

_MOST_WIDENED = 4_000  # candidates a side, where what is found says the same over and over


@dataclass(frozen=True, slots=True)
class Hit:
    """A memory that answers, and why. `similarity` is the cosine, None where there is no vector.

    `same`: what names the others that say the same, which are no hits of their own.
    """

    memory: Memory
    score: float
    similarity: float | None
    bm25: float
    meaning_part: float
    words_part: float
    neighbours_part: float
    time_part: float
    matched: tuple[str, ...]
    passage: str
    superseded_by: str | None
    same: tuple[str, ...] = ()
    rerank_score: float | None = None  # the order is by it where there is one


@dataclass(frozen=True, slots=True)
class Recalled:
    """The answer: hits, best first, what they were made from, and whether any of them seems to be one.

    `answered` is False where there are no hits, or none that `relevance` takes for an answer, of which `signals` it
    judges; it is True where it cannot tell: for want of vectors or of a model that it knows, or because the caller
    asked for a phrase or a similarity.
    """

    query: str
    hits: tuple[Hit, ...]
    receipt: Receipt
    answered: bool
    signals: relevance.Signals


_Same = list[tuple[Candidate, Memory]]  # what says the same, the best of it first


def recall(
    workspace: Workspace, query: str, *, n: int = 5, min_similarity: float = 0.0, filters: Filters | None = None
) -> Recalled:
    """The `n` memories that answer `query` best. Raises `InvalidInput`, `VaultUnavailable`.

    With `min_similarity` above 0 a memory without a vector does not count: nothing is known of its similarity.
    """
    text, floor = inputs.query(query), inputs.fraction(min_similarity, "min_similarity", low=-1.0)
    question, embedder, reranker = Question.read(text), workspace.embedder, workspace.reranking.reranker()
    # Before the turn is taken: it is the slowest part.
    meaning = Meaning(embedder, embedder.embed_questions([question.text])[0]) if embedder else None
    asked = _Asked(text, question, meaning, filters or Filters(), inputs.count(n), TOP if reranker else 0, floor)
    with workspace.turn:
        found = workspace.cache.run(lambda: _answer(workspace, asked))
    return workspace.reranking.applied(found, question.text, reranker, asked.n) if reranker else found


class _Asked(NamedTuple):
    """What is asked for: `n` hits, and `at_least` so many for a reranker, that are as near as `floor`."""

    text: str
    question: Question
    meaning: Meaning | None
    filters: Filters
    n: int
    at_least: int
    floor: float


def _answer(workspace: Workspace, asked: _Asked) -> Recalled:
    scanned, done = workspace.refresh(patience_seconds=INDEXING_SECONDS)
    pending = workspace.embed_now()
    with workspace.cache.manifest.reading():
        this = _Recall(workspace, asked)
        hits, signals = this.hits()
        unheld = () if hits else asked.question.phrases
        if unheld:
            this = _Recall(workspace, asked._replace(question=replace(asked.question, phrases=())))
            hits, signals = this.hits()
        receipt = workspace.receipt(scanned, done, pending, local=asked.filters.local)
        answered = bool(hits) and (pending + done.left > 0 or asked.floor > 0 or this.answered(signals))
        return Recalled(asked.text, hits, replace(receipt, unheld=unheld), answered, signals)


class _Recall:
    """One question at a namespace that was refreshed. To be made and asked within one `Manifest.reading`."""

    def __init__(self, workspace: Workspace, asked: _Asked) -> None:
        self._workspace, self._asked, self._filters = workspace, asked, asked.filters
        self._candidates = Candidates(workspace.cache, asked.question, asked.meaning, asked.filters)
        self._superseded: dict[int, str] = {}

    def hits(self) -> tuple[tuple[Hit, ...], relevance.Signals]:
        """The best, and what tells whether there is an answer among the candidates."""
        limit = max(ranking.CANDIDATES, 2 * self._asked.n)
        ranked = self._candidates.ranked(limit)
        signals = self._candidates.signals(ranked[: relevance.LOOKED_AT])
        return self._hits(self._winners(ranked, limit)), signals

    def answered(self, signals: relevance.Signals) -> bool:
        below: float | None = getattr(self._asked.meaning and self._asked.meaning.embedder, "unrelated_below", None)
        certain = self._asked.question.phrases or self._candidates.of_a_time_alone
        return below is None or bool(certain) or signals.answer(below)

    def _winners(self, ranked: Sequence[Candidate], limit: int) -> list[_Same]:
        """The best, each with what says the same; where that is so much that too few are left, of more."""
        n = max(self._asked.n, self._asked.at_least)
        winners = self._folded(ranked, n)
        while len(winners) < n and len(ranked) >= limit and any(len(same) > 1 for same in winners):
            limit *= 4
            if limit > _MOST_WIDENED:
                break
            ranked = self._candidates.ranked(limit)
            winners = self._folded(ranked, n)
        return winners

    def _folded(self, ranked: Sequence[Candidate], n: int) -> list[_Same]:
        of = [candidate.file_id for candidate in ranked]
        self._superseded = superseded.by(self._workspace.cache.manifest, of, local=self._filters.local)

        def says(one: tuple[Candidate, Memory]) -> Hashable:
            return folding.what_it_says(one[1], self._filters.now, superseded=one[0].file_id in self._superseded)

        return folding.folded(self._admitted(ranked), n, says)

    def _admitted(self, ranked: Sequence[Candidate]) -> Iterator[tuple[Candidate, Memory]]:
        """Those that are near enough and have the phrases, read one by one."""
        floor = self._asked.floor
        for candidate in ranked:
            if floor > 0 and (candidate.near is None or candidate.near.cosine < floor):
                continue
            memory = listing.read(self._workspace, candidate.path, self._filters)
            if memory and self._asked.question.admits(f"{memory.title}\n{memory.content}"):
                yield candidate, memory

    def _hits(self, winners: Sequence[_Same]) -> tuple[Hit, ...]:
        files = [same[0][0].file_id for same in winners]
        matched = self._candidates.matched(files)
        return tuple(
            Hit(
                memory=memory,
                score=candidate.scored.score,
                similarity=candidate.near.cosine if candidate.near else None,
                bm25=candidate.bm25,
                meaning_part=candidate.scored.cosine_part,
                words_part=candidate.scored.bm25_part,
                neighbours_part=candidate.scored.lent_part,
                time_part=candidate.scored.time_part,
                matched=tuple(matched[candidate.file_id]),
                passage=candidate.near.passage_of(memory.content) if candidate.near else memory.content,
                superseded_by=self._superseded.get(candidate.file_id),
                same=tuple(folding.name_beside(other, memory) for _, other in others),
            )
            for (candidate, memory), *others in winners
        )
