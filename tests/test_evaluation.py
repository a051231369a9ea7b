"""Recall, scored on questions whose answers are known."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hashing import bytes_below, write
from hypothesis import given
from hypothesis import strategies as st

from mesh import Mesh
from mesh.errors import InvalidInput
from mesh.evaluation.questions import UnusableQuestions, read
from mesh.evaluation.running import evaluate
from mesh.evaluation.scoring import Tally, compared, metrics, scored
from mesh.settings import Settings

MAY, JUNE = {"session": 1, "date": "2023-05-08T13:56"}, {"session": 2, "date": "2023-06-01T09:00"}
TRIP = [
    {"t": "m", "ns": "trip", "id": "D1:1", "speaker": "Ann", "text": "Hi!", **MAY},
    {"t": "m", "ns": "trip", "id": "D1:2", "speaker": "Bo", "text": "The  ferry\nleft", **MAY},
    {"t": "m", "ns": "trip", "id": "D2:1", "speaker": "Ann", "text": "Lamps glow", **JUNE},
    {"t": "q", "ns": "trip", "q": "Which lamps glow?", "ev": ["D2:1"], "cat": "single"},
    {"t": "q", "ns": "trip", "q": "What of the ferry and the lamps?", "ev": ["D1:2", "D2:1"], "cat": "multi"},
]


@pytest.fixture
def lines(tmp_path):
    """`lines({...}, b"...")` writes a file with these lines."""

    def save(*rows):
        path = tmp_path / "eval.jsonl"
        path.write_bytes(
            b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)
        )
        return path

    return save


def problems(path):
    """What is wrong with a file: `(line, cause)`."""
    with pytest.raises(UnusableQuestions) as raised:
        read(path)
    return [(problem.line, problem.cause) for problem in raised.value.problems]


# --- figures -----------------------------------------------------------------------------------------------------


def test_one_wanted_memory_at_the_first_place_is_all_there_is_to_reach():
    """1 in every figure."""
    assert scored(["a", "b"], {"a"}) == dict.fromkeys(metrics(), 1.0)


def test_figures_of_two_wanted_at_places_2_and_7_are_those_computed_by_hand():
    """Half of them among 5, both among 10, the first at place 2, and the discounts of places 2 and 7."""
    found = scored(["x", "a", "y", "z", "u", "v", "b"], {"a", "b"})
    gain, ideal = 1 / math.log2(3) + 1 / math.log2(8), 1 + 1 / math.log2(3)
    assert found == {"R@5": 0.5, "R@10": 1.0, "R@20": 1.0, "MRR@20": 0.5, "nDCG@10": pytest.approx(gain / ideal)}
    assert found["nDCG@10"] == pytest.approx(0.5912, abs=1e-4)


def test_beyond_place_10_only_recall_at_20_and_the_reciprocal_rank_see_it():
    """Place 12 is worth 1/12, and nothing to nDCG@10."""
    found = scored([*"bcdefghijkl", "a"], {"a"})
    assert found == {"R@5": 0, "R@10": 0, "R@20": 1, "MRR@20": pytest.approx(1 / 12), "nDCG@10": 0}


def test_fewer_results_have_figures_of_their_own():
    """With `n` 7 there is nothing to say about 10 or 20."""
    assert metrics(7) == ("R@5", "R@7", "MRR@7", "nDCG@7")
    assert metrics(1) == ("R@1", "MRR@1", "nDCG@1")
    assert scored([*"bcdefgha"], {"a"}, 7) == dict.fromkeys(metrics(7), 0)


ORDERS = st.lists(st.sampled_from("abcdefgh"), max_size=25)
WANTED = st.sets(st.sampled_from("abcdefgh"), min_size=1)


@given(ORDERS, WANTED)
def test_every_figure_is_a_share_and_recall_grows_with_k(found, wanted):
    """0 to 1; R@5 <= R@10 <= R@20; 0 exactly where nothing wanted is found."""
    figures = scored(found, wanted)
    assert all(0 <= value <= 1 + 1e-12 for value in figures.values())
    assert figures["R@5"] <= figures["R@10"] <= figures["R@20"]
    assert bool(figures["MRR@20"]) == bool(figures["R@20"]) == bool(wanted & set(found[:20]))


@given(ORDERS, WANTED)
def test_a_memory_found_twice_counts_once(found, wanted):
    """Where it stands first; the second is a wasted place like any other."""
    again = [one if one not in found[:place] else "another" for place, one in enumerate(found)]
    assert scored(found, wanted) == scored(again, wanted)


@given(st.permutations("abcdefgh"), WANTED, st.integers(1, 7))
def test_a_wanted_memory_one_place_higher_is_never_worse(found, wanted, place):
    """Where the one above it is not wanted."""
    if found[place] in wanted and found[place - 1] not in wanted:
        better = [*found[: place - 1], found[place], found[place - 1], *found[place + 1 :]]
        before, after = scored(found, wanted), scored(better, wanted)
        assert all(after[name] >= before[name] for name in before)
        assert after["nDCG@10"] > before["nDCG@10"]


@given(WANTED)
def test_the_best_order_has_an_ndcg_of_1(wanted):
    """Whatever is found after it."""
    assert scored([*sorted(wanted), "x", "y"], wanted)["nDCG@10"] == pytest.approx(1)


def test_figures_are_means_in_per_cent_overall_and_by_category():
    """A question without a category counts overall only."""
    tally = Tally()
    for hit, category in ((["a"], "easy"), (["b"], "hard"), (["a"], "")):
        tally.add(scored(hit, {"a"}), category)
    figures = tally.figures()
    assert list(figures) == ["all", "easy", "hard"]
    assert figures["all"] == {"questions": 3, **dict.fromkeys(metrics(), 66.67)}
    assert (figures["easy"]["R@5"], figures["hard"]["R@5"], figures["hard"]["questions"]) == (100, 0, 1)


# --- comparing ---------------------------------------------------------------------------------------------------

PER_CENT = st.integers(0, 10_000).map(lambda number: number / 100)


@given(PER_CENT, PER_CENT, st.integers(0, 500).map(lambda number: number / 100))
def test_a_figure_fell_if_it_is_lower_by_more_than_the_bound(now, base, bound):
    """The bound itself is allowed; what was not judged does not count."""
    found = compared({"all": {"R@5": now, "R@10": 0}}, {"all": {"R@5": base, "R@10": 100}}, ["R@5"], bound)
    assert found.differences["all"] == {"R@5": pytest.approx(now - base), "R@10": -100}
    assert found.fell == (("R@5",) if round(100 * (base - now)) > round(100 * bound) else ())


def test_what_only_one_side_has_is_not_compared():
    """A category that is new, or gone."""
    now, base = {"all": {"R@5": 1.0}, "new": {"R@5": 1.0}}, {"all": {"R@5": 1.0, "R@7": 1.0}, "gone": {"R@5": 1.0}}
    assert compared(now, base, ["R@5"], 0).differences == {"all": {"R@5": 0}}


# --- reading -----------------------------------------------------------------------------------------------------


def test_a_collection_brings_its_memories_with_it(lines):
    """Speaker, session and time become author, source and an order of one second a turn."""
    found = read(lines(*TRIP))
    hi, ferry, lamps = found.memories["trip"].values()
    assert (hi.agent, hi.source, hi.type) == ("Ann", "trip/session-1", "context")
    assert (ferry.created - hi.created).total_seconds() == 1
    assert lamps.source == "trip/session-2" and lamps.created.isoformat() == "2023-06-01T09:00:02+00:00"
    assert [(one.text, one.wanted, one.category) for one in found.questions] == [
        ("Which lamps glow?", ("D2:1",), "single"),
        ("What of the ferry and the lamps?", ("D1:2", "D2:1"), "multi"),
    ]


def test_a_memory_of_a_collection_without_a_session_stands_alone(lines):
    """`null` is no session; where the key is missing it is the first."""
    rows = [
        {"t": "m", "ns": "x", "id": "1", "text": "One", "session": None},
        {"t": "m", "ns": "x", "id": "2", "text": "Two"},
    ]
    found = read(lines(*rows, {"t": "q", "ns": "x", "q": "One?", "ev": ["1"]}))
    assert [memory.source for memory in found.memories["x"].values()] == ["", "x/session-1"]


def test_questions_to_a_vault_name_one_memory_or_several(lines):
    """Other keys and blank lines are left alone."""
    found = read(
        lines(
            {"question": "a?", "id": "01kb", "why": 1},
            b"  ",
            {"question": "b?", "id": ["01kb", "01kc"], "namespace": "Ops"},
        )
    )
    assert [(one.line, one.wanted, one.namespace) for one in found.questions] == [
        (1, ("01kb",), ""),
        (3, ("01kb", "01kc"), "ops"),
    ]
    assert not found.is_collection


def test_every_line_that_cannot_be_used_is_told_at_once(lines):
    """By its number, in order; none hides another."""
    path = lines(
        b"{",
        b"[1]",
        b"\xff",
        {"id": "a"},
        {"question": " ", "id": "a"},
        {"question": "a?"},
        {"question": "a?", "id": []},
    )
    found = problems(path)
    assert [line for line, _ in found] == [1, 2, 3, 4, 5, 6, 7]
    for line, cause in ((1, "JSON"), (3, "UTF-8"), (4, "'question' is missing"), (7, "'id'")):
        assert cause in found[line - 1][1]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"ns": "../x"}, "namespace"),
        ({"text": ""}, "content: it is empty"),
        ({"text": 5}, "'text' is 5"),
        ({"date": "soon"}, "'soon' is not a time"),
        ({"speaker": "a\nb"}, "agent"),
        ({"id": "D1:1"}, "on line 1 already"),
        ({"t": "x"}, "'t' is 'x'"),
    ],
)
def test_a_memory_that_cannot_be_one_is_a_problem_of_its_line(lines, change, cause):
    """As it would be for `learn`."""
    line, said = problems(lines(TRIP[0], TRIP[1] | change, *TRIP[2:4]))[0]
    assert (line, cause in said) == (2, True), said


def test_evidence_that_is_not_in_the_collection_is_a_problem_of_the_question(lines):
    """Of its own namespace, wherever the memory stands in the file."""
    assert problems(lines(TRIP[3], *TRIP[:2])) == [(1, "no memory 'D2:1' in 'trip'")]
    assert read(lines(TRIP[3], *TRIP[:3])).questions


@pytest.mark.parametrize("rows", [[], [b""], TRIP[:3]], ids=["empty", "blank", "memories only"])
def test_a_file_without_a_question_cannot_be_scored(lines, rows):
    """It is said, not scored as nothing."""
    assert problems(lines(*rows)) == [(1, "there is no question in this file")]


def test_the_two_kinds_do_not_mix(lines):
    """The first line decides."""
    assert [line for line, _ in problems(lines(*TRIP, {"question": "a?", "id": "01kb"}))] == [6]
    assert [line for line, _ in problems(lines({"question": "a?", "id": "01kb"}, TRIP[0]))] == [2]


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    """And so is a folder."""
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(InvalidInput, match="cannot be read"):
            read(path)


# --- running -----------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(without_model, home):
    """Of `home`, by words only."""
    return Settings.from_environment()


def test_a_collection_is_asked_in_a_home_of_its_own(lines, settings):
    """Nothing of the user's home is read or written, and the figures are those of the answers."""
    write(settings.home, "trip/a.md", "Which lamps glow? Lamps glow! Lamps glow!\n")
    before = bytes_below(settings.home)
    report = evaluate(read(lines(*TRIP)), settings)
    assert bytes_below(settings.home) == before and not (settings.home / ".cache").exists()
    assert (report.memories, report.model, len(report.milliseconds)) == (3, None, 2)
    assert report.figures["single"] == {"questions": 1, **dict.fromkeys(metrics(), 100)}
    assert report.figures["multi"]["R@20"] == 100


