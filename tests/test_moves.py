"""Folders that move together: all of them or none, whoever is killed and whatever fails in the middle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections import Counter
from contextlib import contextmanager

import pytest
from hashing import hashed, wordsonly, write

from mesh import delete_namespace, list_namespaces, rename_namespace, restore_namespace
from mesh.errors import MeshError, VaultUnavailable
from mesh.locks import locked
from mesh.moves import finish_interrupted, move_together, moving

pytestmark = pytest.mark.usefixtures("without_model")

LOCK, NOTE = ".locks/_moves.lock", ".locks/_moves.json"
# With these a process changes names. A kill between two of them leaves the folders as a kill on entering the second.
CHANGES = "rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,fsync".split(",")
LATER = "A text that was learned later"
ACTS = {
    "rename": lambda home: rename_namespace("old", "new", home=home),
    "delete": lambda home: delete_namespace("old", home=home),
    "restore": lambda home: restore_namespace("old", home=home),
}
NEXT = {  # what a user may do after a crash: each of them sees all of the move or nothing of it
    "list": lambda home: list_namespaces(home=home),
    "look in the new": lambda home: wordsonly(home, "new").inspect(),
    "recall in the old": lambda home: wordsonly(home, "old").recall("walrus"),
    "learn in the new": lambda home: wordsonly(home, "new").learn(LATER),
    "learn locally in the old": lambda home: wordsonly(home, "old").learn(LATER, local_only=True),
    "look at the trash": lambda home: wordsonly(home, "new").trashed(),
}


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    """A home with a namespace that has every part: shared files, a repository, local files, a cache, a trash."""
    home = tmp_path_factory.mktemp("pattern") / "home"
    write(home, "old/.git/HEAD", "ref: refs/heads/main\n")
    write(home, ".trash/new/20990101T000000.000000Z-aged0000/new/a.md", "forgotten in another namespace\n")
    with hashed(home, "old") as mesh:
        mesh.learn("The walrus sleeps at dawn")
        mesh.learn("The ocelot sleeps at dusk")
        mesh.learn("The badger is a secret", local_only=True)
        mesh.forget(mesh.learn("The heron was forgotten")["memory_id"])
    return home


def fresh(pattern, home, act):
    """A home in which `act` has yet to be done."""
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(pattern, home)
    if act == "restore":
        delete_namespace("old", home=home)
    return home


@pytest.fixture
def filled(home, pattern):
    return fresh(pattern, home, "rename")


def files_below(*folders):
    """Every file below some folders, hidden ones too, and what it holds; but for what was learned later."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and LATER.encode() not in path.read_bytes():
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def places(home):
    """Where there is something of the namespace, and what: as `old`, as `new`, or `deleted`."""
    deleted = [path for path in (home / ".trash/.namespaces").glob("*") if path.is_dir()]
    found = {
        "old": files_below(home / "old", home / "_local/old"),
        "new": files_below(home / "new", home / "_local/new"),
        "deleted": files_below(*(folder / part for folder in deleted for part in ("old", "_local/old"))),
    }
    return {place: files for place, files in found.items() if files}


def forgotten(home):
    return sorted(files_below(home / ".trash/old", home / ".trash/new").values())


def check_whole(home, pattern):
    """The namespace is in one place with all its files, nothing is noted, and what was forgotten is still there."""
    found = places(home)
    assert len(found) == 1, {place: sorted(files) for place, files in found.items()}
    (place,) = found
    assert found[place] == places(pattern)["old"]
    assert forgotten(home) == forgotten(pattern)
    assert not (home / NOTE).exists()
    return place


# --- kill -9, and a disk that fails --------------------------------------------------------------------------------


