"""What mem0 gives out as JSON, as memories."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from mesh.errors import InvalidInput, MeshError
from mesh.memory import Problem
from mesh.portability import mem0
from mesh.portability.record import Record

MEMORY = {
    "id": "892db2ae-06d9-49e5-8b3e-585ef9b85b8e",
    "memory": "Likes to play cricket on weekends",
    "hash": "9acb7b6a1b0c5c5e3f6f7d8c9b0a1e2f",
    "metadata": {"category": "hobbies"},
    "created_at": "2026-02-26T10:29:36.630547-08:00",
    "updated_at": None,
    "user_id": "alex",
    "agent_id": None,
    "run_id": "session 12",
    "categories": ["sports", "weekend"],
    "expiration_date": "2027-01-31",
}


def read(tmp_path, document):
    path = tmp_path / "mem0.json"
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return list(mem0.read(path))


def of(tmp_path, **changes):
    (found,) = read(tmp_path, [MEMORY | changes])
    return found.memory


@pytest.mark.parametrize(
    "document", [[MEMORY], {"results": [MEMORY], "relations": [{"source": "a"}]}, {"memories": [MEMORY]}]
)
def test_each_form_of_the_list_is_read(tmp_path, document):
    """Bare, as `results` and as `memories`; a graph beside it is none of its memories."""
    (found,) = read(tmp_path, document)
    assert found.place == "mem0.json: memory 1"
    assert found.memory.content == "Likes to play cricket on weekends"


def test_a_memory_keeps_what_it_says(tmp_path):
    memory = of(tmp_path)
    assert memory.id == MEMORY["id"]
    assert (memory.agent, memory.source, memory.tags) == ("alex", "session 12", ("sports", "weekend"))
    assert memory.created == datetime(2026, 2, 26, 18, 29, 36, tzinfo=UTC)
    assert (memory.updated, memory.expires) == (None, datetime(2027, 1, 31, tzinfo=UTC))
    assert (memory.type, memory.local_only) == ("fact", False)


def test_the_agent_comes_before_the_user(tmp_path):
    assert of(tmp_path, agent_id="planner").agent == "planner"
    assert of(tmp_path, agent_id="", user_id=None).agent == ""


def test_an_update_is_kept_and_a_mere_copy_of_the_beginning_is_not(tmp_path):
    assert of(tmp_path, updated_at="2026-03-01").updated == datetime(2026, 3, 1, tzinfo=UTC)
    assert of(tmp_path, updated_at=MEMORY["created_at"]).updated is None


def test_what_metadata_says_of_type_and_category_is_kept(tmp_path):
    """A type that Mesh knows is the type, another one a tag; its category is a tag where there are no categories."""
    assert of(tmp_path, metadata={"type": "preference"}).type == "preference"
    assert of(tmp_path, metadata={"type": "hobby"}).tags == ("hobby", "sports", "weekend")
    assert of(tmp_path, categories=None).tags == ("hobbies",)
    assert of(tmp_path, categories="a, b", metadata="x").tags == ("a", "b")


def test_a_bad_memory_is_a_problem_and_the_rest_is_read(tmp_path):
    """Not an object, without text, empty, of another type."""
    found = read(tmp_path, {"results": [MEMORY, 3, {"id": "a"}, {"memory": ""}, {"memory": [1]}, MEMORY]})
    assert [type(one) for one in found] == [Record, Problem, Problem, Problem, Problem, Record]
    assert str(found[1]).startswith("mem0.json: memory 2: ")
    assert "it has no 'memory'" in str(found[2]) and "it is empty" in str(found[3])


def test_a_broken_character_spoils_only_its_memory(tmp_path):
    found = read(tmp_path, b'[{"memory": "one"}, {"memory": "\xff"}, {"memory": "three"}]')
    assert [type(one) for one in found] == [Record, Problem, Record]


def test_what_ends_in_the_middle_is_an_error_after_what_could_be_read(tmp_path):
    path = tmp_path / "mem0.json"
    path.write_text(json.dumps({"results": [MEMORY, MEMORY]})[:-90])
    reading = mem0.read(path)
    assert isinstance(next(reading), Record)
    with pytest.raises(MeshError):
        next(reading)


@pytest.mark.parametrize("data", [b"", b"memories", b'"a"', b"\0\0"])
def test_what_is_no_json_document_is_one_clear_error(tmp_path, data):
    with pytest.raises(InvalidInput, match=r"^mem0\.json: it is not JSON"):
        read(tmp_path, data)


def test_a_list_is_known_by_its_first_object():
    assert mem0.looks_like(MEMORY)
    assert not mem0.looks_like({"id": "a", "content": "b", "memory_type": "fact"})
    assert not mem0.looks_like({"type": "entity", "name": "a"})
