"""Questions that name a time: the memories of that time come forward, the others stay where they are."""

import time
from datetime import UTC, datetime

import pytest
from hashing import hashed, wordsonly, write

from mesh import Mesh, moments
from mesh.index.filters import Filters
from mesh.ranking import OF_ITS_TIME
from mesh.recall import recall

NOW = datetime(2026, 5, 20, 15, 0, tzinfo=UTC)  # a Wednesday

VAULT = {
    "2026-05-20T09:10Z": "Standup: Tom is waiting for the review of the search page",
    "2026-05-19T09:10Z": "Standup: Priya is held up by the flaky login test",
    "2026-05-18T09:10Z": "Standup: Lee is waiting for access to the billing repository",
    "2026-05-12T09:10Z": "Standup: Tom cannot work because the build machine is down",
    "2026-05-13T14:00Z": "We decided that staging is rebuilt every night",
    "2025-05-14T14:00Z": "We decided that staging keeps its data for a week",
    "2026-02-10T14:00Z": "We decided that staging runs on two machines",
    "2026-04-22T03:40Z": "Outage: the payment queue was full for two hours",
    "2025-11-03T03:40Z": "Outage: the certificate had expired",
    "2023-05-17T03:40Z": "Outage: the disk of the log server was full",
    "2026-05-04T11:00Z": "Interviewed Dana for the backend role",
    "2026-05-15T11:00Z": "Interviewed Ines for the backend role",
    "2025-09-09T11:00Z": "Interviewed Boris for the backend role",
    "2026-02-05T10:00Z": "The cloud budget is 4,000 a month",
    "2025-08-05T10:00Z": "The cloud budget is 3,000 a month",
    "2026-04-28T10:00Z": "The cloud budget is 5,000 a month",
    "2023-05-08T16:00Z": "Retrospective: too many meetings, too little time to review",
    "2023-06-09T16:00Z": "Retrospective: the tests take too long",
    "2024-05-06T16:00Z": "Retrospective: nobody answers the support mail",
    "2026-04-16T10:00Z": "In May the office moves to the second floor",
    "2025-05-12T10:00Z": "The office got new chairs",
    "2026-05-16T12:00Z": "Ann cleaned the coffee machine at the office on her day off",
    "2025-12-03T12:00Z": "The customer Acme asked for single sign-on",
    "2026-05-07T12:00Z": "The customer Acme asked for a discount",
    "2026-03-11T12:00Z": "The customer Acme asked for an export to CSV",
    "2024-02-29T12:00Z": "The customer Acme signed the contract",
    "2021-07-01T12:00Z": "The customer Acme wrote to us for the first time",
    "2026-01-20T12:00Z": "Backups are kept for 30 days",
    "2025-06-20T12:00Z": "The metrics server listens on port 2023",
    "2026-03-02T12:00Z": "May thinks that the logo needs more contrast",
    "2025-05-20T12:00Z": "The logo is a blue mesh on white",
}

# What is asked, and how the memory begins that any reader would give. Most are told apart by their time alone.
ASKED = {
    "Who was held up yesterday?": "Standup: Priya",
    "standup yesterday": "Standup: Priya",
    "What did Tom say in the standup today?": "Standup: Tom is waiting",
    "standup the day before yesterday": "Standup: Lee",
    "standup 8 days ago": "Standup: Tom cannot",
    "standup on Tuesday, 12 May": "Standup: Tom cannot",
    "What did we decide last week about staging?": "We decided that staging is rebuilt",
    "What did we decide last year about staging?": "We decided that staging keeps",
    "What did we decide in February about staging?": "We decided that staging runs",
    "What did we decide 3 months ago about staging?": "We decided that staging runs",
    "Which outage did we have last month?": "Outage: the payment",
    "Why was there an outage in November?": "Outage: the certificate",
    "outage in May 2023": "Outage: the disk",
    "outage since January": "Outage: the payment",
    "the outage before 2024": "Outage: the disk",
    "Whom did we interview last Friday?": "Interviewed Ines",
    "Whom did we interview on Friday?": "Interviewed Ines",
    "Whom did we interview on 4 May?": "Interviewed Dana",
    "Whom did we interview in early May?": "Interviewed Dana",
    "Whom did we interview in September?": "Interviewed Boris",
    "What was the cloud budget last quarter?": "The cloud budget is 4,000",
    "What is the cloud budget this quarter?": "The cloud budget is 5,000",
    "What was the cloud budget in August 2025?": "The cloud budget is 3,000",
    "cloud budget between January and March 2026": "The cloud budget is 4,000",
    "retrospective of 2023-05-08": "Retrospective: too many",
    "retrospective of May 8th, 2023": "Retrospective: too many",
    "What came out of the retrospective in mid-2023?": "Retrospective:",
    "retrospective in June 2023": "Retrospective: the tests",
    "What came out of the retrospective two years ago?": "Retrospective: nobody",
    "What happened at the office last weekend?": "Ann cleaned",
    "What did Acme ask for in the last 3 weeks?": "The customer Acme asked for a discount",
    "What did Acme ask for last December?": "The customer Acme asked for single",
    "What did Acme ask for in March?": "The customer Acme asked for an export",
    "What did Acme do on 29 February 2024?": "The customer Acme signed",
    "Acme from 2020 to 2022": "The customer Acme wrote",
    "What will happen at the office in May?": "In May the office moves",
    "Are backups kept for 30 days?": "Backups are kept",
    "What listens on port 2023?": "The metrics server",
    "What does May think of the logo?": "May thinks",
}


