"""Who subscribes hears of each change once, whoever made it and however: read from real files and real tools."""

from __future__ import annotations

import ctypes
import errno
import json
import logging
import os
import random
import shutil
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path

import pytest

from mesh import feed, hints, lookout
from mesh.feed import Event, Feed
from mesh.memory import derived_id

MESH = Path(sys.executable).parent / "mesh"
SECONDS = 30  # for what will come; no test waits for so long
pytestmark = pytest.mark.usefixtures("without_model")


@pytest.fixture
def told(home):
    """A feed of the home, whose subscriptions all end with the test."""
    opened = Feed(home)
    yield opened
    opened.close()


class Reader:
    """A subscription, and all it was told up to now."""

    _numbers = count()

    def __init__(self, feed: Feed, home: Path, **options) -> None:
        self.subscription, self.home = feed.subscribe(**options), home
        self.heard: list[Event] = []  # all there ever was, marks as well

    def events(self, namespace: str = "shared") -> list[Event]:
        """What came since the last call: whatever changed before a mark is made and deleted is told by then."""
        name = f"mark-{next(self._numbers)}"
        mark = memory(self.home / namespace / f"{name}.md", name)
        found = self._until("added", name)
        mark.unlink()
        found += self._until("removed", name)
        self.heard += found
        return [one for one in found if not one.id.startswith("mark-")]

    def _until(self, kind: str, memory_id: str) -> list[Event]:
        found: list[Event] = []
        while event := self.subscription.next(0 if (kind, memory_id) in kinds(found) else SECONDS):
            found.append(event)
        assert (kind, memory_id) in kinds(found), found
        return found

    def told(self, namespace: str = "shared") -> list[tuple[str, str]]:
        return kinds(self.events(namespace))


def kinds(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.kind, event.id) for event in events]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def memory(path: Path, memory_id: str, text: str = "The lamp is lit", **keys: str) -> Path:
    lines = "".join(f"{key}: {value}\n" for key, value in {"id": memory_id, **keys}.items())
    return write(path, f"---\n{lines}---\n{text}\n")


