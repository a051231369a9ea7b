"""What recall promises of words, on vaults so small that every reader agrees with the right answer. Without a model."""

import pytest
from hashing import hashed, wordsonly, write


@pytest.fixture
def ask(home):
    """Write memories by name, then ask: the names of those that answer, best first."""
    opened = []

    def asked(memories, question, n=20, **options):
        for name, text in memories.items():
            write(home, f"shared/{name}.md", text)
        opened.append(wordsonly(home))
        rows = opened[-1].recall(question, n, **options)
        return [row["path"].removeprefix("shared/").removesuffix(".md") for row in rows]

    yield asked
    for mesh in opened:
        mesh.close()


# Made-up names of files say nothing; the dates are all the same where they are not what is asked for.
PLAIN = {
    "m1": "We deploy the parcel service on Tuesdays",
    "m2": "The office plants are watered by Tomas",
    "m3": "Invoices go out on the first working day",
}


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("deploying parcels", "m1"),
        ("who waters a plant", "m2"),
        ("invoice", "m3"),
        ("working days", "m3"),
    ],
)
def test_stems(ask, question, name):
    """Plural or singular, -ed or -ing: the same word."""
    assert ask(PLAIN, question)[0] == name


def test_stop_words_find_nothing_by_themselves(ask):
    """ "The" and "on" are in nearly every memory: beside a word that counts they bring none."""
    assert ask(PLAIN, "what is the thing on which the invoice was?") == ["m3"]


CODE = {
    "m1": "The lookup is getUserById in the accounts module",
    "m2": "get a list of every user, then sort by its id",
    "m3": "Run scripts/deploy.sh from the root",
    "m4": "The sh shell; deploy by hand with scripts",
    "m5": "ERR_CONN_42 means that the proxy is down",
    "m6": "Err on the safe side: a conn has 42 slots",
    "m7": "Broken since release 1.2.3 of the parser",
    "m8": "Version 3 needs 2 cores and 1 disk",
    "m9": "tools/deploy.sh is the old one, do not use it",
}


@pytest.mark.parametrize(
    ("question", "first", "others"),
    [
        ("getUserById", "m1", {"m2"}),
        ("GETUSERBYID", "m1", set()),
        ("scripts/deploy.sh", "m3", {"m4", "m9"}),
        ("tools/deploy.sh", "m9", {"m3", "m4"}),
        ("ERR_CONN_42", "m5", {"m6"}),
        ("err-conn-42", "m5", {"m6"}),
        ("v1.2.3", "m7", {"m8"}),
        ("1.2.3", "m7", {"m8"}),
    ],
)
def test_identifiers_are_found_whole_and_split(ask, question, first, others):
    """The very identifier first, then what has its parts, whatever joins them."""
    found = ask(CODE, question)
    assert found[0] == first and set(found[1:]) == others


def test_the_name_of_a_file_is_found_without_its_folder(ask):
    """Before what only has the words of the name."""
    assert set(ask(CODE, "deploy.sh")[:2]) == {"m3", "m9"}


def test_parts_of_an_identifier_find_it(ask):
    """Who remembers only a piece of the name."""
    assert "m1" in ask(CODE, "the user lookup by id")
    assert set(ask(CODE, "conn")) == {"m5", "m6"}


CJK = {
    "m1": "東京の事務所は三階にあります",
    "m2": "京都の倉庫は日曜日に休みです",
    "m3": "犬は事務所に入れません",
    "m4": "会議在星期二下午三点",
    "m5": "서버는 화요일에 배포합니다",
}


@pytest.mark.parametrize(
    ("question", "name"),
    [("東京", "m1"), ("京都の倉庫", "m2"), ("犬", "m3"), ("星期二的会议", "m4"), ("배포", "m5"), ("サーバ 倉庫", "m2")],
)
def test_scripts_without_spaces(ask, question, name):
    """Two characters that stand together are found within a sentence, and one that is asked for alone as well."""
    assert ask(CJK, question)[0] == name


