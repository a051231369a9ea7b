"""What in the folder is not as it was last seen there, and what of that may go out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from .. import codec, secrets
from ..errors import GitFailed, MalformedMemory, VaultUnavailable
from ..files import Folder
from ..git.repository import FILE
from ..memory import Memory, Problem
from ..scan import scan
from .leaves import Leaf, Leaves, blob_name, may_be_written, unfit
from .repository import Index, Shared


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


def edits(shared: Shared, head: Leaves, on_disk: Leaves, index: Index) -> Edits:
    """Compare the folder with what was last seen there."""
    found = Edits()
    seen, unknown = _files(shared)
    for path in seen:
        _look(shared, path, head, on_disk, index, found)
    for path, leaf in on_disk.items():
        if path in seen:
            continue
        if may_be_written(path, leaf) and not any(_is_below(path, place) for place in unknown):
            if _is_staged(path, None, head, index) and index.leaves.get(path) is not None:
                found.back.append(_staged(path))
            else:
                found.going.append(Edit(path, None, None, _memory_of(shared, path, leaf)))
        elif path in index.leaves and not may_be_written(path, leaf) and leaf.mode == FILE:
            _look(shared, path, head, on_disk, index, found)
    return found


def _memory_of(shared: Shared, path: str, leaf: Leaf) -> Memory | None:
    """What a file that is gone was."""
    with shared.repository.blobs() as blobs:
        try:
            return codec.read(blobs.read(leaf.blob, codec.MAX_FILE_BYTES), path)
        except (MalformedMemory, GitFailed):
            return None


def _files(shared: Shared) -> tuple[dict[str, object], list[str]]:
    """The memory files of the folder, and places of which nothing is known now."""
    snapshot = scan(shared.home, (shared.namespace,))
    prefix = f"{shared.namespace}/"
    unknown = [path.removeprefix(prefix) for path in (*snapshot.unreadable, *snapshot.links)]
    if shared.namespace in (path.rstrip("/") for path in snapshot.unreadable):
        raise VaultUnavailable("it cannot be listed", place=shared.place, remedy="Check who owns it and its mode")
    return {path.removeprefix(prefix): stamp for path, stamp in snapshot.files.items()}, unknown


def _is_below(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip("/") + "/")


def _look(shared: Shared, path: str, head: Leaves, on_disk: Leaves, index: Index, found: Edits) -> None:
    was = on_disk.get(path)
    try:
        data = _read(shared, path)
    except FileNotFoundError:
        return  # it went since, or is no memory and was removed: a person's own git sees to that
    except OSError as error:
        found.back.append(Problem(path, 0, "", f"not read: {(error.strerror or 'error').lower()}", "Check the file"))
        return
    name = blob_name(data, was.blob if was else "")
    if was and was.blob == name:
        return
    leaf = Leaf(was.mode if was else FILE, name)
    memory, problem = judged(path, data)
    if problem is None and _is_staged(path, leaf, head, index):
        problem = _staged(path)
    if problem:
        found.back.append(_known_to_others(problem) if problem.key == "local_only" and path in head else problem)
        return
    found.going.append(Edit(path, leaf, data, memory, was is None))


def _read(shared: Shared, path: str) -> bytes:
    *parts, name = PurePosixPath(path).parts
    with Folder.open(shared.home, shared.namespace, *parts) as folder:
        return folder.read(name)


def judged(path: str, data: bytes) -> tuple[Memory | None, Problem | None]:
    """The memory in a file, and why it may not go out."""
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
    return memory, next(_secrets(path, data), None)


def _secrets(path: str, data: bytes) -> Iterator[Problem]:
    for one in secrets.in_file(data, path):
        yield Problem(
            path,
            one.line,
            "",
            f"it looks like a secret ({one.kind}: {one.excerpt})",
            f"Leave it out; or, if it is none, say so in its front matter: {secrets.ALLOW_KEY}: [{one.fingerprint}]",
        )


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
