"""The memories of the time that a question names, by when they were made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .. import ranking
from ..ranking import Scored
from .filters import Filters
from .lexical import Matches
from .manifest import SERVED, Manifest
from .question import STOP_WORDS, Question

if TYPE_CHECKING:
    from ..spans import Span

_Best = Callable[[int, str, Sequence[object]], Iterable[int]]

JOINING = 10  # of each side, the best of the time that is named
# Besides the stop words: they ask for nothing in particular.
_IDLE = frozenset(
    """added anything change changed changes everything happen happened happening happens learn learned made
    memories memory new news note noted notes remember remembered said saved something stored things went wrote
    written""".split()
)
# A date without a time of day is midnight in UTC, so the day that is meant is that of UTC.
_WITHIN = "CASE WHEN born % 86400 = 0 THEN born >= ? AND born < ? ELSE born >= ? AND born < ? END"
_MOST_IN_A_QUERY = 10_000
# To load what reads a time takes as long as to embed a question, so only where there may be one.
MAY_NAME_ONE = re.compile(
    "(?i)[0-9]{4}|day|ago|last|past|previous|this|tonight|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
)


@dataclass(frozen=True, slots=True)
class Time:
    """What a question says of a time. `words`: its own tokens. `alone`: nothing else is asked for in particular."""

    span: Span
    words: frozenset[str]
    alone: bool

    @classmethod
    def of(cls, question: Question, filters: Filters, manifest: Manifest) -> Time | None:
        """The time that a question names, if memories of it may answer."""
        if not MAY_NAME_ONE.search(question.text):
            return None
        from .. import moments

        named = moments.named(question.text, filters.now)
        if named is None:
            return None
        rest = _tokens(named.rest)
        words = _tokens(question.text) - rest if named.relative else frozenset[str]()
        time = cls(named.span, words, rest <= STOP_WORDS | _IDLE)
        where, values = time.where(*filters.where())
        return time if manifest.db.execute(f"SELECT 1 FROM files WHERE {where} LIMIT 1", values).fetchone() else None

    def asked(self, question: Question) -> Question:
        """The question without the words of a time that is counted from now: "last week" is said of any week."""
        kept = tuple(one for one in question.words if one.token not in self.words)
        return question if self.alone else replace(question, words=kept)

    def where(self, where: str, values: Sequence[object]) -> tuple[str, list[object]]:
        """A `(condition, values)` over the table `files`, narrowed to that time. Files without a time are of none."""
        utc, local = self.span.utc(), self.span.local()
        # With a plus, SQLite goes by the time and not by the state, which is that of nearly all files.
        admitted = (where or f"state = {SERVED}").replace("state =", "+state =", 1)
        around = (min(utc[0], local[0]), max(utc[1], local[1]))
        return f"{admitted} AND born >= ? AND born < ? AND {_WITHIN}", [*values, *around, *utc, *local]

    def joining(
        self, manifest: Manifest, words: Matches, near: _Best | None, limit: int, where: str, values: Sequence[object]
    ) -> set[int]:
        """Files of that time that join the candidates: the best of both sides, or the youngest if nothing is asked.

        Of an open span, most of which may be all there is, there are enough among the candidates. `near`: gives the
        nearest files that a condition admits.
        """
        where, values = self.where(where, values)
        if self.alone:
            ask = f"SELECT file_id FROM files WHERE {where} ORDER BY born DESC, path LIMIT ?"
            return words.admitted(file_id for (file_id,) in manifest.db.execute(ask, (*values, limit)))
        if self.span.is_open:
            return set()
        return {*words.best(JOINING, where, values), *(near(JOINING, where, values) if near else ())}

    def favoured(self, order: Sequence[Scored], manifest: Manifest) -> list[Scored]:
        """The order with the bonus for the files of that time."""
        within, times = self.where("", ())
        of_it = set[int]()
        for start in range(0, len(order), _MOST_IN_A_QUERY):
            some = [one.key for one in order[start : start + _MOST_IN_A_QUERY]]
            ask = f"SELECT file_id FROM files WHERE file_id IN ({', '.join('?' * len(some))}) AND {within}"
            of_it.update(file_id for (file_id,) in manifest.db.execute(ask, (*some, *times)))
        return ranking.favoured(order, of_it, ranking.OF_A_TIME_ALONE if self.alone else ranking.OF_ITS_TIME)


def _tokens(text: str) -> frozenset[str]:
    return frozenset(one.token for one in Question.plain(text).words)
