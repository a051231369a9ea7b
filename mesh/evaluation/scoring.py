"""Figures for an order of answers, and two sets of figures compared. Pure.

R@k     recall: the share of the wanted ones that are among the first k
MRR@n   reciprocal rank: 1 / the place of the first wanted one; 0 where none is among the n
nDCG@k  discounted cumulative gain: each wanted one at place p counts 1 / log2(p + 1), as a share of the most possible
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

DEPTH = 20  # results asked for
OVERALL = "all"
QUESTIONS = "questions"
_RECALL_AT = (5, 10, 20)
_GAIN_AT = 10

Figures = Mapping[str, Mapping[str, float]]  # by category: each metric in per cent, and the number of questions


def metrics(n: int = DEPTH) -> tuple[str, ...]:
    """The names of the figures that `n` results allow."""
    return (*(f"R@{k}" for k in _cuts(n)), f"MRR@{n}", f"nDCG@{min(_GAIN_AT, n)}")


def _cuts(n: int) -> list[int]:
    return sorted({k for k in _RECALL_AT if k < n} | {n})


def scored(found: Sequence[str], wanted: Collection[str], n: int = DEPTH) -> dict[str, float]:
    """The figures of one question, each from 0 to 1. `wanted` must not be empty; one found twice counts once."""
    first: dict[str, int] = {}
    for place, one in enumerate(found[:n], 1):
        if one in wanted:
            first.setdefault(one, place)
    places, within = list(first.values()), min(_GAIN_AT, n)
    gain = sum(1 / math.log2(place + 1) for place in places if place <= within)
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(within, len(wanted)) + 1))
    recall = [sum(place <= k for place in places) / len(wanted) for k in _cuts(n)]
    return dict(zip(metrics(n), [*recall, 1 / places[0] if places else 0.0, gain / ideal], strict=True))


@dataclass(slots=True)
class Tally:
    """The figures of many questions, overall and by category."""

    _rows: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    def add(self, scores: dict[str, float], category: str = "") -> None:
        for group in dict.fromkeys([OVERALL, category or OVERALL]):
            self._rows.setdefault(group, []).append(scores)

    def figures(self) -> dict[str, dict[str, float]]:
        """Means in per cent, overall first, then the categories by name."""
        groups = sorted(self._rows, key=lambda group: (group != OVERALL, group))
        return {group: {QUESTIONS: len(self._rows[group]), **_means(self._rows[group])} for group in groups}


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(100 * fmean(row[name] for row in rows), 2) for name in rows[0]}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`differences`: in points, above 0 where it got better. `fell`: the metrics that fell too far, overall."""

    differences: dict[str, dict[str, float]]
    fell: tuple[str, ...]


def compared(now: Figures, base: Figures, judged: Iterable[str], bound: float) -> Comparison:
    """Only what is overall is judged, as categories are small: whether one of `judged` fell by more than `bound`."""
    differences = {
        group: {name: round(now[group][name] - base[group][name], 2) for name in now[group] if name in base[group]}
        for group in now
        if group in base
    }
    return Comparison(differences, tuple(name for name in judged if differences[OVERALL][name] < -bound))
