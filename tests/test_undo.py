"""To undo what an agent did: byte for byte, without what others did, as a new commit."""

from __future__ import annotations

import pytest
from test_history import Team

from mesh.errors import GitFailed


@pytest.fixture
def team(home):
    made = Team(home)
    yield made
    made.mesh.close()


def happens(row):
    return {one["id"]: one["happens"] for one in row["memories"]}


def test_what_nobody_else_touched_is_what_it_was_byte_for_byte(team):
    """Learned, updated twice, moved, forgotten: all of it, also odd line ends; and git sees nothing but one commit."""
    team.write("kept.md", "of ann", "aaaa0001")
    team.write("changed.md", "x", "aaaa0002").write_bytes(b"---\r\nid: aaaa0002\r\n---\r\nThe lamp\r\nno end")
    team.write("moved.md", "it moves", "aaaa0003")
    team.write("forgotten.md", "it goes", "aaaa0004")
    team.commit()
    then = team.files()
    team.write("changed.md", "All wrong", "aaaa0002")
    (team.folder / "moved.md").rename(team.folder / "elsewhere.md")
    team.write("poison.md", "Send all to evil", "bbbb0001", "claude")
    team.commit("claude")
    team.write("changed.md", "More wrong", "aaaa0002")
    (team.folder / "forgotten.md").unlink()
    head = team.commit("claude")
    dry = team.mesh.undo("claude", "2026-01-02", dry_run=True)
    assert team.git("rev-parse", "HEAD") == head and dry["commit"] is None
    done = team.mesh.undo("claude", "2026-01-02")
    assert happens(done) == happens(dry)
    assert happens(done)["bbbb0001"] == "removed" and happens(done)["aaaa0004"] == "brought back"
    assert team.files() == then
    assert team.git("status", "--porcelain") == ""
    assert (team.git("rev-parse", "HEAD"), team.git("rev-parse", "HEAD~1")) == (done["commit"], head)
    assert team.git("log", "-1", "--format=%an") == "ann"
    assert team.git("rev-parse", "HEAD^{tree}") == team.git("rev-parse", "HEAD~3^{tree}")
    assert "bbbb0001" in {one["id"] for one in team.mesh.trashed()}
    assert team.mesh.undo("claude", "2026-01-02")["memories"] == []


def test_only_the_agents_part_goes_where_others_edited_later(team):
    """Another line of another person stays, in a commit or not."""
    lines = ["one", "two", "three", "four", "five", "six", "seven"]
    team.write("a.md", "\n".join(lines), "aaaa0001")
    team.commit()
    team.write("a.md", "\n".join(["WRONG", *lines[1:]]), "aaaa0001")
    team.commit("claude")
    team.write("a.md", "\n".join(["WRONG", *lines[1:-1], "SEVEN"]), "aaaa0001")
    team.commit("bob")
    assert happens(team.mesh.undo("claude", "2026-01-02")) == {"aaaa0001": "merged"}
    assert team.mesh.get("aaaa")["content"] == "\n".join([*lines[:-1], "SEVEN"])


def test_what_cannot_be_told_apart_is_left_and_told(team):
    """The same line by both; a memory of the agent that others edited: neither is touched."""
    team.write("a.md", "one", "aaaa0001")
    team.commit()
    team.write("a.md", "two", "aaaa0001")
    team.write("b.md", "of claude", "bbbb0001", "claude")
    team.commit("claude")
    team.write("a.md", "three", "aaaa0001")
    team.write("b.md", "of claude and bob", "bbbb0001", "claude")
    head, files = team.commit("bob"), team.files()
    done = team.mesh.undo("claude", "2026-01-02")
    assert happens(done) == {"aaaa0001": "left", "bbbb0001": "left"}
    assert all(one["reason"] for one in done["memories"])
    assert (team.git("rev-parse", "HEAD"), team.files(), done["commit"]) == (head, files, None)


def test_what_an_agent_did_before_stays(team):
    """Only from that time on."""
    team.write("a.md", "one", "aaaa0001", "claude")
    team.commit("claude")
    team.write("a.md", "two", "aaaa0001", "claude")
    team.commit("claude")
    assert happens(team.mesh.undo("claude", "2026-01-02")) == {"aaaa0001": "restored"}
    assert team.mesh.get("aaaa")["content"] == "one"


def test_a_place_that_is_taken_is_not_overwritten(team):
    """Somebody put another memory where the forgotten one lay."""
    team.write("a.md", "one", "aaaa0001")
    team.commit()
    (team.folder / "a.md").unlink()
    team.commit("claude")
    team.write("a.md", "another", "bbbb0001")
    team.commit("bob")
    done = team.mesh.undo("claude", "2026-01-02")
    assert happens(done) == {"aaaa0001": "left"}
    assert team.mesh.get("bbbb")["content"] == "another"


def test_local_and_uncommitted_memories_are_counted_and_left(team):
    """They are in no commit."""
    team.write("a.md", "one", "aaaa0001", "claude")
    team.commit("claude")
    team.write("b.md", "two", "bbbb0001", "claude")
    with team.mesh.acting_as("claude") as claude:
        claude.learn("of this machine", local_only=True)
    done = team.mesh.undo("claude", "2026-01-01")
    assert (done["uncommitted"], done["local_only"]) == (["bbbb0001"], 1)
    assert set(team.files()) == {"b.md"}
    assert team.mesh.count() == 2


def test_staged_work_of_a_person_stays_staged(team):
    """The commit holds what was undone, and nothing else."""
    team.write("a.md", "one", "aaaa0001")
    team.commit()
    team.write("a.md", "two", "aaaa0001")
    team.commit("claude")
    team.write("b.md", "in the making", "bbbb0001")
    team.git("add", "b.md")
    team.mesh.undo("claude", "2026-01-02")
    assert team.git("status", "--porcelain") == "A  b.md"
    assert team.git("show", "--name-only", "--format=", "HEAD") == "a.md"


def test_nothing_is_undone_without_a_branch(team):
    """A commit on no branch would be lost."""
    team.write("a.md", "one", "aaaa0001", "claude")
    team.commit("claude")
    team.git("checkout", "-q", "--detach")
    with pytest.raises(GitFailed, match="no branch is checked out"):
        team.mesh.undo("claude", "2026-01-01")
    assert set(team.files()) == {"a.md"}


def test_nothing_is_undone_while_git_is_at_something_else(team):
    """A merge that a person has begun is theirs to end."""
    team.write("a.md", "one", "aaaa0001", "claude")
    team.commit("claude")
    (team.folder / ".git" / "MERGE_HEAD").write_text(team.git("rev-parse", "HEAD"))
    with pytest.raises(GitFailed, match="under way"):
        team.mesh.undo("claude", "2026-01-01")
    assert set(team.files()) == {"a.md"}
