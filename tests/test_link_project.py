"""A namespace that is a folder of a project's repository: what is committed there, and what its history tells."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mesh import Mesh, link_namespace, share_namespace, shared_namespaces
from mesh.errors import GitFailed, InvalidInput, NotFound, VaultUnavailable

pytestmark = [
    pytest.mark.usefixtures("without_model"),
    pytest.mark.skipif(os.name == "nt", reason="there a folder cannot be linked safely"),
]
TOKEN = "ghp_" + "".join("A1b2C3d4E5f6G7h8I9j0"[n % 20] for n in (3, 7, 1, 12, 9, 4, 0, 17, 2, 8, 11, 6) * 3)


@pytest.fixture(autouse=True)
def _person(monkeypatch, tmp_path):
    """Who works here, whatever the machine says."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = Pat\n\temail = pat@example.org\n")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def commit(project: Path, path: str, text: str) -> None:
    """As a person does it."""
    (project / path).parent.mkdir(parents=True, exist_ok=True)
    (project / path).write_text(text)
    git(project, "add", path)
    git(project, "commit", "--quiet", "-m", f"change {path}", "--", path)


@pytest.fixture
def project(tmp_path) -> Path:
    folder = tmp_path / "app"
    (folder / "docs" / "memory").mkdir(parents=True)
    git(folder, "init", "--quiet", "-b", "main")
    commit(folder, "src/code.py", "print(1)\n")
    return folder


@pytest.fixture
def app(home, project):
    link_namespace(project / "docs" / "memory")
    with Mesh("app", "ann", home) as opened:
        yield opened


def changed(project: Path) -> list[str]:
    """What git sees changed, staged or not tracked."""
    return git(project, "status", "--porcelain", "--untracked-files=all").splitlines()


def commits(project: Path) -> list[str]:
    return git(project, "log", "--format=%an: %s").splitlines()


# --- committing ------------------------------------------------------------------------------------------------------


def test_what_was_learned_is_committed_and_nothing_else(app, project):
    """One commit for each author; edits of the project, staged or not, stay as they are."""
    app.learn("The lamp is lit")
    app.acting_as("claude").learn("The door is green")
    app.learn("The key is under the stone", local_only=True)
    (project / "src" / "code.py").write_text("print(2)\n")
    (project / "docs" / "index.md").write_text("# Docs\n")
    (project / "docs" / "memory" / "plan.png").write_bytes(b"no memory")
    (project / "staged.txt").write_text("soon\n")
    git(project, "add", "staged.txt")
    row = app.sync()
    assert commits(project)[:2] == ["claude: learn: The door is green", "ann: learn: The lamp is lit"]
    assert changed(project) == [" M src/code.py", "A  staged.txt", "?? docs/index.md", "?? docs/memory/plan.png"]
    assert len(row["committed"]) == 2 and row["project"] == str(project) and not row["remote"]
    assert git(project, "for-each-ref", "--format=%(refname)").split() == ["refs/heads/main"]
    assert app.sync()["committed"] == [] and len(commits(project)) == 3


def test_edits_and_deletions_are_committed_too(app, project):
    """And a file that a person added by hand, also where its very bytes are staged."""
    row = app.learn("The lamp is lit")
    other = app.learn("The door is green")
    app.sync()
    app.update(row["memory_id"], "The lamp is out")
    app.forget(other["memory_id"])
    (project / "docs" / "memory" / "by-hand.md").write_text("Deploy on Fridays\n")
    git(project, "add", "docs/memory/by-hand.md")
    assert len(app.sync()["committed"]) == 3 and changed(project) == []
    assert git(project, "show", "--format=", "--name-only", "HEAD~1..HEAD").split()


def test_nothing_is_fetched_and_nothing_pushed(app, project, tmp_path):
    """That is the project's own work."""
    git(tmp_path, "clone", "--quiet", "--bare", str(project), "remote.git")
    git(project, "remote", "add", "origin", str(tmp_path / "remote.git"))
    git(project, "fetch", "--quiet")
    before = git(tmp_path / "remote.git", "rev-parse", "main")
    app.learn("The lamp is lit")
    assert app.sync()["pushed"] == []
    assert git(tmp_path / "remote.git", "rev-parse", "main") == before == git(project, "rev-parse", "origin/main")


