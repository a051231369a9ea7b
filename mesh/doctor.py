"""Find what is wrong with a home. Looking changes no file of the vault; what may be mended is in `remedies`."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from .errors import GitFailed
from .files import is_temporary
from .index import broken
from .index.damage import CacheDamaged, translated
from .index.manifest import SERVED
from .refresh import Refresh
from .vault import roots
from .workspace import Workspace

LEFTOVER_SECONDS = 60
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
        return workspace.cache.run(lambda: _examined(workspace))


def _examined(workspace: Workspace) -> list[Finding]:
    workspace.vault.namespaces()  # raises if the home is no folder
    workspace.refresh()
    checks: list[Callable[[Workspace], Iterator[Finding]]] = [
        _home, _model, _files, _arrived, _ids, _local, _links, _leftovers, _cache,
    ]  # fmt: skip
    return [finding for check in checks for finding in check(workspace)]


def _home(workspace: Workspace) -> Iterator[Finding]:
    home = workspace.vault.home
    if os.name == "posix" and home.is_dir() and (mode := stat.S_IMODE(home.stat().st_mode)) & 0o077:
        yield Finding(
            "modes", str(home), f"others on this machine can look in (mode {mode:04o})", "Run: mesh doctor --fix modes",
            fixable=True,
        )  # fmt: skip


def _model(workspace: Workspace) -> Iterator[Finding]:
    if problem := workspace.model_problem:
        yield Finding("model", problem.place, problem.cause, problem.remedy)


def _files(workspace: Workspace) -> Iterator[Finding]:
    manifest = workspace.cache.manifest
    states = dict(manifest.db.execute("SELECT path, state FROM files"))
    good, unknown = broken.served(manifest), broken.reasons(manifest)
    for problem in manifest.problems():
        path, cause = problem.path, problem.cause
        if path in good:
            cause += f" (its last good version is served, of commit {good[path][:7]})"
        elif path in unknown:
            cause += f" (its last good version cannot be served: {unknown[path]})"
        place = f"{path}:{problem.line}" if problem.line else path
        yield Finding("file", place, cause, problem.remedy, serious=states[path] != SERVED or path in good)
    for path in sorted(states):
        if _CONFLICT_COPY.search(path):
            yield Finding("copy", path, "a sync or edit left this second copy", "Keep one of the two", serious=False)


def _arrived(workspace: Workspace) -> Iterator[Finding]:
    from .sharing import unwritten

    with contextlib.suppress(GitFailed):  # a repository that is not to be touched: sync says why
        for one in unwritten.unreadable(workspace.vault.home, workspace.namespace):
            yield Finding("arrived", one.path, one.cause, one.remedy, serious=False)


def _ids(workspace: Workspace) -> Iterator[Finding]:
    for path, memory_id in doubles(workspace):
        yield Finding(
            "ids", path, f"has the id {memory_id} of another file", "Run: mesh doctor --fix ids", fixable=True
        )


def doubles(workspace: Workspace) -> list[tuple[str, str]]:
    """`(path, id)` of every file but one of those that share an id: the one that is named after it, or the first."""
    rows = workspace.cache.manifest.db.execute(
        "SELECT path, id FROM files WHERE lower(id) IN (SELECT lower(id) FROM files WHERE id IS NOT NULL"
        " GROUP BY lower(id) HAVING count(*) > 1) AND path NOT IN (SELECT path FROM quarantined WHERE good NOT NULL)"
        " ORDER BY lower(id), instr(path, substr(id, 1, 12)) = 0, path"
    ).fetchall()
    return [row for before, row in pairwise(rows) if before[1].lower() == row[1].lower()]


def _local(workspace: Workspace) -> Iterator[Finding]:
    for path in misplaced(workspace):
        yield Finding(
            "local", path, "is local_only but lies where it may be shared", "Run: mesh doctor --fix local", fixable=True
        )


def misplaced(workspace: Workspace) -> list[str]:
    rows = workspace.cache.manifest.db.execute(
        "SELECT path FROM files WHERE local_only = 1 AND substr(path, 1, ?) = ?"
        " AND path NOT IN (SELECT path FROM quarantined WHERE good NOT NULL) ORDER BY path",
        (len(workspace.namespace) + 1, workspace.namespace + "/"),
    )
    return [row[0] for row in rows]


def _links(workspace: Workspace) -> Iterator[Finding]:
    snapshot = workspace.vault.scan(workspace.namespace)
    for path in snapshot.links:
        yield Finding("link", path, "a symbolic link, which is not followed", "Move the file here", serious=False)
    for path, cause in snapshot.unreadable.items():
        yield Finding("folder", path, f"cannot be listed ({cause.lower()})", "Check who owns it and its mode")


def _leftovers(workspace: Workspace) -> Iterator[Finding]:
    for path in leftovers(workspace):
        yield Finding(
            "leftovers", path, "left by a write that was interrupted", "Run: mesh doctor --fix leftovers",
            serious=False, fixable=True,
        )  # fmt: skip


def leftovers(workspace: Workspace) -> list[str]:
    """Temporary files that nobody is writing any more: paths in the home."""
    home, found = workspace.vault.home, []
    for root in roots(workspace.namespace):
        for folder, _, names in os.walk(home / root):
            for name in filter(is_temporary, names):
                path = Path(folder, name)
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
                        found.append(path.relative_to(home).as_posix())
    return sorted(found)


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
            if workspace.embedder is not None:
                workspace.cache.matrix(workspace.embedder).verify()
            wrong = Refresh(workspace.vault, workspace.namespace, workspace.cache).wrong_rows()
    except CacheDamaged as damage:
        return str(damage)
    except sqlite3.DatabaseError as error:
        return str(error)
    if found != "ok":
        return str(found)
    return f"it says otherwise than the files, such as {wrong[0]}" if wrong else None
