"""Which reader a source needs: told by what is in it, and by its name only where that says nothing."""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import InvalidInput, MeshError
from ..files import failures_reported
from . import json_pieces
from .record import Reader

HEAD_BYTES = 1 << 16
PIECES_LOOKED_AT = 1000  # of a JSON document
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
RULES = (  # for agents, as people write them
    *("claude.md", "claude.local.md", "agents.md", "agents.override.md", "gemini.md"),
    *("copilot-instructions.md", ".cursorrules", ".windsurfrules", ".clinerules"),
)
IMPORTABLE = (
    "an export of Mesh or of mesh-context-layer (.json, .jsonl, .tar.gz, mesh_NAME.db), a folder or archive of Markdown"
    " files, CLAUDE.md or AGENTS.md, memory.jsonl of the MCP memory server, JSON of mem0"
)


def reader_for(source: Path) -> Reader:
    """The reader of a file or folder. Raises `InvalidInput` for what Mesh cannot import."""
    from . import archive, markdown, peer_sqlite

    with failures_reported(str(source)):
        if not source.exists():
            raise InvalidInput("there is no such file or folder", place=str(source), remedy="Check its name")
        if source.is_dir():
            return markdown.read_folder
        if not stat.S_ISREG(source.stat().st_mode):
            raise InvalidInput("it is neither a file nor a folder", place=str(source), remedy="Save it as a file first")
        with source.open("rb") as file:
            head = file.read(HEAD_BYTES)
    if archive.looks_like(head):
        return archive.read
    if peer_sqlite.looks_like(head):
        return peer_sqlite.read
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"{", b"[") and (reader := _json_reader(source, text)):
        return reader
    return _markdown_reader(source, head)


def namespace_of(source: Path) -> str | None:
    """The namespace that a source names; None if it names none. Raises as `reader_for` and the readers do."""
    from . import mesh_json, peer_sqlite

    named: dict[object, Callable[[Path], str | None]] = {
        mesh_json.read: mesh_json.namespace_of,
        mesh_json.read_lines: mesh_json.namespace_of_lines,
        peer_sqlite.read: peer_sqlite.namespace_of,
    }
    ask = named.get(reader_for(source))
    return ask(source) if ask else None


def _json_reader(source: Path, text: bytes) -> Reader | None:
    """By its first line, if that is an object by itself; else by the first pieces of the document."""
    from . import knowledge_graph, mesh_json

    first = _object(text.partition(b"\n")[0])
    if knowledge_graph.looks_like(first):
        return knowledge_graph.read
    if "content" in first or (mesh_json.is_header(first) and "memories" not in first):
        return mesh_json.read_lines
    try:
        return _document_reader(source)
    except MeshError:
        if source.suffix.lower() in JSON_SUFFIXES:
            raise
        return None


def _document_reader(source: Path) -> Reader | None:
    from . import mem0, mesh_json

    lists = set()
    with failures_reported(str(source)), source.open("rb") as file:
        for piece in islice(json_pieces.pieces(file, source.name), PIECES_LOOKED_AT):
            if piece.key in ("mesh_version", "mesh_encrypted_export"):
                return mesh_json.read
            if piece.data == b"[]" and not piece.number:
                lists.add(piece.key)
            elif piece.number:
                element = _object(piece.data or b"")
                if mem0.looks_like(element):
                    return mem0.read
                if "content" in element:
                    return mesh_json.read
    return mesh_json.read if "memories" in lists else None


def _object(text: bytes) -> Mapping[str, Any]:
    """The object that a JSON text holds; an empty one if it holds none."""
    try:
        found = json_pieces.decoded(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _markdown_reader(source: Path, head: bytes) -> Reader:
    from . import bullets, markdown

    if not head:
        raise InvalidInput("it is empty", place=str(source), remedy=f"Mesh imports {IMPORTABLE}")
    if source.name.lower() in RULES:
        return bullets.read
    if source.suffix.lower() == markdown.SUFFIX:
        return markdown.read_file
    cause = "it is not JSON" if source.suffix.lower() in JSON_SUFFIXES else "it is nothing that Mesh can import"
    raise InvalidInput(cause, place=str(source), remedy=f"Mesh imports {IMPORTABLE}")