def test_the_turns_of_a_session_stand_in_a_row(lines, settings, tmp_path):
    """In the files themselves: author, source, time."""
    place = tmp_path / "kept"
    evaluate(read(lines(*TRIP)), settings, home=place)
    with Mesh("trip", home=place) as mesh:
        rows = sorted(mesh.inspect(None), key=lambda row: row["created_at"])
    assert [(row["source_agent"], row["source"], row["created_at"]) for row in rows] == [
        ("Ann", "trip/session-1", "2023-05-08T13:56:00Z"),
        ("Bo", "trip/session-1", "2023-05-08T13:56:01Z"),
        ("Ann", "trip/session-2", "2023-06-01T09:00:02Z"),
    ]


def test_the_same_text_twice_is_one_memory(lines, settings):
    """As for `learn`; either id stands for it."""
    again = {"t": "m", "ns": "trip", "id": "D2:2", "speaker": "Bo", "text": "Lamps glow"}
    question = {"t": "q", "ns": "trip", "q": "Which lamps glow?", "ev": ["D2:2"]}
    report = evaluate(read(lines(*TRIP[:3], again, question)), settings)
    assert (report.memories, report.figures["all"]["R@5"]) == (3, 100)


def test_questions_to_a_vault_are_asked_of_it_as_it_is(lines, settings):
    """By whole id, by a prefix, by path, in the namespace that the line or the settings name."""
    write(settings.home, "shared/a.md", "---\nid: aaaa0000\n---\nThe lamp is lit\n")
    write(settings.home, "shared/b.md", "---\nid: bbbb0000\n---\nThe door is shut\n")
    write(settings.home, "ops/c.md", "Deploys go through the script\n")
    before = bytes_below(settings.home)
    path = lines(
        {"question": "lamp", "id": "aaaa"},
        {"question": "door", "id": ["aaaa0000", "bbbb0000"]},
        {"question": "deploys", "id": "c.md", "namespace": "ops", "category": "process"},
    )
    report = evaluate(read(path), settings)
    assert report.figures["all"]["R@5"] == round(100 * (1 + 0.5 + 1) / 3, 2)
    assert report.figures["process"]["questions"] == 1
    assert (report.memories, bytes_below(settings.home)) == (3, before)


