"""The files of a home that are versions of a memory: copied to a backup, and then removed, not to the trash."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ..files import Folder, failures_reported, is_temporary
from ..trash import remove_if_empty
from ..vault import Vault, roots
from .target import MAX_BYTES, Target
from .wording import Wording

_NOT_SEARCHED = {".backup", ".cache", ".locks", ".models", ".git"}


def living(vault: Vault, target: Target) -> Iterator[tuple[str, bytes]]:
    """Its files in the folders of the namespace, also temporary ones of a crash: paths in the home, and bytes."""
    for path, data in _below(vault.home, roots(target.namespace)):
        if target.is_version(data, path):
            yield path, data


def trashed(vault: Vault, target: Target) -> Iterator[tuple[str, bytes]]:
    """Its files in the namespace's trash."""
    for path, data in _below(vault.home, (f".trash/{target.namespace}",)):
        if target.is_version(data, "/".join(PurePosixPath(path).parts[3:])):
            yield path, data


def _below(home: Path, places: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Every file that may be a memory, or was one a moment ago."""
    for place in places:
        for folder, inner, names in os.walk(home / place):
            inner[:] = sorted(name for name in inner if name != ".git")
            for name in sorted(names):
                path = (Path(folder) / name).relative_to(home).as_posix()
                hidden = name.startswith(".") and not is_temporary(name)
                if not hidden and (data := _read(home, path)) is not None:
                    yield path, data


def _read(home: Path, path: str) -> bytes | None:
    *parts, name = PurePosixPath(path).parts
    try:
        with Folder.open(home, *parts) as folder:
            data = folder.read(name, limit=MAX_BYTES + 1)
    except OSError:
        return None
    return data if len(data) <= MAX_BYTES else None


def back_up(place: Path, path: str, data: bytes) -> None:
    """Keep a file's bytes in a backup under its path in the home, durably."""
    *parts, name = PurePosixPath(path).parts
    with Folder.open(place, "files", *parts, create=True) as folder:
        if folder.exists(name) and folder.read(name) != data:
            folder.remove(name)
        if not folder.exists(name):
            folder.create(name, data)


def remove(vault: Vault, target: Target, place: Path) -> list[str]:
    """Remove all of it, also what was written since, with a copy in the backup; the paths."""
    gone = []
    with vault.writing(target.namespace):
        for path, data in [*living(vault, target), *trashed(vault, target)]:
            with failures_reported(path):
                back_up(place, path, data)
                *parts, name = PurePosixPath(path).parts
                with suppress(FileNotFoundError), Folder.open(vault.home, *parts) as folder:
                    folder.remove(name)
            if parts[0] == ".trash":
                remove_if_empty(vault.home.joinpath(*parts[:3]))
            gone.append(path)
    return gone


def told_elsewhere(home: Path, target: Target, wording: Wording, limit: int = 100) -> list[str]:
    """Other files of the home that have the same text, or a word of it that tells a secret."""
    found = []
    for folder, inner, names in os.walk(home):
        inner[:] = sorted(name for name in inner if name not in _NOT_SEARCHED)
        for name in sorted(names):
            path = (Path(folder) / name).relative_to(home).as_posix()
            data = _read(home, path)
            if data and wording.is_told_in(data) and not _is_its_own(target, path, data):
                found.append(path)
            if len(found) == limit:
                return found
    return found


def _is_its_own(target: Target, path: str, data: bytes) -> bool:
    places = (*(f"{root}/" for root in roots(target.namespace)), f".trash/{target.namespace}/")
    return path.startswith(places) and target.is_version(data, path)


def delete(place: Path) -> None:
    """A backup that was not finished."""
    shutil.rmtree(place, ignore_errors=True)
