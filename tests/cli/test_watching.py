"""`mesh watch`: what it prints, how it ends, and the process in the background."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from mesh_cli import server_process

from mesh import lease
from tests.cli.conftest import MESH
from tests.keeping import holder, keeper_or_skip, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="watching is relied upon on Linux only")


@pytest.fixture
def vault(home, without_model):
    keeper_or_skip(home)
    (home / "shared").mkdir()
    (home / "shared" / "otter.md").write_text("An otter floats\n")
    return home


class Watching:
    """`mesh watch` as a shell runs it, its output in a file."""

    def __init__(self, home, *arguments):
        self.home, self.output = home, home.parent / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [MESH, "watch", *arguments], stdout=output, stderr=subprocess.PIPE, text=True, env=os.environ
            )

    def __enter__(self):
        self.said = self.process.stderr.readline()
        while "recall goes by words" in self.said:
            self.said = self.process.stderr.readline()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def lines(self):
        return self.output.read_text().splitlines()

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        self.process.communicate(timeout=60)
        return self.process.returncode


def test_each_change_is_a_line(vault):
    """The time, the namespace, what happened, the id, the path and the first words."""
    with Watching(vault) as watching:
        assert watching.said == "mesh: watching shared\n"
        path = vault / "shared" / "badger.md"
        path.write_text("---\nid: badger01badger01\n---\n# Badgers dig\nand sleep\n")
        until(lambda: len(watching.lines()) == 1)
        path.rename(path.with_name("b.md"))
        until(lambda: len(watching.lines()) == 2)
        path.with_name("b.md").unlink()
        until(lambda: len(watching.lines()) == 3)
        told = [re.split(" {2,}", line)[1:] for line in watching.lines()]
    assert told == [
        ["shared", "added", "badger01badger01", "shared/badger.md", "Badgers dig"],
        ["shared", "moved", "badger01badger01", "shared/badger.md -> shared/b.md", "Badgers dig"],
        ["shared", "gone", "badger01badger01", "shared/b.md"],
    ]


def test_as_json_each_line_is_an_object(vault):
    """With the same facts, and the time in UTC."""
    with Watching(vault, "--json") as watching:
        (vault / "shared" / "badger.md").write_text("---\nid: badger01badger01\n---\nBadgers dig\n")
        row = json.loads(until(watching.lines)[0])
    assert row.pop("time").endswith("Z")
    assert row == {
        "namespace": "shared",
        "happened": "added",
        "id": "badger01badger01",
        "path": "shared/badger.md",
        "was": None,
        "title": "Badgers dig",
    }


def test_a_file_name_cannot_steer_the_terminal(vault):
    """Neither can a title."""
    with Watching(vault) as watching:
        (vault / "shared" / "a\033[31m.md").write_text('---\ntitle: "b"\n---\nx \033]0;owned\a y\n')
        line = until(watching.lines)[0]
    assert "\033" not in line and "\a" not in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly(vault, number):
    """Ctrl-C is how it is meant to end: no error, and the lease is free."""
    with Watching(vault) as watching:
        assert holder(vault) == watching.process.pid
        assert watching.end(number) == 0
    assert holder(vault) is None


def test_only_the_named_namespace_is_watched(vault):
    """-N leaves the others to others."""
    (vault / "zoo").mkdir()
    (vault / "zoo" / "heron.md").write_text("A heron stands\n")
    with Watching(vault, "-N", "zoo") as watching:
        assert watching.said == "mesh: watching zoo\n"
        assert holder(vault, "zoo") == watching.process.pid
        assert holder(vault, "shared") is None


def test_the_second_one_says_who_keeps_the_cache_and_shows_changes_all_the_same(vault):
    """Two may watch; one holds the lease."""
    with Watching(vault) as first:
        until(lambda: holder(vault) == first.process.pid)
        second = subprocess.Popen([MESH, "watch"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            said = second.stderr.readline()
            assert f"kept up to date: shared by process {first.process.pid}" in said
            (vault / "shared" / "badger.md").write_text("Badgers dig\n")
            assert second.stdout.readline().rstrip().endswith("shared/badger.md  Badgers dig")
        finally:
            second.kill()
            second.communicate()


def test_status_says_who_watches(vault, run):
    """`mesh watch --status` of each namespace, `mesh status` of one; 3 where nobody does."""
    assert run("watch", "--status").code == 3
    assert json.loads(run("status", "--json").out)["watch"] is None
    with Watching(vault) as watching:
        ran = run("watch", "--status", "--json")
        assert ran.code == 0
        row = json.loads(ran.out)["namespaces"][0]
        assert (row["namespace"], row["pid"], row["how"]) == ("shared", watching.process.pid, lease.WATCHING)
        assert f"mesh watch, process {watching.process.pid}" in run("status").out


def test_in_the_background_it_starts_once_and_is_ended(vault, run):
    """Started twice it is one process; ended, it has given back what it held."""
    try:
        started = run("watch", "--background")
        assert started.code == 0, started.err
        state = json.loads(run("watch", "--status", "--json").out)
        assert holder(vault) == state["background"]["pid"]
        assert state["background"]["since"].endswith("Z") and state["background"]["ready"]
        assert "does already" in run("watch", "--background").err
    finally:
        ended = run("watch", "--stop")
    assert ended.code == 0
    assert holder(vault) is None
    assert "nothing watches" in run("watch", "--stop").err
    assert run("watch", "--status").code == 3


def test_one_that_was_killed_is_not_taken_for_a_running_one(vault, run):
    """Its process id may be another's by now: only who holds the lock is ever sent a signal."""
    try:
        run("watch", "--background")
        pid = json.loads(run("watch", "--status", "--json").out)["background"]["pid"]
        os.kill(pid, signal.SIGKILL)
        until(lambda: holder(vault) is None)
        assert "nothing watches" in run("watch", "--stop").err
        assert run("watch", "--background").code == 0
        assert json.loads(run("watch", "--status", "--json").out)["background"]["pid"] != pid
    finally:
        run("watch", "--stop")


