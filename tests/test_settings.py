"""What the environment says, and what it must not be able to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh import Mesh
from mesh.errors import InvalidInput, VaultUnavailable
from mesh.settings import Settings

BARE = {"HOME": "/home/user"}


def settings(**variables):
    return Settings.from_environment(BARE | variables)


def test_an_empty_environment_gives_the_defaults():
    """`~/.mesh`, the namespace "shared", no model named, the network allowed."""
    found = settings()
    assert (found.home, found.namespace, found.agent) == (Path("/home/user/.mesh"), "shared", "agent")
    assert (found.model, found.model_dimension, found.device, found.model_path) == ("", "", "", None)
    assert (found.offline, found.color) == (False, True)


@pytest.mark.parametrize("empty", ["", " ", "\t\n"])
@pytest.mark.parametrize(
    "name",
    [
        *("MESH_HOME", "MESH_DIR", "MESH_NAMESPACE", "MESH_AGENT_ID", "NO_COLOR"),
        *("MESH_MODEL", "MESH_MODEL_DIMENSION", "MESH_DEVICE"),
    ],
)
def test_an_empty_variable_is_unset(name, empty):
    """Above all, an empty `MESH_HOME` never means the current folder."""
    assert settings(**{name: empty}) == settings()


def test_mesh_home_goes_before_mesh_dir():
    """Both name the home; the newer name wins."""
    assert settings(MESH_DIR="/b").home == Path("/b")
    assert settings(MESH_HOME="/a", MESH_DIR="/b").home == Path("/a")


def test_a_home_is_absolute(monkeypatch, tmp_path):
    """A later change of the current folder does not move it."""
    monkeypatch.chdir(tmp_path)
    assert settings(MESH_HOME="here").home == tmp_path / "here"
    monkeypatch.setenv("HOME", "/home/user")
    assert settings(MESH_HOME="~/memories").home == Path("/home/user/memories")


@pytest.mark.parametrize(
    ("value", "offline"), [("1", True), ("yes", True), ("0", False), ("false", False), ("No", False)]
)
def test_offline_understands_no(value, offline):
    """`MESH_OFFLINE=0` does not mean offline."""
    assert settings(MESH_OFFLINE=value).offline is offline


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({}, "/home/user/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/x", "HF_HOME": "/h"}, "/h/hub"),
        ({"HF_HOME": "/h", "HF_HUB_CACHE": "/c"}, "/c"),
    ],
)
def test_the_hub_cache_is_where_its_client_keeps_it(variables, folder):
    """The same variables in the same order as the model hub's own client."""
    assert settings(**variables).hub_cache == Path(folder)


def test_visual_goes_before_editor():
    """As in every other program."""
    assert settings(EDITOR="ed").editor == "ed"
    assert settings(EDITOR="ed", VISUAL="code --wait").editor == "code --wait"


def test_an_empty_home_is_refused():
    """A program that hands in nothing gets an error, not the current folder."""
    with pytest.raises(InvalidInput, match="home"):
        Mesh(home="")


@pytest.mark.usefixtures("without_model")
def test_the_tests_cannot_reach_the_users_home():
    """Without a chosen home, whatever is to be stored fails and says why, and there is nothing to be read."""
    with pytest.raises(VaultUnavailable, match="UNCHOSEN-HOME"):
        Mesh().learn("This must not be stored anywhere")
    with pytest.raises(VaultUnavailable, match="UNCHOSEN-HOME"):
        Mesh(home=Settings.from_environment({"HOME": str(Path.home())}).home).learn("Nor this")
    assert Mesh().count() == 0
