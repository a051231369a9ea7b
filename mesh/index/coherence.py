"""Whether the memories of a source are about what those beside them are about, and may lend them a part of their score.

The turns of a conversation and the sections of a document explain each other. Notes that only share a source, such as
everything that one agent imported, do not: what they would lend is noise. The vectors tell the two apart: are those
that were found nearer to what stands beside them than to what stands beside the others of their source? The question
chose the found ones, not what is beside them, so that is a fair comparison.

The mean difference of the cosines was 0.06 to 0.17 for conversations, and -0.01 to 0.01 for notes in no order (from
the 5th to the 95th percentile of the questions of docs/RECALL.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from .neighbours import Beside, Company

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = Mapping[int, NDArray[np.float32]]

NOTHING, ALL = 0.02, 0.05  # differences up to which nothing is lent, and from which on everything is
ASSUMED = 4  # found ones' worth of belief that sources are coherent: a small vault has nothing to compare
SHARED = 20  # found ones' worth of what is known of all sources, in what is believed of one
_MOST = 200  # found ones that are looked at


class Lending(NamedTuple):
    """What stands beside memories that were found, and of each of all these the part of what it could be lent."""

    beside: Beside
    share: dict[int, float]


def lending(companies: Mapping[str, Company], vectors: Callable[[Iterable[int]], Vectors] | None) -> Lending:
    """What of the companies of several sources may be lent. `vectors`: unit rows of some files, None without a model.

    Without vectors all is lent: among those that share words with the question a wrong loan does little harm.
    """
    shares = _shares(companies, vectors) if companies and vectors else dict.fromkeys(companies, 1.0)
    lent = Lending({}, {})
    for source, company in companies.items():
        if shares[source]:
            lent.beside.update(company.beside)
            lent.share.update(dict.fromkeys(company.beside, shares[source]))
    return lent


def _shares(companies: Mapping[str, Company], vectors: Callable[[Iterable[int]], Vectors]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for source, difference in _differences(companies, vectors):
        found.setdefault(source, []).append(difference)
    every = [one for several in found.values() for one in several]
    believed = min(ALL, (sum(every) + ASSUMED * ALL) / (len(every) + ASSUMED))
    shares = {}
    for source in companies:
        own = found.get(source, [])
        difference = (sum(own) + SHARED * believed) / (len(own) + SHARED)
        shares[source] = min(1.0, max(0.0, (difference - NOTHING) / (ALL - NOTHING)))
    return shares


def _differences(
    companies: Mapping[str, Company], vectors: Callable[[Iterable[int]], Vectors]
) -> Iterable[tuple[str, float]]:
    """Of each found one: how much nearer it is to what is beside it than to what is beside others of its source.

    Where nothing else of its source was found, those of other sources are the measure.
    """
    import numpy as np

    found = list(islice(((source, one) for source, some in companies.items() for one in some.found), _MOST))
    owner = {other: source for source, one in found for other, away in companies[source].beside[one] if away == 1}
    known = vectors(owner.keys() | {one for _, one in found})
    found = [(source, one) for source, one in found if one in known]
    column = {other: place for place, other in enumerate(other for other in owner if other in known)}
    if not found or not column:
        return []
    cosines = np.stack([known[one] for _, one in found]) @ np.stack([known[other] for other in column]).T
    number = {source: place for place, source in enumerate(companies)}
    same = np.equal.outer([number[source] for source, _ in found], [number[owner[other]] for other in column])
    differences = _nearer(cosines, same, np.array(_close(companies, found, column), np.intp).reshape(-1, 3))
    return [(source, float(one)) for (source, _), one in zip(found, differences, strict=True) if np.isfinite(one)]


def _nearer(cosines: NDArray[np.float32], same: NDArray[np.bool_], close: NDArray[np.intp]) -> NDArray[np.float64]:
    """Of each row, the mean cosine of what is beside it less that of the rest; NaN where there is none of either.

    `same`, as `cosines`: whether the source is. `close`: `(row, column, places away)`.
    """
    import numpy as np

    row, beside, at = close[:, 0], (close[:, 2] == 1).astype(float), cosines[close[:, 0], close[:, 1]].astype(float)
    sums = (cosines * same).sum(1) - np.bincount(row, at, len(cosines))
    counts = same.sum(1) - np.bincount(row, None, len(cosines))
    alone = counts == 0
    sums[alone], counts[alone] = (cosines * ~same).sum(1)[alone], (~same).sum(1)[alone]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.bincount(row, at * beside, len(cosines)) / np.bincount(row, beside, len(cosines))
        return np.asarray(mean - sums / counts)


def _close(
    companies: Mapping[str, Company], found: Iterable[tuple[str, int]], column: Mapping[int, int]
) -> list[tuple[int, int, int]]:
    """`(row, column, places away)` of what is beside each found one, and of itself."""
    return [
        (row, column[other], away)
        for row, (source, one) in enumerate(found)
        for other, away in ((one, 0), *companies[source].beside[one])
        if other in column
    ]
