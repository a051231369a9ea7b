"""One process keeps a home's caches; all others are as right as if they looked at every file themselves."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mesh import Mesh, freshness, lease, rename_namespace
from mesh import keeper as keeper_module
from mesh import kept as kept_module
from mesh.happened import Told
from mesh.hints import Hints
from mesh.home_events import is_running
from mesh.index.cache import Cache
from mesh.keeper import Keeper
from mesh.kept import TRY_AGAIN_SECONDS, Kept
from mesh.settings import Settings
from mesh.vault import Vault, roots
from tests.keeping import (
    SAVES,
    KeeperProcess,
    contents,
    holder,
    keeper_or_skip,
    mounted,
    unmounted,
    until,
    with_watches,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="leases are held on Linux only")
OTTER = "An otter floats"


@pytest.fixture(autouse=True)
def _ask_always(monkeypatch):
    """Also in the small vaults of tests, which are scanned sooner than anybody answers."""
    monkeypatch.setattr(freshness, "WORTH_ASKING", 1)


@pytest.fixture
def vault(home, without_model):
    """A home with one memory, where leases can be held."""
    keeper_or_skip(home)
    (home / "shared").mkdir()
    (home / "shared" / "otter.md").write_text(OTTER + "\n")
    return home


@pytest.fixture
def kept(vault):
    """The same, kept by a process of its own."""
    with KeeperProcess(vault) as process:
        yield process


@pytest.fixture
def scans(monkeypatch):
    """The namespaces that were scanned in this process."""
    seen = []
    real = Vault.scan
    monkeypatch.setattr(Vault, "scan", lambda self, namespace: seen.append(namespace) or real(self, namespace))
    return seen


def vouched_for(home, scans):
    """Whether a cold recall was answered without a scan; a busy machine may need several."""
    scans.clear()
    contents(home)
    return not scans


def keeper(home, **options):
    return Keeper(replace(Settings.from_environment(), home=home), program="test", **options)


# --- asking the holder ---------------------------------------------------------------------------------------------


def test_a_cold_recall_scans_nothing_while_a_keeper_runs(kept, scans):
    """The holder answers, and the manifest is taken as it is."""
    assert holder(kept.home) == kept.pid
    until(lambda: vouched_for(kept.home, scans))
    assert contents(kept.home) == [OTTER]


def test_without_a_keeper_everything_is_scanned(vault, scans):
    """Nobody holds the lease: nobody is asked, and no file is made for it."""
    assert holder(vault) is None
    assert contents(vault) == [OTTER]
    assert scans
    assert not (vault / ".locks" / "watch").exists()


@pytest.mark.parametrize("save", SAVES, ids=lambda save: save.__name__)
def test_whatever_saves_the_next_cold_recall_is_right(kept, save):
    """A new file, then the same one changed several times, each followed at once by a recall in another process."""
    path = kept.home / "shared" / "badger.md"
    for number in range(4):
        save(path, f"A badger digs number {number}")
        assert contents(kept.home) == [f"A badger digs number {number}", OTTER]


def test_moved_and_deleted_files_and_folders_are_known_at_once(kept):
    """Folders that come, are filled, renamed, removed, and come again."""
    home = kept.home
    for _ in range(3):
        deep = home / "shared" / "birds" / "waders"
        deep.mkdir(parents=True)
        (deep / "heron.md").write_text("A heron stands\n")
        assert contents(home) == ["A heron stands", OTTER]
        (home / "shared" / "birds").rename(home / "shared" / "fowl")
        (home / "shared" / "fowl" / "waders" / "heron.md").write_text("A heron walks\n")
        assert contents(home) == ["A heron walks", OTTER]
        (home / "shared" / "fowl" / "waders" / "heron.md").unlink()
        assert contents(home) == [OTTER]
        (home / "shared" / "fowl" / "waders").rmdir()
        (home / "shared" / "fowl").rmdir()


def test_a_hundred_changes_in_a_row_are_each_known(kept):
    """Whatever the rhythm of changes and questions: an answer never runs ahead of a change."""
    path = kept.home / "shared" / "count.md"
    for number in range(100):
        path.write_text(f"A badger digs number {number}\n")
        assert contents(kept.home) == [f"A badger digs number {number}", OTTER]


def test_a_file_that_becomes_readable_is_known(kept):
    """A change of mode alone is a change."""
    path = kept.home / "shared" / "badger.md"
    path.write_text("A badger digs\n")
    contents(kept.home)
    path.chmod(0)
    contents(kept.home)
    path.chmod(0o600)
    assert contents(kept.home) == ["A badger digs", OTTER]


def test_several_who_ask_at_once_are_all_answered_rightly(kept):
    """Eight processes recall while a ninth writes; none finds less than had been there when it began."""
    code = """
