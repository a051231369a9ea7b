"""What becomes of a record, without a disk."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mesh import codec
from mesh.errors import MeshError
from mesh.memory import ID_FORM, Memory, derived_id
from mesh.portability.deciding import Outcome, decide, replacement, says_the_same, wanted
from mesh.portability.record import Record

MEMORY = Memory("aaaa0000", "The lamp is lit", agent="ann", created=datetime(2026, 1, 31, tzinfo=UTC))


def want(memory=MEMORY, *, data=None, name="", kind="mesh_json", namespace="shared"):
    return wanted(Record("x.json: memory 1", memory, data, name), namespace, kind)


def from_markdown(data, name="note.md"):
    memory = codec.read(data, name)
    return want(replace(memory, id="" if memory.derived_id else memory.id), data=data, name=name)


HERE = want().memory
OTHER = replace(HERE, content="The lamp is out")


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({"here": None, "same_text": False, "seen": False}, Outcome.WRITE),
        ({"here": None, "same_text": True, "seen": False}, Outcome.SAME_TEXT),
        ({"here": HERE, "same_text": True, "seen": False}, Outcome.PRESENT),
        ({"here": OTHER, "same_text": False, "seen": False}, Outcome.DIFFERS),
        ({"here": OTHER, "same_text": True, "seen": False}, Outcome.DIFFERS),
        ({"here": OTHER, "same_text": False, "seen": False, "replace": True}, Outcome.REPLACE),
        ({"here": HERE, "same_text": True, "seen": False, "replace": True}, Outcome.PRESENT),
        ({"here": None, "same_text": False, "seen": False, "replace": True}, Outcome.WRITE),
        ({"here": HERE, "same_text": True, "seen": True}, Outcome.TWICE),
        ({"here": None, "same_text": False, "seen": True, "replace": True}, Outcome.TWICE),
    ],
)
def test_the_table_of_decisions(facts, outcome):
    """What is here stays, unless it is to give way and says something else."""
    assert decide(want(), **facts) is outcome


@pytest.mark.parametrize(
    "changed",
    [
        {"content": "other"},
        {"type": "process"},
        {"tags": ("a",)},
        {"agent": "bob"},
        {"created": None},
        {"updated": datetime(2026, 2, 1, tzinfo=UTC)},
        {"confidence": 0.5},
        {"expires": datetime(2027, 1, 1, tzinfo=UTC)},
        {"supersedes": ("bbbb",)},
        {"source": "a"},
        {"evidence": ("a",)},
        {"title": "a"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_any_other_text_or_key_is_a_difference(changed):
    """Each by itself."""
    assert says_the_same(want(), HERE)
    assert not says_the_same(want(), replace(HERE, **changed))


def test_what_is_local_here_is_no_difference_and_stays_so():
    """A source that was shared cannot make it shared."""
    here = replace(HERE, local_only=True)
    assert says_the_same(want(), here)
    assert not says_the_same(want(replace(MEMORY, local_only=True)), HERE)
    old = codec.render(here)
    new = replacement(want(replace(MEMORY, content="new")), old, "_local/shared/a.md")
    assert codec.read(new, "_local/shared/a.md") == replace(
        codec.read(old, "_local/shared/a.md"), content="new", path="_local/shared/a.md"
    )


def test_a_time_that_only_the_id_tells_is_no_difference():
    """An export says it as `created_at`."""
    memory = Memory("01kb2x7m9q4dk2wc", "text")
    assert says_the_same(want(replace(memory, created=memory.born)), memory)


def test_keys_of_the_users_own_count_where_the_source_can_hold_them():
    """In Markdown all of them do, elsewhere those it has."""
    here = replace(HERE, extra={"aliases": ["x"]})
    assert says_the_same(want(), here)
    assert not says_the_same(want(replace(MEMORY, extra={"aliases": ["y"]})), here)
    bare = codec.render(MEMORY)
    assert not says_the_same(from_markdown(bare), here)
    assert says_the_same(from_markdown(bare), HERE)


@pytest.mark.parametrize("raw", ["", "a:b", "abc", "a" * 65, "ü" * 8, "../../x"])
def test_an_id_that_cannot_be_kept_becomes_the_same_one_each_time(raw):
    """From the source's own id and its kind, else from the text; never from chance or the clock."""
    first = want(replace(MEMORY, id=raw)).memory.id
    assert ID_FORM.match(first)
    assert want(replace(MEMORY, id=raw)).memory.id == first
    assert want(replace(MEMORY, id=raw + "?")).memory.id != first
    assert want(replace(MEMORY, id=raw), kind="mem0").memory.id != first
    edited = want(replace(MEMORY, id=raw, content="edited")).memory.id
    assert (edited == first) is bool(raw)


