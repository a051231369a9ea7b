"""Who takes turns at a namespace's cache: slow refreshes replace nothing newer, and no text is embedded twice."""

from __future__ import annotations

import os
import threading

import pytest

from mesh import Mesh, embed
from mesh import catching_up as catching_up_module
from mesh.catching_up import CatchingUp
from mesh.errors import LockTimeout
from mesh.index.cache import Cache
from mesh.index.plan import Plan
from mesh.locks import taken
from mesh.refresh import Refresh
from mesh.settings import Settings
from mesh.vault import Vault, roots
from tests.hashing import HashEmbedder, hashed, wordsonly, write
from tests.keeping import until


def opened(home):
    return Cache(home, "shared", roots("shared"))


def titles(cache):
    return dict(cache.manifest.db.execute("SELECT path, title FROM files").fetchall())


class Slow(Refresh):
    """A refresh during which something happens, after the files were read and before the manifest is written to."""

    def __init__(self, home, cache, meanwhile):
        super().__init__(Vault(home), "shared", cache)
        self._meanwhile = meanwhile

    def _put(self, path, row, moved_from=None):
        meanwhile, self._meanwhile = self._meanwhile, lambda: None
        meanwhile()
        super()._put(path, row, moved_from)


def note(title):
    return f"---\ntitle: {title}\n---\nAn otter floats\n"


@pytest.mark.parametrize("how", ["scan", "paths"])
def test_what_a_slow_refresh_puts_is_hashed_again(home, how):
    """It read the first text; by the time it writes, the file holds the second. Nobody takes its row for the truth."""
    path = write(home, "shared/otter.md", note("first"))
    with_cache = opened(home)

    def meanwhile():
        path.write_text(note("second, longer"))

    slow = Slow(home, with_cache, meanwhile)
    slow.run() if how == "scan" else slow.run_for(["shared/otter.md"])
    refresh = Refresh(Vault(home), "shared", with_cache)
    refresh.run_for(refresh.unsettled())
    assert titles(with_cache) == {"shared/otter.md": "second, longer"}
    with_cache.close()


def test_a_slow_refresh_brings_back_nothing_that_was_deleted(home):
    """The file was there when it was read, and is gone when the row is to be written."""
    path = write(home, "shared/otter.md", note("first"))
    with_cache = opened(home)
    Slow(home, with_cache, path.unlink).run()
    assert titles(with_cache) == {}
    with_cache.close()


def test_a_slow_refresh_deletes_nothing_that_was_made_again(home):
    """The file was gone when it looked."""
    path = write(home, "shared/otter.md", note("first"))
    with_cache = opened(home)
    Refresh(Vault(home), "shared", with_cache).run()
    path.unlink()
    Slow(home, with_cache, lambda: path.write_text(note("again"))).run_for(["shared/otter.md"])
    assert titles(with_cache) == {"shared/otter.md": "first"}
    Refresh(Vault(home), "shared", with_cache).run()
    assert titles(with_cache) == {"shared/otter.md": "again"}
    with_cache.close()


def test_a_file_changed_within_one_tick_of_the_clock_is_noticed_without_a_scan(home):
    """Same size, same times: such a row is not settled, and whoever trusts the manifest hashes it."""
    path = write(home, "shared/otter.md", note("one"))
    mesh = wordsonly(home)
    mesh.recall("otter")
    stamp = path.stat()
    path.write_text(note("two"))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    cache, now = mesh.workspace.cache, path.stat()
    with cache.manifest.transaction() as db:  # as the kernel's clock may have it
        db.execute("UPDATE files SET ctime_ns = ?, settled = 0", (now.st_ctime_ns,))
    found = mesh.workspace.freshness.take_in(())
    assert isinstance(found[1], Plan)
    assert titles(cache) == {"shared/otter.md": "two"}
    mesh.close()


def test_rows_that_were_hashed_again_are_settled(home):
    """They are hashed once more, not each time."""
    write(home, "shared/otter.md", note("one"))
    mesh = wordsonly(home)
    mesh.recall("otter")
    os.utime(home / "shared/otter.md", (1, 1))
    mesh.recall("otter")
    refresh = Refresh(mesh.workspace.vault, "shared", mesh.workspace.cache)
    refresh._reader._now_ns += 10**10
    assert refresh.unsettled()
    refresh.run_for(refresh.unsettled())
    assert not refresh.unsettled()
    mesh.close()


