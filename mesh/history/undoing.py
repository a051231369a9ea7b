"""Undo all that an agent changed since some time, as a new commit.

What nobody else touched since is what it was, byte for byte. Where others edited the same memory afterwards, a
three-way merge takes the agent's part out; where that is not safe, the memory is left as it is, and told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from .. import codec
from ..errors import GitFailed, MalformedMemory
from ..git.objects import blob_name
from ..locks import locked
from ..memory import iso
from ..merge import merge
from ..workspace import Workspace
from .changes import LEARNED, Change, Versions, log
from .comparing import diff
from .past import Past
from .writing import EXISTS, Step, write

RESTORED, REMOVED, RETURNED, MERGED = "restored", "removed", "brought back", "merged"
LEFT, NOTHING = "left", "as it was"
_SYNC_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Undone:
    """What becomes of one memory. `step`: in the folder. `commit`: in the history, without what is in no commit yet."""

    id: str
    happens: str
    step: Step
    changes: tuple[Change, ...]
    reason: str = ""
    commit: Step | None = None


@dataclass(slots=True)
class Undoing:
    """All of it. `commit`: None if nothing was to be done, or only to be told.

    `uncommitted`: ids of memories of that agent that are in no commit; `local`: how many are `local_only`.
    """

    memories: list[Undone] = field(default_factory=list)
    commit: str | None = None
    uncommitted: tuple[str, ...] = ()
    local: int = 0


def undo(workspace: Workspace, agent: str, since: datetime, by: str, *, dry_run: bool = False) -> Undoing:
    """Undo what `agent` changed from `since` on, in the name of the person that git knows here, else of `by`.

    Raises `GitFailed` while git is at something else, or if no branch is checked out.
    """
    past = Past(workspace)
    if dry_run:
        return _planned(workspace, past, agent, since)
    if busy := past.repository.under_way():
        raise GitFailed(f"{busy} is under way", place=str(past.repository.folder), remedy="Finish or abort it first")
    _refuse_detached(past)
    with locked(workspace.vault.home / ".locks" / "sync" / f"{past.namespace}.lock", timeout_seconds=_SYNC_SECONDS):
        found = _planned(workspace, past, agent, since)
        found.memories = _written(workspace, found.memories)
        files: dict[str, bytes | None] = {}
        for one in found.memories:
            if one.happens != LEFT and one.commit and one.commit.changes:
                files |= {past.in_repository(path): data for path, data in one.commit.files.items() if data is None}
        for one in found.memories:  # what comes may lie where another went
            if one.happens != LEFT and one.commit and one.commit.changes:
                files |= {past.in_repository(path): data for path, data in one.commit.files.items() if data is not None}
        if files:
            who = past.repository.person(by)
            message = _message(agent, since, found.memories)
            when = datetime.now(UTC)
            found.commit = past.repository.commit(files, message, author=who, committer=who, when=when)
    return found


def _refuse_detached(past: Past) -> None:
    try:
        past.repository.branch()
    except GitFailed as error:
        place = f"namespace {past.namespace}"
        raise GitFailed(
            "no branch is checked out", place=place, remedy="Check one out with git, such as main"
        ) from error


def _message(agent: str, since: datetime, memories: Sequence[Undone]) -> str:
    done = [one for one in memories if one.happens not in (LEFT, NOTHING)]
    lines = [f"{one.id}: {one.happens}" for one in done]
    many = f"{len(done)} {'memory' if len(done) == 1 else 'memories'}"
    return f"undo: what {agent} changed since {iso(since)}, in {many}\n\n" + "\n".join(lines) + "\n"


# --- deciding --------------------------------------------------------------------------------------------------------


def _planned(workspace: Workspace, past: Past, agent: str, since: datetime) -> Undoing:
    with workspace.turn:
        workspace.refresh()
        found = Undoing(uncommitted=_uncommitted(workspace, agent), local=_local(workspace, agent))
        staged = _staged(past)
        with Versions(past) as versions:
            for changes in _by_memory(list(log(past))):
                mine = [one for one in changes if one.commit.when >= since and one.is_by(agent)]
                if mine:
                    since_then = changes[: changes.index(mine[-1]) + 1]
                    plan = _One(workspace, past, versions, since_then, mine, staged).plan()
                    if plan.happens != NOTHING:
                        found.memories.append(plan)
    return found


def _by_memory(changes: Sequence[Change]) -> list[list[Change]]:
    """The changes of each memory, the latest first, followed over ids that came from a path."""
    found: dict[str, list[Change]] = {}
    for change in changes:
        ids = [one.id.lower() for one in (change.after, change.before) if one]
        group = next((found[one] for one in ids if one in found), [])
        group.append(change)
        for one in ids:
            found[one] = group
    return list({id(group): group for group in found.values()}.values())


def _staged(past: Past) -> dict[str, str]:
    """The blob of each path in git's index."""
    lines = past.repository.git.run("ls-files", "--stage", "-z").split(b"\0")[:-1]
    found = (line.decode("utf-8", "surrogateescape").partition("\t") for line in lines)
    return {path: about.split()[1] for about, _, path in found}


def _uncommitted(workspace: Workspace, agent: str) -> tuple[str, ...]:
    new = (one.after for one in diff(workspace) if one.happened == LEARNED and one.after)
    return tuple(one.id for one in new if one.memory and one.memory.agent.casefold() == agent.casefold())


