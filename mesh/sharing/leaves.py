"""Trees as dictionaries, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..git import names
from ..git.objects import Entry
from ..git.repository import Repository
from ..git.trees import FILE, Leaf, Leaves, Sets
from ..scan import is_memory

_REMEMBERED = 5
_REGULAR = {FILE, "100664", "100755"}


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


def differing(one: Mapping[str, Leaf], other: Mapping[str, Leaf]) -> Iterator[str]:
    """The paths at which two trees differ, in order."""
    yield from sorted(path for path in {*one, *other} if one.get(path) != other.get(path))


def with_sets(leaves: Leaves, sets: Sets) -> Leaves:
    result = {path: leaf for path, leaf in leaves.items() if path not in sets}
    return result | {path: leaf for path, leaf in sets.items() if leaf}


def sets_between(before: Leaves, after: Leaves) -> dict[str, Leaf | None]:
    return {path: after.get(path) for path in differing(before, after)}


def paths_given(paths: Iterable[str]) -> bytes:
    """What `-z --stdin` reads."""
    return "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
