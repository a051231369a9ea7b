"""What becomes of a text that is learned: stored, found to be there already, or named as an update of another."""

import os
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hashing import bytes_below, hashed, wordsonly, write

from mesh import codec, inputs
from mesh.errors import InvalidInput, UnknownMemory
from mesh.learn import learn, new_memory
from mesh.memory import TYPES

TESTS = Path(__file__).parent
LIMIT = "The API rate limit is 100 requests/min"


def files(home):
    return sorted(path for path in bytes_below(home) if path.endswith(".md"))


# --- stored --------------------------------------------------------------------------------------------------------


def test_what_is_learned_is_a_file_that_a_person_can_read(home):
    """The text, under front matter that says what is not the default, in a file named after it."""
    with hashed(home) as mesh:
        row = mesh.learn(LIMIT, "decision", 0.9, ["api", "#limits"], title="Limits", source="wiki")
    assert row["status"] == "stored" and row["conflict"] is None and row["superseded"] == []
    assert files(home) == [row["path"]] and row["path"].startswith("shared/limits--")
    memory = codec.read((home / row["path"]).read_bytes(), row["path"])
    assert memory.id == row["memory_id"] and memory.content == LIMIT and memory.agent == "tester"
    assert (memory.type, memory.confidence, memory.tags) == ("decision", 0.9, ("api", "limits"))
    assert (memory.title, memory.source) == ("Limits", "wiki")


def test_defaults_are_not_written(home):
    """A plain memory has an id, an agent and a time, and nothing else."""
    with hashed(home) as mesh:
        path = home / mesh.learn(LIMIT)["path"]
    keys = [line.split(":")[0] for line in path.read_text().split("---")[1].strip().splitlines()]
    assert keys == ["id", "agent", "created"]


def test_what_is_learned_is_found_at_once_by_everybody(home):
    """By the one who learned it, and by another process's `Mesh` that was open before."""
    with hashed(home) as one, hashed(home, agent="other") as other:
        other.recall("anything")
        one.learn(LIMIT)
        assert one.recall("rate limit")[0]["content"] == LIMIT == other.recall("rate limit")[0]["content"]


def test_two_texts_with_the_same_first_line_have_two_files(home):
    """Ids keep names apart."""
    with hashed(home) as mesh:
        rows = [mesh.learn(f"The same heading\n\nbut text {word}") for word in ("walrus", "octopus", "badger")]
    assert len({row["path"] for row in rows}) == 3 == len(files(home))


def test_a_local_memory_lies_apart(home):
    """Below `_local/`, where no git tree reaches."""
    with hashed(home) as mesh:
        row = mesh.learn(LIMIT, local_only=True)
        assert row["path"].startswith("_local/shared/") and files(home) == [row["path"]]
        assert mesh.recall("rate limit")[0]["local_only"] is True
        assert list(mesh.recall("rate limit", include_local=False)) == []


# --- deduplicated --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "again",
    [
        "first line\nsecond line",
        "first line\r\nsecond line",
        "first line\nsecond line\n\n\n",
        "\n\n  \nfirst line\nsecond line \t ",
        "first line\r\r\nsecond line",
    ],
    ids=["same", "CRLF", "blank lines after", "blank lines before", "CRCRLF"],
)
def test_the_same_text_is_stored_once(home, again):
    """White space around it and the kind of line end do not make another text."""
    with hashed(home) as mesh:
        first = mesh.learn("first line\nsecond line")
        before = bytes_below(home)
        second = mesh.learn(again, tags=["other"])
    assert second["status"] == "deduplicated" and second["memory_id"] == first["memory_id"]
    assert second["path"] == first["path"] and bytes_below(home) == before


@pytest.mark.parametrize("other", ["First line\nsecond line", "first line second line", "first line\n second line"])
def test_a_text_that_differs_is_another(home, other):
    """Case and inner white space count: they mean something in code, lists and names."""
    with hashed(home) as mesh:
        mesh.learn("first line\nsecond line")
        assert mesh.learn(other)["status"] != "deduplicated"
    assert len(files(home)) == 2


def test_a_text_that_a_person_wrote_is_not_stored_again(home):
    """A hand-made file counts as well, with or without front matter."""
    with hashed(home) as mesh:
        write(home, "shared/by hand.md", "---\ntags: [x]\n---\n\nthe walrus\r\n")
        row = mesh.learn("the walrus")
    assert row["status"] == "deduplicated" and row["path"] == "shared/by hand.md"


