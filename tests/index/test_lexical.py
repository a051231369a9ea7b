"""What of a memory is searchable besides its content, and BM25 over it."""

import math
from datetime import UTC, datetime

import pytest
from hashing import wordsonly, write
from hypothesis import given
from hypothesis import strategies as st

from mesh import codec
from mesh.index import lexical
from mesh.index.damage import CacheDamaged
from mesh.index.file_row import FileRow
from mesh.index.filters import Filters
from mesh.index.lexical import K1, B, Matches, about, date_words
from mesh.index.lexicon import Lexicon
from mesh.index.manifest import Manifest
from mesh.index.question import Question


@pytest.fixture
def manifest(tmp_path):
    opened = Manifest.open(tmp_path / "manifest.db")
    yield opened
    opened.close()


def put(manifest, path, text, front="", state=0):
    memory = codec.read(f"---\n{front}\n---\n{text}\n".encode(), path)
    with manifest.changing_files():
        manifest.put(
            FileRow(path, state, (1, 2, 3, 4), True, b"d", memory, text_digest=text.encode(), about=about(memory))
        )


def asked(manifest, question):
    return Matches(Lexicon(manifest), Question.read(question))


def numbers(manifest):
    return dict(manifest.db.execute("SELECT path, file_id FROM files"))


def found(manifest, question, where="", values=(), limit=50):
    paths = dict(manifest.db.execute("SELECT file_id, path FROM files"))
    return [paths[file_id] for file_id in asked(manifest, question).best(limit, where, values)]


def test_stems_meet(manifest):
    """Deploying is deployed, whichever form is asked for; diacritics do not matter."""
    put(manifest, "n/a.md", "We deployed the café services")
    assert found(manifest, "deploying cafe service") == ["n/a.md"]


def test_more_and_rarer_words_rank_higher(manifest):
    """BM25: a rare word counts more than a frequent one, and two words more than one."""
    put(manifest, "n/a.md", "postgres index tuning")
    put(manifest, "n/b.md", "postgres backups")
    put(manifest, "n/c.md", "postgres upgrade")
    put(manifest, "n/d.md", "nothing of the kind")
    scored = asked(manifest, "postgres tuning").best(10, "", ())
    assert len(scored) == 3 and all(score > 0 for score in scored.values())
    assert found(manifest, "postgres tuning")[0] == "n/a.md"


def test_the_score_is_that_of_the_formula(manifest):
    """Robertson's BM25 with its logarithm kept above 0, worked out by hand for one word."""
    put(manifest, "n/a.md", "walrus walrus tusk")
    put(manifest, "n/b.md", "octopus")
    # Weights: 2 halves for a word of the content; "fact", "a" and "b", of type and name, weigh one.
    lengths, times = (8 / 2, 4 / 2), 2
    discount = K1 * (1 - B + B * lengths[0] / (sum(lengths) / 2))
    expected = math.log(1 + (2 - 1 + 0.5) / (1 + 0.5)) * (K1 + 1) * times / (times + discount)
    assert asked(manifest, "walrus").best(10, "", ()) == {numbers(manifest)["n/a.md"]: pytest.approx(expected)}


def test_scores_are_those_of_best(manifest):
    """The score of a given file is the one it would have in the list; files without the words are left out."""
    for i in range(20):
        put(manifest, f"n/{i}.md", f"alpha {'beta ' * i} number{i}")
    put(manifest, "n/none.md", "gamma")
    matches = asked(manifest, "alpha beta")
    ids = [*numbers(manifest).values(), 10**9]
    assert matches.of(ids) == pytest.approx(matches.best(100, "", ())) and len(matches.of(ids)) == 20
    assert matches.of([]) == {} == asked(manifest, "?").of(ids)


def test_the_condition_is_applied_before_the_limit(manifest):
    """The best of those admitted, however many better ones are not."""
    for i in range(30):
        put(manifest, f"n/{i}.md", "alpha alpha alpha", "type: error")
    put(manifest, "n/z.md", "alpha among many other words that make it a worse answer", "type: decision")
    where, values = Filters(type="decision").where()
    assert found(manifest, "alpha", where, values, limit=1) == ["n/z.md"]
    assert found(manifest, "alpha", where, values) == ["n/z.md"]


TEXTS = st.lists(st.sampled_from("alpha beta gamma delta common".split()), min_size=1, max_size=8).map(" ".join)


