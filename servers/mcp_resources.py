"""Memories as resources: `mesh://namespaces`, and `mesh://{namespace}/{id}` for each of them."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from mesh.context import STYLES, about
from mesh.errors import AmbiguousId, InvalidInput, MeshError, NotFound
from mesh.memory import MIN_PREFIX

from .answers import inspected
from .mcp_tools import exact
from .meshes import Meshes

Row = dict[str, Any]

NAMESPACES = "mesh://namespaces"
TEMPLATE = "mesh://{namespace}/{id}"
_MEMORY = re.compile(r"mesh://([^/?#]+)/([^/?#]+)")
PAGE = 50  # resources of one list
MOST_COMPLETIONS = 100  # as the protocol has it
TITLE_CHARACTERS = 80


def uri_of(namespace: str, memory_id: str) -> str:
    """Namespaces and ids hold nothing that a URI would have to escape."""
    return f"mesh://{namespace}/{memory_id}"


def page(meshes: Meshes, cursor: str | None) -> tuple[list[Row], str | None]:
    """The resources of a page, the first of which names the namespaces, and the cursor of the next.

    The memories are those of the server's own namespace, the youngest first. Raises `InvalidInput`.
    """
    if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
        raise InvalidInput("it is none of this server's", place="cursor", remedy="Use nextCursor, or none to begin")
    mesh, offset = meshes.mesh(), int(cursor or 0)
    found = inspected(mesh, PAGE, offset, include_local=meshes.local)
    rows = [_resource(mesh.namespace, row) for row in found["memories"]]
    further = found["next_offset"]
    return ([] if offset else [_LIST]) + rows, str(further) if further else None


_LIST: Row = {
    "uri": NAMESPACES,
    "name": "namespaces",
    "title": "Namespaces of Mesh",
    "description": "The names of all namespaces, and which one this server uses",
    "mimeType": "application/json",
}


def _resource(namespace: str, row: Row) -> Row:
    changed = row["updated_at"] or row["created_at"]
    return {
        "uri": uri_of(namespace, row["id"]),
        "name": row["id"],
        "title": (row["title"] or next(iter(row["content"].splitlines()), ""))[:TITLE_CHARACTERS],
        "description": about(row),
        "mimeType": "text/markdown",
        "annotations": {"lastModified": changed} if changed else None,
    }


def read(meshes: Meshes, uri: str) -> tuple[str, str]:
    """The text of a resource, and its media type. Raises `NotFound` and other `MeshError`s."""
    namespace, memory_id = split(uri)
    if not memory_id:
        listed = {"namespaces": meshes.namespaces(), "default": meshes.mesh().namespace}
        return json.dumps(listed, ensure_ascii=False, indent=1), "application/json"
    mesh = meshes.mesh(namespace, must_exist=True)
    row = exact(meshes, mesh, memory_id)
    return STYLES["markdown"]([row], mesh.namespace), "text/markdown"


def split(uri: str) -> tuple[str, str]:
    """The namespace and the id of a memory's URI; no id for that of the namespaces. Raises `NotFound`."""
    if uri == NAMESPACES:
        return "", ""
    if match := _MEMORY.fullmatch(uri):
        return unquote(match[1]), unquote(match[2])
    raise NotFound(f"there is no resource {uri[:200]!r}", remedy=f"There are {NAMESPACES} and {TEMPLATE}")


def completed(meshes: Meshes, argument: str, begun: str, known: dict[str, str]) -> list[str]:
    """What a part of `TEMPLATE` may become: `known` holds the parts that are there already."""
    if argument == "namespace":
        return [name for name in meshes.namespaces() if name.startswith(begun.lower())][:MOST_COMPLETIONS]
    if argument != "id":
        return []
    try:
        return _ids(meshes, known.get("namespace") or None, begun)[:MOST_COMPLETIONS]
    except MeshError:
        return []  # a namespace or a beginning that nothing has


def _ids(meshes: Meshes, namespace: str | None, begun: str) -> list[str]:
    """Ids that begin so: of all memories, or, where too little is said, of the youngest."""
    mesh = meshes.mesh(namespace, must_exist=True)
    if len(begun) < MIN_PREFIX:
        young = mesh.inspect(MOST_COMPLETIONS, include_local=meshes.local)
        return [row["id"] for row in young if row["id"].lower().startswith(begun.lower())]
    try:
        return [mesh.get(begun, include_local=meshes.local)["id"]]
    except AmbiguousId as error:
        return [name for name in error.matches if "/" not in name]
