"""Which files, of today and of any commit, are versions of a memory."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from .. import codec
from ..errors import MalformedMemory, NotFound
from ..git import reading
from ..git.objects import Objects, blob_name
from ..git.repository import Repository
from ..history.changes import Change, Version, Versions, of_memory
from ..history.past import Past
from ..rivals import rival_of
from ..workspace import Workspace

MAX_BYTES = 16 * codec.MAX_FILE_BYTES  # of a file that is looked at
_LIST_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class Target:
    """`id`: as its front matter has it; "" if it has none, then `path`, in the home, is its name."""

    namespace: str
    id: str
    path: str = ""
    blobs: frozenset[str] = frozenset()

    @classmethod
    def named(cls, namespace: str, name: str, blobs: frozenset[str] = frozenset()) -> Target:
        """By what a record or a person calls it: an id, or a path in the namespace."""
        if "/" in name or name.lower().endswith(".md"):
            return cls(namespace, "", f"{namespace}/{name}", blobs)
        return cls(namespace, name, "", blobs)

    @property
    def name(self) -> str:
        """Its id, or its path in the namespace."""
        return self.id or self.path.removeprefix(f"{self.namespace}/")

    def is_version(self, data: bytes, path: str = "") -> bool:
        """Whether a file of this namespace is one. `path`: in the home; "" for one that is only known by its bytes."""
        if not data.strip():
            return False
        if (self.blobs and blob_name(data, next(iter(self.blobs))) in self.blobs) or self.names(data):
            return True
        return bool(self.path) and path == self.path and not _has_id(data, path)

    def names(self, data: bytes) -> bool:
        """Whether its front matter says that it is the memory, or its rival."""
        name = self.name
        if not name or name.lower().encode() not in data.lower():
            return False
        try:
            memory = codec.read(data, "a.md")
        except MalformedMemory:  # such as one with conflict markers: what a line of it says
            line = rb"(?im)^[ \t]*(?:%s)[ \t]*:[ \t]*[\"']?%s[\"']?[ \t\r]*(?:#.*)?$"
            keys = b"id|rival_of" if self.id else b"rival_of"
            return re.search(line % (keys, re.escape(name.encode())), data) is not None
        is_it = bool(self.id) and not memory.derived_id and memory.id.lower() == self.id.lower()
        return is_it or rival_of(memory).lower() == name.lower()


def _has_id(data: bytes, path: str) -> bool:
    try:
        return not codec.read(data, path).derived_id
    except MalformedMemory:
        return False


def find_blobs(target: Target, workspace: Workspace, repository: Repository) -> tuple[Target, list[bytes]]:
    """The target with every blob of it that the repository has, and what these hold."""
    found: dict[str, bytes] = {}
    followed = _followed(target, workspace, repository) | target.blobs
    with Objects(repository.git) as store:
        for name in _small_blobs(repository):
            data = store.whole(name)[1]
            if data.strip() and (name in followed or target.names(data)):
                found[name] = data
    return replace(target, blobs=target.blobs | frozenset(found)), list(found.values())


def _small_blobs(repository: Repository) -> list[str]:
    """Also of those that nothing leads to: they stay behind, and are not asked about."""
    form = "--batch-check=%(objecttype) %(objectsize) %(objectname)"
    said = repository.git.run("cat-file", "--batch-all-objects", "--unordered", form, limit=_LIST_LIMIT)
    lines = (line.split(" ") for line in said.decode("ascii").splitlines())
    return [name for kind, size, name in lines if kind == "blob" and int(size) <= MAX_BYTES]


def _followed(target: Target, workspace: Workspace, repository: Repository) -> frozenset[str]:
    """The blobs of a memory followed over its names, also from before it had an id, in every branch."""
    past, changes, seen = Past(workspace), list[Change](), list[str]()
    with Versions(past) as versions:
        for tip in _tips(repository):
            for commit, touched in reading.commits(repository, tip, *seen):
                changes += versions.changes(commit, touched)
            seen.append(tip)
    changes.sort(key=lambda one: one.commit.when, reverse=True)
    sides = [side for change in changes for side in (change.before, change.after) if side]
    if target.id and not any(side.id.lower() == target.id.lower() for side in sides):
        return frozenset()  # the beginning of an id is none
    try:
        of_it = of_memory(changes, target.name, past)
    except NotFound:
        return frozenset()
    sides = [side for change in of_it for side in (change.before, change.after) if side]
    return frozenset(one.blob for one in sides if not _is_another(one, target))


def _is_another(version: Version, target: Target) -> bool:
    """Whether a file that lay under a name of the memory has an id of its own."""
    own = version.memory and not version.memory.derived_id
    return bool(own) and version.id.lower() != target.id.lower()


def _tips(repository: Repository) -> list[str]:
    """Commits that lead to all others: of branches, tags, refs of any kind, and reflogs."""
    said = repository.git.run("rev-list", "--no-walk", "--all", "--reflog")
    names = said.decode().split()
    return repository.git.run("merge-base", "--independent", *names).decode().split() if len(names) > 1 else names
