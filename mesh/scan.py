"""What lies in a namespace's folders right now: names and stamps, no file is opened."""

from __future__ import annotations

import hashlib
import marshal
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from . import links

_AT_ONCE = 4096  # files whose stamps are written out at a time

# What `stat` says of a file: size, mtime_ns, ctime_ns, inode. Two equal stamps are a hint that the bytes are equal,
# see `plan.differing`. A plain tuple, because 100,000 of them are made at a time.
Stamp = tuple[int, int, int, int]


@dataclass(slots=True)
class Snapshot:
    """Every memory file below some folders. Paths are relative to the home, with `/`."""

    files: dict[str, Stamp] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)  # what could not be listed or named, and why
    links: list[str] = field(default_factory=list)  # symbolic links, which are not followed

    def digest(self) -> bytes:
        """Of everything a scan saw: equal digests mean that no stamp changed."""
        digest = hashlib.sha256(marshal.dumps(list(self.unreadable.items()), 2))
        every = iter(self.files.items())
        while some := list(islice(every, _AT_ONCE)):
            digest.update(marshal.dumps(some, 2))
        return digest.digest()


def scan(home: Path, roots: tuple[str, ...]) -> Snapshot:
    """List `roots` and all folders below. A root that does not exist has no files; a link is never followed, but for
    that of a linked namespace (see `links`)."""
    snapshot = Snapshot()
    for root in reversed(roots):
        if is_folder(home, root):
            _scan(links.place(home, root), root, snapshot)
    return _nameable(snapshot)


def _scan(place: Path, root: str, snapshot: Snapshot) -> None:
    """All that lies in `place`, under paths that begin with `root`."""
    pending = [f"{root}/"]
    while pending:
        prefix = pending.pop()
        try:
            with _listed(f"{place}{prefix[len(root) : -1]}") as entries:
                _list(entries, prefix, snapshot, pending)
        except FileNotFoundError:
            continue  # it went away since its parent was listed
        except OSError as error:
            snapshot.unreadable[prefix] = error.strerror or str(error)


@contextmanager
def _listed(folder: str) -> Iterator[Iterator[os.DirEntry[str]]]:
    """The entries of a folder. Through a descriptor where that can be: their stamps then take a seventh less time."""
    if os.scandir not in os.supports_fd:
        with os.scandir(folder) as entries:
            yield entries
        return
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with os.scandir(fd) as entries:
            yield entries
    finally:
        os.close(fd)


def _nameable(snapshot: Snapshot) -> Snapshot:
    """Leave out names that are not Unicode: no text can name them. They are listed with what cannot be read."""
    if not is_unicode("".join(snapshot.files)):
        for path in [path for path in snapshot.files if not is_unicode(path)]:
            del snapshot.files[path]
            snapshot.unreadable[path.encode("utf-8", "replace").decode()] = "its name is not valid UTF-8"
    return snapshot


def is_passed_over(name: str) -> bool:
    """Whether a file or folder of this name is none of ours: hidden, or an editor's. `_list` has the same rule."""
    return name.startswith(".") or (name.startswith("#") and name.endswith("#"))


def is_memory(path: str) -> bool:
    """Whether readers take a file of this path, in the home or in a repository, for a memory (FORMAT.md, section 2)."""
    return path[-3:].lower() == ".md" and is_unicode(path) and not any(map(is_passed_over, path.split("/")))


def is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _list(entries: Iterator[os.DirEntry[str]], prefix: str, found: Snapshot, pending: list[str]) -> None:
    files = found.files
    for entry in entries:
        name = entry.name
        if name[0] == "." or (name[0] == "#" and name[-1] == "#"):
            continue
        if name[-3:].lower() == ".md" and entry.is_file(follow_symlinks=False):
            try:
                stat = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # an editor's temporary, already renamed
            files[prefix + name] = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
        elif entry.is_symlink():
            found.links.append(prefix + name)
        elif entry.is_dir(follow_symlinks=False):
            pending.append(f"{prefix}{name}/")


def is_folder(home: Path, path: str) -> bool:
    """Whether `path` is a folder of the home that no link leads to, but for that of a linked namespace."""
    place = home
    for number, part in enumerate(path.split("/")):
        place = place / part
        if place.is_symlink():
            linked = None if number else links.target(home, part)
            if linked is None or not links.is_there(linked):
                return False
            place = linked
    return place.is_dir()


def folders(path: Path) -> list[str]:
    """The names of the folders in a folder, links left out; none if it does not exist. Raises `OSError`."""
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
