"""From two kinds of scores to one order. Pure.

Cosine similarity and BM25 are not comparable as they are. Both are standardised (mean 0, deviation 1) over the same
candidates, the union of each side's best, with true scores from both sides; then they are mixed half and half. Over
the whole store the many zeros of BM25 would shrink its deviation and give it more weight the larger the store is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CANDIDATES = 50  # taken from each side
COSINE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate: its fused score, and the two standardised parts it is made of."""

    key: int
    score: float
    cosine_part: float
    bm25_part: float


def standardised(scores: Mapping[int, float]) -> dict[int, float]:
    """Scores with mean 0 and deviation 1; all 0 if they differ by no more than rounding."""
    if not scores:
        return {}
    mean = sum(scores.values()) / len(scores)
    deviation = math.sqrt(sum((score - mean) ** 2 for score in scores.values()) / len(scores))
    if deviation <= 1e-6 * max(abs(score) for score in scores.values()):
        return dict.fromkeys(scores, 0.0)
    return {key: (score - mean) / deviation for key, score in scores.items()}


def fused(cosines: Mapping[int, float], bm25: Mapping[int, float], candidates: Iterable[int]) -> list[Scored]:
    """The candidates by fused score, best first.

    One without a BM25 shares no word with the question: 0. One without a cosine is not embedded yet: it gets the
    lowest there is, as nothing speaks for it on that side.
    """
    keys = list(candidates)
    floor = min(cosines.values(), default=0.0)
    by_meaning = standardised({key: cosines.get(key, floor) for key in keys})
    by_words = standardised({key: bm25.get(key, 0.0) for key in keys})
    parts = [
        Scored(
            key,
            COSINE_SHARE * by_meaning[key] + (1 - COSINE_SHARE) * by_words[key],
            COSINE_SHARE * by_meaning[key],
            (1 - COSINE_SHARE) * by_words[key],
        )
        for key in keys
    ]
    return sorted(parts, key=lambda one: -one.score)
