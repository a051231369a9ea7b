"""Which words of a question count, which must be there, and which must not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.index.question import MAX_WORDS, STOP_WORDS, Question


def words(question):
    return [one.word for one in Question.read(question).words]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("what are the API constraints?", ["api", "constraints"]),
        ("Deploy deploy DEPLOY", ["deploy"]),
        ("rate_limit is 100/min", ["rate", "limit", "100", "min", "rate_limit", "100/min"]),
        ("what is it?", ["what", "is", "it"]),
        ("don't", ["don", "t"]),
        ("", []),
        ('*"-()^:', []),
        ("São Paulo 東京 🎉", ["são", "paulo", "東京"]),
        ("東京都 犬", ["東京", "京都", "犬"]),
        ("getUserById", ["getuserbyid", "user", "id"]),
        ("scripts/deploy.sh", ["scripts", "deploy", "sh", "scripts/deploy.sh", "deploy.sh"]),
        ("v1.2.3", ["v1", "2", "3", "v1.2.3", "1.2.3"]),
        ("git push --force", ["git", "push", "force", "--force"]),
    ],
)
def test_the_words_of_a_question_that_count(question, expected):
    """Each once, in lower case, without the stop words unless there is nothing else; wholes besides their parts."""
    assert words(question) == expected


@pytest.mark.parametrize(
    ("question", "counts"),
    [
        ("What happened in May 2023?", True),
        ("the retreat of May", True),
        ("since may", True),
        ("22 may", True),
        ("What may I deploy?", False),
        ("may the build fail", False),
    ],
)
def test_may_is_a_month_where_it_stands_like_one(question, counts):
    """The only stop word that is a date."""
    assert ("may" in words(question)) is counts


def test_a_long_question_is_cut():
    """A page pasted as a question does not become a query of a thousand words."""
    assert len(words(" ".join(f"word{i}" for i in range(1000)))) == MAX_WORDS
    assert len(words(" ".join(f"word.{i}" for i in range(1000)))) == 2 * MAX_WORDS


def test_stop_words_are_left_out_of_a_long_question_first():
    """The cut keeps what counts."""
    assert words(" ".join(sorted(STOP_WORDS)) + " postgres") == ["postgres"]


@pytest.mark.parametrize(
    ("question", "phrases"),
    [
        ('the "rate limit" of the API', ("rate limit",)),
        ('"Rate\n  LIMIT" and "deploy.sh"', ("rate limit", "deploy.sh")),
        ("a “rate limit”, a „Limit“ and a «limite»", ("rate limit", "limit", "limite")),
        ('an empty "" or " " or "!" one', ()),
        ('one " alone', ()),
        ('a disk of 5" and one of 3"', ()),
        ('say"what"now', ()),
    ],
)
def test_what_stands_in_quotes_is_a_phrase(question, phrases):
    """In any usual quotes, around at least one word; inches are no quotes."""
    assert Question.read(question).phrases == phrases


@pytest.mark.parametrize(
    ("phrase", "text", "there"),
    [
        ("rate limit", "The Rate\n   Limit is 100", True),
        ("rate limit", "the **rate** `limit`", True),
        ("rate limit", "the limit of the rate", False),
        ("rate limit", "the rate-limit", False),
        ("rate lim", "the rate limit", False),
        ("ate limit", "the rate limit", False),
        ("deploy.sh", "run scripts/deploy.sh.", True),
        ("deploy.sh", "run deploy sh", False),
        ("limits", "the limit", False),
        ("京都", "東京都", True),
        (".env", "in prod.env", True),
        ("don't", "we don’t", True),
        ("café", "the cafe\u0301", True),
        ("a.b", "acb", False),
    ],
)
def test_a_phrase_is_there_word_for_word(phrase, text, there):
    """From the beginning of a word to the end of one; case, white space and emphasis aside."""
    assert Question.read(f'"{phrase}"').admits(text) is there


@pytest.mark.parametrize(
    ("question", "excluded"),
    [
        ("deploy -staging", ("staging",)),
        ("-staging deploy", ("staging",)),
        ("deploy -Staging, -billing.", ("staging", "billing")),
        ("deploy -scripts/deploy.sh", ("scripts/deploy.sh",)),
        ("rm -rf", ("rf",)),  # stays where it is written so: see below and test_recall_properties.py
        ("tar -x", ()),
        ("git push --force", ()),
        ("a well-known bug", ()),
        ("a well - known bug", ()),
        ('"well -known" bug', ()),
        ("from -5 to -10", ()),
        ("a -> b", ()),
        ("-staging", ()),
        ("the -staging of -production", ("staging", "production")),
        ("staging deploy -staging", ()),
    ],
)
def test_a_word_after_a_dash_is_left_out(question, excluded):
    """A word of two or more characters, after white space, outside quotes, and something else is asked for."""
    assert Question.read(question).excluded == excluded


def test_what_is_left_out_is_not_asked_for_either():
    """Neither among the words nor in what is understood by its meaning; as an option it is."""
    question = Question.read("deploy -staging now")
    assert [one.word for one in question.words] == ["deploy", "-staging"] and "staging" not in question.text
    assert question.words[1].token == "_staging"
    assert Question.read("deploy staging").text == "deploy staging"


def test_a_plain_text_has_no_quotes_and_no_dashes():
    """What is compared with other memories is a text, not a question."""
    question = Question.plain('deploy -staging "rate limit"')
    assert question.phrases == question.excluded == ()
    assert {"deploy", "staging", "rate", "limit"} <= {one.word for one in question.words}


@given(st.text())
def test_every_text_is_a_question(text):
    """No error, and nothing left out that is not in it."""
    question = Question.read(text)
    assert all(word in text.lower() for word in question.excluded)
    assert len(question.words) <= 2 * MAX_WORDS + len(question.excluded)
