"""What says the same is one result: law for the comparison by itself, and for recall over files."""

from __future__ import annotations

import json

import pytest
from hashing import hashed, wordsonly, write
from hypothesis import given
from hypothesis import strategies as st

from mesh import folding
from mesh.context import MAX_CHARACTERS, said_again
from mesh.folding import LOOKED_BEYOND, MOST_CHARACTERS, folded, words

LIMIT = "The API rate limit is 100 requests/min"
SAME = [
    (LIMIT, "the api rate limit is 100 requests/min"),
    (LIMIT, "The API  rate limit\nis 100 requests/min.\n"),
    (LIMIT, "API rate limit: 100 requests per minute"),
    ("Deploys run from the `main` branch only.", "- **Deploys** run from main branch only"),
    ("# Freeze\n\n> No deploys on Friday", "Freeze: no deploys on Friday!"),
    ("The user can't delete it", "The user cannot delete it"),
    ("“Ready”, she said", '"Ready" — she said'),
    ("Café au lait", "CAFE\u0301 au lait"),
]
OTHERS = [
    (LIMIT, "The API rate limit is 200 requests/min"),
    (LIMIT, "The API rate limit is 100 requests/hour"),
    (LIMIT, "The staging API rate limit is 100 requests/min"),
    ("The user can delete it", "The user can't delete it"),
    ("Back up before the deploy", "Back up after the deploy"),
    ("Ann pays Bob", "Bob pays Ann"),
    ("Bye, Nate!", "Bye, Joanna!"),
    ("It is 5", "Is it 5?"),
    ("It is -5 outside", "It is 5 outside"),
    ("Version 1.10 is out", "Version 1.1 is out"),
    ("Run it with -rf", "Run it with rf"),
    ("Written in C++", "Written in C"),
    ("Take plan A", "Take plan"),
    ("- [x] tested", "- [ ] tested"),
    ("a != b", "a = b"),
    ("...", "???"),
]


# --- the comparison ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "other"), SAME)
def test_case_space_punctuation_and_markup_make_no_difference(one, other):
    """Nor do articles and another way of writing a word."""
    assert words(one) == words(other)


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_another_number_name_or_not_is_something_else(one, other):
    """However near the two are in meaning: a word that differs is enough, and so is its place."""
    assert words(one) != words(other)


@given(st.lists(st.text("abXYZ019", min_size=1), min_size=1), st.sampled_from([" ", "\n", " \t ", "\n\n"]))
def test_how_words_are_set_apart_makes_no_difference(parts, space):
    """Nor do capitals."""
    assert words(space.join(parts)) == words(" ".join(parts).upper())


@given(st.text(max_size=200))
def test_any_text_says_something_and_the_same_as_itself(text):
    """Also one of nothing but punctuation, which says only itself."""
    assert words(text) == words(text) != ()


