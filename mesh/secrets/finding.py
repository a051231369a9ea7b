"""From a text to what was found in it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .candidate import Candidate

MOST_FOUND = 20  # are told of one text
_ROUNDS = 10_000  # so that a fingerprint in a log is no quick way to a short password
_PUNCTUATION = ".,;:!?()[]\"'`*"
_SALT = b"mesh: a secret's name"


class Found(NamedTuple):
    """`line`: of the text, from 1. `excerpt`: what may be shown. `fingerprint`: the name by which it can be allowed."""

    kind: str
    line: int
    excerpt: str
    fingerprint: str


def find(text: str, allowed: Collection[str] = ()) -> list[Found]:
    """What looks like a secret and is not `allowed` by its fingerprint, in the order of the text.

    The same secret once; at most `MOST_FOUND`.
    """
    found: dict[str, Found] = {}
    for one in _apart(text) if any(map(may_hold, text.split())) else ():
        name = fingerprint(text[one.start : one.end])
        if name not in allowed and name not in found:
            found[name] = Found(one.kind, text.count("\n", 0, one.start) + 1, one.excerpt, name)
        if len(found) == MOST_FOUND:
            break
    return list(found.values())


def fingerprint(secret: str) -> str:
    """12 characters that name a secret without telling it."""
    return hashlib.pbkdf2_hmac("sha256", secret.encode("utf-8", "replace"), _SALT, _ROUNDS).hex()[:12]


def may_hold(word: str) -> bool:
    """Whether any part of a word can belong to a secret: every rule needs one such word, and many texts have none."""
    if len(word) < 8 or any(map(str.isdigit, word)):
        return len(word) >= 8
    letters = word.strip(_PUNCTUATION).replace("/", "").replace("-", "")
    plain = letters.islower() or (letters[1:].islower() and len(letters) < 16)
    return len(word) >= 20 or (len(word) >= 12 and not (letters.isalpha() and plain))


def _apart(text: str) -> Iterator[Candidate]:
    """The candidates, none of which overlap: of two that do, the one whose kind is better known."""
    from . import forms, library, named

    taken: list[Candidate] = []
    for source in (forms, library, named):
        for one in source.candidates(text):
            if all(one.end <= other.start or other.end <= one.start for other in taken):
                taken.append(one)
    yield from sorted(taken, key=lambda one: one.start)
