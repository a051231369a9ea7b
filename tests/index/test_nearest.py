"""Exact nearest memories: the same as comparing with every one, however the rows lie."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh import codec
from mesh.index.file_row import FileRow
from mesh.index.filters import Filters
from mesh.index.manifest import Manifest
from mesh.index.nearest import Near, Nearest
from mesh.index.vectors import Matrix

D = 6


class Index:
    """A manifest and a matrix, filled by hand: each file has one or more passages, each a vector."""

    def __init__(self, folder):
        self.manifest = Manifest.open(folder / "manifest.db")
        self.matrix = Matrix(folder, self.manifest, "k", D)
        self.truth = {}

    def put(self, path, passages, front=""):
        """`passages`: (name of the text, vector) pairs; equal names are the same text."""
        memory = codec.read(f"---\n{front}\n---\n{path}\n".encode(), path)
        self.matrix.rows()
        with self.manifest.transaction() as db:
            self.manifest.put(FileRow(path, 0, (1, 1, 1, 1), True, b"d", memory, text_digest=path.encode()))
            self.matrix.append({name.encode(): vector for name, vector in passages})
            file_id = db.execute("SELECT file_id FROM files WHERE path = ?", (path,)).fetchone()[0]
            db.execute("DELETE FROM passages WHERE file_id = ?", (file_id,))
            for i, (name, _) in enumerate(passages):
                db.execute(
                    "INSERT INTO passages VALUES (1, ?, ?, ?, ?, ?)", (file_id, i, i * 10, i * 10 + 9, name.encode())
                )
        self.truth[path] = [vector for _, vector in passages]

    def remove(self, path):
        self.manifest.remove([path])
        del self.truth[path]

    def best(self, question, limit, filters=None):
        where, values = filters.where() if filters else ("", [])
        found = Nearest(self.manifest, self.matrix, question).best(limit, where, values)
        return self.by_path(found)

    def by_path(self, found):
        paths = dict(self.manifest.db.execute("SELECT file_id, path FROM files"))
        return {paths[file_id]: near for file_id, near in found.items()}

    def brute(self, question, limit, paths=None):
        """Each file's best passage, best first."""
        scored = {}
        for path in self.truth if paths is None else paths:
            cosines = [float(vector @ question) for vector in self.truth[path]]
            place = int(np.argmax(cosines))
            scored[path] = Near(cosines[place], place * 10, place * 10 + 9, row=-1)
        return dict(sorted(scored.items(), key=lambda one: -one[1].cosine)[:limit])


@pytest.fixture
def index(tmp_path):
    made = Index(tmp_path)
    yield made
    made.manifest.close()


