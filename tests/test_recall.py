"""Answers: from the files as they are, by meaning and by words, narrowed first and ranked then."""

import os
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from hashing import hashed, wordsonly, write

from mesh import Mesh
from mesh.errors import InvalidInput
from mesh.index.filters import Filters
from mesh.recall import recall


@pytest.fixture
def hashes(home):
    """A `Mesh` with the fast embedder: here only the machinery is tested."""
    with hashed(home) as opened:
        yield opened


def paths(rows):
    return [row["path"].removeprefix("shared/").removesuffix(".md") for row in rows]


def ago(**span):
    return (datetime.now(UTC) - timedelta(**span)).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- filters -------------------------------------------------------------------------------------------------------

FILTERED = [
    ("type: decision", {"memory_type": "decision"}),
    ("tags: [rare]", {"tags": ["rare"]}),
    ("tags: [Rare, other]", {"tags": ["rare", "other"]}),
    ("agent: ann", {"source_agent": "ann"}),
    ("created: 2020-01-01", {"until": "2021-01-01"}),
    ("created: 2100-01-01", {"since": "2099-12-31"}),
    ("confidence: 0.9\ncreated: 2026-01-31", {"min_confidence": 0.8}),
]


@pytest.mark.parametrize("embedded", [True, False], ids=["by meaning", "by words"])
@pytest.mark.parametrize(("front", "options"), FILTERED, ids=[str(options) for _, options in FILTERED])
def test_filters_come_before_the_best_are_taken(home, front, options, embedded):
    """The only admitted memory is found, though a hundred others answer better."""
    for i in range(120):
        write(home, f"shared/{i}.md", "---\ncreated: 2026-01-31\nconfidence: 0.5\n---\nwalrus tusk")
    write(home, "shared/it.md", f"---\n{front}\n---\nan octopus, much ice, and somewhere a walrus")
    with (hashed if embedded else wordsonly)(home) as mesh:
        assert paths(mesh.recall("walrus tusk", 1, **options)) == ["it"]


def test_stale_memories_are_labelled_and_can_be_left_out(home, hashes):
    """An expired memory answers, and says that it is stale."""
    write(home, "shared/old.md", f"---\ncreated: {ago(days=20)}\nexpires: {ago(days=10)}\n---\nwalrus")
    write(home, "shared/new.md", "walrus too")
    found = {row["path"]: row for row in hashes.recall("walrus")}
    assert found["shared/old.md"]["is_stale"] and found["shared/old.md"]["days_until_stale"] == 0
    assert not found["shared/new.md"]["is_stale"]
    assert paths(hashes.recall("walrus", include_stale=False)) == ["new"]


def test_superseded_memories_are_labelled(home, hashes):
    """Whoever reads an old memory is told which one replaced it."""
    write(home, "shared/old.md", "---\nid: OLD-1\n---\nwalrus")
    write(home, "shared/new.md", "---\nid: new-1\nsupersedes: old-1\n---\nwalrus too")
    assert {row["path"]: row["superseded_by"] for row in hashes.recall("walrus")} == {
        "shared/old.md": "new-1",
        "shared/new.md": None,
    }


def test_local_memories_can_be_left_out(home, hashes):
    """By place and by key: both never leave this machine."""
    write(home, "_local/shared/a.md", "walrus one")
    write(home, "shared/b.md", "---\nlocal_only: true\n---\nwalrus two")
    write(home, "shared/c.md", "---\nlocal_only: maybe\n---\nwalrus three")
    write(home, "shared/d.md", "walrus four")
    assert len(hashes.recall("walrus")) == 4
    assert paths(hashes.recall("walrus", include_local=False)) == ["d"]


def test_a_local_memory_is_not_named_where_it_may_not_answer(home, hashes):
    """Not even by its id."""
    write(home, "shared/old.md", "---\nid: old-1\n---\nwalrus")
    write(home, "_local/shared/new.md", "---\nid: secret-1\nsupersedes: old-1\n---\nwalrus too")
    assert hashes.recall("walrus", include_local=False)[0]["superseded_by"] is None


