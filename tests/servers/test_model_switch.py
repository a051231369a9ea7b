"""A running server brings in the model that was chosen for its home, and answers all the while."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hashing import write

from mesh import reembed
from mesh.embedding import choice
from mesh.embedding.choice import Model

MESH = Path(sys.executable).parent / "mesh"
SHORT = Model("all-MiniLM-L6-v2", 64)


def use(*options):
    done = subprocess.run([MESH, "model", "use", SHORT.name, "--dimension", "64", *options], capture_output=True)
    assert done.returncode == 0, done.stderr


def models_until_the_new_one(server):
    """The model of each answer, every one of them complete, until the new model answers."""
    found, until = [""], time.monotonic() + 100
    while not found[-1].endswith("[:64]"):
        assert time.monotonic() < until, server.said
        answer = server.ask("POST", "/recall", {"query": "walrus number 5", "count": 1}).json()
        assert answer["results"][0]["content"] == "walrus number 5"
        assert answer["receipt"]["pending"] == 0
        found.append(answer["receipt"]["model"])
    return found[1:]


@pytest.mark.model
@pytest.mark.parametrize("options", [["--background"], []], ids=["in the background of the server", "at once"])
def test_a_running_server_goes_over_to_the_chosen_model(home, mesh_http, options):
    """Old answers first, then new ones, none in between by words only."""
    for i in range(100):
        write(home, f"shared/{i}.md", f"walrus number {i}")
    subprocess.run([MESH, "reindex"], check=True, capture_output=True)
    server = mesh_http()
    server.ask("POST", "/recall", {"query": "walrus"})
    use(*options)
    models = models_until_the_new_one(server)
    assert models == sorted(models) and len(set(models)) <= 2
    assert choice.read(home).used == SHORT


@pytest.mark.model
def test_a_server_that_nobody_asks_brings_it_in_as_well(home, mesh_http):
    """Within seconds of the choice, all namespaces."""
    write(home, "shared/a.md", "walrus"), write(home, "ops/b.md", "octopus")
    subprocess.run([MESH, "reindex"], check=True, capture_output=True)
    mesh_http()
    use("--background")
    until = time.monotonic() + 60
    while choice.read(home).used != SHORT:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert {one.key[-5:]: one.memories for one in reembed.held(home)[0]}["[:64]"] == 2
