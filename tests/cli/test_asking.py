"""`mesh recall` from a cold shell."""

from __future__ import annotations

import pytest

RATE = "The API rate limit is 100 requests/min"
OTHERS = (
    "Invoices go out on the first working day of the month",
    "Mina reads diffs before lunch",
    "The office Wi-Fi drops when the microwave runs",
)
FOUND, NOTHING = 0, 3


@pytest.fixture
def four(write):
    """Four memories as people write them, without front matter."""
    return [write(f"{number}.md", text + "\n") for number, text in enumerate((RATE, *OTHERS))]


@pytest.mark.model
def test_what_one_agent_learned_another_recalls_by_meaning(run, four):
    """Another process, another author, no word in common with the question but "API"."""
    run("learn", "Calls to the service are capped at a hundred a minute", env={"MESH_AGENT_ID": "coding-agent"})
    found = run("recall", "what are the API constraints?", "--json", env={"MESH_AGENT_ID": "review-agent"}).json()
    assert {row["content"] for row in found["results"][:2]} >= {RATE}
    asked = run("recall", "how often may I use it before being throttled?", "-n", "1", "--json").json()
    assert asked["results"][0]["source_agent"] == "coding-agent"


def test_a_hand_edit_is_recalled_at_once(run, four):
    """The new text is found and the old one is nowhere."""
    assert "100 requests" in run("recall", "rate limit", "-n", "1").out
    four[0].write_text(RATE.replace("100", "250"))
    again = run("recall", "rate limit", "-n", "1")
    assert "250 requests" in again.out and "100 requests" not in again.out


def test_files_that_come_and_go_are_noticed(run, four, write):
    """Added, renamed and deleted by hand between two questions."""
    run("recall", "anything")
    write("deep/er/new.md", "Zebras graze behind the depot")
    four[1].rename(four[1].with_name("renamed.md"))
    four[2].unlink()
    found = run("recall", "zebras", "-n", "9", "--json").json()
    assert found["results"][0]["path"] == "shared/deep/er/new.md"
    assert {row["path"] for row in found["results"]} <= {
        "shared/deep/er/new.md",
        "shared/renamed.md",
        "shared/0.md",
        "shared/3.md",
    }
    assert found["receipt"]["scanned"] == 4


def test_nothing_found_exits_with_3_and_leaves_stdout_empty(run, four):
    """The reason is on stderr; with --json the empty answer is still JSON."""
    ran = run("recall", "anything", "--tag", "no-such-tag")
    assert (ran.code, ran.out) == (NOTHING, "")
    assert "nothing found" in ran.said
    ran = run("recall", "anything", "--tag", "no-such-tag", "--json")
    assert (ran.code, ran.json()["results"], ran.err) == (NOTHING, [], "")


def test_the_json_answer_has_results_and_a_receipt(run, four):
    """The keys that scripts are promised, and what the answer was made from."""
    answer = run("recall", "rate limit", "--json").json()
    promised = {"id", "content", "similarity", "source_agent", "memory_type", "confidence", "effective_confidence"}
    promised |= {"is_stale", "days_until_stale", "local_only", "tags", "created_at", "path", "score"}
    assert promised <= answer["results"][0].keys()
    receipt = {"scanned", "changed", "pending", "unreadable", "problems", "lexical_only", "model", "git_head"}
    assert receipt | {"reranked", "unheld"} <= answer["receipt"].keys()


def test_a_question_may_be_several_words_or_standard_input(run, four):
    """With quotes, without them, for a hyphen and for no argument: the same answer. `ask` is the same verb."""
    said = {"words": ("rate", "limit"), "quoted": ("rate limit",), "hyphen": ("-",), "nothing": ()}
    answers = {
        how: run("recall", *arguments, "--json", stdin=b"rate limit\n").json()["results"]
        for how, arguments in said.items()
    }
    answers["ask"] = run("ask", "rate limit", "--json").json()["results"]
    assert all(answer == answers["quoted"] for answer in answers.values())


def test_filters_narrow_the_answer_before_the_best_are_taken(run, write):
    """By type, every tag given, author, and time; -n cuts afterwards."""
    for number in range(12):
        author = "mina" if number % 2 else "oskar"
        kind = "decision" if number % 3 else "fact"
        write(
            f"{number}.md",
            f"---\ntype: {kind}\nagent: {author}\ntags: [all, n{number}]\ncreated: 2026-0{1 + number // 2}-10\n---\n"
            f"The lamp number {number} is lit\n",
        )

    def numbers(*options):
        found = run("recall", "which lamp is lit?", "-n", "100", "--json", *options).json()["results"]
        return sorted(int(row["content"].split()[3]) for row in found)

    assert numbers() == list(range(12))
    assert numbers("--type", "fact") == [0, 3, 6, 9]
    assert numbers("--agent", "mina", "-t", "decision") == [1, 5, 7, 11]
    assert numbers("--tag", "all", "--tag", "n7") == [7]
    assert numbers("--since", "2026-03-01", "--until", "2026-04-30") == [4, 5, 6, 7]
    assert len(run("recall", "lamp", "-n", "2", "--json").json()["results"]) == 2


