"""How things stand with what is shared, for a person who asks. Nothing is fetched, written or locked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import codec
from ..errors import MalformedMemory, MeshError
from ..git.remotes import seen
from ..git.trees import Leaves
from ..rivals import RIVAL_OF, rival_of
from ..scan import is_memory
from . import hooks, last_sync
from .folder import Edits, edits, listed
from .leaves import Listed, differing, with_sets
from .repository import HELD, Shared
from .stamps import Stamps
from .turns import syncer_of

Row = dict[str, Any]

_AT_ONCE = 4
_MARKED = ("-e", "^<<<<<<< ", "-e", f"^{RIVAL_OF}:")
_UNKNOWN = (
    *("branch", "remote", "unpushed_commits", "unpushed_memories", "uncommitted", "kept_back", "conflicts"),
    *("quarantined", "hooks"),
)


def states(home: Path, namespaces: Sequence[str]) -> list[Row]:
    """Of each shared namespace, a row as `state` gives it."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # git does the work
        return list(pool.map(lambda name: state(home, name), namespaces))


def state(home: Path, namespace: str) -> Row:
    """Everything about one, as far as it can be told; None is what cannot, and `problem` says why.

    `kept_back`: what would not be committed now, with the reason. `conflicts`, `quarantined`: how many files are
    rivals, and how many hold conflict markers. `hooks`: whether those for plain git are there; None also if nobody
    wants them. `last_sync`: None, or `at, error, message, pushed, received`. `synced_by`: None, or
    `pid, program, every_seconds` of the process that syncs it on an interval.
    """
    last, by = last_sync.read(home, namespace), syncer_of(home, namespace)
    row: Row = {"namespace": namespace, "problem": "", **dict.fromkeys(_UNKNOWN)}
    row |= {"last_sync": last and asdict(last), "synced_by": by and asdict(by)}
    with _problem_noted(row):
        shared = Shared.open(home, namespace)
        for facts in (_of_branch, _of_address, _of_files, _of_hooks):
            with _problem_noted(row):
                row |= facts(shared)
    return row


@contextmanager
def _problem_noted(row: Row) -> Iterator[None]:
    """What keeps something from being told is told instead, the first of several."""
    try:
        yield
    except (MeshError, OSError) as error:  # the latter of a git that dies while it is read from
        row["problem"] = row["problem"] or str(error)


def _of_files(shared: Shared) -> Row:
    rivals, quarantined = 0, 0
    for path in _marked(shared):
        try:
            data = shared.vault.bytes_of(f"{shared.namespace}/{path}")
        except OSError:
            continue  # it went meanwhile, or cannot be read: `kept_back` says so
        try:
            rivals += bool(rival_of(codec.read(data, path)))
        except MalformedMemory:
            quarantined += bool(codec.conflict_line(data.decode("utf-8", "replace")))
    return {"conflicts": rivals, "quarantined": quarantined}


def _of_hooks(shared: Shared) -> Row:
    return {"hooks": hooks.are_there(shared.git)}


def _marked(shared: Shared) -> Iterator[str]:
    """The memory files with a line that a conflict leaves, whether git knows them or not."""
    options = ("--untracked", "--no-exclude-standard", "--full-name", "-z", "-a", "--files-with-matches", "--no-color")
    said = shared.git.run("grep", *options, *_MARKED, accepted=(0, 1))
    yield from filter(is_memory, (path.decode("utf-8", "surrogateescape") for path in said.split(b"\0")[:-1]))


def _of_address(shared: Shared) -> Row:
    """Where it goes to; without what may be a password."""
    return {"remote": re.sub(r"^(https?://)[^/@]*@", r"\1", shared.url)}


def _of_branch(shared: Shared) -> Row:
    branch, head = shared.branch, shared.head
    leaves = Listed.of(shared.repository, head).leaves
    found = _edits(shared, head, leaves)
    row: Row = {"branch": branch, "uncommitted": len(found.going), "kept_back": [asdict(one) for one in found.back]}
    if (what := shared.repository.under_way()) not in ("", "a git command"):
        row["problem"] = f"{shared.place}: {what} is under way here. Finish or abort it"
    return row | (_unpushed(shared, head, leaves) if shared.url else {})


def _edits(shared: Shared, head: str | None, leaves: Leaves) -> Edits:
    stamps, snapshot = Stamps(shared), listed(shared)
    if stamps.is_clean(head, shared.repository.commit_of(HELD), snapshot):
        return Edits()
    return edits(shared, leaves, with_sets(leaves, shared.held(leaves)), shared.index(), snapshot, stamps)


def _unpushed(shared: Shared, head: str | None, leaves: Leaves) -> Row:
    known = seen(shared.repository, shared.branch)
    if head is None or head == known:
        return {"unpushed_commits": 0, "unpushed_memories": 0}
    said = shared.git.run("rev-list", "--count", head, *([f"^{known}"] if known else []), "--")
    before = Listed.of(shared.repository, known).leaves
    memories = sum(is_memory(path) for path in differing(before, leaves))
    return {"unpushed_commits": int(said), "unpushed_memories": memories}
