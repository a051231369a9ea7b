"""The record: ids, names, ageing, and content as it counts."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mesh.memory import (
    ID_FORM,
    STALE_BELOW,
    Memory,
    Problem,
    derived_id,
    iso,
    new_id,
    normalised,
    slug,
    time_of_id,
)

NOW = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
MADE = re.compile(r"[0-9a-hjkmnp-tv-z]{16}\Z")
INSTANT = timedelta(microseconds=1000)
DAY = timedelta(days=1)

moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
ageing = st.builds(
    Memory,
    id=st.just("mine"),
    content=st.just("x"),
    created=moments,
    expires=st.none() | moments,
    confidence=st.floats(0, 1),
)

spans = st.timedeltas(timedelta(seconds=1), timedelta(days=4000))
falling = st.builds(
    lambda born, life, confidence: Memory(
        id="mine", content="x", created=born, expires=born + life, confidence=confidence
    ),
    moments,
    spans,
    st.sampled_from([STALE_BELOW, 1.0, 0.0]) | st.floats(0, STALE_BELOW - 1e-6) | st.floats(STALE_BELOW + 1e-6, 1),
)


# --- ids -----------------------------------------------------------------------------------------------------


def test_ids_of_one_process_are_unique_and_in_order():
    """Threads that make ids at once never make the same, and one thread's ids sort as they were made."""
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: [new_id() for _ in range(5000)], range(4)))
    everything = [one for run in runs for one in run]
    assert len(set(everything)) == len(everything)
    assert all(run == sorted(run) for run in runs)


def test_ids_of_several_processes_are_unique():
    """Processes know nothing of each other, and need not."""
    script = "from mesh.memory import new_id\nprint('\\n'.join(new_id() for _ in range(2000)))"
    started = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    ids = [one for process in started for one in process.communicate()[0].split()]
    assert len(ids) == len(set(ids)) == 6000


@given(st.lists(st.integers(0, (1 << 48) - 2), min_size=2, max_size=30))
def test_ids_sort_by_their_time_whatever_the_clock_does(times):
    """An id of a later millisecond is greater, also when the clock goes back in between."""
    made = [(when, new_id(when)) for when in times]
    assert len({one for _, one in made}) == len(made)
    for when, one in made:
        assert MADE.match(one) and ID_FORM.match(one)
        assert all((when < other) <= (one < two) for other, two in made)


@given(st.integers(0, 253_402_300_799_999))
def test_an_id_tells_when_it_was_made(milliseconds):
    """To the millisecond, until the year 9999."""
    found = time_of_id(new_id(milliseconds))
    assert abs(found - datetime(1970, 1, 1, tzinfo=UTC) - timedelta(milliseconds=milliseconds)) < INSTANT


@given(st.text(max_size=20))
@example("7zzzzzzzzzzzzzzz")
@example("0000000000000000\n")
def test_any_id_has_a_time_or_none(text):
    """A user's own id is no time, and never an error."""
    found = time_of_id(text)
    assert found is None or (MADE.match(text) and found.tzinfo)


@given(st.text(min_size=1, max_size=60))
def test_a_derived_id_is_a_function_of_the_path(path):
    """The same on every machine, in either Unicode form, of the form of an id, and not one of Mesh's own making."""
    found = derived_id(path)
    assert found == derived_id(unicodedata.normalize("NFD", unicodedata.normalize("NFC", path)))
    assert re.fullmatch(r"x[0-9a-hjkmnp-tv-z]{15}", found)
    assert time_of_id(found) is None


def test_a_derived_id_never_changes():
    """These are in people's files as `supersedes`: the function is part of the format."""
    assert derived_id("shared/a.md") == "x" + "".join(_first_15_of_sha256("shared/a.md"))
    assert derived_id("shared/b.md") != derived_id("shared/a.md")


def _first_15_of_sha256(path):
    import hashlib

    bits = "".join(f"{byte:08b}" for byte in hashlib.sha256(path.encode()).digest())
    return ("0123456789abcdefghjkmnpqrstvwxyz"[int(bits[at : at + 5], 2)] for at in range(0, 75, 5))


def test_a_name_that_is_no_unicode_has_a_derived_id():
    """A file name of any bytes can be named."""
    assert derived_id("shared/\udcff.md").startswith("x")


# --- slugs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The API rate limit is 100 requests/min", "the-api-rate-limit-is-100-requests-min"),
        ("# Heading\n\nText", "heading"),
        ("\n\n  ***\nsecond line", "second-line"),
        ("Don't panic", "dont-panic"),
        ("Ünïcödé Straße", "unicode-strae"),
        ("日本語", "memory"),
        ("", "memory"),
        ("x" * 100, "x" * 48),
        ("../../etc/passwd", "etc-passwd"),
        ("word " * 30, "word-word-word-word-word-word-word-word-word"),
    ],
)
def test_a_slug_is_the_first_line_in_plain_words(text, name):
    """Cut at a word, never longer than 48."""
    assert slug(text) == name


