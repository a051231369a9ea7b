"""Exact cosine similarity between a question and the memories of a namespace.

The joins are CROSS JOINs: SQLite then keeps their order, which starts from the few rows that are wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .manifest import SERVED, Manifest
from .vectors import Matrix

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_MOST_ROWS = 8192  # asked for by number in one query


class Near(NamedTuple):
    """A memory's cosine similarity: that of its best passage, the span `start:stop` of its content."""

    cosine: float
    start: int
    stop: int

    def passage_of(self, content: str) -> str:
        return content[self.start : self.stop]


class Nearest:
    """The cosines of one question. `question`: float32 `(d,)`, unit length."""

    def __init__(self, manifest: Manifest, matrix: Matrix, question: NDArray[np.float32]) -> None:
        self._db, self._matrix, self._question = manifest.db, matrix, question
        self._rows = matrix.rows()  # another process may name later rows meanwhile: they are left to the next question
        self._cosines: NDArray[np.float32] | None = None

    def _all(self) -> NDArray[np.float32]:
        if self._cosines is None:
            self._cosines = self._rows @ self._question
        return self._cosines

    def best(self, limit: int, where: str, values: Sequence[object]) -> dict[int, Near]:
        """The `limit` files nearest to the question among those that `where` admits; `where` empty: all served.

        The nearest rows are tried first: usually they name enough files. Where they do not, because the filter is
        narrow or many rows belong to texts that are gone, the rows of the admitted files alone are scored.
        """
        import numpy as np

        admitted = where or f"state = {SERVED}"
        cosines = self._all()
        for take in (2 * limit, 16 * limit):
            if take >= len(cosines) or take > _MOST_ROWS:
                break
            found = self._files_of(np.argpartition(cosines, -take)[-take:].tolist(), admitted, values)
            if len(found) >= limit:
                return _first(found, limit)
        return self._best_of(admitted, values, limit)

    def _best_of(self, where: str, values: Sequence[object], limit: int) -> dict[int, Near]:
        """Score only the rows of the admitted files."""
        import numpy as np

        admitted = self._db.execute(
            "SELECT v.row, v.checksum, p.file_id, p.start, p.stop FROM files f"
            " CROSS JOIN passages p ON p.model = ? AND p.file_id = f.file_id"
            " CROSS JOIN vectors v INDEXED BY vectors_by_text ON v.model = p.model AND v.text_digest = p.text_digest"
            f" WHERE {where}",
            (self._matrix.model, *values),
        ).fetchall()
        admitted = [one for one in admitted if one[0] < len(self._rows)]
        if not admitted:
            return {}
        rows = np.fromiter((row for row, *_ in admitted), np.int64, len(admitted))
        cosines = self._rows[rows] @ self._question if self._cosines is None else self._cosines[rows]
        order = np.argsort(-cosines, kind="stable").tolist()
        return self._checked(((float(cosines[i]), *admitted[i]) for i in order), limit)

    def of(self, files: Iterable[int]) -> dict[int, Near]:
        """The cosines of given files; those that are not embedded are left out."""
        wanted = list(files)
        if not wanted:
            return {}
        found = self._db.execute(
            "SELECT v.row, v.checksum, p.file_id, p.start, p.stop FROM passages p"
            " CROSS JOIN vectors v INDEXED BY vectors_by_text ON v.model = p.model AND v.text_digest = p.text_digest"
            f" WHERE p.model = ? AND p.file_id IN ({', '.join('?' * len(wanted))})",
            (self._matrix.model, *wanted),
        ).fetchall()
        there = [(row, *rest) for row, *rest in found if row < len(self._rows)]
        scored = ((float(self._rows[row] @ self._question), row, *rest) for row, *rest in there)
        return self._checked(sorted(scored, reverse=True))

    def _files_of(self, rows: list[int], where: str, values: Sequence[object]) -> dict[int, Near]:
        """The admitted files that hold the texts of some rows."""
        found = self._db.execute(
            "SELECT v.row, v.checksum, p.file_id, p.start, p.stop FROM vectors v"
            " CROSS JOIN passages p INDEXED BY passages_by_text"
            " ON p.model = v.model AND p.text_digest = v.text_digest"
            " CROSS JOIN files f ON f.file_id = p.file_id"
            f" WHERE v.model = ? AND v.row IN ({', '.join('?' * len(rows))}) AND {where}",
            (self._matrix.model, *rows, *values),
        ).fetchall()
        cosines = self._all()
        return self._checked(sorted(((float(cosines[row]), row, *rest) for row, *rest in found), reverse=True))

    def _checked(self, found: Iterable[tuple[Any, ...]], limit: int | None = None) -> dict[int, Near]:
        """`(cosine, row, checksum, file, start, stop)`, best first -> each file's best passage, its row checked."""
        best: dict[int, Near] = {}
        rows: dict[int, int] = {}
        for cosine, row, checksum, file_id, start, stop in found:
            if file_id not in best:
                best[file_id], rows[row] = Near(cosine, start, stop), checksum
            if len(best) == limit:
                break
        self._matrix.check(rows.items())
        return best


def _first(found: dict[int, Near], limit: int) -> dict[int, Near]:
    return dict(list(found.items())[:limit])
