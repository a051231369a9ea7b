"""Remotes that lost what they had, and what cannot be cloned or joined."""

from __future__ import annotations

import pytest
from clones import Clone, ann, bob, git, remote, settle  # noqa: F401

import mesh as library
from mesh import Mesh
from mesh.errors import InvalidInput, NotFound, RemoteRefused

pytestmark = pytest.mark.usefixtures("without_model")


def test_a_force_push_that_drops_everything_takes_nothing_from_us(ann, bob, remote):
    """Ours stay, also when a person agrees to go on with it."""
    bob.sync()
    first = git(remote, "rev-list", "--max-parents=0", "main").strip()
    git(remote, "update-ref", "refs/heads/main", first)
    with pytest.raises(RemoteRefused, match="rewritten"):
        bob.mesh.sync()
    assert bob.texts() == {"The lamp in the hall is lit"}
    bob.sync("rewritten")
    assert bob.texts() == {"The lamp in the hall is lit"}
    assert "Lamp" in git(remote, "log", "--format=%s", "main")


def test_all_memories_gone_is_refused(ann, bob, remote):
    """A commit that deletes all of them is not believed."""
    git(bob.folder, "rm", "--quiet", "-r", ".")
    git(bob.folder, "commit", "--quiet", "-m", "Clean up")
    git(bob.folder, "push", "--quiet", str(remote), "main")
    with pytest.raises(RemoteRefused, match="all of its 1 memories are gone"):
        ann.mesh.sync()
    assert ann.texts() == {"The lamp in the hall is lit"}


def test_unrelated_history_needs_a_word(ann, remote, tmp_path, monkeypatch):
    """Both are kept then. Of another person: the first commits of one, made in one second, are one commit."""
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = carl\n\temail = carl@example.org\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    other = Clone(tmp_path / "other")
    other.learn("The door is green")
    with pytest.raises(InvalidInput, match="has a history already"):
        library.share_namespace("notes", str(remote), home=other.home)
    library.share_namespace("notes", home=other.home)
    with pytest.raises(RemoteRefused, match="nothing in common"):
        library.share_namespace("notes", str(remote), home=other.home)
    other.sync("unrelated")
    settle(ann, other)
    assert len(ann.texts()) == 2


def test_what_cannot_be_cloned_says_why(tmp_path, remote, ann):
    """An empty remote; a name that is taken; one that is not shared."""
    git(tmp_path, "init", "--quiet", "--bare", "empty.git")
    with pytest.raises(InvalidInput, match="the remote is empty"):
        library.clone_namespace(str(tmp_path / "empty.git"), home=tmp_path / "new")
    with pytest.raises(InvalidInput, match="already"):
        library.clone_namespace(str(remote), "notes", home=ann.home)
    with Mesh("private", home=ann.home) as private:
        private.learn("Mine")
        with pytest.raises(NotFound, match="mesh share private"):
            private.sync()
