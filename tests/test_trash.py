"""What was forgotten or replaced can be had back for 30 days, and only then goes."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from mesh.errors import MeshError, NotFound, UnknownMemory
from mesh.trash import DAYS_KEPT

pytestmark = pytest.mark.usefixtures("without_model")


def hand_write(home, path, text):
    file = home / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode())
    return file


def texts_in_trash(home):
    return sorted(path.read_bytes() for path in (home / ".trash").rglob("*.md"))


def put_in_trash(home, age, memory_id="aged", path="shared/a.md", text="old\n"):
    """An entry whose folder says that it was thrown away `age` ago."""
    when = (datetime.now(UTC) - age).strftime("%Y%m%dT%H%M%S.%fZ")
    return hand_write(home, f".trash/shared/{when}-{memory_id}/{path}", text)


def throw_something_away(mesh):
    mesh.forget(mesh.learn("Something to throw away")["memory_id"])


# --- keeping -------------------------------------------------------------------------------------------------


def test_what_is_forgotten_is_in_the_trash_byte_for_byte(home, mesh):
    """Under the time, the id and the path it had."""
    original = b"---\r\nid: mine\r\n# comment\r\n---\r\nText without an end"
    hand_write(home, "shared/team/a.md", "").write_bytes(original)
    mesh.forget("mine")
    (kept,) = (home / ".trash").rglob("*.md")
    assert kept.read_bytes() == original
    assert kept.relative_to(home / ".trash").as_posix().endswith("-mine/shared/team/a.md")
    assert not (home / "shared/team/a.md").exists()


def test_every_text_that_is_replaced_is_kept(home, mesh):
    """Ten changes leave ten old texts, the latest first."""
    memory_id = mesh.learn("text number 0")["memory_id"]
    for number in range(1, 11):
        mesh.update(memory_id, f"text number {number}")
    assert len(mesh.trashed()) == 10
    times = [row["forgotten_at"] for row in mesh.trashed()]
    assert times == sorted(times, reverse=True)
    assert {row["id"] for row in mesh.trashed()} == {memory_id}


def test_a_malformed_file_can_be_kept_too(home, mesh):
    """What cannot be understood has a derived id, and comes back as it was."""
    file = hand_write(home, "shared/bad.md", "---\nid: [\n---\ntext\n")
    vault = mesh.workspace.vault
    with vault.writing("shared"):
        entry = vault.discard("shared", "shared/bad.md")
        assert not file.exists()
        assert vault.trash("shared").put_back(entry) == "shared/bad.md"
    assert file.read_bytes() == b"---\nid: [\n---\ntext\n"


@pytest.mark.skipif(os.name != "posix", reason="modes as POSIX has them")
def test_the_trash_is_for_the_owner_only(home, mesh):
    """What was forgotten is nobody else's business."""
    memory_id = mesh.learn("one text")["memory_id"]
    mesh.update(memory_id, "another text")
    mesh.forget(memory_id)
    loose = [path for path in [home / ".trash", *(home / ".trash").rglob("*")] if path.stat().st_mode & 0o077]
    assert not loose


# --- bringing back -------------------------------------------------------------------------------------------


def test_restore_brings_a_memory_back_to_its_place(home, mesh):
    """The same bytes at the same path, even if its folder is gone; the trash no longer has them."""
    hand_write(home, "shared/deep/er/a.md", "---\nid: mine\n---\nThe text\n")
    mesh.forget("mine")
    (home / "shared/deep/er").rmdir()
    (home / "shared/deep").rmdir()
    assert mesh.restore("mine")["path"] == "shared/deep/er/a.md"
    assert (home / "shared/deep/er/a.md").read_bytes() == b"---\nid: mine\n---\nThe text\n"
    assert mesh.trashed() == [] and not list((home / ".trash/shared").iterdir())


def test_a_taken_name_stays_with_its_file(home, mesh):
    """What comes back goes beside the file that has its name now."""
    file = hand_write(home, "shared/a.md", "---\nid: mine\n---\nThe text\n")
    mesh.forget("mine")
    file.write_text("Somebody else's text\n")
    hand_write(home, "shared/a-2.md", "Another one\n")
    assert mesh.restore("mine")["path"] == "shared/a-3.md"
    assert file.read_text() == "Somebody else's text\n"
    assert (home / "shared/a-3.md").read_text().endswith("The text\n")


def test_a_living_memory_changes_places_with_its_old_text(mesh):
    """To restore twice is to undo."""
    memory_id = mesh.learn("The old text")["memory_id"]
    mesh.update(memory_id, "The new text")
    assert mesh.restore(memory_id)["content"] == "The old text"
    assert mesh.count() == 1
    assert mesh.restore(memory_id)["content"] == "The new text"
    assert mesh.count() == 1 and len(mesh.trashed()) == 1


