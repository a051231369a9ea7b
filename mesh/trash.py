"""What was forgotten, replaced or deleted, kept for 30 days.

.trash/<namespace>/<UTC time>-<id>/<path in the home>            one file
.trash/.namespaces/<UTC time>-<namespace>/<folders of the home>  a namespace: its shared and local files, its cache
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from . import codec
from .errors import AmbiguousId, InvalidInput, MalformedMemory, UnknownMemory
from .files import Folder, failures_reported
from .memory import MIN_PREFIX, derived_id
from .scan import folders, is_folder, scan

DAYS_KEPT = 30
_ENTRY = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)-(.+)\Z")
_TIME = "%Y%m%dT%H%M%S.%fZ"
_NAMESPACES = ".trash/.namespaces"


@dataclass(frozen=True, slots=True)
class Trashed:
    """One file in the trash: the folder it lies in, what it was called, and when it was thrown away.

    `path` begins with the name that the namespace had then.
    """

    folder: str
    path: str
    memory_id: str
    at: datetime


class Trash:
    """The trash of one namespace. Whoever changes it holds the namespace's write lock."""

    def __init__(self, home: Path, namespace: str, roots: tuple[str, ...]) -> None:
        self._home, self._namespace, self._roots = home, namespace, roots
        self._base = home / ".trash" / namespace

    def entries(self) -> list[Trashed]:
        """All that lies here, newest first."""
        found = []
        for folder, memory_id, at in _dated(self._base):
            files = scan(self._base / folder, self._roots_in(self._base / folder)).files
            found += [Trashed(folder, path, memory_id, at) for path in sorted(files)]
        return found

    def keep(self, path: str, data: bytes) -> Trashed:
        """Put a copy of a file's bytes here, durably."""
        entry, parts, name = self._new_entry(path, data)
        with Folder.open(self._home, *parts, create=True) as target:
            target.create(name, data)
        return entry

    def take_in(
        self, path: str, source: Folder, data: bytes, *, name: str | None = None, flush: bool = True
    ) -> Trashed:
        """Move the file of `path`, which lies in `source` and holds `data`, here, durably if `flush`.

        `name`: what it is called in `source` by now.
        """
        entry, parts, own_name = self._new_entry(path, data)
        with Folder.open(self._home, *parts, create=True, flush=flush) as target:
            source.move(name or own_name, target, own_name, flush=flush)
        return entry

    def replace(self, entry: Trashed, source: Folder, name: str) -> None:
        """Put the file `name` of `source` in the place of an entry's copy."""
        *parts, own_name = PurePosixPath(entry.path).parts
        with Folder.open(self._base / entry.folder, *parts) as target:
            source.move_over(name, target, own_name)

    def bytes_of(self, entry: Trashed) -> bytes:
        *parts, name = PurePosixPath(entry.path).parts
        with Folder.open(self._base / entry.folder, *parts) as folder:
            return folder.read(name)

    def find(self, prefix: str) -> Trashed:
        """The newest entry of the one id that starts with `prefix`: 4 or more characters.

        Raises `UnknownMemory`, `AmbiguousId`, `InvalidInput`.
        """
        if len(prefix) < MIN_PREFIX:
            raise InvalidInput(f"{prefix!r} is too short", place="id", remedy=f"Give {MIN_PREFIX} or more characters")
        entries = [one for one in self.entries() if one.memory_id.lower().startswith(prefix.lower())]
        found = {one.memory_id.lower(): one.memory_id for one in entries}
        if not found:
            raise UnknownMemory(prefix, self._namespace, in_trash=True)
        exact = [one for one in entries if one.memory_id.lower() == prefix.lower()]
        if len(found) > 1 and not exact:
            raise AmbiguousId(prefix, sorted(found.values()))
        return (exact or entries)[0]

    def put_back(self, entry: Trashed) -> str:
        """Move an entry to where it was, or beside it if that name is taken; return the path."""
        *parts, name = PurePosixPath(entry.path).parts
        *home_parts, _ = PurePosixPath(self._path_now(entry.path)).parts
        with (
            failures_reported(entry.path),
            Folder.open(self._base / entry.folder, *parts) as source,
            Folder.open(self._home, *home_parts, create=True) as target,
        ):
            new_name = _free_name(target, name)
            source.move(name, target, new_name)
        remove_if_empty(self._base / entry.folder)
        return "/".join([*home_parts, new_name])

    def empty_old(self) -> None:
        """Delete what was thrown away more than 30 days ago."""
        _empty_old(self._base)

    def _roots_in(self, place: Path) -> tuple[str, ...]:
        """What the paths of an entry begin with: the namespace may have had another name when it was made."""
        local = self._roots[1].partition("/")[0]
        names = [name for name in folders(place) if not name.startswith(".")]
        inner = folders(place / local) if local in names else []
        return (*(name for name in names if name != local), *(f"{local}/{name}" for name in inner))

    def _path_now(self, path: str) -> str:
        """The path in the home of an entry's path, under the name that the namespace has now."""
        shared, local = self._roots
        first, _, rest = path.partition("/")
        return f"{local}/{rest.partition('/')[2]}" if first == local.partition("/")[0] else f"{shared}/{rest}"

    def _new_entry(self, path: str, data: bytes) -> tuple[Trashed, list[str], str]:
        try:
            memory_id = codec.read(data, path).id
        except MalformedMemory:
            memory_id = derived_id(path)
        at = datetime.now(UTC)
        folder = f"{at.strftime(_TIME)}-{memory_id}"
        *parts, name = PurePosixPath(path).parts
        return Trashed(folder, path, memory_id, at), [".trash", self._namespace, folder, *parts], name


