"""Folders outside of the home that are namespaces: what may be one, and that nothing else is ever followed."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from pathlib import Path

import pytest

from mesh import (
    Mesh,
    delete_namespace,
    link_namespace,
    linked_namespaces,
    list_namespaces,
    rename_namespace,
    unlink_namespace,
)
from mesh.errors import InvalidInput, MeshError, NotFound, VaultUnavailable
from mesh.files import Folder
from mesh.keeper import Keeper
from mesh.lease import POLLING, holder_of
from mesh.settings import Settings

pytestmark = [
    pytest.mark.usefixtures("without_model"),
    pytest.mark.skipif(os.name == "nt", reason="there a folder cannot be linked safely"),
]


@pytest.fixture
def folder(tmp_path) -> Path:
    """A project's folder for memories."""
    place = tmp_path / "work" / "app" / "docs" / "memory"
    place.mkdir(parents=True)
    return place


@pytest.fixture
def app(home, folder):
    """A `Mesh` on it."""
    link_namespace(folder, "app")
    with Mesh("app", "tester", home) as opened:
        yield opened


def texts(mesh: Mesh) -> set[str]:
    return {row["content"] for row in mesh.inspect(None)}


def names(folder: Path) -> set[str]:
    """Everything below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- its files are the memories --------------------------------------------------------------------------------------


def test_what_is_learned_lies_in_the_folder_and_nothing_else_does(app, folder, home):
    """Trash, locks, caches and what is local_only stay in the home."""
    row = app.learn("The lamp is lit at six")
    app.learn("The key is under the stone", local_only=True)
    app.update(row["memory_id"], "The lamp is lit at seven")
    gone = app.learn("Not for long")
    app.forget(gone["memory_id"])
    assert names(folder) == {Path(row["path"]).name}
    assert app.recall("when is the lamp lit?")[0]["content"] == "The lamp is lit at seven"
    assert len(list((home / "_local" / "app").iterdir())) == 1
    assert app.restore(gone["memory_id"])["path"].startswith("app/") and len(names(folder)) == 2


def test_a_hand_edit_in_the_folder_is_recalled(app, folder):
    """Also in folders below it, which is where projects keep their texts."""
    (folder / "how-to").mkdir()
    (folder / "how-to" / "deploy.md").write_text("Deploy on Tuesdays\n")
    assert app.recall("deploy")[0]["path"] == "app/how-to/deploy.md"
    (folder / "how-to" / "deploy.md").write_text("Deploy on Fridays\n")
    assert app.recall("deploy")[0]["content"] == "Deploy on Fridays"


def test_files_get_the_modes_that_are_usual_there(app, folder, home):
    """As the umask says: it is a project's folder. What an edit replaces keeps its mode; the home stays private."""
    before = os.umask(0o022)
    try:
        row = app.learn("The lamp is lit")
        local = app.learn("The key", local_only=True)
        with Folder.open(home, "app", "new", create=True):
            pass
    finally:
        os.umask(before)
    file = home / row["path"]
    assert file.stat().st_mode & 0o777 == 0o644 and (folder / "new").stat().st_mode & 0o777 == 0o755
    assert (home / local["path"]).stat().st_mode & 0o777 == 0o600
    file.chmod(0o664)
    app.update(row["memory_id"], "The lamp is out")
    assert file.stat().st_mode & 0o777 == 0o664


def test_a_folder_on_another_file_system_is_as_any(home, tmp_path):
    """What is replaced or forgotten is copied to the trash, durably, and comes back from it."""
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev or not os.access(other, os.W_OK):
        pytest.skip("there is no second file system to write to")
    with tempfile.TemporaryDirectory(dir=other) as place:
        link_namespace(place, "far")
        with Mesh("far", "tester", home) as mesh:
            row = mesh.learn("The lamp is lit")
            mesh.update(row["memory_id"], "The lamp is out")
            mesh.forget(row["memory_id"])
            assert names(Path(place)) == set()
            kept = [path.read_text() for path in (home / ".trash" / "far").rglob("*.md")]
            assert sorted("out" in text for text in kept) == [False, True]
            mesh.restore(row["memory_id"])
            assert texts(mesh) == {"The lamp is out"} and len(names(Path(place))) == 1


