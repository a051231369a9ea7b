"""What a caller may hand in, and that everything else is `InvalidInput`."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mesh import codec, inputs
from mesh.errors import InvalidInput
from mesh.memory import Memory, normalised

NOW = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
HOME = Path("/home/user/.mesh")


def accepted(check, *values):
    """What the check makes of the values, or None if it refuses them."""
    try:
        return check(*values)
    except InvalidInput as error:
        assert error.place and error.cause and error.remedy and error.exit_code == 2
        return None


# --- namespaces ----------------------------------------------------------------------------------------------

REFUSED_NAMES = [
    "",
    "   ",
    ".",
    "..",
    "../x",
    "a/../b",
    "/etc",
    "a/b",
    "a\\b",
    "C:",
    "c:\\x",
    "\\\\server\\share",
    "-rf",
    ".hidden",
    "_local",
    "~",
    "a.",
    "a..",
    "a b",
    "a\nb",
    "a\0b",
    "a" * 64,
    "a" * 300,
    unicodedata.normalize("NFD", "é"),
    "é",
    "ａ",
    "a\u202eb",
    *("con", "CON", "Con.txt", "prn", "aux", "nul", "NUL.md", "com1", "COM9.x", "lpt1", "lpt9"),
]


@pytest.mark.parametrize("name", REFUSED_NAMES)
def test_a_name_that_could_mislead_is_refused(name):
    """Nothing that some system reads as a path, a device or another name is a namespace."""
    with pytest.raises(InvalidInput, match="namespace"):
        inputs.namespace(name)


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("shared", "shared"),
        ("Shared", "shared"),
        ("MY-Project_2.x", "my-project_2.x"),
        ("  padded ", "padded"),
        ("0", "0"),
        ("a" * 63, "a" * 63),
        ("console", "console"),
        ("com10", "com10"),
        ("a.con", "a.con"),
    ],
)
def test_an_ordinary_name_is_folded_to_lower_case(given_name, kept):
    """Upper case and outer spaces do not make another namespace."""
    assert inputs.namespace(given_name) == kept


@given(st.text(st.sampled_from("aZ0._-/\\:~ \n\0éＡ\u0301\u2215K") | st.characters(), max_size=70))
@example("K")
def test_an_accepted_name_is_one_part_of_a_path_and_stays_in_the_home(name):
    """Whatever is accepted names a folder directly in the home, on every system."""
    kept = accepted(inputs.namespace, name)
    if kept is None:
        return
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,62}", kept)
    assert not set(kept) & set("/\\:\0") and not kept.endswith(".")
    assert (HOME / kept).parent == HOME and Path(HOME / kept).resolve().is_relative_to(HOME)
    assert inputs.namespace(kept) == kept, "folding once is enough"
    devices = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
    assert kept.split(".")[0] not in devices


# --- texts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", " \n\t", "a\0b", "half \ud800", None, 5, b"bytes"])
def test_what_is_no_text_is_refused(value):
    """Nothing, a NUL, half a character and other types cannot stand in a memory or a question."""
    for check in (inputs.content, inputs.query):
        with pytest.raises(InvalidInput):
            check(value)


def test_a_content_is_limited_in_bytes_not_in_characters():
    """64 KiB are the limit, of UTF-8."""
    assert inputs.content("x" * inputs.MAX_CONTENT_BYTES)
    assert inputs.content("é" * (inputs.MAX_CONTENT_BYTES // 2))
    with pytest.raises(InvalidInput, match="65,538 bytes"):
        inputs.content("é" * (inputs.MAX_CONTENT_BYTES // 2 + 1))


def test_a_merge_conflict_is_no_content():
    """Its file would be refused as soon as it was read."""
    with pytest.raises(InvalidInput, match="line 2 begins an unresolved merge"):
        inputs.content("text\n<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs")
    assert inputs.content("  <<<<<<< ours\n  =======\n  >>>>>>> theirs")


@given(st.text(max_size=300))
@example("---\ntype: x\n---\n")
@example("\ufeffbom")
@example("\r\r\n a\r\n\u2028b\x85")
@example("\x0b\na")
def test_an_accepted_content_is_read_back(value):
    """What is accepted can be written to a file, and the file says the same."""
    kept = accepted(inputs.content, value)
    if kept is not None:
        assert kept == normalised(kept)
        assert codec.read(codec.render(Memory(id="abcd", content=kept)), "shared/a.md").content == kept


@given(st.text(max_size=150))
def test_a_word_is_one_printable_line(value):
    """An agent, a source or a title never breaks a line or hides a control character."""
    kept = accepted(inputs.word, value, "title")
    if kept is not None:
        assert len(kept) <= inputs.MAX_WORD and kept.isprintable() and kept == kept.strip()


@pytest.mark.parametrize("value", ["~", "null", "NULL"])
def test_an_accepted_title_is_read_back(value):
    """A title that a file cannot say is refused, not silently dropped."""
    kept = accepted(inputs.word, value, "title")
    if kept:
        assert codec.read(codec.render(Memory(id="abcd", content="x", title=kept)), "shared/a.md").title == kept


@pytest.mark.parametrize("value", ["", " ", "a" * 129, "two\nlines", "tab\there", "\x1b[31m", None])
def test_an_agent_has_a_name_of_one_line(value):
    """Who writes is always named, without control characters."""
    with pytest.raises(InvalidInput):
        inputs.agent(value)


# --- tags and ids --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (None, ()),
        ([], ()),
        ("a, b,,#c", ("a", "b", "c")),
        (["#a", "a", " b "], ("a", "b")),
        (["", "#"], ()),
        (("über",), ("über",)),
    ],
)
def test_tags_are_kept_once_without_their_sign(values, kept):
    """A list or a string with commas, in the order given."""
    assert inputs.tags(values) == kept


def test_there_is_an_end_to_tags():
    """More than 32, and one with a comma, are refused."""
    assert len(inputs.tags([f"t{n}" for n in range(32)])) == 32
    with pytest.raises(InvalidInput, match="33"):
        inputs.tags([f"t{n}" for n in range(33)])
    with pytest.raises(InvalidInput, match="comma"):
        inputs.tags(["a,b"])


@given(st.lists(st.text(st.sampled_from("#ab ~'\""), min_size=1, max_size=5), max_size=3))
@example(["# a"])
@example(["##a"])
@example(["# #"])
@example(["# #a"])
def test_accepted_tags_are_read_back(values):
    """What is answered after learning is what a later reader finds in the file."""
    kept = accepted(inputs.tags, values)
    if kept is not None:
        assert codec.read(codec.render(Memory(id="abcd", content="x", tags=kept)), "shared/a.md").tags == kept


@pytest.mark.parametrize("value", ["abc", "", "../etc", "a b c d", "-abcd", "x" * 65, ["ok-id", "?"]])
def test_what_cannot_be_an_id_is_refused(value):
    """Too short, too long, a path, a blank."""
    with pytest.raises(InvalidInput):
        inputs.ids(value)


def test_one_id_or_several_may_be_given():
    """A string is one id; nothing is none."""
    assert inputs.ids("abcd") == ("abcd",)
    assert inputs.ids(["abcd", "efgh"]) == ("abcd", "efgh")
    assert inputs.ids(None) == ()


# --- numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf"), True, "0.5", None])
def test_a_confidence_is_a_number_from_0_to_1(value):
    """Not a number, a truth value and a text are none."""
    with pytest.raises(InvalidInput):
        inputs.fraction(value, "confidence")


@pytest.mark.parametrize("value", [0, -1, 1001, 1.0, True, "5", None])
def test_a_count_is_a_whole_number_from_1_to_1000(value):
    """Zero results are no question, and a thousand are enough."""
    with pytest.raises(InvalidInput):
        inputs.count(value)


@pytest.mark.parametrize("value", [0, -1, 36_501, float("nan"), float("inf"), True, "30"])
def test_a_time_to_live_is_a_positive_number_of_days(value):
    """At most a century; None is no limit."""
    with pytest.raises(InvalidInput):
        inputs.ttl_days(value)
    assert inputs.ttl_days(None) is None
    assert inputs.ttl_days(0.5) == 0.5


# --- times ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:30", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
        ("2026-01-31 12:30:15Z", datetime(2026, 1, 31, 12, 30, 15, tzinfo=UTC)),
        ("2026-01-31T12:30+02:00", datetime(2026, 1, 31, 10, 30, tzinfo=UTC)),
        ("3d", NOW - timedelta(days=3)),
        ("1 day ago", NOW - timedelta(days=1)),
        ("2 weeks ago", NOW - timedelta(weeks=2)),
        (" 90 Minutes ", NOW - timedelta(minutes=90)),
        ("5h", NOW - timedelta(hours=5)),
        ("99999 weeks", NOW - timedelta(weeks=99_999)),
        (None, None),
    ],
)
def test_a_time_is_a_date_or_a_span_ago(said, meant):
    """A time without a zone is UTC."""
    assert inputs.moment(said, "since", NOW) == meant


def test_yesterday_is_the_day_before_today():
    """Both begin at midnight where the user is."""
    today, yesterday = (inputs.moment(word, "since", NOW) for word in ("today", "Yesterday"))
    assert today <= NOW < today + timedelta(days=1)
    assert today - yesterday == timedelta(days=1)
    assert today.astimezone().hour == 0


@pytest.mark.parametrize(
    "said", ["", "soon", "2026-13-01", "2026-02-30", "31.1.2026", "3 fortnights", "-3d", "0000-01-01"]
)
def test_what_is_no_time_is_refused(said):
    """With the forms that are."""
    with pytest.raises(InvalidInput, match="2026-01-31"):
        inputs.moment(said, "since", NOW)


@given(st.text(st.sampled_from("0123456789dwhm TZ:+-.ago") | st.characters(), max_size=30))
@example("0001-01-01T00:00+14:00")
@example("9999-12-31T23:59-14:00")
@example("٣d")
def test_any_text_is_a_time_in_utc_or_refused(said):
    """No text makes another error."""
    found = accepted(inputs.moment, said, "since", NOW)
    assert found is None or found.utcoffset() == timedelta(0)


# --- whatever a program sends --------------------------------------------------------------------------------

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
CHECKS = {
    "namespace": inputs.namespace,
    "content": inputs.content,
    "query": inputs.query,
    "memory_type": inputs.memory_type,
    "agent": inputs.agent,
    "fraction": lambda value: inputs.fraction(value, "confidence"),
    "count": inputs.count,
    "tags": inputs.tags,
    "ids": inputs.ids,
    "ttl_days": inputs.ttl_days,
    "moment": lambda value: inputs.moment(value, "since", NOW),
}
UNGUARDED = {
    "tags": 5,
    "ids": 5,
    "ttl_days": 10**400,
    "moment": 5,
}


@pytest.mark.parametrize("name", sorted(CHECKS.keys() - UNGUARDED.keys()))
@given(value=ANY_JSON)
def test_any_value_is_accepted_or_refused(name, value):
    """A program may send whatever JSON can say: `InvalidInput` is the only error."""
    accepted(CHECKS[name], value)


@pytest.mark.parametrize("name", sorted(UNGUARDED))
def test_a_value_of_another_type_is_refused(name):
    """A program may send whatever JSON can say: `InvalidInput` is the only error."""
    accepted(CHECKS[name], UNGUARDED[name])
