"""Which memories may answer a question, and in what order: what the index knows of meaning, words, time and company."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from . import ranking, relevance
from .index import coherence, dated, neighbours
from .index.cache import Cache
from .index.damage import CacheDamaged
from .index.filters import Filters
from .index.lexical import Matches
from .index.manifest import SERVED
from .index.nearest import Near, Nearest
from .index.question import Question

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .embedding.protocol import Embedder

_MOST_IN_A_QUERY = 10_000


class Meaning(NamedTuple):
    """A question as one model sees it: another one may be in use before it is answered."""

    embedder: Embedder
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A memory that may answer, by the number of its file; `near` is None where it has no vector."""

    file_id: int
    path: str
    scored: ranking.Scored
    near: Near | None
    bm25: float


class Candidates:
    """The answers to one question as far as the index goes. To be made and asked within one `Manifest.reading`."""

    def __init__(self, cache: Cache, question: Question, meaning: Meaning | None, filters: Filters) -> None:
        self._cache, self._manifest, self._meaning, self._filters = cache, cache.manifest, meaning, filters
        self._time = dated.Time.of(question, filters, self._manifest)
        self._words = Matches(cache.lexicon, self._time.asked(question) if self._time else question)

    @property
    def of_a_time_alone(self) -> bool:
        """Whether all that is asked for is a time."""
        return self._time is not None and self._time.alone

    def signals(self, best: Sequence[Candidate]) -> relevance.Signals:
        """What tells whether any of some candidates is an answer."""
        shares = self._words.shares([one.file_id for one in best])
        return relevance.Signals.of([one.near.cosine for one in best if one.near], shares.values())

    def matched(self, files: Iterable[int]) -> dict[int, list[str]]:
        """Of each file, those of the words, as asked, that it holds in some form."""
        return self._words.matched(files)

    def ranked(self, limit: int) -> list[Candidate]:
        """The union of both sides' best and what stands beside them, each with both true scores, in order."""
        where, values = ("", list[object]()) if self._filters.admits_all else self._filters.where()
        words, nearest = self._words, self._nearest()
        bm25 = words.best(limit, where, values)
        cosines = self._best_admitted(nearest, limit, where, values) if nearest else {}
        union = cosines.keys() | bm25.keys()
        if self._time:
            near = partial(self._best_admitted, nearest) if nearest else None
            union |= self._time.joining(self._manifest, words, near, limit, where, values)
        companies = neighbours.of(self._manifest, union, where or f"state = {SERVED}", values)
        beside, share = coherence.lending(companies, nearest.vectors if nearest else None)
        known = union.union(beside, (other for others in beside.values() for other, _ in others))
        bm25 |= words.of(known - bm25.keys())
        for some in _parted(known - cosines.keys()):
            cosines |= nearest.of(some) if nearest else {}
        by_meaning = {file_id: near.cosine for file_id, near in cosines.items()}
        order = ranking.fused(by_meaning, bm25, union, {one: beside[one] for one in words.admitted(beside)}, share)
        if self._time:
            order = self._time.favoured(order, self._manifest)
        return self._with_ties_broken(order, cosines, bm25)

    def _best_admitted(self, nearest: Nearest, limit: int, where: str, values: Sequence[object]) -> dict[int, Near]:
        """The nearest that have the phrases, and no excluded word. Few of many may: then some are left to the words."""
        found: dict[int, Near] = {}
        for take in (limit, 4 * limit, 16 * limit):
            near = nearest.best(take, where, values)
            admitted = self._words.admitted(near)
            found = dict([one for one in near.items() if one[0] in admitted][:limit])
            if len(found) == limit or len(near) < take:
                break
        return found

    def _nearest(self) -> Nearest | None:
        if self._meaning is None:
            return None
        return Nearest(self._manifest, self._cache.matrix(self._meaning.embedder), self._meaning.vector)

    def _with_ties_broken(
        self, order: Sequence[ranking.Scored], cosines: dict[int, Near], bm25: dict[int, float]
    ) -> list[Candidate]:
        """Equal scores go by confidence, then by age, the younger first, then by path."""
        known = {row[0]: row[1:] for some in _parted(one.key for one in order) for row in self._rows(some)}
        there = [one for one in order if one.key in known]
        there.sort(key=lambda one: (-round(one.score, 9), *known[one.key]))
        return [
            Candidate(one.key, known[one.key][-1], one, cosines.get(one.key), bm25.get(one.key, 0.0)) for one in there
        ]

    def _rows(self, files: Sequence[int]) -> list[tuple[Any, ...]]:
        """The number of each, and what ties are broken by."""
        rows = self._manifest.db.execute(
            "SELECT file_id, -coalesce(confidence, 1), -coalesce(born, 0), path FROM files"
            f" WHERE file_id IN ({', '.join('?' * len(files))})",
            files,
        ).fetchall()
        if not all(isinstance(row[-1], str) for row in rows):
            raise CacheDamaged("a file without a path")
        return rows


def _parted(files: Iterable[int]) -> Iterator[list[int]]:
    """As many at a time as one query may name."""
    rest = iter(files)
    while some := list(islice(rest, _MOST_IN_A_QUERY)):
        yield some
