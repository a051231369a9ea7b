"""Which reader a source gets: by what is in it."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3

import pytest

from mesh.errors import InvalidInput, MeshError
from mesh.portability.reading import namespace_of, reader_for

GRAPH = '{"type": "entity", "name": "Ada", "entityType": "person", "observations": ["likes tea"]}\n'
MEMORY = {"id": "aaaa0000", "content": "text"}
DOCUMENTS = {
    "peer": ({"mesh_version": "0.8.3", "memories": [MEMORY]}, "mesh_json.read"),
    "no header": ({"memories": [MEMORY]}, "mesh_json.read"),
    "nothing in it": ({"namespace": "a", "memories": []}, "mesh_json.read"),
    "a list": ([MEMORY], "mesh_json.read"),
    "header last": ({"work_items": [{"a": 1}], "memories": [MEMORY], "mesh_version": "0.8.3"}, "mesh_json.read"),
    "encrypted": ({"mesh_encrypted_export": True, "payload": "x"}, "mesh_json.read"),
    "mem0": ({"results": [{"id": "1", "memory": "text"}]}, "mem0.read"),
    "mem0, a list": ([{"id": "1", "memory": "text"}], "mem0.read"),
    "mem0, memories": ({"memories": [{"id": "1", "memory": "text"}]}, "mem0.read"),
}


def named(path):
    reader = reader_for(path)
    return f"{reader.__module__.rpartition('.')[2]}.{reader.__name__}"


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("case", DOCUMENTS)
def test_json_is_told_by_its_keys(tmp_path, case, indent):
    """On one line or many, with a byte order mark or without, whatever its name is."""
    document, reader = DOCUMENTS[case]
    for name, before in (("x.json", ""), ("x", ""), ("x.md", "\ufeff"), ("x.jsonl", " \n")):
        (tmp_path / name).write_text(before + json.dumps(document, indent=indent), "utf-8")
        assert named(tmp_path / name) == reader


@pytest.mark.parametrize(
    ("text", "reader"),
    [
        (GRAPH, "knowledge_graph.read"),
        (GRAPH * 2, "knowledge_graph.read"),
        ('{"mesh_version": "0.3", "namespace": "a"}\n', "mesh_json.read_lines"),
        ('{"mesh_version": "0.3"}\n{"id": "a", "content": "b"}\n', "mesh_json.read_lines"),
        ('{"id": "a", "content": "b"}\n{"id": "c", "content": "d"}\n', "mesh_json.read_lines"),
        ("---\nid: aaaa\n---\ntext\n", "markdown.read_file"),
        ("- [x] a list\n", "markdown.read_file"),
        ("{curly} text\n", "markdown.read_file"),
        ("[link](x)\n", "markdown.read_file"),
    ],
)
def test_lines_and_markdown_are_told_by_how_they_begin(tmp_path, text, reader):
    """A note may begin with a bracket."""
    (tmp_path / "x.md").write_text(text)
    assert named(tmp_path / "x.md") == reader


@pytest.mark.parametrize("name", ["CLAUDE.md", "AGENTS.md", "claude.local.md", "GEMINI.md", ".cursorrules"])
def test_rules_for_agents_are_told_by_their_name(tmp_path, name):
    """Nothing else tells them from a note."""
    (tmp_path / name).write_text("- Use tabs\n")
    assert named(tmp_path / name) == "bullets.read"


def test_folders_archives_and_databases_are_told_by_what_they_are(tmp_path):
    """Whatever their names say."""
    assert named(tmp_path) == "markdown.read_folder"
    (tmp_path / "a.json").write_bytes(gzip.compress(b"x"))
    assert named(tmp_path / "a.json") == "archive.read"
    with sqlite3.connect(tmp_path / "mesh_team.db") as db:
        db.execute("CREATE TABLE memories (id, namespace, content, memory_type, source_agent, created_at)")
    db.close()
    assert named(tmp_path / "mesh_team.db") == "peer_sqlite.read"
    assert namespace_of(tmp_path / "mesh_team.db") == "team"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("x.bin", b"\x00\x01\x02", "it is nothing that Mesh can import. Mesh imports an export of Mesh"),
        ("x.txt", b"some text", "it is nothing that Mesh can import"),
        ("x.json", b"some text", "it is not JSON. Mesh imports"),
        ("x.json", b'{"a": 1}', "it is not JSON|it is nothing"),
        ("x.json", b'{"memories": [', "it ends too early, after byte 14"),
        ("x.json", b'{"memories": oops', "ends too early|not JSON"),
        ("x.md", b"", "it is empty"),
        ("x.zip", b"PK\x03\x04", "it is nothing that Mesh can import"),
    ],
)
def test_what_cannot_be_imported_is_one_clear_error(tmp_path, name, data, said):
    """It names the place and what can be imported."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(MeshError, match=said) as error:
        reader_for(tmp_path / name)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_not_there_or_no_file_is_said(tmp_path):
    """Neither is waited for nor read."""
    with pytest.raises(InvalidInput, match="there is no such file or folder"):
        reader_for(tmp_path / "none")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(InvalidInput, match="neither a file nor a folder"):
            reader_for(tmp_path / "pipe")


def test_a_namespace_is_named_by_exports_only(tmp_path):
    """A folder of notes names none."""
    (tmp_path / "x.json").write_text('{"memories": [], "namespace": "Team", "mesh_version": "0.8.3"}')
    (tmp_path / "x.jsonl").write_text('{"mesh_version": "0.3", "namespace": "team"}\n')
    (tmp_path / "x.md").write_text("text")
    found = [namespace_of(tmp_path / name) for name in ("x.json", "x.jsonl", "x.md", ".")]
    assert found == ["team", "team", None, None]
