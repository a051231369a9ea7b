"""To undo what an agent did: byte for byte, without what others did, as a new commit."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from hashing import hashed
from test_history import Team
from test_sharing_kills import EVERY, killed_at

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


def test_what_is_local_only_now_is_left_and_its_place_is_not_told(team):
    """It is told by the path under which it was shared."""
    path = team.write("a.md", "one", "aaaa0001", "claude")
    team.commit("claude")
    local = team.home / "_local" / "team"
    local.mkdir(parents=True)
    path.rename(local / "my-own-name.md")
    for dry_run in (True, False):
        done = team.mesh.undo("claude", "2026-01-01", dry_run=dry_run)
        assert happens(done) == {"aaaa0001": "left"} and done["memories"][0]["path"] == "team/a.md"
        assert "my-own-name" not in str(done) and done["commit"] is None
    assert (local / "my-own-name.md").read_text().endswith("one\n")


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


# --- moved, edited, killed in between --------------------------------------------------------------------------------


def test_a_memory_that_others_moved_is_undone_where_it_lies_now(team):
    """In a commit of theirs, or only in the folder: then the move stays theirs to commit."""
    for number in (1, 2):
        team.write(f"{number}.md", "one", f"aaaa000{number}")
    team.commit()
    for number in (1, 2):
        team.write(f"{number}.md", "two", f"aaaa000{number}")
    team.commit("claude")
    (team.folder / "1.md").rename(team.folder / "moved-1.md")
    team.commit("bob")
    (team.folder / "2.md").rename(team.folder / "moved-2.md")
    assert set(happens(team.mesh.undo("claude", "2026-01-02")).values()) == {"restored"}
    assert {path: data.endswith(b"one\n") for path, data in team.files().items()} == {
        "moved-1.md": True,
        "moved-2.md": True,
    }
    assert team.git("ls-tree", "--name-only", "HEAD").split() == ["2.md", "moved-1.md"]
    assert team.git("status", "--porcelain").splitlines() == ["D 2.md", "?? moved-2.md"]


def test_an_edit_by_hand_is_kept_and_stays_out_of_the_commit(team):
    """Another line of the same file: in the folder both, in the commit only what was undone."""
    lines = ["one", "two", "three", "four", "five"]
    team.write("a.md", "\n".join(lines), "aaaa0001")
    team.commit()
    team.write("a.md", "\n".join(["WRONG", *lines[1:]]), "aaaa0001")
    team.commit("claude")
    team.write("a.md", "\n".join(["WRONG", *lines[1:-1], "by hand"]), "aaaa0001")
    assert happens(team.mesh.undo("claude", "2026-01-02")) == {"aaaa0001": "merged"}
    assert team.mesh.get("aaaa")["content"] == "\n".join([*lines[:-1], "by hand"])
    assert team.git("rev-parse", "HEAD:a.md") == team.git("rev-parse", "HEAD~2:a.md")
    assert team.git("status", "--porcelain") == "M a.md"


def test_an_edit_by_hand_of_the_same_line_is_left_and_told(team):
    """Nothing is written, nothing is committed."""
    team.write("a.md", "one", "aaaa0001")
    team.commit()
    team.write("a.md", "two", "aaaa0001")
    head = team.commit("claude")
    team.write("a.md", "by hand", "aaaa0001")
    done = team.mesh.undo("claude", "2026-01-02")
    assert happens(done) == {"aaaa0001": "left"} and done["memories"][0]["reason"]
    assert team.mesh.get("aaaa")["content"] == "by hand" and team.git("rev-parse", "HEAD") == head


def test_what_is_staged_of_the_same_file_is_left_and_told(team):
    """It is a person's, in the making."""
    team.write("a.md", "one\ntwo\nthree", "aaaa0001")
    team.commit()
    team.write("a.md", "WRONG\ntwo\nthree", "aaaa0001")
    team.commit("claude")
    team.write("a.md", "WRONG\ntwo\nthree\nstaged", "aaaa0001")
    team.git("add", "a.md")
    (one,) = team.mesh.undo("claude", "2026-01-02")["memories"]
    assert (one["happens"], "staged" in one["reason"]) == ("left", True)
    assert team.git("status", "--porcelain") == "M  a.md"