def test_namespaces_do_not_see_each_other(home):
    """Not even one whose name begins with the other's."""
    for namespace in ("team", "team-2", "team.x"):
        write(home, f"{namespace}/a.md", f"walrus {namespace}")
    for namespace in ("team", "team-2", "team.x"):
        with hashed(home, namespace) as mesh:
            assert [row["path"] for row in mesh.recall("walrus")] == [f"{namespace}/a.md"]


# --- order ---------------------------------------------------------------------------------------------------------


def test_ties_go_by_confidence_then_age_then_path(home, hashes):
    """The same words four times: the surest first, then the youngest, then by name."""
    write(home, "shared/b.md", "---\nconfidence: 0.9\ncreated: 2026-01-01\n---\nwalrus")
    write(home, "shared/a.md", "---\nconfidence: 0.9\ncreated: 2026-01-01\n---\nwalrus?")
    write(home, "shared/younger.md", "---\nconfidence: 0.9\ncreated: 2026-01-02\n---\nwalrus??")
    write(home, "shared/surer.md", "---\nconfidence: 0.95\ncreated: 2020-01-01\n---\nwalrus???")
    found = hashes.recall("walrus")
    assert len({round(row["score"], 6) for row in found}) == 1, "only what breaks ties differs"
    assert paths(found) == ["surer", "younger", "a", "b"]


def test_exact_ties_are_broken_the_same_way_every_time(home):
    """The order does not depend on the order in which files were indexed."""
    for names in ("abc", "cba"):
        shutil.rmtree(home / "shared", ignore_errors=True)
        shutil.rmtree(home / ".cache", ignore_errors=True)
        with hashed(home) as mesh:
            for name in names:
                write(home, f"shared/{name}.md", f"walrus{'?' * ord(name)}")  # or they would be folded
                mesh.refresh()
            assert paths(mesh.recall("walrus")) == ["a", "b", "c"]


def test_no_more_than_asked_for(home, hashes):
    """`n`, or `count`; all there are if there are fewer."""
    for i in range(30):
        write(home, f"shared/{i}.md", f"walrus {i}")
    assert len(hashes.recall("walrus")) == 5
    assert len(hashes.recall("walrus", 7)) == len(hashes.recall("walrus", count=7)) == 7
    assert len(hashes.recall("walrus", 1000)) == 30


def test_the_parts_of_a_score_add_up(home, hashes):
    """What `--explain` shows is the arithmetic that was done."""
    for i in range(10):
        source = "---\nsource: a book\ncreated: 2026-01-01\n---\n" if i % 2 else ""
        write(home, f"shared/{i}.md", f"{source}walrus {'tusk ' * i} number{i}")
    for row in hashes.recall("walrus tusk number3", 10):
        parts = row["meaning_part"] + row["words_part"] + row["neighbours_part"] + row["time_part"]
        assert row["score"] == pytest.approx(parts, abs=3e-6)
        assert -1 <= row["similarity"] <= 1 and row["bm25"] >= 0


def test_every_hit_says_which_words_matched(home, hashes):
    """The question's words, as asked, that the memory has in some form."""
    write(home, "shared/a.md", "---\ntags: [sea]\n---\nThe walrus is sleeping in sea/nap.sh")
    row = hashes.recall("Does a walrus sleep at SEA in winter, by nap.sh or sleep.sh?")[0]
    assert row["matched_words"] == ["walrus", "sleep", "sea", "nap", "sh", "nap.sh"], "a whole only if it is there"