def traced(act, home, *strace):
    """Let a child act under strace, counted from its first step. Its exit code: 1 for a `MeshError`, -9 if killed."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed (apt-get install strace)")
    reading, writing = os.pipe()
    if not (child := os.fork()):
        code = os.EX_SOFTWARE
        try:
            os.read(reading, 1)
            act(home)
            code = 0
        except MeshError:
            code = 1
        finally:
            os._exit(code)
    tracer = subprocess.Popen(["strace", "-f", *strace, "-p", str(child)], stderr=subprocess.PIPE, text=True)
    said = tracer.stderr.readline()
    os.write(writing, b"!")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    tracer.communicate()
    os.close(reading)
    os.close(writing)
    if "attached" not in said:
        pytest.skip(f"strace cannot attach here: {said.strip()}")
    return code


def injected(call, what, k):
    return "-e", f"trace={call}", "-e", f"inject={call}:{what}:when={k}"


def changes(act, home):
    """What an undisturbed act does to names, as strace tells it, in order."""
    with tempfile.NamedTemporaryFile("r") as log:
        assert traced(act, home, "-o", log.name, "-e", f"trace={','.join(CHANGES)}") == 0
        return [line.split(None, 1)[1] for line in log.read().splitlines() if "(" in line]


def steps(act, home):
    """`(system call, k)` of each of these."""
    calls = Counter(line.split("(")[0] for line in changes(act, home))
    return [(name, k) for name in CHANGES for k in range(1, calls[name] + 1)]


@pytest.mark.parametrize("act", ACTS)
def test_a_kill_at_any_step_leaves_all_or_nothing_to_the_next_command(act, pattern, home):
    """Whatever that command is; what was acknowledged has happened; and the act can be done afterwards."""
    after = {"rename": "new", "delete": "deleted", "restore": "old"}[act]
    seen = Counter()
    for number, (call, k) in enumerate(steps(ACTS[act], fresh(pattern, home, act))):
        fresh(pattern, home, act)
        assert traced(ACTS[act], home, "-o", os.devnull, *injected(call, "signal=KILL", k)) == -9, (call, k)
        NEXT[[*NEXT][number % len(NEXT)]](home)
        place = check_whole(home, pattern)
        seen[place] += 1
        if place == "deleted" and not (home / "old").exists() and not (home / "_local/old").exists():
            assert restore_namespace("old", home=home) == 3
        elif place != "deleted":
            assert rename_namespace(place, "another", home=home) >= 3
    assert seen[after] and len(seen) == 2, seen


def test_a_kill_of_the_one_who_finishes_leaves_it_to_the_next_one(pattern, home):
    """At any step; that one finishes it."""
    crashed = home.with_name("crashed")
    for call, k in steps(ACTS["rename"], fresh(pattern, crashed, "rename")):
        fresh(pattern, crashed, "rename")
        assert traced(ACTS["rename"], crashed, "-o", os.devnull, *injected(call, "signal=KILL", k)) == -9
        if len(places(crashed)) == 2:
            break
    assert (crashed / NOTE).exists()
    shutil.copytree(crashed, home, dirs_exist_ok=True)
    found = steps(finish_interrupted, home)
    for call, k in found:
        shutil.rmtree(home)
        shutil.copytree(crashed, home)
        assert traced(finish_interrupted, home, "-o", os.devnull, *injected(call, "signal=KILL", k)) == -9
        list_namespaces(home=home)
        assert check_whole(home, pattern) == "new"
    assert len(found) > 5


def test_the_disk_has_the_note_before_the_first_move_and_the_moves_before_it_goes(filled):
    """Power that fails at any moment leaves what a kill leaves."""
    lines = changes(ACTS["rename"], filled)
    calls = [line.split("(")[0] for line in lines]
    noted = next(i for i, line in enumerate(lines) if line.startswith("link") and "_moves.json" in line)
    gone = next(i for i, line in enumerate(lines) if line.startswith("unlink") and '_moves.json"' in line)
    moves = [i for i, call in enumerate(calls) if call == "renameat2"]
    assert noted < min(moves) and max(moves) < gone
    assert "fsync" in calls[noted : min(moves)]
    assert calls[max(moves) : gone].count("fsync") >= 5  # the home, _local, .cache, and both sides of the trash


@pytest.mark.parametrize("act", ACTS)
def test_a_move_that_fails_takes_back_those_before_it(act, pattern, home):
    """Each of them in turn: a clear error, and at once everything is where it was."""
    moves = [k for call, k in steps(ACTS[act], fresh(pattern, home, act)) if call == "renameat2"]
    for k in moves:
        fresh(pattern, home, act)
        assert traced(ACTS[act], home, "-o", os.devnull, *injected("renameat2", "error=EIO", k)) == 1
        assert check_whole(home, pattern) == ("deleted" if act == "restore" else "old")
    assert len(moves) >= 3


@pytest.mark.parametrize("act", ACTS)
def test_a_flush_that_fails_never_leaves_a_half(act, pattern, home):
    """Each of them in turn: what is said to have failed has not happened, but for the last, after all is done."""
    before, after = ("deleted", "old") if act == "restore" else ("old", {"rename": "new", "delete": "deleted"}[act])
    flushes = [k for call, k in steps(ACTS[act], fresh(pattern, home, act)) if call == "fsync"]
    for k in flushes:
        fresh(pattern, home, act)
        code = traced(ACTS[act], home, "-o", os.devnull, *injected("fsync", "error=EIO", k))
        assert check_whole(home, pattern) == (before if code and k < len(flushes) else after)


def test_what_lies_on_another_disk_stays_with_the_rest(filled, pattern):
    """A rename within each disk is no matter; the trash of another disk is an error, and nothing is gone."""
    with another_disk(filled / "_local"):
        with pytest.raises(VaultUnavailable, match=r"_local/old: .* same file system"):
            delete_namespace("old", home=filled)
        assert check_whole(filled, pattern) == "old"
        assert not list((filled / ".trash/.namespaces").iterdir())
        assert rename_namespace("old", "new", home=filled) == 3
        assert check_whole(filled, pattern) == "new"
        rename_namespace("new", "old", home=filled)


def test_a_cache_on_another_disk_is_made_again_where_it_is(filled, pattern):
    """It holds no truth, and does not keep a namespace from being deleted."""
    with another_disk(filled / ".cache"):
        assert delete_namespace("old", home=filled) == 3
        assert restore_namespace("old", home=filled) == 3
    assert check_whole(filled, pattern) == "old"


@contextmanager
def another_disk(folder):
    """The same folder with what is in it, as a file system of its own."""
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root can mount a file system")
    aside = folder.rename(folder.with_name(folder.name + "-aside"))
    folder.mkdir(mode=0o700)
    done = subprocess.run(["mount", "-t", "tmpfs", "none", folder], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount a tmpfs: {done.stderr.strip()}")
    try:
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        yield
        shutil.rmtree(aside)
        shutil.copytree(folder, aside)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
    folder.rmdir()
    aside.rename(folder)


# --- a note that somebody meets ------------------------------------------------------------------------------------


def note(home, *moves, namespaces=("old", "new")):
    """Write down some moves as a process that was killed had them."""
    inodes = [[source, target, (home / source).stat().st_ino] for source, target in moves]
    return write(home, NOTE, json.dumps({"namespaces": namespaces, "moves": inodes}))


WAYS = ("old", "new"), ("_local/old", "_local/new"), (".cache/old", ".cache/new")


def test_whoever_meets_a_note_waits_for_its_holder(filled):
    """A namespace is not looked at while it moves."""
    seen = []
    with locked(filled / LOCK):
        noted = note(filled, *WAYS)
        asking = threading.Thread(target=lambda: seen.append(wordsonly(filled, "new").count()))
        asking.start()
        asking.join(0.2)
        assert asking.is_alive() and not seen
        for source, target in WAYS:
            (filled / source).rename(filled / target)
        noted.unlink()
    asking.join()
    assert seen == [3]


def test_nobody_writes_until_it_is_finished(filled, pattern):
    """Who has waited for the write lock of a dead mover finishes the move first, and then learns."""
    old, new = wordsonly(filled, "old"), wordsonly(filled, "new")
    old.inspect(), new.inspect()
    for writer, name in ((old, "old"), (new, "new")):
        note(filled, *WAYS)
        (filled / "old").rename(filled / "new")
        vault = writer.workspace.vault
        with vault.writing(name):
            assert check_whole(filled, pattern) == "new"
            assert not (filled / NOTE).exists()
        rename_namespace("new", "old", home=filled)


def test_an_empty_folder_in_the_way_is_none(filled, pattern):
    """A process that was about to learn may have made it."""
    note(filled, *WAYS)
    (filled / "new").mkdir()
    finish_interrupted(filled)
    assert check_whole(filled, pattern) == "new"


def test_a_fresh_namespace_of_the_old_name_is_not_moved(filled):
    """Its folder is another one than the note means."""
    note(filled, *WAYS)
    (filled / "old").rename(filled / "new")
    write(filled, "old/fresh.md", "Made after the crash\n")
    finish_interrupted(filled)
    assert (filled / "old/fresh.md").read_text() == "Made after the crash\n"
    assert wordsonly(filled, "new").count() == 3


def test_what_a_person_put_in_the_way_is_kept_and_all_is_taken_back(filled, pattern, caplog):
    """Nothing is written over; it is said what was in the way."""
    note(filled, *WAYS)
    (filled / "old").rename(filled / "new")
    theirs = write(filled, "_local/new/theirs.md", "Somebody else's\n")
    finish_interrupted(filled)
    assert theirs.read_text() == "Somebody else's\n"
    theirs.unlink()
    assert check_whole(filled, pattern) == "old"
    assert "taken back: _local/new is in the way" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"namespaces": [], "moves": [["old", "new"]]}',
        '{"namespaces": ["old"], "moves": [["old", "../new", 1]]}',
        '{"namespaces": ["old"], "moves": [["/etc", "new", 1]]}',
        '{"namespaces": ["../x"], "moves": [["old", "new", 1]]}',
        '{"namespaces": ["old"], "moves": []}',
        '{"namespaces": 5, "moves": 5}',
    ],
)
def test_a_note_that_mesh_did_not_write_moves_nothing(filled, pattern, caplog, text):
    """Who only looks is told of it; who writes gets an error with the remedy."""
    noted = write(filled, NOTE, text)
    assert wordsonly(filled, "old").count() == 3
    assert "_moves.json: this note of an interrupted move is damaged" in caplog.text
    with pytest.raises(VaultUnavailable, match="then delete it"):
        wordsonly(filled, "old").learn("text")
    noted.unlink()
    assert check_whole(filled, pattern) == "old"


def test_a_note_leads_nowhere_through_a_link(filled, tmp_path):
    """Neither out of the home nor into it."""
    (tmp_path / "outside").mkdir()
    (filled / "link").symlink_to(tmp_path / "outside")
    write(filled, NOTE, json.dumps({"namespaces": ["old"], "moves": [["old", "link/old", 1]]}))
    with pytest.raises(VaultUnavailable, match=r"not a directory|symbolic"):
        finish_interrupted(filled)
    assert not list((tmp_path / "outside").iterdir())


def test_a_home_without_a_note_costs_one_look_and_makes_nothing(tmp_path):
    """Also if there is no home at all."""
    finish_interrupted(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_failure_of_something_else_in_between_takes_all_back(filled, pattern):
    """A source that is not there is found before anything moves."""
    with moving(filled, "old"), pytest.raises(VaultUnavailable, match="no such file"):
        move_together(filled, ["old"], [("old", "new"), ("nothing", "something")])
    assert check_whole(filled, pattern) == "old"


def test_a_namespace_may_be_called_like_a_lock(home):
    """No name of a namespace is that of the lock for moves."""
    for name in ("moves", "namespaces", "cache"):
        wordsonly(home, name).learn("text")
        assert rename_namespace(name, "elsewhere", home=home) == 1
        delete_namespace("elsewhere", home=home)
