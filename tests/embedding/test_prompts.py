"""What a model's own configuration puts before questions and before passages, and where a model runs."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sentence_transformers", reason="the extra is not installed")

from tiny_models import made, prompts_of

from mesh.embedding import load_embedder
from mesh.embedding.sentence_transformers import SentenceTransformersEmbedder
from mesh.errors import ModelUnavailable

NOWHERE = Path("/nonexistent")
TEXTS = ["the walrus sleeps in the garden", "deploy", "the lamp is lit"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A model's folder without prompts."""
    return made(tmp_path_factory.mktemp("models") / "plain")


@pytest.fixture
def with_prompts(plain, tmp_path):
    """`with_prompts({"query": "..."})`: the same weights with these prompts, loaded."""

    def load(prompts, default=None):
        folder = tmp_path / f"model-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(plain, folder)
        prompts_of(folder, prompts)
        if default:
            path = folder / "config_sentence_transformers.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"default_prompt_name": default}))
        return SentenceTransformersEmbedder(str(folder), offline=True)

    return load


@pytest.fixture(scope="module")
def bare(plain):
    return SentenceTransformersEmbedder(str(plain), offline=True)


def same(one, other):
    return bool(np.abs(one - other).max() < 1e-5)


@pytest.mark.parametrize("name", ["document", "passage", "corpus"])
def test_questions_and_passages_get_their_own_prompts(with_prompts, bare, name):
    """The vectors are those of the texts with the prompt before them."""
    embedder = with_prompts({"query": "search query ", name: "search document "})
    assert same(embedder.embed(TEXTS), bare.embed([f"search document {text}" for text in TEXTS]))
    assert same(embedder.embed_questions(TEXTS), bare.embed([f"search query {text}" for text in TEXTS]))
    assert not same(embedder.embed(TEXTS), embedder.embed_questions(TEXTS))


def test_a_model_without_prompts_sees_no_difference(bare):
    """Neither has anything before it."""
    assert same(bare.embed(TEXTS), bare.embed_questions(TEXTS))


def test_only_the_question_may_have_a_prompt(with_prompts, bare):
    """As of many models: passages are embedded as they are, so their vectors are of the same kind."""
    embedder = with_prompts({"query": "find "})
    assert same(embedder.embed(TEXTS), bare.embed(TEXTS))
    assert same(embedder.embed_questions(TEXTS), bare.embed([f"find {text}" for text in TEXTS]))


def test_the_default_prompt_is_for_both_unless_it_is_named_for_one(with_prompts, bare):
    """Such as "s2s" for both; a default that is called "query" is none of a passage."""
    both = with_prompts({"s2s": "note "}, default="s2s")
    assert same(both.embed(TEXTS), bare.embed([f"note {text}" for text in TEXTS]))
    assert same(both.embed(TEXTS), both.embed_questions(TEXTS))
    one = with_prompts({"query": "find "}, default="query")
    assert same(one.embed(TEXTS), bare.embed(TEXTS))


def test_another_passage_prompt_is_another_key(with_prompts, plain):
    """The prompt for questions changes no vector that is kept, but the folder's configuration holds both."""
    one, other = with_prompts({"passage": "note "}), with_prompts({"passage": "store "})
    assert one.key.rpartition("/")[2] != other.key.rpartition("/")[2]
    assert one.key.rpartition("/")[2] != "32", "a mark of the prompt stands behind the dimension"


def test_passages_fit_the_window_together_with_the_prompt(with_prompts, bare):
    """The prompt's tokens count, and so does what stands before a passage."""
    prompt = "search document passage " * 5
    embedder = with_prompts({"passage": prompt})
    assert embedder.max_tokens == bare.max_tokens - 15
    text = "the walrus sleeps in the garden. " * 40
    spans = embedder.split(text, "lamp: ")
    assert max(embedder._count(f"{prompt}lamp: {text[start:stop]}") for start, stop in spans) <= 62
    assert (spans[0][0], spans[-1][1]) == (0, len(text))
    assert len(spans) > len(bare.split(text, "lamp: "))


def test_a_prompt_that_fills_the_window_is_refused(with_prompts):
    """No text would be left."""
    with pytest.raises(ModelUnavailable, match="no room"):
        with_prompts({"passage": "search document passage " * 30})


def test_vectors_have_unit_length_in_the_order_given(bare):
    """Whatever the order and number of the texts."""
    texts = [f"{'walrus ' * (i % 7)}lamp {i}" for i in range(70)]
    vectors = bare.embed(texts)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6
    assert all(same(vectors[i], bare.embed([texts[i]])[0]) for i in (0, 1, 33, 69))


def test_threads_may_share_a_model(bare):
    """Its tokenizer is for one thread at a time, so they take turns."""
    expected, wrong = bare.embed(TEXTS), []

    def ask():
        for _ in range(10):
            if not same(bare.embed(TEXTS), expected) or len(bare.split("the lamp is lit. " * 60)) < 2:
                wrong.append(1)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_first_numbers_can_be_kept(plain, bare):
    """At unit length again, in a space of their own; as many as there are is the whole."""

    def load(dimension):
        return load_embedder(str(plain), model_path=None, hub_cache=NOWHERE, models_folder=NOWHERE, dimension=dimension)

    whole, cut = load(None), load(8)
    expected = whole.embed(TEXTS)[:, :8]
    assert same(cut.embed(TEXTS), expected / np.linalg.norm(expected, axis=1, keepdims=True))
    assert cut.embed_questions(TEXTS).shape == (3, 8) == (3, cut.dimension)
    assert len({whole.key, cut.key, load(9).key}) == 3
    assert load(32).key == whole.key
    assert cut.split("the lamp is lit. " * 60) == whole.split("the lamp is lit. " * 60)
    with pytest.raises(ModelUnavailable, match="32 numbers, of which 33 cannot be kept"):
        load(33)


def test_a_device_that_is_not_there_is_named(plain):
    """`MESH_DEVICE` is what to look at."""
    with pytest.raises(ModelUnavailable, match="MESH_DEVICE=nonsense"):
        SentenceTransformersEmbedder(str(plain), offline=True, device="nonsense")
    assert SentenceTransformersEmbedder(str(plain), offline=True, device="cpu").dimension == 32
