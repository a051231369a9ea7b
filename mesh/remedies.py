"""Mend what `doctor` finds, one named remedy at a time."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from . import change
from .doctor import doubles, leftovers, misplaced
from .errors import MeshError
from .files import Folder, failures_reported, sha256
from .memory import new_id
from .vault import roots
from .workspace import Workspace


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
    for path, _ in doubles(workspace):
        _, digest = workspace.vault.read(path)
        fresh = new_id()
        change.update(workspace, path, {"id": fresh}, base=(path, digest), stamped=False)
        done.append(f"{path}: its id is now {fresh}")
    return done


def _fix_local(workspace: Workspace) -> list[str]:
    """Move local_only memories to where they cannot be shared."""
    done = []
    shared, local = roots(workspace.namespace)
    with workspace.vault.writing(workspace.namespace):
        for path in misplaced(workspace):
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


def _fix_leftovers(workspace: Workspace) -> list[str]:
    """Delete temporaries whose text is elsewhere; make a memory of one that holds a text of its own."""
    done = []
    with workspace.vault.writing(workspace.namespace):
        kept = _texts(workspace)
        for path in leftovers(workspace):
            *parts, name = path.split("/")
            with failures_reported(path), Folder.open(workspace.vault.home, *parts) as folder:
                data = folder.read(name)
                if sha256(data) in kept or not data.strip(b"\0 \r\n\t"):
                    folder.remove(name)
                    done.append(f"{path}: deleted, its text is elsewhere")
                else:
                    found = f"recovered-{secrets.token_hex(4)}.md"
                    folder.move(name, folder, found)
                    done.append(f"{path}: kept as {'/'.join([*parts, found])}")
    return done


def _texts(workspace: Workspace) -> set[bytes]:
    """The sha256 of every memory file, living or in the trash."""
    known = {row[0] for row in workspace.cache.manifest.db.execute("SELECT digest FROM files WHERE digest IS NOT NULL")}
    trash = workspace.vault.home / ".trash" / workspace.namespace
    for entry in workspace.vault.trash(workspace.namespace).entries():
        known.add(sha256((trash / entry.folder / entry.path).read_bytes()))
    return known


REMEDIES: dict[str, Callable[[Workspace], list[str]]] = {
    "cache": _fix_cache,
    "ids": _fix_ids,
    "leftovers": _fix_leftovers,
    "local": _fix_local,
    "modes": _fix_modes,
}
