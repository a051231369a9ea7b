"""Another model for a home, beside the one that is in use; nothing is embedded twice."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from hashing import HashEmbedder, hashed, write

from mesh import Mesh, reembed
from mesh.embed import BATCH
from mesh.embedding import choice
from mesh.embedding.choice import Choice, Model
from mesh.errors import InvalidInput, LockTimeout, NotFound, VaultUnavailable

MESH = Path(sys.executable).parent / "mesh"
OTHER = Model("other")
DEFAULT, SHORT = "all-MiniLM-L6-v2", Model("all-MiniLM-L6-v2", 64)


def other():
    """A second embedder, of another space and dimension."""
    return HashEmbedder("other", 16)


def filled(home, count, namespace="shared", word="walrus"):
    for i in range(count):
        write(home, f"{namespace}/{i:03}.md", f"{word} number {i}")


def state(home):
    """Of each model: how many memories it has embedded, of how many."""
    return {one.key: (one.memories, one.of) for one in reembed.held(home)[0]}


def test_two_models_live_side_by_side(home):
    """Each has the vectors of every memory, answers by its own, and finds nothing pending."""
    filled(home, 20)
    first, second = HashEmbedder(), other()
    with hashed(home, embedder=first) as one, hashed(home, embedder=second) as two:
        for mesh in (one, two, one):
            assert mesh.reindex().pending == 0
            assert mesh.recall("walrus number 7", 1)[0]["content"] == "walrus number 7"
        assert [len(set(embedder.embedded)) for embedder in (first, second)] == [20, 20]
        one.learn("octopus in the garden")
        assert (one.pending(), two.pending()) == (0, 1)
        two.refresh()
        assert (one.pending(), two.pending()) == (0, 0)
        one.forget(one.recall("octopus garden", 1)[0]["id"])
        assert (one.refresh().pending, two.refresh().pending) == (0, 0)
    assert state(home) == {"hash-32": (20, 20), "other": (20, 20)}


def test_every_namespace_is_embedded_and_then_the_choice_is_made(home):
    """Local memories as well; until the last vector the choice is what it was."""
    filled(home, 30), filled(home, 5, "_local/shared"), filled(home, 7, "ops")
    seen = []
    embedder = other()
    assert reembed.waiting(home, embedder) == 42
    failed = reembed.switch(home, OTHER, embedder, lambda n: seen.append((n, choice.read(home))))
    assert failed == [] and {before for _, before in seen} == {Choice()}
    assert sum(n for n, _ in seen) == 42 and state(home) == {"other": (42, 42)}
    assert choice.read(home).used == OTHER


def test_an_interruption_loses_one_batch_at_most(home):
    """The choice is what it was; whoever begins again embeds what is left, and nothing twice."""
    filled(home, 3 * BATCH)

    def interrupt(_):
        raise KeyboardInterrupt

    first, second = other(), other()
    with pytest.raises(KeyboardInterrupt):
        reembed.switch(home, OTHER, first, interrupt)
    assert choice.read(home) == Choice()
    reembed.switch(home, OTHER, second)
    assert (len(first.embedded), len(second.embedded)) == (BATCH, 2 * BATCH)
    assert not set(first.embedded) & set(second.embedded)
    assert choice.read(home).used == OTHER


def test_what_changes_meanwhile_is_embedded_too(home):
    """New and changed files are looked for until there are none."""
    filled(home, BATCH + 5)
    changes = iter([lambda: write(home, "shared/new.md", "tusk"), lambda: write(home, "shared/003.md", "octopus")])
    reembed.switch(home, OTHER, other(), lambda _: next(changes, lambda: None)())
    with hashed(home, embedder=other()) as mesh:
        mesh.workspace.refresh()
        assert mesh.pending() == 0
        assert mesh.recall("octopus", 1)[0]["path"] == "shared/003.md"


def test_a_namespace_that_cannot_be_read_is_told_and_does_not_stop_the_others(home):
    """Its folder is missing: a disk that is not mounted."""
    filled(home, 4), filled(home, 4, "ops"), filled(home, 1, "_local/ops")
    with hashed(home, "ops") as mesh:
        mesh.reindex()
    (home / "ops").rename(home.parent / "away")
    (failed,) = reembed.switch(home, OTHER, other())
    assert isinstance(failed, VaultUnavailable) and "missing" in str(failed)
    assert choice.read(home).used == OTHER and state(home)["other"] == (4, 4)


def test_only_one_brings_in_a_model(home):
    """Another waits, or says so."""
    write(home, "shared/a.md", "walrus")
    with reembed.alone(home), pytest.raises(LockTimeout), reembed.alone(home, timeout_seconds=0):
        pytest.fail("two at once")


def test_a_model_that_was_announced_waits_for_somebody(home):
    """Recall goes by the one before; to announce that one again calls it off."""
    choice.write(home, Model("before"))
    reembed.announce(home, OTHER)
    assert choice.read(home).used == Model("before") and choice.read(home).coming == OTHER
    reembed.announce(home, Model("before"))
    assert choice.read(home) == Choice(Model("before"), None, choice.BY_USE)


def test_to_choose_takes_the_place_of_a_choice_that_cannot_be_understood(home):
    """It is the remedy that the error names."""
    write(home, ".models/chosen.json", "garbage")
    reembed.switch(home, OTHER, other())
    assert choice.read(home).used == OTHER


def test_forgetting_a_model_frees_its_vectors_and_no_others(home):
    """By its key or its name; the one in use stays, and a second time there is nothing."""
    filled(home, 20), filled(home, 3, "ops")
    for key in ("maker/a@1/32", "maker/a@2/32", "maker/b/32", "used"):
        reembed.embed_all(home, HashEmbedder(key))
    assert {one.key for one in reembed.forget(home, "maker/a", {"used"})} == {"maker/a@1/32", "maker/a@2/32"}
    assert {one.key for one in reembed.forget(home, "maker/b/32", {"used"})} == {"maker/b/32"}
    assert state(home) == {"used": (23, 23)}
    assert len(list(home.glob(".cache/*/*.npy"))) == 2
    with pytest.raises(NotFound, match="mesh model status"):
        reembed.forget(home, "maker/a", {"used"})
    with pytest.raises(InvalidInput, match="in use"):
        reembed.forget(home, "used", {"used"})
    with hashed(home, embedder=HashEmbedder("used")) as mesh:
        assert mesh.recall("walrus number 7", 1)[0]["similarity"] == pytest.approx(1, abs=1e-5)


def test_a_forgotten_model_can_come_again_to_whoever_has_it_open(home):
    """Its numbers and its file are new, so nothing that was mapped is taken for it."""
    filled(home, 30)
    with hashed(home, embedder=HashEmbedder("old")) as mesh:
        mesh.reindex()
        mesh.recall("walrus number 7")
        reembed.embed_all(home, HashEmbedder("new"))
        reembed.forget(home, "old", {"new"})
        assert mesh.recall("walrus number 7", 1).receipt.pending == 0, "30 are embedded at once"
        assert mesh.recall("walrus number 8", 1)[0]["similarity"] == pytest.approx(1, abs=1e-5)
    assert state(home) == {"new": (30, 30), "old": (30, 30)}


# --- real processes, the real model ------------------------------------------------------------------------------


def mesh_run(*arguments):
    done = subprocess.run([MESH, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def waiting_for(home, key_part):
    """How many memories wait for a model, as another process sees it; None before it has embedded anything."""
    with closing(sqlite3.connect(f"file:{home}/.cache/shared/manifest.db?mode=ro", uri=True)) as db:
        found = db.execute("SELECT model FROM matrices WHERE key LIKE ?", (f"%{key_part}",)).fetchone()
        return found and db.execute("SELECT count(*) FROM waiting WHERE model = ?", found).fetchone()[0]


def begun(home, mesh):
    """Ask until some vectors of the short model are there. Returns by when all the rest must have happened."""
    until = time.monotonic() + 100
    while not waiting_for(home, "[:64]"):
        mesh.recall("walrus")
        assert time.monotonic() < until
    return until


@pytest.mark.model
def test_kill_9_in_the_middle_and_again(home):
    """Recall goes by the old vectors, in other processes too; the second run embeds only what the first did not."""
    for i in range(900):
        write(home, f"shared/{i:03}.md", f"lamp {i} hangs over table {i % 7} in room {i % 31} of the house by the sea")
    mesh_run("reindex")
    running = subprocess.Popen([MESH, "model", "use", DEFAULT, "--dimension", "64"], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 100
        while not waiting_for(home, "[:64]"):
            assert running.poll() is None and time.monotonic() < until
            time.sleep(0.002)
        answer = json.loads(mesh_run("recall", "lamp 123", "--json"))
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert answer["receipt"]["pending"] == 0 and not answer["receipt"]["model"].endswith("[:64]")
    left = waiting_for(home, "[:64]")
    assert 0 < left < 900 and choice.read(home) == Choice()
    used = json.loads(mesh_run("model", "use", DEFAULT, "--dimension", "64", "--json"))
    assert (used["embedded"], used["used"]) == (left, True)
    assert json.loads(mesh_run("recall", "lamp 123", "--json"))["receipt"]["model"].endswith("[:64]")
    assert choice.read(home).used == SHORT


@pytest.mark.model
def test_a_process_that_goes_on_follows_the_choice_of_another(home):
    """No answer in between goes by words only or by half of the vectors; at the end the new model answers."""
    filled(home, 200)
    with Mesh(home=home) as mesh:
        mesh.reindex()
        models = [mesh.recall("walrus number 5").receipt.model]
        running = subprocess.Popen([MESH, "model", "use", DEFAULT, "--dimension", "64"], stdout=subprocess.DEVNULL)
        until = time.monotonic() + 100
        while not models[-1].endswith("[:64]"):
            assert time.monotonic() < until
            results = mesh.recall("walrus number 5", 1)
            assert results[0]["content"] == "walrus number 5"
            assert results.receipt.pending == 0 and not results.receipt.lexical_only
            models.append(results.receipt.model)
        assert running.wait(60) == 0
    assert len(set(models)) == 2 and models == sorted(models), "first always the old one, then always the new one"


@pytest.mark.model
def test_a_process_that_goes_on_brings_in_what_was_announced(home, monkeypatch):
    """In the background, by itself; the process before it was killed, and nothing is embedded twice."""
    monkeypatch.setattr("mesh.current.SETTLED_SECONDS", 0.0)
    filled(home, 150)
    with Mesh(home=home) as mesh:
        mesh.reindex()
        reembed.embed_all(home, reembed.loaded(SHORT, mesh.workspace.settings), batch=10)
        filled(home, 60, word="octopus")
        mesh.refresh()
        mesh_run("model", "use", DEFAULT, "--dimension", "64", "--background")
        assert choice.read(home).coming == SHORT and choice.read(home).used == Model(DEFAULT)
        until = time.monotonic() + 100
        while not (results := mesh.recall("octopus number 5", 1)).receipt.model.endswith("[:64]"):
            assert time.monotonic() < until
            assert results[0]["content"] == "octopus number 5" and results.receipt.pending == 0
        assert results[0]["content"] == "octopus number 5" and results.receipt.pending == 0
        assert results[0]["similarity"] > 0.9
    assert choice.read(home) == Choice(SHORT, None, choice.BY_USE)


@pytest.mark.model
def test_a_single_command_brings_in_nothing(home):
    """It ends in a moment, and would load a model for nothing."""
    filled(home, 20)
    mesh_run("reindex")
    mesh_run("model", "use", DEFAULT, "--dimension", "64", "--background")
    for _ in range(3):
        mesh_run("recall", "walrus")
    assert choice.read(home).coming == SHORT and waiting_for(home, "[:64]") is None


@pytest.mark.model
def test_another_choice_ends_the_one_that_was_announced(home, monkeypatch):
    """Whoever was bringing it in stops, and gives way to who chooses now."""
    monkeypatch.setattr("mesh.current.SETTLED_SECONDS", 0.0)
    monkeypatch.setattr("mesh.reembed.BATCH_BESIDE", 1)
    filled(home, 400)
    with Mesh(home=home) as mesh:
        mesh.reindex()
        reembed.announce(home, SHORT)
        until = begun(home, mesh)
        reembed.switch(home, Model(DEFAULT, 32), reembed.loaded(Model(DEFAULT, 32), mesh.workspace.settings))
        assert waiting_for(home, "[:64]") > 0
        while not mesh.recall("walrus").receipt.model.endswith("[:32]"):
            assert time.monotonic() < until
    assert choice.read(home) == Choice(Model(DEFAULT, 32), None, choice.BY_USE)


@pytest.mark.model
def test_closing_ends_the_work_and_the_next_goes_on(home, monkeypatch):
    """A process that ends in the middle leaves whole batches."""
    monkeypatch.setattr("mesh.current.SETTLED_SECONDS", 0.0)
    monkeypatch.setattr("mesh.reembed.BATCH_BESIDE", 1)
    filled(home, 300)
    with Mesh(home=home) as mesh:
        mesh.reindex()
        reembed.announce(home, SHORT)
        until = begun(home, mesh)
    left = waiting_for(home, "[:64]")
    assert left > 0 and choice.read(home).coming == SHORT
    time.sleep(0.2)
    assert waiting_for(home, "[:64]") == left
    monkeypatch.setattr("mesh.reembed.BATCH_BESIDE", 64)
    with Mesh(home=home) as mesh:
        while not mesh.recall("walrus").receipt.model.endswith("[:64]"):
            assert time.monotonic() < until


@pytest.mark.model
def test_the_environment_is_not_overruled(home, monkeypatch):
    """A process whose MESH_MODEL names a model stays with it, and brings in no other."""
    monkeypatch.setenv("MESH_MODEL", DEFAULT)
    monkeypatch.setattr("mesh.current.SETTLED_SECONDS", 0.0)
    filled(home, 5)
    with Mesh(home=home) as mesh:
        before = mesh.recall("walrus").receipt.model
        choice.write(home, SHORT, Model("nonsense"))
        assert {mesh.recall("walrus").receipt.model for _ in range(5)} == {before}


def test_a_choice_that_cannot_be_loaded_is_said_once_and_recall_goes_by_words(home, caplog):
    """In a new process; the place, the cause and the remedy."""
    choice.write(home, Model(str(home / "gone")))
    write(home, "shared/a.md", "walrus")
    with Mesh(home=home) as mesh:
        for _ in range(3):
            results = mesh.recall("walrus")
            assert results.receipt.lexical_only and len(results) == 1
    (said,) = [record.message for record in caplog.records if "words only" in record.message]
    assert str(home / "gone") in said
