"""`mesh update`, `mesh forget`, `mesh restore`: there and back again."""

from __future__ import annotations

import pytest

OLD = "---\n# mine\nid: 01kb2x7m9q4dk2wc\ntags: ['api']   # two later\nzoo: NO\n---\nThe old text\n"


@pytest.fixture
def old(write):
    return write("notes/old.md", OLD)


def test_update_changes_only_the_lines_it_must(run, old):
    """Comments, quotes, order and unknown keys stay; the old text lies in the trash."""
    ran = run("update", "01kb", "The", "new", "text")
    assert (ran.code, ran.out) == (0, "01kb2x7m9q4dk2wc\tupdated\tshared/notes/old.md\n")
    lines = old.read_text().splitlines()
    assert lines[:5] == OLD.splitlines()[:5]
    assert [line.partition(":")[0] for line in lines[5:]] == ["updated", "---", "The new text"]
    assert run("list", "--trash").out.startswith("01kb2x7m9q4dk2wc\t")


def test_update_sets_and_drops_keys(run, old):
    """Type, tags, confidence, title and days to live; '' drops a title."""
    row = run(
        *("update", "01kb", "--type", "decision", "--tag", "a", "--tag", "b", "--confidence", "0.5"),
        *("--title", "T", "--ttl", "2", "--json"),
    ).json()  # fmt: skip
    assert (row["memory_type"], row["tags"], row["confidence"], row["title"]) == ("decision", ["a", "b"], 0.5, "T")
    assert row["content"] == "The old text" and row["expires_at"]
    assert "title" not in run("update", "01kb", "--title", "", "--json").out.replace('"title": ""', "")
    assert "zoo: NO" in old.read_text()


def test_update_reads_the_new_text_from_standard_input(run, old):
    """For a hyphen; with the lines it has."""
    assert run("update", "01kb", "-", stdin="eins\nzwei ä\n".encode()).code == 0
    assert run("show", "01kb").out == "eins\nzwei ä\n"


def test_forget_and_restore_give_back_the_same_bytes(run, old):
    """In the same place, and recall knows both times."""
    ran = run("forget", "01kb")
    assert (ran.code, ran.out) == (0, "01kb2x7m9q4dk2wc\tforgotten\tshared/notes/old.md\n")
    assert "mesh restore 01kb2x7m9q4dk2wc" in ran.err
    assert not old.exists()
    assert run("recall", "old text").code == 3
    assert run("show", "01kb").code == 1
    ran = run("restore", "01kb")
    assert (ran.code, ran.out) == (0, "01kb2x7m9q4dk2wc\trestored\tshared/notes/old.md\n")
    assert old.read_text() == OLD
    assert "The old text" in run("recall", "old text").out


def test_to_restore_an_update_is_to_undo_it_and_twice_is_to_redo_it(run, old):
    """The living text takes the place of the one that comes back."""
    run("update", "01kb", "The new text")
    run("restore", "01kb")
    assert old.read_text() == OLD
    run("restore", "01kb")
    assert run("show", "01kb").out == "The new text\n"


def test_several_are_forgotten_at_once_or_none(run, write, untouched):
    """A name that is unknown among them stops before the first is gone."""
    for name in ("aaaa", "bbbb", "cccc"):
        write(f"{name}.md", f"---\nid: {name}0000\n---\nMemory {name}\n")
    before = untouched()
    ran = run("forget", "aaaa", "nowhere", "bbbb")
    assert (ran.code, ran.out) == (1, "")
    assert "nowhere" in ran.said
    assert untouched() == before
    rows = run("forget", "aaaa", "bbbb", "--yes", "--json").json()
    assert [row["id"] for row in rows] == ["aaaa0000", "bbbb0000"]
    assert [line.partition("\t")[0] for line in run("list").lines] == ["cccc0000"]


def test_one_that_is_named_twice_is_forgotten_once(run, old):
    """By two names of it: exit 0, one line."""
    ran = run("forget", "01kb", "notes/old.md", "--yes")
    assert (ran.code, ran.out) == (0, "01kb2x7m9q4dk2wc\tforgotten\tshared/notes/old.md\n")


def test_a_memory_given_thirty_more_days_is_not_stale_at_once(run, write):
    """However old it is: `--ttl` counts from now, and so does the loss of confidence."""
    write("old.md", "---\nid: aaaa1111\ncreated: 2020-01-01\n---\nThe lamp is lit\n")
    assert run("update", "aaaa", "--ttl", "30", "--json").json()["is_stale"] is False


def test_the_trash_is_listed_the_latest_first(run, write):
    """As lines and as JSON, by id, time and path."""
    for name in ("aaaa", "bbbb"):
        write(f"{name}.md", f"---\nid: {name}0000\n---\nMemory {name}\n")
        run("forget", name)
    assert [line.split("\t")[::2] for line in run("list", "--trash").lines] == [
        ["bbbb0000", "shared/bbbb.md"],
        ["aaaa0000", "shared/aaaa.md"],
    ]
    assert [line.count('"forgotten_at"') for line in run("list", "--trash", "--json").lines] == [1, 1]
    assert len(run("list", "--trash", "-n", "1").lines) == 1


def test_the_last_memory_can_come_back(run, old):
    """Also when its folder went with it."""
    run("forget", "01kb", "-y")
    old.parent.rmdir()
    old.parent.parent.rmdir()
    ran = run("restore", "01kb2x7m")
    assert ran.code == 0, ran.err
    assert old.read_text() == OLD


def test_what_is_not_in_the_trash_cannot_be_restored(run, old, untouched):
    """One line, exit 1, nothing written."""
    before = untouched()
    ran = run("restore", "zzzz")
    assert (ran.code, ran.out) == (1, "")
    assert "trash" in ran.said
    assert untouched() == before


def test_an_update_of_nothing_is_wrong_usage(run, old, untouched):
    """Neither a text nor a key: exit 2, one line."""
    before = untouched()
    ran = run("update", "01kb")
    assert (ran.code, ran.out) == (2, "")
    assert ran.said
    assert untouched() == before
