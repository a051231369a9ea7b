"""Trees as dictionaries, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..git import names
from ..git.objects import Entry
from ..git.repository import FILE, Repository
from ..items import is_memory

_REMEMBERED = 5
_REGULAR = {FILE, "100664", "100755"}


class Leaf(NamedTuple):
    mode: str
    blob: str


Leaves = dict[str, Leaf]
Sets = Mapping[str, Leaf | None]  # paths and what they are to be; None: nothing


@dataclass(frozen=True, slots=True)
class Listed:
    """A commit's tree, as git lists it and by path."""

    entries: Sequence[Entry]
    leaves: Leaves

    @classmethod
    def of(cls, repository: Repository, commit: str | None) -> Listed:
        """`commit`: its id, perhaps with ^ behind it; what that is does not change, so the last few are remembered."""
        if not commit:
            return cls([], {})
        found = repository.remembered.pop(commit, None)
        if not isinstance(found, cls):
            entries = list(repository.entries(commit))
            found = cls(entries, {text_of(entry.path): Leaf(entry.mode, entry.id) for entry in entries})
        repository.remembered[commit] = found
        for oldest in list(repository.remembered)[:-_REMEMBERED]:
            del repository.remembered[oldest]
        return found


def text_of(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def may_be_written(path: str, leaf: Leaf | None) -> bool:
    """Whether a path of a tree is one of a memory in the folder: one that sync writes, and whose absence it sees."""
    return (leaf is None or leaf.mode in _REGULAR) and is_memory(path) and not unfit(path)


def unfit(path: str) -> str:
    raw = path.encode("utf-8", "surrogateescape")
    return names.impossible(raw) or names.unfit(raw)


def blob_name(data: bytes, like: str = "") -> str:
    """The name that git gives to these bytes. `like`: any other name there, of the same length."""
    digest = hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % len(data))
    digest.update(data)
    return digest.hexdigest()


def differing(one: Mapping[str, Leaf], other: Mapping[str, Leaf]) -> Iterator[str]:
    """The paths at which two trees differ, in order."""
    yield from sorted(path for path in {*one, *other} if one.get(path) != other.get(path))


def with_sets(leaves: Leaves, sets: Sets) -> Leaves:
    result = {path: leaf for path, leaf in leaves.items() if path not in sets}
    return result | {path: leaf for path, leaf in sets.items() if leaf}


def sets_between(before: Leaves, after: Leaves) -> dict[str, Leaf | None]:
    return {path: after.get(path) for path in differing(before, after)}


def write_tree(repository: Repository, base: str | None, sets: Sets) -> str:
    """The tree of a commit with some paths set, off the work tree, each with its mode."""
    import os
    import secrets

    index = repository.git.git_dir / f"mesh-index-{os.getpid()}-{secrets.token_hex(4)}"
    env = {"GIT_INDEX_FILE": str(index)}
    try:
        if base:
            repository.git.run("read-tree", base, env=env)
        repository.git.run("update-index", "-z", "--index-info", given=index_info(sets, base or ""), env=env)
        return repository.git.run("write-tree", env=env).decode().strip()
    finally:
        index.unlink(missing_ok=True)


def index_info(sets: Sets, like: str) -> bytes:
    """What `update-index -z --index-info` reads; first what goes, so that a folder may take a file's place."""
    nothing = "0" * (len(like) or len(next((leaf.blob for leaf in sets.values() if leaf), "0" * 40)))
    ordered = sorted(sets.items(), key=lambda pair: (pair[1] is not None, pair[0]))
    lines = [f"{leaf.mode} {leaf.blob}\t{path}\0" if leaf else f"0 {nothing}\t{path}\0" for path, leaf in ordered]
    return "".join(lines).encode("utf-8", "surrogateescape")


def paths_given(paths: Iterable[str]) -> bytes:
    """What `-z --stdin` reads."""
    return "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
