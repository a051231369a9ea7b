"""Exports of Mesh and of the peer, read memory by memory."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from mesh.errors import InvalidInput, MeshError
from mesh.memory import Problem
from mesh.portability import mesh_json
from mesh.portability.record import Record

PEER_042 = {
    "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "content": "The API rate limit is 100 requests/min",
    "memory_type": "fact",
    "confidence": 0.9,
    "source_agent": "coding-agent",
    "tags": ["api", "limits"],
    "local_only": False,
    "created_at": "2026-01-31T12:00:00.123456",
    "ttl_days": None,
    "access_count": 3,
    "embedding": [0.1, 0.2],
}
PEER_083 = PEER_042 | {
    "trust_tier": "user",
    "quarantined": False,
    "created_at": "2026-01-31T12:00:00.123456+00:00",
    "decay_start_at": None,
    "embedding_model": "onnx-minilm-l6-v2",
}
OWN = {
    "id": "01kb2x7m9q4dk2wc",
    "content": "text",
    "memory_type": "process",
    "confidence": 0.25,
    "source_agent": "ann",
    "tags": ["a, b"],
    "created_at": "2026-01-31T12:00:00Z",
    "ttl_days": 3.0,
    "decay_start_at": "2026-02-01T00:00:00Z",
    "updated_at": "2026-02-01T00:00:00Z",
    "expires_at": "2026-02-04T00:00:00Z",
    "title": "A title",
    "source": "a book",
    "evidence": ["seen, twice"],
    "supersedes": ["01kb2x7m9q4dk2wb"],
    "path": "team/a.md",
    "extra": {"aliases": ["x"], "deep": {"number": 1, "truth": True, "nothing": None}},
}


def read(tmp_path, document, name="backup.json"):
    path = tmp_path / name
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return list(mesh_json.read(path))


def one(tmp_path, row):
    (found,) = read(tmp_path, {"mesh_version": "0.8.3", "memories": [row]})
    return found


@pytest.mark.parametrize("row", [PEER_042, PEER_083], ids=["0.4.2", "0.8.3"])
def test_what_the_peer_exports_is_read(tmp_path, row):
    """Id, text, type, author, tags, confidence and time; its counters, vectors and trust are its own."""
    found = one(tmp_path, row)
    assert found.place == "backup.json: memory 1"
    memory = found.memory
    assert memory.id == "7c9e6679-7425-40de-944b-e07fc1f90ae7"
    assert (memory.type, memory.agent, memory.tags, memory.confidence) == (
        *("fact", "coding-agent", ("api", "limits")),
        0.9,
    )
    assert memory.created == datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
    assert (memory.updated, memory.expires, dict(memory.extra)) == (None, None, {})


def test_a_source_in_the_peers_format_is_kept(tmp_path):
    """It says which memories belong together, such as those of one conversation."""
    row = {"id": "conv-26-d1-1", "content": "Hey Mel", "memory_type": "context", "source": "conv-26/session-1"}
    path = tmp_path / "export.json"
    path.write_text(json.dumps({"mesh_version": "0.8.3", "memories": [row]}))
    (record,) = mesh_json.read(path)
    assert record.memory.source == "conv-26/session-1"


def test_a_life_counts_from_its_renewal(tmp_path):
    """`ttl_days` from `decay_start_at`, which is when the memory was last confirmed."""
    renewed = one(tmp_path, PEER_083 | {"ttl_days": 2.5, "decay_start_at": "2026-02-10T00:00:00+00:00"}).memory
    assert renewed.updated == datetime(2026, 2, 10, tzinfo=UTC)
    assert renewed.expires == datetime(2026, 2, 12, 12, tzinfo=UTC)
    fresh = one(tmp_path, PEER_042 | {"ttl_days": 1}).memory
    assert (fresh.updated, fresh.expires) == (None, datetime(2026, 2, 1, 12, tzinfo=UTC))


def test_an_own_export_is_read_word_for_word(tmp_path):
    """More than the peer's keys, and nothing made to fit what Mesh itself would write."""
    found = one(tmp_path, OWN)
    memory = found.memory
    assert (found.name, found.data) == ("team/a.md", None)
    assert (memory.id, memory.type, memory.tags, memory.title) == ("01kb2x7m9q4dk2wc", "process", ("a, b",), "A title")
    assert (memory.source, memory.evidence, memory.supersedes) == ("a book", ("seen, twice",), ("01kb2x7m9q4dk2wb",))
    assert (memory.updated, memory.expires) == (
        datetime(2026, 2, 1, tzinfo=UTC),
        datetime(2026, 2, 4, tzinfo=UTC),
    )
    assert memory.extra == {"aliases": ["x"], "deep": {"number": "1", "truth": "true", "nothing": ""}}


def test_where_the_header_stands_does_not_matter(tmp_path):
    """Before the memories or after, in any order, with keys that nobody knows; or none at all."""
    rows = [PEER_042, OWN]
    header = {"namespace": "team", "mesh_version": "0.8.3", "work_items": [{"content": "none of ours"}]}
    for document in (header | {"memories": rows}, {"memories": rows} | header, rows):
        assert [found.memory.id for found in read(tmp_path, document)] == [PEER_042["id"], OWN["id"]]
        assert mesh_json.namespace_of(tmp_path / "backup.json") == ("team" if isinstance(document, dict) else None)


