"""How things stand with what is shared, as `Mesh.status` tells it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from clones import TOKEN, Clone, ann, bob, git, remote, settle  # noqa: F401
from hashing import bytes_below

import mesh as library
from mesh.errors import MayNotLeave
from mesh.sharing import last_sync
from mesh.sharing.turns import Syncer, Turn

pytestmark = pytest.mark.usefixtures("without_model")


def state(clone: Clone) -> dict:
    (row,) = clone.mesh.status()["shared"]
    return row


def test_after_a_sync_nothing_waits(ann, remote):  # noqa: F811
    """And it is told when that was, and what it did."""
    row = state(ann)
    last = row.pop("last_sync")
    assert row == {
        "namespace": "notes",
        "problem": "",
        "branch": "main",
        "remote": str(remote),
        "unpushed_commits": 0,
        "unpushed_memories": 0,
        "uncommitted": 0,
        "kept_back": [],
        "conflicts": 0,
        "quarantined": 0,
        "hooks": True,
        "synced_by": None,
    }
    assert (last["error"], last["message"], last["pushed"], last["received"]) == ("", "", 1, 0)
    assert datetime.now(UTC) - datetime.fromisoformat(last["at"]) < timedelta(hours=1)


def test_what_waits_is_counted(ann):  # noqa: F811
    """Changes to commit, commits to push, and what stays here, with the reason."""
    ann.learn("The window is open")
    git(ann.folder, "add", ".")
    git(ann.folder, "commit", "-q", "-m", "by hand")
    ann.learn("The door is green")
    ann.mesh.forget(ann.lamp)
    (ann.folder / "own.md").write_text("---\nlocal_only: true\n---\nMine\n")
    row = state(ann)
    assert (row["unpushed_commits"], row["unpushed_memories"], row["uncommitted"]) == (1, 1, 2)
    assert [(one["path"], one["key"]) for one in row["kept_back"]] == [("own.md", "local_only")]


def test_conflicts_and_files_with_markers_are_counted(ann, bob):  # noqa: F811
    """Also a rival that was given another name, and markers that somebody committed."""
    ann.mesh.update(ann.lamp, "The lamp is broken")
    bob.mesh.update(ann.lamp, "The lamp is dark")
    settle(ann, bob)
    (rival,) = ann.mesh.conflicts()
    (ann.home / rival["rival_path"]).rename(ann.folder / "other.md")
    marked = "<<<<<<< ours\nThe door\n=======\nA door\n>>>>>>> theirs\n"
    (ann.folder / "door.md").write_text(marked)
    (ann.folder / "quoted.md").write_text("<<<<<<< is how a conflict begins\n")
    git(ann.folder, "add", ".")
    git(ann.folder, "commit", "-q", "-m", "by hand")
    assert len(ann.mesh.conflicts()) == 1
    assert (state(ann)["conflicts"], state(ann)["quarantined"]) == (1, 1)


def test_how_the_last_sync_failed_is_told_until_one_succeeds(ann):  # noqa: F811
    """With the error's code and its one line."""
    (ann.folder / "key.md").write_text(f"The token is {TOKEN}\n")
    git(ann.folder, "add", "key.md")
    git(ann.folder, "commit", "-q", "--no-verify", "-m", "oops")
    with pytest.raises(MayNotLeave) as refused:
        ann.mesh.sync()
    last = state(ann)["last_sync"]
    assert (last["error"], last["message"]) == ("may_not_leave", str(refused.value)) and TOKEN not in last["message"]
    git(ann.folder, "reset", "-q", "--hard", "HEAD^")
    ann.sync()
    assert state(ann)["last_sync"]["error"] == ""


def test_to_look_neither_writes_nor_asks_the_remote(ann, remote):  # noqa: F811
    """It is the same without a network."""
    ann.learn("The window is open")
    row, before = state(ann), bytes_below(ann.home / "notes")
    remote.rename(remote.with_name("away.git"))
    assert state(ann) == row and row["problem"] == ""
    assert bytes_below(ann.home / "notes") == before


def test_a_token_in_the_address_is_not_shown(ann):  # noqa: F811
    """Neither as a user's name, which is allowed, nor as a password, which is a problem."""
    git(ann.folder, "remote", "set-url", "origin", f"https://{TOKEN}@host.invalid/notes.git")
    assert state(ann)["remote"] == "https://host.invalid/notes.git"
    git(ann.folder, "remote", "set-url", "origin", f"https://ann:{TOKEN}@host.invalid/notes.git")
    row = state(ann)
    assert row["remote"] is None and "password" in row["problem"] and TOKEN not in str(row)


def test_what_is_in_the_way_is_said_and_the_rest_is_told(ann, tmp_path, monkeypatch):  # noqa: F811
    """A detached HEAD, a merge, a damaged repository, no git at all."""
    (ann.folder / ".git/MERGE_HEAD").write_text(git(ann.folder, "rev-parse", "HEAD"))
    assert "a merge is under way" in state(ann)["problem"] and state(ann)["branch"] == "main"
    (ann.folder / ".git/MERGE_HEAD").unlink()
    git(ann.folder, "checkout", "-q", "--detach")
    row = state(ann)
    assert "detached" in row["problem"] and row["branch"] is None and row["remote"] and row["last_sync"]
    (ann.folder / ".git/HEAD").write_text("nothing\n")
    row = state(ann)
    assert row["problem"] and row["last_sync"]["error"] == ""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no program git" in state(ann)["problem"] and ann.mesh.status()["memories"] == 1


def test_what_is_not_shared_costs_no_call_of_git(home, monkeypatch, tmp_path):
    """Here there is none to call."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with library.Mesh("notes", home=home) as mesh:
        mesh.learn("The lamp is lit")
        assert mesh.status()["shared"] == []


def test_a_record_that_cannot_be_understood_is_as_none(ann):  # noqa: F811
    """It may be deleted, cut off or of another version at any time; the next sync writes it anew."""
    path = ann.home / ".locks/sync/notes.json"
    for text in ("", '{"at": "2026', "[]", '{"of": "another version"}'):
        path.write_text(text)
        assert last_sync.read(ann.home, "notes") is None
    path.unlink()
    assert state(ann)["last_sync"] is None
    ann.sync()
    assert state(ann)["last_sync"] and path.stat().st_mode & 0o777 == 0o600


def test_whoever_syncs_on_an_interval_is_named(ann):  # noqa: F811
    """As long as it lives."""
    turn = Turn.take(ann.home, "notes", Syncer(os.getpid(), "a test", 300.0))
    assert state(ann)["synced_by"] == {"pid": os.getpid(), "program": "a test", "every_seconds": 300.0}
    turn.release()
    assert state(ann)["synced_by"] is None


def test_hooks_that_are_missing_are_told(ann):  # noqa: F811
    """Until the next sync puts them back; not if nobody wants them."""
    (ann.folder / ".git/hooks/pre-push").unlink()
    assert state(ann)["hooks"] is False
    ann.sync()
    assert state(ann)["hooks"] is True
    library.share_namespace("notes", hooks=False, home=ann.home)
    assert state(ann)["hooks"] is None
