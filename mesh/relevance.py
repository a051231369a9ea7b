"""Whether anything that was found answers a question at all. Pure.

A search always has a best result. Two signals tell a good one from the least bad, and neither does by itself: a
question in other words than its answer shares none of them, and one about a name or a number is near to nothing in
meaning. So only where both are low does nothing answer. Measured in docs/RECALL.md.

Which cosine is low is a property of the model: an embedder that knows says so in `unrelated_below`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

LOOKED_AT = 10  # of the best candidates, however few are asked for: an answer does not depend on their number
LEAST_SHARE = 0.4  # of a question's words, by their rarity: one memory with that many is about the same thing


class Signals(NamedTuple):
    """The greatest cosine of the candidates, and the greatest share of the question's words that one of them has."""

    cosine: float
    share: float

    @classmethod
    def of(cls, cosines: Iterable[float], shares: Iterable[float]) -> Signals:
        return cls(max(cosines, default=-1.0), max(shares, default=0.0))

    def answer(self, unrelated_below: float) -> bool:
        """Whether one of the candidates may be an answer. `unrelated_below`: a cosine, of the model's."""
        return self.cosine >= unrelated_below or self.share >= LEAST_SHARE