# --- embedding -------------------------------------------------------------------------------------------------------


class Counting(HashEmbedder):
    """Says which texts it was given, and is slow enough for others to want the same."""

    def embed(self, texts):
        found = super().embed(texts)
        threading.Event().wait(0.002)
        return found


def test_two_that_embed_the_same_memories_take_turns(home):
    """Whatever one has embedded, the other does not; together they embed everything, once."""
    for number in range(60):
        write(home, f"shared/{number}.md", f"The otter is number {number}\n")
    embedders = [Counting(), Counting()]

    def work(embedder):
        cache = opened(home)
        Refresh(Vault(home), "shared", cache).run()
        embed.embed_pending(Vault(home), cache, embedder, batch=4)
        cache.close()

    threads = [threading.Thread(target=work, args=(one,)) for one in embedders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = [text for one in embedders for text in one.embedded]
    assert len(texts) == len(set(texts)) == 60


def test_a_recall_does_not_wait_long_for_who_embeds(home):
    """While another process embeds, it answers by words what has no vector yet, and says how much that is."""
    write(home, "shared/otter.md", "An otter floats\n")
    embedder = HashEmbedder()
    with hashed(home, embedder=embedder) as mesh:
        lock = taken(mesh.workspace.cache.embedding_lock)
        found = mesh.recall("otter")
        assert [row["content"] for row in found] == ["An otter floats"]
        assert found.receipt.pending == 1
        assert embedder.embedded == ["otter"]
        os.close(lock)
        assert mesh.recall("otter").receipt.pending == 0


def test_who_embeds_all_says_when_it_is_not_his_turn(home):
    """`mesh reindex` waits for long; whoever does not want to is told."""
    write(home, "shared/otter.md", "An otter floats\n")
    with hashed(home) as mesh:
        mesh.refresh()
        write(home, "shared/heron.md", "A heron stands\n")
        mesh.workspace.refresh()
        lock = taken(mesh.workspace.cache.embedding_lock)
        with pytest.raises(LockTimeout):
            embed.embed_pending(mesh.workspace.vault, mesh.workspace.cache, HashEmbedder(), patience_seconds=0.01)
        os.close(lock)


class FailsOnce(HashEmbedder):
    """As a library may whose graphics card has no memory left."""

    failed = False

    def embed(self, texts):
        if not self.failed:
            self.failed = True
            raise RuntimeError("out of memory")
        return super().embed(texts)


class Given:
    """An embedder in the place of the home's."""

    def __init__(self, embedder):
        self._embedder = embedder

    def embedder(self):
        return self._embedder

    def close(self):
        pass


def test_a_model_that_fails_ends_nothing(home, caplog):
    """It is logged; what comes later is embedded, and what had failed with it."""
    write(home, "shared/otter.md", "An otter floats\n")
    cache, embedder = opened(home), FailsOnce()
    Refresh(Vault(home), "shared", cache).run()
    catching_up = CatchingUp(Settings.from_environment())
    catching_up._current = Given(embedder)
    catching_up.start()
    catching_up.note("shared")
    until(lambda: "out of memory" in caplog.text)
    catching_up.note("shared")
    until(lambda: embed.pending(cache, embedder) == 0)
    catching_up.stop()
    cache.close()


def test_catching_up_without_a_model_does_nothing_and_ends(home, without_model, monkeypatch, caplog):
    """It is told of a namespace, finds no model, says so once, and waits."""
    monkeypatch.setattr(catching_up_module, "IDLE_SECONDS", 0.01)
    write(home, "shared/otter.md", "An otter floats\n")
    with Mesh(home=home) as mesh:
        mesh.recall("otter")
    caplog.clear()
    catching_up = CatchingUp(Settings.from_environment())
    catching_up.start()
    for _ in range(3):
        catching_up.note("shared")
        until(lambda: not catching_up._noted)
        threading.Event().wait(0.05)
    catching_up.stop()
    assert not catching_up._thread.is_alive()
    assert caplog.text.count("by words only") == 1
