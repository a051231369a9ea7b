"""Which terms a text has, and that a question's are the same."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.index.analysis import Analyzer, folded, tokens
from mesh.index.question import Question


def terms(text):
    return set(Analyzer().weighed([(text, "")])[0])


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("We deployed it, deploying", {"deploi"}),
        ("run scripts/deploy.sh", {"script", "deploi", "sh", "scripts_deploy_sh", "deploy_sh"}),
        ("ERR_CONN_42", {"err", "conn", "42", "err_conn_42"}),
        ("getUserById", {"getuserbyid", "get", "user", "by", "id"}),
        ("HTTPServer and OAuth2Client", {"httpserver", "http", "server", "oauth2client", "client"}),
        ("since v1.2.3-rc.1", {"v1_2_3_rc_1", "1_2_3_rc_1"}),
        ("Python 3.11", {"python", "3", "11", "3_11"}),
        ("on 2026-11-22", {"2026", "11", "22", "2026_11_22"}),
        ("at 2026-11-22T07:42:10Z", {"2026_11_22"}),
        ("mesh/index/plan.py:42", {"mesh_index_plan_py_42", "plan_py", "plan", "42"}),
        ("https://docs.example.com/en/guide", {"docs_example_com", "guid"}),
        ("std::vec, my-crate", {"std_vec", "my_crate"}),
        ("someone@example.com", {"someone_example_com", "example_com"}),
        ("__init__.py", {"init", "py", "init_py"}),
        ("rm -rf, git push --force-with-lease", {"rf", "_rf", "_force_with_lease", "force_with_lease"}),
        ("東京都", {"東", "京", "都", "東京", "京都"}),
        ("カタカナ 세이우치", {"カタ", "カナ", "세이", "우치"}),
        ("犬", {"犬"}),
        ("Übergröße naïve İstanbul", {"ubergross", "naiv", "istanbul"}),
        ("cafe\u0301 ＡＰＩ ﬁle", {"cafe", "api", "file"}),
        ("हिन्दी", {"हनद"}),
        ("don't", {"don", "t"}),
    ],
)
def test_a_text_has_these_terms(text, there):
    """Words as stems, what is written together as a whole and split, scripts without spaces in pairs."""
    assert there <= terms(text)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("the APIs and PRs", {"ap", "ar", "rs"}),  # a plural, not two words
        ("07:42:10T and 22T07", {"22", "t07"}),
        ("a - b -- c", {"_b", "_c", "a_b"}),  # dashes of a sentence
        ("well-known", {"_known"}),
        ("an iPhone, eBay", {"phone", "bay", "i", "e"}),  # names, not identifiers
        ("-5 degrees", {"_5"}),
    ],
)
def test_a_text_has_not_these_terms(text, missing):
    """What only looks like an identifier or an option."""
    assert not missing & terms(text)


def test_much_that_is_joined_is_no_whole():
    """An address of a thousand characters is found by its parts."""
    text = "/".join(f"part{i}" for i in range(200))
    assert "part7" in terms(text) and max(map(len, terms(text))) <= 100


@pytest.mark.parametrize("unit", ["a", "aB", "a_", "a.", "-a", "a-", "-", '"', '"a', "é", "!", "東", "A", "0", " -a"])
def test_a_text_may_be_one_long_run_of_anything(unit):
    """As long as a memory or a question may be, and no expression goes over it again and again."""
    text = "aB a.b é " + unit * (65_000 // len(unit))
    assert tokens(text)
    assert Question.read(text[:16_000]).words


def test_case_and_form_make_no_difference():
    """The same word, however it was typed."""
    assert terms("CAFÉ") == terms("café") == terms("cafe\u0301") == terms("Cafe")


def test_marks_that_make_another_kana_stay():
    """が is not か, though Unicode takes it apart into か and a mark."""
    assert folded("が") == "が" != folded("か")


def test_what_is_about_a_text_weighs_half():
    """Two halves for a word of the content, one for a word about it."""
    assert Analyzer().weighed([("walrus walrus tusk", "walrus sea"), ("", "")]) == [
        {"walru": 5, "tusk": 2, "sea": 1},
        {},
    ]


def test_the_stems_are_those_of_sqlite():
    """Porter's, word for word what FTS5 makes of a text."""
    text = "running runs ran relational conditional happiness flies generously agreed organization skies as caress a I"
    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE words USING fts5 (word, tokenize = 'porter unicode61')")
    db.execute("CREATE VIRTUAL TABLE terms USING fts5vocab (words, row)")
    db.execute("INSERT INTO words VALUES (?)", (text,))
    assert terms(text) == {term for (term,) in db.execute("SELECT term FROM terms")}


def test_stems_are_forgotten_rather_than_kept_without_end(monkeypatch):
    """A process that runs for a year reads many words."""
    monkeypatch.setattr("mesh.index.analysis._MOST_STEMS", 10)
    analyzer = Analyzer()
    for i in range(50):
        assert analyzer.terms([f"walrus{i}", "deploying"]) == [f"walrus{i}", "deploi"]
    assert len(analyzer._terms) <= 12


@given(st.text())
def test_every_text_has_terms_of_letters_and_digits(text):
    """Any text at all: no error, nothing empty, the same again in the other case, and an underscore only in wholes."""
    found = Analyzer().terms(tokens(text))
    assert all(term and not term.isspace() for term in found)
    assert folded(folded(text)) == folded(text)


@given(st.text(min_size=1))
def test_what_is_asked_for_in_a_text_s_own_words_is_in_it(text):
    """Every word of a question is a term of the text that it was copied from."""
    analyzer = Analyzer()
    asked = analyzer.terms(one.token for one in Question.plain(text).words)
    assert set(asked) <= set(analyzer.weighed([(text, "")])[0])
