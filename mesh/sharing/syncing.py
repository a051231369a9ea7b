"""Share a namespace, clone one, and bring two of them together, in an order that may be interrupted anywhere.

    finish what was interrupted -> commit -> fetch -> look -> merge -> apply -> push; again, when the remote moved

The sync lock is held all the while, the write lock only while files are written.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import inputs, links
from ..errors import InvalidInput, RemoteMoved
from ..files import failures_reported
from ..git import history
from ..git.history import Relation
from ..git.inspection import Inspection, inspect
from ..git.remotes import SEEN, checked_url, default_branch, push, seen
from ..git.repository import Repository
from ..git.trees import Leaf, Leaves
from ..locks import locked
from ..merging import Note
from ..moves import finish_interrupted
from ..namespaces import create
from ..purging import agreeing
from ..scan import is_memory
from ..settings import Settings
from ..vault import Vault
from . import committing, hooks, last_sync, outgoing, project
from .applying import advance, finish
from .joining import merge_commit
from .leaves import Listed, differing, with_sets
from .report import Report
from .repository import Shared

PAUSES_SECONDS = (0.2, 0.4, 0.8, 1.6, 0)  # after each round, where the remote is held by somebody who pushes
LOCK_SECONDS = 600.0  # to wait for another sync of the namespace
ACCEPTABLE = {str(one): one for one in (Relation.REWRITTEN, Relation.UNRELATED, Relation.GONE, Relation.PURGED)}


def share(
    settings: Settings, namespace: str, url: str = "", accept: Collection[str] = (), with_hooks: bool | None = None
) -> Report:
    """Make a namespace's folder a repository, connect it, commit and push. Also to finish what was interrupted.

    `with_hooks`: whether people who use git there get hooks and a merge driver; None: as before, at first yes.

    Raises `UnknownNamespace`, `InvalidInput` if it is connected to something else already, `GitFailed`.
    """
    name, url = inputs.namespace(namespace), checked_url(url) if url else ""
    finish_interrupted(settings.home)
    Vault(settings.home).require(name)
    project.refuse(settings.home, name)
    with _sync_lock(settings.home, name):
        folder, agreed = links.place(settings.home, name), _accepted(accept)
        if not (folder / ".git").exists():
            if url and Relation.UNRELATED not in agreed:
                _refuse_history(url, name)
            with failures_reported(str(folder)):
                folder.mkdir(mode=0o700, exist_ok=True)  # a namespace may have local memories only
            Repository.create(folder)
        shared = Shared.open(settings.home, name)
        shared.refuse_work_of_others()
        if url and shared.url not in ("", url):
            raise InvalidInput(
                f"it is shared with {shared.url} already",
                place=name,
                remedy=f"Change it with git: git -C {folder} remote set-url origin {url}",
            )
        if url:
            shared.connect(url, shared.branch)
        hooks.keep(shared.git, with_hooks, tell=True)
        if shared.head is None:
            committing.commit_first(shared)
        return _noted(shared, agreed)


def _refuse_history(url: str, name: str) -> None:
    """Raise `InvalidInput` if a remote has a history to begin with: ours would have nothing in common with it."""
    if _branch_of(url):
        raise InvalidInput(
            f"{url} has a history already",
            place=name,
            remedy="Clone it under another name (mesh clone URL NAME); or bring both together: --accept unrelated",
        )


def clone(settings: Settings, url: str, namespace: str = "") -> Report:
    """A namespace from a remote. Raises `InvalidInput` if there is one of that name, or the remote is empty."""
    url = checked_url(url)
    name = inputs.namespace(namespace or _name_in(url))
    with _sync_lock(settings.home, name):
        unfinished = settings.home / name / ".git" / "mesh-clone"
        if not unfinished.exists():
            branch = _branch_of(url)
            if branch is None:
                raise InvalidInput(
                    "the remote is empty", place=url, remedy="Share a namespace to it: mesh share NS URL"
                )
            if not _is_begun(settings.home / name):
                create(settings, name)
            if not (settings.home / name / ".git").exists():
                Repository.create(settings.home / name, branch)
            unfinished.touch()
        shared = Shared.open(settings.home, name)
        if shared.url not in ("", url):
            raise InvalidInput(f"a clone of {shared.url} is unfinished there", place=name, remedy="Choose another name")
        shared.connect(url, shared.repository.branch())
        hooks.keep(shared.git, tell=True)
        report = _noted(shared, frozenset())
        unfinished.unlink()
        return report


def _is_begun(folder: Path) -> bool:
    """Whether a folder is empty, but for a repository without a commit: so a clone leaves it that is killed at once."""
    if not folder.is_dir() or any(path.name != ".git" for path in folder.iterdir()):
        return False
    return not (folder / ".git").exists() or Repository(folder).commit_of("HEAD") is None


def _name_in(url: str) -> str:
    return url.rstrip("/").replace("\\", "/").replace(":", "/").rpartition("/")[2].removesuffix(".git")


def _branch_of(url: str) -> str | None:
    """The branch that a remote begins with; None for an empty one."""
    with tempfile.TemporaryDirectory() as elsewhere:
        return default_branch(Repository.create(Path(elsewhere)), url)


def sync(
    settings: Settings, namespace: str, accept: Collection[str] = (), *, patience_seconds: float = LOCK_SECONDS
) -> Report:
    """Bring a shared namespace and its remote together. `accept`: names from `ACCEPTABLE` that a person agrees to.

    Of one that is a folder of a project's repository what changed is committed, and nothing else: see `project`.
    `patience_seconds`: for another sync of it to end. Raises `NotFound` if it is not shared, `RemoteRefused`,
    `MayNotLeave`, `GitFailed`, `LockTimeout`.
    """
    name, agreed = inputs.namespace(namespace), _accepted(accept)
    finish_interrupted(settings.home)
    if part := project.found(settings.home, name):
        with _sync_lock(settings.home, name, patience_seconds):
            return project.commit(part)
    shared = Shared.open(settings.home, name)
    with _sync_lock(settings.home, name, patience_seconds):
        hooks.keep(shared.git)
        return _noted(shared, agreed)


def require_shared(settings: Settings, namespace: str) -> None:
    """Raise what `sync` would of a namespace that is not there, is not shared, or is not to be touched."""
    Shared.open(settings.home, inputs.namespace(namespace))


def shared_namespaces(settings: Settings) -> list[str]:
    """Those that have a repository."""
    return [name for name in Vault(settings.home).namespaces() if (settings.home / name / ".git").exists()]


def _accepted(names: Collection[str]) -> frozenset[Relation]:
    unknown = sorted(set(names) - set(ACCEPTABLE))
    if unknown:
        known = ", ".join(ACCEPTABLE)
        raise InvalidInput(f"{unknown[0]!r} cannot be agreed to", place="accept", remedy=f"It is one of: {known}")
    return frozenset(ACCEPTABLE[name] for name in names)


@contextmanager
def _sync_lock(home: Path, namespace: str, patience_seconds: float = LOCK_SECONDS) -> Iterator[None]:
    path = home / ".locks" / "sync" / f"{namespace}.lock"
    with failures_reported(str(path)), locked(path, timeout_seconds=patience_seconds):
        yield


def _noted(shared: Shared, accept: frozenset[Relation]) -> Report:
    """Sync, and note how it ended."""
    return last_sync.noted(shared.home, shared.namespace, lambda: _synced(shared, accept))


# --- one after the other -------------------------------------------------------------------------------------------


def _synced(shared: Shared, accept: frozenset[Relation]) -> Report:
    report = Report(shared.namespace, remote=shared.url)
    agreeing.finish_interrupted(shared)
    for pause_seconds in PAUSES_SECONDS:
        shared.refuse_work_of_others()
        report.take(finish(shared))
        _commit(shared, report)
        if not shared.url:
            report.commit = shared.head
            return report
        try:
            _exchange(shared, report, accept)
            return report
        except RemoteMoved as error:
            moved = error
            time.sleep(pause_seconds if error.is_held else 0)
    if moved.is_held:
        raise moved
    raise RemoteMoved("others push faster than this can follow", place=shared.place, remedy="Sync again")


def _commit(shared: Shared, report: Report) -> None:
    applied, report.kept_back = committing.commit(shared)
    report.take(applied)


def _exchange(shared: Shared, report: Report, accept: frozenset[Relation]) -> None:
    """Fetch, merge and push. Raises `RemoteMoved` if somebody else pushed meanwhile, and all begins again."""
    fetched, lease, purged = agreeing.fetched(shared, accept)
    report.purged += [(one.target.name, str(one.backup)) for one in purged]
    head, *known = shared.commits(shared.branch_ref, SEEN + shared.branch, _shown_as(shared))
    if fetched and not lease and {head, *known} == {fetched}:  # as at the last sync
        report.commit = head
        return
    _bring_in(shared, fetched, report, accept)
    head = report.commit = shared.head
    if fetched:
        _remember(shared, fetched)
    if head is None or (head == fetched and not lease):
        return
    outgoing.check(shared, head, fetched)
    push(shared.repository, shared.url, head, shared.branch, lease=lease)
    report.pushed = _memories_between(shared, fetched, head)
    _remember(shared, head)


def _remember(shared: Shared, commit: str) -> None:
    """Note what the remote has, and of which all is in ours; also for people who use git here."""
    refs = SEEN + shared.branch, _shown_as(shared)
    known = shared.commits(*refs)
    new = [ref for ref, there in zip(refs, known, strict=True) if there != commit]
    if new:
        given = "".join(f"update {ref} {commit}\n" for ref in new).encode()
        shared.git.run("update-ref", "--stdin", given=given)


def _shown_as(shared: Shared) -> str:
    """What people who use git here see as the remote's branch."""
    return f"refs/remotes/origin/{shared.branch}"


