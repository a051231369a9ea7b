"""The last version of some files that can be read, from the history of what is checked out.

ours     where a merge is under way, what the file was before it (stage 2 of the index)
HEAD     what the last commit has
else     back through the commits that changed the file, each from what it made of the file to what that was before,
         until one made something that can be read. What a merge took from neither side is one of these commits.

What a file becomes does not hang on which others are asked for: so whoever asks for more of them finds the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from .. import codec
from ..errors import MalformedMemory
from . import enclosing, heads, reading
from .objects import Objects
from .repository import Repository

_FORMAT = "%x01%H%x00%ct%x00"
_STOPPED = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply")
_OURS = b"2"
_SECONDS = 60.0  # for the whole history: a recall waits


class Good(NamedTuple):
    """A file that can be read, the commit that it is from, and when that was made."""

    data: bytes
    commit: str
    when: datetime


class _Change(NamedTuple):
    commit: str
    when: datetime
    olds: tuple[str, ...]
    new: str


def standing(home: Path, namespace: str) -> str:
    """Changes whenever the last good versions may; read without git. "" where there is no repository."""
    folder = heads.top_for(home, namespace)
    if not (folder / ".git").exists():
        return ""
    try:
        git = heads.git_dir(folder)
    except (OSError, UnicodeDecodeError):
        return ""
    told = [heads.head(folder) or "", _stamp(git / "config"), _stamp(git / "reftable" / "tables.list")]
    if any((git / name).exists() for name in _STOPPED):
        told.append(_stamp(git / "index"))
    return " ".join(told)


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return "-"
    return f"{found.st_mtime_ns}.{found.st_size}.{found.st_ino}"


def last_good(home: Path, namespace: str, paths: Sequence[str]) -> dict[str, Good]:
    """The last good version of each file that has one; paths as in the namespace. Raises `GitFailed`."""
    repository = enclosing.of_namespace(home, namespace)
    head = repository.commit_of("HEAD") if repository else None
    if repository is None or head is None:
        return {}
    when, there = reading.described(repository, head).when, reading.memories_in(repository, head)
    ours = _ours(repository) if repository.under_way() else {}
    found = dict[str, Good]()
    with repository.blobs() as blobs:
        for path in paths:
            for blob in filter(None, (ours.get(path), there.get(path, ("", 0))[0])):
                if path not in found and (data := _read(blobs, blob)):
                    found[path] = Good(data, head, when)
        rest = [path for path in paths if path not in found and path in there and "\n" not in path]
        changes = _changes(repository, head, rest) if rest else {}
        for path in rest:
            if good := _before(there[path][0], changes.get(path, ()), blobs):
                found[path] = good
    return found


def _ours(repository: Repository) -> dict[str, str]:
    """What files that are being merged were on our side."""
    found, prefix = {}, repository.prefix
    for line in repository.git.run("ls-files", "--unmerged", "-z").split(b"\0")[:-1]:
        about, _, path = line.partition(b"\t")
        _, blob, stage = about.split()
        if stage == _OURS:
            found[path.decode("utf-8", "surrogateescape").removeprefix(prefix)] = blob.decode("ascii")
    return found


def _read(blobs: Objects, blob: str) -> bytes | None:
    """A blob that can be read as a memory with some text."""
    try:
        data = blobs.beginning(blob, codec.MAX_FILE_BYTES + 1)
        return data if codec.read(data, "").content else None
    except (FileNotFoundError, MalformedMemory):
        return None


def _before(blob: str, changes: Iterable[_Change], blobs: Objects) -> Good | None:
    """`blob`: what cannot be read. `changes`: of its path, the latest first."""
    wanted = {blob}
    for one in changes:
        if one.new not in wanted:
            continue  # on a side whose version was not taken
        if data := _read(blobs, one.new):
            return Good(data, one.commit, one.when)
        wanted.update(one.olds)
    return None


def _changes(repository: Repository, head: str, paths: Sequence[str]) -> dict[str, list[_Change]]:
    """What commits made of each path, in all of the history, the latest first."""
    how = ("--date-order", "--full-history", "-c", "--raw", "-z", "--no-abbrev", "--no-renames")
    plain = ("--root", "--no-ext-diff", "--no-textconv", f"--format={_FORMAT}", "--stdin")
    given = "\n".join([head, "--", *(f"{repository.prefix}{path}" for path in paths), ""]).encode(
        "utf-8", "surrogateescape"
    )
    found: dict[str, list[_Change]] = {}
    for path, change in _told(repository.git.run("log", *how, *plain, given=given, seconds=_SECONDS)):
        found.setdefault(path.removeprefix(repository.prefix), []).append(change)
    return found


def _told(said: bytes) -> Iterator[tuple[str, _Change]]:
    """Of each path in a raw log: `:mode mode id id status`, with more colons, modes and ids in a merge."""
    words = iter(said.split(b"\0"))
    commit, when = "", datetime.fromtimestamp(0, UTC)
    for word in words:
        word = word.lstrip(b"\n")
        if word.startswith(b"\x01"):
            commit, when = word[1:].decode(), datetime.fromtimestamp(int(next(words)), UTC)
        elif word.startswith(b":"):
            sides = len(word) - len(word.lstrip(b":")) + 1
            *olds, new = word.lstrip(b":").decode("ascii").split()[sides : 2 * sides]
            yield next(words).decode("utf-8", "surrogateescape"), _Change(commit, when, tuple(olds), new)
