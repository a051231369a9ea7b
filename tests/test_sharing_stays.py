"""What stays on this machine when a namespace is shared, and is told."""

from __future__ import annotations

import pytest
from clones import TOKEN, ann, bob, everything_in, git, remote, settle  # noqa: F401
from hashing import write

from mesh import remedies
from mesh.errors import MayNotLeave

pytestmark = pytest.mark.usefixtures("without_model")


def test_what_is_local_only_never_leaves(ann, remote):
    """Neither from its own folder, nor from the shared one, where somebody may put it by hand."""
    ann.learn("The canary sings at four", local_only=True)
    write(ann.home, "notes/canary.md", "---\nlocal_only: true\n---\nThe canary sings at five\n")
    report = ann.sync()
    assert [one["path"] for one in report["kept_back"]] == ["canary.md"]
    assert "canary" not in everything_in(remote)


def test_what_becomes_local_only_after_it_was_shared_is_told(ann, bob, remote):
    """What is new in it stays; what it was is in the history; to move it apart takes it from others' folders."""
    file = ann.mesh.file_of(ann.lamp)
    ann.learn("The door is green")
    settle(ann, bob)
    file.write_bytes(file.read_bytes().replace(b"---\nThe lamp in the hall", b"local_only: true\n---\nThe canary"))
    (problem,) = ann.sync()["kept_back"]
    assert problem["key"] == "local_only" and "history has what it was" in problem["cause"]
    assert "doctor --fix local" in problem["remedy"]
    bob.sync()
    assert bob.texts() == {"The lamp in the hall is lit", "The door is green"}
    ann.mesh.refresh()
    remedies.fix(ann.mesh.workspace, "local")
    settle(ann, bob)
    assert bob.texts() == {"The door is green"} and len(bob.mesh.trashed()) == 1
    assert ann.mesh.get(ann.lamp)["content"] == "The canary is lit"
    assert "canary" not in everything_in(remote) + everything_in(ann.folder)


def test_an_undo_does_not_commit_what_became_local_only(ann):
    """The merge that takes an agent's part out of the file would bring the rest into the history."""
    ann.mesh.update(ann.lamp, "The lamp is lit\n\nmiddle\n\nlast")
    ann.sync()
    file = ann.mesh.file_of(ann.lamp)
    file.write_bytes(file.read_bytes().replace(b"last", b"by claude").replace(b"agent: ann", b"agent: claude"))
    ann.sync()
    file.write_bytes(
        file.read_bytes().replace(b"---\nid", b"---\nlocal_only: true\nid").replace(b"lamp is", b"canary is")
    )
    before = file.read_bytes()
    rows = ann.mesh.undo("claude", "1h")["memories"]
    assert [row["happens"] for row in rows] == ["left"] and "local_only" in rows[0]["reason"]
    assert file.read_bytes() == before and "canary" not in everything_in(ann.folder)


def test_a_secret_stays_back_and_the_rest_goes(ann, remote):
    """It is named, with line and remedy, without being told."""
    write(ann.home, "notes/key.md", f"The token is {TOKEN}\n")
    ann.learn("The door is green")
    (problem,) = ann.sync()["kept_back"]
    assert (problem["path"], problem["line"]) == ("key.md", 1) and TOKEN not in str(problem)
    assert "door is green" in everything_in(remote) and TOKEN not in everything_in(remote)


@pytest.mark.parametrize("text", [f"The token is {TOKEN}\n", "---\nlocal_only: true\n---\nThe canary\n"])
def test_a_leak_that_was_committed_with_git_is_not_pushed(ann, bob, remote, text):
    """Also if a later commit took it out; what others did still comes in."""
    write(ann.home, "notes/leak.md", text)
    git(ann.folder, "add", "leak.md")
    git(ann.folder, "commit", "--quiet", "--no-verify", "-m", "Oops")
    git(ann.folder, "rm", "--quiet", "leak.md")
    git(ann.folder, "commit", "--quiet", "-m", "Never mind")
    bob.learn("The door is green")
    bob.sync()
    with pytest.raises(MayNotLeave, match=r"leak\.md.*git rebase"):
        ann.mesh.sync()
    assert "The door is green" in ann.texts()
    assert TOKEN not in everything_in(remote) and "canary" not in everything_in(remote)


def test_a_broken_file_stays_back(ann, bob):
    """Others keep its last good version."""
    file = ann.mesh.file_of(ann.lamp)
    file.write_text("---\ntags: [\n---\nx\n")
    assert [one["path"] for one in ann.sync()["kept_back"]] == [file.name]
    bob.sync()
    assert bob.texts() == {"The lamp in the hall is lit"}
