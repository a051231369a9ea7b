"""`mesh log`, `diff`, `blame`, `bisect`, `undo`, and `--at`: what a person sees."""

from __future__ import annotations

import subprocess

import pytest


@pytest.fixture
def team(home, without_model):
    """Two days of a namespace: ann wrote a memory, claude changed it and learned another."""
    folder = home / "shared"
    folder.mkdir()

    def commit(day, who):
        at = f"2026-01-0{day}T12:00:00Z"
        env = {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at, "PATH": "/usr/bin:/bin:/usr/local/bin"}
        for words in (
            ["add", "-A"],
            ["-c", "user.name=ann", "-c", "user.email=a@b", "commit", "-qm", "work", f"--author={who} <a@b>"],
        ):
            subprocess.run(["git", *words], cwd=folder, env=env, check=True)

    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=folder, check=True)
    (folder / "a.md").write_text("---\nid: aaaa1111\n---\nThe rate limit is 100\n")
    commit(1, "ann")
    (folder / "a.md").write_text("---\nid: aaaa1111\n---\nThe rate limit is 500\n")
    (folder / "b.md").write_text("---\nid: bbbb1111\nagent: claude\n---\nThe lamp \x1b[31mis lit\n")
    commit(2, "claude")
    return folder


def test_the_log_is_one_line_a_change(run, team):
    """When, who, what, id, first words; nothing in them steers the terminal."""
    ran = run("log")
    assert ran.lines == [
        "2026-01-02 12:00:00  claude          updated  aaaa1111  The rate limit is 500",
        "2026-01-02 12:00:00  claude          learned  bbbb1111  The lamp \ufffd[31mis lit",
        "2026-01-01 12:00:00  ann             learned  aaaa1111  The rate limit is 100",
    ]
    assert len(run("log", "aaaa", "--json").lines) == 2
    assert len(run("log", "--agent", "ann").lines) == 1


def test_diff_and_blame_speak_of_memories(run, team):
    """The lines that differ; who wrote them."""
    assert run("diff", "HEAD~1", "HEAD").lines == [
        "updated aaaa1111  The rate limit is 500",
        "   - The rate limit is 100",
        "   + The rate limit is 500",
        "learned bbbb1111  The lamp \ufffd[31mis lit",
    ]
    assert run("diff").said == "mesh: nothing differs"
    assert [line.split()[3] for line in run("blame", "aaaa").lines] == ["ann", "ann", "ann", "claude"]


def test_recall_and_show_at_a_commit(run, team):
    """The answer of then, and the file byte for byte."""
    assert "The rate limit is 100" in run("recall", "rate limit", "--at", "2026-01-01").out
    assert run("recall", "rate limit", "--at", "HEAD~1", "--json").json()["results"][0]["id"] == "aaaa1111"
    assert run("show", "aaaa", "--at", "HEAD~1", "--raw").raw == b"---\nid: aaaa1111\n---\nThe rate limit is 100\n"
    assert run("show", "bbbb", "--at", "HEAD~1").code == 1


def test_recall_at_a_commit_explains_itself(run, team):
    """The receipt names the commit that was asked."""
    commit = subprocess.run(["git", "rev-parse", "HEAD~1"], cwd=team, capture_output=True, text=True, check=True)
    answer = run("recall", "rate limit", "--at", "HEAD~1", "--json").json()
    assert answer["receipt"]["git_head"] == commit.stdout.strip()
    assert "matched: rate, limit" in run("recall", "rate limit", "--at", "HEAD~1", "--explain").out


def test_bisect_says_which_commit_and_who(run, team):
    """And by its exit code, that the history does not answer."""
    ran = run("bisect", "rate", "limit", "--good", "HEAD~1")
    assert "it was updated there by claude" in ran.out and "2026-01-02T12:00:00Z" in ran.out
    refused = run("bisect", "rate limit", "--good", "HEAD")
    assert (refused.code, "already" in refused.err) == (1, True)
    assert run("bisect", "rate limit").code == 2


def test_undo_lists_first_and_then_does_it(run, team):
    """`--dry-run` changes nothing."""
    dry = run("undo", "--agent", "claude", "--since", "2026-01-02", "--dry-run")
    assert [line.split("\t")[:2] for line in dry.lines] == [["aaaa1111", "restored"], ["bbbb1111", "removed"]]
    assert (team / "b.md").exists()
    assert run("undo", "--agent", "claude", "--since", "2026-01-02").code == 0
    assert (team / "a.md").read_text().endswith("is 100\n") and not (team / "b.md").exists()
    assert run("log", "-n", "1").out.split()[3] in {"forgot", "updated"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["recall", "x", "--at", "nonsense"], 2),
        (["recall", "x", "--at", "2020-01-01"], 2),
        (["show", "aaaa", "--at=--all"], 2),
        (["show", "aaaa", "--at", "HEAD", "--path"], 2),
        (["log", "zzzz"], 1),
        (["blame", "zzzz"], 1),
        (["diff", "nonsense"], 2),
        (["undo", "--agent", "x", "--since", "whenever"], 2),
    ],
)
def test_a_mistake_is_one_line(run, team, words, code):
    """Place, cause, remedy."""
    ran = run(*words)
    assert ran.code == code and ran.said.startswith("mesh: ")


def test_without_a_repository_each_verb_says_so(run, home, without_model):
    """One line, exit code 1."""
    run("learn", "x")
    for words in (["log"], ["diff"], ["recall", "x", "--at", "HEAD"], ["bisect", "x", "--good", "HEAD"]):
        ran = run(*words)
        assert (ran.code, "no git repository" in ran.said) == (1, True)