def units(seed, count):
    found = np.random.default_rng(seed).standard_normal((count, D)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def agree(found, expected):
    """The same scores in the same order; the same files wherever scores differ."""
    assert [near.cosine for near in found.values()] == pytest.approx(
        [near.cosine for near in expected.values()], abs=1e-6
    )
    worst = min((near.cosine for near in expected.values()), default=0) + 1e-5
    assert {p for p, near in found.items() if near.cosine > worst} == {
        p for p, near in expected.items() if near.cosine > worst
    }


def test_nothing_is_near_in_an_empty_index(index):
    """No vectors, no answers, no error."""
    question = units(0, 1)[0]
    assert index.best(question, 5) == {} == index.best(question, 5, Filters(type="fact"))
    assert Nearest(index.manifest, index.matrix, question).of([1, 2]) == {}


def test_it_equals_comparing_with_every_one(index):
    """300 memories, 20 questions: the very ten nearest, in order."""
    vectors = units(1, 300)
    for i, vector in enumerate(vectors):
        index.put(f"n/{i}.md", [(f"t{i}", vector)])
    for question in units(2, 20):
        agree(index.best(question, 10), index.brute(question, 10))
        agree(index.best(question, 400), index.brute(question, 400))


def test_filters_come_before_the_limit(index):
    """The nearest of those admitted, even if a hundred nearer ones are not."""
    vectors = units(3, 200)
    for i, vector in enumerate(vectors):
        index.put(f"n/{i}.md", [(f"t{i}", vector)], "type: decision" if i % 20 == 0 else "type: error")
    admitted = [f"n/{i}.md" for i in range(0, 200, 20)]
    for question in units(4, 10):
        agree(index.best(question, 4, Filters(type="decision")), index.brute(question, 4, admitted))
    assert index.best(question, 4, Filters(type="result")) == {}


def test_rows_of_texts_that_are_gone_take_no_place(index):
    """Dead rows, however near, never push a living memory out."""
    question = units(5, 1)[0]
    for i in range(150):
        index.put(f"n/dead{i}.md", [(f"dead{i}", question)])
    for i, vector in enumerate(units(6, 20)):
        index.put(f"n/{i}.md", [(f"t{i}", vector)])
    for i in range(150):
        index.remove(f"n/dead{i}.md")
    agree(index.best(question, 5), index.brute(question, 5))
    agree(index.best(question, 20), index.brute(question, 20))


def test_files_of_the_same_text_all_answer(index):
    """A copy shares the row and is a memory of its own."""
    question, other = units(7, 2)
    for name in "abc":
        index.put(f"n/{name}.md", [("same", question)])
    index.put("n/d.md", [("other", other)])
    assert set(index.best(question, 3)) == {"n/a.md", "n/b.md", "n/c.md"}
    assert set(index.best(question, 3, Filters(type="fact"))) == {"n/a.md", "n/b.md", "n/c.md"}


def test_a_long_text_answers_by_its_best_passage(index):
    """The score and the span are those of the passage that is nearest."""
    question = units(8, 1)[0]
    far = [(f"p{i}", vector) for i, vector in enumerate(units(9, 6))]
    index.put("n/long.md", [*far[:4], ("hit", question), *far[4:]])
    index.put("n/short.md", [("s", units(10, 1)[0])])
    for filters in (None, Filters(type="fact")):
        path, near = next(iter(index.best(question, 2, filters).items()))
        assert path == "n/long.md" and near.cosine == pytest.approx(1, abs=1e-6)
        assert (near.start, near.stop) == (40, 49)
    file_id = index.manifest.db.execute("SELECT file_id FROM files WHERE path = 'n/long.md'").fetchone()[0]
    assert Nearest(index.manifest, index.matrix, question).of([file_id])[file_id].start == 40


@pytest.mark.parametrize("filters", [None, Filters(type="fact")], ids=["all", "filtered"])
def test_one_long_text_does_not_crowd_out_the_others(index, filters):
    """A memory of a hundred near passages is one answer, and the next memory is the next answer."""
    question, other = units(11, 2)
    near = [question + 0.001 * noise for noise in units(12, 100)]
    index.put("n/long.md", [(f"p{i}", vector / np.linalg.norm(vector)) for i, vector in enumerate(near)])
    index.put("n/other.md", [("o", other)])
    assert set(index.best(question, 2, filters)) == {"n/long.md", "n/other.md"}


def test_given_files_get_their_own_cosines(index):
    """`of` gives what `best` would, for the files asked for and no others."""
    for i, vector in enumerate(units(13, 30)):
        index.put(f"n/{i}.md", [(f"t{i}", vector)])
    question = units(14, 1)[0]
    everything = index.best(question, 30)
    ids = dict(index.manifest.db.execute("SELECT path, file_id FROM files"))
    some = [f"n/{i}.md" for i in range(0, 30, 7)]
    found = index.by_path(Nearest(index.manifest, index.matrix, question).of([ids[path] for path in some] + [10**6]))
    assert set(found) == set(some)
    for path in some:
        assert found[path].cosine == pytest.approx(everything[path].cosine, abs=1e-6)


def test_only_what_is_served_is_near(index):
    """A row whose file is refused by now answers nothing."""
    question = units(15, 1)[0]
    index.put("n/a.md", [("a", question)])
    index.manifest.db.execute("UPDATE files SET state = 1")
    assert index.best(question, 1) == {}


def test_a_memory_that_another_process_adds_meanwhile_does_no_harm(index, tmp_path):
    """Between mapping the matrix and reading the manifest, another process learns something."""
    vectors = units(18, 3)
    index.put("n/a.md", [("a", vectors[0])])
    nearest = Nearest(index.manifest, index.matrix, vectors[2])
    other = Index(tmp_path)
    other.put("n/b.md", [("b", vectors[1])])
    found = index.by_path(nearest.best(5, "", []))
    assert "n/a.md" in found
    other.manifest.close()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 11), min_size=1, max_size=4), st.sampled_from(["fact", "error"])),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 14),
    st.sets(st.integers(0, 11)),
)
def test_it_equals_comparing_with_every_one_whatever_is_shared_or_gone(tmp_path_factory, files, limit, gone):
    """Any mixture of shared texts, long texts, dead rows and limits."""
    made = Index(tmp_path_factory.mktemp("index"))
    vectors = units(16, 12)
    kinds = {}
    for i, (texts, kind) in enumerate(files):
        made.put(f"n/{i}.md", [(f"t{text}", vectors[text]) for text in texts], f"type: {kind}")
        kinds[f"n/{i}.md"] = kind
    for i in gone & set(range(len(files))):
        made.remove(f"n/{i}.md")
        del kinds[f"n/{i}.md"]
    question = units(17, 1)[0]
    agree(made.best(question, limit), made.brute(question, limit))
    errors = [path for path, kind in kinds.items() if kind == "error"]
    agree(made.best(question, limit, Filters(type="error")), made.brute(question, limit, errors))
    made.manifest.close()
