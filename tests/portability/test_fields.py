"""What other programs write into the fields of a memory, and what becomes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh import inputs
from mesh.errors import InvalidInput
from mesh.memory import TYPES, iso
from mesh.portability import fields

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(st.characters(), max_size=300)
    | st.datetimes()
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=40) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=40,
)


# --- times ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00.987654",
        "2026-01-31T12:00:00.123+00:00",
        "2026-01-31T14:00:00+02:00",
        "2026-01-31T04:00-08:00",
        "2026-01-31 12:00:00 UTC",
        " 2026-01-31t12:00:00z ",
        1769860800,
        1769860800.25,
        1769860800123,
        1769860800123456,
        "1769860800",
        datetime(2026, 1, 31, 12, 0, 0, 5),
        NOON + timedelta(milliseconds=3),
    ],
)
def test_a_moment_is_understood_in_the_forms_programs_write(value):
    """ISO with or without a zone (none is UTC), a space for the T, seconds or smaller units since 1970."""
    assert fields.when(value) == NOON


@pytest.mark.parametrize(
    "value", ["", "yesterday", "2026", 2026, 0, -1, True, None, [], {}, float("nan"), 1e30, "9" * 400]
)
def test_what_is_no_moment_is_none(value):
    """A year, a count or a word is not taken for a time in 1970."""
    assert fields.when(value) is None


def test_a_day_is_its_first_moment():
    assert fields.when("2026-01-31") == datetime(2026, 1, 31, tzinfo=UTC)


@given(anything)
def test_every_time_that_is_understood_can_stand_in_a_file(value):
    """It is aware, whole seconds, and comes back from the form in which files hold it."""
    moment = fields.when(value)
    assert moment is None or fields.when(iso(moment)) == moment


# --- expiry --------------------------------------------------------------------------------------------------


def test_a_life_counts_from_its_renewal():
    """`ttl_days` counts from `decay_start`, where there is one, else from the beginning."""
    renewed = NOON + timedelta(days=10)
    assert fields.expires(NOON, None, 1.5) == NOON + timedelta(days=1.5)
    assert fields.expires(NOON, renewed, "2") == renewed + timedelta(days=2)


@pytest.mark.parametrize("days", [None, 0, -3, "soon", float("inf"), 10**9, True, []])
def test_what_is_no_length_of_life_means_for_ever(days):
    assert fields.expires(NOON, None, days) is None


def test_without_a_beginning_there_is_no_end():
    assert fields.expires(None, None, 30) is None


@given(st.datetimes(timezones=st.just(UTC)), anything)
def test_an_end_lies_after_its_beginning(start, days):
    """Whatever stands for the days, and also at the end of all years."""
    end = fields.expires(start.replace(microsecond=0), None, days)
    assert end is None or end >= start.replace(microsecond=0)


# --- words ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (["api", "#limits", " a  b "], ("api", "limits", "a b")),
        ("api, #limits,,api", ("api", "limits")),
        ('["api", "limits"]', ("api", "limits")),
        ("[api, limits]", ("api", "limits")),
        ('["broken', ('"broken',)),
        (["one,two", 3, None, True, ["x"], {}], ("one", "two", "3")),
        (["line\nbreak", "a\0b"], ("line break", "a b")),
        (None, ()),
        (7, ()),
        ({"a": 1}, ()),
        ("", ()),
    ],
)
def test_tags_are_found_in_the_forms_programs_write(value, kept):
    assert fields.tags(value) == kept


def test_too_many_and_too_long_tags_are_cut():
    """The first ones are kept, and the beginning of a long one."""
    many = fields.tags([f"t{number}" for number in range(100)])
    assert many == tuple(f"t{number}" for number in range(inputs.MAX_TAGS))
    assert fields.tags(["x" * 500]) == ("x" * inputs.MAX_WORD,)


@given(anything)
def test_tags_are_always_tags(value):
    """What comes out is accepted as it is."""
    kept = fields.tags(value)
    assert inputs.tags(kept) == kept


@given(anything, st.sampled_from(["agent", "source", "title", "tag"]))
def test_a_word_is_always_one(value, place):
    """What comes out is accepted as it is; "null" and the like are nothing, since YAML takes them for it."""
    kept = fields.word(value, place)
    assert inputs.word(kept, place) == kept


def test_a_word_is_one_line():
    assert fields.word("  Ada\n Lovelace\t", "agent") == "Ada Lovelace"
    assert fields.word("null", "agent") == ""
    assert fields.word("null", "tag") == "null"
    assert fields.word(12, "agent") == "12"


# --- type, confidence, truth ---------------------------------------------------------------------------------


@pytest.mark.parametrize("known", TYPES)
def test_a_known_type_is_itself(known):
    assert fields.memory_type(known.upper().replace("_", "-")) == (known, None)


def test_a_foreign_type_is_kept_as_a_tag():
    """It is "general", since "fact" would claim something; none at all is Mesh's own default."""
    assert fields.memory_type("episodic") == ("general", "episodic")
    assert fields.type_and_tags("episodic", ["a"]) == ("general", ("episodic", "a"))
    assert fields.type_and_tags("Fact", ["a"]) == ("fact", ("a",))
    assert fields.type_and_tags(None, None) == ("fact", ())


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *[(0.8, 0.8), ("0.8", 0.8), (1, 1.0), (0, 0.0), (7, 1.0), (-2, 0.0), (1e-9, 0.0)],
        *[(None, 1.0), ("high", 1.0), (float("nan"), 1.0), (True, 1.0), ([], 1.0)],
    ],
)
def test_confidence_is_from_0_to_1(value, number):
    assert fields.confidence(value) == number


@given(anything)
def test_confidence_can_stand_in_a_file(value):
    """As a decimal fraction without an exponent."""
    kept = fields.confidence(value)
    assert inputs.fraction(kept, "confidence") == kept
    assert "e" not in f"{kept:.12g}"


def test_what_is_not_plainly_false_is_true():
    """What is not understood must not be shared."""
    assert not any(fields.truth(value) for value in (None, False, 0, 0.0, "", "0", "false", " No "))
    assert all(fields.truth(value) for value in (True, 1, "true", "yes", "2", "?", [], {}, float("nan")))


# --- content -------------------------------------------------------------------------------------------------


@given(anything)
def test_content_is_kept_or_refused(value):
    """Whatever comes, no other error than `InvalidInput`, and no other text than the one given."""
    try:
        kept = fields.content(value)
    except InvalidInput as error:
        problem = fields.refused("a.json: memory 1", error)
        assert str(problem).startswith("a.json: memory 1: its content cannot be kept (")
    else:
        assert inputs.content(kept) == kept


@given(anything)
def test_nothing_else_is_ever_refused(value):
    fields.own_id(value)
    fields.type_and_tags(value, value)
    fields.truth(value)
    fields.expires(fields.when(value), None, value)
