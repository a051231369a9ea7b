"""BM25, and what of a memory is searchable besides its content."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from ..memory import Memory
from .analysis import IN_CONTENT
from .lexicon import Lexicon
from .question import Question, option_of, tokens_of, words_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Numbers = NDArray[np.uint32]

# How soon a repeated word stops counting, and how much a long text is discounted: memories are short, so less than for
# web pages. Measured in docs/RECALL.md.
K1, B = 0.9, 0.4

_MANY = 10_000  # files that have a word, before it is worth to see whether all of them matter
_TELLING = 100  # files; of fewer, nothing tells how rare a word is: where there is one, every word is in all of them
_MOST_LOOKED_AT = 4096  # files, before a condition is asked for all that it admits
_MADE_NAME = re.compile(r"--[0-9a-z]{12,16}\.md\Z")
# Not strftime's, which are those of the process's locale.
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def about(memory: Memory) -> str:
    """What is searchable besides title and content: type, tags, author, source, date, and names people gave."""
    parts = [memory.type, *memory.tags, memory.agent, memory.source]
    if memory.born:
        parts.append(date_words(memory.born))
    *folders, name = memory.path.removeprefix("_local/").split("/")
    if not (_MADE_NAME.search(name) or f"--{memory.id[:12]}" in name):
        parts.append(name.rpartition(".")[0])
    return " ".join(filter(None, [*parts, *folders[1:]]))


def date_words(moment: datetime) -> str:
    """`Sunday 8 November 2026-11-08`: the last is found as a whole and by its numbers."""
    return f"{_WEEKDAYS[moment.weekday()]} {moment.day} {_MONTHS[moment.month - 1]} {moment.date().isoformat()}"


class _Part(NamedTuple):
    """What one word of a question does: how rare it is, the files that have it, and its weights in them."""

    rarity: float
    files: Numbers
    weights: NDArray[np.uint8]

    @property
    def most(self) -> float:
        """What it can add to a file's score at most."""
        return self.rarity * (K1 + 1)


