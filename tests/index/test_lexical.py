"""Which words of a question count, what of a memory is searchable, and BM25 over it."""

from datetime import UTC, datetime

import pytest
from hashing import wordsonly, write
from hypothesis import given
from hypothesis import strategies as st

from mesh import codec
from mesh.index import lexical
from mesh.index.file_row import FileRow
from mesh.index.filters import Filters
from mesh.index.lexical import MAX_TERMS, STOP_WORDS, about, date_words, match_expression, terms
from mesh.index.manifest import Manifest


@pytest.fixture
def manifest(tmp_path):
    opened = Manifest.open(tmp_path / "manifest.db")
    yield opened
    opened.close()


def put(manifest, path, text, front="", state=0):
    memory = codec.read(f"---\n{front}\n---\n{text}\n".encode(), path)
    row = FileRow(path, state, (1, 2, 3, 4), True, b"d", memory, text_digest=text.encode(), about=about(memory))
    manifest.put(row)


def found(manifest, question, where="", values=()):
    scored = lexical.best(manifest, terms(question), 50, where, values)
    paths = dict(manifest.db.execute("SELECT file_id, path FROM files"))
    return [paths[file_id] for file_id in scored]


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("what are the API constraints?", ["api", "constraints"]),
        ("Deploy deploy DEPLOY", ["deploy"]),
        ("rate_limit is 100/min", ["rate", "limit", "100", "min"]),
        ("what is it?", ["what", "is", "it"]),
        ("don't", ["don", "t"]),
        ("", []),
        ('*"-()^:', []),
        ("São Paulo 東京 🎉", ["são", "paulo", "東京"]),
    ],
)
def test_the_words_of_a_question_that_count(question, words):
    """Each word once, in lower case, without the stop words unless there is nothing else."""
    assert terms(question) == words


def test_a_long_question_is_cut():
    """A page pasted as a question does not become a query of a thousand words."""
    assert len(terms(" ".join(f"word{i}" for i in range(1000)))) == MAX_TERMS


def test_stop_words_are_left_out_of_a_long_question_first():
    """The cut keeps what counts."""
    assert terms(" ".join(sorted(STOP_WORDS)) + " postgres") == ["postgres"]


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
    scored = lexical.best(manifest, terms("postgres tuning"), 10, "", ())
    assert len(scored) == 3 and all(score > 0 for score in scored.values())
    assert found(manifest, "postgres tuning")[0] == "n/a.md"


def test_scores_are_those_of_best(manifest):
    """The score of a given file is the one it would have in the list; files without the words are left out."""
    for i in range(20):
        put(manifest, f"n/{i}.md", f"alpha {'beta ' * i} number{i}")
    put(manifest, "n/none.md", "gamma")
    words = terms("alpha beta")
    everything = lexical.best(manifest, words, 100, "", ())
    ids = [row[0] for row in manifest.db.execute("SELECT file_id FROM files")]
    assert lexical.scores(manifest, words, ids) == pytest.approx(everything)
    assert lexical.scores(manifest, words, []) == {} == lexical.scores(manifest, [], ids)


def test_the_condition_is_applied_before_the_limit(manifest):
    """The best of those admitted, however many better ones are not."""
    for i in range(30):
        put(manifest, f"n/{i}.md", "alpha alpha alpha", "type: error")
    put(manifest, "n/z.md", "alpha among many other words that make it a worse answer", "type: decision")
    where, values = Filters(type="decision").where()
    scored = lexical.best(manifest, ["alpha"], 1, where, values)
    assert len(scored) == 1
    assert found(manifest, "alpha", where, values) == ["n/z.md"]


def test_what_is_searchable_besides_the_content(manifest):
    """Title, type, tags, author, source, date, folders and a name that people gave."""
    front = "title: Zebra\ntype: decision\ntags: [yak]\nagent: walrus\nsource: vole\ncreated: 2026-11-22"
    put(manifest, "n/folder one/Octopus garden.md", "text", front)
    for word in "zebra decision yak walrus vole Sunday November 2026 octopus folder".split():
        assert found(manifest, word) == ["n/folder one/Octopus garden.md"], word


def test_a_name_that_mesh_made_is_not_searchable():
    """The slug repeats the content; counting it twice would favour what Mesh wrote."""
    memory = codec.read(b"text", "n/some-slug--01kb2x7m9q4d.md")
    assert "slug" not in about(memory)
    assert "slug" in about(codec.read(b"text", "n/some-slug.md"))
    imported = codec.read(b"---\nid: conv-26-d1-1\n---\ntext", "n/some-slug--conv-26-d1-1.md")
    assert "slug" not in about(imported)  # with an id of another program's making


def test_a_word_in_the_text_counts_more_than_one_about_it(manifest):
    """What is written is the answer; what is said about it only helps."""
    put(manifest, "n/a.md", "a note of words", "tags: [walrus]")
    put(manifest, "n/b.md", "a note of walrus")
    assert found(manifest, "walrus") == ["n/b.md", "n/a.md"]


def test_date_words():
    """Dates can be asked for in words."""
    assert date_words(datetime(2026, 11, 22, tzinfo=UTC)) == "Sunday 22 November 2026"


def test_the_matched_words_are_those_that_are_there(manifest):
    """As they were asked, in whatever form the memory has them."""
    put(manifest, "n/a.md", "We deployed to Hetzner", "tags: [ops]")
    file_id = manifest.db.execute("SELECT file_id FROM files").fetchone()[0]
    assert lexical.matched(manifest, ["deploying", "ops", "aws"], [file_id]) == {file_id: ["deploying", "ops"]}


@given(question=st.text(max_size=60))
def test_no_question_is_a_syntax_error(question):
    """Whatever characters a question has, it is words to look for and nothing else."""
    import sqlite3

    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE words USING fts5 (content, about, tokenize = 'porter unicode61')")
    words = terms(question)
    assert all('"' not in word for word in words)
    if words:
        db.execute("SELECT rowid FROM words WHERE words MATCH ?", (match_expression(words),)).fetchall()


@pytest.mark.parametrize("operator", ["AND", "OR", "NOT", "NEAR", "near", "about", "content", "rank", "rowid"])
def test_operators_and_columns_are_words(home, operator):
    """FTS5's own words are found in texts like any other."""
    write(home, "shared/a.md", f"the {operator} gate")
    write(home, "shared/b.md", "something else")
    with wordsonly(home) as mesh:
        assert [row["path"] for row in mesh.recall(f"{operator} gate")] == ["shared/a.md"]
