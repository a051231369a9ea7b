"""Make a folder outside of the home a namespace, such as the `docs/memory/` of a project; and take that back.

Its Markdown files are the memories. What Mesh keeps for itself stays in the home; `links` says what is followed.
Rows are plain dictionaries, as users see them: `namespace, folder, project, problem`.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import inputs, links
from .errors import InvalidInput, MeshError, NotFound
from .files import Folder, failures_reported
from .git.heads import top_of
from .moves import finish_interrupted, moving
from .namespaces import drop_cache, refuse_taken
from .scan import is_folder, is_unicode
from .settings import Settings
from .vault import LOCAL, Vault

Row = dict[str, Any]


def link(settings: Settings, folder: str | Path, namespace: str = "") -> Row:
    """Make a folder a namespace, or say where the folder of a linked one is now; name it by its project by default.

    Raises `InvalidInput` for a folder or a name that cannot be had, `VaultUnavailable`.
    """
    home, target = settings.home, _resolved(folder)
    name = inputs.namespace(namespace or _named_after(target))
    _refuse_foreign(target)
    with failures_reported(str(home)):
        Folder.open(home, create=True).close()
    finish_interrupted(home)
    with moving(home, name):
        _refuse_overlap(home, name, target)
        if links.target(home, name) != target:
            _make_room(home, name)
            with failures_reported(str(home / name)):
                _make(home, name, target)
    Vault(home).prepare(name)
    return _row(home, name)


def unlink(settings: Settings, namespace: str) -> Row:
    """Remove the link of a namespace, and no file: the folder stays as it is, and so do local memories and the trash.

    Raises `NotFound` if it has none.
    """
    home, name = settings.home, inputs.namespace(namespace)
    finish_interrupted(home)
    with moving(home, name):
        folder = links.target(home, name)
        if folder is None:
            raise NotFound(f"the namespace {name!r} is not linked", remedy="See those that are: mesh link --list")
        with failures_reported(str(home / name)):
            _remove(home, name)
        drop_cache(home, name)
    return {"namespace": name, "folder": str(folder)}


def linked(settings: Settings) -> list[Row]:
    """The namespaces that are linked. `project`: the top of the git repository that the folder lies in, or None."""
    return [_row(settings.home, name) for name in links.names(settings.home)]


def _row(home: Path, name: str) -> Row:
    folder, problem = links.place(home, name), None
    try:
        links.require(home, name)
    except MeshError as error:
        problem = str(error)
    top = None if problem else top_of(folder)
    return {"namespace": name, "folder": str(folder), "project": str(top) if top else None, "problem": problem}


# --- which folder, and which name ------------------------------------------------------------------------------------


def _resolved(folder: str | Path) -> Path:
    """The folder itself, without any link on the way to it."""
    given = Path(folder).expanduser()
    try:
        found = given.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        cause = (getattr(error, "strerror", None) or "links lead in a circle").lower()
        raise InvalidInput(cause, place=str(given), remedy="Make the folder first, or check its name") from error
    if not found.is_dir():
        raise InvalidInput("it is not a folder", place=str(found), remedy="Give the folder that the memories lie in")
    return found


def _named_after(folder: Path) -> str:
    """A name for a namespace: of the project that a folder lies in, else of the folder."""
    name = (top_of(folder) or folder).name.lower()
    return re.sub(r"[^a-z0-9._-]+", "-", name).strip("-._") or folder.name


def _refuse_foreign(folder: Path) -> None:
    """Raise `InvalidInput` for what cannot be a namespace, wherever the home is."""
    place = str(folder)
    if not links.POSSIBLE:
        raise InvalidInput("this system cannot link a folder safely", place=place, remedy="Keep it in the home")
    if folder == folder.parent:
        raise InvalidInput("it is the root of a file system", place=place, remedy="Give a folder in it")
    if ".git" in folder.parts or not is_unicode(place) or not place.isprintable():
        cause = "it lies in a .git" if ".git" in folder.parts else "its path cannot be shown as text"
        raise InvalidInput(cause, place=ascii(place)[1:-1], remedy="Give another folder")
    try:
        os.close(links.entered(folder))
    except OSError as error:
        raise InvalidInput(
            (error.strerror or "it cannot be opened").lower(), place=place, remedy="Check who owns it and its mode"
        ) from error
    if os.geteuid() not in {0, folder.stat().st_uid}:
        raise InvalidInput("it belongs to somebody else", place=place, remedy="Link a folder of your own")


def _refuse_overlap(home: Path, name: str, folder: Path) -> None:
    """Raise `InvalidInput` where one folder would be two namespaces, or hold what Mesh keeps for itself."""
    taken = {f"the namespace {other!r}": links.place(home, other) for other in links.names(home) if other != name}
    for what, place in {"the home": home.resolve(), **taken}.items():
        if folder == place:
            raise InvalidInput(f"it is {what} already", place=str(folder), remedy="Give another folder")
        if folder.is_relative_to(place) or place.is_relative_to(folder):
            inner = "it lies in" if folder.is_relative_to(place) else "in it lies"
            raise InvalidInput(f"{inner} {what} ({place})", place=str(folder), remedy="Give a folder beside it")


# --- making and removing ---------------------------------------------------------------------------------------------


def _make_room(home: Path, name: str) -> None:
    """Let nothing be in the place of the link. Raises `InvalidInput` if a namespace is; one that is empty goes."""
    if before := links.target(home, name):
        if links.is_there(before):
            remedy = f"Choose another name; or first: mesh unlink {name}"
            raise InvalidInput(f"the namespace {name!r} is linked to {before}", place="namespace", remedy=remedy)
        with failures_reported(str(home / name)):
            _remove(home, name)
        return
    with suppress(OSError):
        (home / name).rmdir()
    if os.path.lexists(home / name):
        refuse_taken(home, name, remedy="Choose another name; or move its files into the folder, and link that then")
    elif not is_folder(home, f"{LOCAL}/{name}"):
        drop_cache(home, name)


def _make(home: Path, name: str, folder: Path) -> None:
    """First the record, then the link: a record alone means nothing."""
    with Folder.open(home, links.FOLDER, create=True) as records:
        if records.exists(name):
            records.remove(name)
        records.create(name, os.fsencode(folder))
    (home / name).symlink_to(folder)
    _sync(home)


def _remove(home: Path, name: str) -> None:
    (home / name).unlink()
    _sync(home)
    with Folder.open(home, links.FOLDER) as records:
        records.remove(name)


def _sync(home: Path) -> None:
    with Folder.open(home) as opened:
        opened.sync()