def test_what_must_not_leave_is_not_committed(app, project):
    """A secret, what says local_only, what the project ignores, another version that is staged: each is named."""
    row = app.learn("The lamp is lit")
    app.sync()
    before = git(project, "rev-parse", "HEAD")
    folder = project / "docs" / "memory"
    (folder / "token.md").write_text(f"The token is {TOKEN}\n")
    (folder / "own.md").write_text("---\nlocal_only: true\n---\nMine\n")
    (folder / "drafts").mkdir()
    (folder / "drafts" / "one.md").write_text("A draft\n")
    (project / ".git" / "info" / "exclude").write_text("drafts/\n")
    (folder / Path(row["path"]).name).write_text("staged\n")
    git(project, "add", "docs/memory/" + Path(row["path"]).name)
    (folder / Path(row["path"]).name).write_text("and changed again\n")
    back = {one["path"]: one["cause"] for one in app.sync()["kept_back"]}
    assert "secret" in back["token.md"] and "local_only" in back["own.md"] and "ignores it" in back["drafts/one.md"]
    assert "staged another version" in back[Path(row["path"]).name]
    assert git(project, "rev-parse", "HEAD") == before


def test_line_ends_that_git_changes_are_left_to_git(app, project):
    """What only differs in them is no change."""
    folder = project / "docs" / "memory"
    commit(project, ".gitattributes", "*.md text\n")
    commit(project, "docs/memory/old.md", "One\nTwo\n")
    (folder / "old.md").write_bytes(b"One\r\nTwo\r\n")
    (folder / "new.md").write_bytes(b"Three\r\n")
    (folder / "plain.md").write_bytes(b"Four\n")
    row = app.sync()
    assert row["committed"] == ["plain.md"]
    assert [(one["path"], ".gitattributes" in one["cause"]) for one in row["kept_back"]] == [("new.md", True)]


def test_what_a_sparse_checkout_leaves_out_is_not_deleted(app, project):
    """Nobody deleted it."""
    commit(project, "docs/memory/old/note.md", "An old note\n")
    app.learn("The lamp is lit")
    git(project, "sparse-checkout", "set", "--no-cone", "/*", "!/docs/memory/old/")
    assert not (project / "docs" / "memory" / "old").exists()
    assert len(app.sync()["committed"]) == 1
    assert "docs/memory/old/note.md" in git(project, "ls-tree", "-r", "--name-only", "HEAD")


def test_it_waits_for_nobodys_merge_and_needs_a_branch(app, project):
    """A rebase under way and a detached HEAD are refused, with nothing done."""
    app.learn("The lamp is lit")
    (project / ".git" / "rebase-merge").mkdir()
    with pytest.raises(GitFailed, match="a rebase is under way"):
        app.sync()
    (project / ".git" / "rebase-merge").rmdir()
    git(project, "checkout", "--quiet", "--detach")
    with pytest.raises(GitFailed, match="no branch is checked out"):
        app.sync()
    assert len(commits(project)) == 1


def test_the_projects_hooks_and_programs_do_not_run(app, project, tmp_path):
    """Nor does it keep such a project from being asked: it is the person's own."""
    mark = tmp_path / "ran"
    for name in ("pre-commit", "post-commit", "reference-transaction"):
        hook = project / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
        hook.chmod(0o755)
    for key in ("core.fsmonitor", "filter.lfs.clean", "core.sshCommand", "diff.external"):
        git(project, "config", key, f"touch {mark}")
    app.learn("The lamp is lit")
    assert len(app.sync()["committed"]) == 1 and len(app.log()) == 1
    assert not mark.exists()


