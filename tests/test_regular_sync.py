"""Syncs on an interval: when, what is told, which process, and how they end."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from clones import TOKEN, ann, bob, git, remote  # noqa: F401
from hypothesis import given
from hypothesis import strategies as st
from keeping import until

from mesh import Mesh, locks, share_namespace
from mesh.happened import Happened
from mesh.inputs import interval
from mesh.settings import Settings
from mesh.sharing import last_sync, pacing, regularly
from mesh.sharing.pacing import Pace
from mesh.sharing.regularly import RegularSync
from mesh.sharing.saying import Said
from mesh.sharing.turns import syncer_of

pytestmark = [
    pytest.mark.usefixtures("without_model"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals and shells as tests use them here are POSIX's"),
]
NOTHING = {"pushed": [], "new": [], "changed": [], "gone": [], "conflicts": [], "left_out": [], "kept_back": []}


# --- when ----------------------------------------------------------------------------------------------------------


@given(every=st.floats(1, 86_400), now=st.floats(0, 1e6))
def test_the_next_sync_is_due_after_the_interval_give_or_take_a_tenth(every, now):
    """The first at once."""
    pace = Pace(every, now)
    assert pace.due_at() == now
    pace.begun()
    pace.ended(now, reached=True)
    assert 0.9 * every <= pace.due_at() - now + 1e-6 and pace.due_at() - now <= 1.1 * every + 1e-6


def test_a_change_is_synced_once_it_has_settled_and_never_sooner_than_a_minute_after_the_last():
    """30 seconds after the last of several changes."""
    pace = Pace(3600, 0)
    pace.begun()
    pace.ended(0, reached=True)
    pace.changed(1)
    assert pace.due_at() == 60
    pace.changed(100)
    pace.changed(110)
    assert pace.due_at() == 140
    pace.begun()
    pace.ended(140, reached=True)
    assert pace.due_at() > 3000


def test_what_cannot_be_reached_is_tried_ever_less_often():
    """Up to half an hour; changes here do not hurry it. Once it is reached all is as ever."""
    pace, waits, now = Pace(300, 0), [], 0.0
    for _ in range(6):
        pace.begun()
        pace.ended(now, reached=False)
        pace.changed(now)
        waits.append(pace.due_at() - now)
        now = pace.due_at()
    for wait, wanted in zip(waits, [600, 1200, 1800, 1800, 1800, 1800], strict=True):
        assert 0.9 * wanted <= wait <= 1.1 * wanted
    pace.ended(now, reached=True)
    assert pace.due_at() - now <= 330


@pytest.mark.parametrize(("said", "seconds"), [("30s", 30), ("5m", 300), (" 2 H ", 7200), ("24h", 86_400)])
def test_an_interval_is_said_with_its_unit(said, seconds):
    """Seconds, minutes or hours."""
    assert interval(said, "--every") == seconds


def test_what_a_sync_wrote_is_no_reason_for_the_next():
    """The system tells of it once; whoever changes it after that is heard. `_local/` never leaves."""
    followed = regularly._Followed("notes", 300)
    followed.ended({**NOTHING, "namespace": "notes", "new": ["a.md"], "gone": ["b.md"]})
    assert not followed.note(["notes/a.md", "notes/b.md", "_local/notes/c.md"])
    assert followed.note(["notes/a.md"])


# --- what is told --------------------------------------------------------------------------------------------------


def test_a_trouble_is_told_once_and_once_that_it_is_over():
    """Each cause by itself; numbers in it make no other cause."""
    said = Said()
    timeout, refused = "it said nothing for 180 s", "nothing was pushed"
    told = [
        said.news({"namespace": "notes", "error": code, "message": message})
        for code, message in [
            *(("git_failed", timeout), ("git_failed", timeout.replace("180", "190"))),
            *(("may_not_leave", refused), ("git_failed", timeout), ("may_not_leave", refused)),
        ]
    ]
    assert [row and row["error"] for row in told] == ["git_failed", None, "may_not_leave", None, None]
    assert said.news(NOTHING)["again"]
    assert said.news(NOTHING) is None
    assert said.news({"namespace": "notes", "error": "git_failed", "message": timeout})


def test_what_is_kept_back_is_told_once():
    """And again if the reason is another one."""
    said = Said()
    row = NOTHING | {"kept_back": [{"path": "a.md", "cause": "it looks like a secret"}]}
    assert said.news(row)["kept_back"] and said.news(row) is None
    assert said.news(row | {"pushed": ["b.md"]})["kept_back"] == []
    row["kept_back"][0] = {"path": "a.md", "cause": "not read"}
    assert said.news(row)["kept_back"]


# --- with real remotes ---------------------------------------------------------------------------------------------


class Syncing:
    """A `RegularSync` of a clone's home, and what it told."""

    def __init__(self, clone, every=1.0, program="test"):
        self.home, self._told = clone.home, queue.SimpleQueue()
        settings = Settings(home=clone.home)
        self.syncs = RegularSync(settings, every, program=program, tell=self._told.put)

    def __enter__(self):
        self.syncs.start()
        return self

    def __exit__(self, *_):
        self.syncs.stop()

    def told(self):
        return self._told.get(timeout=60)

    def has_synced(self):
        until(lambda: last_sync.read(self.home, "notes"))


