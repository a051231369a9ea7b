"""Whatever people, agents and forges do, and whoever is killed: all clones come to the same, and nothing is lost.

By default a few histories. `MESH_SHARED_HISTORIES=300x30` runs 300 of 30 steps, with kills in system calls, too, where
there is strace; `MESH_FIRST_SEED=1000` begins with another seed.
"""

from __future__ import annotations

import os

import pytest
from shared_histories import run

pytestmark = pytest.mark.usefixtures("without_model")
HISTORIES, STEPS = map(int, os.environ.get("MESH_SHARED_HISTORIES", "3x16").split("x"))
FIRST = int(os.environ.get("MESH_FIRST_SEED", "1"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + HISTORIES))
def test_a_random_history_ends_with_the_same_everywhere_and_nothing_lost(tmp_path, seed):
    """Two or three clones, a plain one beside them; a last sync finds nothing to do."""
    run(tmp_path, seed, clones=2 + seed % 2, steps=STEPS, strace=HISTORIES > 10)