def test_a_long_memory_shows_the_passage_that_answers(home, hashes):
    """The span of the content that is nearest, not its beginning."""
    filler = " ".join(f"word{i}" for i in range(200))
    write(home, "shared/a.md", f"{filler} octopus garden shade {filler}")
    row = hashes.recall("octopus garden shade")[0]
    assert "octopus garden shade" in row["passage"] and len(row["passage"]) < len(row["content"])
    assert row["passage"] in row["content"]


def test_min_similarity_leaves_out_what_is_far_or_unknown(home):
    """A floor on the cosine; a memory without a vector is not known to reach it."""
    write(home, "shared/same.md", "walrus tusk")
    write(home, "shared/near.md", "walrus octopus")
    write(home, "shared/far.md", "nothing else of it")
    with hashed(home) as mesh:
        found = mesh.recall("walrus tusk", 10)
        assert len(found) == 3
        for floor in (-1.0, 0.3, 0.9, 1.0):
            kept = {row["path"] for row in found if row["similarity"] >= floor - 1e-6}
            again = {row["path"] for row in mesh.recall("walrus tusk", 10, min_similarity=max(floor - 1e-5, -1))}
            assert again == kept
    with wordsonly(home) as mesh:
        assert list(mesh.recall("walrus", min_similarity=0.1)) == []


# --- from the files ------------------------------------------------------------------------------------------------


def test_text_comes_from_the_file(home, hashes):
    """What the cache holds decides what wins; what is shown is read from the winner."""
    write(home, "shared/a.md", "walrus")
    hashes.recall("walrus")
    hashes.workspace.cache.manifest.db.execute("UPDATE files SET type = 'error', agent = 'somebody'")
    row = hashes.recall("walrus")[0]
    assert (row["memory_type"], row["source_agent"]) == ("fact", "")


def test_a_winner_that_vanishes_is_left_out(home):
    """Deleted between the scan and the reading: the others answer."""
    write(home, "shared/a.md", "walrus")
    write(home, "shared/b.md", "walrus")
    embedder = hashed(home).workspace.embedder
    embed = embedder.embed

    def slow(texts):
        if texts == ["walrus now"]:
            (home / "shared/a.md").unlink(missing_ok=True)
        return embed(texts)

    embedder.embed = slow
    with hashed(home, embedder=embedder) as mesh:
        assert paths(mesh.recall("walrus now")) == ["b"]


def test_the_receipt_says_what_the_answer_was_made_from(home, hashes):
    """How many files, what changed, what is wrong, which model."""
    write(home, "shared/a.md", "walrus")
    write(home, "shared/b.md", "---\ncreated: yesterday\n---\nwalrus")
    write(home, "shared/c.md", b"\xff")
    first = hashes.recall("walrus").receipt
    assert (first.scanned, first.changed, first.pending, first.problems) == (3, 3, 0, 2)
    assert (first.unreadable, first.lexical_only, first.model, first.git_head) == ((), False, "hash-32", None)
    second = hashes.recall("walrus").receipt
    assert (second.scanned, second.changed) == (3, 0)
    os.rename(home / "shared/a.md", home / "shared/d.md")
    (home / "shared/c.md").unlink()
    assert hashes.recall("walrus").receipt.changed >= 2


def test_asking_changes_no_file(home, hashes):
    """No counter, no id, no time."""
    path = write(home, "shared/a.md", "walrus")
    before = path.stat()
    for _ in range(3):
        hashes.recall("walrus")
    after = path.stat()
    assert (before.st_mtime_ns, before.st_ctime_ns, before.st_ino) == (
        after.st_mtime_ns,
        after.st_ctime_ns,
        after.st_ino,
    )


