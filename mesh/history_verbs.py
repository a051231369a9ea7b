"""The methods of `Mesh` that read and undo the history of a namespace that is a git repository."""

from __future__ import annotations

from copy import copy
from datetime import UTC, datetime
from itertools import islice
from typing import Self

from . import inputs
from .errors import InvalidInput
from .rows import Row
from .workspace import Workspace


class HistoryVerbs:
    """Part of `Mesh`. All raise `GitFailed` for a namespace that is no repository."""

    agent_id: str
    workspace: Workspace

    def at(self, revision: str) -> Self:
        """The namespace as a commit, or the last one before the end of a time, had it: to recall, list and get.

        Nothing in it can be changed, and `local_only` memories are not in it. Close it.
        """
        from .history.at import PastWorkspace

        other = copy(self)
        other.workspace = PastWorkspace(self.workspace, revision)
        return other

    def raw(self, memory_id: str) -> bytes:
        """A memory's file, byte for byte; also of one that cannot be understood, if it is named by its path."""
        with self.workspace.turn:
            path = self.workspace.cache.run(lambda: self.workspace.fresh_path_of(memory_id))
            return self.workspace.vault.bytes_of(path)

    def log(
        self,
        memory_id: str | None = None,
        *,
        source_agent: str | None = None,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """What happened to memories, or to one, in all commits, the latest first."""
        from .history.changes import log
        from .history.past import Past
        from .history_rows import change_row

        now = datetime.now(UTC)
        if limit is not None and limit < 1:
            raise InvalidInput(f"{limit} is not a number from 1", place="n", remedy="Give one, such as 20")
        changes = log(
            Past(self.workspace),
            memory=None if memory_id is None else inputs.text(memory_id, "id"),
            agent=None if source_agent is None else inputs.agent(source_agent),
            since=inputs.moment(since, "since", now),
            until=inputs.moment(until, "until", now),
        )
        return [change_row(change) for change in islice(changes, limit)]

    def diff(self, old: str | None = None, new: str | None = None) -> list[Row]:
        """What memories differ between `old` (the last commit) and `new` (the files as they are now)."""
        from .history.comparing import diff
        from .history_rows import difference_row

        return [difference_row(one) for one in diff(self.workspace, old, new)]

    def blame(self, memory_id: str) -> list[Row]:
        """Each line of a memory's file, with who wrote it, when, and in which commit."""
        from .history.blaming import blame
        from .history_rows import blamed_row

        return [blamed_row(line) for line in blame(self.workspace, memory_id)]

    def bisect(self, query: str, good: str) -> Row:
        """Which commit after `good` taught the answer that is now first. Raises `InvalidInput`, `NotFound`."""
        from .history.bisecting import bisect
        from .history_rows import taught_row

        return taught_row(bisect(self.workspace, query, good))

    def undo(self, agent: str, since: str | datetime, *, dry_run: bool = False) -> Row:
        """Undo all that an agent changed since then, as a new commit; with `dry_run` only say what that would be."""
        from .history.undoing import undo
        from .history_rows import undone_row

        moment = inputs.moment(since, "since", datetime.now(UTC))
        assert moment
        return undone_row(undo(self.workspace, inputs.agent(agent), moment, self.agent_id, dry_run=dry_run))