@pytest.fixture
def in_utc(monkeypatch):
    """The machine's clock shows UTC."""
    monkeypatch.setenv("TZ", "UTC")
    if hasattr(time, "tzset"):
        time.tzset()
        yield
        monkeypatch.undo()
        time.tzset()
    else:
        pytest.skip("the time zone of a process cannot be set here")


@pytest.fixture
def vault(home, in_utc):
    for number, (created, text) in enumerate(VAULT.items()):
        write(home, f"shared/{number:02}.md", f"---\ncreated: {created}\n---\n{text}\n")
    return home


def asked(mesh, question, n=10, **narrowed):
    return recall(mesh.workspace, question, n=n, filters=Filters(now=NOW, **narrowed))


def first(mesh, question):
    """The text of the best hit."""
    return next((hit.memory.content for hit in asked(mesh, question, 1).hits), "")


@pytest.fixture
def forgetful(monkeypatch):
    """Call it, and no question names a time any more."""
    return lambda: monkeypatch.setattr(moments, "named", lambda *_: None)


# --- the questions -------------------------------------------------------------------------------------------------


def right(mesh):
    """Which of the questions have their memory first."""
    return {question for question, begins in ASKED.items() if first(mesh, question).startswith(begins)}


@pytest.mark.model
def test_the_memory_of_the_time_that_is_named_is_first(vault):
    """All of the questions above, by meaning and words."""
    with Mesh(home=vault) as mesh:
        assert ASKED.keys() - right(mesh) == set()


def test_it_is_so_by_words_alone(vault):
    """The same without a model."""
    with wordsonly(vault) as mesh:
        assert ASKED.keys() - right(mesh) == set()


def test_without_their_times_many_are_not(vault, forgetful):
    """What they ask for is not told apart by their words."""
    forgetful()
    with wordsonly(vault) as mesh:
        assert len(right(mesh)) < 0.7 * len(ASKED)


# --- the preference ------------------------------------------------------------------------------------------------


def lamps(home, times):
    """Memories that differ in nothing that is asked for but their times: a file of each name."""
    for name, created in times.items():
        front = f"created: {created}" if created else "type: fact"
        write(home, f"shared/{name}.md", f"---\n{front}\n---\nThe lamp is lit, says {name}")


def names(found):
    return [hit.memory.path.removeprefix("shared/").removesuffix(".md") for hit in found.hits]


@pytest.mark.parametrize("opened", [hashed, wordsonly], ids=["by meaning", "by words"])
def test_of_equal_memories_that_of_its_time_is_first(home, in_utc, opened):
    """The others follow as they would without, and the bonus is a part of the sum that is shown."""
    lamps(home, {"young": "2026-05-19", "week": "2026-05-13", "year": "2025-05-13"})
    with opened(home) as mesh:
        found = asked(mesh, "lamp last week")
        assert names(found)[0] == "week"
        assert [hit.time_part for hit in found.hits] == [OF_ITS_TIME, 0, 0]
        for hit in found.hits:
            parts = hit.meaning_part + hit.words_part + hit.neighbours_part + hit.time_part
            assert hit.score == pytest.approx(parts, abs=1e-6)


def test_a_better_answer_of_another_time_stays_before_a_worse_one(home, in_utc):
    """It is a preference: nothing is left out, and what answers much better is not overtaken."""
    for i in range(30):
        write(home, f"shared/{i}.md", f"---\ncreated: 2026-05-13\n---\nnumber{i} of another kind")
    write(home, "shared/it.md", "---\ncreated: 2025-01-01\n---\nThe walrus sleeps on the ice at noon")
    with hashed(home) as mesh:
        assert names(asked(mesh, "last week: does the walrus sleep on the ice at noon?"))[0] == "it"


@pytest.mark.parametrize("question", ["lamp last month", "lamp in May 2019", "lamp since 2026-05-20", "lamp on Friday"])
def test_a_time_of_which_there_are_no_memories_changes_nothing(home, in_utc, forgetful, question):
    """Every score is the very same as if the question had not been read for a time."""
    lamps(home, {"a": "2026-05-13", "b": "2025-05-13", "c": "2026-05-19", "d": ""})
    with hashed(home) as mesh:
        first = [(hit.memory.path, hit.score, hit.matched) for hit in asked(mesh, question).hits]
        forgetful()
        assert first == [(hit.memory.path, hit.score, hit.matched) for hit in asked(mesh, question).hits]