def test_two_characters_apart_are_not_two_together(ask):
    """東京 is not found where 東 and 京 stand apart."""
    assert ask({"m1": "東の門と京の門", "m2": "東京の門"}, "東京") == ["m2"]


DATED = {
    "m1": "---\ncreated: 2023-05-07T10:00:00Z\n---\nThe retreat was by the lake",
    "m2": "---\ncreated: 2023-06-07T10:00:00Z\n---\nThe retreat was in the hills",
    "m3": "---\ncreated: 2024-05-08T10:00:00Z\n---\nThe retreat was at the coast",
}


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("the retreat of May 2023", "m1"),
        ("which retreat was in June?", "m2"),
        ("retreat 2024", "m3"),
        ("retreat on a Sunday", "m1"),  # 7 May 2023
        ("retreat on 8 May", "m3"),
        ("retreat 2023-06-07", "m2"),
    ],
)
def test_dates_weekdays_and_months_are_words(ask, question, name):
    """Of the time at which a memory was made."""
    assert ask(DATED, question)[0] == name


ABOUT = {
    "m1": "---\nagent: anna\ntype: decision\ntags: [queue, ops]\n---\nUse the small one",
    "m2": "---\nagent: boris\ntype: error\ntags: [mail]\n---\nUse the large one",
    "m3": "---\ntitle: Rollback checklist\n---\nUse the spare one",
    "folder/m4": "---\nsource: retro of sprint 9\n---\nUse the old one",
}


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("what did Anna use", "m1"),
        ("decision on which one", "m1"),
        ("error", "m2"),
        ("mail", "m2"),
        ("queues", "m1"),
        ("rollback", "m3"),
        ("the checklist", "m3"),
        ("retro", "folder/m4"),
        ("sprint 9", "folder/m4"),
        ("folder", "folder/m4"),
    ],
)
def test_authors_types_tags_titles_sources_and_folders_are_words(ask, question, name):
    """What is said about a memory can be asked for like what it says."""
    assert ask(ABOUT, question)[0] == name


def test_a_title_counts_like_the_text(ask):
    """More than a tag does."""
    memories = {
        "m1": "---\ntags: [rollback]\n---\nUse the spare one",
        "m2": "---\ntitle: Rollback\n---\nUse the spare one",
    }
    assert ask(memories, "rollback") == ["m2", "m1"]


TALK = {
    f"t{i}": f"---\nagent: {agent}\nsource: talk/1\ncreated: 2023-05-07T10:00:{i:02}Z\n---\n{text}"
    for i, (agent, text) in enumerate(
        [
            ("anna", "Morning! Coffee?"),
            ("boris", "Sure, black please."),
            ("anna", "How did the marathon go?"),
            ("boris", "Four hours and ten minutes, and I am proud of it."),
            ("anna", "Well done."),
            ("boris", "Back to work now."),
            ("anna", "Did the build pass?"),
        ]
    )
}


def test_an_answer_that_shares_no_word_with_the_question_is_found_beside_the_one_that_does(ask):
    """The turn after the question in a conversation: its neighbour lends it a part of its score."""
    found = ask(TALK, "marathon time")
    assert found[0] == "t2" and set(found) == {"t0", "t1", "t2", "t3", "t4"}


def test_without_a_source_nothing_is_beside_anything(ask):
    """The same texts, as notes of their own."""
    notes = {name: text.replace("source: talk/1\n", "") for name, text in TALK.items()}
    assert ask(notes, "marathon time") == ["t2"]


def test_of_two_that_answer_alike_the_one_in_fitting_company_comes_first(ask):
    """What stands beside a memory says what it is about."""
    memories = {
        "a1": "---\nsource: a\ncreated: 2023-05-07T10:00:01Z\n---\nThe marathon was on Sunday, a marathon in the rain",
        "a2": "---\nsource: a\ncreated: 2023-05-07T10:00:02Z\n---\nIt took four hours",
        "b1": "---\nsource: b\ncreated: 2023-05-07T10:00:01Z\n---\nThe build server was moved",
        "b2": "---\nsource: b\ncreated: 2023-05-07T10:00:02Z\n---\nFour hours, it took",
    }
    found = ask(memories, "how many hours took the marathon")
    assert found.index("a2") < found.index("b2")


