"""Servers sync what is shared, if they are asked to."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from mesh_servers.meshes import Meshes

import mesh as library
from mesh.settings import Settings
from mesh.sharing.turns import syncer_of
from tests.keeping import until

pytestmark = pytest.mark.usefixtures("without_model")


@pytest.fixture
def shared(home, tmp_path):
    """The namespace `notes`, and a home of somebody else who has it."""
    remote = tmp_path / "notes.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", remote], check=True)
    with library.Mesh("notes", "ann", home) as mesh:
        mesh.learn("The lamp is lit")
    library.share_namespace("notes", str(remote), home=home)
    library.clone_namespace(str(remote), "notes", home=tmp_path / "bob")
    return tmp_path / "bob"


def test_a_server_that_is_asked_to_syncs(home, shared, caplog):
    """What others learn is there, and what is learned here goes out; a trouble is said, without what it quotes."""
    meshes = Meshes(replace(Settings.from_environment(), sync_every="1s"))
    try:
        meshes.warm_up()
        assert until(lambda: syncer_of(home, "notes")).every_seconds == 1
        with library.Mesh("notes", "bob", shared) as bob:
            bob.learn("The door is green")
            bob.sync()
        until(lambda: "The door is green" in [row["content"] for row in meshes.mesh("notes").inspect()])
        (shared.parent / "notes.git").rename(shared.parent / "away.git")
        until(lambda: "notes: not synced (git_failed); mesh status says why" in caplog.text)
    finally:
        meshes.close()
    assert syncer_of(home, "notes") is None


def test_unless_it_is_asked_to_a_server_syncs_nothing(home, shared):
    """It uses no network by itself."""
    meshes = Meshes(Settings.from_environment())
    meshes.warm_up()
    assert meshes._syncs is None and syncer_of(home, "notes") is None
    meshes.close()


@pytest.mark.parametrize("program", ["mesh-http", "mesh-server"])
def test_how_often_is_checked_before_anything_is_served(home, program):
    """One line, and exit code 2."""
    command = [Path(sys.executable).parent / program]
    env = os.environ | {"MESH_SYNC_EVERY": "often"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and "MESH_SYNC_EVERY: 'often' is not from 1s to 24h" in done.stderr
