"""Every memory gets its vectors, and no text gets them twice."""

from itertools import pairwise

import numpy as np
import pytest
from hashing import HashEmbedder, hashed, wordsonly, write

from mesh import codec, embed
from mesh.embed import AT_ONCE, BATCH


def texts(mesh):
    return mesh.workspace.embedder.embedded


def test_a_text_is_embedded_once_whatever_is_done_to_its_file(home):
    """Renaming, copying, tagging, deleting and restoring cost no embedding."""
    with hashed(home) as mesh:
        path = mesh.learn("the walrus sleeps")["path"]
        assert texts(mesh) == ["the walrus sleeps"]
        (home / path).rename(home / "shared/b.md")
        mesh.refresh()
        data = (home / "shared/b.md").read_bytes()
        write(home, "shared/copy.md", data)
        mesh.refresh()
        (home / "shared/b.md").unlink()
        mesh.refresh()
        mesh.update("shared/copy.md", tags=["sea"])
        mesh.forget("shared/copy.md")
        write(home, "shared/again.md", data)
        assert mesh.refresh().pending == 0
        assert texts(mesh) == ["the walrus sleeps"]


def test_an_old_text_that_comes_back_has_its_vector(home):
    """An edit and its undoing embed the new text only."""
    with hashed(home) as mesh:
        for text in ("walrus", "octopus", "walrus", "octopus"):
            write(home, "shared/a.md", text)
            mesh.refresh()
        assert texts(mesh) == ["walrus", "octopus"]


def test_learning_embeds_a_text_once(home):
    """The vector that is made to look for conflicts is the one that is stored."""
    with hashed(home) as mesh:
        for i in range(5):
            mesh.learn(f"walrus number {i}")
        assert texts(mesh) == [f"walrus number {i}" for i in range(5)]
        assert mesh.pending() == 0


def test_the_title_is_embedded_with_the_content(home):
    """A title says what the text is about."""
    with hashed(home) as mesh:
        write(home, "shared/a.md", "---\ntitle: Walrus\n---\nsleeps")
        mesh.refresh()
        assert texts(mesh) == ["Walrus\nsleeps"]


def test_a_long_memory_is_embedded_in_parts_that_cover_it(home):
    """Each part is a span of the content; together they leave nothing out."""
    embedder = HashEmbedder(window=10)
    memory = codec.read(" ".join(f"word{i}" for i in range(100)).encode(), "shared/a.md")
    parts = embed.passages(memory, embedder, authors_differ=False)
    assert len(parts) > 5 and parts[0].start == 0 and parts[-1].stop == len(memory.content)
    for part, after in pairwise(parts):
        assert after.start <= part.stop
    assert all(part.text == memory.content[part.start : part.stop] for part in parts)


def test_few_are_embedded_at_once_and_many_are_left(home):
    """A recall embeds up to `AT_ONCE` memories before it answers; beyond, it says how many wait."""
    for i in range(AT_ONCE):
        write(home, f"shared/{i}.md", f"walrus {i}")
    with hashed(home) as mesh:
        assert mesh.recall("walrus").receipt.pending == 0
    for i in range(AT_ONCE + 1):
        write(home, f"shared/more/{i}.md", f"octopus {i}")
    with hashed(home) as mesh:
        assert mesh.recall("walrus").receipt.pending == AT_ONCE + 1
        assert mesh.pending() == AT_ONCE + 1


def test_reindexing_embeds_all_and_reports_its_progress(home):
    """The batches add up to what was pending."""
    for i in range(2 * BATCH + 5):
        write(home, f"shared/{i}.md", f"walrus {i}")
    told = []
    with hashed(home) as mesh:
        assert mesh.reindex(progress=told.append).pending == 0
        assert told == [BATCH, BATCH, 5]
        assert mesh.pending() == 0


def test_an_interrupted_reindex_loses_one_batch_at_most(home):
    """What was embedded before the interruption is not embedded again."""
    for i in range(3 * BATCH):
        write(home, f"shared/{i}.md", f"walrus {i}")

    def interrupt(_):
        raise KeyboardInterrupt

    with hashed(home) as mesh, pytest.raises(KeyboardInterrupt):
        mesh.reindex(progress=interrupt)
    with hashed(home) as mesh:
        mesh.refresh()
        assert mesh.pending() == 2 * BATCH
        mesh.reindex()
        assert len(texts(mesh)) == 2 * BATCH


def test_refused_and_empty_files_are_not_pending(home):
    """They have no text to embed."""
    write(home, "shared/a.md", b"\xff")
    write(home, "shared/b.md", "---\ntags: [a]\n---\n")
    write(home, "shared/c.md", "walrus")
    with hashed(home) as mesh:
        assert mesh.refresh().pending == 0
        assert texts(mesh) == ["walrus"]


def test_a_file_that_changes_while_it_is_embedded_is_left_to_the_next_refresh(home):
    """Never the vector of an old text for a new one."""
    write(home, "shared/a.md", "walrus")

    class Meddling(HashEmbedder):
        def embed(self, asked):
            write(home, "shared/a.md", "octopus")
            return super().embed(asked)

    with hashed(home, embedder=Meddling()) as mesh:
        mesh.workspace.refresh()
        mesh.workspace.embed_all()
        row = mesh.recall("octopus")[0]
        assert row["content"] == "octopus" and row["similarity"] == pytest.approx(1, abs=1e-5)


def test_without_a_model_nothing_is_pending(home):
    """There is nothing to wait for."""
    write(home, "shared/a.md", "walrus")
    with wordsonly(home) as mesh:
        assert mesh.refresh().pending == 0 and mesh.reindex().pending == 0
    assert not list((home / ".cache/shared").glob("*.npy"))


def test_the_vectors_on_disk_are_those_of_the_texts(home):
    """`vectors.npy` holds, in the rows in use, what the embedder gives for the texts."""
    with hashed(home) as mesh:
        for i in range(20):
            write(home, f"shared/{i:02}.md", f"walrus number{i}")
        mesh.refresh()
    whole = np.load(home / ".cache/shared/vectors.npy", mmap_mode="r")
    expected = HashEmbedder().embed([f"walrus number{i}" for i in range(20)])
    assert sorted(map(bytes, whole[:20])) == sorted(map(bytes, expected))