def _local(workspace: Workspace, agent: str) -> int:
    ask = "SELECT count(*) FROM files WHERE local_only = 1 AND agent = ? COLLATE NOCASE"
    return int(workspace.cache.manifest.db.execute(ask, (agent,)).fetchone()[0])


class _One:
    """One memory: `since` all that happened to it since the agent's first change, `mine` the agent's part of that."""

    def __init__(
        self,
        workspace: Workspace,
        past: Past,
        versions: Versions,
        since: Sequence[Change],
        mine: Sequence[Change],
        staged: Mapping[str, str],
    ) -> None:
        self._workspace, self._past, self._versions = workspace, past, versions
        self._since, self._mine, self._staged = since, mine, staged
        self._now_path, self._now = self._current()

    def plan(self) -> Undone:
        if self._now_path and self._now_path != self._past.in_home(self._past.in_repository(self._now_path)):
            return replace(self._left("it is local_only now"), step=self._as_it_was_shared())
        if self._now is not None and _says_local(self._now, self._now_path or ""):
            return self._left("it says local_only now")
        latest = self._since[0].after
        had = self._data(latest)
        (new, reason), (committed, other_reason) = self._without(self._now), self._without(had)
        if reason or other_reason:
            return self._left(reason or other_reason)
        if latest and self._staged.get(latest.path, latest.blob) not in {latest.blob, _name_of(committed, latest.blob)}:
            return self._left("you have staged another version of it")
        step = Step(self._now_path, self._now, self._path_after(self._now_path, new), new)
        old_path = self._past.in_home(latest.path) if latest else None
        commit = Step(old_path, had, self._path_after(old_path, committed), committed)
        changed = step if step.changes else commit
        return replace(self._undone(self._happens(changed), step), commit=commit)

    def _without(self, data: bytes | None) -> tuple[bytes | None, str]:
        """A file, as it is now or as it was committed last, without what the agent did to it; or why that is not safe.

        The agent's changes are taken out one after the other, the latest first.
        """
        if data == self._data(self._mine[-1].before):
            return data, ""
        for change in self._mine:
            new, old = self._data(change.after), self._data(change.before)
            if data == new:
                data = old
            elif data is None:
                return None, "it was forgotten since"
            elif new is None:
                return None, "it was brought back since"
            elif old is None:
                return None, "others changed it since it was learned"
            else:
                result = merge(new, data, old)
                if result.rival is not None or result.broken or result.data is None:
                    return None, "others changed the same lines since"
                data = result.data
        return data, ""

    def _happens(self, step: Step) -> str:
        if not step.changes:
            return NOTHING
        if step.new_data is None:
            return REMOVED
        if step.data is None:
            return RETURNED
        return RESTORED if step.new_data == self._data(self._mine[-1].before) else MERGED

    def _path_after(self, path: str | None, data: bytes | None) -> str | None:
        """Where it will lie that is at `path` now: where it did, unless others moved it meanwhile."""
        if data is None:
            return None
        then, last = self._mine[-1].before, self._mine[0].after
        if then and (path is None or (last and self._past.in_home(last.path) == path)):
            return self._past.in_home(then.path)
        return path or self._past.in_home(self._mine[0].latest.path)

    def _undone(self, happens: str, step: Step) -> Undone:
        return Undone(self._mine[0].id, happens, step, tuple(self._mine))

    def _left(self, reason: str) -> Undone:
        step = Step(self._now_path, self._now, self._now_path, self._now)
        return replace(self._undone(LEFT, step), reason=reason)

    def _as_it_was_shared(self) -> Step:
        """Nothing to do, told by the path that the history has: the one in `_local/` is nobody's to know."""
        path = self._past.in_home(self._since[0].latest.path)
        return Step(path, None, path, None)

    def _data(self, version: object) -> bytes | None:
        blob = _blob(version)
        return self._versions.data(blob) if blob else None

    def _current(self) -> tuple[str | None, bytes | None]:
        """The memory's file as it is now."""
        latest = self._since[0].latest
        by_id = latest.memory and not latest.memory.derived_id
        committed = self._past.in_home(latest.path)
        path = self._workspace.path_of_id(latest.id, rather=committed) if by_id else committed
        try:
            return (path, self._workspace.vault.bytes_of(path)) if path else (None, None)
        except FileNotFoundError:
            return None, None


def _name_of(data: bytes | None, like: str) -> str:
    """The blob of these bytes, which a killed undo may have staged."""
    return "" if data is None else blob_name(data, like)


def _says_local(data: bytes, path: str) -> bool:
    """Whether a file in the shared folder must stay here; one that cannot be read does if it speaks of it."""
    try:
        return codec.read(data, path).local_only
    except MalformedMemory:
        return b"local_only" in data


def _blob(version: object) -> str | None:
    found: str | None = getattr(version, "blob", None)
    return found


# --- acting ----------------------------------------------------------------------------------------------------------


def _written(workspace: Workspace, memories: Sequence[Undone]) -> list[Undone]:
    """The same, with those left that somebody changed in the last moment, or whose place is taken."""
    done = list(memories)
    taken = [number for number, one in enumerate(done) if one.happens != LEFT]
    refused = dict(zip(taken, write(workspace, [done[number].step for number in taken]), strict=True))
    for number, reason in refused.items():
        if reason:
            said = "another file has its name" if reason == EXISTS else "somebody changed it just now"
            done[number] = replace(done[number], happens=LEFT, reason=said)
    return done
