"""Many files at once: found while the rest is pending, read and embedded once, whoever is killed."""

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from bulk_campaign import SCENARIOS, Vaulted, wrong
from hashing import hashed, wordsonly, write

from mesh.doctor import examine
from mesh.embed import BATCH
from mesh.file_reader import FILES_AT_ONCE, FileReader
from mesh.index.cache import Cache
from mesh.refresh import MANY
from mesh.vault import Vault, roots

COUNT = MANY + FILES_AT_ONCE

# A child that says which texts it embeds, and that kills itself when it calls a function for the nth time.
_CHILD = """
import json, os, signal, sys
home, log, sys.path[:0], moment, act = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4], sys.argv[5]
from hashing import HashEmbedder, hashed
from mesh import embed
name, _, number = moment.partition(" ")
left = int(number or 0)

def count(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

class Logged(HashEmbedder):
    def embed(self, texts):
        with open(log, "a") as file:
            file.writelines(f"{text}\\n" for text in texts[: len(texts) // 2])
            file.flush()
            if name == "embed":
                count()
            file.writelines(f"{text}\\n" for text in texts[len(texts) // 2 :])
        return super().embed(texts)

def counting(function):
    def counted(*arguments, **options):
        count()
        return function(*arguments, **options)
    return counted

def pause(count, total):
    if count:
        print(count, flush=True)
        sys.stdin.readline()

def batch(taken, total):
    if taken:
        count()

if name in ("open", "fsync", "truncate", "utime", "unlink"):
    setattr(os, name, counting(getattr(os, name)))
with hashed(home, embedder=Logged()) as mesh:
    mesh.workspace.freshness.progress = pause if moment == "pause" else batch if name == "batch" else None
    if act == "compact":
        embed.compact(mesh.workspace.cache, mesh.workspace.embedder)
    else:
        mesh.reindex(progress=count if name == "embedded" else None)
"""


def child(home: Path, moment: str = "", act: str = "reindex") -> subprocess.Popen:
    paths = json.dumps([str(Path(__file__).parent.parent), str(Path(__file__).parent)])
    command = [sys.executable, "-c", _CHILD, str(home), str(home.with_name("log")), paths, moment, act]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def killed(home: Path, moment: str, act: str = "reindex") -> None:
    with child(home, moment, act) as process:
        process.communicate()
    assert process.returncode == -signal.SIGKILL, f"it did not get as far as {moment}"


def embedded(home: Path) -> Counter:
    """How often each text was embedded by children."""
    log = home.with_name("log")
    return Counter(log.read_text().splitlines() if log.exists() else ())


def fill(home: Path, count: int, text: str = "walrus") -> set[str]:
    texts = {f"{text} number{number}" for number in range(count)}
    for number in range(count):
        write(home, f"shared/{number % 7}/{number}.md", f"{text} number{number}")
    return texts


def check(home: Path) -> None:
    """All there is has its vector, and nothing is wrong with the cache."""
    with hashed(home) as mesh:
        assert mesh.refresh().pending == 0
        assert [str(one) for one in examine(mesh.workspace) if one.kind == "cache"] == []


# --- by words, while the rest is pending -----------------------------------------------------------------------------


def test_what_is_indexed_is_found_while_another_process_indexes_the_rest(home):
    """A question is answered from what is there, and says how many files are missing; later nothing is."""
    fill(home, COUNT)
    with child(home, "pause") as process, wordsonly(home) as mesh:
        taken = int(process.stdout.readline())
        found = mesh.recall("walrus")
        assert found and found.receipt.unindexed == COUNT - taken and found.receipt.scanned == COUNT
        assert mesh.status()["unindexed"] == COUNT - taken
        process.communicate("\n" * COUNT)
        assert mesh.recall("walrus").receipt.unindexed == 0
        assert mesh.count() == COUNT


def test_who_must_know_all_waits_and_reads_nothing_a_second_time(home):
    """What names a memory cannot do with a part; but what another process has read need not be read again."""
    fill(home, COUNT)
    with child(home, "pause") as process, wordsonly(home) as mesh:
        process.stdout.readline()
        process.stdin.write("\n" * COUNT)
        process.stdin.flush()
        scanned, done = mesh.workspace.refresh()
        assert scanned == COUNT and len(done.added) < FILES_AT_ONCE
        process.communicate()