def test_a_long_text_says_what_the_very_same_text_says():
    """To look at one word by word would cost too much, for something that does not happen."""
    text = "word " * (MOST_CHARACTERS // 5) + "end"
    assert words(text) != words(text.upper()) and words(text) == words(str(text))


@pytest.mark.parametrize("part", ["*a ", "**", "\n", "# ", "- ", "`", "'", "(("])
def test_no_text_makes_the_comparison_slow(part):
    """Nothing in it goes back over the text for each of its characters: this ends, and says what there is."""
    assert words(part * (MOST_CHARACTERS // len(part)))


@given(st.lists(st.integers(0, 9)), st.integers(1, 6))
def test_the_first_n_that_differ_are_kept_each_with_what_says_the_same(found, n):
    """In order, none twice, and nothing is lost of what was looked at."""
    groups = folded(found, n, lambda one: one)
    assert [group[0] for group in groups] == list(dict.fromkeys(found))[:n]
    assert all(set(group) == {group[0]} for group in groups)
    kept = {group[0] for group in groups}
    left_out = [place for place, one in enumerate(found) if one not in kept]
    end = left_out[LOOKED_BEYOND - 1] if len(left_out) >= LOOKED_BEYOND else len(found)
    assert sum(map(len, groups)) == sum(one in kept for one in found[:end])


# --- recall ------------------------------------------------------------------------------------------------------


def note(home, name, text, *front):
    """A memory whose id is its name."""
    lines = "".join(f"{line}\n" for line in (f"id: {name}", *front))
    write(home, f"shared/{name}.md", f"---\n{lines}---\n{text}\n")


def found(mesh, question="API rate limit", n=5, **more):
    """Ids, each with those of the memories that say the same."""
    return {row["id"]: set(row["same_as"]) for row in mesh.recall(question, n=n, **more)}


@pytest.fixture(params=[hashed, wordsonly], ids=["meaning", "words"])
def opened(request, home):
    """A `Mesh` with vectors, and one that goes by words."""
    with request.param(home) as mesh:
        yield mesh


def test_the_same_text_in_two_files_is_one_result(home, opened):
    """The best one stands for both and names the other."""
    note(home, "aaaa1111", LIMIT)
    note(home, "bbbb2222", LIMIT, "confidence: 0.5")
    note(home, "cccc3333", "The rate of the office printer is 20 pages")
    assert found(opened) == {"aaaa1111": {"bbbb2222"}, "cccc3333": set()}


def test_nearly_the_same_text_is_one_result_and_another_number_is_another(home, opened):
    """What differs in a number or a "not" is never hidden behind the other."""
    note(home, "aaaa1111", LIMIT)
    note(home, "bbbb2222", "- API **rate limit**: 100 requests per minute.")
    note(home, "cccc3333", LIMIT.replace("100", "200"))
    note(home, "dddd4444", LIMIT.replace("is", "is not"))
    answer = found(opened)
    assert {frozenset({one, *same}) for one, same in answer.items()} == {
        frozenset({"aaaa1111", "bbbb2222"}),
        frozenset({"cccc3333"}),
        frozenset({"dddd4444"}),
    }


def test_what_is_folded_does_not_count_against_the_number_asked_for(home, opened):
    """Its place goes to the next."""
    for number in range(4):
        note(home, f"same000{number}", LIMIT)
    note(home, "other001", "The API rate limit of staging is 10")
    note(home, "other002", "The API has no rate limit at night")
    answer = found(opened, n=3)
    assert set(answer) - {"other001", "other002"} < {f"same000{number}" for number in range(4)}
    assert len(answer) == 3 and sorted(map(len, answer.values())) == [0, 0, 3]
    assert [len(same) for same in found(opened, "100 requests", n=1).values()] == [3]


def test_however_often_something_is_said_the_others_are_still_found(home, opened):
    """More copies than there are candidates on a side."""
    for number in range(120):
        note(home, f"same{number:04}", LIMIT)
    note(home, "other001", "limit")
    answer = found(opened, n=2)
    assert len(answer) == 2 and not answer["other001"]


def test_one_that_holds_does_not_stand_for_one_that_no_longer_does(home, opened):
    """Superseded, expired: these are told apart by their labels."""
    note(home, "aaaa1111", LIMIT, "supersedes: [bbbb2222]")
    note(home, "bbbb2222", LIMIT)
    note(home, "cccc3333", LIMIT, "created: 2020-01-01", "expires: 2020-02-01")
    assert found(opened) == {"aaaa1111": set(), "bbbb2222": set(), "cccc3333": set()}


def test_types_are_told_apart(home, opened):
    """A decision is not the fact of the same words."""
    note(home, "aaaa1111", LIMIT)
    note(home, "bbbb2222", LIMIT, "type: decision")
    assert found(opened) == {"aaaa1111": set(), "bbbb2222": set()}


def test_what_stays_on_this_machine_neither_stands_for_what_is_shared_nor_is_named_by_it(home, opened):
    """Whoever must not see it learns nothing of it."""
    note(home, "aaaa1111", LIMIT)
    write(home, "_local/shared/b.md", f"---\nid: bbbb2222\n---\n{LIMIT}\n")
    assert found(opened) == {"aaaa1111": set(), "bbbb2222": set()}
    assert found(opened, include_local=False) == {"aaaa1111": set()}


def test_in_a_conversation_to_say_it_again_is_another_event(home, opened):
    """By somebody else, on another day, in other words; to the letter twice in a day it is one. Notes are no events."""
    note(home, "aaaa1111", "I missed the limit", "created: 2026-05-03T10:00:00Z", "agent: Ann", "source: talk/1")
    note(home, "bbbb2222", "I missed the limit", "created: 2026-05-03T11:00:00Z", "agent: Ann", "source: talk/1")
    note(home, "cccc3333", "I missed the limit", "created: 2026-05-03T11:01:00Z", "agent: Ben", "source: talk/1")
    note(home, "dddd4444", "I missed the limit", "created: 2026-06-09T10:00:00Z", "agent: Ann", "source: talk/2")
    note(home, "gggg7777", "I missed the limit!", "created: 2026-05-03T12:00:00Z", "agent: Ann", "source: talk/1")
    note(home, "eeee5555", "We missed the limit", "created: 2026-05-03", "agent: Ann")
    note(home, "ffff6666", "We missed the limit", "created: 2026-06-09", "agent: Ben")
    groups = {frozenset({one, *same}) for one, same in found(opened, "missed the limit", n=9).items()}
    assert groups == {
        frozenset({"aaaa1111", "bbbb2222"}),
        frozenset({"cccc3333"}),
        frozenset({"dddd4444"}),
        frozenset({"gggg7777"}),
        frozenset({"eeee5555", "ffff6666"}),
    }


def test_a_copied_file_is_named_by_its_path(home, opened):
    """Both have the same id, which would not tell them apart."""
    note(home, "aaaa1111", LIMIT)
    write(home, "shared/copy.md", f"---\nid: aaaa1111\n---\n{LIMIT}\n")
    (row,) = opened.recall("rate limit")
    assert {row["path"], *row["same_as"]} == {"shared/aaaa1111.md", "shared/copy.md"}


def test_a_phrase_and_a_filter_hold_for_what_is_folded(home, opened):
    """A memory that may not answer is not named either."""
    note(home, "aaaa1111", LIMIT, "tags: [api]")
    note(home, "bbbb2222", LIMIT)
    note(home, "cccc3333", "API-rate limit: 100 requests per minute")
    assert found(opened, tags=["api"]) == {"aaaa1111": set()}
    assert set().union(*found(opened, '"requests/min" limit').values()) <= {"aaaa1111", "bbbb2222"}


def test_a_prompt_is_told_that_others_say_the_same(home, opened):
    """Some of them by id; a name that holds a line break cannot leave its line."""
    for number in range(6):
        note(home, f"same000{number}", LIMIT)
    made = opened.context("API rate limit")
    assert made["memory_count"] == 1 and made["context"].count("100 requests/min") == 1
    assert "+5 that say the same: same000" in made["context"] and "..." in made["context"]
    assert json.loads(opened.context("API rate limit", format="json")["context"])["memories"]
    assert "\n" not in said_again(["shared/a\n## b.md", "c\u2028d"]) and len(made["context"]) < MAX_CHARACTERS


def test_folding_looks_at_few_files_more_than_are_asked_for(home, opened, monkeypatch):
    """Of many memories that all say something else."""
    for number in range(40):
        note(home, f"note{number:04}", f"rate limit number {number}")
    looked_at = []
    monkeypatch.setattr(folding, "words", lambda text: looked_at.append(text) or (text,))
    assert len(opened.recall("rate limit", n=5)) == 5
    assert len(looked_at) == 5 + LOOKED_BEYOND
