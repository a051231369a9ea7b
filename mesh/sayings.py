"""How times are said, and what each form means: the vocabulary of `moments`. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from .spans import Span, days, floor, shifted, third, units, whole_month

EXACT, YEARLESS, RELATIVE = range(3)

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_PARTS = {"early": 0, "beginning": 0, "start": 0, "mid": 1, "middle": 1, "late": 2, "end": 2}
_NUMBERS = "one two three four five six seven eight nine ten eleven twelve".split()
# How many, at least and at most.
_COUNTS = {word: (number, number) for number, word in enumerate(_NUMBERS, 1)}
_COUNTS |= {"a": (1, 1), "an": (1, 1), "couple": (2, 3), "few": (2, 6), "several": (3, 9)}

_IN = frozenset("in during since until till throughout last this".split())
_BESIDE = frozenset("before after by".split())
_OTHERS = frozenset("on of from between and to".split())
_BEFORE = re.compile(rf"(?<![\w-])({'|'.join(sorted(_IN | _BESIDE | _OTHERS))})\s+(?:the\s+)?\Z")
_NAMES_TOO = frozenset("mar apr may jun aug".split())
_VERBS_TOO = frozenset("mar may".split())


@dataclass(frozen=True, slots=True)
class Clock:
    """What the clock shows here, and whether the question looks back; None if it does not say."""

    now: datetime
    looks_back: bool | None

    @property
    def today(self) -> datetime:
        return floor(self.now, "day")


@dataclass(frozen=True, slots=True)
class Said:
    """A time in a text, from `begin` to `stop` of it.

    `kind`: EXACT needs no clock, YEARLESS is the last there was, RELATIVE counts from now. `weak`: a time only beside
    another that is one. `again`: the same of another year.
    """

    span: Span
    kind: int
    weak: bool = False
    again: Callable[[int], Span | None] | None = None
    preposition: str = ""
    begin: int = 0
    stop: int = 0


_Parts = Mapping[str, str]  # what the groups of a form matched; None for those that did not


def said_in(text: str, clock: Clock) -> list[Said]:
    """All times in a text in lower case, in their order."""
    found = []
    for hints, form, read in _FORMS:
        if not any(hint in text for hint in hints):
            continue
        for match in form.finditer(text):
            before = _BEFORE.search(text, max(0, match.start() - 20), match.start())
            preposition = before[1] if before else ""
            one = read(match.groupdict(), preposition, clock)
            if one and one.span.is_usable:
                found.append(replace(one, preposition=preposition, begin=match.start(), stop=match.end()))
        text = form.sub(blank, text)  # a part of it is no other time
    return sorted(found, key=lambda one: one.begin)


def blank(match: re.Match[str]) -> str:
    return "|" * len(match[0])


# --- dates -----------------------------------------------------------------------------------------------------------


def _in_numbers(said: _Parts, _preposition: str, _clock: Clock) -> Said | None:
    """2023-05-08, 2023/05/08 and 2023-05; 2023/05 is a path."""
    year, month, day = int(said["year"]), int(said["number"]), said["day"]
    if not day and said["between"] == "/":
        return None
    span = days(year, month, int(day), int(day)) if day else whole_month(year, month)
    return Said(span, EXACT) if span else None


def _day_of_month(said: _Parts, preposition: str, clock: Clock) -> Said | None:
    """8 May 2023, May 8th, 8-15 May."""
    first = int(said.get("first") or said["day"])
    last = int(said.get("last") or said["day"])
    of = partial(days, month=_month(said), first=first, last=last)
    if said["year"]:
        span = of(int(said["year"]))
        return Said(span, EXACT) if span else None
    sure = said["nth"] or preposition or said["month"][:3] not in _VERBS_TOO
    return _without_year(of, preposition, clock, sure=bool(sure))


def _month_of_year(said: _Parts, preposition: str, clock: Clock) -> Said | None:
    """May 2023, late May. A month alone needs a word before it that makes a time of it."""

    def of(year: int) -> Span:
        return _part(whole_month(year, _month(said)), said["part"])

    if said.get("year"):
        return Said(of(int(said["year"])), EXACT)
    name = said["month"][:3]
    doubtful = _NAMES_TOO if preposition in _BESIDE else _VERBS_TOO if preposition == "this" else ()
    sure = said["part"] or (preposition in _IN | _BESIDE and name not in doubtful)
    return _without_year(of, preposition, clock, sure=bool(sure))


def _without_year(of: Callable[[int], Span | None], preposition: str, clock: Clock, *, sure: bool) -> Said | None:
    """The last that has begun, or for "last May" has ended. Who asks about now or later may mean the coming one."""
    past = preposition in {"last", "this", "since"}
    for year in range(clock.now.year, clock.now.year - (1 if preposition == "this" else 9), -1):
        span = of(year)
        until = span and (span.end if preposition == "last" else span.start)
        if span and until and until <= clock.now:
            weak = not sure or (clock.looks_back is False and not past)
            return Said(span, YEARLESS, weak, of)
    return None


def _year(said: _Parts, preposition: str, _clock: Clock) -> Said | None:
    """2023 after "in" and the like; else it is a number."""
    sure = said["part"] or preposition in {*_IN, *_BESIDE, "of", "from"}
    span = _part(_whole_year(int(said["year"])), said["part"])
    return Said(span, EXACT, weak=not sure) if sure or preposition in _OTHERS else None


def _quarter(said: _Parts, _preposition: str, _clock: Clock) -> Said:
    year, number = int(said["year"] or said["before"]), int(said["quarter"] or said["number"])
    return Said(units(datetime(year, 3 * number, 1), "quarter", 0, 0), EXACT)


def _month(said: _Parts) -> int:
    return _MONTHS.index(said["month"][:3]) + 1


def _whole_year(year: int) -> Span:
    return units(datetime(year, 1, 1), "year", 0, 0)


def _part(span: Span, part: str | None) -> Span:
    return third(span, _PARTS[part.split()[0]]) if part else span


# --- counted from now ------------------------------------------------------------------------------------------------


def _near_day(said: _Parts, _preposition: str, clock: Clock) -> Said:
    """Yesterday and the like. `today` may mean nowadays: not where the question is about now."""
    word = said["word"]
    if word.startswith("last"):
        evening = clock.today - timedelta(hours=6)
        return Said(Span(evening, evening + timedelta(hours=12)), RELATIVE)
    ago = 2 if "before" in word else 1 if word == "yesterday" else 0
    return Said(units(clock.now, "day", -ago, -ago), RELATIVE, weak=not ago and clock.looks_back is False)


def _weekday(said: _Parts, preposition: str, clock: Clock) -> Said:
    """The last one before today. "On Monday" may as well be every one, or the next."""
    back = (clock.today.weekday() - _WEEKDAYS.index(said["weekday"]) - 1) % 7 + 1
    sure = preposition in {"last", "since"} or (preposition in {*_IN, *_BESIDE, "on"} and clock.looks_back)
    return Said(units(clock.now, "day", -back, -back), RELATIVE, weak=not sure)


def _weekend(_said: _Parts, _preposition: str, clock: Clock) -> Said:
    monday = floor(clock.now, "week")
    return Said(Span(monday - timedelta(days=2), monday), RELATIVE)


def _unit(said: _Parts, _preposition: str, clock: Clock) -> Said | None:
    """This week, last week; "the last week", "past week" and whatever has a number go back from now."""
    which, unit, count = said["which"], said["unit"], said["count"]
    if (which == "this" and count) or (said["many"] and not count):
        return None
    if count or which == "past" or (which == "last" and said["the"]):
        most = _count(count)[1] if count else 1
        begin, end = (clock.now, clock.now) if unit == "hour" else (clock.today, clock.today + timedelta(days=1))
        return Said(Span(shifted(begin, unit, -most), end), RELATIVE)
    place = 0 if which == "this" else -1
    return None if unit in {"hour", "day"} else Said(units(clock.now, unit, place, place), RELATIVE)


def _ago(said: _Parts, _preposition: str, clock: Clock) -> Said:
    least, most = _count(said["count"])
    return Said(units(clock.now, said["unit"], -most, -least), RELATIVE)


def _count(word: str) -> tuple[int, int]:
    """How many at least, and at most."""
    return (int(word), int(word)) if word.isdigit() else _COUNTS[word]


# --- the forms -------------------------------------------------------------------------------------------------------

_MONTH = (
    r"\b(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_ALONE = r"(?<![\w.:/-])"  # no part of a version, a path, a number
_NUMBER = r"(?P<year>19[7-9][0-9]|20[0-9][0-9])"
_YEAR = rf"{_NUMBER}(?!\w|'s|[.:/,-]\d)"
_OF_YEAR = rf"(?:\s*,\s*|\s+|\s+of\s+){_YEAR}"
_NTH = "(?:st|nd|rd|th)"
_DAY = rf"(?P<day>[0-9]{{1,2}})(?P<nth>{_NTH})?"
_PART = r"(?:\b(?P<part>early|mid|late|(?:beginning|start|middle|end)\s+of)[\s-]+)?"
_ON_WEEKDAY = rf"(?:\b(?:{'|'.join(_WEEKDAYS)}),?\s+(?:the\s+)?)?"
_COUNT = rf"(?:\ba\s+)?\b(?P<count>[0-9]{{1,3}}|{'|'.join(_COUNTS)})(?:\s+of)?"
_UNIT = r"(?P<unit>hour|day|week|month|quarter|year)"
_THINGS = "(?:[kmg]?b|bytes|lines|files|rows|tokens|items|times|words|days|hours|minutes|seconds|requests|users|people)"

HINT = re.compile(rf"[0-9]{{4}}|day\b|\b(?:ago|last|past|previous|this|tonight)\b|{_MONTH}")  # there may be a time

_Reader = Callable[[_Parts, str, Clock], "Said | None"]
_IN_A_YEAR = ("19", "20")
# What a text must have for a form to be looked for, the form, and what it means. The longer forms come first.
_READERS: Sequence[tuple[Sequence[str], str, _Reader]] = (
    (
        ("day", "night", "this"),
        r"\b(?P<word>(?:the\s+)?day\s+before\s+yesterday|yesterday|today|tonight|last\s+night"
        r"|this\s+(?:morning|afternoon|evening))\b",
        _near_day,
    ),
    (
        _IN_A_YEAR,
        rf"{_ALONE}{_NUMBER}(?P<between>[-/])(?P<number>0[1-9]|1[0-2])(?:(?P=between)(?P<day>[0-3][0-9]))?"
        r"(?:[t ]\d\d:\d\d[\d:.z+-]*)?(?![\w/-]|\.\w)",
        _in_numbers,
    ),
    (
        _MONTHS,
        rf"{_ON_WEEKDAY}{_ALONE}(?:(?P<first>[0-9]{{1,2}}){_NTH}?\s*(?:-|–|to|and|until)\s*(?:the\s+)?)?"
        rf"{_DAY}\s+(?:of\s+)?{_MONTH}(?:{_OF_YEAR})?(?!\w)",
        _day_of_month,
    ),
    (
        _MONTHS,
        rf"{_ON_WEEKDAY}{_ALONE}{_MONTH}\s+(?:the\s+)?{_DAY}(?:\s*[-–]\s*(?P<last>[0-9]{{1,2}}))?(?:{_OF_YEAR})?"
        r"(?!\w|[.:/-]\d|\s*%)",
        _day_of_month,
    ),
    (_MONTHS, rf"{_PART}(?<![\w'/]){_MONTH}{_OF_YEAR}", _month_of_year),
    (
        ("q1", "q2", "q3", "q4"),
        rf"{_ALONE}(?:q(?P<quarter>[1-4])[\s/-]*{_YEAR}|(?P<before>20[0-9]{{2}})[\s/-]*q(?P<number>[1-4])\b)",
        _quarter,
    ),
    (
        ("last", "this", "past", "previous"),
        rf"\b(?P<the>the\s+)?(?P<which>last|previous|past|this)\s+(?:{_COUNT}\s+)?{_UNIT}(?P<many>s)?\b(?!\s+of\b)",
        _unit,
    ),
    (("ago",), rf"(?<!over )(?<!than )(?<!least ){_COUNT}\s+{_UNIT}s?\s+ago\b", _ago),
    (("weekend",), r"\b(?:last|previous|past)\s+weekend\b", _weekend),
    (("day",), rf"\b(?P<weekday>{'|'.join(_WEEKDAYS)})\b", _weekday),
    (_MONTHS, rf"{_PART}(?<![\w'/]){_MONTH}(?![\w-])", _month_of_year),
    (_IN_A_YEAR, rf"{_PART}{_ALONE}{_YEAR}(?!\s+{_THINGS}\b)", _year),
)
_FORMS = [(hints, re.compile(form), read) for hints, form, read in _READERS]