class Matches:
    """The answers to one question in words. To be asked within one `Manifest.reading`."""

    def __init__(self, lexicon: Lexicon, question: Question) -> None:
        self._lexicon, self._question = lexicon, question
        self._postings: dict[str, tuple[Numbers, NDArray[np.uint8]]] = {}

    @cached_property
    def _lengths(self) -> Numbers:
        return self._lexicon.lengths()

    def _posting(self, term: str) -> tuple[Numbers, NDArray[np.uint8]]:
        if term not in self._postings:
            self._postings[term] = self._lexicon.posting(term)
        return self._postings[term]

    def _files(self, token: str) -> Numbers:
        """The files that have a token in some form; of dropped files as well."""
        (term,) = self._lexicon.manifest.analyzer.terms([token])
        return self._posting(term)[0]

    @cached_property
    def _parts(self) -> list[_Part]:
        """Of each word, the rarest first, without files that were dropped or are not admitted."""
        admitted, parts = self._admitted, []
        terms = self._lexicon.manifest.analyzer.terms(one.token for one in self._question.words)
        for term in dict.fromkeys(terms):
            files, weights = self._posting(term)
            if self._lexicon.files < len(self._lengths) - 1:  # not every number is a file that is there
                there = self._lengths[files] > 0
                files, weights = files[there], weights[there]
            rarity = math.log(1 + (self._lexicon.files - len(files) + 0.5) / (len(files) + 0.5))
            if admitted is not None:
                files, weights = files[admitted[files]], weights[admitted[files]]
            parts.append(_Part(rarity, files, weights))
        return sorted(parts, key=lambda part: -part.rarity)

    def _add(self, scores: Floats, part: _Part, within: NDArray[np.bool_] | None) -> None:
        """Add what a word does to the scores, by file, of those `within`."""
        files, weights = part.files, part.weights
        if within is not None:
            chosen = within[files]
            files, weights = files[chosen], weights[chosen]
        times = weights / IN_CONTENT
        discount = K1 * (1 - B) + self._lengths[files] * (K1 * B / max(self._lexicon.mean_length, 1e-9))
        scores[files] += part.most * times / (times + discount)

    def _scores(self, keep: int) -> Floats:
        """BM25 by file, true for those with the `keep` highest; 0 or too low for others.

        A word that is everywhere can bring nothing to the top that the rarer ones have not found: where what is left
        to add is less than what the last of the best has already, only files that may still get there are looked at.
        """
        import numpy as np

        scores = np.zeros(len(self._lengths))
        rest, within = sum(part.most for part in self._parts), None
        for part in self._parts:
            if within is None and len(part.files) > _MANY:
                least = _least(scores[scores > 0], keep)
                within = scores >= least - rest if least > rest else None
            self._add(scores, part, within)
            rest -= part.most
        return scores

    @cached_property
    def _admitted(self) -> NDArray[np.bool_] | None:
        """By file, whether it has all words of the phrases and no excluded word; None if there is nothing to ask."""
        import numpy as np

        if not self._question.phrases and not self._question.excluded:
            return None
        admitted = np.ones(len(self._lengths), np.bool_)
        for phrase in self._question.phrases:
            admitted &= self._having(words_of(phrase))
        for word in self._question.excluded:
            having = self._having(tokens_of(word))
            having[self._files(option_of(word))] = False
            admitted &= ~having
        return admitted

    def _having(self, tokens: Sequence[str]) -> NDArray[np.bool_]:
        """By file, whether it has all of some tokens."""
        import numpy as np

        every = np.ones(len(self._lengths), np.bool_)
        for token in tokens:
            having = np.zeros_like(every)
            having[self._files(token)] = True
            every &= having
        return every

    def best(self, limit: int, where: str, values: Sequence[object]) -> dict[int, float]:
        """BM25, above 0, of the `limit` best files among those that `where` (a condition on `files`) admits.

        The best of all are tried first: usually enough of them are admitted.
        """
        if not where:
            return _first(self._scores(limit), limit)
        for take in (2 * limit, min(16 * limit, _MOST_LOOKED_AT), _MOST_LOOKED_AT):
            tried = _first(self._scores(take), take)
            # By number: an index on what the condition asks for would give most of all files.
            ask = f"SELECT file_id FROM files NOT INDEXED WHERE file_id IN ({', '.join('?' * len(tried))}) AND {where}"
            admitted = {file_id for (file_id,) in self._lexicon.manifest.db.execute(ask, (*tried, *values))}
            if len(admitted) >= limit or len(tried) < take:
                return dict([one for one in tried.items() if one[0] in admitted][:limit])
        return self._best_of(limit, where, values)

    def _best_of(self, limit: int, where: str, values: Sequence[object]) -> dict[int, float]:
        rows = self._lexicon.manifest.db.execute(f"SELECT file_id FROM files WHERE {where}", values)
        return _first(self._of(self._marked(file_id for (file_id,) in rows)), limit)

    def _of(self, within: NDArray[np.bool_]) -> Floats:
        """The true BM25 of some files; 0 for others."""
        import numpy as np

        scores = np.zeros(len(within))
        for part in self._parts:
            self._add(scores, part, within)
        return scores

    def of(self, files: Iterable[int]) -> dict[int, float]:
        """The BM25 of given files; those without any of the words are left out."""
        marked = [file_id for file_id in dict.fromkeys(files) if file_id < len(self._lengths)]
        scores = self._of(self._marked(marked))[marked].tolist()
        return {file_id: score for file_id, score in zip(marked, scores, strict=True) if score > 0}

    def _marked(self, files: Iterable[int]) -> NDArray[np.bool_]:
        import numpy as np

        marked = np.zeros(len(self._lengths), np.bool_)
        marked[[file_id for file_id in files if file_id < len(marked)]] = True
        return marked

    def admitted(self, files: Iterable[int]) -> set[int]:
        """Those of some files that have all words of the phrases, and no excluded word."""
        admitted = self._admitted
        return {file for file in files if admitted is None or (file < len(admitted) and admitted[file])}

    def matched(self, files: Iterable[int]) -> dict[int, list[str]]:
        """Of each file, those of the words, as asked, that it holds in some form."""
        found: dict[int, list[str]] = {file_id: [] for file_id in files}
        wanted = self._marked(found)
        for word, token in self._question.words:
            having = self._files(token)
            for file_id in having[wanted[having]].tolist():
                found[file_id].append(word)
        return found

    def shares(self, files: Iterable[int]) -> dict[int, float]:
        """Of each file, the share of the question's words that it has in some form, each counting by its rarity."""
        shares = dict.fromkeys(files, 0.0)
        wanted, most = self._marked(shares), max(self._lexicon.files, _TELLING)
        having = [part.files for part in self._parts]
        rarities = [math.log(1 + (most - len(some) + 0.5) / (len(some) + 0.5)) for some in having]
        for some, rarity in zip(having, rarities, strict=True):
            share = rarity / sum(rarities)
            for file_id in some[wanted[some]].tolist():
                shares[file_id] += share
        return shares


def _least(scores: Floats, keep: int) -> float:
    """The lowest of the `keep` highest scores; 0 if there are fewer."""
    import numpy as np

    return float(np.partition(scores, -keep)[-keep]) if len(scores) >= keep else 0.0


def _first(scores: Floats, limit: int) -> dict[int, float]:
    """The files with the `limit` highest scores above 0, best first; equal ones by number."""
    import numpy as np

    files = np.flatnonzero(scores > 0)  # of numbers themselves it takes five times as long
    if len(files) > limit:
        least = _least(scores[files], limit)
        files = np.concatenate([files[scores[files] > least], files[scores[files] == least]])[:limit]
    order = files[np.argsort(-scores[files], kind="stable")]
    return dict(zip(order.tolist(), scores[order].tolist(), strict=True))
