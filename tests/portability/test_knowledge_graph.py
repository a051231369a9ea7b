"""The knowledge graph of the MCP reference memory server, as memories."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.memory import Problem
from mesh.portability import knowledge_graph
from mesh.portability.record import Record

GRAPH = """\
{"type":"entity","name":"Ada_Lovelace","entityType":"person","observations":["Speaks French","Prefers mornings"]}
{"type":"entity","name":"Analytical Engine","entityType":"machine_design","observations":[]}

{"type":"relation","from":"Ada_Lovelace","to":"Analytical Engine","relationType":"writes_programs_for"}
"""


def read(tmp_path, text):
    path = tmp_path / "memory.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(knowledge_graph.read(path))


def texts(found):
    return [one.memory.content for one in found]


def entity(name="Ada", kind="person", *observations):
    return json.dumps({"type": "entity", "name": name, "entityType": kind, "observations": list(observations)})


def relation(kind, start="Ada", end="Acme"):
    return json.dumps({"type": "relation", "from": start, "to": end, "relationType": kind})


def test_each_part_of_a_graph_can_be_understood_by_itself(tmp_path):
    """An observation names its entity, a relation is a sentence, an entity without more says what it is."""
    assert texts(read(tmp_path, GRAPH)) == [
        "Ada_Lovelace: Speaks French",
        "Ada_Lovelace: Prefers mornings",
        "Analytical Engine is a machine design",
        "Ada_Lovelace writes programs for Analytical Engine",
    ]


def test_the_entity_is_the_source_and_its_type_a_tag(tmp_path):
    first, _, engine, relates = (one.memory for one in read(tmp_path, GRAPH))
    assert (first.source, first.tags, first.type) == ("Ada_Lovelace", ("person",), "fact")
    assert (engine.source, engine.tags) == ("Analytical Engine", ("machine_design",))
    assert (relates.source, relates.tags) == ("Ada_Lovelace", ())


def test_the_same_graph_gives_the_same_memories(tmp_path):
    """Nothing in them comes from the moment or the line, so that importing again adds nothing."""
    again = "\n".join(reversed(GRAPH.splitlines()))
    one, other = read(tmp_path, GRAPH), read(tmp_path, again)
    assert all(found.memory.id == "" and found.memory.created is None for found in one)
    assert {found.memory.content: found.memory for found in one} == {
        found.memory.content: found.memory for found in other
    }


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("works_at", "Ada works at Acme"),
        ("worksAt", "Ada works at Acme"),
        ("WORKS_AT", "Ada works at Acme"),
        ("works at", "Ada works at Acme"),
        ("callsAPI", "Ada calls API Acme"),
        ("Owns", "Ada Owns Acme"),
        ("", "Ada is related to Acme"),
        (None, "Ada is related to Acme"),
    ],
)
def test_a_relation_is_a_sentence(tmp_path, kind, sentence):
    assert texts(read(tmp_path, relation(kind))) == [sentence]


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [("person", "Ada is a person"), ("organization", "Ada is an organization"), ("user", "Ada is a user"), ("", "Ada")],
)
def test_an_entity_without_observations_is_a_sentence(tmp_path, kind, sentence):
    assert texts(read(tmp_path, entity("Ada", kind))) == [sentence]


@pytest.mark.parametrize(
    ("observation", "content"),
    [
        ("Ada likes tea", "Ada likes tea"),
        ("ADA's desk is 12", "ADA's desk is 12"),
        ("Adamant about tests", "Ada: Adamant about tests"),
        (" likes tea\nand milk", "Ada: likes tea\nand milk"),
    ],
)
def test_an_observation_that_names_its_entity_stands_by_itself(tmp_path, observation, content):
    assert texts(read(tmp_path, entity("Ada", "person", observation))) == [content]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"type":"entity","name":"Ada","observ', "memory.jsonl: line 2: it is not JSON"),
        (b'{"type":"entity","name":"\xff"}', "memory.jsonl: line 2: it is not JSON"),
        ("[" * 100_000, "memory.jsonl: line 2: it is not JSON (it is nested too deep"),
        ('{"type":"note"}', "memory.jsonl: line 2: it is neither an entity nor a relation"),
        ('{"type":"relation","from":"Ada"}', "memory.jsonl: line 2: it is neither an entity nor a relation"),
        ("[1]", "memory.jsonl: line 2: it is neither an entity nor a relation"),
        (entity("Ada", "person", ""), "memory.jsonl: line 2, observation 1: its content cannot be kept (it is empty)"),
        (entity("Ada", "person", 5), "memory.jsonl: line 2, observation 1: its content cannot be kept (it is int, not"),
        (entity("", "person"), "memory.jsonl: line 2: it lacks a name"),
        (relation("knows", "Ada", None), "memory.jsonl: line 2: it lacks a name"),
    ],
)
def test_a_bad_line_is_a_problem_and_the_rest_is_read(tmp_path, line, said):
    good = entity("Bob", "person").encode()
    bad = line if isinstance(line, bytes) else line.encode()
    first, second, third = read(tmp_path, b"\n".join([good, bad, good]))
    assert isinstance(first, Record) and isinstance(third, Record)
    assert isinstance(second, Problem) and str(second).startswith(said)


def test_bad_observations_do_not_take_the_good_ones_along(tmp_path):
    found = read(tmp_path, entity("Ada", "person", "likes tea", None, "", "hates noise"))
    assert [type(one) for one in found] == [Record, Problem, Problem, Record]


def test_a_graph_is_known_by_its_first_object():
    assert knowledge_graph.looks_like({"type": "entity", "name": "Ada", "entityType": "person", "observations": []})
    assert knowledge_graph.looks_like({"type": "relation", "from": "a", "to": "b", "relationType": "c"})
    assert not knowledge_graph.looks_like({"type": "fact", "content": "a"})
    assert not knowledge_graph.looks_like({"type": "entity"})
    assert not knowledge_graph.looks_like({"memory": "a"})


@given(
    st.dictionaries(
        st.sampled_from(["name", "entityType", "observations", "from", "to", "relationType"]),
        st.none() | st.text() | st.integers() | st.lists(st.text() | st.none(), max_size=3),
    ),
    st.sampled_from(["entity", "relation", 3]),
)
def test_no_line_raises(tmp_path_factory, line, kind):
    """Whatever stands in the keys, it is a memory or a problem."""
    path = tmp_path_factory.mktemp("graph") / "memory.jsonl"
    path.write_text(json.dumps(line | {"type": kind}))
    assert list(knowledge_graph.read(path))
