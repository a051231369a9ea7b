"""Conflicts between clones: what they are, and how a person settles them. See `mesh.rivals`."""

from __future__ import annotations

import difflib
from dataclasses import asdict
from typing import Any, get_args

from ..change import refuse_broken
from ..codec import read as read_memory
from ..errors import InvalidInput, NotFound
from ..files import sha256
from ..index import broken
from ..listing import listed
from ..memory import Memory, iso
from ..merge import marked, sides
from ..rivals import How, rival_of, settled
from ..rivals import conflicts as rivals_of
from ..workspace import Workspace

Row = dict[str, Any]


def conflicts(workspace: Workspace) -> list[Row]:
    """Every memory with a rival: whose texts they are, since when, and how they differ."""
    memories, _ = listed(workspace, limit=-1)
    by_name = _by_name(workspace, memories)
    rows = []
    for name, rivals in rivals_of(memories).items():
        memory = by_name.get(name.lower())
        for rival in sorted(rivals, key=lambda one: one.path):
            rows.append(_row(name, memory, rival))
    return sorted(rows, key=lambda row: (row["path"] or "", row["rival_path"]))


def _by_name(workspace: Workspace, memories: list[Memory]) -> dict[str, Memory]:
    prefix = f"{workspace.namespace}/"
    by_path = {one.path.removeprefix(prefix).lower(): one for one in memories}
    return by_path | {one.id.lower(): one for one in memories}


def _row(name: str, memory: Memory | None, rival: Memory) -> Row:
    """One conflict. `id` and `path`: None if the memory was deleted since, and only its rival is left."""
    side = {"agent": rival.agent, "since": _since(rival)}
    ours = {"id": None, "path": None, "agent": "", "since": ""}
    if memory:
        ours = {"id": memory.id, "path": memory.path, "agent": memory.agent, "since": _since(memory)}
    row = {**ours, "name": name, "rival_id": rival.id, "rival_path": rival.path}
    return row | {f"rival_{key}": value for key, value in side.items()} | {"diff": _difference(memory, rival)}


def _since(memory: Memory) -> str:
    when = memory.updated or memory.created
    return iso(when) if when else ""


def _difference(memory: Memory | None, rival: Memory) -> list[str]:
    one, other = (_told(each) for each in (memory, rival))
    lines = difflib.unified_diff(one, other, "ours", "theirs", lineterm="", n=1)
    return [line for line in lines if not line.startswith("@@")]


def _told(memory: Memory | None) -> list[str]:
    if memory is None:
        return []
    keys = [f"{key}: {getattr(memory, key)}" for key in ("type", "title", "source") if getattr(memory, key, "")]
    return [*keys, *memory.content.split("\n")]


def quarantined(workspace: Workspace) -> list[Row]:
    """The files that cannot be read and are served as they were last good: where and why, and of which commit."""
    with workspace.turn:
        workspace.refresh()
        manifest = workspace.cache.manifest
        commits = workspace.cache.run(lambda: broken.served(manifest))
        problems = workspace.cache.run(manifest.problems)
    return [asdict(one) | {"commit": commits[one.path]} for one in problems if one.path in commits]


def resolve(workspace: Workspace, name: str, how: str = "ours", text: bytes | None = None) -> Row:
    """Settle the conflict of a memory, or the one that a rival's name names. `text`: a whole file to be it instead.

    Raises `NotFound` if there is none, `InvalidInput`, `EditConflict`, `MalformedMemory`.
    """
    if how not in get_args(How):
        raise InvalidInput(f"{how!r} is no way to settle it", place="how", remedy="Say ours, theirs or both")
    with workspace.turn:
        row = _conflict(workspace, name)
        for key in ("path", "rival_path"):
            refuse_broken(workspace.find(row[key])[0])
        ours, theirs = (_bytes(workspace, row[key]) for key in ("path", "rival_path"))
        if text is not None:
            read_memory(text, row["path"])
            memory, rival = text, None
        else:
            memory, rival = settled(ours, theirs, how, row["rival_path"])  # type: ignore[arg-type]
        _write(workspace, row["path"], ours, memory)
        _write(workspace, row["rival_path"], theirs, rival)
    return {"id": row["id"], "path": row["path"], "rival_path": row["rival_path"], "how": "edit" if text else how}


def both_sides(workspace: Workspace, name: str) -> bytes:
    """A memory's file and its rival's in one, with git's markers where they differ: for an editor."""
    with workspace.turn:
        row = _conflict(workspace, name)
        ours, theirs = (_bytes(workspace, row[key]) for key in ("path", "rival_path"))
        replaced, _ = settled(ours, theirs, "theirs", row["rival_path"])
        return marked(None, ours, replaced)


def is_undecided(text: bytes) -> bool:
    return sides(text) is not None


def _conflict(workspace: Workspace, name: str) -> Row:
    memory, _ = workspace.find(name)
    found = [row for row in conflicts(workspace) if memory.path in (row["path"], row["rival_path"])]
    if not found:
        raise NotFound(f"{name!r} has no conflict", remedy="List them: mesh conflicts")
    if len(found) > 1:
        some = ", ".join(row["rival_id"] for row in found)
        raise InvalidInput(f"{name!r} has {len(found)} rivals", place="id", remedy=f"Name one of them: {some}")
    if found[0]["path"] is None:
        raise NotFound(
            f"the memory of which {name!r} is a rival is gone ({rival_of(memory)})",
            remedy=f"Forget the rival, or keep it: mesh edit {name}, and remove rival_of",
        )
    return found[0]


def _bytes(workspace: Workspace, path: str) -> bytes:
    return workspace.vault.bytes_of(path)


def _write(workspace: Workspace, path: str, old: bytes, new: bytes | None) -> None:
    if new == old:
        return
    with workspace.vault.writing(workspace.namespace):
        if new is None:
            workspace.vault.discard(workspace.namespace, path, sha256(old))
        else:
            workspace.vault.rewrite(workspace.namespace, path, sha256(old), new)
        workspace.refresh_paths(path)
