"""What goes into each tool and what comes out of it: plain JSON Schema.

For what clients do with it there is no `$ref`, no array without `items`, and nothing that only a default says; and it
is short, since it is part of every conversation.
"""

from __future__ import annotations

from typing import Any

from mesh.context import STYLES
from mesh.inputs import MAX_TAGS, MAX_TTL_DAYS
from mesh.memory import TYPES

from .json_schema import Schema

MOST_ROWS = 50  # of one answer: what a model can read


def _text(says: str, **more: Any) -> Schema:
    return {"type": "string", "description": says, **more}


def _number(says: str, low: float, high: float) -> Schema:
    return {"type": "number", "description": says, "minimum": low, "maximum": high}


def _whole(says: str, low: int, high: int) -> Schema:
    return {"type": "integer", "description": says, "minimum": low, "maximum": high}


def _truth(says: str) -> Schema:
    return {"type": "boolean", "description": says}


def _words(says: str, most: int = MAX_TAGS) -> Schema:
    return {"type": "array", "description": says, "items": {"type": "string"}, "maxItems": most}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(properties: Schema, *required: str) -> Schema:
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": properties} | needed


# --- what goes in ---------------------------------------------------------------------------------------


def _arguments(*required: str, **properties: Schema) -> Schema:
    """Every tool takes a namespace, and nothing that it does not name."""
    namespace = _text("Another namespace than this server's own")
    return _object(properties | {"namespace": namespace}, *required) | {"additionalProperties": False}


_ONLY = {
    "memory_type": _text("Only of this type", enum=list(TYPES)),
    "tags": _words("Only with all of these tags"),
    "source_agent": _text("Only by this author"),
    "since": _text("Only from then on: 2026-01-31, 3d, yesterday"),
    "until": _text("Only from before then"),
}
_PARTS = {
    "memory_type": _text("fact without it", enum=list(TYPES)),
    "confidence": _number("How sure it is; 1 without it", 0, 1),
    "ttl_days": {
        "type": "number",
        "description": "Days until it expires",
        "exclusiveMinimum": 0,
        "maximum": MAX_TTL_DAYS,
    },
    "title": _text("A few words"),
}
_WHOLE_ID = _text("Its whole id, not only the beginning")

_ALLOW_SECRETS = _words("If the user says so: fingerprints of what was refused as a secret and is none")

LEARN = _arguments(
    "content",
    content=_text("One statement that is understood without this conversation", minLength=1),
    tags=_words("Words to find it by"),
    source=_text("Where it is from: a file, a link, a person"),
    supersedes=_words("Whole ids of the memories that it replaces; they go to the trash"),
    allow_secrets=_ALLOW_SECRETS,
    **_PARTS,
)
LOCAL_ONLY = _truth("Keep it on this machine: never shared, synced or exported")
RECALL = _arguments(
    "query",
    query=_text("What you want to know: a question or key words", minLength=1),
    count=_whole("How many; 5 without it", 1, MOST_ROWS),
    min_similarity=_number("Only with at least this cosine", -1, 1),
    nearest=_truth("true: what is nearest, also where none seems to answer"),
    min_confidence=_number("Only with at least this confidence", 0, 1),
    include_stale=_truth("false: leave out what has nearly expired"),
    **_ONLY,
)
INSPECT = _arguments(
    memory_id=_text("One memory, whole: its id, or the beginning of it"),
    limit=_whole("How many; 20 without it", 1, MOST_ROWS),
    offset=_whole("Go on from `next_offset` of the answer before", 0, 1_000_000_000),
    **_ONLY,
)
CONTEXT = _arguments(
    query=_text("What the work is about; without it, the latest memories"),
    count=_whole("How many; 10 without it", 1, MOST_ROWS),
    format=_text("markdown without it", enum=list(STYLES)),
    min_confidence=_number("Only with at least this confidence; 0.3 without it", 0, 1),
    memory_type=_ONLY["memory_type"],
    tags=_ONLY["tags"],
)
UPDATE = _arguments(
    "memory_id",
    memory_id=_WHOLE_ID,
    content=_text("The new text, all of it", minLength=1),
    tags=_words("The new tags, all of them"),
    allow_secrets=_ALLOW_SECRETS,
    **_PARTS | {"memory_type": _text("Another type", enum=list(TYPES)), "confidence": _number("How sure it is", 0, 1)},
)
FORGET = _arguments("memory_id", memory_id=_WHOLE_ID)

# --- what comes out ---------------------------------------------------------------------------------------

_STRING, _COUNT = {"type": "string"}, {"type": "integer"}
_STRINGS = {"type": "array", "items": _STRING}
_MEMORY = {  # and, where there are any, its evidence, what it supersedes, what says the same, and its rivals
    **dict.fromkeys(("id", "content", "title", "memory_type", "source_agent"), _STRING),
    **dict.fromkeys(("created_at", "updated_at", "expires_at", "source", "path"), _STRING),
    **dict.fromkeys(("tags", "labels"), _STRINGS),
    "confidence": {"type": "number"},
    "cut": _text("How much of its text `content` is"),
}
_ALWAYS = ("id", "content", "memory_type", "tags", "source_agent", "path")
_HIT = _MEMORY | {"similarity": _or_null({"type": "number"}), "score": {"type": "number"}}
_FLAG = {"type": "boolean"}
_RECEIPT = _object({"scanned": _COUNT, "pending": _COUNT, "lexical_only": _FLAG})  # and more
_CONFLICT = _object(
    {
        **dict.fromkeys(("existing_memory_id", "existing_content", "difference", "stored_by"), _STRING),
        "similarity": _or_null({"type": "number"}),
        "stored_at": _or_null(_STRING),
    }
)


def _answer(**properties: Schema) -> Schema:
    """Every answer says in `text` all that a model needs, and which namespace it is from."""
    every = {"text": _text("All of it, to read"), "namespace": _STRING} | properties
    return _object(every, *every)


def _rows(row: Schema, *required: str) -> Schema:
    return {"type": "array", "items": _object(row, *_ALWAYS, *required)}


LEARNED = _answer(
    memory_id=_STRING,
    status={"type": "string", "enum": ["stored", "stored_with_conflict", "deduplicated"]},
    path=_STRING,
    superseded=_STRINGS,
    conflict=_or_null(_CONFLICT),
)
RECALLED = _answer(results=_rows(_HIT, "similarity", "score"), count=_COUNT, answered=_FLAG, receipt=_RECEIPT)
INSPECTED = _answer(memories=_rows(_MEMORY), count=_COUNT, next_offset=_or_null(_COUNT))
CONTEXT_MADE = _answer(memory_count=_COUNT)
UPDATED = _answer(memory=_object(_MEMORY, *_ALWAYS))
FORGOTTEN = _answer(memory_id=_STRING, path=_STRING)
