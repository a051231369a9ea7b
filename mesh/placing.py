"""A name for every file, where several want the same: the same names on every clone.

Names count as the same that some file system cannot keep apart: by case, or by how their letters are composed.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import PurePosixPath

from .rivals import beside


def placed(wanted: Mapping[str, str], settled: Mapping[str, str], taken: Iterable[str]) -> dict[str, str]:
    """The path that each key gets. `wanted`: the path it should have; `taken`: paths that are not to be had.

    `settled`: the path that it had before. Who wants that gets it: names that were there side by side stay.
    """
    folders = {str(above) for path in wanted.values() for above in PurePosixPath(path).parents}
    paths: dict[str, str] = {}
    given = set(folders)  # a file cannot have a folder's name
    for key in sorted(wanted):
        if settled.get(key) == wanted[key] and wanted[key] not in given:
            paths[key] = wanted[key]
            given.add(wanted[key])
    if len(paths) < len(wanted):
        free = _Names(wanted.values(), [*taken, *given])
        paths |= {key: free.take(key, wanted[key]) for key in sorted(wanted) if key not in paths}
    return paths


def folded(path: str) -> str:
    """What two paths have in common that some file system takes for one."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


class _Names:
    def __init__(self, wanted: Iterable[str], taken: Iterable[str]) -> None:
        self._wanted, self._taken = {folded(path) for path in wanted}, {folded(path) for path in taken}

    def take(self, key: str, path: str) -> str:
        """`path`, or the first other name that nobody has or wants."""
        if folded(path) in self._taken:
            others = (name for name in names(key, path) if folded(name) not in self._taken)
            path = next(name for name in others if folded(name) not in self._wanted)
        self._taken.add(folded(path))
        return path


def names(key: str, path: str) -> Iterator[str]:
    """Other names for the item `key`, whose name another has: with 12 characters of its id, with all of it, and on."""
    kind, _, own = key.partition(":")
    if kind == "id":
        yield from (beside(path, f"--{mark}") for mark in (own[:12], own) if f"--{mark}" not in path)
    for number in count():
        yield beside(path, f"--{hashlib.sha256(f'{key} {number}'.encode()).hexdigest()[:12]}")
