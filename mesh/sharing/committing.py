"""Commit what changed in the folder: one commit for each author, by plumbing, and nothing that was not looked at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from .. import secrets
from ..git.repository import Person
from ..git.trees import Leaves, Sets, write_tree
from ..memory import Memory, Problem, new_id
from .applying import Applied, advance
from .folder import Edit, edits, listed
from .joining import joined
from .leaves import Listed, with_sets
from .repository import HELD, Shared
from .stamps import Stamps

_MAX_TITLE = 60


def commit(shared: Shared) -> tuple[Applied, list[Problem]]:
    """Commit the folder's changes to the branch; what stays back, and why.

    What was edited here while something else arrived under that path is merged with it.
    """
    stamps, snapshot = Stamps(shared), listed(shared)
    head, noted = shared.commits(shared.branch_ref, HELD)
    if stamps.is_clean(head, noted, snapshot):
        return Applied(), []
    leaves, index = Listed.of(shared.repository, head).leaves, shared.index()
    held = shared.held(leaves)
    on_disk = with_sets(leaves, held)
    found = edits(shared, leaves, on_disk, index, snapshot, stamps)
    stamps.keep(head, noted, snapshot, is_clean=not found.going and not found.back)
    if not found.going:
        return Applied(), found.back
    store(shared, found.going)
    plain = [one for one in found.going if one.path not in held]
    new = by_author(shared, head, plain)
    now_on_disk = with_sets(on_disk, _sets(found.going))
    if across := [one for one in found.going if one.path in held]:
        new = _across(shared, new, on_disk, _sets(across))
    assert new is not None  # there is something to commit
    return advance(shared, head, new, now_on_disk), found.back


def commit_first(shared: Shared) -> None:
    """The commit that a history begins with, without any file: who clones then has it in common with us."""
    told = f"Share {shared.namespace}\n\nMesh-Share: {new_id()}"  # two that begin in one second are not the same
    new = _committed(shared, None, {}, told, shared.person)
    advance(shared, None, new, {})


def store(shared: Shared, going: Sequence[Edit]) -> None:
    """Put the bytes of edits into the repository."""
    texts = [one.data for one in going if one.data is not None]
    shared.repository.write_blobs(texts)


def _sets(some: Sequence[Edit]) -> Sets:
    return {one.path: one.leaf for one in some}


def _committed(shared: Shared, parent: str | None, sets: Sets, message: str, author: Person) -> str:
    return shared.repository.commit_tree(
        write_tree(shared.git, parent, sets),
        [parent] if parent else [],
        message,
        author=author,
        committer=shared.person,
        when=datetime.now(UTC),
    )


def by_author(shared: Shared, head: str | None, going: Sequence[Edit]) -> str | None:
    """A commit for each author, one on the other. Who deleted a file is not known: it is whoever syncs."""
    by: dict[str, list[Edit]] = {}
    for one in going:
        by.setdefault(one.memory.agent if one.memory and one.leaf else "", []).append(one)
    for agent, some in sorted(by.items()):
        author = Person(agent, f"{agent}@mesh") if agent else shared.person
        head = _committed(shared, head, _sets(some), message(agent, some), author)
    return head


def _across(shared: Shared, head: str | None, on_disk: Leaves, sets: Sets) -> str:
    """A commit of edits to what is held: they are merged with what arrived in the meantime."""
    theirs = Listed.of(shared.repository, head)
    result = joined(shared.repository, [on_disk], theirs.leaves, with_sets(on_disk, sets))
    return _committed(shared, head, result.sets, "Merge what was edited meanwhile", shared.person)


def message(agent: str, some: Sequence[Edit]) -> str:
    """`learn: The lamp is lit`, or `3 memories by claude: 2 new, 1 gone`."""
    new, gone = sum(one.is_new for one in some), sum(one.leaf is None for one in some)
    if len(some) == 1:
        verb = "learn" if new else "forget" if gone else "update"
        return f"{verb}: {_title(some[0])}"
    counts = {"new": new, "changed": len(some) - new - gone, "gone": gone}
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"{len(some)} memories{f' by {agent}' if agent else ''}: {said}"


def _title(one: Edit) -> str:
    text = one.path if one.memory is None else _first_line(one.memory) or one.path
    text = "".join(c for c in text if c.isprintable())
    return text if len(text) <= _MAX_TITLE else text[: _MAX_TITLE - 1].rstrip() + "…"


def _first_line(memory: Memory) -> str:
    text = memory.title or memory.content.strip().partition("\n")[0]
    return "" if secrets.find(text) else text  # what a memory may hold by its own word is not told elsewhere
