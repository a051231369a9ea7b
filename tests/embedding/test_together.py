"""Threads that ask at the same time are answered together, each with its own vector."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hashing import HashEmbedder

from mesh.embedding.together import Together


class Slow(HashEmbedder):
    """Waits in its first call until it is let go, so that others gather; refuses the text "bad"."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []
        self.began, self.go_on = threading.Event(), threading.Event()

    def embed(self, texts):
        self.calls.append(list(texts))
        self.began.set()
        assert self.go_on.wait(30)
        if "bad" in texts:
            raise ValueError("bad")
        return super().embed(texts)


def asked_at_once(together, embedder, texts):
    """What each thread gets when the first text is being embedded while the others come."""
    answers: dict[str, object] = {}

    def ask(text: str) -> None:
        try:
            answers[text] = together.embed_questions([text])
        except ValueError as error:
            answers[text] = error

    threads = [threading.Thread(target=ask, args=(text,)) for text in texts]
    threads[0].start()
    assert embedder.began.wait(30)
    for thread in threads[1:]:
        thread.start()
    while len(together._questions._waiting) < len(texts) - 1:
        pass
    embedder.go_on.set()
    for thread in threads:
        thread.join(30)
    return answers


def test_each_thread_gets_the_vector_of_its_own_text():
    """The first is embedded alone, all that came meanwhile in one call."""
    embedder = Slow()
    texts = [f"question {number}" for number in range(9)]
    answers = asked_at_once(Together(embedder), embedder, texts)
    assert [len(call) for call in embedder.calls] == [1, 8]
    for text in texts:
        assert answers[text].shape == (1, embedder.dimension)
        assert np.array_equal(answers[text], HashEmbedder().embed([text]))


def test_an_error_reaches_all_it_concerns_and_nobody_after_them():
    """Whoever was embedded together with the bad text; the next question is answered."""
    embedder = Slow()
    together = Together(embedder)
    answers = asked_at_once(together, embedder, ["first", "bad", "with it"])
    assert isinstance(answers["bad"], ValueError)
    assert isinstance(answers["with it"], ValueError)
    assert np.array_equal(answers["first"], HashEmbedder().embed(["first"]))
    assert np.array_equal(together.embed_questions(["later"]), HashEmbedder().embed(["later"]))


def test_a_passage_does_not_go_with_questions():
    """Each kind is embedded as what it is, also while the other kind gathers."""

    class Telling(Slow):
        def embed_questions(self, texts):
            return -super().embed_questions(texts)

    embedder = Telling()
    together = Together(embedder)
    embedder.go_on.set()
    assert np.array_equal(together.embed(["one"]), -together.embed_questions(["one"]))


@pytest.mark.parametrize("texts", [[], ["one", "two"], ["one"] * 300])
def test_several_texts_at_once_are_the_embedders_own_business(texts):
    """They neither wait for others nor keep them waiting."""
    assert np.array_equal(Together(HashEmbedder()).embed(texts), HashEmbedder().embed(texts))


def test_it_is_the_same_space():
    """Key, dimension, window and passages are the embedder's."""
    embedder = HashEmbedder()
    together = Together(embedder)
    assert (together.key, together.dimension, together.max_tokens) == (
        embedder.key,
        embedder.dimension,
        embedder.max_tokens,
    )
    assert together.split("one. two.", "title\n") == embedder.split("one. two.", "title\n")
