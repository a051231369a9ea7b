"""Find what is wrong with a home, and mend what may be mended, one named remedy at a time.

Looking changes no file of the vault.
"""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import change
from .errors import MeshError, ModelUnavailable
from .files import Folder, failures_reported
from .index.manifest import SERVED, CacheDamaged, translated
from .memory import new_id
from .vault import roots
from .workspace import Workspace

_CONFLICT_COPY = re.compile(r"\.sync-conflict-|\.conflict-\d{8}T|\(.*conflicted copy.*\)|\.orig\.md\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Finding:
    """`kind` is the word that `--fix` takes where `fixable`; `serious` ones make `mesh doctor` exit with 1."""

    kind: str
    place: str
    cause: str
    remedy: str
    serious: bool = True
    fixable: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {self.cause}. {self.remedy}"


def examine(workspace: Workspace) -> list[Finding]:
    """All that is wrong with one namespace, its cache, the home and the model."""
    with workspace.turn:
        workspace.refresh()
        checks: list[Callable[[Workspace], Iterator[Finding]]] = [_home, _model, _files, _ids, _local, _links, _cache]
        return [finding for check in checks for finding in check(workspace)]


def _home(workspace: Workspace) -> Iterator[Finding]:
    home = workspace.vault.home
    if os.name == "posix" and home.is_dir() and (mode := stat.S_IMODE(home.stat().st_mode)) & 0o077:
        yield Finding(
            "modes", str(home), f"others on this machine can look in (mode {mode:04o})", "Run: mesh doctor --fix modes",
            fixable=True,
        )  # fmt: skip


def _model(workspace: Workspace) -> Iterator[Finding]:
    try:
        missing = workspace.embedder is None
    except ModelUnavailable as error:
        yield Finding("model", error.place, error.cause, error.remedy)
        return
    if missing:
        yield Finding("model", "model", "there is none here, so recall goes by words only", "Run: mesh model pull")


def _files(workspace: Workspace) -> Iterator[Finding]:
    states = dict(workspace.cache.manifest.db.execute("SELECT path, state FROM files"))
    for problem in workspace.cache.manifest.problems():
        place = f"{problem.path}:{problem.line}" if problem.line else problem.path
        yield Finding("file", place, problem.cause, problem.remedy, serious=states[problem.path] != SERVED)
    for path in sorted(states):
        if _CONFLICT_COPY.search(path):
            yield Finding("copy", path, "a sync or edit left this second copy", "Keep one of the two", serious=False)


def _ids(workspace: Workspace) -> Iterator[Finding]:
    doubles = workspace.cache.manifest.db.execute(
        "SELECT id, path FROM files WHERE id IN (SELECT id FROM files WHERE id IS NOT NULL GROUP BY lower(id)"
        " HAVING count(*) > 1) ORDER BY id, path"
    ).fetchall()
    first = ""
    for memory_id, path in doubles:
        if memory_id == first:
            yield Finding(
                "ids", path, f"has the id {memory_id} of another file", "Run: mesh doctor --fix ids", fixable=True
            )
        first = memory_id


def _local(workspace: Workspace) -> Iterator[Finding]:
    for path in _misplaced(workspace):
        yield Finding(
            "local", path, "is local_only but lies where it may be shared", "Run: mesh doctor --fix local", fixable=True
        )


def _misplaced(workspace: Workspace) -> list[str]:
    rows = workspace.cache.manifest.db.execute(
        "SELECT path FROM files WHERE local_only = 1 AND substr(path, 1, ?) = ? ORDER BY path",
        (len(workspace.namespace) + 1, workspace.namespace + "/"),
    )
    return [row[0] for row in rows]


def _links(workspace: Workspace) -> Iterator[Finding]:
    snapshot = workspace.vault.scan(workspace.namespace)
    for path in snapshot.links:
        yield Finding("link", path, "a symbolic link, which is not followed", "Move the file here", serious=False)
    for path, cause in snapshot.unreadable.items():
        yield Finding("folder", path, f"cannot be listed ({cause.lower()})", "Check who owns it and its mode")


def _cache(workspace: Workspace) -> Iterator[Finding]:
    if reason := _cache_damage(workspace):
        place = str(workspace.cache.folder)
        yield Finding("cache", place, reason, "Run: mesh doctor --fix cache", fixable=True)


def _cache_damage(workspace: Workspace) -> str | None:
    """What is wrong with the cache when every byte of it is looked at."""
    db = workspace.cache.manifest.db
    try:
        with translated():
            found = db.execute("PRAGMA integrity_check").fetchone()[0]
            if workspace.cache.writable:
                db.execute("INSERT INTO words (words) VALUES ('integrity-check')")
            if workspace.embedder is not None:
                workspace.cache.matrix(workspace.embedder).verify()
    except CacheDamaged as damage:
        return str(damage)
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found == "ok" else str(found)


# --- remedies --------------------------------------------------------------------------------------------------


def fix(workspace: Workspace, kind: str) -> list[str]:
    """Apply the remedy for one kind of finding; say what was done. Raises `KeyError` for a kind without one."""
    with workspace.turn:
        workspace.refresh()
        return REMEDIES[kind](workspace)


def _fix_modes(workspace: Workspace) -> list[str]:
    home = workspace.vault.home
    with failures_reported(str(home)):
        home.chmod(0o700)
    return [f"{home}: only its owner can look in now"]


def _fix_cache(workspace: Workspace) -> list[str]:
    workspace.cache.discard("it was asked for")
    workspace.refresh()
    workspace.embed_all()
    return [f"{workspace.cache.folder}: made again"]


def _fix_ids(workspace: Workspace) -> list[str]:
    """Give each file but the first of those that share an id a new one."""
    done = []
    for finding in list(_ids(workspace)):
        _, digest = workspace.vault.read(finding.place)
        fresh = new_id()
        change.update(workspace, finding.place, {"id": fresh}, base=(finding.place, digest), stamped=False)
        done.append(f"{finding.place}: its id is now {fresh}")
    return done


def _fix_local(workspace: Workspace) -> list[str]:
    """Move local_only memories to where they cannot be shared."""
    done = []
    shared, local = roots(workspace.namespace)
    with workspace.vault.writing(workspace.namespace):
        for path in _misplaced(workspace):
            try:
                moved = _moved(workspace.vault.home, path, shared, local)
            except MeshError as error:
                done.append(f"{path}: not moved: {error}")
                continue
            workspace.refresh_paths(path, moved)
            done.append(f"{path}: moved to {moved}")
    return done


def _moved(home: Path, path: str, shared: str, local: str) -> str:
    *parts, name = path.split("/")
    target = f"{local}/{path.removeprefix(shared + '/')}"
    with (
        failures_reported(path),
        Folder.open(home, *parts) as source,
        Folder.open(home, *target.split("/")[:-1], create=True) as goal,
    ):
        source.move(name, goal, name)
    return target


REMEDIES: dict[str, Callable[[Workspace], list[str]]] = {
    "cache": _fix_cache,
    "ids": _fix_ids,
    "local": _fix_local,
    "modes": _fix_modes,
}
