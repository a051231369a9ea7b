"""What each commit did to which memory: learned, updated, moved, forgot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from .. import codec
from ..errors import AmbiguousId, MalformedMemory, NotFound
from ..git import reading
from ..git.objects import Objects
from ..git.reading import Commit, Touched
from ..memory import MIN_PREFIX, Memory, derived_id
from .past import Past

LEARNED, UPDATED, MOVED, FORGOT = "learned", "updated", "moved", "forgot"
_KEPT = 4096  # memories read, kept for the next commit: what is new in one is old in the next


@dataclass(frozen=True, slots=True)
class Version:
    """A memory's file at one time. `memory` is None where its front matter cannot be understood.

    `path`: in the repository. `id`: then by its path.
    """

    path: str
    blob: str
    id: str
    memory: Memory | None


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit did to one memory. `moved`: its path is another one, whatever else happened."""

    commit: Commit
    before: Version | None
    after: Version | None

    @property
    def latest(self) -> Version:
        version = self.after or self.before
        assert version
        return version

    @property
    def id(self) -> str:
        return self.latest.id

    @property
    def moved(self) -> bool:
        return bool(self.before and self.after and self.before.path != self.after.path)

    @property
    def happened(self) -> str:
        if not self.before or not self.after:
            return LEARNED if self.after else FORGOT
        return MOVED if self.before.blob == self.after.blob else UPDATED

    @property
    def who(self) -> str:
        """The memory's agent, where this brought that name in; else the commit's author."""
        before, after = (one.memory if one else None for one in (self.before, self.after))
        return who(before, after, self.commit.author)

    def is_by(self, agent: str) -> bool:
        return agent.casefold() in {self.who.casefold(), self.commit.author.casefold()}


def who(before: Memory | None, after: Memory | None, author: str) -> str:
    """Who made `after` of `before`, in a commit of `author`."""
    new = after.agent if after else ""
    return new if new and (before is None or before.agent != new) else author


class Versions:
    """Reads memories' files out of a repository. A context manager."""

    def __init__(self, past: Past) -> None:
        self._past, self._blobs = past, Objects(past.repository.git)
        self._memory = lru_cache(_KEPT)(self._read)

    def __enter__(self) -> Versions:
        return self

    def __exit__(self, *_: object) -> None:
        self._blobs.close()

    def data(self, blob: str) -> bytes:
        return self._blobs.beginning(blob, codec.MAX_FILE_BYTES + 1)

    def of(self, path: str, blob: str) -> Version:
        memory = self._memory(path, blob)
        return Version(path, blob, memory.id if memory else derived_id(self._past.in_home(path)), memory)

    def _read(self, path: str, blob: str) -> Memory | None:
        try:
            return codec.read(self.data(blob), self._past.in_home(path))
        except MalformedMemory:
            return None

    def changes(self, commit: Commit, touched: Iterable[Touched]) -> list[Change]:
        """What a commit did, by path. What went and what came are one memory that moved, if they are one by id."""
        pairs = [(self._side(one.path, one.old), self._side(one.path, one.new)) for one in touched]
        return [Change(commit, before, after) for before, after in joined(pairs)]

    def _side(self, path: str, blob: str | None) -> Version | None:
        return self.of(path, blob) if blob else None


Pair = tuple[Version | None, Version | None]


def joined(pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs of before and after at one path, made into pairs of one memory: by id, or by its very bytes."""
    sides = [(before, after) for before, after in pairs if before and after]
    same = [pair for pair in sides if _is_one(*pair)]
    split = [pair for pair in sides if not _is_one(*pair)]  # another memory lies there now
    gone = [before for before, after in pairs if before and not after] + [before for before, _ in split]
    came = [after for before, after in pairs if after and not before] + [after for _, after in split]
    moved: list[Pair] = []
    for key in (_id_of, _blob_of):
        at = {key(one): one for one in reversed(gone) if key(one)}
        pairs_here = [(at.pop(key(after)), after) for after in came if key(after) in at]
        moved += pairs_here
        gone, came = _without(gone, [pair[0] for pair in pairs_here]), _without(came, [pair[1] for pair in pairs_here])
    found: list[Pair] = [*same, *moved, *((one, None) for one in gone), *((None, one) for one in came)]
    return sorted(found, key=lambda pair: [one.path for one in (pair[1], pair[0]) if one])


def _is_one(before: Version, after: Version) -> bool:
    """Whether the file at one path is still the same memory. An id that was lost or given is no other memory."""
    known = [one.memory for one in (before, after) if one.memory and not one.memory.derived_id]
    return len(known) < 2 or before.id.lower() == after.id.lower()


def _id_of(version: Version) -> str:
    return version.id.lower()


def _blob_of(version: Version) -> str:
    """What names a file without an id, wherever it lies; "" for one that has an id."""
    return version.blob if version.memory is None or version.memory.derived_id else ""


def _without(versions: Sequence[Version], some: Sequence[Version]) -> list[Version]:
    left_out = {id(one) for one in some}
    return [one for one in versions if id(one) not in left_out]


# --- the log ---------------------------------------------------------------------------------------------------------


def log(
    past: Past,
    *,
    memory: str | None = None,
    agent: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    start: str | None = None,
) -> Iterator[Change]:
    """What happened to memories, the latest first.

    `memory`: an id, its first characters, or a path, in any time; raises `NotFound`, `AmbiguousId`.
    """
    found = _all(past, start or past.head)
    for change in found if memory is None else of_memory(list(found), memory, past):
        at = change.commit.when
        if (since is None or at >= since) and (until is None or at < until) and (not agent or change.is_by(agent)):
            yield change


def _all(past: Past, start: str) -> Iterator[Change]:
    with Versions(past) as versions:
        for commit, touched in reading.commits(past.repository, start):
            yield from versions.changes(commit, touched)


def of_memory(changes: Sequence[Change], name: str, past: Past) -> list[Change]:
    """Those of one memory, followed over its names: a file without an id is another one by its next path."""
    wanted, found = {_named(changes, name, past).lower()}, []
    for change in changes:
        ids = {one.id.lower() for one in (change.before, change.after) if one}
        if ids & wanted:
            wanted |= ids
            found.append(change)
    return found


def _named(changes: Sequence[Change], name: str, past: Past) -> str:
    """The id that a name stands for, in any time."""
    versions = [one for change in changes for one in (change.after, change.before) if one]
    if "/" in name or name.lower().endswith(".md"):
        path = past.in_repository(name)
        ids = [one.id for one in versions if one.path == path][:1]
    else:
        ids = [one.id for one in versions if one.id.lower() == name.lower()][:1]
        if not ids and len(name) >= MIN_PREFIX:
            ids = list({one.id.lower(): one.id for one in versions if one.id.lower().startswith(name.lower())}.values())
    if len(ids) > 1:
        raise AmbiguousId(name, sorted(ids))
    if not ids:
        cause = f"no memory {name!r} at any time in the history of namespace {past.namespace!r}"
        raise NotFound(cause, remedy="See all of it with: mesh log")
    return ids[0]