def run(*command: str | Path, folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- our own writes ----------------------------------------------------------------------------------------------


def test_each_verb_of_mesh_is_one_event(told, home, mesh):
    """Learn, update, forget and restore, in this process, with all their temporary files."""
    reader = Reader(told, home)
    memory_id = mesh.learn("Otters hold hands while they sleep")["memory_id"]
    [learned] = reader.events()
    assert (learned.kind, learned.namespace, learned.id) == ("added", "shared", memory_id)
    assert (home / learned.path).is_file()
    mesh.update(memory_id, content="Otters sleep on their backs")
    assert reader.told() == [("changed", memory_id)]
    mesh.forget(memory_id)
    assert reader.told() == [("removed", memory_id)]
    mesh.restore(memory_id)
    assert reader.told() == [("added", memory_id)]


def test_each_verb_of_another_process_is_one_event(told, home):
    """The `mesh` command beside us takes its changes into the shared cache itself; the feed sees them all the same."""
    reader = Reader(told, home)
    learned = json.loads(run(MESH, "learn", "--json", "A badger digs a sett"))["memory_id"]
    assert reader.told() == [("added", learned)]
    run(MESH, "update", learned, "A badger sleeps in winter")
    assert reader.told() == [("changed", learned)]
    run(MESH, "forget", learned)
    assert reader.told() == [("removed", learned)]


def test_an_event_says_what_a_client_needs(told, home):
    """Six keys, JSON, the time in UTC, and no word of audiences."""
    reader = Reader(told, home)
    memory(home / "shared/team/lamp.md", "aaaa1111")
    [event] = reader.events()
    shown = event.as_dict()
    assert list(shown) == ["sequence", "kind", "namespace", "id", "path", "at"]
    assert shown["path"] == "shared/team/lamp.md" and shown["at"].endswith("Z")
    assert json.loads(json.dumps(shown)) == shown and shown["sequence"] < 2**53


# --- people and their tools --------------------------------------------------------------------------------------


def test_a_stream_editor_makes_one_change_a_file(told, home):
    """`sed -i` writes another file and renames it over the first."""
    paths = [memory(home / f"shared/{number}.md", f"lamp-{number}") for number in range(3)]
    reader = Reader(told, home)
    run("sed", "-i", "s/lit/out/", *paths)
    assert sorted(reader.told()) == [("changed", f"lamp-{number}") for number in range(3)]


def test_vim_makes_one_change(told, home):
    """With its swap file, its probe 4913 and its backup."""
    if not shutil.which("vim"):
        pytest.skip("vim is not installed")
    path = memory(home / "shared/lamp.md", "aaaa1111")
    reader = Reader(told, home)
    run("vim", "-es", "-u", "NONE", "-c", "set writebackup backup", "-c", "%s/lit/out/", "-c", "wq", path)
    assert "out" in path.read_text()
    assert reader.told() == [("changed", "aaaa1111")]


def test_an_atomic_save_by_rename_is_one_change(told, home):
    """As most editors save."""
    path = memory(home / "shared/lamp.md", "aaaa1111")
    reader = Reader(told, home)
    memory(home / "shared/.lamp.md.tmp", "aaaa1111", "The lamp is out").replace(path)
    assert reader.told() == [("changed", "aaaa1111")]


def test_a_file_that_is_emptied_and_then_written_ends_as_it_is(told, home):
    """As VS Code saves: whatever is told in between, who follows has the file's id in the end."""
    path = memory(home / "shared/lamp.md", "aaaa1111")
    reader = Reader(told, home)
    os.truncate(path, 0)
    ids = followed({path: "aaaa1111"}, reader.events(), home)
    memory(path, "aaaa1111", "The lamp is out")
    events = reader.events()
    assert followed(ids, events, home) == {path: "aaaa1111"}
    assert events[-1].kind in {"added", "changed"}


def followed(ids: dict[Path, str], events: list[Event], home: Path) -> dict[Path, str]:
    """The ids of some files after some events."""
    for event in events:
        ids = {path: one for path, one in ids.items() if one != event.id and path != home / event.path}
        if event.kind != "removed":
            ids[home / event.path] = event.id
    return ids


def test_a_file_just_emptied_is_not_told_of_and_one_that_stays_empty_is(told, home, monkeypatch):
    """A writer has a moment to fill it; after that the memory is gone, and an empty file is there."""
    monkeypatch.setattr(lookout, "EMPTIED_SECONDS", 1e9)
    path = memory(home / "shared/lamp.md", "aaaa1111")
    reader = Reader(told, home)
    os.truncate(path, 0)
    write(home / "shared/new.md", "")
    assert reader.told() == []
    monkeypatch.setattr(lookout, "EMPTIED_SECONDS", 0)
    assert sorted(reader.told()) == sorted(
        [
            ("removed", "aaaa1111"),
            ("added", derived_id("shared/lamp.md")),
            ("added", derived_id("shared/new.md")),
        ]
    )


def test_a_touch_is_no_event(told, home):
    """Another time, and even the same bytes written again, change nothing."""
    path = memory(home / "shared/lamp.md", "aaaa1111")
    reader = Reader(told, home)
    os.utime(path, (1, 1))
    path.write_bytes(path.read_bytes())
    assert reader.told() == []


def test_a_renamed_file_and_folder_are_changes(told, home):
    """Each memory keeps its id; one event tells of the new path."""
    for number in range(3):
        memory(home / f"shared/birds/{number}.md", f"bird-{number}")
    reader = Reader(told, home)
    (home / "shared/birds").rename(home / "shared/fowl")
    (home / "shared/fowl/0.md").rename(home / "shared/first.md")
    events = reader.events()
    assert sorted((one.kind, one.id, one.path) for one in events) == [
        ("changed", "bird-0", "shared/first.md"),
        ("changed", "bird-1", "shared/fowl/1.md"),
        ("changed", "bird-2", "shared/fowl/2.md"),
    ]


def test_files_in_new_folders_are_seen(told, home):
    """However deep, and also after the folder was moved in."""
    reader = Reader(told, home)
    memory(home / "shared/a/b/c/deep.md", "deep1111")
    assert reader.told() == [("added", "deep1111")]
    memory(home / ".elsewhere/moved.md", "move1111")
    (home / ".elsewhere").rename(home / "shared/moved")
    assert reader.told() == [("added", "move1111")]
    memory(home / "shared/moved/later.md", "late1111")
    assert reader.told() == [("added", "late1111")]


def test_a_checkout_of_200_files_is_200_changes(told, home):
    """One each, and none for git's own files."""
    for number in range(200):
        memory(home / f"shared/{number}.md", f"fact-{number}")
    commit = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qam")
    run("git", "init", "-q", "-b", "main", folder=home / "shared")
    run("git", "add", ".", folder=home / "shared")
    run(*commit, "first", folder=home / "shared")
    run("git", "checkout", "-qb", "other", folder=home / "shared")
    for number in range(200):
        memory(home / f"shared/{number}.md", f"fact-{number}", "The lamp is out")
    run(*commit, "second", folder=home / "shared")
    reader = Reader(told, home)
    run("git", "checkout", "-q", "main", folder=home / "shared")
    assert sorted(reader.told()) == sorted(("changed", f"fact-{number}") for number in range(200))


def test_a_file_that_is_deleted_and_written_anew_is_a_change(home):
    """As git and many editors do: a file is removed when it is missing twice in a row."""
    path, told = memory(home / "shared/lamp.md", "aaaa1111"), []
    looker = lookout.Lookout(home, lambda _, changes, __: told.extend(changes), lambda: None)
    looker._list("shared")
    looker._look("shared")
    path.unlink()
    looker._look("shared")
    memory(path, "aaaa1111", "The lamp is out")
    looker._look("shared")
    assert [(one.kind, one.id) for one in told] == [("changed", "aaaa1111")]
    path.unlink()
    looker._look("shared")
    looker._look("shared")
    assert [(one.kind, one.id) for one in told[1:]] == [("removed", "aaaa1111")]


def test_a_file_that_breaks_is_told_by_its_derived_id(told, home):
    """The memory that was in it is gone until it is mended."""
    path = memory(home / "shared/lamp.md", "aaaa1111")
    reader = Reader(told, home)
    whole = path.read_text()
    path.write_text(whole.replace("id:", "id: 'x\nid:"))
    assert reader.told() == [("removed", "aaaa1111"), ("added", derived_id("shared/lamp.md"))]
    path.write_text(whole)
    assert reader.told() == [("removed", derived_id("shared/lamp.md")), ("added", "aaaa1111")]


def test_bytes_that_are_no_text_and_names_that_are_none_stop_nothing(told, home):
    """The one is told by its derived id, the other cannot be named."""
    reader = Reader(told, home)
    write(home / "shared/zero.md", "").write_bytes(b"\0\xff")
    Path(os.fsdecode(os.fsencode(home / "shared") + b"/\xff.md")).write_text("unnameable")
    (home / "shared/link.md").symlink_to(home / "shared/zero.md")
    assert reader.told() == [("added", derived_id("shared/zero.md"))]


def test_who_follows_a_busy_home_holds_what_is_there_in_the_end(told, home):
    """Files made, edited, emptied, renamed and deleted, folders moved, faster than anybody looks."""
    reader, chance = Reader(told, home), random.Random(7)
    held: dict[Path, str] = {}
    for number in range(600):
        files = sorted((home / "shared").rglob("*.md")) or [memory(home / "shared/first.md", "first111")]
        path = chance.choice(files)
        match chance.randrange(6):
            case 0 | 1:
                memory(home / f"shared/{chance.randrange(5)}/{number}.md", f"fact-{number}")
            case 2:
                path.write_text(path.read_text() + "And more\n")
            case 3:
                os.truncate(path, 0)
                memory(path, f"new-{number}")
            case 4:
                path.rename(path.with_name(f"{number}.md"))
            case 5:
                path.unlink()
        if number % 50 == 0 and (home / "shared/1").exists():
            (home / "shared/1").rename(home / f"shared/1-{number}")
        if number % 150 == 0:
            held = followed(held, reader.events(), home)
    held = followed(held, reader.events(), home)
    there = {path: path.read_text().split()[2] for path in (home / "shared").rglob("*.md")}
    assert held == there


# --- namespaces ----------------------------------------------------------------------------------------------------


def test_a_namespace_comes_and_goes(told, home):
    """What appears is added; of what is deleted with all in it, "list again" is said."""
    reader = Reader(told, home)
    memory(home / "birds/heron.md", "bird1111")
    assert reader.told("birds") == [("added", "bird1111")]
    run("rm", "-r", str(home / "birds"))
    assert reader.told()[-1] == ("reset", "")


def test_a_renamed_namespace_is_a_reset_and_a_new_one(told, home):
    """Its memories are those of another namespace now."""
    memory(home / "birds/heron.md", "bird1111")
    reader = Reader(told, home)
    (home / "birds").rename(home / "fowl")
    events = {(one.kind, one.namespace, one.id) for one in reader.events()}
    assert events == {("reset", "birds", ""), ("added", "fowl", "bird1111")}


def test_a_subscription_to_some_namespaces_hears_of_those(told, home):
    """A name may also be one that is not there yet; a bare text is one name."""
    birds, both = (Reader(told, home, namespaces=names) for names in ("birds", ["birds", "shared"]))
    memory(home / "shared/lamp.md", "aaaa1111")
    memory(home / "birds/heron.md", "bird1111")
    assert birds.told("birds") == [("added", "bird1111")]
    assert sorted(both.told("birds")) == [("added", "aaaa1111"), ("added", "bird1111")]


def test_a_home_that_does_not_exist_yet_is_waited_for(tmp_path, monkeypatch):
    """Nothing is made in the meantime; what then appears is added."""
    monkeypatch.setattr(hints, "POLL_SECONDS", 0.05)
    home = tmp_path / "later"
    told = Feed(home)
    with told.subscribe() as subscription:
        assert subscription.next(0.2) is None and not home.exists()
        memory(home / "shared/lamp.md", "aaaa1111")
        assert (subscription.next(SECONDS) or pytest.fail("nothing came")).id == "aaaa1111"
        reader = Reader(told, home)
        memory(home / "shared/torch.md", "bbbb1111")
        assert reader.told() == [("added", "bbbb1111")]
    told.close()


# --- local_only ------------------------------------------------------------------------------------------------------


def test_local_only_stays_with_those_who_may_hear_of_it(told, home, mesh):
    """Not a word, not a number, not a gap: below `_local/`, by a key, and in a namespace that is all local."""
    everyone, insider = Reader(told, home), Reader(told, home, include_local=True)
    private = mesh.learn("CANARY in a coal mine", local_only=True)["memory_id"]
    memory(home / "shared/canary.md", "flag1111", local_only="true")
    memory(home / "shared/broken.md", "brok1111", local_only="'\n  - [")
    memory(home / "_local/only/canary.md", "only1111")
    assert everyone.told() == []
    told_inside = insider.told()
    assert {private, "flag1111", "only1111", derived_id("shared/broken.md")} == {one for _, one in told_inside}
    (home / "_local").rename(home / ".gone")
    assert insider.told() == [("reset", ""), ("reset", "")]
    memory(home / "shared/lamp.md", "aaaa1111")
    assert everyone.told() == [("added", "aaaa1111")]
    assert not any(one.local_only for one in everyone.heard)
    numbers = [one.sequence for one in everyone.heard]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_memory_that_turns_local_only_is_removed_for_the_others(told, home):
    """By a key in its file, or by its place; and added when it may be shared again."""
    path = memory(home / "shared/lamp.md", "aaaa1111")
    everyone, insider = Reader(told, home), Reader(told, home, include_local=True)
    memory(path, "aaaa1111", local_only="true")
    assert everyone.told() == [("removed", "aaaa1111")]
    assert [(one.kind, one.id, one.local_only) for one in insider.events()] == [("changed", "aaaa1111", True)]
    memory(path, "aaaa1111")
    assert everyone.told() == [("added", "aaaa1111")]
    assert insider.told() == [("changed", "aaaa1111")]
    (home / "_local/shared").mkdir(parents=True)
    path.rename(home / "_local/shared/lamp.md")
    assert everyone.told() == [("removed", "aaaa1111")]
    assert insider.told() == [("changed", "aaaa1111")]


# --- going on after a break ------------------------------------------------------------------------------------------


def test_after_replays_what_came_later(told, home):
    """A client that comes back with the last number it saw misses nothing and hears nothing twice."""
    reader = Reader(told, home)
    memory(home / "shared/a.md", "aaaa1111")
    reader.events()
    last = reader.heard[-1].sequence
    memory(home / "shared/b.md", "bbbb1111")
    assert reader.told() == [("added", "bbbb1111")]
    with told.subscribe(after=last) as again:
        assert [again.next(0) for _ in range(3)] == reader.heard[-3:]
        assert again.next(0) is None


@pytest.mark.parametrize("after", [0, -1, 2**60])
def test_an_unknown_number_is_a_reset(told, home, after):
    """Too old, of another process, or from nowhere: list again. With the reset comes the number to go on from."""
    reader = Reader(told, home)
    memory(home / "shared/a.md", "aaaa1111")
    reader.events()
    with told.subscribe(after=after) as subscription:
        reset = subscription.next(SECONDS)
        assert (reset.kind, reset.namespace, reset.id, reset.path) == ("reset", "*", "", "")
        assert subscription.next(0) is None
    with told.subscribe(["shared", "birds"], after=after) as subscription:
        assert [subscription.next(SECONDS).namespace for _ in range(2)] == ["birds", "shared"]
        assert subscription.next(0) is None
    with told.subscribe(after=reset.sequence) as subscription:
        assert subscription.next(0) is None


def test_numbers_from_before_a_pause_are_too_old(told, home, monkeypatch):
    """While nobody listened nobody looked: what happened meanwhile is not known."""
    monkeypatch.setattr(feed, "GRACE_SECONDS", 0.01)
    reader = Reader(told, home)
    memory(home / "shared/a.md", "aaaa1111")
    [event] = reader.events()
    reader.subscription.close()
    wait_until(lambda: not feed_threads())
    with told.subscribe(after=event.sequence + 1) as subscription:
        assert subscription.next(SECONDS).kind == "reset"


def test_a_subscriber_who_sleeps_too_long_is_told_to_list_again(home, monkeypatch):
    """What nobody fetches is not kept for ever; others are not affected."""
    monkeypatch.setattr(feed, "REMEMBERED", 10)
    told = Feed(home)
    awake, asleep = Reader(told, home), Reader(told, home)
    for number in range(4):
        for part in "abcd":
            memory(home / f"shared/{number}{part}.md", f"fact-{number}{part}")
        assert len(awake.told()) == 4
    [reset] = asleep.events()
    assert (reset.kind, reset.namespace) == ("reset", "*")
    memory(home / "shared/last.md", "last1111")
    assert asleep.told() == awake.told()[-1:] == [("added", "last1111")]
    told.close()


def test_more_changes_at_once_than_anybody_wants_to_hear_are_a_reset(told, home):
    """One event instead of thousands."""
    subscription = told.subscribe()
    folder = home / ".filled"
    for number in range(1500):
        memory(folder / f"{number}.md", f"fact-{number}")
    folder.rename(home / "shared")
    reset = subscription.next(SECONDS)
    assert (reset.kind, reset.namespace) == ("reset", "shared") and subscription.next(0) is None


# --- ending ----------------------------------------------------------------------------------------------------------


def feed_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "mesh-feed"]


