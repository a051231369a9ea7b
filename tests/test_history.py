"""The history of a namespace that is a git repository: read, asked and undone, on repositories that git itself made."""

from __future__ import annotations

import os
import subprocess

import pytest
from hashing import HashEmbedder, hashed

from mesh.errors import GitFailed, InvalidInput, NotFound, UnknownMemory
from mesh.history import at


class Team:
    """A namespace, and the person who commits to it with plain git, a day a commit from 2026-01-01 on."""

    def __init__(self, home, embedder=None):
        self.home, self.folder, self.day = home, home / "team", 0
        self.embedder = embedder or HashEmbedder()
        self.mesh = hashed(home, "team", "ann", self.embedder)
        self.folder.mkdir()
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "ann")
        self.git("config", "user.email", "ann@example.org")

    def git(self, *arguments, **env):
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, capture_output=True, text=True, check=False, env=os.environ | env
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, by="ann", message="work"):
        self.day += 1
        when = f"2026-01-{self.day:02}T12:00:00Z"
        self.git("add", "-A")
        self.git(
            *("commit", "-q", "--allow-empty", "-m", message, "--author", f"{by} <{by}@example.org>"),
            GIT_AUTHOR_DATE=when,
            GIT_COMMITTER_DATE=when,
        )
        return self.git("rev-parse", "HEAD")

    def write(self, name, text, memory_id="", agent=""):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        header = [f"id: {memory_id}"] * bool(memory_id) + [f"agent: {agent}"] * bool(agent)
        path.write_text("\n".join(["---", *header, "---", text, ""]) if header else f"{text}\n")
        return path

    def files(self):
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in self.folder.rglob("*.md")}

    def state(self):
        """What reading must leave alone: HEAD, the branch, the index, the work tree."""
        return self.git("rev-parse", "HEAD"), self.git("status", "--porcelain", "--branch"), self.files()


@pytest.fixture
def team(home):
    made = Team(home)
    yield made
    made.mesh.close()


def happened(rows):
    return [(row["happened"], row["id"], row["who"]) for row in rows]


# --- log, diff, blame ------------------------------------------------------------------------------------------------


def test_the_log_follows_a_memory_over_its_names(team):
    """Learned, updated, moved, forgotten: each is one line, and the memory is the same one by its id."""
    file = team.write("a.md", "The lamp is lit", "aaaa1111", "claude")
    team.commit("claude")
    team.write("a.md", "The lamp is out", "aaaa1111", "claude")
    team.commit("bob")
    (team.folder / "deep").mkdir()
    file.rename(team.folder / "deep" / "b.md")
    team.commit()
    (team.folder / "deep" / "b.md").unlink()
    team.commit()
    expected = [
        ("forgot", "aaaa1111", "ann"),
        ("moved", "aaaa1111", "ann"),
        ("updated", "aaaa1111", "bob"),
        ("learned", "aaaa1111", "claude"),
    ]
    assert happened(team.mesh.log()) == expected
    assert happened(team.mesh.log("aaaa")) == happened(team.mesh.log("deep/b.md")) == expected
    assert team.mesh.log()[1]["was"] == "a.md"


def test_a_file_without_an_id_is_followed_where_it_only_moved(team):
    """Its id is made of its path, so it is another one afterwards; its bytes say that it is the same memory."""
    file = team.write("a.md", "The lamp is lit")
    team.commit()
    file.rename(team.folder / "b.md")
    team.commit()
    assert [row["happened"] for row in team.mesh.log("b.md")] == ["moved", "learned"]


def test_the_log_is_of_an_agent_and_of_a_time(team):
    """Who committed what another wrote did not write it; from a time on means that moment and later."""
    team.write("a.md", "one", "aaaa1111", "claude")
    team.commit("ann")
    team.write("b.md", "two", "bbbb1111", "bob")
    team.commit("bob")
    assert [row["id"] for row in team.mesh.log(source_agent="claude")] == ["aaaa1111"]
    assert [row["id"] for row in team.mesh.log(since="2026-01-02")] == ["bbbb1111"]
    assert [row["id"] for row in team.mesh.log(until="2026-01-02")] == ["aaaa1111"]
    assert [row["id"] for row in team.mesh.log(limit=1)] == ["bbbb1111"]


