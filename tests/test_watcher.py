"""A process that watches gives the answers of one that scans."""

import logging
import os
import subprocess
import sys

import pytest

from mesh import Mesh
from mesh.watcher import Watch
from tests.keeping import mounted, unmounted

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="watching is relied upon on Linux only")


@pytest.fixture
def watching(home, without_model):
    """A Mesh that watches its home, and has looked at it once."""
    with Mesh(namespace="shared", agent_id="watcher", home=home) as mesh:
        mesh.learn("Otters hold hands while they sleep")
        if not mesh.workspace.watch():
            pytest.skip("this file system cannot be watched")
        mesh.recall("otters")
        yield mesh


def contents(mesh, question="otters heron badger"):
    return sorted(row["content"] for row in mesh.recall(question, n=50))


def scans(mesh, monkeypatch):
    """Count the scans from now on."""
    count = []
    real = mesh.workspace.vault.scan
    monkeypatch.setattr(mesh.workspace.vault, "scan", lambda namespace: count.append(1) or real(namespace))
    return count


def test_without_changes_nothing_is_scanned(watching, monkeypatch):
    """The second question in a row looks at no file but those that answer."""
    contents(watching)
    seen = scans(watching, monkeypatch)
    assert contents(watching) == ["Otters hold hands while they sleep"]
    assert not seen


@pytest.mark.parametrize("save", ["in place", "by rename", "truncate then write"])
def test_a_hand_edit_is_seen_at_once(watching, home, save):
    """However an editor saves, the next question sees the new text."""
    path = home / watching.recall("otters")[0]["path"]
    new = path.read_text().replace("Otters", "Badgers")
    if save == "by rename":
        temporary = path.with_name(".saving.tmp")
        temporary.write_text(new)
        temporary.rename(path)
    else:
        if save == "truncate then write":
            os.truncate(path, 0)
        path.write_text(new)
    assert contents(watching, "badgers") == ["Badgers hold hands while they sleep"]


def test_new_moved_and_deleted_files_and_folders_are_seen_at_once(watching, home):
    """Folders made, filled, renamed and removed while watching change the answers at once."""
    deep = home / "shared" / "birds" / "waders"
    deep.mkdir(parents=True)
    (deep / "heron.md").write_text("A heron stands on one leg\n")
    assert "A heron stands on one leg" in contents(watching)
    (home / "shared" / "birds").rename(home / "shared" / "fowl")
    assert [row["path"] for row in watching.recall("heron")] == ["shared/fowl/waders/heron.md"]
    (home / "shared" / "fowl" / "waders" / "heron.md").unlink()
    assert "A heron stands on one leg" not in contents(watching)


def test_a_hundred_changes_in_a_row_are_each_seen(watching, home):
    """No change is missed, whatever the rhythm of changes and questions."""
    path = home / "shared" / "count.md"
    for number in range(100):
        path.write_text(f"Badger number {number}\n")
        assert f"Badger number {number}" in contents(watching, "badger")


def test_what_another_process_learns_is_recalled_at_once(watching, home):
    """A learn that was acknowledged elsewhere is in the next answer here."""
    environment = os.environ | {"MESH_HOME": str(home)}
    learn = "from mesh import Mesh; Mesh(agent_id='other').learn('A badger digs a sett')"
    subprocess.run([sys.executable, "-c", learn], env=environment, check=True)
    assert "A badger digs a sett" in contents(watching)


def test_an_overflow_means_a_scan(watching, home, monkeypatch):
    """When the kernel's queue overflowed, the next question scans: events may be lost."""
    contents(watching)
    seen = scans(watching, monkeypatch)
    logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed; filesystem events were lost")
    contents(watching)
    assert seen


def test_more_events_than_the_queue_holds_converge(watching, home):
    """A burst of thousands of files, made and changed, ends in the right answer at once."""
    burst = home / "shared" / "burst"
    burst.mkdir()
    for number in range(3000):
        (burst / f"{number}.md").write_text(f"Filler {number}\n")
    (burst / "last.md").write_text("A badger sleeps in winter\n")
    assert "A badger sleeps in winter" in contents(watching)
    assert watching.count() == 3002