@pytest.mark.parametrize("opened", [hashed, wordsonly], ids=["by meaning", "by words"])
def test_the_best_of_its_time_is_found_behind_hundreds_of_others(home, in_utc, opened):
    """It is not among the best of all, but it joins them."""
    for i in range(300):
        both = "stove and" if i < 25 else "old"
        write(home, f"shared/{i}.md", f"---\ncreated: 2025-05-13\n---\nThe {both} lamp of house number{i}")
    filler = " ".join(f"word{i}" for i in range(20))
    write(home, "shared/it.md", f"---\ncreated: 2026-05-13\n---\nThe lamp of {filler}")
    with opened(home) as mesh:
        assert "it" in names(asked(mesh, "lamp and stove last week", n=5))
        assert "it" not in names(asked(mesh, "lamp and stove", n=50))


def test_last_week_in_a_memory_is_no_word_of_the_question(home, in_utc):
    """Whoever wrote it meant another week."""
    write(home, "shared/old.md", "---\ncreated: 2025-01-01\n---\nThe lamp broke last week, the last of the week")
    write(home, "shared/new.md", "---\ncreated: 2026-05-13\n---\nThe lamp in the hall of the second house broke")
    with wordsonly(home) as mesh:
        found = asked(mesh, "Which lamp broke last week?")
        assert names(found) == ["new", "old"]
        assert {word for hit in found.hits for word in hit.matched} == {"lamp", "broke"}


# --- a time alone --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opened", [hashed, wordsonly], ids=["by meaning", "by words"])
@pytest.mark.parametrize(
    "question", ["last week", "What happened last week?", "what did we do last week", "in May 2026"]
)
def test_a_question_of_nothing_but_a_time_is_answered_from_it(home, in_utc, opened, question):
    """All that was made then comes before all else, even before what has the very words."""
    lamps(home, {"tuesday": "2026-05-12", "friday": "2026-05-15"})
    write(home, "shared/words.md", "---\ncreated: 2025-01-01\n---\nWhat we did last week is what happened in May 2026")
    with opened(home) as mesh:
        found = asked(mesh, question)
        assert found.answered and set(names(found)[:2]) == {"tuesday", "friday"}


def test_a_time_alone_minds_filters_and_excluded_words(home, in_utc):
    """And never brings up what must not leave this machine."""
    lamps(home, {"a": "2026-05-12", "b": "2026-05-13"})
    write(home, "shared/c.md", "---\ncreated: 2026-05-14\nagent: ann\n---\nThe stove is hot")
    write(home, "_local/shared/d.md", "---\ncreated: 2026-05-15\n---\nThe key is under the mat")
    with wordsonly(home) as mesh:
        assert set(names(asked(mesh, "last week", local=False))) == {"a", "b", "c"}
        assert names(asked(mesh, "last week", agent="ann")) == ["c"]
        assert set(names(asked(mesh, "last week -lamp", local=False))) == {"c"}


def test_a_local_memory_of_that_time_leaves_no_trace_where_it_may_not_answer(home, in_utc):
    """The answer is the very same as if it were not there: its scores, and the words that matched."""
    lamps(home, {"a": "2025-05-13", "b": "2024-05-13"})
    answers = []
    for _ in range(2):
        with wordsonly(home) as mesh:
            found = asked(mesh, "Which lamp was lit last week?", local=False).hits
            answers.append([(hit.memory.path, hit.score, hit.matched) for hit in found])
        write(home, "_local/shared/c.md", "---\ncreated: 2026-05-13\n---\nThe lamp is lit in the cellar")
    assert answers[0] == answers[1]


# --- what day it is ------------------------------------------------------------------------------------------------


def test_a_day_is_that_of_this_machine_and_a_mere_date_means_itself(home, monkeypatch, in_utc):
    """West of Greenwich the evening is of the next day in UTC; `created: 2026-05-19` is the 19th everywhere."""
    monkeypatch.setenv("TZ", "LAX7")
    time.tzset()
    lamps(home, {"evening": "2026-05-20T04:30Z", "dated": "2026-05-19", "morning": "2026-05-19T04:30Z"})
    with wordsonly(home) as mesh:
        parts = {hit.memory.path: hit.time_part for hit in asked(mesh, "lamp yesterday").hits}
    assert parts == {"shared/evening.md": OF_ITS_TIME, "shared/dated.md": OF_ITS_TIME, "shared/morning.md": 0}


def test_the_command_shows_the_bonus(home, capsys, monkeypatch):
    """`--explain` names it where there is one."""
    from mesh_cli.main import main

    with wordsonly(home) as mesh:
        mesh.learn("The lamp is lit")
    for question, shown in (("lamp today", f" + time {OF_ITS_TIME:+.2f}"), ("lamp", "")):
        monkeypatch.setattr("sys.argv", ["mesh", "recall", "--explain", *question.split()])
        with pytest.raises(SystemExit):
            main()
        assert (" + time" in (out := capsys.readouterr().out)) == bool(shown) and shown in out
