"""git that is at work in the namespace, or was killed there: who is waited for, and what is said."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
from clones import Clone, ann, bob, git, joins, remote, settle  # noqa: F401

from mesh.errors import GitFailed, RemoteMoved

pytestmark = pytest.mark.usefixtures("without_model")
EVERY = int(os.environ.get("MESH_SYNC_KILLS", "9"))  # 1: at every call of git
LOCKS = ["index", "HEAD", "packed-refs", "refs/heads/main", "refs/remotes/origin/main"]
OWN = ["refs/mesh/applying", "refs/mesh/held", "refs/mesh/seen/main", "refs/mesh/fetched/main"]


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("mesh.sharing.repository.PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr("mesh.sharing.syncing.PAUSES_SECONDS", (0, 0))


def lock(folder: Path, name: str, age_seconds: float = 0) -> Path:
    path = folder / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (time.time() - age_seconds,) * 2)
    return path


@pytest.mark.parametrize("name", LOCKS)
def test_what_a_persons_git_may_hold_is_never_removed(ann, bob, name, impatient):
    """However old it is. The error names the file, and when it is gone all goes on."""
    ann.learn("The door is green")
    path = lock(ann.folder / ".git", name, age_seconds=86_400)
    with pytest.raises(GitFailed, match="under way, or was killed") as error:
        ann.mesh.sync()
    assert str(path) in str(error.value) and len(str(error.value).splitlines()) == 1
    path.unlink()
    settle(ann, bob)
    assert "The door is green" in bob.texts()


@pytest.mark.parametrize("name", OWN)
def test_what_only_mesh_may_hold_is_removed_when_it_is_old(ann, name, impatient):
    """Of a git that was killed in an earlier sync. A young one may be that of a git that still runs."""
    ann.learn("The door is green")
    lock(ann.folder / ".git", name)
    with pytest.raises(GitFailed, match="under way, or was killed"):
        ann.mesh.sync()
    lock(ann.folder / ".git", name, age_seconds=60)
    assert ann.sync()["pushed"]


@pytest.mark.parametrize("name", [*LOCKS, "refs/mesh/applying"])
def test_a_git_command_that_ends_is_waited_for(ann, name):
    """A person's git holds such a file for a moment."""
    ann.learn("The door is green")
    path = lock(ann.folder / ".git", name)
    timer = threading.Timer(0.3, path.unlink)
    timer.start()
    assert ann.sync()["pushed"]
    timer.join()


def test_a_git_that_was_killed_leaves_a_file_that_is_named(ann, impatient):
    """A real one, which held the branch."""
    ann.learn("The door is green")
    head = git(ann.folder, "rev-parse", "HEAD").strip()
    holding = subprocess.Popen(
        ["git", "-C", str(ann.folder), "update-ref", "--stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holding.stdin and holding.stdout
    holding.stdin.write(f"start\nupdate refs/heads/main {head}\nprepare\n".encode())
    holding.stdin.flush()
    assert [holding.stdout.readline(), holding.stdout.readline()] == [b"start: ok\n", b"prepare: ok\n"]
    holding.kill()
    holding.communicate()
    left = sorted((ann.folder / ".git").rglob("*.lock"))
    assert left
    with pytest.raises(GitFailed, match=r"remove .*\.lock"):
        ann.mesh.sync()
    for path in left:
        path.unlink()
    assert ann.sync()["pushed"]


@pytest.mark.parametrize("name", ["refs/heads/main", "HEAD"])
def test_a_remote_that_is_held_is_said_to_be(ann, bob, remote, name, impatient):
    """And not that somebody else was quicker. What was to be pushed is pushed later."""
    ann.learn("The door is green")
    path = lock(remote, name)
    with pytest.raises(RemoteMoved, match="was killed while they did"):
        ann.mesh.sync()
    path.unlink()
    settle(ann, bob)
    assert "The door is green" in bob.texts()


SHIM = """#!/bin/sh
echo x >> {count}
if [ "$(wc -l < {count})" -eq {number} ]; then
    case "{when} $*" in
        *"cat-file --batch") [ {when} = after ] && exec {git} "$@" ;;  # it lives as long as it is asked
        after*) {git} "$@" > /dev/null ;;
    esac
    kill -9 $$
fi
exec {git} "$@"
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_git_may_be_killed_at_any_call_and_the_next_sync_puts_all_right(ann, bob, tmp_path, monkeypatch, when):
    """Before it did anything, or when it had done all and could not say so: what was learned arrives."""
    real, path, number, killed = shutil.which("git"), os.environ["PATH"], 1, 0
    learned = set()
    while True:
        text = f"Thing {number} is green"
        ann.learn(text)
        learned.add(text)
        count, shim = tmp_path / f"count{number}", tmp_path / f"bin{number}/git"
        shim.parent.mkdir()
        shim.write_text(SHIM.format(count=count, number=number, when=when, git=real))
        shim.chmod(0o755)
        monkeypatch.setenv("PATH", f"{shim.parent}:{path}")
        try:
            ann.mesh.sync()
        except GitFailed:
            killed += 1
        monkeypatch.setenv("PATH", path)
        settle(ann, bob)
        assert learned <= bob.texts(), number
        if len(count.read_text().splitlines()) < number:
            break
        number += EVERY
    assert killed
