"""The knowledge graph of the MCP reference memory server: `memory.jsonl`, an entity or a relation a line.

Each observation becomes a memory that can be understood, and recalled, without the graph: `Ada: likes tea`. So does
each relation (`Ada works at Acme`), and an entity of which nothing else is said (`Ada is a person`). Its name is the
memories' source, its type their tag. The graph has no ids, times or authors: the same text is the same memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import InvalidInput
from ..files import failures_reported
from ..memory import Memory, Problem
from . import fields, json_pieces
from .record import Record

_INNER_CAPITALS = re.compile(r"(?<=[a-z0-9])[A-Z]+")  # the A of worksAt, and API in usesAPI


def looks_like(first: Mapping[str, Any]) -> bool:
    """Whether a file of which this is the first object is such a graph."""
    kind = first.get("type")
    return (kind == "entity" and "name" in first) or (kind == "relation" and {"from", "to"} <= first.keys())


def read(source: Path) -> Iterator[Record | Problem]:
    """A memory for each observation, relation, and entity without observations; for the rest problems."""
    with failures_reported(str(source)), source.open("rb") as file:
        for number, data in json_pieces.lines(file):
            yield from _line(f"{source.name}: line {number:,}", data)


def _line(place: str, data: bytes | None) -> Iterator[Record | Problem]:
    try:
        line = json_pieces.decoded(data or b"null")
    except ValueError as error:
        yield Problem(place, 0, "", f"it is not JSON ({error})", "Correct the line, or delete it")
        return
    if not isinstance(line, dict) or not looks_like(line):
        yield Problem(place, 0, "", "it is neither an entity nor a relation", "Correct the line, or delete it")
    elif not all(fields.word(line[key], "source") for key in ("name", "from", "to") if key in line):
        yield Problem(place, 0, "", "it lacks a name", "Correct the line, or delete it")
    elif line["type"] == "relation":
        yield _record(place, _sentence(line["from"], _relation(line.get("relationType")), line["to"]), line["from"])
    else:
        yield from _entity(place, line)


def _entity(place: str, line: Mapping[str, Any]) -> Iterator[Record | Problem]:
    name, kind, said = line["name"], line.get("entityType"), line.get("observations")
    tags = fields.tags([kind])
    if not isinstance(said, list) or not said:
        yield _record(place, _sentence(name, _is_a(kind), _words(kind)), name, tags)
        return
    for number, observation in enumerate(said, 1):
        yield _record(f"{place}, observation {number}", _observed(name, observation), name, tags)


def _record(place: str, text: object, name: object, tags: tuple[str, ...] = ()) -> Record | Problem:
    try:
        return Record(place, Memory("", fields.content(text), tags=tags, source=fields.word(name, "source")))
    except InvalidInput as error:
        return fields.refused(place, error)


def _observed(name: object, observation: object) -> object:
    """`Ada: likes tea`. An observation that begins with its entity's name stands by itself."""
    who = fields.word(name, "source")
    if not isinstance(observation, str) or not observation.strip() or not who:
        return observation
    names_it = re.match(rf"{re.escape(who)}\b", observation.lstrip(), re.IGNORECASE)
    return observation if names_it else f"{who}: {observation.lstrip()}"


def _sentence(*parts: object) -> str:
    return " ".join(filter(None, (fields.word(part, "source") for part in parts)))


def _relation(kind: object) -> str:
    """`works at`, of `works_at`, `worksAt` or `WORKS_AT`."""
    words = _words(kind) or "is related to"
    if words.isupper():
        return words.lower()
    return _INNER_CAPITALS.sub(_apart, words) if words[0].islower() else words


def _apart(capitals: re.Match[str]) -> str:
    return " " + (capitals[0] if len(capitals[0]) > 1 else capitals[0].lower())


def _words(kind: object) -> str:
    return fields.word(kind, "source").replace("_", " ")


def _is_a(kind: object) -> str:
    first = fields.word(kind, "source")[:1].lower()
    return ("is an" if first in "aeio" else "is a") if first else ""
