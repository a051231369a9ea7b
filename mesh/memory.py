"""The record, and the vocabulary of Mesh.

memory     one Markdown file: its content and what its front matter says
namespace  a folder of memories that are recalled together
home       the folder that holds the namespaces, normally `~/.mesh`
path       a memory's place, relative to the home, `/` between the parts: `shared/team/deploy.md`
id         what stays the same when a memory is edited, moved or renamed
agent      who wrote it: a person or a program
content    the text itself, without front matter
problem    something in a file that a person should correct; data, never an exception
local_only never leaves this machine
stale      its effective confidence has fallen below 0.3
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

TYPES = (
    "fact",
    "preference",
    "context",
    "result",
    "instruction",
    "process",
    "decision",
    "error",
    "general",
    "secret_ref",
)
DEFAULT_TYPE = "fact"
KNOWN_KEYS = (
    "id",
    "type",
    "tags",
    "agent",
    "created",
    "updated",
    "confidence",
    "expires",
    "supersedes",
    "source",
    "evidence",
    "local_only",
    "title",
)
STALE_BELOW = 0.3
MIN_PREFIX = 4
ID_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{3,63}\Z")

_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"
_DIGITS = str.maketrans(_BASE32, "0123456789abcdefghijklmnopqrstuv")  # as int() takes them
_MADE_ID = re.compile(rf"[0-7][{_BASE32}]{{15}}\Z")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that a person should correct. `line` counts from 1; 0 means the whole file."""

    path: str
    line: int
    key: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.cause}. {self.remedy}"


@dataclass(frozen=True, slots=True)
class LastGood:
    """Why a memory is not what its file holds now, and the commit that it is from instead."""

    problem: Problem
    commit: str
    when: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """Another version of a memory, which could not be merged with it: see `rivals`."""

    id: str
    agent: str


@dataclass(frozen=True, slots=True)
class Memory:
    """One memory as its file says it. Times are aware and in UTC.

    What stands in no file is set by `served`: `last_good`, and the other `versions` in a conflict.
    """

    id: str
    content: str
    path: str = ""
    type: str = DEFAULT_TYPE
    tags: tuple[str, ...] = ()
    agent: str = ""
    created: datetime | None = None
    updated: datetime | None = None
    confidence: float = 1.0
    expires: datetime | None = None
    supersedes: tuple[str, ...] = ()
    source: str = ""
    evidence: tuple[str, ...] = ()
    title: str = ""
    local_only: bool = False
    derived_id: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    last_good: LastGood | None = None
    versions: tuple[Version, ...] = ()

    @property
    def born(self) -> datetime | None:
        """When it was made: `created`, else the time that is in an id of Mesh's own."""
        return self.created or time_of_id(self.id)

    @property
    def fades_from(self) -> datetime | None:
        """When its confidence begins to fall, if it expires: when it was last changed, else made."""
        return self.updated or self.born

    def effective_confidence(self, now: datetime) -> float:
        """`confidence`, falling in a straight line to 0 between `fades_from` and `expires`."""
        if self.expires is None:
            return self.confidence
        if now >= self.expires:
            return 0.0
        start = self.fades_from
        if start is None or start >= self.expires or now <= start:
            return self.confidence
        return self.confidence * ((self.expires - now) / (self.expires - start))

    def is_stale(self, now: datetime) -> bool:
        return self.expires is not None and self.effective_confidence(now) < STALE_BELOW

    def days_until_stale(self, now: datetime) -> float | None:
        """Days until `is_stale` turns true: None if it never will, 0 if it has."""
        if self.expires is None:
            return None
        if self.is_stale(now):
            return 0.0
        start = self.fades_from
        if start is None or start >= self.expires:  # it does not fade, it ends
            return (self.expires - now) / timedelta(days=1)
        share = 1 - STALE_BELOW / self.confidence if self.confidence > STALE_BELOW else 0.0
        return max(0.0, (start + share * (self.expires - start) - now) / timedelta(days=1))


_last_id = 0
_last_id_lock = threading.Lock()


def new_id(now_ms: int | None = None) -> str:
    """A new id: 48 bits of milliseconds, 29 random bits and room to count on, in 16 characters.

    Never twice in one process, and in the order of the calls."""
    global _last_id
    with _last_id_lock:
        moment = now_ms if now_ms is not None else time.time_ns() // 1_000_000
        number = moment << 30 | secrets.randbits(29)
        if moment == _last_id >> 30 and number <= _last_id:
            number = _last_id + 1
        _last_id = number
    return _base32(number, 16)


def derived_id(path: str) -> str:
    """The id of a file that has none: a function of its path, so that nothing need be written to it."""
    digest = hashlib.sha256(unicodedata.normalize("NFC", path).encode("utf-8", "surrogateescape")).digest()
    return "x" + _base32(int.from_bytes(digest) >> (256 - 75), 15)


def time_of_id(memory_id: str) -> datetime | None:
    """The moment in an id of Mesh's own making; None for any other id."""
    if not _MADE_ID.match(memory_id):
        return None
    milliseconds = int(memory_id[:10].translate(_DIGITS), 32)
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _base32(number: int, length: int) -> str:
    return "".join(_BASE32[number >> 5 * place & 31] for place in reversed(range(length)))


def slug(text: str, limit: int = 48) -> str:
    """`[a-z0-9-]` words of the first line that has any, cut at a word: what file names begin with."""
    plain = unicodedata.normalize("NFKD", text[:400]).encode("ascii", "ignore").decode().lower()
    for line in plain.splitlines():
        words = re.findall(r"[a-z0-9]+", line.replace("'", ""))
        if words:
            return _joined(words, limit)
    return "memory"


def _joined(words: Sequence[str], limit: int) -> str:
    name = words[0][:limit]
    for word in words[1:]:
        if len(name) + 1 + len(word) > limit:
            break
        name += "-" + word
    return name


def iso(moment: datetime) -> str:
    """`2026-11-22T07:42:10Z`: how times are written in files and answers."""
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def decimal(number: float) -> str:
    """A number in the digits that a file may have: no exponent."""
    return f"{number:.12f}".rstrip("0").rstrip(".")


def plain_tag(text: str) -> str:
    """A tag without white space around it and any `#` before it."""
    return re.sub(r"\A[#\s]+", "", text).rstrip()


def normalised(text: str) -> str:
    """Content as it counts for comparison and hashing: LF, no blank lines before, no white space after."""
    text = re.sub(r"\r+\n", "\n", text).rstrip()
    return re.sub(r"\A(?:[ \t]*\n)+", "", text)
