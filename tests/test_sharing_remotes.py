"""Sync over every transport, and with remotes that go away, ask for a password, say nothing, or move all the time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess

import pytest
from clones import Clone, ann, git, joins, remote, settle  # noqa: F401
from git_servers import backend, daemon, through_ssh

import mesh as library
from mesh.errors import GitFailed, RemoteMoved
from mesh.git.running import Git

pytestmark = pytest.mark.usefixtures("without_model", "plain_network")
ROUNDS = int(os.environ.get("MESH_PUSHES", "2"))  # of each of two clones at once


@pytest.fixture
def plain_network(monkeypatch):
    """No proxy between these tests and loopback, and no settings of whoever runs them."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture
def http(tmp_path, ann):
    """Ann's remote, from now on over HTTP."""
    with backend(tmp_path) as server:
        git(ann.folder, "config", "remote.origin.url", server.url)
        yield server


def shared_over(url: str, tmp_path) -> None:
    """Share, clone, sync both ways, and settle a conflict of two."""
    first, second = Clone(tmp_path / "first"), tmp_path / "second"
    lamp = first.learn("The lamp is lit")
    library.share_namespace("notes", url, home=first.home)
    library.clone_namespace(url, "notes", home=second)
    other = Clone(second)
    first.mesh.update(lamp, "The lamp is broken")
    other.mesh.update(lamp, "The lamp is dark")
    other.learn("The door is green")
    settle(first, other, first)
    assert first.texts() == {"The lamp is broken", "The lamp is dark", "The door is green"}


@pytest.mark.parametrize("transport", ["file", "git", "http", "ssh"])
def test_two_clones_meet_over_every_transport(tmp_path, remote, monkeypatch, transport):
    """A file URL, git's daemon, git's own program behind HTTP, and what stands for ssh. A path: all other tests."""
    if transport == "file":
        shared_over(f"file://{remote}", tmp_path)
    elif transport == "ssh":
        shared_over(through_ssh(tmp_path, monkeypatch), tmp_path)
    else:
        with {"git": daemon, "http": backend}[transport](tmp_path) as server:
            shared_over(server.url, tmp_path)


def test_a_remote_that_is_killed_in_a_push_has_all_of_it_later(tmp_path, ann, remote):
    """With kill -9, when it has the objects and not the branch. It is told in a line; what was learned stays."""
    with daemon(tmp_path) as server:
        hook = remote / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\nkill -9 -$(cat {tmp_path}/daemon.pid)\n")
        hook.chmod(0o700)
        git(ann.folder, "config", "remote.origin.url", server.url)
        ann.learn("The door is green")
        with pytest.raises(GitFailed) as raised:
            ann.mesh.sync()
        assert "\n" not in str(raised.value) and server.process.wait(60) == -signal.SIGKILL
        with pytest.raises(GitFailed, match=r"git fetch: .* Check the network"):
            ann.mesh.sync()
        hook.unlink()
        server.stop()
        server.start()
        assert len(ann.sync()["pushed"]) == 1
    assert joins(ann, remote, "bob").texts() == ann.texts()


@pytest.mark.parametrize("received", [True, False])
def test_a_push_whose_answer_never_comes_is_not_made_twice(ann, http, remote, received):
    """The connection ends before the push is taken, or after it: the next sync finds out which."""
    ann.learn("The door is green")
    http.dropped_answers, http.before_push = int(received), lambda: received
    with pytest.raises(GitFailed) as raised:
        ann.mesh.sync()
    assert "\n" not in str(raised.value)
    http.before_push = lambda: True
    assert len(ann.sync()["pushed"]) == (0 if received else 1)
    assert git(remote, "rev-parse", "main") == git(ann.folder, "rev-parse", "HEAD")
    assert git(remote, "rev-list", "--count", "main").strip() == "3"


def test_a_remote_that_wants_a_password_is_told_in_one_line(ann, http):
    """Nobody is asked, and what was learned is committed here."""
    http.password = "hunter2"
    ann.learn("The door is green")
    with pytest.raises(GitFailed, match="Try it once with git itself") as raised:
        ann.mesh.sync()
    assert "\n" not in str(raised.value)
    assert "door" in git(ann.folder, "log", "-1", "--format=%s")
    http.password = ""
    assert len(ann.sync()["pushed"]) == 1


def test_a_remote_that_says_nothing_does_not_hold_a_sync_for_ever(ann, remote, monkeypatch):
    """It is given up, with what was learned committed here; the next sync goes on."""
    monkeypatch.setitem(Git.transfer.__kwdefaults__, "quiet_seconds", 0.5)
    ann.learn("The door is green")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        git(ann.folder, "config", "remote.origin.url", f"git://127.0.0.1:{silent.getsockname()[1]}/notes")
        with pytest.raises(GitFailed, match="the remote said nothing"):
            ann.mesh.sync()
    git(ann.folder, "config", "remote.origin.url", str(remote))
    monkeypatch.undo()
    assert len(ann.sync()["pushed"]) == 1


@pytest.mark.parametrize("times", [4, 5])
def test_a_remote_that_moves_before_each_push_is_followed_five_times(tmp_path, ann, http, remote, times):
    """Then it is told; nothing is lost, neither ours nor theirs."""
    git(tmp_path, "clone", "--quiet", str(remote), "other")
    moves: list[int] = []

    def somebody_pushes() -> bool:
        if len(moves) < times:
            moves.append(1)
            git(tmp_path / "other", "pull", "--quiet", "--rebase")
            (tmp_path / "other" / f"window-{len(moves)}.md").write_text(f"Window {len(moves)} is open\n")
            git(tmp_path / "other", "add", ".")
            git(tmp_path / "other", "commit", "--quiet", "-m", "A window")
            git(tmp_path / "other", "push", "--quiet")
        return True

    http.before_push = somebody_pushes
    ann.learn("The door is green")
    if times == 5:
        with pytest.raises(RemoteMoved, match="others push faster"):
            ann.mesh.sync()
    ann.sync()
    windows = {f"Window {number + 1} is open" for number in range(times)}
    assert ann.texts() == {"The lamp in the hall is lit", "The door is green"} | windows
    assert git(remote, "rev-parse", "main") == git(ann.folder, "rev-parse", "HEAD")


def test_two_clones_that_push_at_the_same_time_lose_nothing(ann, remote):
    """Again and again, each in a process of its own; whoever is told to sync again does."""
    bob = joins(ann, remote, "bob")
    children = [_learns_and_syncs(clone) for clone in (ann, bob)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    settle(ann, bob)
    expected = {f"{name} has learned {number}" for name in ("ann", "bob") for number in range(ROUNDS)}
    assert ann.texts() == expected | {"The lamp in the hall is lit"}
    said = subprocess.run(["git", "fsck", "--strict"], cwd=remote, capture_output=True, text=True, check=True)
    assert "error" not in said.stdout + said.stderr


def _learns_and_syncs(clone: Clone) -> int:
    clone.mesh.close()
    if child := os.fork():
        return child
    code = 1
    try:
        signal.alarm(600)
        for number in range(ROUNDS):
            clone.learn(f"{clone.home.name} has learned {number}")
            _synced(clone)
        code = 0
    finally:
        os._exit(code)


def _synced(clone: Clone) -> None:
    while True:
        try:
            clone.mesh.sync()
            return
        except RemoteMoved:
            continue  # as it says