@given(st.text(max_size=500))
def test_a_slug_is_always_a_harmless_name(text):
    """Only `[a-z0-9-]`, not empty, no hyphen at either end."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug(text))
    assert len(slug(text)) <= 48


# --- ageing --------------------------------------------------------------------------------------------------


@given(ageing, moments, moments)
def test_effective_confidence_only_falls(memory, one, other):
    """Between 0 and the confidence, never rising with time, 0 from `expires` on."""
    earlier, later = sorted((one, other))
    assert 0 <= memory.effective_confidence(later) <= memory.effective_confidence(earlier) <= memory.confidence
    if memory.expires:
        assert memory.effective_confidence(memory.expires) == 0


@given(st.floats(0, 1), moments, moments)
def test_what_does_not_expire_does_not_age(confidence, born, now):
    """Without `expires` the confidence is what it is, and nothing is ever stale."""
    memory = Memory(id="mine", content="x", created=born, confidence=confidence)
    assert memory.effective_confidence(now) == memory.confidence
    assert not memory.is_stale(now) and memory.days_until_stale(now) is None


def test_confidence_falls_in_a_straight_line():
    """Half of it is left half-way, and 30% of it is where it turns stale."""
    memory = Memory(id="mine", content="x", created=NOW, expires=NOW + 10 * DAY, confidence=0.8)
    assert memory.effective_confidence(NOW) == 0.8
    assert memory.effective_confidence(NOW + 5 * DAY) == pytest.approx(0.4)
    assert memory.days_until_stale(NOW) == pytest.approx(10 * (1 - 0.3 / 0.8))


def days_and_turn_agree(memory, now):
    days = memory.days_until_stale(now)
    if memory.is_stale(now):
        assert days == 0
        return
    turn = now + timedelta(days=days)
    assert memory.is_stale(turn + INSTANT)
    assert days <= 0 or not memory.is_stale(turn - INSTANT)


@given(falling, moments)
@example(Memory(id="mine", content="x", created=NOW, expires=NOW + DAY, confidence=STALE_BELOW), NOW)
def test_days_until_stale_is_when_it_turns_stale(memory, now):
    """Just before it is not, just after it is."""
    days_and_turn_agree(memory, now)


@pytest.mark.parametrize("created", [None, NOW + 20 * DAY], ids=["no birth", "born after it expires"])
def test_days_until_stale_of_a_memory_without_a_slope_is_its_expiry(created):
    """Where the birth is not known, confidence stays until `expires`, and so does freshness."""
    days_and_turn_agree(Memory(id="mine", content="x", created=created, expires=NOW + 10 * DAY), NOW)


def test_birth_is_created_or_the_time_in_the_id():
    """What a person wrote counts more than what an id says."""
    made = new_id(int(NOW.timestamp() * 1000))
    assert Memory(id=made, content="x").born == NOW
    assert Memory(id=made, content="x", created=NOW - DAY).born == NOW - DAY
    assert Memory(id="mine", content="x").born is None


# --- content -------------------------------------------------------------------------------------------------


@given(st.text(st.sampled_from("a \t\r\n\x0b\x85\u2028") | st.characters(), max_size=40))
@example("\x0b\n a")
@example("\r\r\n\na \r")
def test_normalising_twice_changes_nothing(text):
    """Content has one form."""
    assert normalised(normalised(text)) == normalised(text)


def test_the_first_lines_indentation_is_content():
    """A memory may begin with indented code; only whole blank lines go."""
    assert normalised(" \n\t\n    code\r\nmore  \n\n") == "    code\nmore"


def test_times_are_written_in_utc():
    """Whatever the zone, to the second."""
    there = datetime(2026, 11, 22, 9, 42, 10, 999, tzinfo=timezone(timedelta(hours=2)))
    assert iso(there) == "2026-11-22T07:42:10Z"


def test_a_problem_names_its_place():
    """With the line where there is one."""
    assert str(Problem("a.md", 3, "created", "it is bad", "Mend it")) == "a.md:3: it is bad. Mend it"
    assert str(Problem("a.md", 0, "", "it is bad", "Mend it")) == "a.md: it is bad. Mend it"


def test_a_clock_that_stands_still_makes_no_equal_ids():
    """A thousand ids of one millisecond are a thousand ids, in order."""
    now = time.time_ns() // 1_000_000
    made = [new_id(now) for _ in range(1000)]
    assert len(set(made)) == len(made) and made == sorted(made)


def test_a_millisecond_never_runs_out_of_ids(monkeypatch):
    """Also when the random part was the greatest there is, the next ids come after it, in order."""
    now = time.time_ns() // 1_000_000
    monkeypatch.setattr("mesh.memory._last_id", now << 30 | (1 << 29) - 1)
    made = [new_id(now) for _ in range(10)]
    assert made == sorted(made)
