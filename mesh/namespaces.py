"""The namespaces of a home: what is in them, and how they come, go and get another name.

All that belongs to a namespace moves together or not at all: what may be shared, what is local, the cache, and on a
rename the trash. A namespace exists if one of the first two does. Rows are plain dictionaries, as users see them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import counts, inputs, links
from .errors import InvalidInput, MeshError, NotFound, VaultUnavailable
from .files import Folder, failures_reported
from .memory import iso
from .moves import finish_interrupted, move_together, moving, settle
from .scan import is_folder
from .settings import Settings
from .trash import DeletedNamespace, deleted_namespaces, empty_old_namespaces, place_for, remove_if_empty, renamed
from .vault import Vault, roots

Row = dict[str, Any]


# --- looking -------------------------------------------------------------------------------------------------------


def listed(settings: Settings) -> list[Row]:
    """Every namespace by name: `namespace`, `memory_count`, `local_only_count`, `last_updated`, `path`, `problem`.

    `problem` is None, or says why nothing else is known of it.
    """
    settle(settings.home)
    names = {*Vault(settings.home).namespaces(), *_links(settings.home)}
    return [_row(settings, name) for name in sorted(names)]


def _row(settings: Settings, name: str) -> Row:
    unknown = {"memory_count": None, "local_only_count": None, "last_updated": None}
    row = {"namespace": name, **unknown, "path": str(settings.home / name), "problem": None}
    try:
        _refuse_what_is_no_folder(settings.home, name)
        return row | counts.summary(settings, name)
    except MeshError as error:
        return row | {"problem": str(error)}


def stats(settings: Settings, namespace: str) -> Row:
    """What is in one namespace, see `counts.stats`. Raises `UnknownNamespace`."""
    return counts.stats(settings, _existing(settings, namespace))


def deleted(settings: Settings) -> list[Row]:
    """The namespaces that can be brought back, the latest deleted first: `namespace`, `deleted_at` and `path`."""
    settle(settings.home)
    return [
        {"namespace": entry.name, "deleted_at": iso(entry.at), "path": str(settings.home / entry.folder)}
        for entry in deleted_namespaces(settings.home)
        if _parts(settings.home, entry.name, f"{entry.folder}/")
    ]


# --- changing ------------------------------------------------------------------------------------------------------


def create(settings: Settings, namespace: str) -> str:
    """Make an empty namespace; give its name. Raises `InvalidInput` if there is one of that name."""
    name, home = inputs.namespace(namespace), settings.home
    with failures_reported(str(home)):
        Folder.open(home, create=True).close()
    with moving(home, name):
        refuse_taken(home, name)
        drop_cache(home, name)
        Vault(home).prepare(name)
    return name


def delete(settings: Settings, namespace: str) -> int:
    """Move a namespace to the trash, where it is kept for 30 days; give how many memories it has."""
    home, name = settings.home, _existing(settings, namespace)
    if folder := links.target(home, name):
        raise InvalidInput(
            f"its files are not Mesh's to delete: it is linked to {folder}",
            place=name,
            remedy=f"Remove the link, and nothing else: mesh unlink {name}",
        )
    with moving(home, name):
        _existing(settings, name)  # still
        count = counts.count(settings, name)
        place = place_for(name)
        parts = _cache(home, name) + _parts(home, name)
        try:
            move_together(home, [name], [(part, f"{place}/{part}") for part in parts])
        except MeshError:
            remove_if_empty(home / place)
            raise
        drop_cache(home, name)  # one that a reader may have begun in between
    empty_old_namespaces(home)
    return count


def restore(settings: Settings, namespace: str) -> int:
    """Bring back the namespace of this name that was deleted last; give how many memories it has."""
    home, name = settings.home, inputs.namespace(namespace)
    settle(home)
    _last_deleted(home, name)  # raises before anything is made
    with moving(home, name):
        folder = _last_deleted(home, name).folder
        refuse_taken(home, name, remedy=f"Rename that one first: mesh namespaces rename {name} OTHER")
        drop_cache(home, name)
        parts = _cache(home, name, f"{folder}/") + _parts(home, name, f"{folder}/")
        move_together(home, [name], [(f"{folder}/{part}", part) for part in parts])
        remove_if_empty(home / folder)
    return counts.count(settings, name)


def rename(settings: Settings, old: str, new: str) -> int:
    """Give a namespace another name that none has; give how many memories it has."""
    home, before, after = settings.home, _existing(settings, old), inputs.namespace(new)
    if before == after:
        raise InvalidInput(f"{after!r} is its name already", place="namespace", remedy="Give another one")
    with moving(home, before, after):
        _existing(settings, before)
        refuse_taken(home, after)
        drop_cache(home, after)
        ways = dict(zip(roots(before), roots(after), strict=True)) | {f".cache/{before}": f".cache/{after}"}
        parts = [(part, ways[part]) for part in _cache(home, before) + _parts(home, before)]
        move_together(home, [before, after], [*parts, *_record(home, before, after), *renamed(home, before, after)])
        remove_if_empty(home / ".trash" / before)
        drop_cache(home, before)  # one that a reader may have begun in between
    return counts.count(settings, after)


# --- what of a namespace there is ----------------------------------------------------------------------------------


def _existing(settings: Settings, namespace: str) -> str:
    """The name of a namespace that exists. Raises `UnknownNamespace`, `InvalidInput`, `VaultUnavailable`."""
    name = inputs.namespace(namespace)
    finish_interrupted(settings.home)
    _refuse_what_is_no_folder(settings.home, name)
    Vault(settings.home).require(name)
    return name


def _parts(home: Path, name: str, place: str = "") -> list[str]:
    """Those of a namespace's two folders that are there."""
    return [root for root in roots(name) if is_folder(home, f"{place}{root}")]