def test_a_note_without_an_id_has_the_one_of_its_path():
    """So a folder that was copied by hand and one that was imported hold the same memories."""
    found = from_markdown(b"---\n# mine\ntags: [a]  # kept\n---\r\nplain\r\n", "team/note.md")
    assert found.memory.id == derived_id("shared/team/note.md")
    assert found.data == b"---\n# mine\ntags: [a]  # kept\nid: %s\n---\r\nplain\r\n" % found.memory.id.encode()
    assert (found.folder, found.name) == ("team", "note.md")


def test_a_note_with_an_id_keeps_every_byte():
    """Comments, order, quoting, line ends, byte order mark, no final newline."""
    data = b"\xef\xbb\xbf---\r\ntitle: 'x'  # c\r\nid: abcd\r\nmine: {a: [b]}\r\n---\r\n\r\ntext"
    found = from_markdown(data)
    assert (found.data, found.memory.id) == (data, "abcd")


@pytest.mark.parametrize(
    ("said", "type_", "tags"),
    [
        ("note", "fact", ("a", "note")),
        ("Decision", "decision", ("a",)),
        ("process", "process", ("a",)),
        ("a", "fact", ("a",)),
        ('"x, y"', "fact", ("a",)),
        ('"#"', "fact", ("a",)),
    ],
)
def test_a_type_that_is_not_known_becomes_a_tag(said, type_, tags):
    """If it can be one; basic-memory writes `type: note` into every file."""
    found = from_markdown(f"---\nid: abcd\ntype: {said}\ntags: [a]\n---\ntext\n".encode()).memory
    assert (found.type, found.tags, found.problems) == (type_, tags, ())


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("a.md", ("", "a.md")),
        ("team/deep er/ü.MD", ("team/deep er", "ü.MD")),
        ("", ("", "")),
        ("a.txt", ("", "")),
        ("../a.md", ("", "")),
        ("/a.md", ("", "")),
        ("a//b.md", ("", "")),
        (".git/a.md", ("", "")),
        ("a/.b.md", ("", "")),
        ("a\nb.md", ("", "")),
        ("a\\b.md", ("", "")),
        ("a" * 300 + ".md", ("", "")),
        ("a/" * 600 + "b.md", ("", "")),
    ],
)
def test_only_a_plain_name_below_the_namespace_is_kept(name, place):
    """Any other memory gets a name that is made for it."""
    found = want(name=name)
    assert (found.folder, found.name) == place


@pytest.mark.parametrize(
    "bad",
    [
        {"content": "a\0b"},
        {"content": "\ud800"},
        {"content": " \n"},
        {"content": "<<<<<<< a\n=======\n>>>>>>> b\n"},
        {"content": "x" * 1_100_000},
        {"title": "\ud800"},
        {"title": "x" * 70_000},
        {"extra": {"a": "\ud800"}},
    ],
)
def test_what_no_file_can_say_is_refused(bad):
    """Before anything is written; what a reader would make of the file is looked at."""
    with pytest.raises(MeshError):
        want(replace(MEMORY, **bad))


def test_what_gives_way_keeps_the_lines_that_need_not_change():
    """A comment beside a key that stays, and keys of the user's own that the source does not have."""
    old = b"---\nid: aaaa0000\nagent: ann  # me\nmine: yes\ncreated: 2026-01-31T00:00:00Z\ntitle: gone\n---\nold\n"
    new = replacement(want(replace(MEMORY, tags=("t",))), old, "shared/a.md")
    assert new == (
        b"---\nid: aaaa0000\nagent: ann  # me\nmine: yes\ncreated: 2026-01-31T00:00:00Z\ntags: [t]\n---\n"
        b"The lamp is lit\n"
    )