def wait_until(condition) -> None:
    for _ in range(SECONDS * 100):
        if condition():
            return
        threading.Event().wait(0.01)
    pytest.fail("it never came true")


@pytest.mark.parametrize("end", ["feed", "subscription"])
def test_close_ends_who_waits(told, home, end):
    """At once, also with no timeout; and what is asked later is answered at once."""
    subscription = told.subscribe()
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(subscription.next()))
    waiting.start()
    (told if end == "feed" else subscription).close()
    waiting.join(SECONDS)
    assert answers == [None] and subscription.closed
    assert subscription.next() is None
    if end == "feed":
        late = told.subscribe()
        assert late.closed and late.next() is None


def test_nothing_runs_without_subscriptions(told, home, monkeypatch):
    """No thread before the first and, after a moment of grace, none after the last; then it can start again."""
    monkeypatch.setattr(feed, "GRACE_SECONDS", 0.01)
    before = threading.active_count()
    for _ in range(2):
        assert not feed_threads()
        reader = Reader(told, home)
        memory(home / "shared/lamp.md", "aaaa1111")
        assert reader.told() == [("added", "aaaa1111")]
        (home / "shared/lamp.md").unlink()
        reader.subscription.close()
        wait_until(lambda: threading.active_count() == before)


def test_who_comes_back_within_the_grace_finds_it_running(told, home):
    """A client that reconnects costs no second look at every file, and misses nothing."""
    with told.subscribe():
        [running] = feed_threads()
    memory(home / "shared/lamp.md", "aaaa1111")
    reader = Reader(told, home)
    assert feed_threads() == [running]
    memory(home / "shared/torch.md", "bbbb1111")
    assert ("added", "bbbb1111") in reader.told()


