"""What of what arrived contradicts, or repeats, a memory that was here; after a sync, and by itself."""

from __future__ import annotations

import pytest
from clones import Clone, ann, git, joins, remote  # noqa: F401
from hashing import HashEmbedder, hashed, wordsonly, write

import mesh as library
from mesh.sharing.arrivals import compared

LIMIT, OTHER_LIMIT = "The API rate limit is 100 requests/min", "The API rate limit is 250 requests/min"


class Near(HashEmbedder):
    """Takes texts of the same words for near, as the model does: numbers count nothing."""

    def embed(self, texts):
        vectors = super().embed([" ".join(word for word in text.split() if word.isalpha()) for text in texts])
        self.embedded[-len(texts) :] = texts
        return vectors


def put(home, name: str, text: str, front: str = "") -> str:
    """A memory's file; its path in the home."""
    write(home, f"notes/{name}.md", f"---\nid: {name}0000\nagent: {name}\n{front}---\n{text}\n")
    return f"notes/{name}.md"


@pytest.fixture
def ours(home):
    with hashed(home, "notes", embedder=Near()) as mesh:
        yield mesh


def test_a_contradiction_is_told_with_both_sides_and_the_words(home, ours):
    """Who, what, where, how near, and in what they differ; the others are left in peace."""
    put(home, "mine", LIMIT)
    put(home, "lamp", "The lamp in the hall is lit")
    found = compared(ours.workspace, [put(home, "news", OTHER_LIMIT), put(home, "more", "The garden is green")])
    (row,) = found.contradicts
    assert (row["difference"], row["says"], row["yours_says"]) == ("number", "250 requests", "100 requests")
    assert row["yours"] == {"id": "mine0000", "path": "mine.md", "agent": "mine", "title": LIMIT, "local_only": False}
    assert (row["id"], row["path"], row["similarity"]) == ("news0000", "news.md", 1.0)
    assert (found.compared_by, found.not_compared, found.duplicates) == ("meaning", 0, [])


def test_duplicates_are_told_by_how_much_is_the_same(home, ours):
    """The very text, the same words, the same in other words."""
    for name, text in (("one1", "Backups are kept"), ("two2", "Do not deploy"), ("tre3", "We meet in Rome on Mondays")):
        put(home, name, text)
    news = {"a111": "Backups are kept", "b222": "DO not deploy", "c333": "On Mondays we meet in Rome"}
    found = compared(ours.workspace, [put(home, name, text) for name, text in news.items()])
    assert {row["id"][:4]: row["same"] for row in found.duplicates} == {
        "a111": "text",
        "b222": "words",
        "c333": "meaning",
    }
    assert found.contradicts == []


def test_what_arrived_is_not_compared_with_what_arrived(home, ours):
    """Nor is anything where all of it arrived: a first clone."""
    both = [put(home, "news", OTHER_LIMIT), put(home, "more", LIMIT)]
    assert compared(ours.workspace, both).compared_by == ""
    put(home, "mine", "The API rate limit is 300 requests/min")
    assert {row["yours"]["id"] for row in compared(ours.workspace, both).contradicts} == {"mine0000"}
    assert compared(ours.workspace, []).compared_by == ""


@pytest.mark.parametrize(
    ("front", "mine"),
    [
        ("supersedes: [mine0000]\n", ""),
        ("rival_of: mine0000\n", ""),
        ("rival_of: mine.md\n", ""),
        ("expires: 2020-01-01\n", ""),
        ("", "expires: 2020-01-01\n"),
        ("", "supersedes: [news0000]\n"),
    ],
)
def test_who_says_how_it_stands_to_the_other_does_not_contradict_it(home, ours, front, mine):
    """Superseded, a rival in a conflict that is told as such, or expired."""
    put(home, "mine", LIMIT, mine)
    assert compared(ours.workspace, [put(home, "news", OTHER_LIMIT, front)]).contradicts == []


def test_a_turn_of_a_conversation_repeats_nothing(home, ours):
    """To say it again is another event; the very same turn is the same."""
    put(home, "mine", "We meet in Rome", "source: chat\ncreated: 2026-01-01\n")
    found = compared(ours.workspace, [put(home, "news", "We meet in Rome", "source: chat\ncreated: 2026-01-02\n")])
    assert found.duplicates == []


def test_without_a_model_words_are_compared_and_this_is_said(home):
    """The very text, and nearly the same words; no similarity is made up."""
    put(home, "mine", LIMIT)
    put(home, "hall", "The lamp is in the hall")
    news = [put(home, "news", OTHER_LIMIT), put(home, "more", "The lamp is in the hall")]
    with wordsonly(home, "notes") as mesh:
        found = compared(mesh.workspace, news)
    assert found.compared_by == "words" and found.duplicates[0]["same"] == "text"
    assert [row["similarity"] for row in (*found.contradicts, *found.duplicates)] == [None, None]


def test_each_text_is_embedded_once(home, ours):
    """For the report, and never again for a recall."""
    put(home, "mine", LIMIT)
    ours.recall("limit")
    news = [put(home, "news", OTHER_LIMIT)]
    compared(ours.workspace, news)
    compared(ours.workspace, news)
    ours.recall("limit")
    embedded = ours.workspace.embedder.embedded
    assert embedded.count(OTHER_LIMIT) == embedded.count(LIMIT) == 1


def test_more_than_a_report_embeds_is_counted(home, ours):
    """Identical texts are found all the same."""
    for number in range(6):
        put(home, f"mine{number}", f"Text number {number} of many")
    found = compared(ours.workspace, [put(home, "news", "Text number 3 of many")], most_embedded=2)
    assert found.not_compared == 6 and [row["same"] for row in found.duplicates] == ["text"]


# --- in a sync -----------------------------------------------------------------------------------------------------


def test_a_sync_tells_what_arrived_and_nothing_of_it_twice(without_model, ann, remote):  # noqa: F811
    """Also beside a memory that never leaves this machine, which the others do not get to see."""
    bob = joins(ann, remote, "bob")
    ann.learn(LIMIT, local_only=True)
    bob.learn(OTHER_LIMIT)
    bob.sync()
    report = ann.sync()
    (row,) = report["contradicts"]
    assert row["yours"]["local_only"] and not row["local_only"] and row["path"] in report["new"]
    again = ann.sync()
    assert (again["contradicts"], again["compared_by"]) == ([], "")
    assert "100 requests" not in git(bob.folder, "log", "--all", "-p")


def test_to_share_with_a_history_that_is_there_compares_too(without_model, ann, remote, tmp_path):  # noqa: F811
    """What the remote had is what arrives; a first clone has nothing to compare with."""
    other = Clone(tmp_path / "dora")
    other.learn("The lamp in the hall is not lit", title="Lamp")
    row = library.share_namespace("notes", str(remote), accept=["unrelated"], home=other.home)
    assert [one["difference"] for one in row["contradicts"]] == ["negation"]
    cloned = library.clone_namespace(str(remote), "notes", home=ann.home.with_name("carl"))
    assert cloned["new"] and (cloned["contradicts"], cloned["compared_by"]) == ([], "")