def test_a_merge_says_nothing_twice(team):
    """What was merged from a branch stands in the log once, where it was done."""
    team.write("a.md", "one", "aaaa1111")
    team.commit()
    team.git("checkout", "-q", "-b", "side")
    team.write("b.md", "two", "bbbb1111")
    team.commit("bob")
    team.git("checkout", "-q", "main")
    team.write("c.md", "three", "cccc1111")
    team.commit()
    team.git("merge", "-q", "--no-edit", "side")
    assert sorted(row["id"] for row in team.mesh.log()) == ["aaaa1111", "bbbb1111", "cccc1111"]


def test_diff_tells_of_memories_between_commits_and_since_the_last(team):
    """What changed in the text and in the keys; a moved memory is one that moved."""
    first = team.write("a.md", "The lamp is lit", "aaaa1111")
    team.write("b.md", "gone soon", "bbbb1111")
    old = team.commit()
    first.rename(team.folder / "c.md")
    team.write("c.md", "The lamp is out", "aaaa1111", "claude")
    (team.folder / "b.md").unlink()
    new = team.commit()
    rows = {row["id"]: row for row in team.mesh.diff(old, new)}
    assert {key: row["happened"] for key, row in rows.items()} == {"aaaa1111": "updated", "bbbb1111": "forgot"}
    assert (rows["aaaa1111"]["was"], rows["aaaa1111"]["path"]) == ("a.md", "c.md")
    assert rows["aaaa1111"]["fields"] == {"agent": ["", "claude"]}
    assert rows["aaaa1111"]["content_after"] == "The lamp is out"
    assert team.mesh.diff() == []
    team.write("d.md", "new", "dddd1111")
    team.mesh.learn("a secret of this machine", local_only=True)
    assert [(row["happened"], row["id"]) for row in team.mesh.diff()] == [("learned", "dddd1111")]


def test_blame_names_who_wrote_each_line_also_after_a_move(team):
    """A line that is not committed yet is nobody's."""
    team.write("a.md", "one\ntwo", "aaaa1111", "claude")
    first = team.commit("ann")
    file = team.write("a.md", "one\nzwei", "aaaa1111", "claude")
    second = team.commit("bob")
    file.rename(team.folder / "b.md")
    (team.folder / "b.md").write_text((team.folder / "b.md").read_text() + "three\n")
    lines = {row["text"]: (row["who"], row["commit"]) for row in team.mesh.blame("aaaa")}
    assert lines["one"] == ("claude", first)
    assert lines["zwei"] == ("bob", second)
    assert lines["three"] == ("", None)


# --- at --------------------------------------------------------------------------------------------------------------


def test_recall_at_a_commit_ranks_as_recall_did_then(team):
    """The same hits with the same scores, though memories were changed, moved, forgotten and learned since."""
    for number in range(30):
        team.write(f"{number}.md", f"lamp number {number} is in room {number % 7}", f"aaaa{number:04}")
    old = team.commit()
    team.mesh.reindex()
    then = list(team.mesh.recall("lamp in room 3", 8))
    for number in range(10):
        team.write(f"{number}.md", f"lamp {number} was sold to room 3", f"aaaa{number:04}")
    (team.folder / "17.md").unlink()
    (team.folder / "24.md").rename(team.folder / "x.md")
    team.write("new.md", "lamp in room 3", "bbbb0001")
    team.commit()
    team.mesh.reindex()
    made, state = len(team.embedder.embedded), team.state()
    for _ in range(2):
        with team.mesh.at(old) as past:
            assert list(past.recall("lamp in room 3", 8)) == then
            assert past.recall("lamp", 1).receipt.pending == 0
    assert len(team.embedder.embedded) == made + 4  # the questions alone: texts of then have their vectors still
    assert team.state() == state


