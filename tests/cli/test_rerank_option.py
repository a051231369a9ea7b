"""`MESH_RERANK` at a shell."""

from __future__ import annotations

import pytest
from cross_encoders import made


@pytest.fixture
def reranker(tmp_path, monkeypatch):
    pytest.importorskip("transformers", reason="the model is made with it")
    folder = made(tmp_path / "tiny")
    monkeypatch.setenv("MESH_RERANK", str(folder))
    return folder


def test_explain_shows_the_rerankers_score_and_its_cost(run, write, reranker):
    """By whom the order is, how many passages it read and how long that took; JSON says the same."""
    for number, text in enumerate(("deploy limit rate", "what may we deploy")):
        write(f"{number}.md", text + "\n")
    said = run("recall", "deploy limit", "--explain")
    assert said.out.count("; by the reranker +0.") == 2
    assert "; reranker: tiny, 2 passages in " in said.err
    answer = run("recall", "deploy limit", "--json").json()
    scores = [row["rerank_score"] for row in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    assert answer["receipt"]["reranked"].keys() == {"name", "passages", "milliseconds"}


def test_a_reranker_that_is_not_here_is_one_line_and_no_failure(run, write):
    """The answer comes by the fused order; how to mend it is said."""
    write("a.md", "deploy limit rate\n")
    ran = run("recall", "deploy limit", env={"MESH_RERANK": "./no-such-folder"})
    assert (ran.code, "deploy limit rate" in ran.out) == (0, True)
    assert ran.said.endswith("./no-such-folder: there is no such folder. Correct or unset MESH_RERANK")


def test_pull_fetches_what_is_named_as_a_reranker(run, reranker):
    """A folder is there already; it is loaded as what it is, and not as an embedder."""
    pytest.importorskip("sentence_transformers", reason="the extra is not installed")
    assert run("model", "pull", str(reranker)).out == f"{reranker}: a reranker\n"
