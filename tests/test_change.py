"""Changing, forgetting and restoring: only the lines that must change do, and nothing is ever lost."""

import pytest
from hashing import bytes_below, hashed, write

from mesh import change
from mesh.errors import AmbiguousId, EditConflict, InvalidInput, MalformedMemory, MeshError, UnknownMemory

HAND = (
    b"\xef\xbb\xbf---\r\n# mine\r\ntags:   [ sea ,  'ice' ]   # two\r\nid: hand-made-1\r\nmood: NO\r\n"
    b"created: 2026-01-31\r\n---\r\n\r\n  the walrus\r\nsleeps  \r\n\r\n"
)


@pytest.fixture
def mesh(home):
    with hashed(home) as opened:
        yield opened


def without(data, *words):
    return [line for line in data.split(b"\r\n") if not any(line.startswith(word) for word in words)]


def test_an_update_of_the_text_leaves_the_rest_as_it_was(home, mesh):
    """Comments, order, quoting, line ends, the byte order mark and the end of the file stay."""
    path = write(home, "shared/a.md", HAND)
    row = mesh.update("hand-made-1", "the octopus\nswims")
    assert row["content"] == "the octopus\nswims" and row["updated_at"]
    expected = HAND.replace(b"  the walrus\r\nsleeps", b"the octopus\r\nswims")
    new = path.read_bytes()
    assert without(new, b"updated")[:7] == without(expected)[:7]
    assert new.startswith(b"\xef\xbb\xbf---\r\n# mine\r\n") and b"\n" not in new.replace(b"\r\n", b"")


def test_an_update_of_a_key_touches_that_key(home, mesh):
    """And `updated`; every other line is byte for byte what it was."""
    path = write(home, "shared/a.md", HAND)
    mesh.update("hand-made-1", memory_type="decision", confidence=0.5)
    assert without(path.read_bytes(), b"type", b"confidence", b"updated") == without(HAND)
    row = mesh.get("hand-made-1")
    assert (row["memory_type"], row["confidence"], row["content"]) == ("decision", 0.5, "  the walrus\nsleeps")


def test_an_update_that_changes_nothing_writes_nothing(home, mesh):
    """No new time, no entry in the trash."""
    path = write(home, "shared/a.md", HAND)
    inode = path.stat().st_ino
    mesh.update("hand-made-1", "  the walrus\nsleeps", tags=["sea", "ice"])
    assert path.read_bytes() == HAND and path.stat().st_ino == inode and mesh.trashed() == []


def test_the_text_before_an_update_is_in_the_trash(home, mesh):
    """Every replaced text can be had back, the newest first."""
    memory_id = mesh.learn("walrus one")["memory_id"]
    for number in ("two", "three"):
        mesh.update(memory_id, f"walrus {number}")
    assert len(mesh.trashed()) == 2
    assert mesh.restore(memory_id)["content"] == "walrus two"
    assert mesh.get(memory_id)["content"] == "walrus two" and mesh.count() == 1


def test_an_updated_text_is_found_at_once(home, mesh):
    """By its new words, not by its old ones, with a vector of its own."""
    memory_id = mesh.learn("the walrus")["memory_id"]
    mesh.update(memory_id, "the octopus")
    row = mesh.recall("the octopus")[0]
    assert row["id"] == memory_id and row["similarity"] == pytest.approx(1, abs=1e-5)
    assert mesh.recall("walrus")[0]["matched_words"] == []


def test_an_update_is_based_on_what_was_read(home, mesh):
    """Somebody saved in between: their text stays and the update is refused."""
    write(home, "shared/a.md", HAND)
    memory, digest = mesh.workspace.find("hand-made-1")
    path = write(home, "shared/a.md", HAND.replace(b"walrus", b"badger"))
    before = path.read_bytes()
    with pytest.raises(EditConflict):
        change.update(mesh.workspace, "hand-made-1", {}, "the octopus", base=(memory.path, digest))
    assert path.read_bytes() == before and mesh.trashed() == []


def test_a_hand_edit_survives_a_later_update(home, mesh):
    """An update starts from the file, not from what the cache remembers."""
    path = home / mesh.learn("the walrus")["path"]
    path.write_text(path.read_text().replace("---\nthe", "mood: calm\n---\nthe"))
    mesh.update(str(path), tags=["sea"])
    assert "mood: calm\n" in path.read_text() and "tags: [sea]\n" in path.read_text()


def test_a_malformed_file_is_not_edited(home, mesh):
    """It stays as it is, and the error says where it is wrong."""
    path = write(home, "shared/a.md", "---\ntags: [a\n---\nwalrus\n")
    before = path.read_bytes()
    with pytest.raises(MalformedMemory) as caught:
        mesh.update("shared/a.md", "the octopus")
    assert caught.value.path == "shared/a.md" and path.read_bytes() == before