def test_when_the_process_that_indexes_dies_the_next_one_goes_on(home):
    """Its turn ends with it, and what it took in stays."""
    fill(home, COUNT)
    killed(home, "batch 2")
    with wordsonly(home) as mesh:
        found = mesh.recall("walrus")
        assert found.receipt.unindexed == 0 and found.receipt.changed == COUNT - 2 * FILES_AT_ONCE


def test_files_are_read_as_memory_has_room(home):
    """Large ones are not held by the hundred."""
    data = b"walrus " * 149_000
    paths = [f"shared/{number}.md" for number in range(20)]
    for path in paths:
        write(home, path, data)
    with FileReader(Vault(home)) as reader:
        batches = list(reader.batches(paths))
    assert sum(map(len, batches)) == 20 and all(sum(map(len, one.values())) < 10 << 20 for one in batches)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_vault_that_changed_at_once_is_indexed_right(home, scenario):
    """A checkout, sed, a rename of folders, rsync, a deletion of half: no row is wrong, no text is embedded again."""
    vault = Vaulted(home, 240)
    vault.make()
    with hashed(home) as mesh:
        mesh.reindex()
        before = set(mesh.workspace.embedder.embedded)
        mesh.workspace.embedder.embedded.clear()
        mark = getattr(vault, scenario)()
        assert any(mark in row["content"] + row["path"] for row in mesh.recall(mark, 50))
        mesh.reindex()
        again = [text for text in mesh.workspace.embedder.embedded if text != mark]
        assert before.isdisjoint(again) and len(again) == len(set(again))
        assert scenario != "move" or not again
    assert wrong(home) == []


# --- by meaning, whoever is killed -----------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["open 40", "batch 1", "embed 2", "truncate 1", "fsync 3"])
def test_whenever_an_index_is_killed_the_next_command_goes_on(home, moment):
    """While it reads, between batches, while it embeds, before and after vectors are on disk: one batch is lost."""
    texts = fill(home, 3 * BATCH)
    killed(home, moment)
    with child(home) as process:
        process.communicate()
    counted = embedded(home)
    assert counted.keys() == texts and counted.total() <= len(texts) + BATCH and max(counted.values()) <= 2
    check(home)


def test_two_processes_never_embed_the_same_text(home):
    """One of them is killed in the middle of a batch: only of that batch some texts are embedded again."""
    texts = fill(home, 6 * BATCH)
    with child(home, "embed 3") as one, child(home) as other, child(home) as third:
        for process in (one, other, third):
            process.communicate()
    counted = embedded(home)
    assert counted.keys() == texts
    assert counted.total() <= len(texts) + (BATCH // 2 if one.returncode else 0)
    check(home)


@pytest.mark.parametrize("moment", ["fsync 2", "utime 1"])
def test_whenever_a_compaction_is_killed_every_vector_is_there(home, moment):
    """The new matrix is written, but not named, or named, but the old one not left alone: nothing is embedded again."""
    fill(home, 1300)
    with hashed(home) as mesh:
        mesh.reindex()
        texts = fill(home, 1200, "octopus")
        for number in range(1200, 1300):
            (home / f"shared/{number % 7}/{number}.md").unlink()
        mesh.reindex()
        before = mesh.workspace.cache.matrix(mesh.workspace.embedder).rows().shape[0]
    killed(home, moment, "compact")
    with child(home, "", "compact") as process:
        process.communicate()
    check(home)
    with hashed(home) as mesh:
        mesh.reindex()
        matrix = mesh.workspace.cache.matrix(mesh.workspace.embedder)
        assert not mesh.workspace.embedder.embedded and len(texts) <= len(matrix.rows()) < before
    assert not embedded(home)
    cache = Cache(home, "shared", roots("shared"))
    assert cache.manifest.db.execute("SELECT count(DISTINCT text_digest) FROM passages").fetchone() == (len(texts),)
    cache.close()
