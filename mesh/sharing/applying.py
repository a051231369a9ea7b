"""Write what arrived into the folder, memory by memory, and let the branch and the index follow.

A path must still hold what was last seen there: else somebody edited it, and it is held for the next round. Killed
anywhere, the rest is carried out by whoever comes next.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ..codec import MAX_FILE_BYTES
from ..errors import EditConflict, MeshError, VaultUnavailable
from ..files import Folder, failures_reported
from ..git.inspection import inspect
from ..git.objects import Objects, blob_name
from ..git.trees import Leaf, Leaves
from ..memory import Problem
from ..replacing import Change, change, change_all
from .leaves import Listed, may_be_written, with_sets
from .repository import Note, Shared

_AT_ONCE = 250  # files under one write lock: others need not wait for all
_TOGETHER = 8  # so many and more are flushed together
_IN_THE_WAY = {errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENAMETOOLONG}


@dataclass(slots=True)
class Applied:
    """What was done in the folder, by paths of the namespace."""

    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)  # held, since somebody else changed them meanwhile
    in_the_way: list[Problem] = field(default_factory=list)

    def add(self, other: Applied) -> None:
        for mine, its in ((self.new, other.new), (self.changed, other.changed), (self.gone, other.gone)):
            mine += [path for path in its if path not in mine]
        self.edited = other.edited
        self.in_the_way += other.in_the_way


def advance(shared: Shared, old: str | None, new: str, on_disk: Leaves) -> Applied:
    """Let the branch, which is `old`, be `new`, and the folder with it. `on_disk`: what the folder has now."""
    shared.write_note(old, new, on_disk)
    return _carry_out(shared, Note(old, new, on_disk))


def finish(shared: Shared) -> Applied:
    """Carry out what an interrupted sync had noted."""
    note = shared.read_note()
    return _carry_out(shared, note) if note else Applied()


def _carry_out(shared: Shared, note: Note) -> Applied:
    old, new = (Listed.of(shared.repository, commit) for commit in (note.old, note.new))
    if shared.head not in (note.old, note.new):  # a person moved the branch since; what is on disk is theirs to commit
        shared.drop_note()
        return Applied()
    done, on_disk = Applied(), note.on_disk
    if on_disk != new.leaves:  # else it was committed from there
        done, on_disk = _brought_in(shared, note, new)
    shared.hold(note.new, new.leaves, on_disk)
    if shared.head != note.new:
        shared.repository.move(shared.branch, note.new, note.old)
    shared.follow(old.leaves, new.leaves, on_disk)
    shared.drop_note()
    return done


def _brought_in(shared: Shared, note: Note, new: Listed) -> tuple[Applied, Leaves]:
    """Write what may come in; what was done, and what is on disk then."""
    with shared.repository.blobs() as blobs:
        found = inspect(new.entries, blobs, {path: leaf.blob for path, leaf in note.on_disk.items()})
        wanted = {path: new.leaves[path] for path in found.accepted}
        done = _written(shared, note.on_disk, _steps(note.on_disk, new.leaves, wanted), blobs)
    return done, _now_on_disk(note.on_disk, new.leaves, wanted, done)


Step = tuple[str, Leaf | None]


def _steps(on_disk: Leaves, new: Leaves, wanted: Leaves) -> list[Step]:
    """What is to be written, and then what is to be removed."""
    written: list[Step] = [(path, leaf) for path, leaf in wanted.items() if _blob(on_disk.get(path)) != leaf.blob]
    gone = [path for path in on_disk if path not in new and may_be_written(path, on_disk[path])]
    return written + [(path, None) for path in gone]


def _blob(leaf: Leaf | None) -> str:
    return leaf.blob if leaf else ""


def _now_on_disk(before: Leaves, new: Leaves, wanted: Leaves, done: Applied) -> Leaves:
    """What the folder has afterwards: what may be there as the commit has it, all else as before."""
    left = {*done.edited, *(one.path for one in done.in_the_way)}
    after = {path: leaf for path, leaf in before.items() if path in new or path in left}
    return with_sets(after, {path: leaf for path, leaf in wanted.items() if path not in left})


def _written(shared: Shared, on_disk: Leaves, steps: list[Step], blobs: Objects) -> Applied:
    done = Applied()
    for start in range(0, len(steps), _AT_ONCE):
        some = steps[start : start + _AT_ONCE]
        texts = [blobs.read(leaf.blob, MAX_FILE_BYTES) if leaf else None for _, leaf in some]
        with shared.vault.writing(shared.namespace):
            _put(shared, on_disk, list(zip(some, texts, strict=True)), done)
    return done


def _put(shared: Shared, on_disk: Leaves, steps: Sequence[tuple[Step, bytes | None]], done: Applied) -> None:
    """Let some paths hold other bytes, if they hold those that they are known to. The caller has the write lock."""
    ways = {path: (_blob(on_disk.get(path)), _blob(leaf)) for (path, leaf), _ in steps}
    todo: list[Change] = []
    for (path, _), data in steps:
        have, want = ways[path]
        place = f"{shared.namespace}/{path}"
        try:
            there = _bytes_at(shared, place)
        except VaultUnavailable as error:
            _failed(path, error, done)
            del ways[path]
            continue
        name = "" if there is None else blob_name(there, want or have)
        if name not in (have, want):
            done.edited.append(path)
            del ways[path]
        elif name != want:  # else an interrupted sync wrote it; it is told of all the same
            todo.append(Change(place, there, data))
    for place, failure in _changed(shared, todo).items():
        path = place.removeprefix(f"{shared.namespace}/")
        _failed(path, failure, done)
        del ways[path]
    for path, (have, want) in ways.items():
        (done.gone if not want else done.changed if have else done.new).append(path)


def _changed(shared: Shared, todo: Sequence[Change]) -> dict[str, MeshError]:
    """Carry out all changes; the errors of those that could not be, by their places."""
    if len(todo) >= _TOGETHER:
        return change_all(shared.vault, shared.namespace, todo)
    failed: dict[str, MeshError] = {}
    for one in todo:
        try:
            change(shared.vault, shared.namespace, one)
        except (EditConflict, VaultUnavailable) as error:
            failed[one.path] = error
    return failed


def _failed(path: str, error: MeshError, done: Applied) -> None:
    """Take in that a path was not written, if that concerns it alone: else the error goes on."""
    cause = error.__cause__
    if isinstance(error, EditConflict) or isinstance(cause, (FileExistsError, FileNotFoundError)):
        done.edited.append(path)
    elif isinstance(error, VaultUnavailable) and isinstance(cause, OSError) and cause.errno in _IN_THE_WAY:
        done.in_the_way.append(Problem(path, 0, "", f"not written: {error.cause}", error.remedy))
    else:
        raise error


def _bytes_at(shared: Shared, place: str) -> bytes | None:
    try:
        *parts, name = PurePosixPath(place).parts
        with Folder.open(shared.home, *parts) as folder:
            return folder.read(name)
    except FileNotFoundError:
        return None
    except OSError as error:
        with failures_reported(place):
            raise error
