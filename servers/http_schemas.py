"""What the routes answer, as JSON Schema."""

from __future__ import annotations

from typing import Any

from mesh.memory import TYPES

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
WORDS: Schema = {"type": "array", "items": TEXT}
MOMENT: Schema = {"type": ["string", "null"], "description": "ISO 8601 in UTC"}
OK: Schema = {"const": "ok"}


def record(**keys: Schema) -> Schema:
    """An object that always has all of these keys."""
    return {"type": "object", "properties": keys, "required": list(keys)}


def many(name: str) -> Schema:
    return {"type": "array", "items": ref(name)}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_MEMORY = {
    "id": TEXT,
    "content": TEXT,
    "memory_type": TEXT | {"description": f"One of {', '.join(TYPES)}, or what a person wrote in the file"},
    "tags": WORDS,
    "source_agent": TEXT,
    "confidence": NUMBER | {"minimum": 0, "maximum": 1},
    "effective_confidence": NUMBER | {"minimum": 0, "maximum": 1},
    "is_stale": FLAG,
    "days_until_stale": {"type": ["number", "null"]},
    "local_only": FLAG,
    "created_at": MOMENT,
    "updated_at": MOMENT,
    "expires_at": MOMENT,
    "title": TEXT,
    "source": TEXT,
    "evidence": WORDS,
    "supersedes": WORDS,
    "path": TEXT | {"description": "Of its file, in the home"},
    "quarantined": or_null(
        record(path=TEXT, line=COUNT, cause=TEXT, remedy=TEXT, commit=TEXT, committed_at=TEXT)
        | {"description": "Its file cannot be read, so this is its last good version, from that commit"}
    ),
    "rival_of": {"type": ["string", "null"], "description": "The id or path of the memory that it conflicts with"},
    "rivals": WORDS | {"description": "Ids of other versions of it, in a conflict that nobody has settled"},
    "notices": WORDS | {"description": "The same in words: what to know before relying on it"},
}
_SCORES = {
    "similarity": {"type": ["number", "null"], "description": "Cosine of the embeddings; null without a vector"},
    "score": NUMBER | {"description": "What they are ordered by"},
    "bm25": NUMBER,
    "meaning_part": NUMBER,
    "words_part": NUMBER,
    "neighbours_part": NUMBER,
    "time_part": NUMBER | {"description": "The bonus for being of the time that the question names"},
    "matched_words": WORDS,
    "passage": TEXT,
    "superseded_by": {"type": ["string", "null"]},
    "same_as": WORDS | {"description": "Ids of other memories that say the same, which are not among the results"},
    "rerank_score": {"type": ["number", "null"], "description": "The order is by it, where there is one"},
}
SCHEMAS: dict[str, Schema] = {
    "Error": record(error=record(code=TEXT, message=TEXT, remedy=TEXT)),
    "Memory": record(**_MEMORY),
    "Hit": record(**_MEMORY, **_SCORES),
    "Receipt": record(
        scanned=COUNT,
        changed=COUNT,
        pending=COUNT | {"description": "Found by words only, as they are not embedded yet"},
        unreadable=WORDS,
        problems=COUNT,
        lexical_only=FLAG,
        model={"type": ["string", "null"]},
        git_head={"type": ["string", "null"]},
        reranked=or_null(record(name=TEXT, passages=COUNT, milliseconds=COUNT)),
        unheld=WORDS | {"description": "Phrases that no memory holds word for word: only their words counted"},
        unindexed=COUNT | {"description": "Files not found yet, as another process is just taking them in"},
    ),
    "Conflict": record(
        existing_memory_id=TEXT,
        existing_content=TEXT,
        similarity={"type": ["number", "null"]},
        difference=TEXT,
        stored_by=TEXT,
        stored_at=MOMENT,
    ),
    "Learned": record(
        memory_id=TEXT,
        status={"enum": ["stored", "stored_with_conflict", "deduplicated"]},
        path=TEXT,
        superseded=WORDS,
        conflict=or_null(ref("Conflict")),
    ),
    "About": record(name=TEXT, version=TEXT, about=TEXT, routes={"type": "object", "additionalProperties": TEXT}),
    "Health": record(status=OK, version=TEXT),
    "LearnAnswer": record(status=OK, result=ref("Learned")),
    "RecallAnswer": record(
        status=OK,
        results=many("Hit"),
        count=COUNT,
        answered=FLAG | {"description": "false: none of the results seems to answer, they are merely the nearest"},
        namespace=TEXT,
        receipt=ref("Receipt"),
    ),
    "ContextAnswer": record(context=TEXT, memory_count=COUNT, format=TEXT, namespace=TEXT),
    "InspectAnswer": record(
        memories=many("Memory"), count=COUNT, namespace=TEXT, next_offset={"type": ["integer", "null"]}
    ),
    "MemoryAnswer": record(memory=ref("Memory")),
    "ChangeAnswer": record(status=OK, memory=ref("Memory")),
    "Namespace": record(
        namespace=TEXT,
        memory_count={"type": ["integer", "null"]},
        local_only_count={"type": ["integer", "null"]},
        last_updated=MOMENT,
        problem={"type": ["string", "null"], "description": "Why nothing else is known of it"},
    ),
    "NamespacesAnswer": record(namespaces=many("Namespace"), count=COUNT),
    "Exported": record(
        id=TEXT,
        content=TEXT,
        memory_type=TEXT,
        confidence=NUMBER,
        source_agent=TEXT,
        tags=WORDS,
        local_only={"const": False},
        created_at=MOMENT,
        ttl_days={"type": ["number", "null"]},
        decay_start_at=MOMENT,
        access_count=COUNT,
        embedding={"type": "null"},
        updated_at=MOMENT,
        expires_at=MOMENT,
        title=TEXT,
        source=TEXT,
        evidence=WORDS,
        supersedes=WORDS,
        path=TEXT,
        extra={"type": "object"},
    ),
    "ExportAnswer": record(
        mesh_version=TEXT,
        written_by=TEXT,
        exported_at=TEXT,
        namespace=TEXT,
        memory_count=COUNT,
        skipped_local_only=COUNT,
        memories=many("Exported"),
    ),
    "Document": {"type": "object"},
}
