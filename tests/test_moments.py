"""The time that a question names, and what only looks like one."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mesh.index.dated import MAY_NAME_ONE
from mesh.moments import MAX_LENGTH, named

NOW = datetime(2026, 11, 23, 10, 30).astimezone()  # a Monday, wherever this runs


def said(question, now=NOW):
    """`start .. end` of the span that is named, without midnights; None if there is none."""
    found = named(question, now)
    if found is None:
        return None
    ends = (found.span.start, found.span.end)
    return " .. ".join(str(end or "").removesuffix(":00").removesuffix(" 00:00") for end in ends).strip()


NAMED = {
    # counted from now
    "yesterday": "2026-11-22 .. 2026-11-23",
    "What did Ann say Yesterday?": "2026-11-22 .. 2026-11-23",
    "yesterday's standup": "2026-11-22 .. 2026-11-23",
    "what did we learn today": "2026-11-23 .. 2026-11-24",
    "notes of this morning": "2026-11-23 .. 2026-11-24",
    "the day before yesterday": "2026-11-21 .. 2026-11-22",
    "what broke last night?": "2026-11-22 18:00 .. 2026-11-23 06:00",
    "last week": "2026-11-16 .. 2026-11-23",
    "this week": "2026-11-23 .. 2026-11-30",
    "previous month": "2026-10-01 .. 2026-11-01",
    "this quarter": "2026-10-01 .. 2027-01-01",
    "last quarter": "2026-07-01 .. 2026-10-01",
    "last year": "2025-01-01 .. 2026-01-01",
    "over the last week": "2026-11-16 .. 2026-11-24",
    "the past month": "2026-10-23 .. 2026-11-24",
    "the last 5 days": "2026-11-18 .. 2026-11-24",
    "last two weeks": "2026-11-09 .. 2026-11-24",
    "in the last 24 hours": "2026-11-22 10:30 .. 2026-11-23 10:30",
    "last weekend": "2026-11-21 .. 2026-11-23",
    "3 days ago": "2026-11-20 .. 2026-11-21",
    "a week ago": "2026-11-16 .. 2026-11-23",
    "three months ago": "2026-08-01 .. 2026-09-01",
    "2 years ago": "2024-01-01 .. 2025-01-01",
    "a couple of days ago": "2026-11-20 .. 2026-11-22",
    "a few weeks ago": "2026-10-12 .. 2026-11-16",
    "12 hours ago": "2026-11-22 22:00 .. 2026-11-22 23:00",
    # days of the week
    "last Friday": "2026-11-20 .. 2026-11-21",
    "last Monday": "2026-11-16 .. 2026-11-17",
    "What did we say on Sunday?": "2026-11-22 .. 2026-11-23",
    "what happened since Wednesday": "2026-11-18 ..",
    # without a year
    "in May": "2026-05-01 .. 2026-06-01",
    "What did we decide in December?": "2025-12-01 .. 2026-01-01",
    "last November": "2025-11-01 .. 2025-12-01",
    "what is new since May?": "2026-05-01 ..",
    "on 8 May": "2026-05-08 .. 2026-05-09",
    "on December 24th": "2025-12-24 .. 2025-12-25",
    "What did we do on 29 February?": "2024-02-29 .. 2024-03-01",
    "in mid-May": "2026-05-11 .. 2026-05-21",
    "at the end of March": "2026-03-21 .. 2026-04-01",
    # dates
    "May 2023": "2023-05-01 .. 2023-06-01",
    "sept. 2023": "2023-09-01 .. 2023-10-01",
    "early May 2023": "2023-05-01 .. 2023-05-11",
    "late May of 2023": "2023-05-21 .. 2023-06-01",
    "8 May 2023": "2023-05-08 .. 2023-05-09",
    "the 8th of May, 2023": "2023-05-08 .. 2023-05-09",
    "May 8th": "2026-05-08 .. 2026-05-09",
    "May 8, 2023": "2023-05-08 .. 2023-05-09",
    "May 8th,2023": "2023-05-08 .. 2023-05-09",
    "on Monday, 8 May 2023": "2023-05-08 .. 2023-05-09",
    "2023-05-08": "2023-05-08 .. 2023-05-09",
    "2023/05/08": "2023-05-08 .. 2023-05-09",
    "at 2023-05-08T13:56Z": "2023-05-08 .. 2023-05-09",
    "decisions of 2023-05": "2023-05-01 .. 2023-06-01",
    "29 February 2024": "2024-02-29 .. 2024-03-01",
    "31 December 2025": "2025-12-31 .. 2026-01-01",
    "What happened in 2023?": "2023-01-01 .. 2024-01-01",
    "early 2023": "2023-01-01 .. 2023-05-02",
    "in late 2023": "2023-08-31 .. 2024-01-01",
    "Q2 2023": "2023-04-01 .. 2023-07-01",
    "2023-Q4": "2023-10-01 .. 2024-01-01",
    # before and after
    "since 2023-05-08": "2023-05-08 ..",
    "after 8 May 2023": "2023-05-09 ..",
    "before May 2023": ".. 2023-05-01",
    "until May 2023": ".. 2023-06-01",
    "by July 10, 2022": ".. 2022-07-11",
    "since last week": "2026-11-16 ..",
    "since two weeks ago": "2026-11-09 ..",
    # from one to another
    "between 2023-05-08 and 2023-06-01": "2023-05-08 .. 2023-06-02",
    "from May to July 2023": "2023-05-01 .. 2023-08-01",
    "between August 11 and August 15 2023": "2023-08-11 .. 2023-08-16",
    "between 11 and 15 August 2023": "2023-08-11 .. 2023-08-16",
    "August 11-15, 2023": "2023-08-11 .. 2023-08-16",
    "from 2021 to 2023": "2021-01-01 .. 2024-01-01",
    "from November to February": "2025-11-01 .. 2026-03-01",
    "in May and June 2023": "2023-05-01 .. 2023-07-01",
    "between yesterday and today": "2026-11-22 .. 2026-11-24",
    # two of which one says more
    "last Friday, on 20 January 2023": "2023-01-20 .. 2023-01-21",
    "in 2023, on 8 May 2023": "2023-05-08 .. 2023-05-09",
}

NOT_NAMED = """
How do we deploy?
May I restart the server?
Who may push to main?
this may fail
What may 5 people share?
What did May say?
when is June's birthday
Did they march 10 miles?
march on
a second opinion
the sun is out
What happens in May?
What will happen in May?
Who is away on 8 May?
in May next year
What do we do on Monday?
every Monday
on Mondays
this December
Which database do we use today?
retention of 30 days
Are backups kept for 5 days?
5 days
over 3 years ago
more than a week ago
in 3 days
next week
tomorrow
past due
the last day of the trip
the last week of the project
the past weeks
port 2023
version 2023.5
python 2023
in 2023.5
limit it to 2023 rows
in 2023 requests
room 1984
the late 1980's
logs/2023-05-08.log
/2023/05
release-2023-05-08
CVE-2023-05
31 June 2023
29 February 2023
2023-13-01
2023-02-30
8/5/2023
the week before 8 May 2023
two weeks before August 11, 2023
what changed from 2023-05-08 in 2021
what did we decide recently
the latest decision
999 years ago
between May 2023 and May 2021
what says "last week"
`git log --since yesterday`
“in May 2023”
""".strip().splitlines()


@pytest.mark.parametrize(("question", "span"), NAMED.items())
def test_a_time_is_read(question, span):
    """As a reader would on Monday, 23 November 2026, at 10:30."""
    assert said(question) == span
    assert MAY_NAME_ONE.search(question), "recall would not even read it"


@pytest.mark.parametrize("question", NOT_NAMED)
def test_what_may_be_something_else_is_no_time(question):
    """A verb, a name, a number, a length, a path; something to come; a quotation; more than one time."""
    assert said(question) is None


@pytest.mark.parametrize(
    "around", ["{}", "  {}  ", "{}?", "({})", "What did we decide {}, and why?", "staging {}", "é {}"]
)
def test_a_time_is_read_wherever_it_stands(around):
    """Alone, at either end, in the middle, after letters of other alphabets."""
    for question in ("last week", "3 days ago", "in May 2023", "on 2023-05-08", "on 8 May 2023", "in 2023"):
        assert said(around.format(question)) == said(question), question


def test_case_does_not_count():
    """Nobody types capitals into a search box."""
    for question, span in NAMED.items():
        assert said(question.lower()) == said(question.upper()) == span


def test_the_rest_is_what_else_is_asked():
    """The words of the time are taken out of it; whether they are counted from now is said."""
    found = named("What did we decide last week about staging?", NOW)
    assert found.rest.split() == "What did we decide about staging?".split() and found.relative
    assert not named("staging in May 2023", NOW).relative


@pytest.mark.parametrize(
    ("now", "question", "span"),
    [
        ((2027, 1, 1), "yesterday", "2026-12-31 .. 2027-01-01"),
        ((2027, 1, 1), "last month", "2026-12-01 .. 2027-01-01"),
        ((2027, 1, 1), "last week", "2026-12-21 .. 2026-12-28"),
        ((2027, 1, 1), "last quarter", "2026-10-01 .. 2027-01-01"),
        ((2027, 1, 1), "in January", "2027-01-01 .. 2027-02-01"),
        ((2027, 1, 1), "last January", "2026-01-01 .. 2026-02-01"),
        ((2028, 2, 29), "a year ago", "2027-01-01 .. 2028-01-01"),
        ((2028, 2, 29), "the past year", "2027-02-28 .. 2028-03-01"),
        ((2028, 2, 29), "today", "2028-02-29 .. 2028-03-01"),
        ((2028, 3, 31), "the past month", "2028-02-29 .. 2028-04-01"),
        ((2026, 11, 22), "this week", "2026-11-16 .. 2026-11-23"),
        ((2026, 11, 22), "last Sunday", "2026-11-15 .. 2026-11-16"),
    ],
)
def test_the_calendar_turns(now, question, span):
    """Years, leap days, short months; a week begins on Monday."""
    assert said(question, datetime(*now, 12).astimezone()) == span


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of a process cannot be set here")
@pytest.mark.parametrize(
    ("zone", "span"),
    [
        ("UTC0", "2026-11-22 .. 2026-11-23"),
        ("LAX8", "2026-11-21 .. 2026-11-22"),
        ("KIR-14", "2026-11-22 .. 2026-11-23"),
    ],
)
def test_a_day_is_one_of_this_machine(zone, span, monkeypatch):
    """`now` may come in any time zone: yesterday is what the clock on the wall says."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        now = datetime(2026, 11, 23, 3, tzinfo=UTC)
        assert said("yesterday", now) == said("yesterday", now.astimezone(timezone(timedelta(hours=5)))) == span
        hours = {"UTC0": 0, "LAX8": 8, "KIR-14": -14}[zone]
        found = named("8 May 2023", now).span
        assert found.local()[0] - found.utc()[0] == hours * 3600
    finally:
        monkeypatch.undo()
        time.tzset()


_PIECES = st.sampled_from(
    [word for question in NAMED for word in question.split()]
    + "to and - – , . 0 12 31 99 2023 1971 2100 last may of ago before between ' \" ` İ \u0130 １２".split()
)


@given(st.text(max_size=200) | st.lists(_PIECES, max_size=12).map(" ".join))
@example("x" * (MAX_LENGTH + 1) + " yesterday")
@example("2100-12-31")
@example("before 1971-01-01")
@example("999 months ago")
@example("the past 999 years")
def test_any_text_names_a_span_or_nothing(question):
    """It never raises, and no span is empty or beyond what clocks can say."""
    found = named(question, NOW)
    assert found is None or MAY_NAME_ONE.search(question), "recall would not even read it"
    if found:
        start, end = found.span.local()
        assert start < end and found.span.utc()[0] < found.span.utc()[1]
        assert len(found.rest) == len(question)
