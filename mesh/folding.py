"""Which memories say the same, so that one of them can stand for all. Pure.

To say the same is to have the same words in the same order: case, white space, punctuation, marks of Markdown, articles
and a few ways of writing a word aside. How near two texts are in meaning does not tell: all-MiniLM-L6-v2 gives 0.975 to
"100 requests/min" and "100 requests per minute", but 0.981 to an increased and a decreased timeout, 0.993 to farewells
to two people, and 0.998 to "before the deploy" and "after the deploy" in a longer text. Another word is another memory.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime
from typing import TypeVar

from .memory import Memory

T = TypeVar("T")

LOOKED_BEYOND = 2  # candidates after the last that is given: what says the same usually stands beside it
MOST_CHARACTERS = 4_000  # of a text that is looked at word by word; a longer one says what the very same text says

_EMPHASIS = re.compile(r"(\*{1,3})(?=\S)(.{1,100}?)(?<=\S)\1")
_LINE_MARKS = re.compile(r"(?m)^(?:[ \t]*(?:#{1,6}|>|[-*+])(?=[ \t]))+")
_A_UNIT = re.compile(r"(?<=\w)/(?=(?:sec|second|min|minute|hr|hour|day|week|month|year)\b)")
_OPENING, _CLOSING = "\"'“‘«([{", "\"'”’»)]}.,;:!…。、"  # not "?": a question does not say what a statement says
_DASHES = frozenset("-–—")
_SAID_OTHERWISE = (("can't", "cannot"), ("won't", "will not"), ("n't", " not"), ("cannot", "can not"))
_SPELLED_OUT = {"min": "minute", "mins": "minutes", "sec": "second", "secs": "seconds", "hr": "hour", "hrs": "hours"}
_SPELLED_OUT |= {"&": "and"}
_SAY_NOTHING = frozenset(("the", "an", "is", "are"))  # not "a": there are plans A and vitamins A


def words(text: str) -> tuple[str, ...]:
    """What a text says, word by word; the text itself if it has no words, or is long."""
    if len(text) > MOST_CHARACTERS:
        return (text,)
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").replace("`", "").casefold()
    plain = _EMPHASIS.sub(r"\2", _LINE_MARKS.sub("", plain))
    for written, meant in _SAID_OTHERWISE:
        plain = plain.replace(written, meant)
    parts = (part.lstrip(_OPENING).rstrip(_CLOSING) for part in _A_UNIT.sub(" per ", plain).split())
    kept = [_SPELLED_OUT.get(part, part) for part in parts if part and part not in _DASHES]
    return tuple(word for word in kept if word not in _SAY_NOTHING) or (text,)


def what_it_says(memory: Memory, now: datetime, *, superseded: bool) -> Hashable:
    """Equal for two memories of which one may stand for the other.

    What holds does not stand for what no longer does, nor what may be shared for what may not. In a source, such as a
    conversation, who says something, when and in which words is a part of it: to say it again is another event.
    """
    return said(memory), memory.type, memory.local_only, superseded, memory.is_stale(now)


def said(memory: Memory) -> Hashable:
    """Its words; of a source, such as a conversation, also who said them and on which day."""
    text = f"{memory.title}\n{memory.content}".strip()
    if memory.source:
        return text, memory.agent, memory.born and memory.born.date()
    return words(text)


def folded(found: Iterable[T], n: int, says: Callable[[T], Hashable]) -> list[list[T]]:
    """The first `n` that say something of their own, each followed by those that say the same.

    Looks at no more than `LOOKED_BEYOND` others after the last of them.
    """
    kept: dict[Hashable, list[T]] = {}
    others = 0
    for one in found:
        said = says(one)
        if said in kept or len(kept) < n:
            kept.setdefault(said, []).append(one)
        elif (others := others + 1) == LOOKED_BEYOND:
            break
    return list(kept.values())


def name_beside(other: Memory, memory: Memory) -> str:
    """What names a memory that says the same as another: its id, or its path where they share the id."""
    return other.path if other.id == memory.id else other.id
