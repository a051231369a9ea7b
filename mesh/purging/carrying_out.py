"""A purge, in an order that may be interrupted anywhere.

    build the new repository beside the old one, and copy the files -> note, durably -> remove the files
    -> exchange the repositories in one step -> make the cache again -> remove the note

Before the note nothing was changed; after it, whoever comes next carries out the rest. The caller holds the sync lock.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ..errors import GitFailed, VaultUnavailable
from ..files import Folder, failures_reported
from ..renames import exchange_names
from ..sharing import applying, last_sync
from ..sharing.repository import Shared
from ..vault import Vault
from ..workspace import Workspace
from . import files
from .building import Built, build, refs
from .indexing import make_again
from .record import Record
from .refusing import refuse_what_is_elsewhere, refuse_what_is_not_ours
from .target import Target, find_blobs
from .wording import Wording

BACKUPS = ".backup"
_MAKING = "making-"
_NOTES = (".locks", "purge")
_README = """A memory was purged from the namespace {namespace} ({name}). This is what was there before:

git/    the repository, as it was       files/  the files that went, by their paths in the home

Delete this folder when you are sure. To undo the purge, in the home:

    mv {namespace}/.git {backup}/git-purged
    mv {backup}/git {namespace}/.git
    cp -a {backup}/files/. .
    mesh reindex -N {namespace}
