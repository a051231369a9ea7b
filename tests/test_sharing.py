"""Namespaces shared through git, with real clones and remotes on disk."""

from __future__ import annotations

import pytest
from clones import TOKEN, Clone, ann, bob, everything_in, git, joins, remote, settle  # noqa: F401

from mesh.errors import NotFound

pytestmark = pytest.mark.usefixtures("without_model")


def test_what_one_learns_the_other_recalls(ann, bob):
    """After a sync on each side; the report says what came and went."""
    bob.learn("The door is green")
    assert len(bob.sync()["pushed"]) == 1
    report = ann.sync()
    assert len(report["new"]) == 1 and ann.mesh.recall("green door")[0]["content"] == "The door is green"
    assert ann.files() == bob.files()


def test_nothing_to_do_is_nothing_done(ann):
    """No commit, no file."""
    before = git(ann.folder, "rev-parse", "HEAD")
    report = ann.sync()
    assert not (report["pushed"] or report["new"] or report["changed"] or report["gone"])
    assert git(ann.folder, "rev-parse", "HEAD") == before


def test_each_author_has_a_commit_of_their_own(ann, remote):
    """So that `git log` tells who learned what."""
    ann.learn("One")
    ann.mesh.acting_as("carl").learn("Two")
    ann.mesh.acting_as("carl").learn("Three")
    ann.sync()
    said = git(remote, "log", "--format=%an: %s", "-2").splitlines()
    assert said == ["carl: 2 memories by carl: 2 new", "ann: learn: One"]


def test_edits_of_different_lines_and_keys_are_merged(ann, bob):
    """No conflict, and both have both."""
    ann.mesh.update(ann.lamp, tags=["hall"])
    bob.mesh.update(ann.lamp, confidence=0.5)
    settle(ann, bob)
    row = bob.mesh.get(ann.lamp)
    assert (row["tags"], row["confidence"]) == (["hall"], 0.5) and bob.mesh.conflicts() == []


@pytest.mark.parametrize(("how", "expected"), [("ours", 1), ("theirs", 1), ("both", 2)])
def test_a_conflict_keeps_both_until_somebody_settles_it(ann, bob, how, expected):
    """Both texts are on both sides; what one decides goes to the other."""
    ann.mesh.update(ann.lamp, "The lamp is broken")
    bob.mesh.update(ann.lamp, "The lamp is dark")
    ann.sync()
    assert len(bob.sync()["conflicts"]) == 1 and len(ann.sync()["conflicts"]) == 1
    (row,) = ann.mesh.conflicts()
    assert row["id"] == ann.lamp and ann.texts() == {"The lamp is broken", "The lamp is dark"} == bob.texts()
    kept = {"ours": ann.mesh.get(ann.lamp), "theirs": ann.mesh.get(row["rival_id"])}
    ann.mesh.resolve(ann.lamp, how)
    settle(ann, bob)
    assert bob.mesh.conflicts() == [] and len(bob.texts()) == expected
    if how != "both":
        assert bob.mesh.get(ann.lamp)["content"] == kept[how]["content"]


def test_a_conflict_can_be_settled_with_other_text(ann, bob):
    """A whole file takes the memory's place."""
    ann.mesh.update(ann.lamp, "The lamp is broken")
    bob.mesh.update(ann.lamp, "The lamp is dark")
    settle(ann, bob)
    file = ann.mesh.file_of(ann.lamp)
    text = file.read_bytes().replace(b"is broken", b"is gone").replace(b"is dark", b"is gone")
    ann.mesh.resolve(ann.lamp, text=text)
    settle(ann, bob)
    assert bob.texts() == {"The lamp is gone"}
    with pytest.raises(NotFound):
        ann.mesh.resolve(ann.lamp)


def test_what_is_forgotten_goes_to_the_trash_of_others(ann, bob):
    """They can bring it back."""
    ann.learn("The door is green")
    settle(ann, bob)
    ann.mesh.forget(ann.lamp)
    ann.sync()
    assert len(bob.sync()["gone"]) == 1 and bob.texts() == {"The door is green"}
    bob.mesh.restore(ann.lamp)
    settle(ann, bob)
    assert len(ann.texts()) == 2


def test_what_one_forgets_and_another_changes_stays(ann, bob):
    """And this is said."""
    ann.learn("The door is green")
    settle(ann, bob)
    ann.mesh.forget(ann.lamp)
    bob.mesh.update(ann.lamp, "The lamp is dark")
    ann.sync()
    assert [note["kind"] for note in bob.sync()["notes"]] == ["kept"]
    settle(ann, bob)
    assert ann.texts() == {"The lamp is dark", "The door is green"}


def test_three_clones_come_to_the_same(ann, bob, remote):
    """Whoever syncs first."""
    carl = joins(ann, remote, "carl")
    for clone in (ann, bob, carl):
        clone.learn(f"{clone.home.name} was here")
        clone.mesh.update(ann.lamp, f"The lamp, says {clone.home.name}")
    settle(carl, ann, bob)
    assert len(ann.texts()) == 6 and len(ann.mesh.conflicts()) == 2