@given(texts=st.lists(TEXTS, min_size=1, max_size=40), question=TEXTS, keep=st.integers(1, 10), many=st.integers(0, 20))
def test_words_that_are_everywhere_are_cut_short_without_changing_the_best(
    tmp_path_factory, texts, question, keep, many
):
    """Whatever is left out of the sums, the best and their scores are those of a full count."""
    manifest = Manifest.open(tmp_path_factory.mktemp("lexical") / "manifest.db")
    with manifest.changing_files():
        for i, text in enumerate(texts):
            memory = codec.read(f"{text} common".encode(), f"n/{i}.md")
            manifest.put(FileRow(f"n/{i}.md", 0, (1, 2, 3, 4), True, b"d", memory, text_digest=text.encode()))
    with manifest.changing_files():
        manifest.remove([f"n/{i}.md" for i in range(0, len(texts), 3)])
    everything = asked(manifest, f"{question} common").of(range(1, len(texts) + 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lexical, "_MANY", many)
        best = asked(manifest, f"{question} common").best(keep, "", ())
    manifest.close()
    assert list(best.values()) == pytest.approx(sorted(everything.values(), reverse=True)[:keep])
    assert best == pytest.approx({file_id: everything[file_id] for file_id in best})


def test_what_is_searchable_besides_the_content(manifest):
    """Title, type, tags, author, source, date, folders and a name that people gave."""
    front = "title: Zebra\ntype: decision\ntags: [yak]\nagent: walrus\nsource: vole\ncreated: 2026-11-08"
    put(manifest, "n/folder one/Octopus garden.md", "text", front)
    for word in "zebra decision yak walrus vole Sunday 8 November 2026 2026-11-08 octopus folder".split():
        assert found(manifest, word) == ["n/folder one/Octopus garden.md"], word
    assert found(manifest, "n") == [], "the namespace is no word of its memories"


def test_the_namespace_of_a_local_memory_is_no_word_of_it():
    """Neither where it lies, nor what for."""
    assert "team" not in about(codec.read(b"text", "_local/team/folder/note.md")).split()
    assert "folder" in about(codec.read(b"text", "_local/team/folder/note.md")).split()


def test_a_name_that_mesh_made_is_not_searchable():
    """The slug repeats the content; counting it twice would favour what Mesh wrote."""
    memory = codec.read(b"text", "n/some-slug--01kb2x7m9q4d.md")
    assert "slug" not in about(memory)
    assert "slug" in about(codec.read(b"text", "n/some-slug.md"))
    imported = codec.read(b"---\nid: conv-26-d1-1\n---\ntext", "n/some-slug--conv-26-d1-1.md")
    assert "slug" not in about(imported)  # with an id of another program's making


def test_a_word_in_the_text_counts_more_than_one_about_it(manifest):
    """What is written is the answer; what is said about it only helps. A title is written."""
    put(manifest, "n/a.md", "a note of words", "tags: [walrus]")
    put(manifest, "n/b.md", "a note of walrus")
    assert found(manifest, "walrus") == ["n/b.md", "n/a.md"]
    put(manifest, "n/c.md", "a note of", "title: walrus")
    scores = asked(manifest, "walrus").of(numbers(manifest).values())
    assert scores[numbers(manifest)["n/c.md"]] == pytest.approx(scores[numbers(manifest)["n/b.md"]])


def test_date_words():
    """Dates can be asked for in words and in figures: the day without a nought before it as well."""
    assert date_words(datetime(2026, 11, 8, tzinfo=UTC)) == "Sunday 8 November 2026-11-08"
    assert date_words(datetime(2023, 5, 31, tzinfo=UTC)) == "Wednesday 31 May 2023-05-31"


def test_the_matched_words_are_those_that_are_there(manifest):
    """As they were asked, in whatever form the memory has them."""
    put(manifest, "n/a.md", "We deployed to Hetzner", "tags: [ops]")
    file_id = numbers(manifest)["n/a.md"]
    assert asked(manifest, "deploying ops aws").matched([file_id]) == {file_id: ["deploying", "ops"]}
    assert asked(manifest, "deploy.sh").matched([file_id]) == {file_id: ["deploy"]}, "the whole is not there"


def test_a_lexicon_follows_what_other_processes_do(manifest):
    """A long-running process sees what was added, changed, dropped and merged since it last looked."""
    lexicon = Lexicon(manifest)
    other = Manifest.open(manifest.path)
    for i in range(120):
        put(other, f"n/{i % 40}.md", f"walrus number{i}")
        if i % 7 == 0:
            expected = Lexicon(manifest)
            assert lexicon.lengths().tolist() == expected.lengths().tolist()
            assert (lexicon.files, lexicon.mean_length) == (expected.files, expected.mean_length)
    other.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE batches SET lengths = x'0102'",
        "UPDATE batches SET files = x'ffffffff'",
        "UPDATE batches SET files = x'ffffffff', lengths = x'ffffffff'",
        "UPDATE postings SET data = x'0102'",
        "UPDATE postings SET data = x''",
        "UPDATE postings SET data = x'ffffffff01'",
    ],
)
def test_what_cannot_be_a_posting_is_damage(manifest, damage):
    """Never an exception of another kind, and never numbers that would fill the memory."""
    put(manifest, "n/a.md", "walrus")
    manifest.db.execute(damage)
    with pytest.raises(CacheDamaged):
        asked(manifest, "walrus").best(5, "", ())


@pytest.mark.parametrize("operator", ["AND", "OR", "NOT", "NEAR", "near", "about", "content", "rank", "rowid"])
def test_operators_and_columns_are_words(home, operator):
    """What a query language would take for its own is found in texts like any other word."""
    write(home, "shared/a.md", f"the {operator} gate")
    write(home, "shared/b.md", "something else")
    with wordsonly(home) as mesh:
        assert [row["path"] for row in mesh.recall(f"{operator} gate")] == ["shared/a.md"]