"""


@dataclass(slots=True)
class Purged:
    """What went. `files`: paths in the home. `elsewhere`: other files that have the same text."""

    target: Target
    built: Built = field(default_factory=Built)
    files: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    backup: Path | None = None


def opened(home: Path, namespace: str) -> Shared | None:
    """The repository, if there is one, ready to be made anew. Raises `GitFailed`."""
    refuse_what_is_not_ours(home, namespace)
    if not (home / namespace / ".git").exists():
        return None
    shared = Shared.open(home, namespace)
    shared.refuse_work_of_others()
    refuse_what_is_elsewhere(shared.repository)
    assert shared.branch  # raises without one
    return shared


def known(workspace: Workspace, target: Target, shared: Shared | None) -> tuple[Target, Wording]:
    """The target with all its blobs, and the words of all its versions."""
    versions: list[bytes] = []
    if shared:
        target, versions = find_blobs(target, workspace, shared.repository)
    here = [*files.living(workspace.vault, target), *files.trashed(workspace.vault, target)]
    paths = [path.partition("/")[2] for path, _ in here if not path.startswith(".trash/")]
    return target, Wording([*versions, *(data for _, data in here)], paths)


def purge(workspace: Workspace, target: Target, shared: Shared | None, *, announced: bool) -> Purged:
    """Do it. `announced`: whether a commit tells others. Raises `GitFailed`, `VaultUnavailable`."""
    home = workspace.vault.home
    if shared:
        applying.finish(shared)
    target, wording = known(workspace, target, shared)
    done = Purged(target, elsewhere=files.told_elsewhere(home, target, wording))
    place = _begun(home, target)
    here = [*files.living(workspace.vault, target), *files.trashed(workspace.vault, target)]
    with failures_reported(str(place)):
        for path, data in here:
            files.back_up(place, path, data)
        if shared and target.blobs:
            before = _state(shared)
            done.built = _built(shared, target, wording, place, announced)
            if _state(shared) != before:
                files.delete(place)
                raise GitFailed("somebody used git there meanwhile", place=shared.place, remedy="Try again")
        done.backup = _ready(home, place, target)
    done.files, _ = finish(workspace, target)
    return done


def _built(shared: Shared, target: Target, wording: Wording, place: Path, announced: bool) -> Built:
    try:
        return build(
            shared.repository,
            target,
            wording,
            place / "git",
            branch=shared.branch,
            person=shared.person,
            announced=announced,
            purge=place.name.removeprefix(_MAKING),
        )
    except BaseException:
        files.delete(place)
        raise


def _state(shared: Shared) -> tuple[object, ...]:
    """What somebody else may change meanwhile."""
    git_dir = shared.git.git_dir
    index = git_dir / "index"
    return refs(shared.repository), (git_dir / "HEAD").read_bytes(), index.read_bytes() if index.exists() else b""


def _begun(home: Path, target: Target) -> Path:
    """A folder for the backup, under a name that says that nothing was changed yet."""
    with failures_reported(str(home / BACKUPS)), Folder.open(home, BACKUPS, create=True) as backups:
        for name in os.listdir(backups.path):
            if name.startswith(_MAKING) and name.removeprefix(_MAKING).partition("-")[2] == target.namespace:
                files.delete(backups.path / name)
        if not backups.exists(".gitignore"):
            backups.create(".gitignore", b"*\n")
        place = backups.path / f"{_MAKING}{datetime.now(UTC).strftime('%Y%m%dT%H%M%S.%fZ')}-{target.namespace}"
        place.mkdir(mode=0o700)
    return place


def _ready(home: Path, making: Path, target: Target) -> Path:
    """Everything is there: from now on it is carried out, whatever happens."""
    place = making.with_name(making.name.removeprefix(_MAKING))
    text = _README.format(namespace=target.namespace, name=target.name, backup=f"{BACKUPS}/{place.name}")
    with Folder.open(making) as folder:
        folder.create("README.txt", text.encode())
    if hasattr(os, "sync"):
        os.sync()
    making.rename(place)
    note = {"id": target.id, "path": target.path, "blobs": sorted(target.blobs), "backup": place.name}
    with Folder.open(home, *_NOTES, create=True) as folder, Folder.open(home, BACKUPS) as backups:
        backups.sync()
        folder.create(f"{target.namespace}.json", json.dumps(note).encode())
    return place


# --- carrying out ----------------------------------------------------------------------------------------------------


def is_under_way(home: Path, namespace: str) -> bool:
    return home.joinpath(*_NOTES, f"{namespace}.json").exists()


def finish(workspace: Workspace, target: Target | None = None) -> tuple[list[str], Path | None]:
    """Carry out what is noted, if anything is. `target`: what it is, if the caller has just noted it.

    Gives the files that went, and the backup.
    """
    home, namespace = workspace.vault.home, workspace.namespace
    note = _note(home, namespace)
    if note is None:
        return [], None
    workspace.close()  # a watcher loses its way where folders change places
    target = target or Target(namespace, note["id"], note["path"], frozenset(note["blobs"]))
    place = home / BACKUPS / str(note["backup"])
    gone = files.remove(Vault(home), target, place)
    with failures_reported(str(place)):
        _exchange(home, namespace, place)
        make_again(workspace)
        last_sync.forget(home, namespace)
        with Folder.open(home, *_NOTES) as folder:
            folder.remove(f"{namespace}.json")
    return gone, place


def _note(home: Path, namespace: str) -> dict[str, str] | None:
    path = home.joinpath(*_NOTES, f"{namespace}.json")
    try:
        note = json.loads(path.read_bytes())
        if not (home / BACKUPS / note["backup"]).is_dir() or {"id", "path", "blobs"} - set(note):
            raise ValueError(note)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise VaultUnavailable(
            "this note of an interrupted purge is damaged, or its backup is gone", place=str(path), remedy="Delete it"
        ) from error
    return dict(note)


def _exchange(home: Path, namespace: str, place: Path) -> None:
    """Let the new repository be the namespace's, and the old one lie in the backup. It may be done already."""
    ours, other, aside = home / namespace / ".git", place / "git", place / "git-old"
    if Record.of(ours).purge != place.name and other.exists():
        if ours.exists() and not _exchanged(home, ours, other):
            ours.rename(aside)
        if not ours.exists():
            other.rename(ours)
    if aside.exists() and not other.exists():
        aside.rename(other)
    for path in (ours.parent, place):
        with suppress(FileNotFoundError), Folder.open(path) as folder:
            folder.sync()


def _exchanged(home: Path, one: Path, other: Path) -> bool:
    with Folder.open(home) as folder:
        names: Sequence[str] = [path.relative_to(home).as_posix() for path in (one, other)]
        return exchange_names(folder.descriptor, *names)
