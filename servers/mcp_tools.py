"""The tools: each takes its checked arguments, asks the library, and answers with a text and lean data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mesh.api import Mesh
from mesh.errors import AmbiguousId, InvalidInput, MeshError, SecretFound, UnknownMemory, UnknownNamespace

from .answers import inspected, recalled
from .mcp_answers import Row, cut, fitted, how_found, lean, lean_receipt, part, quoted, text_of, unanswered
from .mcp_arguments import checked
from .mcp_catalogue import takes
from .meshes import Meshes

log = logging.getLogger("mesh")

PAGE_CHARACTERS = 9_000  # of one memory that is looked at whole


class ToolFailed(Exception):
    """What a model is told instead of an answer, in one line."""


def call(meshes: Meshes, name: str, arguments: Mapping[str, Any]) -> Row:
    """The answer of a tool. Raises `ToolFailed`."""
    try:
        return TOOLS[name](meshes, **checked(arguments, takes(name, local=meshes.local)))
    except MeshError as error:
        raise ToolFailed(said(error)) from error
    except Exception as error:
        log.exception("%s failed", name)
        raise ToolFailed(f"{name} failed ({type(error).__name__}). The server's log says more") from error


def said(error: MeshError) -> str:
    """An error in one line, with a remedy that a model can apply."""
    cause, remedy = error.cause, error.remedy
    if isinstance(error, UnknownMemory):
        remedy = "Find its id with mesh_recall or mesh_inspect"
    elif isinstance(error, UnknownNamespace) and "mesh learn" in remedy:
        remedy = "There is none yet; mesh_learn makes the one that it is given"
    elif isinstance(error, SecretFound):
        names = ", ".join(f'"{one}"' for one in error.fingerprints)
        remedy = f"Leave it out and tell the user. Only if the user says that it is no secret: allow_secrets [{names}]"
    elif isinstance(error, AmbiguousId) and "/" in error.matches[0]:  # paths: not all of them may be told
        cause, remedy = "several files have this id", "A person can correct it: mesh doctor --fix ids"
    return " ".join(str(MeshError(cause, place=error.place, remedy=remedy)).split())


def learn(
    meshes: Meshes,
    content: str,
    namespace: str | None = None,
    supersedes: Sequence[str] = (),
    **parts: Any,
) -> Row:
    """Store a memory; the author is the server's own."""
    mesh = meshes.mesh(namespace)
    replaced = [exact(meshes, mesh, memory_id, "supersedes")["id"] for memory_id in supersedes]
    learned = mesh.learn(content, supersedes=replaced, **parts)
    if conflict := learned["conflict"]:
        conflict["existing_content"] = cut({"content": conflict["existing_content"]}, PAGE_CHARACTERS)["content"]
    return {"text": _learned_text(learned, mesh.namespace), "namespace": mesh.namespace} | learned


def _learned_text(learned: Row, namespace: str) -> str:
    memory_id, conflict = learned["memory_id"], learned["conflict"]
    if learned["status"] == "deduplicated":
        return f"This very text is there already: {memory_id} in {namespace}. Nothing was stored.\n"
    replaced = f" It replaces {', '.join(learned['superseded'])}." if learned["superseded"] else ""
    if conflict is None:
        return f"Stored as {memory_id} in {namespace}.{replaced}\n"
    other = conflict["existing_memory_id"]
    return (
        f"Stored as {memory_id} in {namespace}.{replaced} It may contradict {other}, by "
        f"{conflict['stored_by'] or 'an unknown author'}, {(conflict['stored_at'] or 'at an unknown time')[:10]}; "
        f"they differ in {conflict['difference']}:\n\n{quoted(conflict['existing_content'])}\n\n"
        f"If that one no longer holds: mesh_forget it. If the new one is wrong: mesh_forget {memory_id}.\n"
    )


def recall(
    meshes: Meshes, query: str, count: int = 5, namespace: str | None = None, nearest: bool = False, **filters: Any
) -> Row:
    """The memories that answer a question; where none seems to, the `nearest` if they are asked for."""
    mesh = meshes.mesh(namespace, must_exist=True)
    found = recalled(mesh, query, count, include_local=meshes.local, **filters)
    receipt, hits = lean_receipt(found["receipt"]), found["results"]
    none = "" if found["answered"] else _none(hits, mesh.namespace, filters, nearest)

    def answer(rows: Sequence[Row]) -> Row:
        text = text_of(rows, mesh.namespace, how_found(rows, receipt), none) if rows else f"{none}\n"
        results = [lean(row) for row in rows]
        return {
            "text": text,
            "namespace": mesh.namespace,
            "results": results,
            "count": len(results),
            "answered": found["answered"],
            "receipt": receipt,
        }

    return fitted(hits if found["answered"] or nearest else [], answer)


def _none(hits: Sequence[Row], namespace: str, narrowed: Mapping[str, Any], shown: bool) -> str:
    """What is said where nothing answers, whether or not what is nearest is `shown`."""
    if not hits:
        return _nothing(namespace, narrowed)
    return "None of these seems to answer." if shown else unanswered(hits, namespace) + _otherwise(narrowed)


def _nothing(namespace: str, narrowed: Mapping[str, Any]) -> str:
    """What is said instead of no memories at all."""
    return f"There is nothing like that in namespace {namespace}.{_otherwise(narrowed)}"


