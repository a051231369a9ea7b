"""`vectors.npy`: readable by numpy at any moment, only ever growing, and nothing wrong in it unnoticed."""

import os
import signal
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from mesh.index.damage import CacheDamaged
from mesh.index.manifest import Manifest
from mesh.index.vectors import FIRST_CAPACITY, HEADER_BYTES, Matrix

D = 8


@pytest.fixture
def manifest(tmp_path):
    opened = Manifest.open(tmp_path / "manifest.db")
    yield opened
    opened.close()


@pytest.fixture
def matrix(tmp_path, manifest):
    return Matrix(tmp_path, manifest, "k", D)


def vectors(first, count):
    rng = np.random.default_rng(first)
    found = rng.standard_normal((count, D)).astype(np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return {f"text {first + i}".encode(): found[i] for i in range(count)}


def append(matrix, manifest, new):
    matrix.rows()
    with manifest.transaction():
        matrix.append(new)


def by_digest(matrix, manifest):
    rows = matrix.rows()
    named = manifest.db.execute("SELECT text_digest, row FROM vectors WHERE model = ?", (matrix.model,))
    return {digest: rows[row] for digest, row in named}


def check(matrix, manifest, *rows):
    """Compare some rows with the checksums that the manifest has of them."""
    noted = dict(manifest.db.execute("SELECT row, checksum FROM vectors WHERE model = ?", (matrix.model,)))
    matrix.check([(row, noted[row]) for row in rows])


def same(found, expected):
    return found.keys() == expected.keys() and all((found[key] == expected[key]).all() for key in expected)


def test_no_vectors_are_no_rows(matrix):
    """A model that has embedded nothing has an empty matrix of its width, and no file."""
    assert matrix.rows().shape == (0, D)
    assert matrix.missing([b"x"]) == [b"x"]


def test_what_is_appended_can_be_read(tmp_path, matrix, manifest):
    """Rows come back bit for bit, in this process and in another `Matrix`."""
    new = vectors(0, 5)
    append(matrix, manifest, new)
    assert same(by_digest(matrix, manifest), new)
    assert same(by_digest(Matrix(tmp_path, manifest, "k", D), manifest), new)
    assert matrix.missing([b"text 1", b"text 9", b"text 9"]) == [b"text 9"]


def test_a_text_is_stored_once(matrix, manifest):
    """What has a vector keeps its row."""
    append(matrix, manifest, vectors(0, 3))
    append(matrix, manifest, vectors(0, 4) | vectors(0, 3))
    assert len(matrix.rows()) == 4


def test_numpy_can_load_it_at_any_time(tmp_path, matrix, manifest):
    """`np.load(..., mmap_mode="r")` works after every growth, and the rows in use lead."""
    new = {}
    for first in range(0, 4 * FIRST_CAPACITY, 700):
        more = vectors(first, 700)
        append(matrix, manifest, more)
        new |= more
        whole = np.load(tmp_path / "vectors.npy", mmap_mode="r")
        assert whole.dtype == np.float32 and whole.shape[1] == D and len(whole) >= len(new)
        assert (whole[: len(new)] == matrix.rows()).all()
    assert same(by_digest(matrix, manifest), new)


def test_rows_that_are_there_are_never_written_again(tmp_path, matrix, manifest):
    """Growth keeps the file and its rows: what a reader has mapped neither moves nor changes."""
    append(matrix, manifest, vectors(0, FIRST_CAPACITY))
    path = tmp_path / "vectors.npy"
    before, inode = path.read_bytes(), path.stat().st_ino
    mapped = matrix.rows()
    copy = mapped.copy()
    append(matrix, manifest, vectors(FIRST_CAPACITY, 3 * FIRST_CAPACITY))
    after = path.read_bytes()
    assert path.stat().st_ino == inode and len(after) > len(before)
    assert after[HEADER_BYTES : len(before)] == before[HEADER_BYTES:]
    assert (mapped == copy).all() and (matrix.rows()[:FIRST_CAPACITY] == copy).all()


def test_the_rows_cannot_be_written_through_the_map(matrix, manifest):
    """Nobody changes a vector by accident."""
    append(matrix, manifest, vectors(0, 1))
    with pytest.raises(ValueError, match="read-only"):
        matrix.rows()[0, 0] = 1


def test_two_models_have_two_files(tmp_path, manifest):
    """Vectors of two spaces never lie in one matrix."""
    one, two = Matrix(tmp_path, manifest, "one", D), Matrix(tmp_path, manifest, "two", D // 2)
    append(one, manifest, vectors(0, 2))
    append(two, manifest, {digest: vector[: D // 2] for digest, vector in vectors(0, 3).items()})
    assert one.rows().shape == (2, D) and two.rows().shape == (3, D // 2)
    assert {path.name for path in tmp_path.glob("*.npy")} == {"vectors.npy", "vectors-2.npy"}


def test_a_model_whose_width_changed_is_damage(tmp_path, manifest):
    """The same key with another dimension is never searched."""
    append(Matrix(tmp_path, manifest, "k", D), manifest, vectors(0, 1))
    with pytest.raises(CacheDamaged, match="numbers"):
        Matrix(tmp_path, manifest, "k", D + 1).rows()


WRITER = """
import sys
from pathlib import Path
import numpy as np
from mesh.index.manifest import Manifest
from mesh.index.vectors import Matrix
folder, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
manifest = Manifest.open(folder / "manifest.db")
matrix = Matrix(folder, manifest, "k", 8)
for i in range(count):
    matrix.rows()
    with manifest.transaction():
        matrix.append({f"{name} {i} {j}".encode(): np.full(8, i * 10 + j, np.float32) for j in range(7)})
        matrix.append({f"both {i}".encode(): np.full(8, -i, np.float32)})
"""


def test_two_processes_append_at_once(tmp_path, manifest, matrix):
    """Every row of both is there, once, and is what was written."""
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    running = [subprocess.Popen([*command, name, "60"]) for name in ("one", "two")]
    assert [one.wait(60) for one in running] == [0, 0]
    found = by_digest(matrix, manifest)
    assert len(found) == len(matrix.rows()) == 2 * 60 * 7 + 60
    for name in ("one", "two"):
        for i in range(60):
            assert all((found[f"{name} {i} {j}".encode()] == i * 10 + j).all() for j in range(7))
    assert all((found[f"both {i}".encode()] == -i).all() for i in range(60))
    matrix.verify()


def test_a_reader_beside_a_writer_never_sees_damage(tmp_path, manifest):
    """Opening the matrix while another process appends finds every named row whole: busy is not corrupt."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), "one", "250"])
    looks = 0
    while writer.poll() is None:
        rows = Matrix(tmp_path, manifest, "k", D).rows()
        assert rows.shape[1] == D
        looks += 1
    assert writer.returncode == 0 and looks


class SlowFolder(type(Path())):
    """A folder where another process gets its turn just before the file is opened."""

    def __truediv__(self, name):
        if turns := SlowFolder.turns:
            turns.pop()()
        return Path(self) / name

    turns: ClassVar[list] = []


def test_a_row_appended_while_the_file_is_being_opened_is_not_damage(tmp_path, matrix, manifest):
    """What another process adds between reading the manifest and opening the file changes nothing for this one."""
    append(matrix, manifest, vectors(0, 3))
    other = Manifest.open(tmp_path / "manifest.db")
    late = Matrix(tmp_path, other, "k", D)
    SlowFolder.turns.append(lambda: append(late, other, vectors(3, 1)))
    try:
        rows = Matrix(SlowFolder(tmp_path), manifest, "k", D).rows()
    finally:
        SlowFolder.turns.clear()
    assert len(rows) in {3, 4}


def test_a_first_look_inside_the_transaction_works_too(tmp_path, matrix, manifest):
    """Appending to a file whose stamp changed since needs no earlier look at it."""
    append(matrix, manifest, vectors(0, 3))
    os.utime(tmp_path / "vectors.npy", ns=(5, 5))
    fresh = Matrix(tmp_path, manifest, "k", D)
    with manifest.transaction():
        fresh.append(vectors(3, 1))
    assert len(fresh.rows()) == 4


def test_a_crash_between_the_rows_and_the_commit_leaves_what_nobody_names(tmp_path, manifest, matrix):
    """Killed after the rows were flushed and before the manifest named them: nothing is there, and nothing is wrong."""
    append(matrix, manifest, vectors(0, 3))
    code = f"""
    import os, signal
    import numpy as np
    from pathlib import Path
    from mesh.index.manifest import Manifest
    from mesh.index.vectors import Matrix
    manifest = Manifest.open(Path({str(tmp_path)!r}) / "manifest.db")
    matrix = Matrix(Path({str(tmp_path)!r}), manifest, "k", {D})
    matrix.rows()
    with manifest.transaction():
        matrix.append({{b"lost %d" % i: np.ones({D}, np.float32) for i in range(2000)}})
        os.kill(os.getpid(), signal.SIGKILL)
    """
    died = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert died.returncode == -signal.SIGKILL
    again = Matrix(tmp_path, manifest, "k", D)
    assert same(by_digest(again, manifest), vectors(0, 3))
    assert np.load(tmp_path / "vectors.npy", mmap_mode="r").shape[1] == D
    append(again, manifest, vectors(3, 4))
    assert same(by_digest(Matrix(tmp_path, manifest, "k", D), manifest), vectors(0, 3) | vectors(3, 4))
    again.verify()


def test_a_first_file_that_a_crash_left_is_begun_anew(tmp_path, matrix, manifest):
    """A matrix that no manifest names is nobody's."""
    (tmp_path / "vectors.npy").write_bytes(b"left over" * 1000)
    append(matrix, manifest, vectors(0, 2))
    assert same(by_digest(Matrix(tmp_path, manifest, "k", D), manifest), vectors(0, 2))


def flip(path, bit):
    """Flip a bit in place, the file's times as they were."""
    times = path.stat()
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_every_flipped_bit_of_a_row_is_found_when_the_row_wins(tmp_path, matrix, manifest):
    """All 8 * 4 * d single-bit flips of a used row, with the file's stamp unchanged."""
    append(matrix, manifest, vectors(0, 3))
    path = tmp_path / "vectors.npy"
    for bit in range(8 * (HEADER_BYTES + 4 * D), 8 * (HEADER_BYTES + 8 * D)):
        flip(path, bit)
        fresh = Matrix(tmp_path, manifest, "k", D)
        fresh.rows()
        check(fresh, manifest, 0, 2)
        with pytest.raises(CacheDamaged, match="row 1"):
            check(fresh, manifest, 1)
        flip(path, bit)
    Matrix(tmp_path, manifest, "k", D).verify()


def test_every_flipped_bit_is_found_at_opening_when_the_stamp_changed(tmp_path, matrix, manifest):
    """A file that was written by anybody else is checked whole before it is searched."""
    append(matrix, manifest, vectors(0, 3))
    path = tmp_path / "vectors.npy"
    for bit in range(8 * HEADER_BYTES, 8 * (HEADER_BYTES + 3 * 4 * D)):
        flip(path, bit)
        os.utime(path, ns=(1, bit))
        with pytest.raises(CacheDamaged):
            Matrix(tmp_path, manifest, "k", D).rows()
        flip(path, bit)


def test_every_flipped_bit_is_found_by_verify(tmp_path, matrix, manifest):
    """A thorough look checks every row, whatever the stamp says."""
    append(matrix, manifest, vectors(0, 3))
    for bit in range(8 * HEADER_BYTES, 8 * (HEADER_BYTES + 3 * 4 * D), 7):
        flip(tmp_path / "vectors.npy", bit)
        with pytest.raises(CacheDamaged):
            Matrix(tmp_path, manifest, "k", D).verify()
        flip(tmp_path / "vectors.npy", bit)


def test_a_flip_in_what_nobody_names_is_no_damage(tmp_path, matrix, manifest):
    """The room behind the last row holds nothing, so nothing there is wrong."""
    append(matrix, manifest, vectors(0, 3))
    flip(tmp_path / "vectors.npy", 8 * (HEADER_BYTES + 5 * 4 * D))
    os.utime(tmp_path / "vectors.npy", ns=(1, 1))
    assert same(by_digest(Matrix(tmp_path, manifest, "k", D), manifest), vectors(0, 3))


@pytest.mark.parametrize("size", [0, 1, HEADER_BYTES, HEADER_BYTES + 4 * D * 3 - 1])
def test_a_file_that_is_too_short_is_damage(tmp_path, matrix, manifest, size):
    """Rows that the manifest names and the file has not are found before they are read."""
    append(matrix, manifest, vectors(0, 3))
    whole = (tmp_path / "vectors.npy").read_bytes()
    (tmp_path / "vectors.npy").unlink()  # replaced, not cut: a mapped file that shrinks kills its readers
    (tmp_path / "vectors.npy").write_bytes(whole[:size])
    with pytest.raises(CacheDamaged):
        Matrix(tmp_path, manifest, "k", D).rows()


def test_a_missing_file_is_damage(tmp_path, matrix, manifest):
    """The manifest names rows, and there are none."""
    append(matrix, manifest, vectors(0, 3))
    (tmp_path / "vectors.npy").unlink()
    with pytest.raises(CacheDamaged):
        Matrix(tmp_path, manifest, "k", D).rows()


def test_a_longer_file_is_as_good(tmp_path, matrix, manifest):
    """Bytes behind the rows, such as a crash leaves, do not matter."""
    append(matrix, manifest, vectors(0, 3))
    with (tmp_path / "vectors.npy").open("ab") as file:
        file.write(b"more" * 1000)
    fresh = Matrix(tmp_path, manifest, "k", D)
    assert same(by_digest(fresh, manifest), vectors(0, 3))
    append(fresh, manifest, vectors(3, 2 * FIRST_CAPACITY))
    fresh.verify()


def test_a_file_of_another_run_is_damage(tmp_path, matrix, manifest):
    """Well-formed vectors that are not the ones recorded are refused."""
    append(matrix, manifest, vectors(0, 3))
    whole = np.load(tmp_path / "vectors.npy")
    (tmp_path / "vectors.npy").unlink()
    np.save(tmp_path / "vectors.npy", whole[::-1].copy())
    with pytest.raises(CacheDamaged):
        Matrix(tmp_path, manifest, "k", D).rows()


def test_a_touched_file_is_checked_once_and_used(tmp_path, matrix, manifest):
    """A changed stamp alone is no damage, and the next opening trusts the new one."""
    append(matrix, manifest, vectors(0, 3))
    os.utime(tmp_path / "vectors.npy", ns=(5, 5))
    assert same(by_digest(Matrix(tmp_path, manifest, "k", D), manifest), vectors(0, 3))
    assert ", 5, " in manifest.db.execute("SELECT stamp FROM matrices").fetchone()[0]


def test_checksums_are_those_of_the_rows(matrix, manifest):
    """The checksum that is kept is CRC-32 over the row's bytes."""
    append(matrix, manifest, vectors(0, 2))
    for row, checksum in manifest.db.execute("SELECT row, checksum FROM vectors"):
        assert zlib.crc32(matrix.rows()[row].tobytes()) == checksum