def test_the_newest_text_comes_back_first(mesh):
    """Of several texts of a memory, the last one that was thrown away."""
    memory_id = mesh.learn("text 1")["memory_id"]
    mesh.update(memory_id, "text 2")
    mesh.forget(memory_id)
    assert mesh.restore(memory_id)["content"] == "text 2"


def test_a_local_memory_comes_back_where_it_cannot_be_shared(home, mesh):
    """`_local` stays `_local` on the way through the trash."""
    memory_id = mesh.learn("A secret of this machine", local_only=True)["memory_id"]
    mesh.forget(memory_id)
    back = mesh.restore(memory_id)
    assert back["path"].startswith("_local/shared/") and back["local_only"]
    assert not list((home / "shared").rglob("*.md")) if (home / "shared").exists() else True


def test_what_is_not_in_the_trash_cannot_come_back(mesh):
    """Neither of an empty trash nor of one that has others."""
    with pytest.raises(UnknownMemory, match="in the trash"):
        mesh.restore("mine")
    throw_something_away(mesh)
    with pytest.raises(UnknownMemory):
        mesh.restore("mine")


@pytest.mark.parametrize("length", [0, 1, 4])
def test_restore_needs_a_name_that_means_one_memory(mesh, length):
    """As with every other verb: 4 characters or more, and no more than one memory that has them."""
    first, second = (mesh.learn(text)["memory_id"] for text in ("one text", "something else"))
    assert first[:4] == second[:4], "ids of one year begin alike"
    mesh.forget(first)
    mesh.forget(second)
    with pytest.raises(MeshError):
        mesh.restore(first[:length])


def test_one_namespace_does_not_see_the_trash_of_another(home, mesh):
    """Each has its own."""
    from mesh import Mesh

    memory_id = mesh.learn("one text")["memory_id"]
    mesh.forget(memory_id)
    with Mesh(namespace="other", home=home) as other, pytest.raises(NotFound):
        other.restore(memory_id)


# --- emptying ------------------------------------------------------------------------------------------------


def test_after_30_days_the_trash_lets_go(home, mesh):
    """The next memory that is forgotten takes what is too old with it, folders included."""
    put_in_trash(home, timedelta(days=DAYS_KEPT, minutes=1))
    put_in_trash(home, timedelta(days=400), "ages", "_local/shared/deep/b.md")
    throw_something_away(mesh)
    assert texts_in_trash(home) == [] or all(b"throw away" in text for text in texts_in_trash(home))
    assert len(list((home / ".trash/shared").iterdir())) == 1


def test_nothing_younger_is_ever_touched(home, mesh):
    """Not a minute before the 30 days, and not what a clock that ran ahead dated in the future."""
    young = put_in_trash(home, timedelta(days=DAYS_KEPT, minutes=-1))
    future = put_in_trash(home, timedelta(days=-400), "ahea")
    throw_something_away(mesh)
    assert young.read_bytes() == future.read_bytes() == b"old\n"


def test_what_mesh_did_not_put_there_stays(home, mesh):
    """A folder without Mesh's form of name, and a file that is no memory, are the user's."""
    foreign = [
        hand_write(home, ".trash/shared/20200101/a.md", "mine\n"),
        hand_write(home, ".trash/shared/notes.md", "mine\n"),
        hand_write(home, ".trash/other/20200101T000000.000000Z-aged/other/a.md", "mine\n"),
    ]
    throw_something_away(mesh)
    assert all(file.read_text() == "mine\n" for file in foreign)


def test_emptying_follows_no_link(home, mesh, tmp_path):
    """A link in an old entry leads to nothing that may be deleted."""
    outside = hand_write(tmp_path, "outside/a.md", "not ours\n")
    old = put_in_trash(home, timedelta(days=100))
    (old.parent / "linked").symlink_to(outside.parent)
    (old.parent / "file.md").symlink_to(outside)
    throw_something_away(mesh)
    assert outside.read_text() == "not ours\n"


def test_a_folder_with_an_impossible_date_blocks_nothing(home, mesh):
    """It looks like an entry, is none, and stays."""
    odd = hand_write(home, ".trash/shared/20269999T000000.000000Z-aged/shared/a.md", "odd\n")
    throw_something_away(mesh)
    assert odd.read_text() == "odd\n"
    assert len(mesh.trashed()) == 1


def test_what_a_killed_writer_left_goes_as_well(home, mesh):
    """A temporary holds the text that was to be thrown away: after 30 days it is gone with its entry."""
    left = put_in_trash(home, timedelta(days=100), path="shared/.mesh-0123456789abcdef.tmp")
    throw_something_away(mesh)
    assert not left.exists()