def test_memories_and_namespaces_that_are_not_there_are_told_at_once(lines, settings):
    """Each by the line that names it; nothing is scored."""
    write(settings.home, "shared/a.md", "---\nid: aaaa0000\n---\nThe lamp is lit\n")
    path = lines(
        {"question": "lamp", "id": "aaaa"},
        {"question": "lamp", "id": ["aaaa", "gone1234"]},
        {"question": "lamp", "id": "aaaa", "namespace": "nowhere"},
        {"question": "lamp", "id": "a"},
    )
    with pytest.raises(UnusableQuestions) as raised:
        evaluate(read(path), settings)
    assert sorted(problem.line for problem in raised.value.problems) == [2, 3, 4]
    assert "gone1234" in str(raised.value)


def test_only_the_first_questions_are_asked_with_a_limit(lines, settings):
    """A question that is not asked cannot be in the way."""
    write(settings.home, "shared/a.md", "---\nid: aaaa0000\n---\nThe lamp is lit\n")
    path = lines({"question": "lamp", "id": "aaaa"}, {"question": "lamp", "id": "gone1234"})
    assert evaluate(read(path), settings, limit=1).figures["all"]["questions"] == 1


@pytest.mark.model
def test_what_is_pending_is_embedded_before_the_first_question(lines, home):
    """More than a recall embeds by itself; progress is told of memories, then of questions."""
    for number in range(150):
        write(home, f"shared/{number}.md", f"---\nid: note{number:04}\n---\nShelf {number} holds paint\n")
    told = []
    report = evaluate(
        read(lines({"question": "rack 77 has colours", "id": "note0077"})),
        replace(Settings.from_environment(), namespace="shared"),
        progress=lambda *one: told.append(one),
    )
    assert report.model and report.figures["all"]["R@5"] == 100
    assert sum(count for unit, count, _ in told if unit == "memories") == 150
    assert told[-1] == ("questions", 1, 1)
