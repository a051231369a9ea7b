"""From text to the terms that are searched for, the same for memories and for questions.

    deploys, deploying            deploy         a word: lower case, no diacritics, its English stem
    scripts/deploy.sh             script, deploy, sh, scripts_deploy_sh, deploy_sh
    ERR_CONN_42, 2026-11-22       the words, and the whole: its words with `_` between them, whatever joined them
    getUserById                   getuserbyid, get, user, by, id
    v1.2.3                        v1_2_3, 1_2_3
    --force, -la                  _force, _la    an option, as it is written for a command
    東京都                         東, 京, 都, 東京, 京都: of scripts without spaces, characters and pairs

Only a whole holds an underscore, so a word and a whole are never taken for each other. Written without numpy.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

IN_CONTENT, IN_ABOUT = 2, 1  # weights, in halves: what is written counts more than what is about it

_LONGEST_WHOLE = 100
_MOST_STEMS = 100_000  # remembered

_CJK = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_ASCII_WORD = re.compile("[a-z0-9]+")
_WORD = re.compile(rf"[^\W_{_CJK}]+")
_RUN = re.compile(f"[{_CJK}]+")
# Most texts have words only: to see that is a quarter of the work of looking for all else.
_JOINT = re.compile(r"[-_./:\\#@+][^\W_]")
# A single letter before it is no part: an iPhone is not a phone.
_BEND = re.compile("(?=[A-Z])(?:(?<=[A-Za-z][a-z])[A-Z]|(?<=[0-9])[A-Z][a-z]|[A-Z]{2}[a-z]{2})")
# Each begins at the beginning of a word only: a text may be one word of 64 KiB.
_COMPOUND = re.compile(r"(?<![^\W_])[^\W_]++(?:[-_./:\\#@+]++[^\W_]++)+")
_BETWEEN = re.compile(r"[\W_]+")
_PIECES = re.compile(r"[/\\:#@]+|(?<=\d\d-\d\d)t(?=\d\d)")  # of a path, an address, a time
_VERSION = re.compile(r"v\d+_")
_HUMP = re.compile(r"(?<=[A-Za-z][a-z])(?=[A-Z])|(?<=[0-9])(?=[A-Z][a-z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")
_OPTION = re.compile(r"(?<![^\s`'\"(\[])--?([^\W\d_]\w*(?:-\w+)*)")


class _Diacritics(dict[int, int | None]):
    """For `str.translate`: every mark to nothing, but for those that make another kana of one."""

    def __missing__(self, code: int) -> int | None:
        mark = unicodedata.category(chr(code)).startswith("M") and code not in {0x3099, 0x309A}
        self[code] = None if mark else code
        return self[code]


_diacritics = _Diacritics()


def folded(text: str) -> str:
    """In lower case, without diacritics, in one form of each character."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", plain.translate(_diacritics))


def words(text: str) -> list[str]:
    """The words of a folded text, not yet stems; without what `runs` gives."""
    return _ASCII_WORD.findall(text) if text.isascii() else _WORD.findall(text)


def runs(text: str) -> list[str]:
    """What of a folded text is in scripts without spaces."""
    return [] if text.isascii() else _RUN.findall(text)


def pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)]


def humps(text: str) -> list[str]:
    """The parts of identifiers such as getUserById in a text that is not folded."""
    if not _BEND.search(text):
        return []
    bent = (word for word in _BETWEEN.split(text) if _BEND.search(word))
    return [folded(part) for word in bent for part in _HUMP.split(word)]


def wholes(text: str) -> list[tuple[str, str]]:
    """`(as written, term)` of the identifiers, paths, versions, dates and options in a folded text."""
    if not _JOINT.search(text):
        return []
    found = [each for compound in _COMPOUND.findall(text) for each in _levels(compound)]
    if "-" in text:
        found += [(match[0], option(match[1])) for match in _OPTION.finditer(text)]
    return found


def _levels(compound: str) -> Iterator[tuple[str, str]]:
    """A whole, the pieces of it that are wholes themselves, and a version also without its v."""
    pieces = _PIECES.split(compound)
    for piece in dict.fromkeys([compound, *pieces]):
        term = joined(piece)
        if "_" in term and len(term) <= _LONGEST_WHOLE:
            yield piece, term
            if _VERSION.match(term):
                yield piece[1:], term[1:]


def joined(compound: str) -> str:
    """The term of a whole: its words, `_` between them."""
    return "_".join(filter(None, _BETWEEN.split(compound)))


def option(word: str) -> str:
    """The term of an option of a command, from its name without the dash."""
    return f"_{joined(word)}"


def tokens(text: str) -> list[str]:
    """All that a memory's text can be found by, as often as it is there; words are not yet stems."""
    plain = folded(text)
    characters = [part for run in runs(plain) for part in (*run, *pairs(run))]
    return [*words(plain), *characters, *(term for _, term in wholes(plain)), *humps(text)]


class Analyzer:
    """Makes terms of tokens: stems of English words, everything else as it is. One thread at a time."""

    def __init__(self) -> None:
        self._terms: dict[str, str] = {}
        self._stemmer: sqlite3.Connection | None = None

    def weighed(self, texts: Sequence[tuple[str, str]]) -> list[dict[str, int]]:
        """Of each `(content, about)`, how much every term weighs in it."""
        read = [(tokens(content), tokens(about)) for content, about in texts]
        terms = self._terms_of({token for both in read for some in both for token in some})
        found = []
        for content, about in read:
            weights: dict[str, int] = {}
            for some, weight in ((content, IN_CONTENT), (about, IN_ABOUT)):
                for token in some:
                    term = terms[token]
                    weights[term] = weights.get(term, 0) + weight
            found.append(weights)
        return found

    def terms(self, asked: Iterable[str]) -> list[str]:
        """The term of each token."""
        several = list(asked)
        terms = self._terms_of(set(several))
        return [terms[token] for token in several]

    def _terms_of(self, asked: set[str]) -> dict[str, str]:
        if len(self._terms) > _MOST_STEMS:
            self._terms = {}
        unknown = asked - self._terms.keys()
        english = [token for token in unknown if token.isascii() and token.isalpha()]
        self._terms |= {token: token for token in unknown}
        self._terms |= zip(english, self._stems(english), strict=True)
        return self._terms

    def _stems(self, english: list[str]) -> list[str]:
        """Porter's stems of ASCII words, which SQLite has."""
        if not english:
            return []
        if self._stemmer is None:
            self._stemmer = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            self._stemmer.execute("CREATE VIRTUAL TABLE words USING fts5 (word, content='', tokenize='porter ascii')")
            self._stemmer.execute("CREATE VIRTUAL TABLE stems USING fts5vocab (words, instance)")
        self._stemmer.execute("BEGIN")
        self._stemmer.executemany("INSERT INTO words (rowid, word) VALUES (?, ?)", enumerate(english))
        stems = dict(self._stemmer.execute("SELECT doc, term FROM stems"))
        self._stemmer.execute("ROLLBACK")
        return [stems[number] for number in range(len(english))]
