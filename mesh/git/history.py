"""How a remote's history lies to ours, and when it may not come in.

A merge is refused where the remote has lost what it had: when it was rewritten (what we saw there is no longer in it),
when it has nothing in common with ours, when the branch is gone, or when all its memories are. Ours stay as they are,
and a person decides.
"""

from __future__ import annotations

from enum import StrEnum

from ..errors import RemoteRefused
from .inspection import Inspection
from .repository import Repository


class Relation(StrEnum):
    """Of what was fetched to what is here."""

    NEW = "new"  # there is nothing here yet
    SAME = "same"
    AHEAD = "ahead"  # the remote has all of ours, and more
    BEHIND = "behind"  # we have all of the remote's, and more
    DIVERGED = "diverged"
    REWRITTEN = "rewritten"  # what the remote had when we last looked is not in it any more
    UNRELATED = "unrelated"
    GONE = "gone"  # there was a branch when we last looked
    PURGED = "purged"  # it has what was purged here


_REFUSED = {
    Relation.REWRITTEN: (
        "its history was rewritten: what it had when it was last seen is not in it any more",
        "Ask who did it, and why; then either push ours over it with git, or clone theirs anew",
    ),
    Relation.UNRELATED: (
        "its history has nothing in common with ours",
        "Check the address; to bring both together, clone it under another name and import it",
    ),
    Relation.GONE: (
        "the branch is not there any more",
        "Ask who removed it; ours can be pushed again",
    ),
}


def relation(repository: Repository, ours: str | None, fetched: str | None, seen: str | None) -> Relation:
    """`ours`: our commit. `fetched`: the remote's, None if it has none. `seen`: what that was at the last sync."""
    if fetched is None:
        return Relation.GONE if seen else Relation.BEHIND
    if seen and seen != fetched and not repository.is_ancestor(seen, fetched):
        return Relation.REWRITTEN
    if ours is None:
        return Relation.NEW
    if ours == fetched:
        return Relation.SAME
    bases = repository.merge_bases(ours, fetched)
    if not bases:
        return Relation.UNRELATED
    return Relation.AHEAD if bases == [ours] else Relation.BEHIND if bases == [fetched] else Relation.DIVERGED


def refuse(
    place: str, how: Relation, found: Inspection | None, *, had: int, accept: frozenset[Relation] = frozenset()
) -> None:
    """Raise `RemoteRefused` if what was fetched must not be merged. `had`: how many memories the remote had before.

    `accept`: what a person has agreed to.
    """
    if how in _REFUSED and how not in accept:
        cause, remedy = _REFUSED[how]
        raise RemoteRefused(place, [cause], remedy)
    if found is None:
        return
    if found.refused:
        reasons = [f"{one.path}: {one.cause}" for one in found.refused]
        raise RemoteRefused(place, reasons, found.refused[0].remedy)
    if had and not found.accepted and not found.left_out:
        raise RemoteRefused(
            place,
            [f"all of its {had:,} memories are gone"],
            "Ask who removed them; to agree, forget them here first",
        )
