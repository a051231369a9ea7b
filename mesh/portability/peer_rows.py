"""A memory as the peer (mesh-context-layer) writes it: the same keys in a row of its store and in its export."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from ..errors import InvalidInput
from ..memory import Memory
from . import fields

ENCRYPTED = "enc:v1:"


def memory(row: Mapping[str, object]) -> Memory:
    """Raises `InvalidInput` for what has no usable content, is encrypted, or waits for a person's approval."""
    _refuse_withheld(row)
    type_, tags = fields.type_and_tags(row.get("memory_type"), row.get("tags"))
    created, updated, expires = _life(row)
    return Memory(
        id=fields.own_id(row.get("id")),
        content=fields.content(row.get("content")),
        type=type_,
        tags=tags,
        agent=fields.word(row.get("source_agent"), "agent"),
        created=created,
        updated=updated,
        confidence=fields.confidence(row.get("confidence")),
        expires=expires,
        # `source` is no key of the peer's: who makes its export format for Mesh says with it what belongs together.
        source=fields.word(row.get("source"), "source") or _secret_place(row.get("secret_ref")),
        local_only=fields.truth(row.get("local_only")),
    )


def _refuse_withheld(row: Mapping[str, object]) -> None:
    content = row.get("content")
    if isinstance(content, str) and content.startswith(ENCRYPTED):
        raise InvalidInput(
            "it is encrypted",
            place="content",
            remedy="Export it with the program that wrote it, and import that file",
        )
    if fields.truth(row.get("quarantined")):
        raise InvalidInput(
            "it is in quarantine", place="content", remedy="Approve it in the program that wrote it, then import again"
        )


def _life(row: Mapping[str, object]) -> tuple[datetime | None, datetime | None, datetime | None]:
    """When it was made, changed, and ends. A life that was renewed counts, and fades, from its renewal."""
    created, renewed = fields.when(row.get("created_at")), fields.when(row.get("decay_start_at"))
    expires = fields.expires(created, renewed, row.get("ttl_days"))
    changed = renewed if expires else fields.when(row.get("updated_at"))
    return created, changed if changed != created else None, expires


def _secret_place(value: object) -> str:
    """Where a secret lies, such as `env://API_KEY`: the address in a `secret_ref`, which is JSON text or an object."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return ""
    return fields.word(found.get("uri"), "source") if isinstance(found, Mapping) else ""