def test_a_place_that_is_taken_but_not_committed_is_not_overwritten(team):
    """A person has just written another file where the forgotten one lay."""
    team.write("a.md", "one", "aaaa0001")
    team.commit()
    (team.folder / "a.md").unlink()
    head = team.commit("claude")
    team.write("a.md", "mine", "bbbb0001")
    assert happens(team.mesh.undo("claude", "2026-01-02")) == {"aaaa0001": "left"}
    assert team.mesh.get("bbbb")["content"] == "mine" and team.git("rev-parse", "HEAD") == head


def test_an_agents_part_of_a_merge_is_undone(team):
    """What it did on a branch of its own, and what it put into the merge commit itself."""
    lines = ["one", "two", "three", "four", "five", "six", "seven"]
    team.write("a.md", "\n".join(lines), "aaaa0001")
    team.write("b.md", "good", "bbbb0001")
    team.commit()
    team.git("checkout", "-q", "-b", "side")
    team.write("a.md", "\n".join(["WRONG", *lines[1:]]), "aaaa0001")
    team.commit("claude")
    team.git("checkout", "-q", "main")
    team.write("a.md", "\n".join([*lines[:-1], "SEVEN"]), "aaaa0001")
    team.commit("bob")
    team.git("merge", "-q", "--no-commit", "--no-ff", "side")
    team.write("b.md", "evil", "bbbb0001")
    team.commit("claude")
    done = team.mesh.undo("claude", "2026-01-02")
    assert happens(done) == {"aaaa0001": "merged", "bbbb0001": "restored"}
    assert team.mesh.get("aaaa")["content"] == "\n".join([*lines[:-1], "SEVEN"])
    assert team.mesh.get("bbbb")["content"] == "good" and team.git("status", "--porcelain") == ""


def _poisoned(team):
    """claude learned, changed, moved and forgot; what it was before."""
    for number in range(3):
        team.write(f"{number}.md", f"text {number}", f"aaaa000{number}")
    team.commit()
    then = team.files()
    team.write("0.md", "wrong", "aaaa0000")
    (team.folder / "1.md").rename(team.folder / "9.md")
    (team.folder / "2.md").unlink()
    team.write("new.md", "evil", "bbbb0001")
    team.commit("claude")
    return then


def test_two_undos_at_once_make_one_commit(team):
    """The second finds nothing left to undo."""
    then = _poisoned(team)
    head = team.git("rev-parse", "HEAD")
    with ThreadPoolExecutor(2) as pool:
        others = [hashed(team.home, "team", "ann") for _ in range(2)]
        done = list(pool.map(lambda mesh: mesh.undo("claude", "2026-01-02"), others))
    assert sorted(bool(one["commit"]) for one in done) == [False, True]
    assert team.files() == then and team.git("rev-parse", "HEAD~1") == head
    assert team.git("status", "--porcelain") == ""


def test_an_undo_that_is_killed_at_any_step_is_finished_by_the_next(team):
    """Byte for byte, with one commit that git sees nothing beside, and nothing lost."""
    (team.folder / ".git/info/exclude").write_text(".mesh-*.tmp\n")  # as sharing has it: what a kill may leave
    then = _poisoned(team)
    team.mesh.close()
    pattern = team.home.with_name("pattern")
    shutil.copytree(team.home, pattern, symlinks=True)
    step = 1
    while killed_at(step, lambda: team.mesh.undo("claude", "2026-01-02")):
        team.mesh.undo("claude", "2026-01-02")
        assert team.files() == then and team.git("status", "--porcelain") == "", step
        assert team.git("rev-parse", "HEAD^{tree}") == team.git("rev-parse", "HEAD~2^{tree}"), step
        team.mesh.close()
        shutil.rmtree(team.home)
        shutil.copytree(pattern, team.home, symlinks=True)
        step += EVERY
    assert step > 60
