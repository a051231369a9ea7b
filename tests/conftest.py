"""What every test stands on: a home of its own, and no way to reach the user's."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from mesh import Mesh

settings.register_profile("mesh", deadline=None)  # no test is about time, and the machines that run them are noisy
settings.load_profile("mesh")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script; commands would ignore it, too
    signal.signal(signal.SIGINT, signal.default_int_handler)

_NOTICE = "A test used a home that it did not choose. Take the fixture `home`, or hand in a folder of tmp_path.\n"


def pytest_addoption(parser):
    parser.addoption("--warm", action="store_true", help="tests/cli: have a command server run the commands")


@pytest.fixture(scope="session", autouse=True)
def _no_unchosen_home(tmp_path_factory):
    """Until a test chooses a home, the home is a file whose name and text say what is wrong."""
    notice = tmp_path_factory.getbasetemp() / "UNCHOSEN-HOME-take-the-fixture-home"
    notice.write_text(_NOTICE)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("MESH_")]:
            patch.delenv(name)
        for name in ("HOME", "USERPROFILE", "MESH_HOME"):
            patch.setenv(name, str(notice))
        patch.setenv("OPENBLAS_NUM_THREADS", "1")
        yield


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty home, which `MESH_HOME` names."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("MESH_HOME", str(folder))
    return folder


@pytest.fixture
def without_model(tmp_path, monkeypatch) -> None:
    """No embedding model, here and in child processes: recall goes by words only. Take it before `mesh`."""
    monkeypatch.setenv("MESH_MODEL_PATH", str(tmp_path / "no-model-in-this-test"))


@pytest.fixture
def mesh(home):
    """A `Mesh` on `home`, namespace "shared", agent "tester"."""
    with Mesh(namespace="shared", agent_id="tester", home=home) as opened:
        yield opened
