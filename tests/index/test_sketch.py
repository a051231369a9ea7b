"""The sketch of a large matrix: what is near is found, and whatever happens to its file only costs time."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from mesh.index import sketch
from mesh.index.manifest import Manifest
from mesh.index.nearest import Nearest
from mesh.index.vectors import Matrix

D = 72  # no whole number of words of 64


class Index:
    """A manifest and a matrix, filled by hand: the file `i + 1` is a memory with the vector `i`."""

    def __init__(self, folder, dimension=D):
        self.folder, self.manifest = folder, Manifest.open(folder / "manifest.db")
        self.matrix = Matrix(folder, self.manifest, "k", dimension)

    def append(self, vectors, name="text"):
        self.matrix.rows()
        with self.manifest.transaction() as db:
            first = db.execute("SELECT coalesce(max(file_id), 0) + 1 FROM files").fetchone()[0]
            digests = {f"{name} {first + i}".encode(): vector for i, vector in enumerate(vectors)}
            self.matrix.append(digests)
            for i, digest in enumerate(digests):
                db.execute("INSERT INTO files (path, state, type) VALUES (?, 0, 'fact')", (f"n/{first + i}.md",))
                db.execute("INSERT INTO passages VALUES (1, ?, 0, 0, 9, ?)", (first + i, digest))

    def best(self, question, limit=10, where="", values=()):
        found = Nearest(self.manifest, self.matrix, question).best(limit, where, values)
        return {file_id: near.cosine for file_id, near in found.items()}

    def exact(self, question, limit=10, admitted=lambda file_id: True):
        cosines = {i + 1: float(row @ question) for i, row in enumerate(self.matrix.rows()) if admitted(i + 1)}
        return dict(sorted(cosines.items(), key=lambda one: -one[1])[:limit])

    @property
    def file(self):
        return self.folder / "vectors.bits"

    def reopened(self):
        """As another process sees it."""
        return Index(self.folder, self.matrix.dimension)


@pytest.fixture
def index(tmp_path):
    return Index(tmp_path)


@pytest.fixture
def small(monkeypatch):
    """Sketches from 200 rows on, in blocks of 64."""
    monkeypatch.setattr(sketch, "LEAST_ROWS", 200)
    monkeypatch.setattr(sketch, "BLOCK", 64)


def units(seed, count, dimension=D):
    found = np.random.default_rng(seed).standard_normal((count, dimension), dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def clustered(seed, count, dimension):
    """Around 200 centres, none of which is at the origin."""
    made = np.random.default_rng(seed)
    centres = units(1, 200, dimension) + 0.3 * units(2, 1, dimension)
    found = centres[made.integers(0, 200, count)] + 1.2 * units(seed + 100, count, dimension)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def same(found, expected):
    return list(found) == list(expected) and list(found.values()) == pytest.approx(list(expected.values()), abs=1e-6)


def test_a_small_matrix_has_no_sketch(index, small):
    """Below the least number of rows there is neither a file nor anything to read."""
    assert index.matrix.sketch().rows == 0
    index.append(units(0, 199))
    assert not index.file.exists() and index.matrix.sketch().rows == 0
    index.append(units(1, 1))
    assert index.matrix.sketch().rows == 192 and index.file.stat().st_size == 192 * 16


def test_it_equals_the_exact_search_where_all_rows_are_scored(index, small):
    """Of 900 rows each is scored: the very same answers, however far the sketch reaches."""
    index.append(units(0, 900))
    assert 0 < 900 - index.matrix.sketch().rows < 64
    for question in units(1, 20):
        assert same(index.best(question), index.exact(question))


def test_of_clustered_vectors_it_finds_99_in_100(tmp_path):
    """The ten nearest of 24,000, over a hundred questions, with the sizes that are in use."""
    index = Index(tmp_path, 384)
    for seed in range(4):
        index.append(clustered(seed, 6000, 384))
    rows, found = index.matrix.rows(), []
    assert index.matrix.sketch().rows == 5 * sketch.BLOCK
    for question in clustered(9, 100, 384):
        least = np.partition(rows @ question, -10)[-10] - 1e-6
        found.append(sum(cosine >= least for cosine in index.best(question).values()) / 10)
    assert np.mean(found) >= 0.99


def test_rows_after_the_last_block_are_found(index, small):
    """What was learned a moment ago is no worse off than the rest."""
    index.append(units(0, 2000))
    question = units(1, 1)[0]
    index.append([question])
    assert index.matrix.sketch().rows < 2001
    assert next(iter(index.best(question))) == 2001


def test_the_nearest_signs_are_never_too_few():
    """As many as were asked for, and all that are as near as the last of them."""
    distances = np.array([5, 3, 3, 9, 0, 3], np.uint16)
    assert sketch.nearest(distances, 1).tolist() == [4]
    assert sketch.nearest(distances, 2).tolist() == [1, 2, 4, 5] == sketch.nearest(distances, 4).tolist()
    assert sketch.nearest(distances, 100).tolist() == [0, 1, 2, 3, 4, 5]


def test_a_narrow_condition_gets_an_exact_answer(index, small, monkeypatch):
    """The memories that it admits are scored themselves, however far down they stand."""
    monkeypatch.setattr(sketch, "enough", lambda wanted, rows: wanted)  # a sketch that misses much
    index.append(units(0, 5000))
    index.manifest.db.execute("UPDATE files SET type = 'error' WHERE file_id % 100 = 0")
    for question in units(1, 10):
        found = index.best(question, where="type = 'error'")
        assert same(found, index.exact(question, admitted=lambda file_id: file_id % 100 == 0))


@pytest.mark.parametrize("damage", ["missing", "short", "empty", "flipped", "a folder"])
def test_damage_only_costs_time(index, small, damage, caplog):
    """The answers are those of an exact search; it is said once; what is appended next makes the sketch whole."""
    index.append(units(0, 900))
    data = index.file.read_bytes()
    index.file.unlink()
    if damage in {"short", "empty", "flipped"}:
        flipped = bytes([data[2000] ^ 4])
        index.file.write_bytes(
            {"short": data[:-1], "empty": b"", "flipped": data[:2000] + flipped + data[2001:]}[damage]
        )
    elif damage == "a folder":
        index.file.mkdir()
    other = index.reopened()
    for question in units(1, 5):
        assert same(other.best(question), other.exact(question))
    assert len([one for one in caplog.messages if "vectors.bits is damaged" in one]) == 1
    other.append(units(2, 1))
    if damage == "a folder":
        assert same(other.best(units(3, 1)[0]), other.exact(units(3, 1)[0]))
        assert any("cannot be written" in one for one in caplog.messages)
    else:
        assert index.file.read_bytes() == data and other.matrix.sketch().rows == 896
        assert index.reopened().matrix.sketch().rows == 896


def test_a_reader_follows_what_another_process_appends(index, small):
    """Block by block, without reading again what it has."""
    index.append(units(0, 300))
    reader = index.reopened()
    before = reader.matrix.sketch()
    first = before.rows
    index.append(units(1, 300))
    assert reader.matrix.sketch() is before and before.rows == index.matrix.sketch().rows > first
    for question in units(2, 5):
        assert same(reader.best(question), reader.exact(question))


def test_rows_that_are_named_meanwhile_are_left_to_the_next_question(index, small):
    """Another process appends between two steps of a search: no row beyond those it began with is looked at."""
    index.append(units(0, 300))
    reader = index.reopened()
    question = units(1, 1)[0]
    asked = Nearest(reader.manifest, reader.matrix, question)
    index.append([question, *units(3, 300)])
    assert all(file_id <= 300 for file_id in asked.best(10, "", ()))
    assert next(iter(reader.best(question))) == 301


def test_an_append_that_is_undone_leaves_no_sketch_of_it(index, small):
    """Rows that were rolled back are written again with other vectors: their signs are then of those."""
    index.append(units(0, 300))
    index.matrix.rows()
    with pytest.raises(ZeroDivisionError), index.manifest.transaction():
        index.matrix.append({b"x%d" % i: vector for i, vector in enumerate(units(1, 300))})
        raise ZeroDivisionError
    index.append(units(2, 300))
    for opened in (index, index.reopened()):
        assert opened.matrix.sketch().rows == 576
        for question in units(2, 300)[::50]:
            assert same(opened.best(question), opened.exact(question))


def test_a_matrix_that_is_made_again_does_not_take_over_the_old_signs(index, small):
    """After a reindex from nothing, in a folder where the file was left behind."""
    index.append(units(0, 900))
    old = index.file.read_bytes()
    index.manifest.close()
    for path in [*index.folder.glob("manifest.db*"), index.folder / "vectors.npy"]:
        path.unlink()
    again = index.reopened()
    again.append(units(1, 150))
    assert again.matrix.sketch().rows == 0
    again.append(units(2, 900))
    assert again.file.read_bytes()[: len(old)] != old
    for question in units(3, 5):
        assert same(again.best(question), again.exact(question))


def test_two_models_have_two_sketches(index, small, tmp_path):
    """As they have two matrices."""
    index.append(units(0, 300))
    other = Matrix(tmp_path, index.manifest, "other", 8)
    other.rows()
    with index.manifest.transaction():
        other.append({b"%d" % i: vector for i, vector in enumerate(units(1, 300, 8))})
    assert other.sketch().path.name == "vectors-2.bits"
    assert other.sketch().rows == index.matrix.sketch().rows == 256


def test_two_processes_may_append_at_once(index, small):
    """Each in its own transaction: in the end the sketch is that of the matrix."""
    script = """
    import sys
    sys.path.insert(0, sys.argv[1])
    from pathlib import Path
    from test_sketch import Index, sketch, units
    sketch.LEAST_ROWS, sketch.BLOCK = 200, 64
    index = Index(Path(sys.argv[2]))
    for i in range(30):
        index.append(units(int(sys.argv[3]) + i, 23), sys.argv[3])
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(Path(__file__).parent), str(index.folder)]
    running = [subprocess.Popen([*command, name], stderr=subprocess.PIPE) for name in ("100", "200")]
    for process in running:
        assert process.communicate()[1] == b"" and process.returncode == 0
    rows, made = index.matrix.rows(), index.matrix.sketch()
    assert len(rows) == 1380 and made.rows == 1344
    for question in units(1, 3):
        expected = ((rows[:1344] > 0) != (question > 0)).sum(axis=1)
        assert (made.distances(question) == expected).all()
