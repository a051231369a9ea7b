"""`bench/quality.py` measures what it says: each part that it switches off is there, and is there again afterwards."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hashing import hashed, write

BENCH = Path(__file__).parent.parent / "bench"


@pytest.fixture(autouse=True, scope="module")
def _bench_on_the_path():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCH)
        yield
        for name in ("recipes", "charts"):
            sys.modules.pop(name, None)


def test_every_recipe_puts_something_in_the_place_of_what_is_there_and_takes_it_away_again():
    """A name that the library no longer has is an error, not a figure without effect."""
    import recipes

    for recipe in (*recipes.ALL, *recipes.COSTS):
        before = [getattr(module, name) for module, name, _ in recipe.replaced]
        with recipes.cooked(recipe):
            for module, name, value in recipe.replaced:
                assert getattr(module, name) is value
        assert [getattr(module, name) for module, name, _ in recipe.replaced] == before


def order(home, recipe, question="which lamps are there"):
    """What a question finds by a recipe, from a cache of its own: `{content: score}`, best first."""
    import recipes

    with recipes.cooked(recipe), hashed(home) as mesh:
        mesh.reindex(from_nothing=True)
        return {row["content"]: row["score"] for row in mesh.recall(question, n=9)}


@pytest.mark.parametrize("name", ["without neighbours", "without dates as words", "reciprocal rank fusion, k 60"])
def test_a_part_that_is_switched_off_makes_a_difference(home, name):
    """On turns of one conversation on two days, asked about one of the days."""
    import recipes

    for number, text in enumerate(["Lamps are lit", "So it is", "All of them", "Good", "Bread", "Doors shut"]):
        created = f"2026-0{1 + number % 2}-11T10:00:0{number}Z"
        write(home, f"shared/{number}.md", f"---\ncreated: {created}\nagent: Ann\nsource: talk\n---\n{text}\n")
    (recipe,) = [one for one in recipes.ALL if one.name == name]
    question = "lamps in February"
    assert order(home, recipe, question) != order(home, recipes.AS_IT_IS, question)


def test_charts_are_well_formed_whatever_the_names():
    """Also with characters that XML gives a meaning to, one point, and equal values."""
    import charts

    for drawing in (
        charts.rows("a < b & c", "x", {"one": {"p<q": 1.0, "r": 1.0}, "two": {"p<q": 98.5}}),
        charts.lines("title", "x", "y", {"a&b": [(0.1, 5.0, "<here>")], "c": [(0.1, 5.0, ""), (0.3, 9.0, "")]}),
    ):
        root = ElementTree.fromstring(drawing)
        assert root.tag.endswith("svg") and len(root) > 5
