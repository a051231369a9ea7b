"""What happens when a process is killed, a disk is full or broken, or a home cannot be written."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from crash_campaign import SCENARIOS, CannotTrace, judge, points

from mesh import Mesh
from mesh.errors import VaultUnavailable

pytestmark = pytest.mark.usefixtures("without_model")

SAMPLED = 4  # kills a scenario; all of them: python -m tests.crash_campaign


def run_mesh(*arguments, under=()):
    """`mesh ...` as a user runs it."""
    command = [*under, sys.executable, "-c", "from mesh_cli.main import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def failed_clearly(done):
    """Exit code 1 and one line for a person (besides those about the model): no traceback."""
    said = [line for line in done.stderr.splitlines() if "words only" not in line and "is made again" not in line]
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert len(said) == 1 and said[0].startswith("mesh: "), done.stderr
    return said[0]


def all_texts(home):
    return {path.relative_to(home): path.read_bytes() for path in sorted((home / "shared").rglob("*.md"))}


# --- kill -9 -------------------------------------------------------------------------------------------------


@cache
def sampled(scenario):
    found = points(scenario)
    return random.Random(scenario).sample(found, SAMPLED)


@pytest.mark.parametrize("number", range(SAMPLED))
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_after_kill_9_the_next_command_works_by_itself(scenario, number, tmp_path):
    """What was acknowledged is there and whole, anything else is there whole or not at all, no old text is lost."""
    try:
        verdict = judge(sampled(scenario)[number], tmp_path)
    except CannotTrace as reason:
        pytest.skip(f"cannot trace: {reason}")
    assert not verdict.broken


def test_what_a_killed_writer_left_is_no_memory(home, mesh):
    """Temporaries of Mesh and of editors are neither recalled nor reported, wherever they lie."""
    mesh.learn("The walrus sleeps at dawn")
    for name in (".mesh-0123456789abcdef.tmp", ".mesh-0123456789abcdef.md", ".a.md.swp", "4913", "a.md~", "#a.md#"):
        (home / "shared" / name).write_text("The walrus never sleeps\n")
    assert [row["content"] for row in mesh.recall("walrus")] == ["The walrus sleeps at dawn"]
    assert not mesh.problems()


# --- a full disk ---------------------------------------------------------------------------------------------


@contextmanager
def small_disk(tmp_path, size):
    """A file system of its own, with room for `size` bytes."""
    place = tmp_path / "disk"
    place.mkdir()
    if not hasattr(os, "geteuid") or os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root can mount a small file system")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none", place], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(place, leave):
    """Use up the disk but for `leave` bytes, in whole pages."""
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
    (place / "filler").write_bytes(b"x" * (free - leave))


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """A home on a small disk that holds one memory."""
    with small_disk(tmp_path, "2m") as place:
        monkeypatch.setenv("MESH_HOME", str(place / "home"))
        with Mesh(home=place / "home") as mesh:
            mesh.learn("The walrus sleeps at dawn", title="walrus")
        yield place


WRITES = {
    "learn": ["learn", "The ocelot " + "sleeps " * 4000],
    "update": ["update", "walrus.md", "The ocelot " + "sleeps " * 4000],
    "forget": ["forget", "walrus.md"],
}


FULL = "SQLITE_FULL and SQLITE_IOERR come out of the cache as they are, and a full disk is not opened read-only"


@pytest.mark.parametrize("act", ["learn", "update"])
@pytest.mark.parametrize("left", [0, 12288])
def test_a_full_disk_is_a_clear_error_and_harms_nothing(disk, act, left):
    """Exit code 1, one line that says to free some space, the old file as it was."""
    home = disk / "home"
    (path,) = (home / "shared").glob("*.md")
    path.rename(path.with_name("walrus.md"))
    run_mesh("recall", "walrus")
    before = all_texts(home)
    fill(disk, left)
    assert "no space left" in failed_clearly(run_mesh(*WRITES[act])).lower()
    assert all_texts(home) == before
    (disk / "filler").unlink()
    assert run_mesh(*WRITES[act]).returncode == 0


@pytest.mark.parametrize("command", [["recall", "walrus"], ["list"], ["status"], ["show", "walrus.md"]])
def test_a_full_disk_can_still_be_asked(disk, command):
    """What is there is found, also what has changed since the cache was written."""
    home = disk / "home"
    (path,) = (home / "shared").glob("*.md")
    path.rename(path.with_name("walrus.md"))
    fill(disk, 0)
    done = run_mesh(*command)
    assert done.returncode == 0, done.stderr
    assert "walrus" in done.stdout or command == ["status"]


def test_a_disk_that_fills_up_half_way_loses_nothing(disk):
    """Wherever the space ends: a clear error and the old text, or the new text and a success."""
    for pages in (1, 2, 4, 8, 12, 16, 20, 24, 32):
        before = set(all_texts(disk / "home").values())
        fill(disk, 4096 * pages)
        done = run_mesh("learn", f"The badger sleeps at {pages}")
        (disk / "filler").unlink()
        if done.returncode:
            failed_clearly(done)
        else:
            assert f"at {pages}" in run_mesh("recall", f"badger at {pages}").stdout
        assert before <= set(all_texts(disk / "home").values())
        assert run_mesh("learn", f"The ocelot sleeps at {pages}").returncode == 0


# --- a broken disk -------------------------------------------------------------------------------------------


def strace_that_breaks(call, when, error="EIO"):
    if not shutil.which("strace"):
        pytest.skip("strace is not installed (apt-get install strace)")
    inject = f"inject={call}:error={error}:when={when}"
    return ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}", "-e", inject]


@pytest.mark.parametrize("when", ["1", "3", "1+", "4+"])
@pytest.mark.parametrize("act", ["learn", "update", "forget"])
def test_a_failed_flush_is_never_acknowledged(home, act, when):
    """`fsync` reports EIO: exit code 1 and one line, or the disk was not needed; the old text is there either way."""
    (home / "shared").mkdir()
    (home / "shared" / "walrus.md").write_text("The walrus sleeps at dawn\n")
    assert run_mesh("recall", "walrus").returncode == 0
    done = run_mesh(*WRITES[act], under=strace_that_breaks("fsync", when))
    if "strace:" in done.stderr:
        pytest.skip(f"strace cannot trace here: {done.stderr.splitlines()[0]}")
    if done.returncode:
        assert "error" in failed_clearly(done)
    texts = [path.read_text() for path in home.rglob("*.md")]
    assert "The walrus sleeps at dawn\n" in texts
    assert when != "1+" or done.returncode == 1
    assert run_mesh("recall", "walrus ocelot").returncode in {0, 3}
    assert run_mesh("learn", "The badger sleeps at noon").returncode == 0


# --- a home that cannot be written -----------------------------------------------------------------------------


@contextmanager
def read_only(home):
    """The same folder, but nothing in it can be changed."""
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        folders = [home, *(path for path in home.rglob("*"))]
        modes = {path: path.stat().st_mode for path in folders}
        for path in reversed(folders):
            path.chmod(modes[path] & ~0o222)
        try:
            yield
        finally:
            for path in folders:
                path.chmod(modes[path])
        return
    for command in (["mount", "--bind", home, home], ["mount", "-o", "remount,ro,bind", home]):
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("cannot mount a folder read-only here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", home], check=True)


@pytest.fixture
def filled(home):
    """A home with a memory of which the cache knows and one, written by hand, of which it does not."""
    with Mesh(home=home) as mesh:
        mesh.learn("The walrus sleeps at dawn")
    (home / "shared" / "walrus.md").write_text("The walrus snores\n")
    return home


@pytest.mark.parametrize("cache", ["as it is", "missing", "damaged"])
def test_a_read_only_home_can_be_asked(filled, cache):
    """Recall sees all files, whatever the cache is like, and says nothing of it."""
    if cache == "missing":
        shutil.rmtree(filled / ".cache")
    elif cache == "damaged":
        for path in (filled / ".cache").rglob("manifest.db*"):
            path.write_bytes(b"garbage" * 1000)
    with read_only(filled):
        done = run_mesh("recall", "walrus")
        assert done.returncode == 0, done.stderr
        assert "dawn" in done.stdout and "snores" in done.stdout
        assert run_mesh("list").returncode == 0


@pytest.mark.parametrize("act", ["learn", "update", "forget"])
def test_a_read_only_home_is_a_clear_error(filled, act):
    """Exit code 1, one line, nothing changed."""
    before = all_texts(filled)
    with read_only(filled):
        said = failed_clearly(run_mesh(*WRITES[act]))
    assert "read-only" in said or "permission" in said
    assert all_texts(filled) == before


_AS_SOMEBODY_ELSE = """
import os, sys
from mesh import Mesh
from mesh.errors import MeshError
with Mesh(home=sys.argv[2]) as mesh:  # so that every module is loaded
    mesh.learn("text"), mesh.recall("text")
