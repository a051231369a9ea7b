"""Hostile remotes through a whole sync: the vault stays as it is but for what may come in, and the reason is told."""

from __future__ import annotations

import os
import re

import pytest
from clones import git
from hashing import bytes_below
from hostile import CASES, LAMP, Forge, build

import mesh as library
from mesh import Mesh
from mesh.errors import MeshError

pytestmark = pytest.mark.usefixtures("without_model")
SOME = list(CASES)[:: int(os.environ.get("MESH_HOSTILE_SYNCS", "9"))]


@pytest.fixture(scope="module")
def forge(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forge")
    made = Forge(folder / "forge.git", folder / "CANARY")
    build(made)
    return made


@pytest.mark.parametrize("name", SOME)
def test_a_hostile_remote_is_synced_without_harm(forge, tmp_path, name):
    """Nothing runs, nothing is written but honest memories, ours stays, and a line says why."""
    case, home = CASES[name], tmp_path / "home"
    (tmp_path / "elsewhere.txt").write_text("untouched")
    with Mesh("notes", "ann", home) as mesh:
        mesh.learn("The door is green")
        library.share_namespace("notes", home=home)
        before = bytes_below(home)
        git(home / "notes", "config", "remote.origin.url", str(forge.path))
        git(home / "notes", "config", "mesh.branch", name)
        git(home / "notes", "branch", "--quiet", "-m", name)
        hindered = ""
        try:
            report = mesh.sync(accept=["unrelated"])
        except MeshError as error:
            hindered = str(error)
    after = bytes_below(home)
    assert not forge.canary.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere.txt", "home"]
    assert before.items() <= after.items()
    new = {path: data for path, data in after.items() if path not in before}
    if case.fetch or case.refused:
        assert re.search(case.fetch or case.refused, hindered) and not new
    else:
        assert not hindered
        told = {one["path"]: one["cause"] for one in report["left_out"]}
        assert all(re.search(cause, told[path]) for path, cause in case.left_out.items())
        assert set(new) <= {f"notes/{path}" for path in report["new"]}
        assert (new.get("notes/lamp.md") == LAMP) == case.honest
