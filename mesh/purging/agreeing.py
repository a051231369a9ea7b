"""What a sync asks about purges: those of this clone that the remote does not have yet, and those of others.

What was purged here is never taken in again: it is looked for before the fetch, in a repository of its own. What others
purged is taken out of this clone by the same rules, so both have the same history again, and own work stays.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from ..errors import RemoteRefused
from ..git.history import Relation, relation
from ..git.remotes import FETCHED, fetch, seen, tip_of
from ..git.repository import Repository
from ..settings import Settings
from ..sharing.repository import Shared
from ..workspace import Workspace
from .carrying_out import Purged, finish, is_under_way, purge
from .record import Record, told_in
from .refusing import refuse_what_is_elsewhere, refuse_what_is_not_ours
from .target import Target

_MESSAGES = 4 << 20  # bytes


class Fetched(NamedTuple):
    """What was fetched. `lease`: what the remote's branch must still be, to be replaced. `purged`: what went here."""

    commit: str | None
    lease: str | None = None
    purged: tuple[Purged, ...] = ()


def finish_interrupted(shared: Shared) -> None:
    """Carry out the rest of a purge. The caller holds the sync lock."""
    if is_under_way(shared.home, shared.namespace):
        with closing(_workspace(shared)) as workspace:
            finish(workspace)


def fetched(shared: Shared, accept: Collection[Relation]) -> Fetched:
    """Fetch the shared branch. Raises `RemoteRefused` if that would bring back what was purged, or others purged."""
    record = Record.of(shared.git.git_dir)
    if record.blobs and (tip := tip_of(shared.repository, shared.url, shared.branch)):
        known = tip == record.had.get(shared.branch)
        if known or (tip != _last_fetched(shared) and _brings_back(shared, record.blobs)):
            _refuse(shared, record, accept)
            if known:  # all of it is here, under other names
                return Fetched(seen(shared.repository, shared.branch) or _last_fetched(shared), tip)
            return _fetched_without(shared, record)
    commit = fetch(shared.repository, shared.url, shared.branch)
    return Fetched(commit, None, tuple(_taken_over(shared, commit, accept)) if commit else ())


def _last_fetched(shared: Shared) -> str | None:
    return shared.repository.commit_of(FETCHED + shared.branch)


def _workspace(shared: Shared) -> Workspace:
    return Workspace(Settings(home=shared.home), shared.namespace)


# --- what was purged here --------------------------------------------------------------------------------------------


def _refuse(shared: Shared, record: Record, accept: Collection[Relation]) -> None:
    if Relation.PURGED not in accept:
        names = ", ".join(sorted(record.memories)[:5])
        raise RemoteRefused(
            shared.url,
            [f"it still has what was purged here ({names})"],
            f"To push the history without it, with all that others did: mesh sync {shared.namespace} --accept purged",
        )


def _brings_back(shared: Shared, blobs: Collection[str]) -> bool:
    """Whether the remote's branch has a blob that was purged, asked without taking any of it in."""
    place = shared.home / ".locks" / "purge"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="probe-", dir=place) as folder:
        probe = Repository(Path(folder))
        form = "sha256" if len(next(iter(blobs))) == 64 else "sha1"
        probe.git.run("init", "--quiet", "--template=", f"--object-format={form}", env={"GIT_WORK_TREE": folder})
        objects = shared.git.git_dir / "objects"
        (probe.git.git_dir / "objects" / "info").mkdir(exist_ok=True)
        (probe.git.git_dir / "objects" / "info" / "alternates").write_text(f"{objects.absolute()}\n")
        names = shared.git.run("for-each-ref", "--format=%(objectname)").decode().split()
        lines = "".join(f"{name} refs/have/{number}\n" for number, name in enumerate(names))
        (probe.git.git_dir / "packed-refs").write_text(lines)
        fetch(probe, shared.url, shared.branch)
        return _has_any(probe, blobs)


def _has_any(repository: Repository, blobs: Collection[str]) -> bool:
    given = "".join(f"{one}\n" for one in blobs).encode()
    said = repository.git.run("cat-file", "--batch-check", given=given).decode("ascii", "replace")
    return any(not line.endswith(" missing") for line in said.splitlines())


def _fetched_without(shared: Shared, record: Record) -> Fetched:
    """Fetch what others pushed on top of what was purged, and take it out of that, too."""
    lease = fetch(shared.repository, shared.url, shared.branch)
    done = _purged(shared, {name: set(blobs) for name, blobs in record.memories.items()})
    return Fetched(_last_fetched(shared), lease, tuple(done))


# --- what others purged ----------------------------------------------------------------------------------------------


def _taken_over(shared: Shared, commit: str, accept: Collection[Relation]) -> list[Purged]:
    """Purge here what others say they purged, where their history was rewritten and a person agrees."""
    told = _told(shared, commit)
    here = {name: blobs for name, blobs in told.items() if blobs and _has_any(shared.repository, blobs)}
    how = relation(shared.repository, shared.head, commit, seen(shared.repository, shared.branch)) if here else None
    done: list[Purged] = []
    if how is Relation.REWRITTEN:
        if Relation.REWRITTEN not in accept:
            names = ", ".join(sorted(here)[:5]) + (f" and {len(here) - 5} more" if len(here) > 5 else "")
            raise RemoteRefused(
                shared.url,
                [f"its history was rewritten: {names} was purged from it"],
                f"If that is right, take it out here, too, and keep all else: mesh sync {shared.namespace}"
                " --accept rewritten",
            )
        done = _purged(shared, here)
    elsewhere = {name: blobs for name, blobs in told.items() if name not in here}
    if elsewhere:
        record = Record.of(shared.git.git_dir)
        for name, blobs in elsewhere.items():
            record.add(name, blobs)
        record.write(shared.git.git_dir)
    return done


def _told(shared: Shared, commit: str) -> dict[str, set[str]]:
    head = shared.head
    without = [f"^{head}"] if head else []
    how = ("log", "--format=%B", "--fixed-strings", "--grep=Mesh-Purged: ", "--max-count=100")
    said = shared.git.run(*how, commit, *without, "--", limit=_MESSAGES)
    return told_in(said.decode("utf-8", "surrogateescape"))


def _purged(shared: Shared, memories: dict[str, set[str]]) -> list[Purged]:
    refuse_what_is_not_ours(shared.home, shared.namespace)
    refuse_what_is_elsewhere(shared.repository)
    done = []
    with closing(_workspace(shared)) as workspace:
        for name, blobs in memories.items():
            target = Target.named(shared.namespace, name, frozenset(blobs))
            done.append(purge(workspace, target, shared, announced=False))
    return done