def test_what_is_saved_while_a_file_is_copied_far_away_goes_along(home, tmp_path):
    """Between the copy and the removal somebody saves: that text is what arrives."""

    class Slow(Folder):
        def create(self, name: str, data: bytes) -> None:
            super().create(name, data)
            (tmp_path / "here" / "note.md").write_bytes(b"saved meanwhile")

    for name in ("here", "far"):
        (tmp_path / name).mkdir()
    (tmp_path / "here" / "note.md").write_bytes(b"old")
    with Folder.open(tmp_path, "here") as source, Slow.open(tmp_path, "far") as target:
        source._move_far("note.md", target, "note.md")
    assert tree(tmp_path / "far") == {"note.md": b"saved meanwhile"} and tree(tmp_path / "here") == {}


# --- which folder --------------------------------------------------------------------------------------------------


def test_it_is_named_after_the_project_unless_a_name_is_given(home, folder):
    """Or after itself, where it lies in no repository."""
    assert link_namespace(folder)["namespace"] == "memory"
    unlink_namespace("memory")
    (folder.parents[1] / ".git").mkdir()
    row = link_namespace(folder)
    assert (row["namespace"], row["folder"], row["project"]) == ("app", str(folder), str(folder.parents[1]))
    assert linked_namespaces() == [row]


def test_a_folder_is_linked_by_where_it_really_is(home, folder, tmp_path):
    """However it was named: the link on the way may lead elsewhere tomorrow."""
    (tmp_path / "short").symlink_to(folder.parent)
    assert link_namespace(tmp_path / "short" / "memory", "app")["folder"] == str(folder)
    (tmp_path / "short").unlink()
    with Mesh("app", "tester", home) as mesh:
        mesh.learn("The lamp is lit")
    assert len(names(folder)) == 1


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ("home", "the home already"),
        ("home/.cache", "it lies in the home"),
        ("", "in it lies the home"),
        ("/", "root of a file system"),
        ("work/nowhere", "no such file"),
        ("work/file", "not a folder"),
        ("work/app/.git/info", r"lies in a \.git"),
        ("work/linked/inner", "lies in the namespace 'other'"),
        ("work/linked", "the namespace 'other' already"),
        ("work", "in it lies the namespace 'other'"),
    ],
)
def test_what_cannot_be_a_namespace_is_refused(home, tmp_path, given, cause):
    """With the reason, and with nothing made."""
    for part in ("home/.cache", "work/linked/inner", "work/app/.git/info"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "work" / "file").touch()
    link_namespace(tmp_path / "work" / "linked", "other")
    with pytest.raises(InvalidInput, match=cause):
        link_namespace(tmp_path / given, "new")
    assert [row["namespace"] for row in linked_namespaces()] == ["other"] and not os.path.lexists(home / "new")


def test_a_namespace_that_is_there_is_not_covered(home, folder):
    """Its memories would be out of sight. An empty one gives way."""
    with Mesh("app", "tester", home) as mesh:
        row = mesh.learn("The lamp is lit")
        with pytest.raises(InvalidInput, match="there is a namespace 'app' already"):
            link_namespace(folder, "app")
        assert mesh.recall("lamp")
        mesh.forget(row["memory_id"])
    link_namespace(folder, "app")
    assert (home / "app").is_symlink()


def test_to_link_it_twice_changes_nothing_and_another_folder_is_refused(app, folder, tmp_path):
    """As long as the first one is there."""
    (tmp_path / "second").mkdir()
    assert link_namespace(folder, "app") == linked_namespaces()[0]
    with pytest.raises(InvalidInput, match="is linked to"):
        link_namespace(tmp_path / "second", "app")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_recalled_from(home, folder):
    """To learn there is refused."""
    (folder / "note.md").write_text("The lamp is lit\n")
    folder.chmod(0o500)
    link_namespace(folder, "app")
    with Mesh("app", "tester", home) as mesh:
        assert mesh.recall("lamp")
        with pytest.raises(VaultUnavailable):
            mesh.learn("another")
    folder.chmod(0o700)


