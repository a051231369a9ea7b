"""Write what arrived into the folder, memory by memory, and let the branch and the index follow.

A path must still hold what was last seen there: else somebody edited it, and it is held for the next round. Killed
anywhere, the rest is carried out by whoever comes next.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ..codec import MAX_FILE_BYTES
from ..errors import EditConflict, VaultUnavailable
from ..files import Folder, failures_reported, sha256
from ..git.inspection import inspect
from ..git.objects import Blobs
from ..memory import Problem
from .leaves import Leaf, Leaves, Listed, blob_name, may_be_written, with_sets
from .repository import Note, Shared

_AT_ONCE = 50  # files under one write lock: others need not wait for all
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
    with shared.repository.blobs() as blobs:
        found = inspect(new.entries, blobs, {path: leaf.blob for path, leaf in note.on_disk.items()})
        wanted = {path: new.leaves[path] for path in found.accepted}
        done = _written(shared, note.on_disk, _steps(note.on_disk, new.leaves, wanted), blobs)
    on_disk = _now_on_disk(note.on_disk, new.leaves, wanted, done)
    shared.hold(note.new, new.leaves, on_disk)
    if shared.head != note.new:
        shared.repository.move(shared.branch, note.new, note.old)
    shared.follow(old.leaves, new.leaves, on_disk)
    shared.drop_note()
    return done


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


def _written(shared: Shared, on_disk: Leaves, steps: list[Step], blobs: Blobs) -> Applied:
    done = Applied()
    for start in range(0, len(steps), _AT_ONCE):
        some = steps[start : start + _AT_ONCE]
        texts = [blobs.read(leaf.blob, MAX_FILE_BYTES) if leaf else None for _, leaf in some]
        with shared.vault.writing(shared.namespace):
            for (path, leaf), data in zip(some, texts, strict=True):
                _put(shared, path, _blob(on_disk.get(path)), _blob(leaf), data, done)
    return done


def _put(shared: Shared, path: str, have: str, want: str, data: bytes | None, done: Applied) -> None:
    """Let one path hold other bytes, if it holds those that it is known to. The caller has the write lock."""
    place = f"{shared.namespace}/{path}"
    try:
        there = _bytes_at(shared, place)
        name = "" if there is None else blob_name(there, want or have)
        if name == want:
            pass  # an interrupted sync wrote it; it is told of all the same
        elif name != have:
            done.edited.append(path)
            return
        elif there is None and data is not None:
            *parts, last = PurePosixPath(place).parts
            with failures_reported(place), Folder.open(shared.home, *parts, create=True) as folder:
                folder.create(last, data)
        elif there is not None and data is not None:
            shared.vault.rewrite(shared.namespace, place, sha256(there), data)
        elif there is not None:
            shared.vault.discard(shared.namespace, place, sha256(there))
    except EditConflict:
        done.edited.append(path)
        return
    except VaultUnavailable as error:
        cause = error.__cause__
        if isinstance(cause, FileExistsError):
            done.edited.append(path)
        elif isinstance(cause, OSError) and cause.errno in _IN_THE_WAY:
            done.in_the_way.append(Problem(path, 0, "", f"not written: {error.cause}", error.remedy))
        else:
            raise
        return
    (done.gone if not want else done.changed if have else done.new).append(path)


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