os.setgroups([]), os.setgid(65534), os.setuid(65534)
with Mesh(home=sys.argv[1]) as mesh:
    print(*sorted(row["content"] for row in mesh.recall("walrus")), sep="; ")
    for act in (lambda: mesh.learn("x"), lambda: mesh.update("walrus.md", "x"), lambda: mesh.forget("walrus.md")):
        try:
            act()
            print("done")
        except MeshError as error:
            print(error)
"""


def test_another_users_home_can_be_asked_but_not_changed(filled):
    """Where the modes let them look, others find what is there; each change is a clear error."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryDirectory() as elsewhere:
        Path(place).chmod(0o755)
        opened = Path(place) / "home"
        shutil.copytree(filled, opened)
        for path in [opened, *opened.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        before = all_texts(opened)
        command = [sys.executable, "-c", _AS_SOMEBODY_ELSE, opened, elsewhere]
        env = os.environ | {"MESH_MODEL_PATH": "/no-model-in-this-test"}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        found, *refused = done.stdout.splitlines()
        assert found == "The walrus sleeps at dawn; The walrus snores", done.stderr
        assert len(refused) == 3 and all("permission denied" in line for line in refused), refused
        assert all_texts(opened) == before


def test_a_file_that_cannot_be_read_stops_no_other(home, mesh):
    """It is listed as unreadable, not as deleted, and the others are found."""
    mesh.learn("The walrus sleeps at dawn")
    (home / "shared" / "closed.md").write_text("The walrus snores\n")
    (home / "shared" / "closed.md").chmod(0)
    if os.access(home / "shared" / "closed.md", os.R_OK):
        pytest.skip("root may read every file")
    found = mesh.recall("walrus")
    assert len(found) == 1 and found.receipt.unreadable == ("shared/closed.md",)


# --- a folder that is not there --------------------------------------------------------------------------------


def test_a_namespace_that_vanished_is_not_an_empty_one(home, mesh):
    """An unmounted folder is an error, the cache is kept, and everything is there when the folder is back."""
    mesh.learn("The walrus sleeps at dawn")
    (home / "shared").rename(home / "elsewhere")
    with pytest.raises(VaultUnavailable, match="1 memories were in it"):
        mesh.recall("walrus")
    (home / "elsewhere").rename(home / "shared")
    assert len(mesh.recall("walrus")) == 1


def test_a_file_in_the_place_of_the_home_is_an_error(tmp_path):
    """Nothing is deleted to make room."""
    (tmp_path / "home").write_text("not a folder")
    with pytest.raises(VaultUnavailable, match="home: "):
        Mesh(home=tmp_path / "home").learn("text")
    assert (tmp_path / "home").read_text() == "not a folder"