def listen(subscription, into: list[str]) -> None:
    with subscription:
        while event := subscription.next(SECONDS):
            into.append(event.id)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted where /proc is")
def test_fifty_subscribers_in_threads_leave_nothing_behind(home, mesh, monkeypatch):
    """Each hears each change once; afterwards there are as many threads and descriptors as before."""
    monkeypatch.setattr("mesh.freshness.SLOW_SCANS", -1)  # on a slow machine `mesh` would begin to watch for itself
    mesh.learn("Otters hold hands while they sleep")
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        told = Feed(home)
        heard: list[list[str]] = [[] for _ in range(50)]
        threads = [threading.Thread(target=listen, args=(told.subscribe(), into)) for into in heard]
        for thread in threads:
            thread.start()
        expected = [mesh.learn(f"Heron number {number}")["memory_id"] for number in range(3)]
        wait_until(lambda heard=heard: all(len(one) == 3 for one in heard))
        told.close()
        for thread in threads:
            thread.join(SECONDS)
        assert all(sorted(one) == sorted(expected) for one in heard)
        for memory_id in expected:
            mesh.forget(memory_id)
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before


def test_a_look_that_fails_ends_who_waits_and_the_next_one_starts_anew(told, home, monkeypatch):
    """Rather than to wait for ever, a client is let go, and may come again."""
    with told.subscribe() as subscription, monkeypatch.context() as patch:
        patch.setattr(threading, "excepthook", lambda *_: None)
        patch.setattr(lookout.codec, "read", lambda *_: {}["no such key"])
        memory(home / "shared/lamp.md", "aaaa1111")
        assert subscription.next() is None and subscription.closed
    wait_until(lambda: not feed_threads())
    reader = Reader(told, home)
    memory(home / "shared/torch.md", "bbbb1111")
    assert reader.told() == [("added", "bbbb1111")]