def _cache(home: Path, name: str, place: str = "") -> list[str]:
    """The folder of the cache, if it is there and can be moved along; if it cannot, it goes.

    It moves first: who then finds the namespace gone sees that its cache is another, and looks again.
    """
    part = f".cache/{name}"
    if not os.path.lexists(home / place / part):
        return []
    if is_folder(home, f"{place}{part}") and (home / place / part).stat().st_dev == home.stat().st_dev:
        return [part]
    drop_cache(home / place, name)
    return []


def _record(home: Path, before: str, after: str) -> list[tuple[str, str]]:
    """How the record of a linked namespace goes along; one that a crash left under the new name makes room."""
    if not links.target(home, before):
        return []
    (home / links.FOLDER / after).unlink(missing_ok=True)
    return [(f"{links.FOLDER}/{before}", f"{links.FOLDER}/{after}")]


def drop_cache(home: Path, name: str) -> None:
    """Delete the cache of a namespace that is not there: it would be taken for what is known of a missing folder."""
    shutil.rmtree(home / ".cache" / name, ignore_errors=True)


def _last_deleted(home: Path, name: str) -> DeletedNamespace:
    found = (one for one in deleted_namespaces(home) if one.name == name and _parts(home, name, f"{one.folder}/"))
    if entry := next(found, None):
        return entry
    raise NotFound(
        f"there is no namespace {name!r} in the trash", remedy="See what is there: mesh namespaces list --trash"
    )


def refuse_taken(home: Path, name: str, remedy: str = "") -> None:
    """Raise if a namespace has this name, or something else is in its place."""
    _refuse_what_is_no_folder(home, name)
    if Vault(home).exists(name):
        raise InvalidInput(
            f"there is a namespace {name!r} already",
            place="namespace",
            remedy=remedy or f"Choose another name, or delete that one first: mesh namespaces delete {name}",
        )


def _refuse_what_is_no_folder(home: Path, name: str) -> None:
    """A link in the place of a part would be left behind, or lead out of the home."""
    links.require(home, name)
    for root in roots(name):
        if os.path.lexists(home / root) and not is_folder(home, root):
            link = (home / root).is_symlink() or (home / root).is_dir()
            kind = "a symbolic link, which is not followed" if link else "not a folder"
            raise VaultUnavailable(kind, place=str(home / root), remedy="Put a real folder there, or move it away")


def _links(home: Path) -> Iterator[str]:
    """Symbolic links where a namespace could be: they are not followed, and should not go unseen."""
    with failures_reported(str(home)):
        names = [path.name for path in home.iterdir() if path.is_symlink()] if home.is_dir() else []
    for name in names:
        try:
            if inputs.namespace(name) == name:
                yield name
        except InvalidInput:
            continue
