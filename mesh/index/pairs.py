"""The nearest memories of several memories at once: one product of matrices instead of a search for each."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

from .manifest import SERVED, Manifest
from .vectors import Matrix

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ROWS, _OTHERS = 512, 8192  # of one product: 16 MiB of cosines, however many memories there are


class Pair(NamedTuple):
    """Files of the manifest, and the cosine of the two passages of theirs that are nearest."""

    file: int
    other: int
    cosine: float


def nearest(manifest: Manifest, matrix: Matrix, files: Collection[int], *, limit: int, least: float) -> list[Pair]:
    """For each of `files` the `limit` nearest memories that are not among them, of a cosine of at least `least`.

    Best first. Files without vectors are left out.
    """
    import numpy as np

    rows, wanted = matrix.rows(), set(files)
    passages = [one for one in _passages(manifest, matrix) if one[0] < len(rows)]
    mine = [one for one in passages if one[2] in wanted]
    others = [one for one in passages if one[2] not in wanted]
    if not mine or not others:
        return []
    best: dict[tuple[int, int], tuple[float, int, int]] = {}
    numbers = np.array([row for row, _, _ in others], np.intp)
    for start in range(0, len(mine), _ROWS):
        some = mine[start : start + _ROWS]
        block = rows[[row for row, _, _ in some]]
        for first in range(0, len(others), _OTHERS):
            cosines = block @ rows[numbers[first : first + _OTHERS]].T
            for i, j, cosine in _top(cosines, limit, least):
                one, other = some[i], others[first + j]
                best[one[2], other[2]] = max(best.get((one[2], other[2]), (-2.0, 0, 0)), (cosine, one[0], other[0]))
    checksums = {row: checksum for row, checksum, _ in passages}
    matrix.check({(row, checksums[row]) for _, *both in best.values() for row in both})
    return _first(best, limit)


def _passages(manifest: Manifest, matrix: Matrix) -> list[tuple[int, int, int]]:
    """Row, checksum and file of every passage that has a vector."""
    return manifest.db.execute(
        "SELECT v.row, v.checksum, p.file_id FROM passages p"
        " CROSS JOIN vectors v INDEXED BY vectors_by_text ON v.model = p.model AND v.text_digest = p.text_digest"
        " CROSS JOIN files f ON f.file_id = p.file_id"
        f" WHERE p.model = ? AND f.state = {SERVED} ORDER BY p.file_id, v.row",
        (matrix.model,),
    ).fetchall()


def _top(cosines: NDArray[np.float32], limit: int, least: float) -> Iterator[tuple[int, int, float]]:
    """The `limit` highest of each line that reach `least`."""
    import numpy as np

    if limit < cosines.shape[1]:
        columns = np.argpartition(cosines, -limit, axis=1)[:, -limit:]
    else:
        columns = np.broadcast_to(np.arange(cosines.shape[1]), cosines.shape)
    values = np.take_along_axis(cosines, columns, axis=1)
    for i, k in zip(*np.nonzero(values >= least), strict=True):
        yield int(i), int(columns[i, k]), float(values[i, k])


def _first(best: dict[tuple[int, int], tuple[float, int, int]], limit: int) -> list[Pair]:
    found = sorted((Pair(*files, cosine) for files, (cosine, *_) in best.items()), key=lambda one: -one.cosine)
    count: dict[int, int] = {}
    kept = []
    for one in found:
        count[one.file] = count.get(one.file, 0) + 1
        if count[one.file] <= limit:
            kept.append(one)
    return kept
