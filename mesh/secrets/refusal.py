"""Whether a memory may be shared as it is, and how a person says that what was found in it is no secret."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .. import codec
from ..errors import MalformedMemory, SecretFound
from ..memory import Memory
from .finding import Found, find

ALLOW_KEY = "allow_secrets"  # in front matter: the fingerprints that are allowed in this memory


def needed(memory: Memory, given: Iterable[str] | None = None, before: Memory | None = None) -> list[str]:
    """What `allow_secrets` of a memory that is to be written must say: nothing if it need not say more than it does.

    `given`: the fingerprints that somebody allows. `before`: the memory that it replaces, whose own secrets are not
    news. What is local_only may hold any. Raises `SecretFound`.
    """
    if memory.local_only:
        return []
    own, allowed = allowed_by(memory), _names(given or ())
    found = list(_found(memory, own))
    news = [(place, one) for place, one in found if one.fingerprint not in allowed]
    if news and before is not None:
        old = {one.fingerprint for _, one in _found(before, frozenset())}
        news = [(place, one) for place, one in news if one.fingerprint not in old]
    if news:
        raise SecretFound([(place, one.kind, one.excerpt, one.fingerprint) for place, one in news])
    more = [one.fingerprint for _, one in found if one.fingerprint in allowed]
    return [*sorted(own), *dict.fromkeys(more)] if more else []


def allowed_by(memory: Memory) -> frozenset[str]:
    """The fingerprints that a memory's own front matter allows."""
    return _names(memory.extra.get(ALLOW_KEY))


def in_file(data: bytes, path: str) -> list[Found]:
    """What in a file that is to leave this machine looks like a secret and is not allowed by its own front matter.

    Of any file; in one that is no memory nothing is allowed. Lines count from its beginning.
    """
    try:
        allowed = allowed_by(codec.read(data, path))
    except MalformedMemory:
        allowed = frozenset()
    return find(data.decode("utf-8", "replace"), allowed)


def _names(values: object) -> frozenset[str]:
    """Fingerprints in a list, or separated by commas in one string; anything else names none."""
    if isinstance(values, str):
        values = values.split(",")
    return (
        frozenset(str(one).strip().lower() for one in values) if isinstance(values, (list, tuple, set)) else frozenset()
    )


def _found(memory: Memory, allowed: frozenset[str]) -> Iterator[tuple[str, Found]]:
    """What is found, and where: a line of the content, or another part."""
    for one in find(memory.content, allowed):
        yield f"content, line {one.line}", one
    others = {"title": memory.title, "source": memory.source, "agent": memory.agent}
    others |= {"tags": "\n".join(memory.tags), "evidence": "\n".join(memory.evidence)}
    others |= {key: f"{key}: {value}" for key, value in memory.extra.items() if key != ALLOW_KEY}
    for place, text in others.items():
        if text:
            yield from ((place, one) for one in find(text, allowed))