def test_a_text_without_a_vector_is_found_by_its_words_until_it_has_one(team):
    """The history holds a text that was never embedded here; once it is, recall at that commit has it as well."""
    team.write("a.md", "The lamp is lit", "aaaa1111")
    old = team.commit()
    team.write("a.md", "The lamp is out", "aaaa1111")
    team.commit()
    team.mesh.reindex()
    with team.mesh.at(old) as past:
        hits = past.recall("lamp lit")
        assert [(row["content"], row["similarity"]) for row in hits] == [("The lamp is lit", None)]
        assert hits.receipt.pending == 1
    team.write("b.md", "The lamp is lit", "bbbb1111")
    team.mesh.reindex()
    with team.mesh.at(old) as past:
        assert past.recall("lamp lit")[0]["similarity"] > 0.5


def test_a_memory_at_a_commit_is_its_file_byte_for_byte(team):
    """Line ends, byte order mark and a file that cannot be understood: what was committed is what is given."""
    file = team.write("a.md", "x", "aaaa1111")
    file.write_bytes(b"\xef\xbb\xbf---\r\nid: aaaa1111\r\n---\r\nThe lamp\r\n")
    broken = b"<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n"
    (team.folder / "broken.md").write_bytes(broken)
    old, then = team.commit(), file.read_bytes()
    file.unlink()
    team.commit()
    with team.mesh.at(old) as past:
        assert past.raw("aaaa") == then
        assert past.raw("broken.md") == broken
        assert past.get("aaaa")["content"] == "The lamp"
        assert len(past.problems()) == 1
    with pytest.raises(UnknownMemory):
        team.mesh.get("aaaa")


def test_a_day_means_its_end_and_a_time_itself(team):
    """The commit of noon counts for its day, and not for that morning."""
    team.write("a.md", "one", "aaaa1111")
    team.commit()
    team.write("a.md", "two", "aaaa1111")
    team.commit()
    for said, content in (
        ("2026-01-01", "one"),
        ("2026-01-02", "two"),
        ("2026-01-02T11:00Z", "one"),
        ("HEAD~1", "one"),
    ):
        with team.mesh.at(said) as past:
            assert past.get("aaaa")["content"] == content


def test_the_past_cannot_be_changed(team):
    """Every verb that writes is refused, and writes nothing."""
    team.write("a.md", "one", "aaaa1111")
    team.commit()
    state = team.state()
    with team.mesh.at("HEAD") as past:
        for write in (
            lambda: past.learn("x"),
            lambda: past.forget("aaaa"),
            lambda: past.update("aaaa", "y"),
            past.clear,
        ):
            with pytest.raises(InvalidInput, match="cannot be changed"):
                write()
    assert team.state() == state


def test_what_is_local_only_is_in_no_commit(team):
    """It is there now, and not in any past."""
    team.write("a.md", "The lamp is lit", "aaaa1111")
    team.commit()
    team.mesh.learn("The lamp of this machine", local_only=True)
    with team.mesh.at("HEAD") as past:
        assert [row["id"] for row in past.recall("lamp")] == [row["id"] for row in past.inspect()] == ["aaaa1111"]


def test_only_the_caches_of_the_latest_commits_are_kept(team, monkeypatch):
    """Those that nobody uses go, the least used first."""
    monkeypatch.setattr(at, "_IN_USE_SECONDS", -1.0)
    for number in range(at.KEPT + 3):
        team.write("a.md", f"number {number}", "aaaa1111")
        with team.mesh.at(team.commit()) as past:
            assert past.get("aaaa")["content"] == f"number {number}"
    assert len(list((team.home / ".cache" / "team" / "at").iterdir())) == at.KEPT


def test_a_damaged_cache_of_a_commit_is_made_again(team):
    """As any cache."""
    team.write("a.md", "The lamp is lit", "aaaa1111")
    team.commit()
    with team.mesh.at("HEAD") as past:
        past.recall("lamp")
        manifest = past.workspace.cache.folder / "manifest.db"
    manifest.write_bytes(b"no database" * 1000)
    with team.mesh.at("HEAD") as past:
        assert [row["id"] for row in past.recall("lamp lit")] == ["aaaa1111"]


