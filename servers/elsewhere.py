"""What a client on another machine may see and name: to it, what is `local_only` does not exist.

For a client on this machine (`local`) all of these let everything through.
"""

from __future__ import annotations

from typing import Any

from mesh import codec
from mesh.api import Mesh
from mesh.errors import AmbiguousId, MalformedMemory, MeshError, UnknownMemory

Row = dict[str, Any]


def seen(mesh: Mesh, name: str, local: bool) -> Row:
    """The memory of that name. Raises `UnknownMemory` for one that the client must not see."""
    try:
        return mesh.get(name, include_local=local)
    except MalformedMemory as error:
        if local:
            raise
        raise UnknownMemory(name, mesh.namespace) from error  # what cannot be read may be local_only


def named(mesh: Mesh, name: str, local: bool) -> str:
    """A name to give to the library for what the client names."""
    return name if local else str(seen(mesh, name, local)["path"])


def superseded(mesh: Mesh, name: str, local: bool) -> str:
    """The same, where the library takes ids only: not of a memory that shares its id with another."""
    if local:
        return name
    row = seen(mesh, name, local)
    if _lives_here(mesh, row["id"]):
        raise AmbiguousId(name, [row["path"]])
    return str(row["id"])


def in_trash(mesh: Mesh, name: str, local: bool) -> str:
    """The same, of what lies in the trash. What is local_only now, or was when it came there, is not there either."""
    if local:
        return name
    trash = mesh.workspace.vault.trash(mesh.namespace)
    try:
        ids = [trash.find(name).memory_id]
    except AmbiguousId as error:
        ids = list(error.matches)
    shared = [one for one in ids if not _was_local(mesh, one) and not _lives_here(mesh, one)]
    if not shared:
        raise UnknownMemory(name, mesh.namespace, in_trash=True)
    if len(shared) > 1:
        raise AmbiguousId(name, shared)
    return shared[0]


def counted(row: Row, local: bool) -> Row:
    """A row of `/namespaces`. Where the home lies is nobody's business."""
    kept = {key: value for key, value in row.items() if key != "path"}
    if local:
        return kept
    shared = None if row["memory_count"] is None else row["memory_count"] - row["local_only_count"]
    problem = row["problem"] and "it cannot be read"
    return kept | {"memory_count": shared, "local_only_count": 0, "last_updated": None, "problem": problem}


def _lives_here(mesh: Mesh, memory_id: str) -> bool:
    """Whether a living memory of that id is local_only, or may be."""
    try:
        return bool(mesh.get(memory_id)["local_only"])
    except UnknownMemory:
        return False
    except MeshError:  # several, or one that cannot be read
        return True


def _was_local(mesh: Mesh, memory_id: str) -> bool:
    trash = mesh.workspace.vault.trash(mesh.namespace)
    entry = trash.find(memory_id)
    try:
        return codec.read(trash.bytes_of(entry), entry.path).local_only
    except MalformedMemory:
        return True