@dataclass(frozen=True, slots=True)
class DeletedNamespace:
    """A namespace in the trash. Below `folder`, which is relative to the home, its parts lie as they did there."""

    folder: str
    name: str
    at: datetime


def deleted_namespaces(home: Path) -> list[DeletedNamespace]:
    """What was deleted, the latest first; also what is empty by now, for it was brought back."""
    return [DeletedNamespace(f"{_NAMESPACES}/{folder}", name, at) for folder, name, at in _dated(home / _NAMESPACES)]


def place_for(namespace: str) -> str:
    """A folder of the trash, relative to the home, for a namespace that is deleted now."""
    return f"{_NAMESPACES}/{datetime.now(UTC).strftime(_TIME)}-{namespace}"


def empty_old_namespaces(home: Path) -> None:
    """Delete the namespaces that were deleted more than 30 days ago, for good."""
    _empty_old(home / _NAMESPACES)


def renamed(home: Path, old: str, new: str) -> list[tuple[str, str]]:
    """The moves, `(source, target)` in the home, that make the trash of one namespace that of another."""
    source, target = f".trash/{old}", f".trash/{new}"
    if not is_folder(home, source):
        return []
    taken = set(folders(home / target))
    if not taken:
        return [(source, target)]
    moves = []
    for folder, rest, at in _dated(home / source):
        name = folder
        while name in taken:
            at += timedelta(microseconds=1)
            name = f"{at.strftime(_TIME)}-{rest}"
        taken.add(name)
        moves.append((f"{source}/{folder}", f"{target}/{name}"))
    return moves


def remove_if_empty(place: Path) -> None:
    """Remove a folder of the trash, and the folders in it, unless they hold a file."""
    for path, _, _ in os.walk(place, topdown=False):
        try:
            Path(path).rmdir()
        except OSError:
            return  # it still holds a file, which stays


def _dated(base: Path) -> Iterator[tuple[str, str, datetime]]:
    """`(folder, what its name says after the time, time)` of every entry, the newest first."""
    for name in sorted(folders(base), reverse=True):
        if match := _ENTRY.match(name):
            with contextlib.suppress(ValueError):  # no such date: not ours
                yield name, match[2], datetime.strptime(match[1], _TIME).replace(tzinfo=UTC)


def _empty_old(base: Path) -> None:
    too_old = datetime.now(UTC) - timedelta(days=DAYS_KEPT)
    for folder, _, at in _dated(base):
        if at < too_old:
            shutil.rmtree(base / folder, ignore_errors=True)


def _free_name(folder: Folder, name: str) -> str:
    candidate, number = name, 1
    while folder.exists(candidate):
        number += 1
        candidate = f"{name.removesuffix('.md')}-{number}.md"
    return candidate
