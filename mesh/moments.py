"""The time that a question names: "last week", "in May 2023", "since 2023-05-08". Pure.

A name is taken for a time only where it can hardly be anything else: `may` is mostly a verb, June can be a person,
2023 a port, `30 days` a length. In doubt there is none: a time that was overlooked costs little, a wrong one misleads.

    yesterday, today, the day before yesterday, last night, last Friday, last weekend
    this or last week, month, quarter, year     as the calendar has them; a week begins on Monday
    the last week, the past 3 days              counted back from now
    3 weeks ago, a few days ago                 the week, or the days, so long ago
    in May, on 8 May, on Monday                 the last that has begun, unless the question is about now or later
    8 May 2023, May 8th, 2023-05-08, 2023-05, late May 2023, Q2 2023, in 2023
    since, after, before, until, between ... and, from ... to any of these

"Recently" and "latest" name no time: age only breaks ties.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from .sayings import EXACT, HINT, RELATIVE, YEARLESS, Clock, Said, blank, said_in
from .spans import Span

MAX_LENGTH = 1000  # characters; what is longer is a text, not a question about a time

_QUOTED = re.compile(r'["“„«][^"“”„«»]*["”“»]|`[^`]*`')
_COUNTED = re.compile(  # "the week before" is not all that was before
    r"(?:hour|day|night|morning|week|weekend|month|quarter|year)s?\s+(?:before|after)\s+(?:the\s+)?\Z"
)
_TO = re.compile(r"\s*,?\s*(?:(?:and|to|until|till|through)\s+(?:the\s+)?|[-–—]\s*)")
_AHEAD = re.compile(r"\b(?:will|won't|shall|going to|next|tomorrow|upcoming|coming)\b|'ll\b")
_NOW = re.compile(
    r"\b(?:happens|is|isn't|are|aren't|am|do|does|can|should|must|could|would|(?:what|who|when|where)'s)\b"
)
_BACK = re.compile(
    r"\b(?:did|didn't|was|wasn't|were|weren't|had|happened|(?:has|have)(?! to\b)"
    r"|(?:i|we|you|he|she|they|who)\s+(?:\w+[^\We]ed|made|said|wrote|chose|found|met|saw|took|went))\b"
)


@dataclass(frozen=True, slots=True)
class Named:
    """The span that a question names, and the `rest` of what it says.

    `relative`: it is counted from now, so that in a memory the same words would name another time.
    """

    span: Span
    rest: str
    relative: bool


def named(question: str, now: datetime) -> Named | None:
    """The time that a question names, seen from `now` (aware), by the calendar of this machine's time zone.

    What stands in quotes does not count. Several times that are not the two ends of one span are none.
    """
    text = _in_lower_case(question) if len(question) <= MAX_LENGTH else ""
    if not HINT.search(text):
        return None
    text = _QUOTED.sub(blank, text)
    clock = Clock(now.astimezone().replace(tzinfo=None), _looks_back(text))
    said = said_in(text, clock)
    span = _combined(text, said, clock)
    if span is None:
        return None
    for one in said:
        question = f"{question[: one.begin]}{' ' * (one.stop - one.begin)}{question[one.stop :]}"
    return Named(span, question, all(one.kind == RELATIVE for one in said))


def _in_lower_case(text: str) -> str:
    """The same in lower case, each character at its place."""
    return text.lower() if text.isascii() else "".join(character.lower()[0] for character in text.replace("’", "'"))


def _looks_back(text: str) -> bool | None:
    """Whether a question is about what was; None if it does not say."""
    if _AHEAD.search(text):
        return False
    return True if _BACK.search(text) else False if _NOW.search(text) else None


def _combined(text: str, said: Sequence[Said], clock: Clock) -> Span | None:
    """The one span that the times of a text make."""
    for first, last in pairwise(said):
        if _TO.fullmatch(text, first.stop, last.begin):
            return _from_to(first, last, clock) if len(said) == 2 else None
    sure = [one for one in said if not one.weak]
    exact = [one for one in sure if one.kind == EXACT]
    chosen = exact or sure  # "last Friday, on 20 January 2023" is not counted from now
    if any(_COUNTED.search(text, max(0, one.begin - 40), one.begin) for one in chosen):
        return None
    spans = {_bounded(one) for one in chosen}
    return next((span for span in spans if all(other.holds(span) for other in spans)), None)


def _bounded(one: Said) -> Span:
    """What "since", "before" and the like make of a span."""
    start, end = one.span.start, one.span.end
    match one.preposition:
        case "since":
            return Span(start, None)
        case "after":
            return Span(end, None)
        case "before":
            return Span(None, start)
        case "until" | "till" | "by":
            return Span(None, end)
    return one.span


def _from_to(first: Said, last: Said, clock: Clock) -> Span | None:
    """From the start of one to the end of the other. Where only one has a year, the other is of the same."""
    if last.kind == EXACT:
        first = _in_year_of(first, last)
    elif first.kind == EXACT:
        last = _in_year_of(last, first)
    elif YEARLESS in {first.kind, last.kind} and clock.looks_back is False:
        return None
    start, end = first.span.start, last.span.end
    if start and end and start >= end and first.again and (earlier := first.again(start.year - 1)):
        start = earlier.start  # "from November to February"
    span = Span(start, end)
    return span if span.is_usable else None


def _in_year_of(one: Said, other: Said) -> Said:
    span = one.again(other.span.start.year) if one.again and other.span.start else None
    return replace(one, span=span) if span else one