def test_a_note_is_not_behind_because_a_conversation_has_neighbours(ask):
    """The same words: a memory whose neighbours have nothing to say is neither better nor worse than one alone."""
    filler = {
        f"f{i}": f"---\nsource: talk\ncreated: 2023-05-07T10:{i:02}:00Z\n---\nwalrus {'chatter ' * (i % 3 + 1)}"
        for i in range(20)
    }
    alone = {"note": "---\ncreated: 2023-05-07T10:07:00Z\n---\nwalrus chatter chatter"}
    found = ask(filler | alone, "walrus chatter")
    assert 0 < found.index("note") < 20


# --- quotes and dashes ---------------------------------------------------------------------------------------------

LIMITS = {
    "m1": "The rate limit of the API is 100 requests",
    "m2": "Limit the rate of change",
    "m3": "Our Rate\nLimit counts per key",
    "m4": "Rate the limits",
}


def test_a_phrase_in_quotes_must_be_there_word_for_word(ask):
    """In any case and over a line's end, but in this order, and no other form of the words."""
    assert set(ask(LIMITS, '"rate limit"')) == {"m1", "m3"}
    assert ask(LIMITS, '"rate limit" requests') == ["m1", "m3"]
    assert set(ask(LIMITS, "rate limit")) == {"m1", "m2", "m3", "m4"}


def test_a_phrase_that_nobody_wrote_is_searched_for_by_its_words(home):
    """And the receipt says so: better than nothing, and not to be mistaken for it."""
    for name, text in LIMITS.items():
        write(home, f"shared/{name}.md", text)
    with wordsonly(home) as mesh:
        found = mesh.recall('"limit rate" requests -change')
        assert found[0]["path"] == "shared/m1.md" and "shared/m2.md" not in {row["path"] for row in found}
        assert found.receipt.unheld == ("limit rate",)
        assert mesh.recall('"rate limit"').receipt.unheld == mesh.recall('"zebra"').receipt.unheld[1:] == ()


@pytest.mark.parametrize("question", ['what is the "change limit"?', 'the "change limit" of any other big thing'])
def test_in_a_sentence_quotes_name_something(ask, question):
    """A title, what somebody said: the answer need not hold it word for word."""
    assert ask(LIMITS, question)[0] == "m2"


def test_two_phrases_must_both_be_there(ask):
    """Each one narrows."""
    assert ask(LIMITS, '"rate limit" "per key"') == ["m3"]


def test_a_phrase_may_be_in_the_title(ask):
    """A title is part of the text; tags and names are not."""
    memories = {
        "m1": "---\ntitle: Weekly plan\n---\nwater the plants",
        "m2": "---\ntags: [weekly, plan]\n---\nweekly, and a plan",
    }
    assert ask(memories, '"weekly plan"') == ["m1"]


@pytest.mark.parametrize("embedded", [True, False], ids=["by meaning", "by words"])
def test_a_phrase_of_stop_words_holds_as_well(home, embedded):
    """Nothing in quotes is left out."""
    for name, text in {"a": "To be or not to be", "b": "to be, that is", "c": "walrus"}.items():
        write(home, f"shared/{name}.md", text)
    with (hashed if embedded else wordsonly)(home) as mesh:
        assert [row["path"] for row in mesh.recall('"to be or not"')] == ["shared/a.md"]


STAGES = {
    "m1": "Deploy to production with ship",
    "m2": "Deploy to staging with ship",
    "m3": "Deploys to the staged machine",
    "m4": "Deploy notes, which are well-known",
}


