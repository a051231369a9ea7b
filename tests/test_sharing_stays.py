"""What stays on this machine when a namespace is shared, and is told."""

from __future__ import annotations

import pytest
from clones import TOKEN, ann, bob, everything_in, git, remote  # noqa: F401
from hashing import write

from mesh.errors import MayNotLeave

pytestmark = pytest.mark.usefixtures("without_model")


def test_what_is_local_only_never_leaves(ann, remote):
    """Neither from its own folder, nor from the shared one, where somebody may put it by hand."""
    ann.learn("The canary sings at four", local_only=True)
    write(ann.home, "notes/canary.md", "---\nlocal_only: true\n---\nThe canary sings at five\n")
    report = ann.sync()
    assert [one["path"] for one in report["kept_back"]] == ["canary.md"]
    assert "canary" not in everything_in(remote)


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
    git(ann.folder, "commit", "--quiet", "-m", "Oops")
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
