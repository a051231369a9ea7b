"""Change, forget and bring back memories. Whatever a change replaces goes to the trash first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from . import codec, secrets
from .errors import EditConflict, MalformedMemory
from .files import failures_reported, sha256
from .front_matter.edit import Change
from .index import broken
from .memory import Memory, iso
from .workspace import Workspace


def update(
    workspace: Workspace,
    name: str,
    changes: Mapping[str, Change],
    content: str | None = None,
    base: tuple[str, bytes] | None = None,
    *,
    stamped: bool = True,
    allow_secrets: Sequence[str] | None = None,
) -> Memory:
    """Change a memory's text or keys; its old text goes to the trash.

    `base`: the path and sha256 it was read with. `stamped`: whether `updated` becomes now.
    Raises `EditConflict` if the file is no longer that, `MalformedMemory` if it cannot be edited safely, `SecretFound`
    if a secret comes in that is not allowed (the file may hold others, which a person wrote there).
    """
    with workspace.turn:
        if base is None:
            memory, digest = workspace.find(name)
            path = memory.path
        else:
            path, digest = base
        with failures_reported(path):
            old = workspace.vault.bytes_of(path)
        if sha256(old) != digest:
            raise EditConflict(path)
        new = _revised(old, path, changes, content, allow_secrets)
        if new != old:
            if stamped:
                new = codec.revise(new, path, {"updated": iso(datetime.now(UTC))})
            with workspace.vault.writing(workspace.namespace):
                workspace.vault.rewrite(workspace.namespace, path, digest, new)
                workspace.refresh_paths(path)
        workspace.embed_path(path)
        return codec.read(new, path)


def _revised(
    old: bytes, path: str, changes: Mapping[str, Change], content: str | None, allow_secrets: Sequence[str] | None
) -> bytes:
    new = codec.revise(old, path, changes, content)
    if new == old and not allow_secrets:
        return old
    if names := secrets.needed(codec.read(new, path), allow_secrets, before=codec.read(old, path)):
        return codec.revise(new, path, {secrets.ALLOW_KEY: names})
    return new


def forget(workspace: Workspace, name: str) -> Memory:
    """Move a memory to the trash. Raises `UnknownMemory`, `AmbiguousId`; `MalformedMemory` if its file is broken."""
    with workspace.turn:
        memory, digest = workspace.find(name)
        refuse_broken(memory)
        with workspace.vault.writing(workspace.namespace):
            workspace.vault.discard(workspace.namespace, memory.path, digest)
            workspace.refresh_paths(memory.path)
        return memory


def refuse_broken(memory: Memory) -> None:
    """Raise `MalformedMemory` for a last good version: what would go is the broken file, which nobody was shown."""
    if memory.last_good:
        problem = memory.last_good.problem
        raise MalformedMemory(problem.path, problem.line, problem.cause, problem.remedy)


def forget_all(workspace: Workspace) -> int:
    """Move every memory of the namespace to the trash; broken files and those that somebody changes meanwhile stay."""
    with workspace.turn:
        workspace.refresh()
        manifest = workspace.cache.manifest
        paths = workspace.cache.run(lambda: set(manifest.paths()) - broken.served(manifest).keys())
        gone = 0
        for path in sorted(paths):
            with workspace.vault.writing(workspace.namespace), suppress(EditConflict):
                workspace.vault.discard(workspace.namespace, path)
                workspace.refresh_paths(path)
                gone += 1
        return gone


def restore(workspace: Workspace, name: str) -> Memory:
    """Bring a memory back from the trash; a living one with its id goes there instead. Raises `UnknownMemory`."""
    with workspace.turn:
        trash = workspace.vault.trash(workspace.namespace)
        trash.find(name)  # raises before anything is made
        workspace.prepare()
        workspace.refresh()
        with workspace.vault.writing(workspace.namespace):
            entry = trash.find(name)
            living = workspace.path_of_id(entry.memory_id)
            if living:
                workspace.vault.discard(workspace.namespace, living)
            path = trash.put_back(entry)
            workspace.refresh_paths(path, *([living] if living else []))
        workspace.embed_path(path)
        return workspace.vault.read(path)[0]