def test_a_text_that_a_person_wrote_just_now_is_not_stored_again(home):
    """Also when the cache was made before that file was."""
    with hashed(home) as mesh:
        mesh.learn("an octopus")
        write(home, "shared/by hand.md", "the walrus")
        assert mesh.learn("the walrus")["status"] == "deduplicated"


def test_a_text_that_was_edited_away_is_stored(home):
    """What a file held when it was indexed is not what it holds."""
    with hashed(home) as mesh:
        first = mesh.learn("the walrus")
        write(home, first["path"], (home / first["path"]).read_text().replace("walrus", "badger"))
        row = mesh.learn("the walrus")
    assert row["status"] != "deduplicated" and row["path"] != first["path"]


def test_a_forgotten_text_can_be_learned_again(home):
    """The trash does not count."""
    with hashed(home) as mesh:
        first = mesh.learn("the walrus")
        mesh.forget(first["memory_id"])
        assert mesh.learn("the walrus")["status"] == "stored"


def test_two_processes_that_learn_the_same_text_store_it_once(home):
    """The check is made again under the lock."""
    script = f"""
    import sys
    sys.path.insert(0, {str(TESTS)!r})
    from pathlib import Path
    from hashing import hashed
    with hashed(Path({str(home)!r})) as mesh:
        print([mesh.learn(f"the walrus number {{i}} of many")["status"] for i in range(20)].count("deduplicated"))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    counts = [int(one.communicate()[0]) for one in running]
    assert len(files(home)) == 20 and sum(counts) == 40


# --- conflicts -----------------------------------------------------------------------------------------------------


def test_another_number_is_stored_and_the_other_memory_named(home):
    """Both stay; the caller is told which one may be out of date, by whom, and since when."""
    with hashed(home, agent="ann") as mesh:
        first = mesh.learn(LIMIT)
    with hashed(home, agent="bob") as mesh:
        second = mesh.learn(LIMIT.replace("100", "250"))
    conflict = second["conflict"]
    assert second["status"] == "stored_with_conflict"
    assert conflict["existing_memory_id"] == first["memory_id"] and conflict["existing_content"] == LIMIT
    assert conflict["difference"] == "number" and conflict["stored_by"] == "ann" and conflict["stored_at"]
    assert 0.7 < conflict["similarity"] <= 1 and len(files(home)) == 2


def test_a_conflict_is_found_without_a_model(home):
    """By words, and then no similarity is claimed."""
    with wordsonly(home) as mesh:
        mesh.learn(LIMIT)
        mesh.learn("Priya must not eat shellfish")
        row = mesh.learn(LIMIT.replace("100", "250"))
    assert row["status"] == "stored_with_conflict" and row["conflict"]["similarity"] is None


@pytest.mark.model
@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (LIMIT, "The API rate limit is 200 requests/min", "stored_with_conflict"),
        ("Deploys happen on Fridays at 10:00", "Deploys happen on Fridays at 16:30", "stored_with_conflict"),
        ("You can deploy on Fridays", "You can never deploy on Fridays", "stored_with_conflict"),
        ("The primary database is in Frankfurt", "The primary database is in Dublin", "stored_with_conflict"),
        (LIMIT, "At most 100 requests per minute may be sent to the API", "stored"),
        (LIMIT, "Priya must not eat shellfish or 3 kinds of nuts", "stored"),
    ],
)
def test_meaning_and_words_decide_together(mesh, old, new, status):
    """With the real model: near in meaning, nearly the same words, and one difference that counts."""
    mesh.learn(old)
    assert mesh.learn(new)["status"] == status


def test_the_nearest_contrary_memory_is_named(home):
    """Among many, the one that says the same thing otherwise."""
    with hashed(home) as mesh:
        for i in range(30):
            mesh.learn(f"walrus fact {'abcdefghijklmnopqrstuvwxyzäöüß'[i]} about tusks and ice")
        old = mesh.learn(LIMIT)
        row = mesh.learn(LIMIT.replace("100", "250"))
    assert row["conflict"]["existing_memory_id"] == old["memory_id"]


def test_a_shared_memory_never_names_a_local_one(home):
    """Neither as a duplicate nor as a conflict: it would tell others what it says."""
    with hashed(home) as mesh:
        mesh.learn("The office safe is 4711 downstairs", local_only=True)
        same = mesh.learn("The office safe is 4711 downstairs")
        other = mesh.learn("The office safe is 4712 downstairs")
    assert same["status"] == "stored" and same["conflict"] is None and same["path"].startswith("shared/")
    assert other["conflict"]["existing_memory_id"] == same["memory_id"]
    with wordsonly(home, "team") as mesh:
        mesh.learn("The office safe is 4711 downstairs", local_only=True)
        assert mesh.learn("The office safe is 4712 downstairs")["conflict"] is None


def test_a_local_memory_may_name_a_shared_one(home):
    """What stays here may know of everything here."""
    with hashed(home) as mesh:
        shared = mesh.learn("The office safe is 4711 downstairs")
        assert mesh.learn("The office safe is 4711 downstairs", local_only=True)["memory_id"] == shared["memory_id"]
        row = mesh.learn("The office safe is 4712 downstairs", local_only=True)
    assert row["conflict"]["existing_memory_id"] == shared["memory_id"]


def test_a_conflict_is_found_although_the_cache_was_damaged(home):
    """The cache that is made again for the comparison has the memories in it."""
    with hashed(home) as mesh:
        mesh.learn(LIMIT)
        mesh.recall("limit")
    (home / ".cache/shared/vectors.npy").unlink()
    with hashed(home) as mesh:
        assert mesh.learn(LIMIT.replace("100", "250"))["status"] == "stored_with_conflict"


# --- supersedes ----------------------------------------------------------------------------------------------------


def test_superseding_replaces_and_keeps_the_old_text_in_the_trash(home):
    """The old one is not recalled any more, can be had back, and the new one says what it replaced."""
    with hashed(home) as mesh:
        old = mesh.learn(LIMIT)
        new = mesh.learn(LIMIT.replace("100", "250"), supersedes=old["memory_id"][:8])
        assert new["status"] == "stored" and new["superseded"] == [old["memory_id"]]
        assert [row["id"] for row in mesh.recall("rate limit")] == [new["memory_id"]]
        assert mesh.get(new["memory_id"])["supersedes"] == [old["memory_id"]]
        assert [row["id"] for row in mesh.trashed()] == [old["memory_id"]]
        restored = mesh.restore(old["memory_id"])
        assert restored["content"] == LIMIT
        found = {row["id"]: row["superseded_by"] for row in mesh.recall("rate limit")}
        assert found == {old["memory_id"]: new["memory_id"], new["memory_id"]: None}


def test_the_same_text_may_supersede_its_own_old_form(home):
    """To store a memory anew, with other tags, in the place of the old one."""
    with hashed(home) as mesh:
        old = mesh.learn(LIMIT)
        new = mesh.learn(LIMIT, tags=["api"], supersedes=old["memory_id"])
    assert new["status"] == "stored" and files(home) == [new["path"]]


def test_several_can_be_superseded_at_once(home):
    """One summary for three notes."""
    with hashed(home) as mesh:
        olds = [mesh.learn(f"note {word}")["memory_id"] for word in ("walrus", "octopus", "badger")]
        new = mesh.learn("all the notes in one", supersedes=olds)
    assert new["superseded"] == olds and files(home) == [new["path"]]


def test_superseding_what_is_not_there_stores_nothing(home):
    """A mistyped id is said before anything is written."""
    with hashed(home) as mesh:
        mesh.learn(LIMIT)
        before = bytes_below(home)
        with pytest.raises(UnknownMemory):
            mesh.learn("another text", supersedes="01zzzzzz")
    assert bytes_below(home) == before


# --- limits and expiry ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"content": ""}, "content"),
        ({"content": " \n\t "}, "content"),
        ({"content": "a\0b"}, "content"),
        ({"content": "\ud800"}, "content"),
        ({"content": "ä" * (inputs.MAX_CONTENT_BYTES // 2 + 1)}, "content"),
        ({"content": "<<<<<<< a\nx\n=======\ny\n>>>>>>> b"}, "content"),
        ({"content": None}, "content"),
        ({"memory_type": "rumour"}, "type"),
        ({"confidence": 1.1}, "confidence"),
        ({"confidence": -0.1}, "confidence"),
        ({"confidence": float("nan")}, "confidence"),
        ({"confidence": "high"}, "confidence"),
        ({"tags": [f"t{i}" for i in range(inputs.MAX_TAGS + 1)]}, "tags"),
        ({"tags": ["a\nb"]}, "tag"),
        ({"ttl_days": 0}, "ttl"),
        ({"ttl_days": -1}, "ttl"),
        ({"ttl_days": float("inf")}, "ttl"),
        ({"ttl_days": 10**9}, "ttl"),
        ({"title": "two\nlines"}, "title"),
        ({"supersedes": "../x"}, "id"),
    ],
)
def test_what_is_not_acceptable_is_refused_and_nothing_written(home, arguments, place):
    """The error names the argument, the cause and the remedy."""
    with hashed(home) as mesh, pytest.raises(InvalidInput) as caught:
        mesh.learn(**{"content": "a text"} | arguments)
    assert caught.value.place == place and caught.value.cause and caught.value.remedy
    assert files(home) == []


def test_the_largest_content_is_stored_whole(home):
    """64 KiB, found by a word at its very end."""
    text = ("walrus " * 10_000)[: inputs.MAX_CONTENT_BYTES - 8] + " octopus"
    with hashed(home) as mesh:
        mesh.learn(text)
        row = mesh.recall("octopus")[0]
    assert row["content"] == text and row["passage"].endswith("octopus") and len(row["passage"]) < len(text)


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_can_be_learned_and_asked_for(home, kind):
    """The ten types of FORMAT.md."""
    with wordsonly(home) as mesh:
        mesh.learn("the walrus", kind)
        assert len(mesh.recall("walrus", memory_type=kind)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "---\nnot: front matter\n---\nx",
        "---",
        "# heading\n---\n",
        "a\n---\nb: c\n",
        "\ufeffx",
        "x\u2028y",
        "```\n---\n```",
    ],
)
def test_no_text_is_taken_for_front_matter(home, text):
    """What is learned is what is recalled, whatever it looks like."""
    with wordsonly(home) as mesh:
        row = mesh.learn(text)
        assert mesh.get(row["memory_id"])["content"] == inputs.content(text)


def test_a_memory_with_a_time_to_live_fades_and_expires(home):
    """Its confidence falls in a straight line; below 0.3 it is stale; after its time it counts for nothing."""
    now = datetime.now(UTC)
    with hashed(home) as mesh:
        for days in (0, 5, 8, 11):
            memory = new_memory(
                f"walrus {'abcdefghijkl'[days]}", agent="ann", ttl_days=10, now=now - timedelta(days=days)
            )
            learn(mesh.workspace, memory)
        found = {row["content"][-1]: row for row in mesh.recall("walrus", 10)}
        fresh = {row["content"][-1] for row in mesh.recall("walrus", 10, include_stale=False)}
        sure = {row["content"][-1] for row in mesh.recall("walrus", 10, min_confidence=0.45)}
    assert [found[key]["effective_confidence"] for key in "afil"] == pytest.approx([1, 0.5, 0.2, 0], abs=1e-3)
    assert [found[key]["is_stale"] for key in "afil"] == [False, False, True, True]
    assert found["a"]["days_until_stale"] == pytest.approx(7, abs=0.01)
    assert fresh == sure == {"a", "f"}


def test_an_expired_text_can_be_learned_again(home):
    """Saying it again makes it count again."""
    with hashed(home) as mesh:
        old = new_memory("the walrus", agent="ann", ttl_days=1, now=datetime.now(UTC) - timedelta(days=2))
        learn(mesh.workspace, old)
        mesh.learn("the walrus")
        assert [row["content"] for row in mesh.recall("walrus", include_stale=False)] == ["the walrus"]


def test_learning_makes_a_home_for_its_owner_only(tmp_path):
    """Mode 0700, files 0600, and a .gitignore for what is no truth."""
    if os.name != "posix":
        pytest.skip("no modes on this system")
    home = tmp_path / "new home"
    with wordsonly(home) as mesh:
        row = mesh.learn("the walrus")
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / row["path"]).stat().st_mode & 0o777 == 0o600
    assert ".cache/" in (home / ".gitignore").read_text()


def test_a_confidence_near_zero_is_written_in_plain_digits(mesh, home):
    """A file may not have exponents: 0.00001 is read back as what was learned, and so is an update."""
    learned = mesh.learn("Perhaps the moon is made of cheese", confidence=1e-5)
    assert mesh.get(learned["memory_id"])["confidence"] == 1e-5
    assert mesh.update(learned["memory_id"], confidence=2e-6)["confidence"] == 2e-6
    assert not mesh.problems()
