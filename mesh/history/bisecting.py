"""Which commit taught the answer that a question has now."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from ..errors import InvalidInput, NotFound
from ..git import reading
from ..git.reading import Commit
from ..index.filters import Filters
from ..memory import Memory
from ..recall import Recalled, recall
from ..workspace import Workspace
from .at import PastWorkspace
from .changes import Change, Versions, log
from .past import Past


@dataclass(frozen=True, slots=True)
class Taught:
    """`commit`: since when `memory` is the first answer. `change`: what that commit did to it, if anything.

    `wrote`: what brought its text in, in that commit or an earlier one. `others`: what else that commit changed.
    `instead`: what was the first answer before.
    """

    memory: Memory
    commit: Commit
    change: Change | None
    wrote: Change | None
    others: tuple[Change, ...]
    instead: Memory | None
    asked: int


def bisect(workspace: Workspace, query: str, good: str) -> Taught:
    """Search between `good`, a revision or a date, and the last commit.

    Raises `InvalidInput` if `good` is not before it, `NotFound` if the history does not answer.
    """
    past = Past(workspace)
    start, head = past.commit(good, "good"), past.head
    if not past.repository.is_ancestor(start, head):
        raise InvalidInput(f"{good!r} is not a commit before the last one", place="good", remedy="See: mesh log")
    search = _Search(workspace, past, query, _first_now(workspace, query))
    if not search.is_first_at(head):
        raise NotFound(
            f"the answer that is first now ({search.wanted.id}) is not the first of the last commit",
            remedy="It was changed since, in files that are not committed: commit them first; mesh diff shows them",
        )
    if search.is_first_at(start):
        raise NotFound(
            f"the answer that is first now ({search.wanted.id}) was the first at {start[:12]} already",
            remedy="Give an earlier --good; mesh log shows commits",
        )
    return search.told(search.between(start, head))


def _first_now(workspace: Workspace, query: str) -> Memory:
    found = recall(workspace, query, n=1, filters=Filters(local=False))
    if not found.answered:
        raise NotFound("nothing seems to answer this now", place=f"namespace {workspace.namespace}")
    return found.hits[0].memory


class _Search:
    """One question, asked at one commit after the other."""

    def __init__(self, workspace: Workspace, past: Past, query: str, wanted: Memory) -> None:
        self._workspace, self._past, self._query, self.wanted = workspace, past, query, wanted
        self._answers: dict[str, Memory | None] = {}

    def is_first_at(self, commit: str) -> bool:
        first = self._first_at(commit)
        return bool(first) and (first.id, first.content) == (self.wanted.id, self.wanted.content) if first else False

    def _first_at(self, commit: str) -> Memory | None:
        if commit not in self._answers:
            with closing(PastWorkspace(self._workspace, commit)) as workspace:
                found: Recalled = recall(workspace, self._query, n=1, filters=Filters(local=False))
            self._answers[commit] = found.hits[0].memory if found.hits else None
        return self._answers[commit]

    def between(self, good: str, bad: str) -> Commit:
        """The first commit with the answer: on the branch of `bad`, and if that is a merge, on what it merged."""
        chain = reading.first_parents(self._past.repository, bad, good)[::-1]
        low, high = 0, len(chain) - 1  # the last one has it
        while low < high:
            middle = (low + high) // 2
            if self.is_first_at(chain[middle]):
                high = middle
            else:
                low = middle + 1
        found = reading.described(self._past.repository, chain[high])
        for other in found.parents[1:]:
            bases = self._past.repository.merge_bases(found.parents[0], other)
            if bases and self.is_first_at(other) and not self.is_first_at(bases[0]):
                return self.between(bases[0], other)
        return found

    def told(self, commit: Commit) -> Taught:
        history = list(log(self._past, start=commit.id))
        of_it = [change for change in history if change.id.lower() == self.wanted.id.lower()]
        with Versions(self._past) as versions:
            latest, touched = next(reading.commits(self._past.repository, commit.id))
            here = versions.changes(commit, touched if latest.id == commit.id else [])
        change = next((one for one in here if one.id.lower() == self.wanted.id.lower()), None)
        return Taught(
            self.wanted,
            commit,
            change,
            next((one for one in of_it if self._wrote(one)), None),
            tuple(one for one in here if one is not change),
            self._first_at(commit.parents[0]) if commit.parents else None,
            len(self._answers),
        )

    def _wrote(self, change: Change) -> bool:
        before, after = (one.memory if one else None for one in (change.before, change.after))
        is_it = after is not None and after.content == self.wanted.content
        return is_it and (before is None or before.content != self.wanted.content)