@pytest.fixture
def plans(ann, tmp_path):  # noqa: F811
    """Share one more namespace of ann's, then learn in it what is not pushed yet."""

    def share():
        git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "plans.git")
        with Mesh("plans", "ann", ann.home) as opened:
            opened.learn("Paint the door")
            share_namespace("plans", str(tmp_path / "plans.git"), home=ann.home)
            opened.learn("Paint the window")

    return share


def test_what_one_learns_the_other_has_without_a_command(ann, bob):  # noqa: F811
    """Each row is as `sync` gives it."""
    with Syncing(ann):
        bob.learn("The door is green")
        with Syncing(bob) as syncing:
            row = syncing.told()
            assert (row["namespace"], len(row["pushed"]), row["again"]) == ("notes", 1, False)
        until(lambda: "The door is green" in ann.texts())


def test_a_change_is_synced_before_the_interval_is_over(ann, remote, monkeypatch):  # noqa: F811
    """Here an hour; a keeper tells of the change."""
    monkeypatch.setattr(pacing, "SETTLED_SECONDS", 0.05)
    monkeypatch.setattr(pacing, "REST_SECONDS", 0.05)
    (ann.home / ".locks/sync/notes.json").unlink()
    with Syncing(ann, every=3600.0) as syncing:
        syncing.has_synced()
        path = ann.mesh.get(ann.learn("The window is open"))["path"]
        syncing.syncs.note("notes", [Happened("added", None, path)])
        assert f"notes/{syncing.told()['pushed'][0]}" == path
    assert "The window is open" in git(remote, "show", "main")


def test_a_namespace_that_is_shared_while_it_runs_is_synced_too(ann, plans):  # noqa: F811
    """Nothing is to be started again."""
    with Syncing(ann) as syncing:
        syncing.has_synced()
        plans()
        assert syncing.told()["namespace"] == "plans"


def test_while_the_remote_cannot_be_reached_it_is_said_once_and_once_it_is_back(ann, remote, monkeypatch):  # noqa: F811
    """And `last_sync` has the reason, for `mesh status`."""
    monkeypatch.setattr(pacing, "LONGEST_SECONDS", 0.3)
    away = remote.with_name("away.git")
    remote.rename(away)
    with Syncing(ann, every=0.3) as syncing:
        row = syncing.told()
        assert row["error"] == "git_failed" and str(remote) in row["message"]
        first = last_sync.read(ann.home, "notes")
        assert (first.error, first.message) == (row["error"], row["message"])
        until(lambda: last_sync.read(ann.home, "notes") != first)  # another attempt, of which nothing is told
        away.rename(remote)
        assert syncing.told()["again"]
    assert last_sync.read(ann.home, "notes").error == ""


