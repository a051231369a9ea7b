"""Cross-encoders: numpy's scores are the library's, and what numpy cannot run is left to it or explained."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from cross_encoders import changed, made

from mesh.embedding.bert_reranker import BertReranker, NotForNumpy
from mesh.embedding.reranker import CrossEncoderReranker, load_reranker
from mesh.errors import ModelUnavailable

pytest.importorskip("sentence_transformers", reason="the reference is not installed")

NOWHERE = Path("/nonexistent")
TEXTS = [
    "hi",
    "",
    "  \n\t ",
    "\x00\x07",
    "What is the API rate limit?",
    "The API rate limit is 100 requests/min",
    "[SEP] [MASK] inside a [CLS] text [PAD] [UNK] [sep]",
    "ΑΣ ΣΑΣ ὈΔΥΣΣΕΎΣ İstanbul straße ﬁ Ǆ e\u0301cole",
    "日本語のテキストと漢字、カタカナ。",
    "😀👩‍👩‍👧🏳️‍🌈 ❤️ emoji 🎉",
    "the " * 21,
    "the " * 22,
    "the " * 23,
    "the " * 24,
    "rate " * 44,
    "rate " * 45,
    "a long text that goes on. " * 200,
    "x" * 2_000,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def own(folder, tmp_path):
    """A copy that a test may change."""
    return Path(shutil.copytree(folder, tmp_path / "own"))


def load(name, hub_cache=NOWHERE):
    return load_reranker(str(name), hub_cache=hub_cache)


def differences(folder, texts=TEXTS):
    """Between the two engines, over all pairs of texts."""
    ours, theirs = BertReranker("ours", folder), CrossEncoderReranker("theirs", str(folder))
    return np.array([ours.scores(text, texts) - theirs.scores(text, texts) for text in texts])


@pytest.mark.parametrize(
    "config",
    [{}, {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}],
    ids=["sigmoid", "as it is"],
)
def test_the_scores_are_those_of_sentence_transformers(own, config):
    """To 1e-4: short and empty, beyond the window on either side and on both, any script."""
    found = differences(changed(own, "config.json", **config))
    assert np.abs(found).max() < 1e-4
    assert BertReranker("tiny", own).scores("rate", TEXTS).std() > 0.05, "they would agree on anything"


def test_the_window_is_the_one_the_library_reads(own):
    """The smallest that the configuration names. What is far beyond it costs the library gigabytes."""
    short = [text for text in TEXTS if len(text) < 1000]
    assert np.abs(differences(changed(own, "tokenizer_config.json", model_max_length=12), short)).max() < 1e-4


def test_a_folder_with_the_vocabulary_alone_is_enough(own):
    """As older models are kept: vocab.txt instead of tokenizer.json."""
    expected = BertReranker("tiny", own).scores("what is the rate", TEXTS)
    (own / "tokenizer.json").unlink()
    assert np.array_equal(BertReranker("tiny", own).scores("what is the rate", TEXTS), expected)


def test_weights_in_another_order_are_the_same_weights(own):
    """Key, query and value need not stand beside each other in the file."""
    import safetensors.numpy

    expected = BertReranker("tiny", own).scores("what is the rate", TEXTS)
    weights = safetensors.numpy.load_file(own / "model.safetensors")
    header, blobs = _reversed(weights)
    (own / "model.safetensors").write_bytes(header + blobs)
    assert np.allclose(BertReranker("tiny", own).scores("what is the rate", TEXTS), expected, atol=1e-5)


def _reversed(weights):
    import json
    import struct

    entries, blobs = {}, b""
    for name in sorted(weights, reverse=True):
        data = weights[name].tobytes()
        span = [len(blobs), len(blobs) + len(data)]
        entries[name] = {"dtype": "F32", "shape": list(weights[name].shape), "data_offsets": span}
        blobs += data
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header, blobs


def test_what_the_library_writes_is_read_as_it_reads_it(folder, tmp_path):
    """Its own folders say in another file that the score is to stay as it is."""
    library = pytest.importorskip("sentence_transformers")
    model = library.CrossEncoder(str(folder), device="cpu", local_files_only=True)
    model.save_pretrained(str(tmp_path / "saved"))
    saved = changed(
        tmp_path / "saved", "config_sentence_transformers.json", activation_fn="torch.nn.modules.linear.Identity"
    )
    assert np.abs(differences(saved)).max() < 1e-4
    assert BertReranker("saved", saved).scores("what is the rate", TEXTS).max() > 1


def test_half_a_character_is_no_error(folder):
    """Lone surrogates come from broken clients; each engine drops or replaces them."""
    for reranker in (BertReranker("tiny", folder), CrossEncoderReranker("tiny", str(folder))):
        assert np.isfinite(reranker.scores("a \ud83d question", ["a \ud83d surrogate"])).all()


def test_no_passages_give_no_scores(folder):
    """An empty list is not an error, for either engine."""
    assert BertReranker("tiny", folder).scores("rate", []).shape == (0,)
    assert CrossEncoderReranker("tiny", str(folder)).scores("rate", []).shape == (0,)


def test_a_folder_is_run_by_numpy_and_named_by_its_own_name(folder):
    """A path of this machine is nothing to tell a client."""
    found = load(folder)
    assert (type(found), found.key) == (BertReranker, "tiny")


def test_a_name_is_looked_for_in_the_hubs_cache(folder, tmp_path):
    """No library is needed for a model that is there and small."""
    snapshots = tmp_path / "models--cross-encoder--tiny" / "snapshots"
    shutil.copytree(folder, snapshots / "abc123")
    (snapshots.parent / "refs").mkdir()
    (snapshots.parent / "refs" / "main").write_text("abc123\n")
    found = load("cross-encoder/tiny", tmp_path)
    assert (type(found), found.key) == (BertReranker, "cross-encoder/tiny")


@pytest.mark.parametrize(
    ("file", "entries"),
    [
        ("config.json", {"hidden_act": "relu"}),
        ("tokenizer_config.json", {"do_lower_case": False}),
        ("sentence_bert_config.json", {"max_seq_length": 20}),
        ("config.json", {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Tanh"}}),
    ],
)
def test_what_numpy_cannot_run_is_left_to_sentence_transformers(own, file, entries):
    """Never run by numpy in a way that its configuration does not say."""
    with pytest.raises(NotForNumpy, match=str(own)):
        BertReranker("tiny", changed(own, file, **entries))
    found = load(own)
    assert isinstance(found, CrossEncoderReranker)
    assert np.isfinite(found.scores("what is the rate", TEXTS)).all()


def test_without_the_library_the_error_says_why_it_is_needed(own, monkeypatch):
    """What numpy could not do, and a remedy that can be pasted."""
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    assert isinstance(load(own), BertReranker)
    with pytest.raises(ModelUnavailable) as caught:
        load(changed(own, "config.json", model_type="distilbert").rename(own.with_name("other")))
    assert "its model_type is 'distilbert'" in str(caught.value)
    assert 'pip install "mesh-memory[sentence-transformers]"' in str(caught.value)


def test_a_model_that_is_no_cross_encoder_is_refused(tmp_path):
    """Two labels are two scores: which of them would be the order?"""
    with pytest.raises(ModelUnavailable, match="MESH_RERANK must name a cross-encoder"):
        load(made(tmp_path / "two", labels=2))


@pytest.mark.parametrize("name", ["./no-such-folder", "/nonexistent/model", "mesh-test/there-is-no-such-model"])
def test_a_model_that_is_nowhere_is_one_line(name):
    """And nothing is asked of the network."""
    with pytest.raises(
        ModelUnavailable, match=r"MESH_RERANK|mesh model pull mesh-test/there-is-no-such-model"
    ) as caught:
        load(name)
    assert "\n" not in str(caught.value)


def truncated(path):
    path.write_bytes(path.read_bytes()[:-1000])


def garbage(path):
    path.write_bytes(b"{}" * 1000)


def empty(path):
    path.write_bytes(b"")


def without_numbers(path):
    import safetensors.numpy

    weights = safetensors.numpy.load_file(path)
    weights["classifier.bias"] = np.array([np.nan], np.float32)
    safetensors.numpy.save_file(weights, path)


def without_a_pooler(path):
    import safetensors.numpy

    weights = safetensors.numpy.load_file(path)
    del weights["bert.pooler.dense.weight"]
    safetensors.numpy.save_file(weights, path)


@pytest.mark.parametrize("harm", [truncated, garbage, empty, without_numbers, without_a_pooler, Path.unlink])
def test_damaged_weights_are_reported_when_they_are_loaded(own, harm):
    """One line with the place; never a traceback of numpy, and never an order made of them."""
    harm(own / "model.safetensors")
    with pytest.raises(ModelUnavailable, match=str(own)):
        load(own)


def test_weights_of_another_size_than_the_configuration_says_are_reported(own):
    """Found when the model is loaded, not at the first question."""
    with pytest.raises(ModelUnavailable, match="do not fit"):
        load(changed(own, "config.json", intermediate_size=96))
