"""One key of front matter in three versions: what its value becomes. docs/MERGING.md has the rules as a table.

A value that only one side changed is that side's. Where both changed it, the key's rule decides. Every rule gives the
same whichever side comes first, and the same again when its result is merged with either side once more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from . import codec
from .front_matter import Document, Value, split
from .front_matter.edit import Change
from .memory import Memory, decimal

SETS = frozenset({"tags", "supersedes", "evidence"})
ALLOW_SECRETS = "allow_secrets"  # a set of fingerprints under a key of the user's; see FORMAT.md, 4


class NoRule(Exception):
    """Both sides changed this key, and no value would be right for both."""


@dataclass(frozen=True)
class Version:
    """One of the versions of a memory."""

    text: str
    memory: Memory

    @classmethod
    def of(cls, text: str) -> Version:
        """Raises `MalformedMemory`."""
        return cls(text, codec.read(text.encode(), ""))

    @cached_property
    def document(self) -> Document:
        return split(self.text)

    @property
    def rank(self) -> tuple[float, str]:
        """Smaller leads: it was changed later, or else its id is the older one."""
        updated = self.memory.updated
        return -updated.timestamp() if updated else 0.0, self.memory.id.lower()

    def raw(self, key: str) -> Value | None:
        return self.document.fields.values.get(key)

    def has(self, key: str) -> bool:
        """Whether the key says something. Raises `NoRule` for a value that is not understood."""
        if any(problem.key == key for problem in self.memory.problems):
            raise NoRule(key)
        value = self.raw(key) or ""
        return not (value in ([], {}) or (isinstance(value, str) and value in codec.NOTHING))


def merged(base: Version | None, first: Version, second: Version) -> dict[str, Change]:
    """What becomes of every key that a version has; None: it is gone. `first`: the one of lower rank.

    Raises `NoRule`.
    """
    keys = [key for one in (base, first, second) if one for key in one.document.fields.values]
    return {key: _value(key, base, first, second) for key in dict.fromkeys(keys)}


def _value(key: str, base: Version | None, first: Version, second: Version) -> Change:
    old, one, other = base.raw(key) if base else None, first.raw(key), second.raw(key)
    if one == other:
        return one
    if key == "id" and one and other:
        return _older_id(key, base, first, second)
    if old in (one, other):
        return other if one == old else one
    return RULES.get(key, _set)(key, base, first, second)


# --- the rules, for two versions that changed a key in two ways ------------------------------------------------

Rule = Callable[[str, Version | None, Version, Version], Change]


def _none(key: str, base: Version | None, first: Version, second: Version) -> Change:
    raise NoRule(key)


def _older_id(key: str, base: Version | None, first: Version, second: Version) -> Change:
    """Both sides gave an id to what had none. But if there was one, these are two memories."""
    if base and base.has(key):
        raise NoRule(key)
    return min((one.memory.id for one in (first, second) if one.has(key)), key=lambda name: (name.lower(), name))


def _earlier(key: str, base: Version | None, first: Version, second: Version) -> Change:
    return min(_moments(key, first, second), default=(0, None))[1]


def _later(key: str, base: Version | None, first: Version, second: Version) -> Change:
    moments = _moments(key, first, second)
    latest = max(moments, default=(0, None))[0]
    return min((text for moment, text in moments if moment == latest), default=None)


def _moments(key: str, first: Version, second: Version) -> list[tuple[float, str]]:
    """The times that are given, and as they are spelt."""
    texts = [str(one.raw(key)) for one in (first, second) if one.has(key)]
    return [(moment.timestamp(), text) for text in texts if (moment := codec.parse_time(text))]


def _lower(key: str, base: Version | None, first: Version, second: Version) -> Change:
    number = min(one.memory.confidence if one.has(key) else 1 for one in (first, second))
    return decimal(number) if number != 1 else None


def _of_the_later(key: str, base: Version | None, first: Version, second: Version) -> Change:
    if first.rank != second.rank:
        return first.raw(key)
    return min((str(one.raw(key)) for one in (first, second) if one.has(key)), default=None)


def _if_either(key: str, base: Version | None, first: Version, second: Version) -> Change:
    either = [one.has(key) and one.memory.local_only for one in (first, second)]
    return "true" if any(either) else None


def _set(key: str, base: Version | None, first: Version, second: Version) -> Change:
    """What either side added, without what either side removed: in the base's order, then the alphabet's."""
    old, one, other = (_items(key, version) if version else () for version in (base, first, second))
    kept = [item for item in old if item in one and item in other]
    return [*kept, *sorted({*one, *other} - {*old})] or None


def _items(key: str, version: Version) -> Sequence[str]:
    """The words of a list. Under a key of the user's, they must all be different; anything else there has no rule.

    What allows a secret twice allows it once: to find it twice is no conflict.
    """
    if not version.has(key):
        return ()
    if key in SETS:
        return [*dict.fromkeys(getattr(version.memory, key))]
    value = version.raw(key)
    words = [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
    if key == ALLOW_SECRETS and isinstance(value, list) and len(words) == len(value):
        return [*dict.fromkeys(words)]
    if not isinstance(value, list) or len({*words}) != len(value):
        raise NoRule(key)
    return words


RULES: dict[str, Rule] = {
    "created": _earlier,
    "updated": _later,
    "expires": _earlier,
    "confidence": _lower,
    "agent": _of_the_later,
    "local_only": _if_either,
    "type": _none,
    "title": _none,
    "source": _none,
}