@pytest.mark.parametrize("name", ["shared/a.md", "a.md", "hand-made-1", "HAND-MADE-1", "hand", "Hand-M"])
def test_a_memory_can_be_named_in_several_ways(home, mesh, name):
    """By path, by id in any case, by any unique prefix of four or more characters."""
    write(home, "shared/a.md", HAND)
    assert mesh.get(name)["id"] == "hand-made-1"
    assert mesh.get(str(home / "shared/a.md"))["id"] == "hand-made-1"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("nobody", UnknownMemory),
        ("han", InvalidInput),
        ("", InvalidInput),
        ("shared/none.md", UnknownMemory),
        ("../outside.md", UnknownMemory),
        ("/etc/passwd.md", UnknownMemory),
        ("other/a.md", UnknownMemory),
        ("hand-", AmbiguousId),
        ("%", InvalidInput),
        ("____", UnknownMemory),
    ],
)
def test_what_names_no_memory_or_several_is_said(home, mesh, name, error):
    """Never the wrong one, and never a file outside the namespace."""
    write(home, "shared/a.md", HAND)
    write(home, "shared/b.md", HAND.replace(b"made-1", b"made-2"))
    write(home, "other/a.md", HAND)
    write(home.parent, "outside.md", HAND)
    before = bytes_below(home.parent)
    for verb in (mesh.get, mesh.forget, mesh.update):
        with pytest.raises(error):
            verb(name)
    assert bytes_below(home.parent) == before


def test_two_files_of_one_id_are_told_apart_by_their_paths(home, mesh):
    """The id names both, so it names neither; the error shows the paths."""
    write(home, "shared/a.md", HAND)
    write(home, "shared/b.md", HAND)
    with pytest.raises(AmbiguousId, match=r"shared/a\.md, shared/b\.md"):
        mesh.forget("hand-made-1")
    assert mesh.forget("shared/b.md")["path"] == "shared/b.md"
    assert (home / "shared/a.md").exists() and not (home / "shared/b.md").exists()


def test_what_is_forgotten_is_not_recalled_and_can_be_restored(home, mesh):
    """Bytes, name and place come back as they were."""
    write(home, "shared/deep/er/a.md", HAND)
    mesh.forget("hand-made-1")
    assert list(mesh.recall("walrus")) == [] and mesh.count() == 0
    assert [row["path"] for row in mesh.trashed()] == ["shared/deep/er/a.md"]
    row = mesh.restore("hand-made-1")
    assert row["path"] == "shared/deep/er/a.md" and (home / row["path"]).read_bytes() == HAND
    assert mesh.recall("walrus")[0]["id"] == "hand-made-1" and mesh.trashed() == []


def test_restoring_beside_another_file_of_that_name_keeps_both(home, mesh):
    """A new file has taken the place: the old one comes back beside it."""
    write(home, "shared/a.md", HAND)
    mesh.forget("hand-made-1")
    other = write(home, "shared/a.md", "another text")
    row = mesh.restore("hand-made-1")
    assert row["path"] != "shared/a.md" and other.read_text() == "another text"
    assert (home / row["path"]).read_bytes() == HAND


def test_restoring_puts_the_living_text_into_the_trash(home, mesh):
    """Restoring twice is undoing the restoring."""
    memory_id = mesh.learn("walrus one")["memory_id"]
    mesh.update(memory_id, "walrus two")
    assert mesh.restore(memory_id)["content"] == "walrus one"
    assert mesh.restore(memory_id)["content"] == "walrus two"
    assert mesh.count() == 1


def test_a_local_memory_is_restored_to_where_it_was(home, mesh):
    """The trash does not make it shared."""
    row = mesh.learn("the walrus", local_only=True)
    mesh.forget(row["memory_id"])
    assert mesh.restore(row["memory_id"])["path"] == row["path"]
    assert not list((home / "shared").glob("*"))


def test_what_is_not_in_the_trash_cannot_be_restored(mesh):
    """An unknown id is said to be unknown."""
    mesh.learn("the walrus")
    with pytest.raises(UnknownMemory):
        mesh.restore("nobody")


@pytest.mark.parametrize("name", ["", "h", "hand-"])
def test_a_name_that_is_too_short_or_names_several_restores_nothing(home, mesh, name):
    """As with the living: four or more characters that only one memory has."""
    write(home, "shared/a.md", HAND)
    write(home, "shared/b.md", HAND.replace(b"made-1", b"made-2"))
    mesh.forget("hand-made-1")
    mesh.forget("hand-made-2")
    with pytest.raises(MeshError):
        mesh.restore(name)


@pytest.mark.parametrize("arguments", [{"content": ""}, {"memory_type": "rumour"}, {"confidence": 2}, {"ttl_days": 0}])
def test_what_is_not_acceptable_changes_nothing(home, mesh, arguments):
    """The same limits as for learning."""
    path = write(home, "shared/a.md", HAND)
    with pytest.raises(InvalidInput):
        mesh.update("hand-made-1", **arguments)
    assert path.read_bytes() == HAND


def test_an_empty_title_or_no_tags_drop_the_key(home, mesh):
    """A default is not written."""
    path = home / mesh.learn("the walrus", tags=["sea"], title="Walrus")["path"]
    mesh.update(str(path), tags=[], title="")
    assert "tags" not in path.read_text() and "title" not in path.read_text()


def test_a_time_to_live_can_be_given_later(home, mesh):
    """It counts from now."""
    memory_id = mesh.learn("the walrus")["memory_id"]
    assert mesh.update(memory_id, ttl_days=10)["days_until_stale"] == pytest.approx(7, abs=0.1)