import sys
from mesh import Mesh, freshness
freshness.WORTH_ASKING = 1
with Mesh(home=sys.argv[1]) as mesh:
    before = int(open(sys.argv[2]).read())
    found = len(mesh.recall("badger", 100))
    assert found >= before, (found, before)
"""
    count = kept.home.parent / "count"
    count.write_text("0")
    asking = []
    for number in range(40):
        (kept.home / "shared" / f"badger{number}.md").write_text(f"badger {number} {'word ' * number}\n")
        temporary = count.with_suffix(".new")
        temporary.write_text(str(number + 1))
        temporary.replace(count)
        if number % 5 == 0:
            asking.append(subprocess.Popen([sys.executable, "-c", code, kept.home, count], stderr=subprocess.PIPE))
    for process in asking:
        assert process.communicate()[1] == b"" or process.returncode == 0
        assert process.returncode == 0


def test_no_cookie_lies_in_a_namespace_or_stays(kept, scans):
    """What people share stays clean, and nothing is left behind by who asks."""
    until(lambda: vouched_for(kept.home, scans))
    assert not list((kept.home / lease.COOKIES).iterdir())
    assert [path.name for path in (kept.home / "shared").rglob("*")] == ["otter.md"]


def test_a_cookie_of_one_who_was_killed_is_swept(vault):
    """The next holder removes what lies there, and answers others."""
    (vault / lease.COOKIES).mkdir(parents=True)
    (vault / lease.COOKIES / "shared~1-dead").touch()
    with KeeperProcess(vault):
        until(lambda: not list((vault / lease.COOKIES).iterdir()))


# --- a holder that does not answer -----------------------------------------------------------------------------------


def test_a_stopped_holder_is_not_believed(kept):
    """While it is stopped others look themselves; when it goes on it catches up before it vouches again."""
    home = kept.home
    kept.send(signal.SIGSTOP)
    (home / "shared" / "badger.md").write_text("A badger digs\n")
    assert contents(home) == ["A badger digs", OTTER]
    kept.send(signal.SIGCONT)
    (home / "shared" / "badger.md").write_text("A badger sleeps\n")
    assert contents(home) == ["A badger sleeps", OTTER]


def test_one_that_did_not_answer_is_not_asked_again_and_again(kept, scans, monkeypatch):
    """A process that waited in vain once scans at once the next time."""
    asked = []
    real = lease.asked
    monkeypatch.setattr(lease, "asked", lambda *where: asked.append(1) or real(*where))
    kept.send(signal.SIGSTOP)
    with Mesh(home=kept.home) as mesh:
        for _ in range(3):
            assert mesh.count() == 1
    assert len(asked) == 1


def test_more_changes_than_the_queue_holds_while_stopped_are_all_known(kept, scans):
    """The kernel drops events; the holder notices, begins again, and vouches only after a look at everything."""
    home = kept.home
    kept.send(signal.SIGSTOP)
    many = home / "shared" / "many"
    many.mkdir()
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for number in range(min(limit, 20_000) // 2 + 500):
        (many / f"{number % 700}.txt").write_text("x")
        (many / f"{number % 700}.txt").unlink()
    (many / "deep").mkdir()
    (many / "deep" / "badger.md").write_text("A badger digs\n")
    kept.send(signal.SIGCONT)
    assert contents(home) == ["A badger digs", OTTER]
    until(lambda: vouched_for(home, scans))
    (many / "deep" / "badger.md").write_text("A badger sleeps\n")  # in a folder that was made while it was stopped
    assert contents(home) == ["A badger sleeps", OTTER]


@pytest.mark.alone
def test_a_queue_of_sixteen_events_loses_nothing(vault):
    """With the smallest queue nearly every burst overflows it."""
    setting = Path("/proc/sys/fs/inotify/max_queued_events")
    before = setting.read_text()
    try:
        setting.write_text("16")
    except OSError:
        pytest.skip("the length of the kernel's queue cannot be set here")
    try:
        with KeeperProcess(vault):
            for number in range(30):
                folder = vault / "shared" / f"folder{number}"
                folder.mkdir()
                for other in range(10):
                    (folder / f"{other}.md").write_text(f"badger {number} {other}\n")
                assert len(contents(vault, "badger")) == min(50, 10 * (number + 1))
    finally:
        setting.write_text(before)


def test_when_the_holder_is_killed_another_takes_over(kept, scans):
    """Nothing is missed in between, and the lease is had by the one that waited for it."""
    home = kept.home
    with KeeperProcess(home) as second:
        assert holder(home) == kept.pid
        kept.send(signal.SIGKILL)
        (home / "shared" / "badger.md").write_text("A badger digs\n")
        assert contents(home) == ["A badger digs", OTTER]
        until(lambda: holder(home) == second.pid)
        until(lambda: vouched_for(home, scans))
        (home / "shared" / "badger.md").write_text("A badger sleeps\n")
        assert contents(home) == ["A badger sleeps", OTTER]


def test_a_holder_that_promises_something_else_is_not_asked(vault, scans):
    """The protocol's number stands in the lock file; who speaks another one may hold the lease, and is left alone."""
    taken = lease.Lease.take(vault, "shared", lease.Holder(1, 0.0, lease.WATCHING, "newer", lease.PROTOCOL + 1))
    try:
        assert contents(vault) == [OTTER]
        assert scans
    finally:
        taken.release()


