"""What happened to the memories of a namespace, told from its manifest: for a person who watches.

added    a memory that was not there before
changed  its file holds something else
moved    it lies at another path; `was` is the old one
gone     its file is no longer there
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from .index.manifest import Manifest

Kind = Literal["added", "changed", "moved", "gone"]
_SOME = 500  # paths asked for in one query


@dataclass(frozen=True, slots=True)
class Happened:
    """`id` is None for a file that cannot be understood; `title` "" where the memory has none."""

    kind: Kind
    id: str | None
    path: str
    was: str | None = None
    title: str = ""


class _Known(NamedTuple):
    digest: bytes | None
    id: str | None
    title: str


class Told:
    """What a listener knows of a namespace. One thread at a time.

    `from_nothing`: what there is at the first call is news; else it is what the listener knows already.
    """

    def __init__(self, *, from_nothing: bool) -> None:
        self._files: dict[str, _Known] | None = {} if from_nothing else None

    def news(self, manifest: Manifest, changed: Collection[str] | None) -> list[Happened]:
        """What is different since the last call; only `changed` paths are compared, None: all."""
        if self._files is None:
            self._files = dict(_rows(manifest, None))
            return []
        gone = set(self._files if changed is None else changed)
        before, now = dict[str, _Known](), dict[str, _Known]()
        for path, known in _rows(manifest, changed):  # one at a time: all of them may be many
            gone.discard(path)
            if (old := self._files.get(path)) != known:
                now[path] = self._files[path] = known
                if old:
                    before[path] = old
        before |= {path: self._files.pop(path) for path in gone if path in self._files}
        return compare(before, now)


def compare(before: dict[str, _Known], now: dict[str, _Known]) -> list[Happened]:
    """What leads from one state of some files to the next, by path."""
    gone = {path: known for path, known in before.items() if path not in now}
    came = {path: known for path, known in now.items() if path not in before}
    found = []
    for path, known in now.items():
        if path in before and before[path].digest != known.digest:
            found.append(Happened("changed", known.id, path, None, known.title))
    places = _places(gone)
    for path, known in came.items():
        old = next((old for key in _keys(known) for old in places.get(key, ()) if old in gone), None)
        if old is not None:
            del gone[old]
        found.append(Happened("added" if old is None else "moved", known.id, path, old, known.title))
    found += [Happened("gone", known.id, path, None, known.title) for path, known in gone.items()]
    return sorted(found, key=lambda one: one.path)


def _places(files: dict[str, _Known]) -> dict[str | bytes, Iterator[str]]:
    """The paths of the files that have an id or a digest, each to be taken once."""
    found: dict[str | bytes, list[str]] = {}
    for path, known in files.items():
        for key in _keys(known):
            found.setdefault(key, []).append(path)
    return {key: iter(paths) for key, paths in found.items()}


def _keys(known: _Known) -> list[str | bytes]:
    """What two files share that are the same memory."""
    return [key for key in (known.id, known.digest) if key is not None]


def _rows(manifest: Manifest, paths: Collection[str] | None) -> Iterator[tuple[str, _Known]]:
    ask = "SELECT path, digest, id, coalesce(title, '') FROM files"
    if paths is None:
        for path, *rest in manifest.db.execute(ask):
            yield path, _Known(*rest)
        return
    wanted = sorted(paths)
    for first in range(0, len(wanted), _SOME):
        some = wanted[first : first + _SOME]
        for path, *rest in manifest.db.execute(f"{ask} WHERE path IN ({', '.join('?' * len(some))})", some):
            yield path, _Known(*rest)