def _memories_between(shared: Shared, old: str | None, new: str) -> list[str]:
    before, after = (Listed.of(shared.repository, commit).leaves for commit in (old, new))
    return [path for path in differing(before, after) if is_memory(path)]


def _bring_in(shared: Shared, fetched: str | None, report: Report, accept: frozenset[Relation]) -> None:
    """Merge what was fetched, and apply it. Raises `RemoteRefused` with all of ours as it was."""
    ours, before = shared.head, seen(shared.repository, shared.branch)
    how = history.relation(shared.repository, ours, fetched, before)
    history.refuse(shared.url, how, None, had=0, accept=accept)
    if fetched is None or (ours and shared.repository.is_ancestor(fetched, ours)):
        return
    mine, its = Listed.of(shared.repository, ours), Listed.of(shared.repository, fetched)
    found = _inspected(shared, its, mine.leaves)
    known = before or (ours if how is not Relation.UNRELATED else None)
    had = len(_memories(Listed.of(shared.repository, known).leaves))
    history.refuse(shared.url, how, found, had=had, accept=accept)
    new, notes = fetched, tuple[Note, ...]()
    if ours and not shared.repository.is_ancestor(ours, fetched):
        new, notes = merge_commit(shared, ours, fetched)
    report.found(found.left_out, notes)
    report.take(advance(shared, ours, new, with_sets(mine.leaves, shared.held(mine.leaves))))


def _inspected(shared: Shared, listed: Listed, here: Leaves) -> Inspection:
    with shared.repository.blobs() as blobs:
        return inspect(listed.entries, blobs, {path: leaf.blob for path, leaf in here.items()})


def _memories(leaves: Leaves) -> dict[str, Leaf]:
    return {path: leaf for path, leaf in leaves.items() if is_memory(path)}