def test_what_cannot_be_is_told_in_one_line(home, team):
    """No repository, no commit, no such revision, a time before the first commit, no such memory."""
    with pytest.raises(GitFailed, match="no commit yet"):
        team.mesh.log()
    team.write("a.md", "one", "aaaa1111")
    team.commit()
    with hashed(home, "plain") as plain:
        plain.learn("x")
        with pytest.raises(GitFailed, match="no history"):
            plain.log()
    for said in ("nonsense", "2025-12-31", "--all", "", "HEAD~7"):
        with pytest.raises(InvalidInput):
            team.mesh.at(said)
    with pytest.raises(NotFound):
        team.mesh.log("zzzz")


# --- bisect ----------------------------------------------------------------------------------------------------------


def test_bisect_names_the_commit_that_taught_the_answer(team):
    """Of many commits, the one whose memory is the first answer now; also what was the answer before."""
    team.write("a.md", "The rate limit is 100 requests", "aaaa1111")
    good, commits = team.commit(), []
    for number in range(6):
        team.write(f"n{number}.md", f"nothing of the kind {number}", f"cccc000{number}")
        if number == 3:
            team.write("b.md", "The rate limit is 500 requests by decree", "bbbb1111", "claude")
            (team.folder / "a.md").unlink()
        commits.append(team.commit("claude" if number == 3 else "ann"))
    found = team.mesh.bisect("rate limit requests", good)
    assert (found["commit"], found["memory"]["id"], found["author"]) == (commits[3], "bbbb1111", "claude")
    assert found["change"]["happened"] == "learned"
    assert found["instead_of"]["id"] == "aaaa1111"


def test_bisect_goes_into_what_was_merged(team):
    """The merge did not teach it: the commit on the branch did."""
    team.write("a.md", "The lamp is lit", "aaaa1111")
    good = team.commit()
    team.git("checkout", "-q", "-b", "side")
    team.write("x.md", "beside", "dddd1111")
    team.commit("bob")
    team.write("b.md", "The rate limit is 500 requests", "bbbb1111", "bob")
    wanted = team.commit("bob")
    team.write("y.md", "beside as well", "dddd2222")
    team.commit("bob")
    team.git("checkout", "-q", "main")
    team.write("c.md", "three", "cccc1111")
    team.commit()
    team.git("merge", "-q", "--no-edit", "side")
    team.write("z.md", "later", "eeee1111")
    team.commit()
    found = team.mesh.bisect("rate limit", good)
    assert (found["commit"], found["change"]["who"]) == (wanted, "bob")


def test_bisect_says_where_an_answer_became_first_though_it_was_not_touched(team):
    """What was the answer before was forgotten: that commit is named, and who wrote the text that is left."""
    team.write("a.md", "rate limit", "aaaa1111")
    wrote = team.write("b.md", "rate limit long ago in some other time", "bbbb1111", "bob") and team.commit("bob")
    (team.folder / "a.md").unlink()
    gone = team.commit()
    found = team.mesh.bisect("rate limit", wrote)
    assert (found["commit"], found["change"], found["wrote"]["commit"]) == (gone, None, wrote)
    assert [(one["happened"], one["id"]) for one in found["others"]] == [("forgot", "aaaa1111")]


def test_bisect_says_when_the_history_does_not_answer(team):
    """It was the answer already; it is in no commit; the start is no ancestor."""
    team.write("a.md", "The rate limit is 100", "aaaa1111")
    good = team.commit()
    team.write("b.md", "beside", "bbbb1111")
    team.commit()
    with pytest.raises(NotFound, match="already"):
        team.mesh.bisect("rate limit", good)
    team.write("a.md", "The rate limit is 200", "aaaa1111")
    with pytest.raises(NotFound, match="not the first of the last commit"):
        team.mesh.bisect("rate limit", good)
    team.git("checkout", "-q", "-b", "other", good)
    with pytest.raises(InvalidInput, match="not a commit before"):
        team.mesh.bisect("rate limit", "main")
