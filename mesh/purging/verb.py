"""What a person does: purge one memory, or ask what that would take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import InvalidInput, UnknownMemory
from ..files import failures_reported
from ..git.remotes import refs_of
from ..locks import locked
from ..moves import finish_interrupted
from ..sharing import syncing
from ..sharing.repository import Shared
from ..workspace import Workspace
from . import files
from .building import rewritten, told
from .carrying_out import Purged, finish, known, opened, purge
from .record import Record
from .target import Target

LOCK_SECONDS = 600.0
Row = dict[str, Any]


def forget_for_good(workspace: Workspace, name: str, *, push: bool = False, dry_run: bool = False) -> Row:
    """Purge the memory that has exactly this id; with `dry_run` only say what that would be.

    Raises `InvalidInput`, `UnknownMemory`, `GitFailed` where it cannot be done, and with `push` what a sync does.
    """
    home, namespace = workspace.vault.home, workspace.namespace
    finish_interrupted(home)
    workspace.vault.require(namespace)
    with _sync_lock(home, namespace), workspace.turn:
        gone, backup = ([], None) if dry_run else finish(workspace)
        shared = opened(home, namespace)
        target = _target(workspace, shared, name)
        if dry_run:
            return _row(_would(workspace, target, shared), shared, dry_run=True)
        there = any(True for _ in _versions(workspace, target, shared))
        done = purge(workspace, target, shared, announced=True) if there else Purged(target, files=gone, backup=backup)
        row = _row(done, shared)
    if push and shared and shared.url:
        syncing.sync(workspace.settings, namespace, ("purged",))
        others = refs_of(shared.repository, shared.url)
        row["also_at_remote"] = sorted(ref for ref, commit in others.items() if commit in done.built.renamed)
        row["pushed"], row["remote_has_it"] = True, bool(row["also_at_remote"])
    return row


@contextmanager
def _sync_lock(home: Path, namespace: str) -> Iterator[None]:
    path = home / ".locks" / "sync" / f"{namespace}.lock"
    with failures_reported(str(path)), locked(path, timeout_seconds=LOCK_SECONDS):
        yield


def _would(workspace: Workspace, target: Target, shared: Shared | None) -> Purged:
    target, wording = known(workspace, target, shared)
    done = Purged(target, elsewhere=files.told_elsewhere(workspace.vault.home, target, wording))
    done.files = [path for path, _ in _versions(workspace, target, None)]
    if shared and target.blobs:
        done.built = told(shared.repository, rewritten(shared.repository, target, wording))
    return done


def _versions(workspace: Workspace, target: Target, shared: Shared | None) -> Iterator[tuple[str, bytes]]:
    """Its files, and what the repository has of it."""
    yield from files.living(workspace.vault, target)
    yield from files.trashed(workspace.vault, target)
    if shared:
        for data in known(workspace, target, shared)[0].blobs:
            yield data, b""


def _target(workspace: Workspace, shared: Shared | None, name: str) -> Target:
    """What a name stands for: a whole id, of a memory here, in the trash or in the history; or the path of one without.

    Raises `UnknownMemory`, and `InvalidInput` for anything that names less clearly.
    """
    namespace = workspace.namespace
    workspace.refresh()
    ask = "SELECT path, id FROM files WHERE id = ?1 COLLATE NOCASE OR path = ?1 OR path = ?2 ORDER BY path"
    rows = workspace.cache.run(
        lambda: workspace.cache.manifest.db.execute(ask, (name, f"{namespace}/{name}")).fetchall()
    )
    for path, memory_id in rows:
        own = not memory_id or workspace.vault.read(path)[0].derived_id
        if own:
            return Target(namespace, "", path)
        if memory_id.lower() == name.lower():
            return Target(namespace, memory_id)
        raise InvalidInput(f"{name!r} is the path of a memory", place="id", remedy=f"Give its id: {memory_id}")
    target = Target.named(namespace, name)
    purged = shared is not None and name in Record.of(shared.git.git_dir).memories
    if len(name) >= 8 and (purged or any(True for _ in _versions(workspace, target, shared))):
        return target
    raise UnknownMemory(name, namespace)


def _row(done: Purged, shared: Shared | None, *, dry_run: bool = False) -> Row:
    """`files`: paths in the home. `refs`, `commits`, `renamed`: of the history. `had`: what the remote still has."""
    url = shared.url if shared else ""
    had = Record.of(shared.git.git_dir).had.get(shared.branch, "") if shared else ""
    seen = shared.repository.commit_of(f"refs/remotes/origin/{shared.branch}") if shared and url else None
    return {
        "id": done.target.name,
        "namespace": done.target.namespace,
        "dry_run": dry_run,
        "files": done.files,
        "versions": len(done.target.blobs),
        "paths": done.built.paths,
        "commits": done.built.commits,
        "renamed": len(done.built.renamed),
        "refs": done.built.refs,
        "signatures": done.built.signatures,
        "elsewhere": done.elsewhere,
        "backup": str(done.backup) if done.backup else None,
        "remote": url,
        "branch": shared.branch if shared else "",
        "remote_has_it": bool(had) or (dry_run and seen in done.built.renamed),
        "had": had,
        "pushed": False,
        "also_at_remote": [],
    }
