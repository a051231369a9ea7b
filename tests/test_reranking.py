"""A reranker decides the order of the best that were found, and nothing else."""

from __future__ import annotations

import logging
import subprocess
import sys

import numpy as np
import pytest
from cross_encoders import made
from hashing import HashEmbedder, write

from mesh import Mesh
from mesh.errors import ModelUnavailable
from mesh.reranking import TOP


class Loudest:
    """A `Reranker` that prefers the passage with the most exclamation marks, and remembers what it read."""

    key = "loudest"

    def __init__(self):
        self.asked: list[str] = []
        self.read: list[str] = []

    def scores(self, question, passages):
        self.asked.append(question)
        self.read = list(passages)
        return np.array([text.count("!") for text in passages], np.float32)


class Broken(Loudest):
    """A `Reranker` that can be loaded and not used."""

    def scores(self, question, passages):
        self.asked.append(question)
        raise ModelUnavailable("it gives no finite numbers", place="broken", remedy="Unset MESH_RERANK")


@pytest.fixture
def loudest():
    return Loudest()


@pytest.fixture
def shouting(home, loudest):
    """Three memories; the fused order is a, b, c, and the reranker's is c, b, a."""
    write(home, "shared/a.md", "deploy limit rate\n")
    write(home, "shared/b.md", "deploy limit and lamps!\n")
    write(home, "shared/c.md", "deploy and many other words here!!\n")
    with Mesh("shared", "tester", home, embedder=HashEmbedder(), reranker=loudest) as opened:
        yield opened


def plain(home):
    return Mesh("shared", "tester", home, embedder=HashEmbedder())


def paths(rows):
    return [row["path"].removeprefix("shared/").removesuffix(".md") for row in rows]


QUESTION = "deploy limit rate"


def test_the_order_is_the_rerankers_and_the_scores_stay(shouting, home):
    """`score` and `similarity` are what they are without it; `rerank_score` says what the order is by."""
    with plain(home) as without:
        before = without.recall(QUESTION)
    after = shouting.recall(QUESTION)
    assert (paths(before), paths(after)) == (["a", "b", "c"], ["c", "b", "a"])
    assert [row["rerank_score"] for row in after] == [2.0, 1.0, 0.0]
    assert {row["rerank_score"] for row in before} == {None}
    unjudged = sorted(after, key=lambda row: -row["score"])
    assert [row | {"rerank_score": None} for row in unjudged] == before


def test_the_receipt_says_by_whom_and_how_many(shouting, home):
    """Its cost is never hidden; without a reranker there is none."""
    cost = shouting.recall(QUESTION).receipt.reranked
    assert (cost.name, cost.passages) == ("loudest", 3) and cost.milliseconds >= 0
    with plain(home) as without:
        assert without.recall(QUESTION).receipt.reranked is None


def test_the_best_of_thirty_comes_first_although_one_is_asked_for(shouting):
    """What stands third is brought up."""
    assert paths(shouting.recall(QUESTION, 1)) == ["c"]


def test_it_sees_only_what_may_be_found(shouting, home, loudest):
    """Filters, excluded words and the least similarity are settled before."""
    write(home, "shared/d.md", "---\ntags: [rare]\n---\ndeploy limit walrus!!!!\n")
    assert paths(shouting.recall(QUESTION, tags=["rare"])) == ["d"] and len(loudest.read) == 1
    assert "d" not in paths(shouting.recall(f"{QUESTION} -walrus"))
    assert not any("walrus" in text for text in loudest.read)
    least = max(row["similarity"] for row in shouting.recall(QUESTION))
    assert len(shouting.recall(QUESTION, min_similarity=least - 1e-4)) == len(loudest.read) == 1


def test_what_nothing_is_found_for_is_not_judged(shouting, loudest):
    """No passages, no call."""
    assert shouting.recall(QUESTION, tags=["nowhere"]) == []
    assert loudest.asked == []


def test_equal_scores_keep_the_order_they_had(shouting, home):
    """The fused score breaks the reranker's ties."""
    for path in home.glob("shared/*.md"):
        path.write_text(path.read_text().replace("!", ""))
    assert paths(shouting.recall(QUESTION)) == ["a", "b", "c"]