def _otherwise(narrowed: Mapping[str, Any]) -> str:
    return f" Perhaps there is without {' and '.join(narrowed)}." if narrowed else ""


def context(
    meshes: Meshes, query: str | None = None, count: int = 10, namespace: str | None = None, **chosen: Any
) -> Row:
    """Memories as one text for a prompt."""
    mesh = meshes.mesh(namespace, must_exist=True)
    made = mesh.context(query, count, include_local=meshes.local, **chosen)
    text, shown = made["context"], made["memory_count"]
    return {"text": text, "namespace": mesh.namespace, "memory_count": shown}


def inspect(
    meshes: Meshes,
    memory_id: str | None = None,
    offset: int = 0,
    namespace: str | None = None,
    **narrowed: Any,
) -> Row:
    """The youngest memories, or one of them whole."""
    mesh = meshes.mesh(namespace, must_exist=True)
    if memory_id is None:
        return _listed(meshes, mesh, offset, **narrowed)
    if narrowed:
        raise InvalidInput(
            "one memory cannot be narrowed down", place=", ".join(narrowed), remedy="Leave memory_id out"
        )
    return _one(meshes, mesh, memory_id, offset)


def _listed(meshes: Meshes, mesh: Mesh, offset: int, limit: int = 20, **filters: Any) -> Row:
    found = inspected(mesh, limit, offset, include_local=meshes.local, **filters)

    def answer(rows: Sequence[Row]) -> Row:
        left_out = len(rows) < len(found["memories"])
        further = offset + len(rows) if left_out else found["next_offset"]
        more = f"There may be more: offset {further}." if further else ""
        text = text_of(rows, mesh.namespace, more) if rows else f"{_nothing(mesh.namespace, filters)}\n"
        memories = [lean(row) for row in rows]
        return _inspected(text, mesh.namespace, memories, further)

    return fitted(found["memories"], answer)


def _one(meshes: Meshes, mesh: Mesh, memory_id: str, offset: int) -> Row:
    """One memory whole, or a page of one that is long."""
    row = mesh.get(memory_id, include_local=meshes.local)
    length, stop = len(row["content"]), offset + PAGE_CHARACTERS
    if offset and offset >= length:
        raise InvalidInput(f"{offset:,} is beyond its {length:,} characters", place="offset", remedy="Give less")
    row = part(row, offset, stop) if offset or stop < length else row
    further = stop if stop < length else None
    more = f"It goes on at offset {further}." if further else ""
    text = text_of([row], mesh.namespace, more, say_what_is_cut=False)
    return _inspected(text, mesh.namespace, [lean(row)], further)


def _inspected(text: str, namespace: str, memories: list[Row], further: int | None) -> Row:
    return {
        "text": text,
        "namespace": namespace,
        "memories": memories,
        "count": len(memories),
        "next_offset": further,
    }


def update(meshes: Meshes, memory_id: str, namespace: str | None = None, **changes: Any) -> Row:
    """Change a memory that is named by its whole id."""
    if not changes:
        raise InvalidInput("there is nothing to change", remedy="Give content, tags or another part")
    mesh = meshes.mesh(namespace, must_exist=True)
    row = mesh.update(exact(meshes, mesh, memory_id)["path"], **changes)
    shown = cut(row, PAGE_CHARACTERS)
    text = f"Updated {row['id']} in {mesh.namespace}. It says now:\n\n{quoted(shown['content'])}\n"
    return {"text": text, "namespace": mesh.namespace, "memory": lean(shown)}


def forget(meshes: Meshes, memory_id: str, namespace: str | None = None) -> Row:
    """Move a memory that is named by its whole id to the trash."""
    mesh = meshes.mesh(namespace, must_exist=True)
    row = mesh.forget(exact(meshes, mesh, memory_id)["path"])
    text = f"Forgotten: {row['id']}. For 30 days a person can bring it back: mesh restore {row['id']}\n"
    return {"text": text, "namespace": mesh.namespace, "memory_id": row["id"], "path": row["path"]}


def exact(meshes: Meshes, mesh: Mesh, memory_id: str, place: str = "memory_id") -> Row:
    """The memory with this very id. What is only the beginning of one is refused, and the whole ones are named."""
    try:
        row = mesh.get(memory_id, include_local=meshes.local)
    except AmbiguousId as error:
        if "/" in error.matches[0]:  # several files, one id
            raise
        raise _not_whole(memory_id, place, error.matches) from error
    if row["id"].lower() != memory_id.lower():
        raise _not_whole(memory_id, place, [row["id"]])
    return row


def _not_whole(memory_id: str, place: str, meant: Sequence[str]) -> InvalidInput:
    shown = ", ".join(meant[:5]) + (", ..." if len(meant) > 5 else "")
    remedy = f"Give the whole id, if you mean it: {shown}"
    return InvalidInput(f"{memory_id!r} is not a whole id", place=place, remedy=remedy)


TOOLS: dict[str, Callable[..., Row]] = {
    "mesh_recall": recall,
    "mesh_learn": learn,
    "mesh_context": context,
    "mesh_inspect": inspect,
    "mesh_update": update,
    "mesh_forget": forget,
}