def test_a_silent_watcher_is_not_believed(watching, home):
    """When no cookie comes back, because the watcher stopped, the question scans."""
    observer = watching.workspace.freshness._watch._events._observer
    observer.stop()
    observer.join()
    (home / "shared" / "late.md").write_text("A heron came late\n")
    assert "A heron came late" in contents(watching)


def test_what_is_mounted_below_is_seen_at_once(watching, home):
    """No event tells of it; the watch begins anew."""
    birds = home / "shared" / "birds"
    birds.mkdir()
    contents(watching)
    mounted("-t", "tmpfs", "none", birds)
    try:
        (birds / "heron.md").write_text("A heron stands\n")
        assert "A heron stands" in contents(watching)
        (birds / "heron.md").write_text("A heron walks\n")
        assert "A heron walks" in contents(watching)
    finally:
        unmounted(birds)
    assert contents(watching) == ["Otters hold hands while they sleep"]


def test_a_file_name_that_is_no_text_is_passed_over(watching, home):
    """Also when an event tells of it."""
    open(os.fsencode(home / "shared") + b"/\xff.md", "wb").close()
    (home / "shared" / "heron.md").write_text("A heron stands\n")
    assert "A heron stands" in contents(watching)


def test_cookies_stay_out_of_the_namespace(watching, home):
    """Watching leaves nothing in the folder that people share, and nothing behind in the cache."""
    contents(watching)
    names = {path.name for path in home.rglob("*")}
    assert not [name for name in names if "cookie" in name]
    assert {path.suffix for path in (home / "shared").rglob("*") if path.is_file()} == {".md"}


def test_closing_ends_the_watch(home, without_model):
    """After `close` no thread of the watch is left."""
    import threading

    before = threading.active_count()
    with Mesh(home=home) as mesh:
        mesh.learn("Otters hold hands while they sleep")
        mesh.workspace.watch()
    assert threading.active_count() == before


def test_a_network_file_system_is_not_watched(tmp_path, monkeypatch):
    """Where other machines write, this machine's kernel cannot know: such homes are scanned."""
    from mesh import mounts

    monkeypatch.setattr(mounts, "_LOCAL", frozenset())
    assert not Watch.possible(tmp_path)


def test_a_home_behind_a_link_is_watched(tmp_path, without_model):
    """MESH_HOME may be a link; the namespace's folder may be replaced under it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with Mesh(home=tmp_path / "link") as mesh:
        mesh.learn("Otters hold hands while they sleep")
        if not mesh.workspace.watch():
            pytest.skip("this file system cannot be watched")
        assert contents(mesh) == ["Otters hold hands while they sleep"]
        (tmp_path / "real/shared").rename(tmp_path / "real/.old")
        (tmp_path / "real/shared").mkdir()
        (tmp_path / "real/shared/heron.md").write_text("A heron stands still")
        assert contents(mesh) == ["A heron stands still"]


FEW_WATCHES = """
import sys
from mesh import Mesh
home = sys.argv[1]
mesh = Mesh(home=home)
mesh.recall("otter")
print(mesh.workspace.watch())
import pathlib
for number in range(8):
    folder = pathlib.Path(home, "shared", f"folder{number}")
    folder.mkdir()
    mesh.recall("otter")
    (folder / "otter.md").write_text(f"An otter in folder {number}")
    print(len(mesh.recall("otter", 50)))
"""


@pytest.mark.parametrize("watches", [4, 11, 14])
def test_a_system_that_grants_too_few_watches_hides_no_memory(home, without_model, watches):
    """Where the kernel's limit is reached, at the start or later, every recall looks at every file again."""
    for number in range(4):
        (home / "shared" / str(number)).mkdir(parents=True)
    limited = f"echo {watches} > /proc/sys/user/max_inotify_watches && exec {sys.executable} -c '{FEW_WATCHES}' {home}"
    done = subprocess.run(["unshare", "-Ur", "sh", "-c", limited], capture_output=True, text=True, check=False)
    if "unshare" in done.stderr or "max_inotify_watches" in done.stderr:
        pytest.skip(f"watches cannot be limited here: {done.stderr}")
    watching, *found = done.stdout.split()
    assert watching == "False" or watches > 4, done.stderr
    assert found == [str(number) for number in range(1, 9)]