# --- where the system does not tell -----------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["asked for", "network file system", "no watches left"])
def test_what_cannot_be_watched_is_polled(home, mesh, monkeypatch, caplog, why):
    """The same events, only later; said once, and no thread of watchdog is left."""
    monkeypatch.setattr(hints, "POLL_SECONDS", 0.05)
    hints.say_once.cache_clear()
    if why == "network file system":
        monkeypatch.setattr("mesh.mounts._LOCAL", frozenset())
    if why == "no watches left":
        inotify = pytest.importorskip("watchdog.observers.inotify_c", reason="only inotify has a limit")
        monkeypatch.setattr(inotify, "inotify_add_watch", lambda *_: (ctypes.set_errno(errno.ENOSPC), -1)[1])
    memory_id = mesh.learn("Otters hold hands while they sleep")["memory_id"]
    ctypes.set_errno(errno.EEXIST)  # as a call before may have left it
    before = threading.active_count()
    told = Feed(home, poll=why == "asked for")
    with caplog.at_level(logging.WARNING, "mesh"):
        reader = Reader(told, home)
        wait_until(lambda: threading.active_count() == before + 1)
        mesh.update(memory_id, content="Otters sleep on their backs")
        assert reader.told() == [("changed", memory_id)]
        reader.subscription.close()
        told.close()
        Reader(told, home).subscription.close()
    said = [record.message for record in caplog.records if "changes are looked for" in record.message]
    assert len(said) == (why != "asked for"), said