# --- what goes, and what moves -------------------------------------------------------------------------------------


def test_unlinking_removes_no_file(app, folder, home):
    """The folder stays, local memories stay, and both are found again when it is linked once more."""
    app.learn("The lamp is lit")
    app.learn("The key", local_only=True)
    before = tree(folder)
    unlink_namespace("app")
    assert tree(folder) == before and not os.path.lexists(home / "app") and not linked_namespaces()
    with Mesh("app", "tester", home) as mesh:
        assert texts(mesh) == {"The key"}
    link_namespace(folder, "app")
    assert texts(app) == {"The lamp is lit", "The key"}
    with pytest.raises(NotFound, match="not linked"):
        unlink_namespace("elsewhere")


def test_a_folder_that_has_moved_is_missing_and_nothing_counts_as_deleted(app, folder, tmp_path):
    """Until it is linked where it is now; it is listed all the while."""
    app.learn("The lamp is lit")
    shutil.move(folder, tmp_path / "moved")
    for ask in (lambda: app.recall("lamp"), lambda: app.learn("new"), lambda: app.inspect(None)):
        with pytest.raises(VaultUnavailable, match=r"is missing .*mesh link DIR app"):
            ask()
    assert not folder.exists()
    assert "is missing" in linked_namespaces()[0]["problem"] and "is missing" in list_namespaces()[0]["problem"]
    link_namespace(tmp_path / "moved", "app")
    assert app.recall("lamp") and app.refresh().changed == 0


def test_deleting_is_refused_and_renaming_renames_the_link(app, folder, home):
    """The files are the project's, wherever the namespace is called what."""
    app.learn("The lamp is lit")
    with pytest.raises(InvalidInput, match="mesh unlink app"):
        delete_namespace("app")
    assert rename_namespace("app", "second") == 1
    assert linked_namespaces()[0]["namespace"] == "second" and os.listdir(home / ".links") == ["second"]
    with Mesh("second", "tester", home) as mesh:
        assert mesh.recall("lamp") and len(names(folder)) == 1


def test_killed_while_it_is_linked_nothing_is_there_or_all_of_it(home, folder, monkeypatch):
    """A record without a link means nothing, and is replaced when the folder is linked again."""
    with monkeypatch.context() as patch:
        patch.setattr(Path, "symlink_to", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            link_namespace(folder, "app")
    assert list_namespaces() == [] and linked_namespaces() == []
    link_namespace(folder, "app")
    (home / "app").unlink()
    with Mesh("other", "tester", home) as mesh:
        mesh.learn("The lamp is lit")
    rename_namespace("other", "app")
    assert [row["namespace"] for row in list_namespaces()] == ["app"] and linked_namespaces() == []


# --- nothing else is followed --------------------------------------------------------------------------------------


def _secret(tmp_path: Path) -> Path:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "lamp.md").write_text("what nobody may see\n")
    return elsewhere


def _refuses(home: Path, elsewhere: Path) -> None:
    """Nothing is read from there, and nothing is written to it."""
    before = tree(elsewhere)
    with Mesh("app", "tester", home) as mesh:
        for ask in (lambda: mesh.inspect(None), lambda: mesh.learn("written elsewhere")):
            try:
                assert "nobody may see" not in str(ask())
            except MeshError as error:
                assert "nobody may see" not in str(error)
    assert tree(elsewhere) == before


def test_a_link_that_nobody_recorded_is_not_followed(home, tmp_path):
    """It is said of it, wherever namespaces are listed."""
    (home / "app").symlink_to(_secret(tmp_path))
    assert "not followed" in list_namespaces()[0]["problem"]
    _refuses(home, tmp_path / "elsewhere")


