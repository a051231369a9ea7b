"""What changed between two looks at the files of a namespace, decided without touching a disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from .scan import Stamp

Kind = Literal["added", "changed", "removed", "reset"]
MOST = 1000  # changes in one look; more of them say no more than "list again"


class Known(NamedTuple):
    """A file as it was seen. `id` "": it was listed, but not read yet. `settled`: a later write must give another
    stamp. `digest`: sha256, empty for what cannot be read."""

    stamp: Stamp
    settled: bool
    digest: bytes
    id: str
    local_only: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A memory was added, changed (edited, moved or renamed) or removed. A reset has neither id nor path."""

    kind: Kind
    id: str = ""
    path: str = ""
    local_only: bool = False


RESET = Change("reset")


def compare(before: Mapping[str, Known], after: Mapping[str, Known]) -> list[Change]:
    """The changes that lead from one look to the next: first what was removed, then what changed, what was added.

    A path whose file has another id now is one memory removed and one added. A reset alone, where it takes too many,
    or a file changed before it had been read once.
    """
    old = {path: known for path, known in before.items() if _differs(known, after.get(path))}
    new = {path: known for path, known in after.items() if _differs(before.get(path), known)}
    if any(not known.id for known in old.values()):
        return [RESET]
    edited = {path for path, known in new.items() if path in old and _folded(old[path]) == _folded(known)}
    left = {path: known for path, known in old.items() if path not in edited}
    came = {path: known for path, known in new.items() if path not in edited}
    moved = _moved(left, came, before, after)
    changes = [
        *(_change("removed", path, known) for path, known in left.items() if _folded(known) not in moved),
        *(_change("changed", path, known) for path, known in new.items() if path in edited or _folded(known) in moved),
        *(_change("added", path, known) for path, known in came.items() if _folded(known) not in moved),
    ]
    return changes if len(changes) <= MOST else [RESET]


def gone(before: Mapping[str, Known], after: Mapping[str, Known]) -> set[str]:
    """The paths of files that are no longer there, nor at another path."""
    missing = before.keys() - after.keys()
    if not missing:
        return missing
    came = {_folded(known) for path, known in after.items() if path not in before}
    return {path for path in missing if _folded(before[path]) not in came}


def filled(before: Mapping[str, Known], after: Mapping[str, Known]) -> dict[str, Known]:
    """`before`, with what was only listed then and is the same file now."""
    return {
        path: now if not known.id and (now := after.get(path)) and now.stamp == known.stamp else known
        for path, known in before.items()
    }


def shared(files: Mapping[str, Known]) -> dict[str, Known]:
    """Those that may leave this machine."""
    return {path: known for path, known in files.items() if not known.local_only}


def _differs(before: Known | None, after: Known | None) -> bool:
    if before is after:  # the usual case
        return False
    if before is None or after is None:
        return True
    return before[2:] != after[2:]


def _moved(
    left: Mapping[str, Known], came: Mapping[str, Known], before: Mapping[str, Known], after: Mapping[str, Known]
) -> set[str]:
    """The ids that left one path and came to another. Where two files have an id, neither can be followed."""
    ids = {_folded(known) for known in left.values()} & {_folded(known) for known in came.values()}
    if not ids:
        return ids
    files_before, files_after = (Counter(map(_folded, files.values())) for files in (before, after))
    return {one for one in ids if files_before[one] == files_after[one] == 1}


def _folded(known: Known) -> str:
    return known.id.lower()


def _change(kind: Kind, path: str, known: Known) -> Change:
    return Change(kind, known.id, path, known.local_only)