@pytest.mark.parametrize("embedded", [True, False], ids=["by meaning", "by words"])
@pytest.mark.parametrize("question", ["deploy -staging", "-staging deploy", "deploy -STAGING, please"])
def test_a_word_after_a_dash_must_not_be_there(home, question, embedded):
    """In no form; by meaning neither."""
    for name, text in STAGES.items():
        write(home, f"shared/{name}.md", text)
    with (hashed if embedded else wordsonly)(home) as mesh:
        assert {row["path"] for row in mesh.recall(question)} == {"shared/m1.md", "shared/m4.md"}


def test_what_is_left_out_does_not_come_back_as_a_neighbour(home):
    """Beside a memory that answers stands one that is not wanted."""
    for i, text in enumerate(["deploy on Tuesday", "staging is down", "deploy on Friday"]):
        write(home, f"shared/m{i}.md", f"---\nsource: log\ncreated: 2023-05-07T10:00:0{i}Z\n---\n{text}")
    for opened in (hashed, wordsonly):
        with opened(home) as mesh:
            assert {row["path"] for row in mesh.recall("deploy -staging")} == {"shared/m0.md", "shared/m2.md"}


def test_what_is_left_out_is_filled_up_by_meaning(home):
    """However many of the nearest are not wanted, there are others."""
    for i in range(120):
        write(home, f"shared/s{i}.md", f"deploy staging number{i}")
    for i in range(5):
        write(home, f"shared/p{i}.md", f"release other thing number{i}")
    with hashed(home) as mesh:
        mesh.reindex()
        assert {row["path"] for row in mesh.recall("deploy -staging")} == {f"shared/p{i}.md" for i in range(5)}


COMMANDS = {
    "m1": "Unpack with `tar -xvf`, list with tar -tf",
    "m2": "tar has an xvf mode that nobody remembers",
    "m3": "Never run rm -rf on the share",
    "m4": "The rf switch of rm is dangerous",
    "m5": "git push --force is forbidden",
    "m6": "Do not use force, says git push",
    "m7": "This well-known bug is in the parser",
    "m8": "A bug is known to live in the well",
}


@pytest.mark.parametrize(
    ("question", "first", "missing"),
    [
        ("tar -xvf", "m1", "m2"),  # `-xvf` as it is written stays, the word goes
        ("rm -rf", "m3", "m4"),
        ("tar -x", "m1", None),  # one letter is an option
        ("git push --force", "m5", None),  # two dashes as well
        ("well-known bug", "m7", None),  # no space before the dash
        ('"well -known" bug', "m7", None),  # in quotes it leaves nothing out
    ],
)
def test_options_of_commands_are_not_taken_for_words_to_leave_out(ask, question, first, missing):
    """Whoever pastes a command is shown the memory that has it."""
    found = ask(COMMANDS, question)
    assert found[:1] == ([first] if first else []) and missing not in found


def test_a_question_that_only_leaves_out_asks_for_its_words(ask):
    """There is nothing else that it could mean."""
    assert ask(STAGES, "-staging")[0] == "m2"
    assert "m2" in ask(STAGES, "staging -staging")


def test_quotes_and_dashes_work_with_filters(ask):
    """Both narrow."""
    memories = {name: f"---\ntype: {'error' if name == 'm1' else 'fact'}\n---\n{text}" for name, text in LIMITS.items()}
    assert ask(memories, '"rate limit"', memory_type="fact") == ["m3"]
    assert set(ask(memories, "rate -key", memory_type="fact")) == {"m2", "m4"}


def test_many_answers_of_one_source_fit_into_one_query(home, monkeypatch):
    """A thousand hits with all that stands beside them are more than SQLite takes at a time."""
    monkeypatch.setattr("mesh.candidates._MOST_IN_A_QUERY", 7)
    for i in range(60):
        write(home, f"shared/{i}.md", f"---\nsource: log\ncreated: 2023-05-07T10:00:{i:02}Z\n---\nwalrus number{i}")
    with hashed(home) as mesh:
        assert len(mesh.recall("walrus", 1000)) == 60
        assert mesh.recall("number33", 1, until="2024-01-01")[0]["path"] == "shared/33.md"