def test_beyond_the_first_thirty_the_order_stays(home, loudest):
    """They follow, without a score of the reranker."""
    for number in range(40):
        write(home, f"shared/{number:02}.md", f"deploy {'limit ' * (number % 7)} number{number} {'!' * (number % 5)}\n")
    with plain(home) as without:
        before = without.recall(QUESTION, 40)
    with Mesh("shared", "tester", home, embedder=HashEmbedder(), reranker=loudest) as mesh:
        after = mesh.recall(QUESTION, 40)
    assert (len(loudest.read), mesh.workspace.reranking.reranker()) == (TOP, loudest)
    assert sorted(paths(after[:TOP])) == sorted(paths(before[:TOP])) != paths(after[:TOP])
    assert paths(after[TOP:]) == paths(before[TOP:])
    judged = [row["rerank_score"] for row in after]
    assert judged[:TOP] == sorted(judged[:TOP], reverse=True) and set(judged[TOP:]) == {None}


def test_it_reads_the_passage_that_was_found_under_the_title(home, loudest):
    """Not the whole of a long memory; in a source, who said it belongs to it."""
    long = "lamps are lit in every room. " * 30 + "deploy limit rate. " + "octopuses sleep at night. " * 30
    write(home, "shared/a.md", f"---\ntitle: Operations\n---\n{long}\n")
    write(home, "shared/b.md", "---\nagent: Ann\nsource: talk/1\n---\nthe deploy limit is ten\n")
    with Mesh("shared", "tester", home, embedder=HashEmbedder(), reranker=loudest) as mesh:
        rows = {row["path"]: row for row in mesh.recall(QUESTION)}
    assert f"Operations\n{rows['shared/a.md']['passage']}" in loudest.read
    assert len(rows["shared/a.md"]["passage"]) < len(long) / 2
    assert "Ann: the deploy limit is ten" in loudest.read


def test_it_is_asked_the_question_without_what_is_left_out(shouting, loudest):
    """`-word` is no part of what is to be understood."""
    shouting.recall("deploy limit -walrus")
    assert loudest.asked == ["deploy limit"]


def test_one_that_fails_is_done_without_and_said_once(home, caplog):
    """Recall goes on in the fused order, and asks it no more."""
    write(home, "shared/a.md", "deploy limit rate\n")
    broken = Broken()
    with Mesh("shared", "tester", home, embedder=HashEmbedder(), reranker=broken) as mesh:
        first, second = mesh.recall(QUESTION), mesh.recall(QUESTION)
    assert first == second and paths(first) == ["a"]
    assert (len(broken.asked), first.receipt.reranked) == (1, None)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == ["recall goes without the reranker: broken: it gives no finite numbers. Unset MESH_RERANK"]


def test_one_that_is_nowhere_is_done_without_and_said_once(home, monkeypatch, caplog):
    """As with an embedder that is not here: a mistake in a variable does not cost the answer."""
    monkeypatch.setenv("MESH_RERANK", "./no-such-folder")
    write(home, "shared/a.md", "deploy limit rate\n")
    with plain(home) as mesh:
        assert paths(mesh.recall(QUESTION)) == paths(mesh.recall(QUESTION)) == ["a"]
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(said) == 1 and "./no-such-folder: there is no such folder" in said[0]


def test_nothing_of_it_is_loaded_unless_it_is_wanted(home, without_model):
    """Off by default: not even its module is imported."""
    write(home, "shared/a.md", "deploy limit rate\n")
    code = "from mesh import Mesh; Mesh().recall('deploy'); import sys; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'mesh.recall'" in loaded
    assert "'mesh.embedding.reranker'" not in loaded and "'mesh.embedding.bert'" not in loaded


def test_a_folder_named_in_the_environment_decides_the_order(home, tmp_path, monkeypatch):
    """The whole way, with a real model: what the row says is what the model says of question and passage."""
    pytest.importorskip("transformers", reason="the model is made with it")
    from mesh.embedding.bert_reranker import BertReranker

    folder = made(tmp_path / "tiny")
    monkeypatch.setenv("MESH_RERANK", str(folder))
    texts = ["deploy limit rate", "the api limit", "what may we deploy", "in may"]
    for number, text in enumerate(texts):
        write(home, f"shared/{number}.md", text + "\n")
    with plain(home) as mesh:
        rows = mesh.recall(QUESTION)
    expected = sorted(BertReranker("tiny", folder).scores(QUESTION, texts).tolist(), reverse=True)
    assert [row["rerank_score"] for row in rows] == pytest.approx(expected, abs=1e-5)
    assert rows.receipt.reranked.name == "tiny"
