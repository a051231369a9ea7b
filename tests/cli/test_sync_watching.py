"""`mesh sync --watch`, `mesh watch --sync`, and what `mesh status` says of what is shared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from conftest import MESH

import mesh as library
from tests.cli.test_watching import Watching
from tests.keeping import until

pytestmark = [
    pytest.mark.usefixtures("without_model"),
    pytest.mark.skipif(sys.platform != "linux", reason="watching is relied upon on Linux only"),
    pytest.mark.cold("none of these verbs goes through a command server, but status"),
]


@pytest.fixture
def remote(home, tmp_path):
    """What `notes` of `home` is shared with."""
    folder = tmp_path / "notes.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", folder], check=True)
    with library.Mesh("notes", "ann", home) as mesh:
        mesh.learn("The lamp is lit")
    library.share_namespace("notes", str(folder), home=home)
    return folder


def from_bob(remote, text):
    """Somebody else learns something, and syncs."""
    home = remote.with_name("bob")
    if not home.exists():
        library.clone_namespace(str(remote), "notes", home=home)
    with library.Mesh("notes", "bob", home) as mesh:
        mesh.learn(text)
        mesh.sync()


@pytest.mark.parametrize("verb", [("watch", "--sync"), ("sync", "--watch"), ("sync", "notes", "--watch")])
def test_what_others_learn_comes_in_and_is_told(home, remote, verb):
    """A line as of `mesh sync`, beside those of what changed; and a word on who syncs what."""
    output = home.parent / "output"
    with output.open("wb") as file:
        process = subprocess.Popen([MESH, *verb, "--every", "1s"], stdout=file, stderr=subprocess.PIPE, text=True)
    try:
        assert next(line for line in process.stderr if "syncing" in line) == "mesh: syncing notes every 1 s\n"
        from_bob(remote, "The door is green")
        until(lambda: "notes\treceived 1: 1 new\n" in output.read_text())
        until(lambda: "The door is green" in output.read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=60)[1]
    assert process.returncode == 0 and "error" not in rest.lower()


def test_as_json_a_sync_is_a_line_among_the_changes(home, remote):
    """`happened` says which is which."""
    with Watching(home, "--sync", "--every", "1s", "--json") as watching:
        from_bob(remote, "The door is green")
        rows = until(
            lambda: [row for row in map(json.loads, watching.lines()) if row["happened"] == "synced"],
        )
        assert rows[0]["namespace"] == "notes" and len(rows[0]["new"]) == 1 and rows[0]["time"].endswith("Z")
        remote.rename(remote.with_name("away.git"))
        rows = until(lambda: [row for row in map(json.loads, watching.lines()) if row["happened"] == "not synced"])
        assert rows[0]["error"] == "git_failed"
        assert watching.end() == 0


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["watch", "--every", "5m"], "Add --sync"),
        (["sync", "--every", "5m"], "Add --watch"),
        (["watch", "--sync", "--every", "5"], "30s, 5m or 1h"),
        (["watch", "--sync", "--every", "0s"], "from 1s"),
        (["watch", "--sync", "--stop"], "Leave them out"),
        (["sync", "--watch", "--accept", "gone"], "Leave out --watch"),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_refused(run, remote, arguments, word):
    """In one line, before anything is begun."""
    ran = run(*arguments, prefix=("timeout", "100"))
    assert ran.code == 2 and word in ran.said


def test_a_namespace_that_is_not_shared_is_not_waited_for(home, run, remote):
    """Nor one that is not there."""
    ran = run("sync", "nots", "--watch", prefix=("timeout", "100"))
    assert ran.code == 1 and "'notes'" in ran.said
    with library.Mesh("zoo", home=home) as mesh:
        mesh.learn("A heron stands")
    ran = run("sync", "zoo", "--watch", prefix=("timeout", "100"))
    assert ran.code == 1 and "not shared" in ran.said


def test_in_the_background_it_syncs_if_asked_to(home, run, remote):
    """What it did is in its log. One that does not sync is not taken for one that does."""
    try:
        assert run("watch", "--background").code == 0
        ran = run("watch", "--background", "--sync")
        assert ran.code == 2 and "does not sync" in ran.err and "--stop" in ran.err
        assert run("watch", "--stop").code == 0
        assert run("watch", "--background", "--sync", "--every", "1s").code == 0
        assert run("watch", "--status", "--json").json()["background"]["sync_every"] == 1
        from_bob(remote, "The door is green")
        until(lambda: "notes\treceived 1" in (home / ".cache/_watch.log").read_text())
        (row,) = run("status", "--json").json()["shared"]
        assert row["synced_by"]["every_seconds"] == 1
        assert "every 1 s by process" in run("status").out
    finally:
        run("watch", "--stop")


def test_the_environment_says_how_often(home, run, remote):
    """`MESH_SYNC_EVERY` is as `--sync` to whatever watches; what it says must be a time."""
    ran = run("watch", prefix=("timeout", "100"), env={"MESH_SYNC_EVERY": "often"})
    assert ran.code == 2 and ran.said.startswith("mesh: MESH_SYNC_EVERY: ")


def test_nothing_asks_on_the_terminal_for_a_password(run, terminal, remote, tmp_path):
    """Neither git nor ssh has the terminal that `mesh sync` runs on; it fails, and says what to do."""
    tried = tmp_path / "tried"
    script = tmp_path / "ssh"
    script.write_text(
        f'#!/bin/sh\nif (: </dev/tty) 2>/dev/null; then echo asks; else echo cannot; fi >"{tried}"\n'
        f'echo "$GIT_TERMINAL_PROMPT $SSH_ASKPASS_REQUIRE" >>"{tried}"\n'
        'echo "Permission denied (publickey)." >&2\nexit 255\n'
    )
    script.chmod(0o755)
    folder = os.path.join(os.environ["MESH_HOME"], "notes")
    subprocess.run(["git", "-C", folder, "remote", "set-url", "origin", "ssh://host.invalid/notes.git"], check=True)
    session = terminal("sync", env={"GIT_SSH_COMMAND": str(script)})
    assert session.code == 1 and "Try it once with git itself" in session.plain
    assert tried.read_text() == "cannot\n0 never\n"


def test_status_has_a_line_for_each_shared_namespace(run, home, remote):
    """What waits, in words; what went wrong, until it is over."""
    said = run("status").out
    assert f"git         notes  main -> {remote}, synced " in said
    with library.Mesh("notes", "ann", home) as mesh:
        mesh.learn("The window is open")
    assert "            1 change to commit\n" in run("status").out
    remote.rename(remote.with_name("away.git"))
    assert run("sync").code == 1
    said = run("status").out
    assert "not synced" in said and "            1 commit to push (1 memory)\n" in said
    assert "            ! " in said and "does not appear to be a git repository" in said