def test_an_answer_about_another_cache_is_no_answer(vault, scans):
    """Made again meanwhile, or that of a home that was moved away: the manifest must be the very one."""
    contents(vault)
    cache = Cache(vault, "shared", roots("shared"))
    assert cache.manifest.generation()
    device, inode = cache.identity
    cache.close()
    asker = freshness.Freshness(Vault(vault), "shared", Cache(vault, "shared", roots("shared")))
    for answer, believed in (((device, inode, 0), True), ((device, inode + 1, 0), False), ((device, inode, 99), False)):
        asker._ask_again_at = 0.0
        taken = lease.Lease.take(vault, "shared", lease.Holder(1, 0.0, lease.WATCHING, "test"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lease, "asked", lambda *_, answer=answer: lease.Answer(*answer))
            assert asker._is_vouched_for() is believed
        taken.release()


def test_a_cache_that_was_thrown_away_is_made_again(kept, scans):
    """The holder has the old one open; what it vouches for is never the empty one."""
    home = kept.home
    with Mesh(home=home) as mesh:
        mesh.recall("otter")
        mesh.workspace.cache.discard("a test")
        assert [row["content"] for row in mesh.recall("otter")] == [OTTER]
    until(lambda: vouched_for(home, scans))
    assert contents(home) == [OTTER]


# --- namespaces and homes that come and go ---------------------------------------------------------------------------


def test_namespaces_that_come_are_kept_and_those_that_go_are_not(kept):
    """One made by hand, renamed by hand, and one that Mesh renames."""
    home = kept.home
    (home / "zoo").mkdir()
    (home / "zoo" / "badger.md").write_text("A badger digs\n")
    until(lambda: holder(home, "zoo") == kept.pid)
    assert contents(home, namespace="zoo") == ["A badger digs"]
    (home / "zoo").rename(home / "park")
    until(lambda: holder(home, "park") == kept.pid and holder(home, "zoo") is None)
    assert contents(home, namespace="park") == ["A badger digs"]
    (home / "park" / "heron.md").write_text("A heron stands\n")
    assert contents(home, namespace="park") == ["A badger digs", "A heron stands"]
    rename_namespace("park", "farm")
    assert contents(home, namespace="farm") == ["A badger digs", "A heron stands"]
    until(lambda: holder(home, "farm") == kept.pid and holder(home, "park") is None)
    (home / "farm" / "otter.md").write_text(OTTER + "\n")
    assert contents(home, namespace="farm") == ["A badger digs", "A heron stands", OTTER]


def test_a_namespace_replaced_under_the_holder_is_seen(kept):
    """Its folder is renamed away and another one put in its place, both at once."""
    home = kept.home
    for number in range(5):
        (home / "shared").rename(home / f".old{number}")
        (home / "shared").mkdir()
        (home / "shared" / "badger.md").write_text(f"A badger digs number {number}\n")
        assert contents(home) == [f"A badger digs number {number}"]
        (home / "shared" / "badger.md").write_text(f"A badger sleeps number {number}\n")
        assert contents(home) == [f"A badger sleeps number {number}"]


def test_a_missing_folder_is_refused_and_its_cache_kept(kept):
    """As without a holder: it may be an unmounted disk. When it is back, all is as it was."""
    from mesh.errors import VaultUnavailable

    home = kept.home
    contents(home)
    (home / "shared").rename(home / ".away")
    with pytest.raises(VaultUnavailable):
        contents(home)
    (home / ".away").rename(home / "shared")
    assert contents(home) == [OTTER]


def test_a_home_that_was_moved_away_is_another_home(kept):
    """Who opens the place it had, or the one it has now, is never told about the other."""
    home, moved = kept.home, kept.home.with_name("moved")
    home.rename(moved)
    home.mkdir(mode=0o700)
    (home / "shared").mkdir()
    (home / "shared" / "badger.md").write_text("A badger digs\n")
    (moved / "shared" / "heron.md").write_text("A heron stands\n")
    assert contents(home) == ["A badger digs"]
    assert contents(moved) == ["A heron stands", OTTER]


def test_removed_locks_are_made_again(kept, scans):
    """Somebody tidies up: the lease is taken anew, and who asks is answered."""
    until(lambda: vouched_for(kept.home, scans))
    shutil.rmtree(kept.home / ".locks", ignore_errors=True)
    until(lambda: holder(kept.home) == kept.pid)
    until(lambda: vouched_for(kept.home, scans))


def test_a_removed_cache_is_made_again(kept, scans):
    """It is disposable, also while somebody keeps it."""
    contents(kept.home)
    shutil.rmtree(kept.home / ".cache", ignore_errors=True)
    assert contents(kept.home) == [OTTER]
    until(lambda: vouched_for(kept.home, scans))


# --- where events do not say all -------------------------------------------------------------------------------------


def test_a_name_that_is_no_text_ends_nothing(kept, scans):
    """No memory can have it; the keeper goes on."""
    open(os.fsencode(kept.home / "shared") + b"/\xff.md", "wb").close()
    (kept.home / "shared" / "badger.md").write_text("A badger digs\n")
    assert contents(kept.home) == ["A badger digs", OTTER]
    until(lambda: vouched_for(kept.home, scans))


@pytest.mark.parametrize("folder", ["#x#", ".hidden", "birds/.hidden"])
def test_what_a_scan_passes_over_no_event_brings_in(kept, folder):
    """The same files are memories, whoever looks."""
    place = kept.home / "shared" / folder
    place.mkdir(parents=True)
    contents(kept.home)
    (place / "badger.md").write_text("A badger digs\n")
    assert contents(kept.home) == [OTTER]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_when_the_thread_that_reads_events_dies_watching_begins_again(vault, scans, monkeypatch):
    """watchdog's does when a folder that was moved away is removed after another one had its place."""
    monkeypatch.setattr(keeper_module, "CHECK_SECONDS", 0.05)
    with keeper(vault) as one:
        one.ready.wait()
        until(lambda: vouched_for(vault, scans))
        before = one._events
        kill_reader(vault / "shared" / "birds", lambda: before.alive)
        until(lambda: one._events is not before and vouched_for(vault, scans))
        (vault / "shared" / "badger.md").write_text("A badger digs\n")
        assert contents(vault) == ["A badger digs", OTTER]
        until(lambda: vouched_for(vault, scans))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_hints_begin_anew_as_well(vault):
    """For `/events` and resource notices."""
    hints = Hints(Vault(vault))
    hints.renew()
    kill_reader(vault / "shared" / "birds", lambda: is_running(hints._observer))
    hints.renew()
    assert is_running(hints._observer)
    hints.stop()


def kill_reader(folder, alive):
    """watchdog's thread looks for a folder under the name that it had, if it was in time to see all of this."""
    away, pause = folder.parents[2] / "away", 0.05
    while alive():
        for step in (folder.mkdir, lambda: folder.rename(away), folder.mkdir, folder.rmdir, away.rmdir):
            step()
            time.sleep(pause)
        pause *= 2
        assert pause < 30


def test_what_is_mounted_below_a_namespace_is_known_at_once(kept, scans):
    """No event tells of it, nor of what is written there until it is watched."""
    birds = kept.home / "shared" / "birds"
    birds.mkdir()
    (birds / "heron.md").write_text("A heron stands\n")
    assert contents(kept.home) == ["A heron stands", OTTER]
    mounted("-t", "tmpfs", "none", birds)
    try:
        (birds / "badger.md").write_text("A badger digs\n")
        assert contents(kept.home) == ["A badger digs", OTTER]
        until(lambda: vouched_for(kept.home, scans))
        (birds / "badger.md").write_text("A badger sleeps\n")
        assert contents(kept.home) == ["A badger sleeps", OTTER]
    finally:
        unmounted(birds)
    assert contents(kept.home) == ["A heron stands", OTTER]


def test_nobody_vouches_for_what_other_machines_may_write_to(vault, scans, monkeypatch):
    """A file system that is not known as local is mounted in a namespace: it is polled until that is gone."""
    monkeypatch.setattr(keeper_module, "CHECK_SECONDS", 0.05)
    birds = vault / "shared" / "birds"
    birds.mkdir()
    with keeper(vault) as one:
        one.ready.wait()
        mounted("-t", "ramfs", "none", birds)
        try:
            until(lambda: lease.holder_of(vault, "shared").how == lease.POLLING)
            (birds / "badger.md").write_text("A badger digs\n")
            until(lambda: "shared/birds/badger.md" in manifest_paths(vault))
            assert not vouched_for(vault, scans)
            assert contents(vault) == ["A badger digs", OTTER]
        finally:
            unmounted(birds)
        until(lambda: lease.holder_of(vault, "shared").how == lease.WATCHING)
        assert contents(vault) == [OTTER]


def test_an_unmounted_disk_is_refused_and_its_cache_kept(vault, scans):
    """Under a namespace that lies on a disk of its own; when the disk is back, all is as it was."""
    from mesh.errors import VaultUnavailable

    disk, place = vault.parent / "disk", vault / "zoo"
    disk.mkdir()
    place.mkdir()
    mounted("-t", "tmpfs", "none", disk)
    try:
        (disk / "badger.md").write_text("A badger digs\n")
        mounted("--bind", disk, place)
        with KeeperProcess(vault) as process:
            until(lambda: holder(vault, "zoo") == process.pid)
            assert contents(vault, namespace="zoo") == ["A badger digs"]
            unmounted(place)
            for _ in range(2):
                with pytest.raises(VaultUnavailable, match="empty and on another device"):
                    contents(vault, namespace="zoo")
            assert manifest_paths(vault, "zoo") == ["zoo/badger.md"]
            assert contents(vault) == [OTTER]
            mounted("--bind", disk, place)
            assert contents(vault, namespace="zoo") == ["A badger digs"]
            (place / "badger.md").write_text("A badger sleeps\n")
            assert contents(vault, namespace="zoo") == ["A badger sleeps"]
            unmounted(place)
    finally:
        unmounted(disk)


def test_now_and_then_everything_is_looked_at(vault, monkeypatch):
    """Whatever the events say, or do not say."""
    monkeypatch.setattr(kept_module, "RESCAN_SECONDS", 0.2)
    with keeper(vault) as one:
        one.ready.wait()
        one._events._stopped = True  # it tells nothing any more
        (vault / "shared" / "badger.md").write_text("A badger digs\n")
        until(lambda: "shared/badger.md" in manifest_paths(vault))


# --- where nothing is told -------------------------------------------------------------------------------------------


def test_without_inotify_files_are_polled_and_nobody_is_answered(vault, scans):
    """The lease says so, others scan, and the cache follows all the same."""
    with KeeperProcess(vault, "poll"):
        (vault / "shared" / "badger.md").write_text("A badger digs\n")
        until(lambda: "badger.md" in " ".join(manifest_paths(vault)))
        assert not vouched_for(vault, scans)


def test_a_home_that_other_machines_may_write_to_is_polled_and_that_is_said(home, without_model, scans):
    """Its file system is not one of those that are known as local."""
    mounted("-t", "ramfs", "none", home)
    try:
        (home / "shared").mkdir()
        process = KeeperProcess(home)
        with process:
            assert lease.holder_of(home, "shared").how == lease.POLLING
            (home / "shared" / "badger.md").write_text("A badger digs\n")
            until(lambda: manifest_paths(home) == ["shared/badger.md"])
            assert not vouched_for(home, scans)
        assert process.said.count("other machines may write") == 1
    finally:
        unmounted(home)


def test_where_nothing_is_told_namespaces_that_come_are_seen(home, without_model):
    """Also the first one."""
    with keeper(home, poll=True) as one:
        one.ready.wait()
        assert not one.holds()
        (home / "shared").mkdir()
        until(one.holds)


def manifest_paths(home, namespace="shared"):
    cache = Cache(home, namespace, roots(namespace))
    try:
        return cache.manifest.paths()
    finally:
        cache.close()


@pytest.mark.parametrize("watches", [3, 12])
def test_where_the_kernel_grants_too_few_watches_it_polls_and_says_so_once(vault, watches):
    """At the start, or when more folders come than can be watched."""
    process = KeeperProcess(vault, prefix=with_watches(watches))
    with process:
        for number in range(8):
            folder = vault / "shared" / f"folder{number}"
            folder.mkdir()
            (folder / "badger.md").write_text(f"A badger in folder {number}\n")
            assert len(contents(vault, "badger")) == number + 1
        until(lambda: lease.holder_of(vault, "shared").how == lease.POLLING)
        (vault / "shared" / "folder7" / "heron.md").write_text("A heron stands\n")
        until(lambda: any("heron" in path for path in manifest_paths(vault)))
    assert process.said.count("as changes are not told") == 1
    assert "limit" in process.said


def test_a_home_that_cannot_be_written_is_left_alone(vault):
    """No lease, no error, and recall goes on."""
    contents(vault)
    if os.getuid() == 0:
        pytest.skip("root may write anywhere")
    (vault / ".locks").chmod(0o500)
    try:
        with keeper(vault) as one:
            one.ready.wait()
            assert not one.holds()
        assert contents(vault) == [OTTER]
    finally:
        (vault / ".locks").chmod(0o700)


# --- what it tells and leaves ----------------------------------------------------------------------------------------


def test_each_change_is_told_once(vault):
    """Added, changed, moved and gone, whoever did it: by hand, or Mesh in another process."""
    told = []
    with keeper(vault, tell=lambda namespace, news: told.extend((namespace, *one_of(one)) for one in news)) as one:
        one.ready.wait()
        path = vault / "shared" / "badger.md"
        path.write_text("---\nid: badger01badger01\ntitle: Digs\n---\nA badger digs\n")
        until(lambda: ("shared", "added", "badger01badger01", "shared/badger.md", None, "Digs") in told)
        path.write_text(path.read_text() + "deep\n")
        until(lambda: ("shared", "changed", "badger01badger01", "shared/badger.md", None, "Digs") in told)
        path.rename(path.with_name("b.md"))
        until(lambda: ("shared", "moved", "badger01badger01", "shared/b.md", "shared/badger.md", "Digs") in told)
        path.with_name("b.md").unlink()
        until(lambda: ("shared", "gone", "badger01badger01", "shared/b.md", None, "Digs") in told)
        with Mesh(home=vault) as mesh:
            learned = mesh.learn("A heron stands")
        until(lambda: any(kind == "added" and name == learned["memory_id"] for _, kind, name, *_ in told))
    assert len(told) == 5


def test_a_namespace_that_comes_back_is_no_news(vault, caplog):
    """Its folder was away for a moment; only what is different is told."""
    told = []
    with keeper(vault, tell=lambda namespace, news: told.extend((namespace, *one_of(one)) for one in news)) as one:
        one.ready.wait()
        (vault / "shared").rename(vault / ".away")
        until(lambda: not one.holds())
        (vault / ".away" / "badger.md").write_text("---\ntitle: Digs\n---\nA badger digs\n")
        (vault / ".away").rename(vault / "shared")
        until(lambda: told)
    assert [news[1:2] + news[3:4] for news in told] == [("added", "shared/badger.md")]
    assert "shared: its folder is no longer there" in caplog.text


def one_of(happened):
    return happened.kind, happened.id, happened.path, happened.was, happened.title


def test_what_could_not_be_read_is_tried_again_soon(vault):
    """Not only when something happens there."""
    one = Kept(vault, "shared", Told(from_nothing=False))
    one.look(None)
    one.failed()
    assert 0 < one.due_at(polling=False) - time.monotonic() <= TRY_AGAIN_SECONDS
    assert one.taken(polling=False)[0] is None
    one.close()


def test_it_can_be_stopped_while_it_takes_in_many_files(vault):
    """What was taken in is kept; the rest is for the next one."""
    for number in range(1200):
        (vault / "shared" / f"{number}.md").write_text(f"badger {number}\n")
    seen = []
    one = keeper(vault, indexed=lambda *told: (seen.append(told), until(lambda: one._ended)))
    one.start()
    until(lambda: seen)
    one.stop()
    assert not one.alive
    assert seen == [("shared", 0, 1201)]
    assert len(manifest_paths(vault)) < 1201


def test_stopping_gives_everything_back(vault):
    """The lease is free, and no thread or descriptor is left."""
    import threading

    def held():
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    contents(vault)
    before = held()
    for _ in range(3):
        with keeper(vault) as one:
            one.ready.wait()
            assert one.holds() == ["shared"]
    assert holder(vault) is None
    until(lambda: held() == before)


# --- what it takes ---------------------------------------------------------------------------------------------------


def memory_kib(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def vectors(home):
    cache = Cache(home, "shared", roots("shared"))
    try:
        return cache.manifest.db.execute("SELECT count(*) FROM passages").fetchone()[0]
    finally:
        cache.close()


@pytest.mark.model
def test_the_model_goes_from_memory_when_nothing_is_to_be_embedded(home):
    """Loaded it takes less than 150 MB in all; later much less, and it comes back when it is needed."""
    keeper_or_skip(home)
    (home / "shared").mkdir()
    with KeeperProcess(home, "idle=1") as process:
        without = memory_kib(process.pid)
        for number in range(2):
            for other in range(40):
                (home / "shared" / f"{number}-{other}.md").write_text(f"An otter floats on lake {number}, {other}\n")
            most = 0
            while vectors(home) < 40 * (number + 1):
                most = max(most, memory_kib(process.pid))
            assert without + 20_000 < most < 150_000
            until(lambda most=most: memory_kib(process.pid) < most - 20_000)