def test_what_may_not_leave_is_said_once(ann):  # noqa: F811
    """It stays so until a person does something."""
    (ann.folder / "key.md").write_text(f"The token is {TOKEN}\n")
    git(ann.folder, "add", "key.md")
    git(ann.folder, "commit", "-q", "--no-verify", "-m", "oops")
    with Syncing(ann) as syncing:
        row = syncing.told()
        assert row["error"] == "may_not_leave" and TOKEN not in row["message"]
        git(ann.folder, "reset", "-q", "--hard", "HEAD^")
        assert syncing.told()["again"]


def test_another_sync_at_work_is_no_trouble(ann):  # noqa: F811
    """Nothing is told of it, and it is tried again before long."""
    ann.learn("The window is open")
    with locks.locked(ann.home / ".locks/sync/notes.lock"):
        before = last_sync.read(ann.home, "notes")
        with Syncing(ann) as syncing:
            until(lambda: syncer_of(ann.home, "notes"))
            until(lambda: not syncing.syncs._processes)
            assert last_sync.read(ann.home, "notes") == before
    with Syncing(ann) as syncing:
        assert len(syncing.told()["pushed"]) == 1


def test_of_two_one_syncs_and_the_other_takes_over(ann):  # noqa: F811
    """As soon as the first has ended."""
    with Syncing(ann, program="first") as first:
        who = until(lambda: syncer_of(ann.home, "notes"))
        assert (who.pid, who.program) == (os.getpid(), "first")
        with Syncing(ann, program="second"):
            first.has_synced()
            assert syncer_of(ann.home, "notes").program == "first"
            first.syncs.stop()
            assert until(lambda: (one := syncer_of(ann.home, "notes")) and one.program == "second")
    assert syncer_of(ann.home, "notes") is None


# --- how it ends ---------------------------------------------------------------------------------------------------

_PARENT = """
import sys, time
from pathlib import Path
from mesh.settings import Settings
from mesh.sharing.regularly import RegularSync
with RegularSync(Settings(home=Path(sys.argv[1])), 300.0, program="test", tell=print):
    time.sleep(3600)
"""


@pytest.fixture
def hanging(ann, tmp_path, monkeypatch):  # noqa: F811
    """A remote that takes the connection and never says anything; the process id of what talks to it."""
    script, said = tmp_path / "ssh", tmp_path / "pid"
    script.write_text(f"#!/bin/sh\necho $$ > {said}.new\nmv {said}.new {said}\nexec sleep 3600\n")
    script.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(script))
    git(ann.folder, "remote", "set-url", "origin", "ssh://host.invalid/notes.git")
    return said


@contextmanager
def gone_afterwards(said):
    """What talks to the remote runs when the body begins, and has ended before long after it."""
    pid = int(until(lambda: said.exists() and said.read_text()))
    assert is_running(pid)
    yield
    until(lambda: not is_running(pid))


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_to_stop_ends_a_sync_that_hangs_and_its_git(ann, hanging):  # noqa: F811
    """Git, and what git has started, too; the next sync finds nothing in its way."""
    with Syncing(ann) as syncing, gone_afterwards(hanging):
        syncing.syncs.stop()
    git(ann.folder, "fsck", "--full", "--strict")
    assert not list(ann.folder.glob(".git/*.lock"))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_sync_ends_with_the_process_that_began_it(ann, hanging, number):  # noqa: F811
    """Whatever that was killed by."""
    with subprocess.Popen([sys.executable, "-c", _PARENT, ann.home]) as process, gone_afterwards(hanging):
        process.send_signal(number)


def test_a_hanging_network_holds_up_no_other_namespace(ann, hanging, plans):  # noqa: F811
    """Each sync is a process of its own."""
    plans()
    with Syncing(ann) as syncing, gone_afterwards(hanging):
        assert syncing.told()["namespace"] == "plans"
        syncing.syncs.stop()