def test_the_background_ends_when_nobody_runs_a_command_any_more(vault):
    """It was started long ago, and forgotten. The twelve hours are a second here."""
    process = subprocess.Popen([sys.executable, "-m", "mesh_cli.background", vault, "1"], stderr=subprocess.PIPE)
    assert "nobody ran a command" in process.communicate(timeout=120)[1].decode()
    assert process.returncode == 0
    assert holder(vault) is None and server_process.status(vault) is None


def test_the_options_exclude_each_other(vault, run):
    """One thing at a time."""
    ran = run("watch", "--stop", "--status")
    assert ran.code == 2
    assert "exclude each other" in ran.err


@pytest.mark.parametrize("option", ["--background", "--stop", "--status"])
def test_the_background_is_not_for_one_namespace(vault, run, option):
    """What would be ignored is refused."""
    ran = run("watch", option, "-N", "shared")
    assert ran.code == 2
    assert "every namespace" in ran.err
    assert run("watch", "--status").code == 3


def test_a_namespace_that_is_not_there_is_waited_for(vault):
    """It says where, and shows what comes."""
    with Watching(vault, "-N", "zoo") as watching:
        assert watching.said == f"mesh: waiting for memories in {vault / 'zoo'}\n"
        (vault / "zoo").mkdir()
        (vault / "zoo" / "heron.md").write_text("A heron stands\n")
        assert until(watching.lines)[0].endswith("zoo/heron.md  A heron stands")


def test_what_waits_is_said_to_be_embedded_while_somebody_watches(home, run):
    """`mesh status` and `mesh recall` name `mesh reindex` only where nobody does it."""
    keeper_or_skip(home)
    (home / "shared").mkdir()
    for number in range(300):
        (home / "shared" / f"{number}.md").write_text(f"Otter {number} floats on a lake\n")
    assert "300 not embedded yet (mesh reindex)" in run("status").out
    assert "Run: mesh reindex" in run("recall", "otter").err
    with Watching(home) as watching:
        watching.process.send_signal(signal.SIGSTOP)
        assert "being embedded" in run("status").out
        assert f"Process {watching.process.pid} is at it" in run("recall", "otter").err
        watching.process.send_signal(signal.SIGCONT)


class Terminal(Watching):
    """`mesh watch` on a terminal of its own."""

    def __init__(self, home, *arguments):
        import pty

        self.home, self._read = home, b""
        self._master, terminal = pty.openpty()
        os.set_blocking(self._master, False)
        self.process = subprocess.Popen([MESH, "watch", *arguments], stdout=terminal, stderr=terminal, stdin=terminal)
        os.close(terminal)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        super().__exit__()
        os.close(self._master)

    def shown(self):
        with suppress(BlockingIOError, OSError):
            while some := os.read(self._master, 65536):
                self._read += some
        return self._read.decode()


def test_on_a_terminal_it_shows_how_far_it_is(home):
    """A bar of the files, then one of the memories, each with how many there are, the rate and the time left."""
    keeper_or_skip(home)
    (home / "shared").mkdir()
    for number in range(700):
        (home / "shared" / f"{number}.md").write_text(f"Otter {number} floats on a lake\n")
    with Terminal(home) as watching:
        files = until(lambda: re.search(r" 500/700 files of shared  \d+/s  \d+ s left", watching.shown()))
        until(lambda: "watching shared" in watching.shown())
        memories = until(lambda: re.search(r" [\d,]+/700 memories embedded  \d+/s  \d+ s left", watching.shown()))
        assert files.start() < memories.start()
        assert watching.end() == 0