def test_a_link_that_was_swapped_is_not_followed(app, folder, home, tmp_path):
    """It leads elsewhere than its record says."""
    app.learn("The lamp is lit")
    (home / "app").unlink()
    (home / "app").symlink_to(_secret(tmp_path))
    with pytest.raises(VaultUnavailable):
        app.recall("see")
    _refuses(home, tmp_path / "elsewhere")


def test_a_link_that_is_swapped_again_and_again_leads_nowhere(app, folder, home, tmp_path):
    """While somebody learns and recalls: not a byte of the other folder is read or changed."""
    elsewhere, ended = _secret(tmp_path), threading.Event()
    before, done = tree(elsewhere), 0

    def swap() -> None:
        while not ended.is_set():
            for leads_to in (elsewhere, folder):
                (tmp_path / "next").symlink_to(leads_to)
                (tmp_path / "next").replace(home / "app")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for number in range(300):
            try:
                app.learn(f"note {number}")
                assert "what nobody may see" not in texts(app)
                done += 1
            except MeshError:
                continue
    finally:
        ended.set()
        thread.join()
    assert tree(elsewhere) == before and len(names(folder)) >= done


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_link_on_the_way_to_the_folder_is_not_followed(app, folder, home, tmp_path, depth):
    """The folder, or one above it, became a link since: what was recorded had none."""
    app.learn("The lamp is lit")
    place = [folder, *folder.parents][depth]
    elsewhere = _secret(tmp_path)
    inner = elsewhere / folder.relative_to(place)
    inner.mkdir(parents=True, exist_ok=True)
    if inner != elsewhere:
        shutil.move(elsewhere / "lamp.md", inner)
    place.rename(tmp_path / "aside")
    place.symlink_to(elsewhere)
    with pytest.raises(VaultUnavailable, match="a link or a file is on the way"):
        app.recall("see")
    _refuses(home, elsewhere)


def test_links_in_the_folder_are_not_followed(app, folder, home, tmp_path):
    """Neither to a file nor to a folder; nor is a file that became one between the look and the read."""
    elsewhere = _secret(tmp_path)
    (folder / "link.md").symlink_to(elsewhere / "lamp.md")
    (folder / "below").symlink_to(elsewhere)
    assert texts(app) == set()
    _refuses(home, elsewhere)
    for parts in (("app", "below"), ("app", "below", "inner")):
        with pytest.raises(OSError):
            Folder.open(home, *parts, create=True)


def test_a_record_that_is_a_link_says_nothing(app, folder, home, tmp_path):
    """Nor does a folder of records that is one."""
    elsewhere = _secret(tmp_path)
    (tmp_path / "record").write_text(str(elsewhere))
    (home / "app").unlink()
    (home / "app").symlink_to(elsewhere)
    (home / ".links" / "app").unlink()
    (home / ".links" / "app").symlink_to(tmp_path / "record")
    _refuses(home, elsewhere)
    (home / ".links").rename(tmp_path / "records")
    (tmp_path / "records" / "app").unlink()
    (tmp_path / "records" / "app").write_text(str(elsewhere))
    (home / ".links").symlink_to(tmp_path / "records")
    _refuses(home, elsewhere)


# --- watching --------------------------------------------------------------------------------------------------------


def test_a_keeper_sees_what_changes_in_the_folder(folder, home):
    """A hand edit is taken in without anybody asking, also where the link came while it ran."""
    seen, there = [], threading.Event()

    def tell(name: str, happened: list) -> None:
        seen.extend((name, one.path) for one in happened)
        there.set()

    with Keeper(Settings(home=home), program="test", tell=tell) as keeper:
        assert keeper.ready.wait(60)
        link_namespace(folder, "app")
        (folder / "note.md").write_text("The lamp is lit\n")
        assert there.wait(60)
        assert holder_of(home, "app").how == POLLING
    assert seen == [("app", "app/note.md")]
