"""A matrix is made smaller without harm to those who read it."""

from __future__ import annotations

import os

import numpy as np
import pytest

from mesh.index import compaction
from tests.hashing import HashEmbedder, hashed, write


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(compaction, "LEAST_DEAD", 4)


def compacted(mesh):
    from mesh import embed

    return embed.compact(mesh.workspace.cache, mesh.workspace.embedder)


def rewritten(home, mesh, times=30):
    """Five memories, one of them changed again and again: many rows of texts that are gone."""
    for number in range(4):
        write(home, f"shared/{number}.md", f"The otter is number {number}\n")
    for number in range(times):
        write(home, "shared/badger.md", f"A badger digs hole {number}\n")
        mesh.recall("badger")


def used(mesh):
    return len(mesh.workspace.cache.matrix(mesh.workspace.embedder).rows())


def test_rows_of_texts_that_are_gone_go_but_for_the_latest(home):
    """Answers stay; what came last and is gone is not embedded again when it comes back."""
    embedder = HashEmbedder()
    with hashed(home, embedder=embedder) as mesh:
        rewritten(home, mesh)
        before = [(row["id"], row["similarity"]) for row in mesh.recall("badger digs", 10)]
        assert used(mesh) == 34
        assert compacted(mesh)
        assert used(mesh) == 5 + 2
        assert [(row["id"], row["similarity"]) for row in mesh.recall("badger digs", 10)] == before
        embedder.embedded.clear()
        write(home, "shared/badger.md", "A badger digs hole 28\n")
        assert mesh.recall("badger")[0]["content"] == "A badger digs hole 28"
        assert embedder.embedded == ["badger"]
        assert not compacted(mesh)


def test_who_has_the_old_matrix_open_goes_on_and_finds_the_new_one(home, caplog):
    """Its next question is answered from the new file; nothing counts as damaged."""
    with hashed(home) as reader, hashed(home) as mesh:
        rewritten(home, mesh)
        before = [row["id"] for row in reader.recall("badger digs", 10)]
        mapped = reader.workspace.cache.matrix(reader.workspace.embedder).rows()
        copied = mapped.copy()
        assert compacted(mesh)
        assert np.array_equal(mapped, copied)
        assert [row["id"] for row in reader.recall("badger digs", 10)] == before
        reader.workspace.cache.matrix(reader.workspace.embedder).verify()
        write(home, "shared/heron.md", "A heron stands\n")
        assert reader.recall("heron")[0]["content"] == "A heron stands"
    assert "made again" not in caplog.text


def test_the_old_file_is_deleted_a_while_later(home):
    """Not at once: a reader may just have been told its name."""
    with hashed(home) as mesh:
        rewritten(home, mesh)
        folder = mesh.workspace.cache.folder
        assert compacted(mesh)
        assert (folder / "vectors.npy").exists()
        os.utime(folder / "vectors.npy", (1, 1))
        compacted(mesh)
        assert sorted(path.name for path in folder.glob("vectors*")) == ["vectors-1-1.npy"]
        assert np.load(folder / "vectors-1-1.npy", mmap_mode="r").shape[1] == 32


def test_a_sketch_is_made_of_the_new_matrix(home, monkeypatch):
    """It is of rows by number, and those are others now."""
    from mesh.index import sketch

    monkeypatch.setattr(sketch, "BLOCK", 8)
    monkeypatch.setattr(sketch, "LEAST_ROWS", 8)
    with hashed(home) as mesh:
        for number in range(30):
            write(home, f"shared/{number}.md", f"The otter is number {number} of word{number}\n")
        mesh.recall("otter")
        for number in range(30):
            for other in range(3):
                write(home, f"shared/{number}.md", f"The badger is {number} of {other} word{number}\n")
                mesh.recall("badger")
        assert compacted(mesh)
        matrix = mesh.workspace.cache.matrix(mesh.workspace.embedder)
        assert matrix.sketch().rows == used(mesh) // 8 * 8 > 0
        assert "word7" in mesh.recall("badger word7", 3)[0]["content"]


def test_a_damaged_row_is_not_carried_over(home, caplog):
    """The cache is made again, as when a question meets it."""
    with hashed(home) as mesh:
        rewritten(home, mesh)
        path = mesh.workspace.cache.folder / "vectors.npy"
        with path.open("r+b") as file:
            file.seek(128 + 33 * 32 * 4 + 5)
            file.write(b"\xff")
        mesh.workspace.cache.run(lambda: (mesh.workspace.refresh(), mesh.workspace.embed_now(), compacted(mesh)))
        assert "made again" in caplog.text
        assert len(mesh.recall("badger otter", 10)) == 5
