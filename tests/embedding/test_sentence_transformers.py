"""Any other model, by the sentence-transformers library."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from mesh.embedding import load_embedder
from mesh.embedding.sentence_transformers import SentenceTransformersEmbedder, identity
from mesh.errors import ModelUnavailable

NOWHERE = Path("/nonexistent")


@pytest.fixture(scope="module")
def embedder(model_folder):
    pytest.importorskip("sentence_transformers", reason="the extra is not installed")
    return SentenceTransformersEmbedder(str(model_folder), offline=True)


@pytest.mark.model
def test_the_same_weights_give_the_vectors_of_our_own(embedder, minilm):
    """The two embedders are interchangeable, though their keys differ."""
    texts = ["hi", "", "what happened to the billing service?", "a \ud83d surrogate"]
    vectors = embedder.embed(texts)
    assert (vectors.dtype, vectors.shape) == (np.float32, (4, 384))
    assert np.einsum("ij,ij->i", vectors, minilm.embed(texts))[:3].min() >= 0.99999
    assert embedder.key != minilm.key


@pytest.mark.model
def test_no_texts_give_no_rows(embedder):
    """An empty list is not an error."""
    assert embedder.embed([]).shape == (0, 384)
    assert (embedder.dimension, embedder.max_tokens) == (384, 256)


@pytest.mark.model
def test_its_passages_fit_its_window(embedder):
    """Counted by its own tokenizer."""
    text = "The staging cluster mirrors its data into a bucket. " * 100
    spans = embedder.split(text, "Title\n")
    assert (spans[0][0], spans[-1][1], len(spans) > 3) == (0, len(text), True)
    assert max(embedder._count("Title\n" + text[start:stop]) for start, stop in spans) <= 254


@pytest.mark.model
def test_the_key_of_a_folder_follows_its_content(embedder, model_folder, tmp_path):
    """A folder that is trained again is another space."""
    assert str(model_folder) in embedder.key
    assert embedder.key.endswith("/384")
    (tmp_path / "config.json").write_text("{}")
    before = identity(str(tmp_path))
    (tmp_path / "config.json").write_text('{"trained": "again"}')
    assert identity(str(tmp_path)) != before


def test_the_key_of_a_hub_name_follows_what_was_fetched(tmp_path):
    """As long as nothing was, it is the name; a model that its owner replaced is another space."""
    name, root = "maker/model", tmp_path / "models--maker--model"
    assert identity(name, tmp_path) == name
    for commit, weights in (("aaaa", "digest1"), ("bbbb", "digest1"), ("cccc", "digest2")):
        snapshot = root / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (snapshot / "config.json").write_text("{}")
        (root / "blobs").mkdir(exist_ok=True)
        (root / "blobs" / weights).write_bytes(b"weights")
        (snapshot / "model.safetensors").symlink_to(f"../../blobs/{weights}")
    found = []
    for commit in ("aaaa", "bbbb", "cccc"):
        (root / "refs").mkdir(exist_ok=True)
        (root / "refs" / "main").write_text(commit)
        found.append(identity(name, tmp_path))
    assert found[0].startswith("maker/model@")
    assert found[0] == found[1] != found[2], "a commit that changed neither weights nor configuration changes nothing"


def test_a_missing_library_names_the_extra(monkeypatch):
    """The remedy can be pasted."""
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ModelUnavailable) as caught:
        load_embedder("BAAI/bge-small-en-v1.5", model_path=None, hub_cache=NOWHERE, models_folder=NOWHERE)
    assert 'pip install "mesh-memory[sentence-transformers]"' in str(caught.value)


def test_a_model_that_is_not_here_is_reported_when_offline(tmp_path, monkeypatch):
    """Offline means that nothing is asked of the network."""
    pytest.importorskip("sentence_transformers", reason="the extra is not installed")
    with pytest.raises(ModelUnavailable, match="mesh model pull"):
        SentenceTransformersEmbedder("mesh-test/there-is-no-such-model", offline=True)


def test_a_folder_without_a_model_is_reported(tmp_path):
    """Not a traceback of another library."""
    pytest.importorskip("sentence_transformers", reason="the extra is not installed")
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    with pytest.raises(ModelUnavailable, match="cannot load"):
        SentenceTransformersEmbedder(str(tmp_path), offline=True)