def test_what_no_longer_holds_or_is_doubtful_is_labelled(run, write):
    """Expired, unsure, superseded: still found, and said to be so."""
    write("old.md", "---\ncreated: 2020-01-01\nexpires: 2020-02-01\n---\nThe freeze ends in February\n")
    write("unsure.md", "---\nconfidence: 0.4\n---\nThe freeze may end in March\n")
    write("a.md", "---\nid: aaaa1111\n---\nThe freeze begins on Monday\n")
    write("b.md", "---\nid: bbbb1111\nsupersedes: [aaaa1111]\n---\nThe freeze begins on Tuesday\n")
    out = run("recall", "freeze").out
    assert "stale" in out and "confidence 0.4" in out and "superseded by bbbb1111" in out


@pytest.mark.model
def test_explain_shows_how_the_score_comes_about(run, four):
    """The sum on stdout with its parts, the receipt on stderr."""
    ran = run("recall", "rate limit of the API", "--explain", "-n", "1")
    for word in ("score", "meaning", "cosine", "BM25", "matched", "rate"):
        assert word in ran.out
    assert "4 files looked at" in ran.err


@pytest.mark.model
def test_a_floor_for_similarity_leaves_out_what_is_far(run, four):
    """0.99 admits nothing of these; the receipt is still given."""
    ran = run("recall", "zoology of the deep sea", "--min-similarity", "0.99", "--json")
    assert (ran.code, ran.json()["results"], ran.json()["receipt"]["scanned"]) == (NOTHING, [], 4)


@pytest.mark.model
def test_where_nothing_answers_one_line_says_so_and_what_is_nearest(run, four):
    """Nothing on stdout, so that no script takes it for an answer."""
    ran = run("recall", "how do I bake sourdough bread?")
    assert (ran.code, ran.out) == (NOTHING, "")
    assert len(ran.err.splitlines()) == 1
    assert "nothing in namespace shared seems to answer" in ran.said and "the nearest is 0." in ran.said
    assert any(text[:60] in ran.said for text in (RATE, *OTHERS)) and "--nearest" in ran.said


@pytest.mark.model
def test_what_is_nearest_is_shown_to_who_asks_for_it(run, four):
    """And still said to be no answer; where there is one, the option changes nothing."""
    ran = run("recall", "how do I bake sourdough bread?", "--nearest", "-n", "2")
    assert ran.code == FOUND and ran.out.count("shared/") == 2
    assert "none of these seems to answer" in ran.said
    asked = ("recall", "what are the API constraints?", "--json")
    assert run(*asked, "--nearest").json()["results"] == run(*asked).json()["results"] != []


@pytest.mark.model
def test_the_json_says_whether_it_is_an_answer(run, four):
    """With an empty list where it is none, unless what is nearest is asked for."""
    ran = run("recall", "how do I bake sourdough bread?", "--json")
    assert (ran.code, ran.json()["results"], ran.json()["answered"], ran.err) == (NOTHING, [], False, "")
    ran = run("recall", "how do I bake sourdough bread?", "--json", "--nearest")
    assert (ran.code, len(ran.json()["results"]), ran.json()["answered"]) == (FOUND, 4, False)
    assert run("recall", "what are the API constraints?", "--json").json()["answered"] is True


def test_what_says_the_same_is_one_result_with_the_names_of_the_others(run, write):
    """In a line under it, and in the JSON."""
    for name in ("aaaa1111", "bbbb2222", "cccc3333"):
        write(f"{name}.md", f"---\nid: {name}\n---\n{RATE}\n")
    write("other.md", RATE.replace("100", "200"))
    answer = run("recall", "100 requests", "--json").json()
    assert len(answer["results"]) == 2 and answer["answered"]
    first, others = answer["results"][0]["id"], answer["results"][0]["same_as"]
    assert sorted([first, *others]) == ["aaaa1111", "bbbb2222", "cccc3333"] and answer["results"][1]["same_as"] == []
    out = run("recall", "100 requests").out
    assert f"+2 that say the same: {', '.join(others)}\n" in out and out.count("+") == 1


def test_without_a_model_recall_goes_by_words_and_says_so_once(run, four, tmp_path):
    """One line on stderr, `lexical_only` in the receipt, and the answer by words."""
    env = {"MESH_MODEL_PATH": str(tmp_path / "nowhere")}
    ran = run("recall", "rate limit", "--json", env=env)
    assert "by words only" in ran.said
    answer = ran.json()
    assert answer["receipt"]["lexical_only"] is True
    assert (answer["results"][0]["content"], answer["results"][0]["similarity"]) == (RATE, None)


def test_one_bad_file_never_blocks_the_others(run, four, write):
    """Bytes that are no text, front matter that is no YAML, a folder with a name like a memory."""
    write("bad.md", b"\xff\xfe broken")
    write("worse.md", "---\ntags: [unclosed\n---\nrate limit\n")
    (four[0].parent / "folder.md").mkdir()
    ran = run("recall", "rate limit", "--json")
    assert ran.code == FOUND
    assert ran.json()["results"][0]["content"] == RATE
    assert ran.json()["receipt"]["problems"] == 2
