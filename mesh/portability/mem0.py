"""What mem0 gives out as JSON: a list of memories, bare or as `results` or `memories` of an object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import InvalidInput
from ..files import failures_reported
from ..memory import Memory, Problem
from . import fields, json_pieces
from .record import Record

LISTS = ("", "results", "memories")


def looks_like(first: Mapping[str, Any]) -> bool:
    """Whether a list of which this is the first object is mem0's: the text is its `memory`, not its `content`."""
    return "memory" in first and "content" not in first


def read(source: Path) -> Iterator[Record | Problem]:
    """Every memory of the lists. Raises `InvalidInput` for what is not JSON, `MeshError` for what ends too early."""
    with failures_reported(str(source)), source.open("rb") as file:
        for piece in json_pieces.pieces(file, source.name):
            if piece.key in LISTS and piece.number:
                yield _record(f"{source.name}: memory {piece.number}", piece.data)


def _record(place: str, data: bytes | None) -> Record | Problem:
    try:
        found = json_pieces.decoded(data or b"null")
        if not isinstance(found, dict) or "memory" not in found:
            return Problem(place, 0, "", "it has no 'memory', where mem0 has the text", "Correct it, or delete it")
        return Record(place, _memory(found))
    except InvalidInput as error:
        return fields.refused(place, error)
    except ValueError as error:
        return Problem(place, 0, "", f"it is not JSON ({error})", "Correct it, or delete it")


def _memory(found: Mapping[str, Any]) -> Memory:
    about = found.get("metadata")
    about = about if isinstance(about, dict) else {}
    type_, tags = fields.type_and_tags(about.get("type"), found.get("categories") or about.get("category"))
    created, updated = fields.when(found.get("created_at")), fields.when(found.get("updated_at"))
    return Memory(
        id=fields.own_id(found.get("id")),
        content=fields.content(found["memory"]),
        type=type_,
        tags=tags,
        agent=fields.word(found.get("agent_id"), "agent") or fields.word(found.get("user_id"), "agent"),
        created=created,
        updated=updated if updated != created else None,
        expires=fields.when(found.get("expiration_date")),
        source=fields.word(found.get("run_id"), "source"),
    )