def test_a_linked_work_tree_is_committed_in_like_any(home, project, tmp_path):
    """There `.git` is a file."""
    git(project, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    (tmp_path / "side" / "memory").mkdir()
    link_namespace(tmp_path / "side" / "memory", "side")
    with Mesh("side", "ann", home) as mesh:
        mesh.learn("The lamp is lit")
        assert len(mesh.sync()["committed"]) == 1
        assert [row["happened"] for row in mesh.log()] == ["learned"]
    assert commits(tmp_path / "side")[0] == "ann: learn: The lamp is lit" and changed(tmp_path / "side") == []
    assert len(commits(project)) == 1


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_somebody_else_is_not_touched(app, project):
    """Its settings could run programs."""
    app.learn("The lamp is lit")
    os.chown(project / ".git", 12345, -1)
    for ask in (app.sync, app.log):
        with pytest.raises(GitFailed, match="belongs to somebody else"):
            ask()


def test_a_project_is_not_shared_a_second_time(app, project, tmp_path):
    """It says what to do instead; and it is synced only by its name."""
    with pytest.raises(InvalidInput, match="mesh sync app"):
        share_namespace("app", str(tmp_path / "remote.git"))
    assert shared_namespaces() == []


def test_a_repository_of_ones_own_that_is_linked_is_shared_as_any(home, tmp_path):
    """Also one that a folder outside of any repository becomes."""
    git(tmp_path, "init", "--quiet", "--bare", "-b", "main", "remote.git")
    (tmp_path / "notes").mkdir()
    link_namespace(tmp_path / "notes")
    with Mesh("notes", "ann", home) as mesh:
        mesh.learn("The lamp is lit")
        with pytest.raises(NotFound, match="is not shared"):
            mesh.sync()
        share_namespace("notes", str(tmp_path / "remote.git"))
        assert (tmp_path / "notes" / ".git").is_dir() and shared_namespaces() == ["notes"]
        mesh.learn("The door is green")
        assert len(mesh.sync()["pushed"]) == 1 and len(mesh.log()) == 2
        git(tmp_path, "clone", "--quiet", "remote.git", "other")
        (tmp_path / "other" / "new.md").write_text("From elsewhere\n")
        git(tmp_path / "other", "add", "new.md")
        git(tmp_path / "other", "commit", "--quiet", "-m", "new")
        git(tmp_path / "other", "push", "--quiet")
        assert mesh.sync()["new"] == ["new.md"] and (tmp_path / "notes" / "new.md").exists()


def test_a_repository_that_a_swapped_link_leads_to_is_not_asked(app, project, home, tmp_path):
    """Neither its history nor what it would run."""
    git(tmp_path, "init", "--quiet", "-b", "main", "other")
    commit(tmp_path / "other", "lamp.md", "Not ours\n")
    (home / "app").unlink()
    (home / "app").symlink_to(tmp_path / "other")
    for ask in (app.log, app.sync):
        with pytest.raises((GitFailed, VaultUnavailable)):
            ask()


# --- the history -----------------------------------------------------------------------------------------------------


@pytest.fixture
def taught(app, project):
    """Three commits that touch memories, among others that do not."""
    row = app.learn("The limit is 100 requests")
    app.sync()
    commit(project, "src/code.py", "print(2)\n")
    commit(project, "docs/guide.md", "The limit is told elsewhere\n")
    app.acting_as("claude").update(row["memory_id"], "The limit is 200 requests")
    app.sync()
    commit(project, "src/code.py", "print(3)\n")
    app.learn("The door is green")
    app.sync()
    return row["memory_id"]


def test_the_log_tells_of_memories_alone(app, project, taught):
    """Whatever else of the project was committed; receipts name its last commit."""
    assert [(row["happened"], row["path"].split("--")[0]) for row in app.log()] == [
        ("learned", "the-door-is-green"),
        ("updated", "the-limit-is-100-requests"),
        ("learned", "the-limit-is-100-requests"),
    ]
    head = git(project, "rev-parse", "HEAD").strip()
    assert app.refresh().git_head == head and app.recall("door")[0]["content"] == "The door is green"
    assert len(app.log(taught)) == 2


def test_what_came_by_a_merge_is_told_once(app, project, taught):
    """Also where the branch and what it was merged into both changed memories, and whatever `git log` is set to."""
    git(project, "config", "log.follow", "true")
    git(project, "switch", "--quiet", "-c", "side", "HEAD~3")
    commit(project, "docs/memory/side.md", "Learned on the side\n")
    commit(project, "docs/memory/undone.md", "Not for long\n")
    git(project, "rm", "--quiet", "docs/memory/undone.md")
    git(project, "commit", "--quiet", "-m", "gone again")
    git(project, "switch", "--quiet", "main")
    git(project, "merge", "--quiet", "--no-ff", "-m", "merge", "side")
    told = sorted((row["happened"], row["path"].split("--")[0]) for row in app.log())
    assert told == [
        ("forgot", "undone.md"),
        ("learned", "side.md"),
        ("learned", "the-door-is-green"),
        ("learned", "the-limit-is-100-requests"),
        ("learned", "undone.md"),
        ("updated", "the-limit-is-100-requests"),
    ]
    assert (
        app.bisect("what was learned on the side?", "HEAD~4")["commit"] == git(project, "rev-parse", "side~2").strip()
    )


def test_a_namespace_is_what_it_was_at_a_commit(app, project, taught):
    """Of the project, and also one before there was any memory."""
    past = app.at("HEAD~3")
    assert [row["content"] for row in past.recall("limit")] == ["The limit is 100 requests"]
    assert past.get(taught)["content"] == "The limit is 100 requests"
    past.workspace.close()
    first = app.at(git(project, "rev-list", "--max-parents=0", "HEAD").strip())
    assert first.inspect(None) == []
    first.workspace.close()


def test_blame_diff_and_bisect_go_by_the_folder(app, project, taught):
    """Lines, what is not committed yet, and the commit that taught an answer."""
    text = next(row for row in app.blame(taught) if "200 requests" in row["text"])
    assert text["who"] == "ann" and text["commit"] == git(project, "rev-parse", "HEAD~2").strip()
    (project / "docs" / "memory" / "note.md").write_text("Not committed\n")
    assert [(row["happened"], row["path"]) for row in app.diff()] == [("learned", "note.md")]
    assert app.bisect("what is the limit?", "HEAD~4")["commit"] == git(project, "rev-parse", "HEAD~2").strip()


def test_undo_commits_only_what_it_changed(app, project, taught):
    """What is staged of the project stays staged."""
    (project / "staged.txt").write_text("soon\n")
    git(project, "add", "staged.txt")
    app.undo("ann", "1d")
    assert {row["content"] for row in app.inspect(None)} == set()
    assert changed(project) == ["A  staged.txt"]
    assert all(path.startswith("docs/memory/") for path in git(project, "show", "--format=", "--name-only").split())


def test_a_memory_below_a_hidden_folder_is_one(home, project):
    """What is hidden in the project need not be in the namespace: `.claude/memory` is a folder like any."""
    (project / ".claude" / "memory").mkdir(parents=True)
    link_namespace(project / ".claude" / "memory", "hidden")
    with Mesh("hidden", "ann", home) as mesh:
        mesh.learn("The lamp is lit")
        assert len(mesh.sync()["committed"]) == 1 and len(mesh.log()) == 1


def test_a_file_that_was_committed_broken_is_served_as_it_was_before(app, project):
    """Its history is in the project's repository, under the project's paths."""
    commit(project, "docs/memory/lamp.md", "---\nid: lamp-01\n---\nThe lamp is lit\n")
    commit(project, "docs/memory/lamp.md", "---\nid: [lamp\n---\nThe lamp is broken\n")
    (row,) = app.inspect()
    assert (row["content"], row["quarantined"]["path"]) == ("The lamp is lit", "app/lamp.md")
    git(project, "checkout", "--quiet", "-b", "side", "HEAD~1")
    commit(project, "docs/memory/lamp.md", "---\nid: lamp-01\n---\nThe lamp is green\n")
    subprocess.run(["git", "-C", str(project), "merge", "main"], capture_output=True)
    assert "<<<<<<<" in (project / "docs" / "memory" / "lamp.md").read_text()
    assert [row["content"] for row in app.inspect()] == ["The lamp is green"]
