"""From a text to its statements, and from a statement to its frame and values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from .words import (
    DAYS,
    GRAMMAR,
    HARMLESS,
    MONTHS,
    NEGATIONS,
    NUMBERS,
    OFTEN,
    PAST,
    REASONS,
    SPANS,
    UNITS,
    VERBS,
    stem,
)

MOST_STATEMENTS = 40  # of a text
MOST_CHARACTERS = 8_000  # of a text that are looked at
REMEMBERED = 4096  # texts: each is compared with several others
MOST_WORDS = 40  # of a statement: a longer one says too much to be compared

_MARKS = re.compile(r"(?m)^[ \t]*(?:[-*+>]|\d{1,2}[.)])[ \t]+|[*`]+|^---+$|\[\[|\]\]")
_CODE = re.compile(r"(?ms)^[ \t]*(```|~~~).*?(?:^[ \t]*\1|\Z)")
_HEADING = re.compile(r"(?m)^#{1,6}[ \t]+(.+)$")
_CODE_LIKE = re.compile(r"[=<>{}|\\]|&&")  # what a "not" or a number means there is another language's matter
_ENDS = re.compile(r"(?<=[.!?])[ \t]+(?=[A-Z\"'(])|\n")
_TOKEN = re.compile(
    r"""(?P<date>\b[0-9]{4}-[0-9][0-9]-[0-9][0-9]\b)
    |(?P<clock>\b[0-9]{1,2}:[0-9][0-9]\b(?:[ ]?[ap]m\b)?)
    |(?P<number>(?<![\w.-])[0-9][0-9,]*(?:\.[0-9]+)*(?=[a-zµ%]{0,3}(?![\w-])))(?P<glued>[a-zA-Zµ%]{0,3})
    |(?P<whole>/?[^\W_]+(?:[./:_-]+[^\W_]+)*(?:\(\))?)""",
    re.VERBOSE,
)
_PER = re.compile(r"(?<=\w)/(s|sec|min|h|hr|(?:second|minute|hour|day|week|month|year)s?)\b")
_SPELLED = {"s": "second", "sec": "second", "min": "minute", "h": "hour", "hr": "hour"}
_WRITTEN = (
    (re.compile(r"[\u2019\u02bc]"), "'"),
    (re.compile(r"\bhalf an hour\b", re.I), "30 minutes"),
    (re.compile(r"\bcan't\b|\bcannot\b", re.I), "can not"),
    (re.compile(r"\bwon't\b", re.I), "will not"),
    (re.compile(r"n't\b", re.I), " not"),
    (re.compile(r"\bno longer\b", re.I), "not"),
    (re.compile(r"\bnot only\b", re.I), "also"),
)


class Token(NamedTuple):
    """`kind`: word, number, day, date, clock, often, name, not. `key`: equal for two that say the same."""

    kind: str
    key: str
    shown: str
    unit: str  # of a number: what it counts; "" where nothing follows it
    place: int  # among the statement's words, from 0


@dataclass(frozen=True)
class Statement:
    """`key`: of a line `key: value`, in small letters."""

    text: str
    words: tuple[str, ...]
    tokens: tuple[Token, ...]
    key: str

    @cached_property
    def frame(self) -> list[Token]:
        """Words that are no values; those that say nothing by themselves left out."""
        return [one for one in self.tokens if one.kind == "word" and one.key not in HARMLESS]

    @cached_property
    def verb(self) -> int:
        """The place where its subject ends: of the first verb, else 0."""
        for place, word in enumerate(self.words):
            if place and (stem(word) in VERBS or word in PAST or (word.endswith("ed") and len(word) > 4)):
                return place
        return 0

    @property
    def is_said(self) -> bool:
        """Whether it has a verb, or is a command: else it may be a caption."""
        return bool(self.verb) or stem(self.words[0]) in VERBS

    @property
    def negated(self) -> int:
        return sum(one.kind == "not" for one in self.tokens)


def heading(title: str, content: str) -> str:
    """What a memory is about, by its own word: its title, or its first heading."""
    found = None if title else _HEADING.search(content[:MOST_CHARACTERS])
    return " ".join((found[1] if found else title).split())


@lru_cache(REMEMBERED)
def whole(text: str) -> Statement:
    """All that a text says, as one."""
    return _statement(" ".join(_MARKS.sub("", text[:MOST_CHARACTERS]).split()))


@lru_cache(REMEMBERED)
def statements(content: str) -> tuple[Statement, ...]:
    """Those of a text, in order, headings and code left out."""
    plain = _HEADING.sub("", _CODE.sub("", content[:MOST_CHARACTERS].replace("\r", "")))
    found: list[Statement] = []
    for part in _ENDS.split(_MARKS.sub("", plain)):
        text = " ".join(part.split())
        if text and not text.endswith("?") and not is_code(text) and len(text.split()) <= MOST_WORDS:
            found.append(statement(text))
        if len(found) == MOST_STATEMENTS:
            break
    return tuple(one for one in found if one.tokens)


def statement(text: str) -> Statement:
    kept = REASONS.sub("", text)
    return _statement(kept if len(kept.split()) > 2 else text)


def is_code(text: str) -> bool:
    return bool(_CODE_LIKE.search(text))


def _statement(text: str) -> Statement:
    plain = text
    for form, instead in _WRITTEN:
        plain = form.sub(instead, plain)
    plain = _PER.sub(lambda found: f" per {_SPELLED.get(found[1], found[1])}", plain)
    pieces = list(_pieces(plain))
    words = tuple(piece.lower() for piece, _ in pieces)
    key, colon, value = plain.partition(": ")
    is_keyed = bool(colon and value) and len(key.split()) <= 4
    return Statement(text, words, tuple(_tokens(pieces, words)), key.strip().lower() if is_keyed else "")


Piece = tuple[str, str]  # what is written, and which kind of token that is


def _pieces(text: str) -> Iterator[Piece]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "whole"
        if match["number"]:
            yield match["number"].rstrip(","), "number"
            if match["glued"]:
                yield match["glued"], "whole"
        elif kind == "whole":
            yield match[0].removesuffix("'s"), "name" if _is_name(text, match) else "whole"
        else:
            yield match[0], kind


def _is_name(text: str, match: re.Match[str]) -> bool:
    word, before = match[0], text[: match.start()].rstrip(" \"'(")
    begins = not before or before[-1] in ".!?:"
    mixed = any(c in "/_(" or c.isdigit() for c in word) or any(c.isupper() for c in word[1:])
    return mixed or (word[0].isupper() and not begins)


def _tokens(pieces: list[Piece], words: tuple[str, ...]) -> Iterator[Token]:
    skip = 0
    for place, (shown, kind) in enumerate(pieces):
        if skip:
            skip -= 1
            continue
        word, after = words[place], words[place + 1] if place + 1 < len(words) else ""
        if date := _date(word, after):
            yield Token("date", date, f"{shown} {pieces[place + 1][0]}", "", place)
            skip = 1
        elif word == "every" and after in SPANS:
            yield Token("often", SPANS[after], f"{shown} {after}", "", place)
            skip = 1
        elif kind == "number" or word in NUMBERS:
            yield _number(pieces, words, place)
            skip = int(after in UNITS)
        elif token := _plain(shown, kind, word, place):
            yield token


def _date(word: str, after: str) -> str:
    """`3 May`, `May 3`: month and day."""
    for day, month in ((word, after), (after, word)):
        if day.isdecimal() and len(day) < 3 and int(day) <= 31 and month in MONTHS:
            return f"{MONTHS[month]:02}-{int(day):02}"
    return ""


def _number(pieces: list[Piece], words: tuple[str, ...], place: int) -> Token:
    word = words[place].replace(",", "")
    number = str(NUMBERS.get(word, word))
    after = words[place + 1] if place + 1 < len(words) else ""
    shown = pieces[place][0]
    if after in UNITS:
        dimension, factor = UNITS[after]
        with_unit = float(number) * factor if number.count(".") <= 1 else 0.0
        return Token("number", f"{dimension} {with_unit:g}", f"{shown} {pieces[place + 1][0]}", dimension, place)
    counted = [w for w in words[place + 1 : place + 3] if w not in GRAMMAR]
    unit = stem(counted[0]) if counted and after == counted[0] and stem(after) not in VERBS else ""
    unit = "%" if after in ("%", "percent") else unit
    return Token("number", f"number {number}", f"{shown} {after}" if unit else shown, unit, place)


def _plain(shown: str, kind: str, word: str, place: int) -> Token | None:
    if kind in ("date", "clock"):
        return Token(kind, word, shown, "", place)
    if word.removesuffix("s") in DAYS:
        return Token("day", word.removesuffix("s"), shown, "", place)
    if word in OFTEN:
        return Token("often", word, shown, "", place)
    if word in NEGATIONS:
        return Token("not", "not", shown, "", place)
    if word in GRAMMAR or not any(map(str.isalnum, word)):
        return None
    return Token("name" if kind == "name" else "word", stem(word), shown, "", place)
