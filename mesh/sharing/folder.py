"""What in the folder is not as it was last seen there, and what of that may go out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from .. import codec
from ..errors import GitFailed, MalformedMemory, VaultUnavailable
from ..files import Folder
from ..git.objects import blob_name
from ..git.trees import FILE, Leaf, Leaves
from ..memory import Memory, Problem
from ..scan import Snapshot, Stamp, scan
from . import leaks
from .leaves import may_be_written, unfit
from .repository import Index, Shared
from .stamps import Stamps


@dataclass(frozen=True, slots=True)
class Edit:
    """A path that holds something new; `data`: None if it is gone. `memory`: as it is now, or as it was."""

    path: str
    leaf: Leaf | None
    data: bytes | None
    memory: Memory | None
    is_new: bool = False


@dataclass(slots=True)
class Edits:
    """What may be committed, and what stays back, with the reason."""

    going: list[Edit] = field(default_factory=list)
    back: list[Problem] = field(default_factory=list)


def listed(shared: Shared) -> Snapshot:
    """What lies in the folder. Raises `VaultUnavailable` where that cannot be told."""
    snapshot = scan(shared.home, (shared.namespace,))
    if shared.namespace in (path.rstrip("/") for path in snapshot.unreadable):
        raise VaultUnavailable("it cannot be listed", place=shared.place, remedy="Check who owns it and its mode")
    return snapshot


def edits(
    shared: Shared,
    head: Leaves,
    on_disk: Leaves,
    index: Index,
    snapshot: Snapshot | None = None,
    stamps: Stamps | None = None,
) -> Edits:
    """Compare the folder with what was last seen there. `stamps`: what is known of its files, and learned here."""
    snapshot = snapshot or listed(shared)
    with _Looking(shared, head, on_disk, index, stamps or Stamps(shared)) as looking:
        seen, unknown = _files(shared, snapshot)
        for path, stamp in seen.items():
            looking.look(path, stamp)
        for path, leaf in on_disk.items():
            if path in seen:
                continue
            if may_be_written(path, leaf):
                if not any(_is_below(path, place) for place in unknown):
                    looking.miss(path, leaf)
            elif path in index.leaves and leaf.mode == FILE:  # people keep it here with git
                looking.look(path, looking.stamps.stamp_of_other(path))
    return looking.found


def _files(shared: Shared, snapshot: Snapshot) -> tuple[dict[str, Stamp], list[str]]:
    """The memory files of the folder, and places of which nothing is known now."""
    prefix = f"{shared.namespace}/"
    unknown = [path.removeprefix(prefix) for path in (*snapshot.unreadable, *snapshot.links)]
    return {path.removeprefix(prefix): stamp for path, stamp in snapshot.files.items()}, unknown


class _Looking:
    """A context manager: it keeps open the folder that was read from last, and a process that reads blobs."""

    def __init__(self, shared: Shared, head: Leaves, on_disk: Leaves, index: Index, stamps: Stamps) -> None:
        self._shared, self._head, self._on_disk, self._index = shared, head, on_disk, index
        self._blobs = shared.repository.blobs()
        self._folder: Folder | None = None
        self._open = ""  # which folder that is
        self.stamps, self.found = stamps, Edits()

    def __enter__(self) -> _Looking:
        return self

    def __exit__(self, *_: object) -> None:
        self._blobs.__exit__()
        if self._folder:
            self._folder.close()

    def miss(self, path: str, leaf: Leaf) -> None:
        """Take in that a file is gone."""
        if _is_staged(path, None, self._head, self._index) and self._index.leaves.get(path) is not None:
            self.found.back.append(_staged(path))
        else:
            self.found.going.append(Edit(path, None, None, self._memory_of(path, leaf)))

    def _memory_of(self, path: str, leaf: Leaf) -> Memory | None:
        try:
            return codec.read(self._blobs.read(leaf.blob, codec.MAX_FILE_BYTES), path)
        except (MalformedMemory, GitFailed):
            return None

    def look(self, path: str, stamp: Stamp | None) -> None:
        """Compare one file. `stamp`: what it had before this."""
        was = self._on_disk.get(path)
        if was and self.stamps.is_still(path, was.blob, stamp):
            return
        try:
            data = self._read(path)
        except FileNotFoundError:
            return  # it went since, or is no memory and was removed: a person's own git sees to that
        except OSError as error:
            cause = f"not read: {(error.strerror or 'error').lower()}"
            self.found.back.append(Problem(path, 0, "", cause, "Check the file"))
            return
        name = blob_name(data, was.blob if was else "")
        self.stamps.holds(path, name, stamp)
        if not was or was.blob != name:
            self._judge(path, was, Leaf(was.mode if was else FILE, name), data)

    def _judge(self, path: str, was: Leaf | None, leaf: Leaf, data: bytes) -> None:
        memory, problem = judged(path, data, self._shared.allowed)
        if problem is None and _is_staged(path, leaf, self._head, self._index):
            problem = _staged(path)
        if problem and problem.key == "local_only" and path in self._head:
            problem = _known_to_others(problem)
        if problem:
            self.found.back.append(problem)
        else:
            self.found.going.append(Edit(path, leaf, data, memory, was is None))

    def _read(self, path: str) -> bytes:
        folder, _, name = path.rpartition("/")
        if self._folder is None or folder != self._open:
            if self._folder:
                self._folder.close()
            self._folder = None
            self._folder = Folder.open(self._shared.home, self._shared.namespace, *folder.split("/") if folder else ())
            self._open = folder
        return self._folder.read(name)


def _is_below(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip("/") + "/")


def judged(path: str, data: bytes, allowed: Collection[str] = ()) -> tuple[Memory | None, Problem | None]:
    """The memory in a file, and why it may not go out. `allowed`: fingerprints of what is no secret."""
    if why := unfit(path):
        return None, Problem(path, 0, "", why, "Rename it")
    memory = None
    if may_be_written(path, None):
        try:
            memory = codec.read(data, path)
        except MalformedMemory as error:
            return None, Problem(path, error.line, "", error.reason, error.remedy)
        if memory.local_only:
            return memory, Problem(path, 0, "local_only", "it is local_only", "Nothing to do: it stays on this machine")
    return memory, next(leaks.secrets_in(path, data, memory or leaks.memory_in(path, data), allowed), None)


def _known_to_others(problem: Problem) -> Problem:
    """What is local_only now, and was committed before: what it was then does not become so by that."""
    cause = "it is local_only now, but git's history has what it was before, and others may have that"
    return replace(
        problem, cause=cause, remedy="Take it out of their folders, too: mesh doctor --fix local, and sync again"
    )


def _is_staged(path: str, now: Leaf | None, head: Mapping[str, Leaf], index: Index) -> bool:
    """Whether a person staged something for this path that is neither HEAD's nor what the folder has."""
    staged = index.leaves.get(path)
    return staged != head.get(path) and (staged.blob if staged else None) != (now.blob if now else None)


def _staged(path: str) -> Problem:
    return Problem(path, 0, "", "you have staged another version of it", "Commit it with git, or unstage it")
