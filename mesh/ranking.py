"""From two kinds of scores to one order. Pure.

Cosine similarity and BM25 are not comparable as they are. Both are standardised (mean 0, deviation 1) over the same
memories, the union of each side's best and what joins them, with true scores from both sides; then they are mixed half
and half. Over the whole store the many zeros of BM25 would shrink its deviation and give it more weight the larger the
store is.

Memories of one source that follow each other, such as the turns of a conversation, explain each other: each lends a
part of its score to those beside it, and those join the candidates. What is usually lent among the candidates counts
as nothing, so that a memory with neighbours stands neither better nor worse beside one that has none.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

CANDIDATES = 50  # taken from each side
COSINE_SHARE = 0.5
LENT = (0.3, 0.15)  # to the memories one and two places away in the same source
OF_ITS_TIME = 1.5  # deviations, to the memories of the time that a question names
OF_A_TIME_ALONE = 10.0  # where it asks for nothing else: more than the rest of a score comes to

Neighbours = Mapping[int, Sequence[tuple[int, int]]]  # of a memory: (memory, places away)


class Scored(NamedTuple):
    """A candidate: its fused score, and the four parts that it is the sum of."""

    key: int
    score: float
    cosine_part: float
    bm25_part: float
    lent_part: float = 0.0
    time_part: float = 0.0


@dataclass(frozen=True, slots=True)
class Scale:
    """Turns scores into standardised ones; all to 0 where those it is made of differ by no more than rounding."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, scores: Sequence[float]) -> Scale:
        if not scores:
            return cls(0.0, math.inf)
        mean = sum(scores) / len(scores)
        deviation = math.sqrt(sum((score - mean) ** 2 for score in scores) / len(scores))
        equal = deviation <= 1e-6 * max(abs(score) for score in scores)
        return cls(mean, math.inf if equal else deviation)

    def __call__(self, score: float) -> float:
        return (score - self.mean) / self.deviation

    def of_each(self, scores: Mapping[int, float], share: float) -> dict[int, float]:
        """A part of what each score comes to."""
        slope = share / self.deviation
        return {key: slope * (score - self.mean) for key, score in scores.items()}


def fused(
    cosines: Mapping[int, float],
    bm25: Mapping[int, float],
    candidates: Iterable[int],
    neighbours: Neighbours | None = None,
    share: Mapping[int, float] | None = None,
) -> list[Scored]:
    """The candidates and those that `neighbours` adds to them, by fused score, best first.

    One without a BM25 shares no word with the question: 0. One without a cosine is not embedded yet: it gets the
    lowest there is, as nothing speaks for it on that side. What a neighbour lends comes from its own two scores, which
    `cosines` and `bm25` hold for those that are no candidates as well; of that, each is lent its `share`, 1 if none is
    given.
    """
    chosen, beside = list(candidates), neighbours or {}
    keys = list(dict.fromkeys([*chosen, *beside]))
    floor = min((cosines[key] for key in keys if key in cosines), default=0.0)
    by_meaning = Scale.of([cosines.get(key, floor) for key in keys])
    by_words = Scale.of([bm25.get(key, 0.0) for key in keys])
    known = dict.fromkeys([*keys, *(other for near in beside.values() for other, _ in near)])
    meaning = by_meaning.of_each({key: cosines.get(key, floor) for key in known}, COSINE_SHARE)
    words = by_words.of_each({key: bm25.get(key, 0.0) for key in known}, 1 - COSINE_SHARE)
    own = {key: meaning[key] + words[key] for key in known}
    lent = {key: sum(LENT[away - 1] * own[other] for other, away in near) for key, near in beside.items() if near}
    lent = {key: (share or {}).get(key, 1.0) * part for key, part in lent.items()}
    usual = Scale.of([lent[key] for key in chosen if key in lent]).mean
    ranked = []
    for key in keys:
        part = lent[key] - usual if key in lent else 0.0
        ranked.append(Scored(key, own[key] + part, meaning[key], words[key], part))
    return sorted(ranked, key=lambda one: -one.score)


def favoured(order: Iterable[Scored], keys: Container[int], bonus: float) -> list[Scored]:
    """The same with a bonus for some: a preference, as the others stay where they are."""
    there = [one._replace(score=one.score + bonus, time_part=bonus) if one.key in keys else one for one in order]
    return sorted(there, key=lambda one: -one.score)
