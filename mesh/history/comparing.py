"""What differs between two states of a namespace, memory by memory."""

from __future__ import annotations

from dataclasses import dataclass

from .. import codec
from ..errors import MalformedMemory
from ..git import reading
from ..git.objects import blob_name
from ..memory import Memory, derived_id
from ..workspace import Workspace
from .changes import FORGOT, LEARNED, MOVED, UPDATED, Pair, Version, Versions, joined
from .past import Past

_FIELDS = ("title", "type", "tags", "agent", "confidence", "expires", "supersedes", "source", "evidence")


@dataclass(frozen=True, slots=True)
class Difference:
    """A memory that is not in both states, or not the same in both. `fields`: what each known key was and is."""

    before: Version | None
    after: Version | None
    fields: dict[str, tuple[object, object]]

    @property
    def happened(self) -> str:
        if not self.before or not self.after:
            return LEARNED if self.after else FORGOT
        return MOVED if self.before.blob == self.after.blob else UPDATED


def diff(workspace: Workspace, old: str | None = None, new: str | None = None) -> list[Difference]:
    """From `old` (the last commit) to `new` (the files as they are now), by path."""
    past = Past(workspace)
    first = past.commit(old, "diff") if old else past.head
    with Versions(past) as versions:
        one = {path: blob for path, (blob, _) in reading.memories_in(past.repository, first).items()}
        if new:
            found = reading.memories_in(past.repository, past.commit(new, "diff"))
            other = {path: versions.of(path, blob) for path, (blob, _) in found.items() if one.get(path) != blob}
            there = set(found)
        else:
            there, other = _now(workspace, past, one)
        changed = [path for path in one if path in other or path not in there]
        pairs: list[Pair] = [(versions.of(path, one[path]), other.get(path)) for path in changed]
        pairs += [(None, version) for path, version in other.items() if path not in one]
        return [Difference(before, after, _fields(before, after)) for before, after in joined(pairs)]


def _now(workspace: Workspace, past: Past, committed: dict[str, str]) -> tuple[set[str], dict[str, Version]]:
    """The paths of all files that there are now, and those files that are not as committed. Without `_local/`."""
    there, changed = set[str](), dict[str, Version]()
    like = past.head
    for path in workspace.vault.scan(workspace.namespace).files:
        name = past.in_repository(path)
        if path != past.in_home(name):
            continue
        try:
            data = workspace.vault.bytes_of(path)
        except OSError:
            continue
        there.add(name)
        blob = blob_name(data, like)
        if committed.get(name) != blob:
            memory = _read(data, path)
            if memory is None or not memory.local_only:
                changed[name] = Version(name, blob, memory.id if memory else derived_id(path), memory)
    return there, changed


def _read(data: bytes, path: str) -> Memory | None:
    try:
        return codec.read(data, path)
    except MalformedMemory:
        return None


def _fields(before: Version | None, after: Version | None) -> dict[str, tuple[object, object]]:
    if not before or not after or not before.memory or not after.memory:
        return {}
    values = {key: (getattr(before.memory, key), getattr(after.memory, key)) for key in _FIELDS}
    return {key: (was, now) for key, (was, now) in values.items() if was != now}
