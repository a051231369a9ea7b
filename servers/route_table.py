"""The routes of `mesh-http` and what each takes, declared once as data.

From this table come the routes themselves, the check of every request and the OpenAPI document: they cannot differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from mesh import inputs
from mesh.context import STYLES
from mesh.errors import InvalidInput
from mesh.memory import MIN_PREFIX, TYPES

from .json_schema import Schema
from .requests import Field, Route


def _text(limit: int, **more: Any) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": limit, **more}


def _number(low: float, high: float) -> Schema:
    return {"type": "number", "minimum": low, "maximum": high}


def _namespace(said: str) -> str:
    """What the library does with a name typed by hand, folding and trimming it, is not what a program means."""
    if not said.isascii() or said != said.strip():
        raise InvalidInput(f"{said[:40]!r} is not a name for a namespace", remedy="Use a-z, 0-9, '.', '_' and '-'")
    return inputs.namespace(said)


def _moment(name: str, about: str) -> Field:
    return Field(name, _text(64), about, check=lambda said: inputs.moment(said, name, datetime.now(UTC)))


def _words(value: Sequence[str]) -> list[str]:
    return list(inputs.tags(value))


_ID = _text(1024) | {"minLength": MIN_PREFIX}
_WORD: Schema = {"type": "string", "maxLength": inputs.MAX_WORD}
_TAGS: Schema = {"type": "array", "items": _WORD, "maxItems": inputs.MAX_TAGS}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 1, "maximum": inputs.MAX_RESULTS}

NAMESPACE = Field(
    "namespace",
    _text(63, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9_-])?$"),
    "the namespace; the server's own by default",
    check=_namespace,
)
AGENT_ID = Field("agent_id", _text(inputs.MAX_WORD), "who learns it; the server's own by default", check=inputs.agent)
CONTENT = Field("content", _text(inputs.MAX_CONTENT_BYTES), "the text to remember", required=True, check=inputs.content)
NEW_CONTENT = Field("content", CONTENT.schema, "the new text", check=inputs.content)
MEMORY_TYPE = Field("memory_type", {"type": "string", "enum": list(TYPES)}, "what kind of memory it is", "fact")
NEW_TYPE = Field("memory_type", MEMORY_TYPE.schema, "its new type")
CONFIDENCE = Field("confidence", _number(0, 1), "how sure it is", 1.0)
NEW_CONFIDENCE = Field("confidence", CONFIDENCE.schema, "how sure it is now")
TAGS = Field("tags", _TAGS, "words to find it by", check=_words)
NEW_TAGS = Field("tags", _TAGS, "its new tags; an empty list removes all", check=_words)
TTL_DAYS = Field(
    "ttl_days",
    {"type": "number", "exclusiveMinimum": 0, "maximum": inputs.MAX_TTL_DAYS},
    "in how many days it expires; its confidence falls until then",
)
LOCAL_ONLY = Field("local_only", _FLAG, "whether it must never leave this machine", False)
SUPERSEDES = Field("supersedes", {"type": "array", "items": _ID, "maxItems": 32}, "ids of memories that it replaces")
ALLOW_SECRETS = Field(
    "allow_secrets",
    {"type": "array", "items": {"type": "string", "maxLength": 64}, "maxItems": 32},
    "fingerprints of what was refused as a secret and is none",
)
TITLE = Field("title", _WORD, "its title", "", check=lambda said: inputs.word(said, "title"))
NEW_TITLE = Field("title", _WORD, "its new title; empty removes it", check=lambda said: inputs.word(said, "title"))
SOURCE = Field("source", _WORD, "where it comes from", "", check=lambda said: inputs.word(said, "source"))
MEMORY_ID = Field("memory_id", _ID, "its id, or the first 4 or more characters where they are unique", required=True)
QUERY = Field("query", _text(inputs.MAX_QUERY_BYTES), "the question", required=True, check=inputs.query)
ABOUT = Field("query", QUERY.schema | {"minLength": 0}, "a question; without one, the youngest memories")
COUNT = Field("count", _COUNT, "how many memories at most", 5, alias="n")
OF_TYPE = Field("memory_type", MEMORY_TYPE.schema, "only memories of this type", alias="type")
OF_AGENT = Field("source_agent", AGENT_ID.schema, "only memories of this author", alias="agent", check=inputs.agent)
WITH_TAGS = Field("tags", _TAGS, "only memories with all of these tags", check=_words)
SINCE = _moment("since", "only memories from then on: 2026-01-31, 2026-01-31T12:00Z, 3d, yesterday")
UNTIL = _moment("until", "only memories from before then")
MIN_CONFIDENCE = Field("min_confidence", _number(0, 1), "only memories whose confidence is at least this now", 0)
FILTERS = (OF_TYPE, WITH_TAGS, OF_AGENT, SINCE, UNTIL, MIN_CONFIDENCE)

ROUTES = (
    Route("about", "GET", "/", "What this is, and its routes", "About"),
    Route("health", "GET", "/health", "Whether the server answers", "Health"),
    Route(
        "learn",
        "POST",
        "/learn",
        "Store a memory, unless its very text is there",
        "LearnAnswer",
        (
            CONTENT,
            MEMORY_TYPE,
            CONFIDENCE,
            TAGS,
            TTL_DAYS,
            LOCAL_ONLY,
            SUPERSEDES,
            TITLE,
            SOURCE,
            ALLOW_SECRETS,
            NAMESPACE,
            AGENT_ID,
        ),
        names_memory=True,
    ),
    Route(
        "recall",
        "POST",
        "/recall",
        "Memories that answer a question, best first",
        "RecallAnswer",
        (
            QUERY,
            COUNT,
            *FILTERS,
            Field("min_similarity", _number(-1, 1), "only memories whose cosine is at least this, if above 0", 0),
            Field("include_stale", _FLAG, "whether memories that are nearly or long expired count", True),
            NAMESPACE,
        ),
    ),
    Route(
        "context",
        "POST",
        "/context",
        "Memories as a text for a prompt, marked as reference data; never those that are local_only",
        "ContextAnswer",
        (
            ABOUT,
            Field("count", _COUNT, COUNT.about, 10, alias="n"),
            Field("format", {"type": "string", "enum": list(STYLES)}, "the form of the text", "markdown"),
            Field("min_confidence", _number(0, 1), MIN_CONFIDENCE.about, 0.3),
            OF_TYPE,
            WITH_TAGS,
            NAMESPACE,
        ),
    ),
    Route(
        "inspect",
        "GET",
        "/inspect",
        "The youngest memories",
        "InspectAnswer",
        (
            Field("limit", _COUNT, COUNT.about, 50),
            Field("offset", {"type": "integer", "minimum": 0, "maximum": 10**9}, "how many to leave out first", 0),
            *FILTERS,
            NAMESPACE,
        ),
    ),
    Route("memory", "GET", "/memories/{memory_id}", "One memory", "MemoryAnswer", (MEMORY_ID, NAMESPACE), True),
    Route(
        "update",
        "POST",
        "/update",
        "Change a memory in its file; its old text goes to the trash",
        "ChangeAnswer",
        (MEMORY_ID, NEW_CONTENT, NEW_TYPE, NEW_CONFIDENCE, NEW_TAGS, TTL_DAYS, NEW_TITLE, ALLOW_SECRETS, NAMESPACE),
        names_memory=True,
    ),
    Route("forget", "POST", "/forget", "Move a memory to the trash", "ChangeAnswer", (MEMORY_ID, NAMESPACE), True),
    Route(
        "restore",
        "POST",
        "/restore",
        "Bring a memory back from the trash",
        "ChangeAnswer",
        (MEMORY_ID, NAMESPACE),
        True,
    ),
    Route("namespaces", "GET", "/namespaces", "All namespaces, counted", "NamespacesAnswer"),
    Route(
        "export",
        "GET",
        "/export",
        "A namespace as one JSON file; never what is local_only",
        "ExportAnswer",
        (NAMESPACE,),
    ),
    Route("openapi", "GET", "/openapi.json", "This document", "Document"),
    Route(
        "events",
        "GET",
        "/events",
        "Server-sent events: what is added, changed and removed from now on",
        "",
        (Field("namespace", NAMESPACE.schema, "only of this namespace; of all by default", check=_namespace),),
    ),
)