def test_a_home_with_more_folders_than_watches_is_polled(home):
    """watchdog says nothing when the kernel grants no watch for a folder below."""
    for folder in "abcdefgh":
        (home / "shared" / folder).mkdir(parents=True)
    code = """
import logging, pathlib, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s")
from mesh import feed, hints
home = pathlib.Path(sys.argv[1])
with feed.Feed(home).subscribe() as subscription:
    (home / "shared/h/lamp.md").write_text("The lamp is lit")
    print(subscription.next(60).path)
"""
    limited = f"echo 6 > /proc/sys/user/max_inotify_watches && exec {sys.executable} -c '{code}' {home}"
    done = subprocess.run(["unshare", "-Ur", "sh", "-c", limited], capture_output=True, text=True, check=False)
    if "unshare" in done.stderr or "max_inotify_watches" in done.stderr:
        pytest.skip(f"watches cannot be limited here: {done.stderr}")
    assert done.stdout.splitlines()[-1] == "shared/h/lamp.md", done.stderr
    assert "max_user_watches" in done.stdout.splitlines()[0]


def test_an_overflow_of_the_systems_queue_means_a_look_at_everything(told, home, monkeypatch):
    """watchdog only logs it."""
    reader = Reader(told, home)
    looked = []
    real = told._lookout._vault.scan
    monkeypatch.setattr(told._lookout._vault, "scan", lambda namespace: looked.append(namespace) or real(namespace))
    (home / "birds").mkdir()
    reader.events()
    looked.clear()
    logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed; filesystem events were lost")
    wait_until(lambda: {"birds", "shared"} <= set(looked))


def test_a_home_behind_a_link_is_watched(tmp_path):
    """MESH_HOME may be a link into a synchronised folder."""
    (tmp_path / "real").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "real")
    told = Feed(tmp_path / "home")
    reader = Reader(told, tmp_path / "home")
    memory(tmp_path / "real/shared/lamp.md", "aaaa1111")
    assert reader.told() == [("added", "aaaa1111")]
    told.close()


def test_the_feed_loads_neither_numpy_nor_the_manifest(home):
    """It compares files, and waits for nobody."""
    code = """
import sys, pathlib
from mesh.feed import Feed
feed = Feed(pathlib.Path(sys.argv[1]))
assert "watchdog" not in sys.modules
feed.subscribe().close()
feed.close()
assert not {"numpy", "sqlite3", "mesh.workspace"} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code, str(home)], check=True)