def test_a_version_that_is_not_known_is_read_if_it_has_memories(tmp_path):
    """What counts is in the keys."""
    (found,) = read(tmp_path, {"mesh_version": "7.0", "memories": [PEER_042]})
    assert isinstance(found, Record)


def test_an_encrypted_export_is_refused(tmp_path):
    """With what can be done."""
    with pytest.raises(InvalidInput, match=r"backup.json: it is an encrypted export.*Export again"):
        read(tmp_path, {"mesh_encrypted_export": True, "payload": "AAAA", "memories": []})


def test_a_namespace_that_cannot_be_is_said(tmp_path):
    """It came from outside, and no path is made of it."""
    read(tmp_path, {"namespace": "../../etc", "memories": []})
    with pytest.raises(InvalidInput, match=r"backup.json: the namespace that it names cannot be.*--namespace"):
        mesh_json.namespace_of(tmp_path / "backup.json")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("text", "not an object"),
        ({"content": ""}, "its content cannot be kept (it is empty)"),
        ({"content": 5}, "its content cannot be kept (it is int, not text)"),
        ({"content": "a\0b"}, "NUL"),
        ({"content": "x" * 70_000}, "more than 65,536"),
        ({"content": "\ud800"}, "half a character"),
        ({"content": "x", "created_at": "yesterday"}, "its created_at cannot be kept ('yesterday' is not a time)"),
        ({"content": "enc:v1:AAAA"}, "it is encrypted"),
        ({"content": "x", "quarantined": True}, "quarantine"),
        (OWN | {"content": None}, "it is NoneType, not text"),
        (OWN | {"title": "\udfff"}, "its title cannot be kept"),
        (OWN | {"extra": {"a": "\udfff"}}, "its extra cannot be kept"),
    ],
)
def test_a_bad_memory_is_a_problem_and_the_rest_is_read(tmp_path, row, said):
    """With its place, and a remedy."""
    document = json.dumps({"mesh_version": "0.8.3", "memories": [PEER_042, row, PEER_083]}).encode()
    before, problem, after = read(tmp_path, document)
    assert isinstance(before, Record)
    assert isinstance(after, Record)
    assert isinstance(problem, Problem)
    assert problem.path == "backup.json: memory 2"
    assert said in problem.cause
    assert problem.remedy


@pytest.mark.parametrize(
    ("odd", "read_as"),
    [
        ({"confidence": "0.5"}, {"confidence": 0.5}),
        ({"tags": "a, #b"}, {"tags": ("a", "b")}),
        ({"tags": '["a", "b"]'}, {"tags": ("a", "b")}),
        ({"tags": None}, {"tags": ()}),
        ({"memory_type": None}, {"type": "fact"}),
        ({"source_agent": None}, {"agent": ""}),
        ({"created_at": ""}, {"created": None}),
        ({"ttl_days": "1"}, {"expires": datetime(2026, 2, 1, 12, tzinfo=UTC)}),
        ({"ttl_days": 1e300}, {"expires": None}),
        ({"local_only": 1}, {"local_only": True}),
    ],
)
def test_what_is_merely_odd_is_read_with_care(tmp_path, odd, read_as):
    """As the program that wrote it will have meant it."""
    memory = one(tmp_path, PEER_042 | odd).memory
    assert {key: getattr(memory, key) for key in read_as} == read_as


def test_a_truncated_export_gives_what_stands_before_its_end(tmp_path):
    """Then one error."""
    text = json.dumps({"mesh_version": "0.8.3", "memories": [PEER_042, PEER_083, OWN]}).encode()
    path = tmp_path / "cut.json"
    path.write_bytes(text[: text.index(b'"A title"')])
    found = []
    with pytest.raises(MeshError, match=r"cut\.json: it ends too early, after byte [\d,]+\. Get a whole copy"):
        for record in mesh_json.read(path):
            found.append(record.memory.id)
    assert found == [PEER_042["id"], PEER_083["id"]]
    assert mesh_json.namespace_of(path) is None


def test_lines_are_read_like_a_document(tmp_path):
    """With a header or without; a bad line is a problem."""
    path = tmp_path / "x.jsonl"
    rows = [json.dumps(row) for row in ({"mesh_version": "0.3", "namespace": "team"}, OWN, PEER_042)]
    path.write_text("\n".join([*rows, "{bad", "[]", ""]))
    first, second, *bad = mesh_json.read_lines(path)
    assert (first.memory.id, first.place) == (OWN["id"], "x.jsonl: line 2")
    assert second.memory.id == PEER_042["id"]
    assert [one.path for one in bad] == ["x.jsonl: line 4", "x.jsonl: line 5"]
    assert mesh_json.namespace_of_lines(path) == "team"
    path.write_text(rows[1])
    assert len(list(mesh_json.read_lines(path))) == 1
    assert mesh_json.namespace_of_lines(path) is None


def test_a_last_line_that_is_cut_off_is_an_error(tmp_path):
    """It is not merely a bad line: what should follow is missing."""
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(OWN) + "\n" + json.dumps(PEER_042)[:-9])
    found = mesh_json.read_lines(path)
    assert next(found).memory.id == OWN["id"]
    with pytest.raises(MeshError, match=r"x\.jsonl: it ends too early, in line 2"):
        next(found)
