"""`mesh eval`."""

from __future__ import annotations

import json

import pytest

LAMP, DOOR = "---\nid: aaaa0000\n---\nThe lamp is lit\n", "---\nid: bbbb0000\n---\nThe door is shut\n"
QUESTIONS = [{"question": "the lamp", "id": "aaaa0000"}, {"question": "a door", "id": ["bbbb"], "category": "doors"}]


@pytest.fixture
def asked(tmp_path, write, without_model):
    """`asked([...])` writes a file of questions; two memories are there, and no model."""
    write("a.md", LAMP)
    write("b.md", DOOR)

    def save(rows=QUESTIONS, name="eval.jsonl"):
        path = tmp_path / name
        path.write_text("".join(f"{json.dumps(row) if isinstance(row, dict) else row}\n" for row in rows))
        return path

    return save


@pytest.fixture
def base(run, asked, tmp_path):
    """The figures of now, as a file, and what they were made from."""
    path = tmp_path / "base.json"
    path.write_bytes(run("eval", asked(), "--json").raw)
    return path


def test_a_table_has_a_line_for_all_and_for_each_category(run, asked, untouched):
    """Figures in per cent; what was asked and how long it took; no file of the vault is touched."""
    before = untouched()
    ran = run("eval", asked())
    assert ran.code == 0
    assert ran.lines[0].split() == ["questions", "R@5", "R@10", "R@20", "MRR@20", "nDCG@10"]
    assert ran.lines[1].split() == ["all", "2", *["100.0"] * 5]
    assert ran.lines[2].split() == ["doors", "1", *["100.0"] * 5]
    assert "2 memories" in ran.lines[-1] and "by words only" in ran.lines[-1]
    assert untouched() == before


def test_json_has_the_same_figures_and_what_they_were_made_from(run, asked):
    """Of fewer results, if so asked."""
    found = run("eval", asked(), "--json", "-n", "1").json()
    assert found["figures"]["all"] == {"questions": 2, "R@1": 100, "MRR@1": 100, "nDCG@1": 100}
    assert (found["memories"], found["n"], found["model"]) == (2, 1, None)
    assert found["recall_ms"]["p50"] > 0


def test_the_same_recall_passes_the_comparison_with_itself(run, asked, base):
    """Exit 0, differences of 0."""
    ran = run("eval", asked(), "--compare", base)
    assert ran.code == 0
    assert [line.split() for line in ran.lines if line.startswith("all")][1] == ["all", *["+0.0"] * 5]


def test_a_fall_beyond_the_bound_exits_with_1_and_is_named(run, asked, base, write):
    """The answer was forgotten for another text; a wider bound, or another figure alone, lets it pass."""
    write("b.md", DOOR.replace("The door is shut", "Nothing of the kind"))
    ran = run("eval", asked(), "--compare", base)
    assert ran.code == 1
    assert "R@5 fell by 50 points, more than 1" in ran.err
    assert run("eval", asked(), "--compare", base, "--bound", "50").code == 0
    found = run("eval", asked(), "--compare", base, "--metric", "r@10", "--json")
    assert (found.code, found.json()["compared"]["fell"]) == (1, ["R@10"])
    assert found.json()["compared"]["differences"]["doors"]["R@10"] == -100


def test_what_else_differs_from_the_base_is_said(run, asked, base, write):
    """Other memories, another number of questions: the figures are not of the same thing."""
    write("more.md", "The window is open\n")
    ran = run("eval", asked(QUESTIONS[:1]), "--compare", base)
    assert ran.code == 0
    assert "memories" in ran.err and "3 now, 2 then" in ran.err and "1 now, 2 then" in ran.err


@pytest.mark.parametrize(
    ("rows", "line", "cause"),
    [
        ([], 1, "no question"),
        (["{"], 1, "not JSON"),
        ([QUESTIONS[0], "[]"], 2, "not a JSON object"),
        ([QUESTIONS[0], {"question": "x"}], 2, "'id'"),
        ([QUESTIONS[0], "", {"question": "x", "id": "gone1234"}], 3, "gone1234"),
        ([QUESTIONS[0], {"question": "x", "id": "aaaa", "namespace": "shard"}], 2, "'shard'"),
    ],
    ids=["empty", "no JSON", "no object", "no id", "a memory that is not there", "a namespace that is not there"],
)
def test_a_line_that_cannot_be_used_is_named_and_nothing_is_scored(run, asked, rows, line, cause):
    """Exit 2, so that it is not taken for a regression."""
    ran = run("eval", asked(rows), "--json")
    told = [one for one in ran.err.splitlines() if "by words only" not in one]
    assert (ran.code, ran.out, len(told)) == (2, "", 1)
    assert f"eval.jsonl:{line}: " in told[0] and cause in told[0]


def test_all_unusable_lines_are_told_at_once(run, asked):
    """A line each; beyond 20 only how many more."""
    ran = run("eval", asked(["{"] * 25))
    told = ran.err.splitlines()
    assert (ran.code, len(told)) == (2, 21)
    assert "5 more" in told[-1]


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["none.jsonl"], "cannot be read"),
        (["eval.jsonl", "--compare", "none.json"], "cannot be read"),
        (["eval.jsonl", "--compare", "eval.jsonl"], "base.json"),
        (["eval.jsonl", "--compare", "eval.jsonl", "--metric", "R@7"], "R@5"),
        (["eval.jsonl", "-n", "0"], "from 1"),
        (["eval.jsonl", "--limit-questions", "0"], "questions"),
        (["eval.jsonl", "--bound", "-1"], "bound"),
        (["eval.jsonl", "--metric", "R@5"], "--compare"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_line(run, asked, arguments, cause):
    """Exit 2."""
    path = asked()
    ran = run("eval", *arguments, cwd=path.parent)
    assert (ran.code, ran.out) == (2, "")
    assert cause in ran.said


def test_a_base_of_another_number_of_results_cannot_be_compared(run, asked, base):
    """It does not have the figures."""
    ran = run("eval", asked(), "-n", "7", "--compare", base)
    assert (ran.code, "R@7" in ran.said) == (2, True)


@pytest.mark.cold("a server has folders in the home")
@pytest.mark.model
def test_a_collection_is_scored_with_a_bar_and_leaves_no_trace(home, terminal, run, tmp_path, untouched):
    """On a terminal the bar tells of memories, then of questions; the home stays as it was."""
    rows = [
        {"t": "m", "ns": "trip", "id": "a", "speaker": "Ann", "text": "We took the ferry to the island"},
        {"t": "m", "ns": "trip", "id": "b", "speaker": "Bo", "text": "The hotel had no lift"},
        {"t": "q", "ns": "trip", "q": "Which ship did Ann travel on?", "ev": ["a"], "cat": "single"},
    ]
    path = tmp_path / "trip.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = untouched()
    session = terminal("eval", path)
    assert session.code == 0
    assert "2/2 memories" in session.plain and "1/1 questions" in session.plain
    assert run("eval", path, "--json").json()["figures"]["single"]["MRR@20"] == 100
    assert untouched() == before and not list(home.iterdir())