# --- questions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("embedded", [True, False], ids=["by meaning", "by words"])
@pytest.mark.parametrize(
    "question",
    [
        '"',
        '""',
        "'",
        "*",
        "wal*",
        "NEAR(",
        "NEAR(walrus tusk, 5)",
        "-walrus",
        "content:walrus",
        "about:x",
        "^walrus",
        "walrus AND",
        "OR",
        "NOT walrus",
        "(walrus",
        "walrus)",
        "{walrus}",
        "a + b",
        "walrus;DROP TABLE files",
        "%",
        "_",
        "\\",
        "\t\n",
        "\u200b",
        "?",
        "walrus\u0301",
        "ß",
        "İ",
        "🦭",
        "👨‍👩‍👧",
        "海象",
        "세이우치",
        "морж",
        "فظ",
        "²",
        "x" * 5000,
    ],
)
def test_no_question_is_harmful(home, question, embedded):
    """Whatever characters it has: an answer or none, never an error other than for an empty one."""
    write(home, "shared/a.md", "walrus tusk")
    with (hashed if embedded else wordsonly)(home) as mesh:
        if not question.strip():
            with pytest.raises(InvalidInput):
                mesh.recall(question)
            return
        mesh.recall(question)
        assert paths(mesh.recall(f"walrus {question}")) == ["a"]
        assert mesh.count() == 1


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("海象 在 睡觉", "海象"),
        ("Морж спит на льду", "морж"),
        ("The party 🎉 room is upstairs", "party room"),
        ("São Paulo office", "sao paulo"),
        ("Übergrößenträger", "ÜBERGRÖßENTRÄGER"),
        ("we say İstanbul", "İstanbul"),
    ],
)
def test_words_of_any_alphabet_are_found(home, text, question):
    """By words alone, in any case, with or without diacritics."""
    write(home, "shared/a.md", text)
    write(home, "shared/b.md", "something else")
    with wordsonly(home) as mesh:
        assert paths(mesh.recall(question)) == ["a"]


def test_a_question_of_stop_words_only_still_asks(home):
    """Where nothing else is asked, the little words count."""
    write(home, "shared/a.md", "To be or not to be")
    write(home, "shared/b.md", "walrus")
    with wordsonly(home) as mesh:
        assert paths(mesh.recall("to be or not to be")) == ["a"]


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"query": ""}, "query"),
        ({"query": "a\0"}, "query"),
        ({"query": "x" * 20_000}, "query"),
        ({"n": 0}, "n"),
        ({"n": 1001}, "n"),
        ({"n": True}, "n"),
        ({"min_similarity": 2}, "min_similarity"),
        ({"min_confidence": -1}, "min_confidence"),
        ({"memory_type": "rumour"}, "type"),
        ({"since": "whenever"}, "since"),
    ],
)
def test_what_is_not_acceptable_is_said(hashes, options, place):
    """The error names the argument."""
    with pytest.raises(InvalidInput) as caught:
        hashes.recall(**{"query": "walrus"} | options)
    assert caught.value.place == place and caught.value.remedy


def test_a_use_case_can_be_called_without_the_facade(home, hashes):
    """`recall` on a workspace gives hits as records."""
    write(home, "shared/a.md", "walrus")
    found = recall(hashes.workspace, "  walrus  ", filters=Filters(type="fact"))
    assert found.query == "walrus" and found.hits[0].memory.content == "walrus"


@pytest.mark.model
def test_meaning_finds_what_shares_no_word(mesh):
    """With the real model: another way of saying it."""
    for text in ("Money is collected on the first working day", "Priya must not eat nuts", "We deploy on Tuesdays"):
        mesh.learn(text)
    assert mesh.recall("when does billing happen?", 1)[0]["content"].startswith("Money")
    assert mesh.recall("food allergies", 1)[0]["content"].startswith("Priya")


def test_a_receipt_for_others_counts_a_namespace_whose_name_looks_like_the_local_folder(home, without_model):
    """`_` stands for itself: the files of `xlocal` are not those of `_local/`."""
    with Mesh("xlocal", home=home) as mesh:
        mesh.learn("The lamp is lit")
        mesh.learn("The lamp is mine", local_only=True)
        receipt = mesh.recall("lamp", include_local=False).receipt
    assert receipt.scanned == 1
