"""Cosine similarity between a question and the memories of a namespace.

The scores are exact. So are the places, up to some 20,000 rows and wherever a condition admits few memories; beyond
that a sketch says which rows are worth scoring, and in rare cases misses one.

The joins are CROSS JOINs: SQLite then keeps their order, which starts from the few rows that are wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from . import sketch
from .manifest import SERVED, Manifest
from .vectors import Matrix

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


_MOST_ROWS = 8192  # asked for by number in one query


class Near(NamedTuple):
    """A memory's cosine similarity: that of its best passage, the span `start:stop` of its content, and its row."""

    cosine: float
    start: int
    stop: int
    row: int

    def passage_of(self, content: str) -> str:
        return content[self.start : self.stop]


class Nearest:
    """The cosines of one question. `question`: float32 `(d,)`, unit length."""

    def __init__(self, manifest: Manifest, matrix: Matrix, question: Floats) -> None:
        self._db, self._matrix, self._question = manifest.db, matrix, question
        self._rows = matrix.rows()  # another process may name later rows meanwhile: they are left to the next question
        self._looked_up: dict[int, Near | None] = {}

    @cached_property
    def _tail(self) -> Floats:
        """The cosines of the rows that the sketch does not cover: all of them where there is none."""
        return self._rows[self._matrix.sketch().rows :] @ self._question

    @cached_property
    def _distances(self) -> NDArray[np.uint16]:
        """How far the rows that the sketch covers seem to be."""
        return self._matrix.sketch().distances(self._question)[: len(self._rows)]

    def _top(self, take: int) -> dict[int, float]:
        """The rows of the `take` highest cosines."""
        import numpy as np

        covered = len(self._rows) - len(self._tail)
        rows, cosines = np.arange(covered, len(self._rows)), self._tail
        if covered:
            likely = sketch.nearest(self._distances, sketch.enough(take, covered))
            rows = np.concatenate([likely, rows])
            cosines = np.concatenate([self._rows[likely] @ self._question, cosines])
        top = np.argpartition(cosines, -take)[-take:]
        return dict(zip(rows[top].tolist(), cosines[top].tolist(), strict=True))

    def best(self, limit: int, where: str, values: Sequence[object]) -> dict[int, Near]:
        """The `limit` files nearest to the question among those that `where` admits; `where` empty: all served.

        The nearest rows are tried first: usually they name enough files. Where they do not, because the filter is
        narrow or many rows belong to texts that are gone, the rows of the admitted files alone are scored.
        """
        admitted = where or f"state = {SERVED}"
        steps = [take for take in (2 * limit, 16 * limit, _MOST_ROWS) if take < min(len(self._rows), _MOST_ROWS + 1)]
        for take, next_take in zip(steps, [*steps, _MOST_ROWS][1:], strict=True):
            found = self._files_of(self._top(take), admitted, values)
            if len(found) >= limit:
                return _first(found, limit)
            if (len(found) + 1) * len(self._rows) < 2 * next_take * take:
                break  # as far as these tell, so few are admitted that to look at each of them is less
        return self._best_of(admitted, values, limit)

    def _best_of(self, where: str, values: Sequence[object], limit: int) -> dict[int, Near]:
        """Score only the rows of the admitted files."""
        admitted = self._db.execute(
            "SELECT v.row, v.checksum, p.file_id, p.start, p.stop FROM files f"
            " CROSS JOIN passages p ON p.model = ? AND p.file_id = f.file_id"
            " CROSS JOIN vectors v INDEXED BY vectors_by_text ON v.model = p.model AND v.text_digest = p.text_digest"
            f" WHERE {where}",
            (self._matrix.model, *values),
        ).fetchall()
        return self._checked(self._scored(admitted), limit)

    def _scored(self, found: Iterable[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
        """`(row, ...)` -> `(cosine, row, ...)`, best first, without rows that another process has just added."""
        import numpy as np

        there = [one for one in found if one[0] < len(self._rows)]
        rows = np.array([row for row, *_ in there], np.intp)
        some = np.split(rows, range(_MOST_ROWS, len(rows), _MOST_ROWS))  # of a million at once it would be a copy
        cosines = np.concatenate([self._rows[each] @ self._question for each in some])
        return ((float(cosines[i]), *there[i]) for i in np.argsort(-cosines, kind="stable").tolist())

    def of(self, files: Iterable[int]) -> dict[int, Near]:
        """The cosines of given files; those that are not embedded are left out."""
        wanted = list(files)
        if unknown := [one for one in wanted if one not in self._looked_up]:
            found = self._db.execute(
                "SELECT v.row, v.checksum, p.file_id, p.start, p.stop FROM passages p CROSS JOIN vectors v"
                " INDEXED BY vectors_by_text ON v.model = p.model AND v.text_digest = p.text_digest"
                f" WHERE p.model = ? AND p.file_id IN ({', '.join('?' * len(unknown))})",
                (self._matrix.model, *unknown),
            ).fetchall()
            self._looked_up |= dict.fromkeys(unknown)
            self._checked(self._scored(found))
        return {one: near for one in wanted if (near := self._looked_up[one])}

    def vectors(self, files: Iterable[int]) -> dict[int, Floats]:
        """The unit rows of files' best passages; files that are not embedded are left out."""
        return {one: self._rows[near.row] for one, near in self.of(files).items()}

    def _files_of(self, cosines: dict[int, float], where: str, values: Sequence[object]) -> dict[int, Near]:
        """The admitted files that hold the texts of some rows."""
        found = self._db.execute(
            "SELECT v.row, v.checksum, p.file_id, p.start, p.stop FROM vectors v"
            " CROSS JOIN passages p INDEXED BY passages_by_text"
            " ON p.model = v.model AND p.text_digest = v.text_digest"
            " CROSS JOIN files f ON f.file_id = p.file_id"
            f" WHERE v.model = ? AND v.row IN ({', '.join('?' * len(cosines))}) AND {where}",
            (self._matrix.model, *cosines, *values),
        ).fetchall()
        return self._checked(sorted(((cosines[row], row, *rest) for row, *rest in found), reverse=True))

    def _checked(self, found: Iterable[tuple[Any, ...]], limit: int | None = None) -> dict[int, Near]:
        """`(cosine, row, checksum, file, start, stop)`, best first -> each file's best passage, its row checked."""
        best: dict[int, Near] = {}
        rows: dict[int, int] = {}
        for cosine, row, checksum, file_id, start, stop in found:
            if file_id not in best:
                best[file_id], rows[row] = Near(cosine, start, stop, row), checksum
            if len(best) == limit:
                break
        self._matrix.check(rows.items())
        self._looked_up |= best
        return best


def _first(found: dict[int, Near], limit: int) -> dict[int, Near]:
    return dict(list(found.items())[:limit])
