"""kill -9 at every step of a sync, and other people in between: nothing is lost, and the next sync puts all right."""

from __future__ import annotations

import os
import shutil

import pytest
from clones import Clone, ann, bob, git, joins, killed_at, remote, settle  # noqa: F401

import mesh as library
from mesh.errors import GitFailed, RemoteRefused

pytestmark = pytest.mark.usefixtures("without_model")
EVERY = int(os.environ.get("MESH_SYNC_KILLS", "53"))  # 1: at every step, some minutes


@pytest.fixture
def world(ann, bob, tmp_path):
    """Both have learned, changed and forgotten, one memory in two ways; ann has pushed hers."""
    door, window = ann.learn("The door is green"), ann.learn("The window is open")
    settle(ann, bob)
    ann.mesh.update(ann.lamp, "The lamp is broken")
    ann.mesh.forget(door)
    ann.learn("Ann was here")
    ann.sync()
    bob.mesh.update(ann.lamp, "The lamp is dark")
    bob.mesh.update(window, tags=["glass"])
    bob.learn("Bob was here")
    ann.mesh.close()
    bob.mesh.close()
    return tmp_path


@pytest.fixture(params=["one by one", "together"])
def written(request, monkeypatch):
    """What arrives is flushed file by file where it is little, else all at once."""
    monkeypatch.setattr("mesh.sharing.applying._TOGETHER", 1 if request.param == "together" else 1000)


EXPECTED = {"The lamp is broken", "The lamp is dark", "The window is open", "Ann was here", "Bob was here"}


def restored(world, pattern):
    for name in ("ann", "bob", "remote.git"):
        shutil.rmtree(world / name)
        shutil.copytree(pattern / name, world / name, symlinks=True)
    return Clone(world / "ann"), Clone(world / "bob")


def saved(world, tmp_path_factory):
    pattern = tmp_path_factory.mktemp("pattern")
    for name in ("ann", "bob", "remote.git"):
        shutil.copytree(world / name, pattern / name, symlinks=True)
    return pattern


def test_a_sync_that_is_killed_at_any_step_is_finished_by_the_next(world, written, tmp_path_factory):
    """Both clones come to the same, with all that anybody wrote."""
    pattern = saved(world, tmp_path_factory)
    step = 1
    while True:
        first, second = restored(world, pattern)
        if not killed_at(step, second.mesh.sync):
            break
        second.sync()
        first.sync()
        assert first.files() == second.files() and first.texts() == EXPECTED, step
        first.mesh.close()
        second.mesh.close()
        step += EVERY
    assert step > 50


@pytest.mark.parametrize("verb", ["clone", "share"])
def test_a_clone_or_share_that_is_killed_can_be_done_again(ann, remote, tmp_path, verb):
    """With the same command, at any step."""
    step = 3
    while True:
        home, other = tmp_path / f"home{step}", tmp_path / f"other{step}.git"
        git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", other.name)
        Clone(tmp_path / f"home{step}").learn("The door is green") if verb == "share" else None

        def act(home=home, other=other):
            if verb == "clone":
                library.clone_namespace(str(remote), "notes", home=home)
            else:
                library.share_namespace("notes", str(other), home=home)

        if not killed_at(step, act):
            break
        if verb == "share" or "notes" not in library.shared_namespaces(home=home) or _is_marked(home):
            act()
        Clone(home).sync()
        assert Clone(home).texts() == {"The door is green" if verb == "share" else "The lamp in the hall is lit"}, step
        step += EVERY
    assert step > 20


def _is_marked(home) -> bool:
    return not (home / "notes/.git/refs/heads/main").exists() or (home / "notes/.git/mesh-clone").exists()


def test_an_edit_after_a_kill_is_merged_with_what_had_half_arrived(world, written, tmp_path_factory):
    """Neither the edit nor what arrived under that path is lost."""
    pattern = saved(world, tmp_path_factory)
    step = 4
    while True:
        first, second = restored(world, pattern)
        if not killed_at(step, second.mesh.sync):
            break
        file = next(second.folder.glob("the-window*.md"))
        file.write_bytes(file.read_bytes().replace(b"is open", b"is shut"))
        second.mesh.learn("And later")
        second.sync()
        first.sync()
        assert first.files() == second.files(), step
        assert first.texts() == EXPECTED - {"The window is open"} | {"The window is shut", "And later"}, step
        step += 2 * EVERY
    assert step > 50


def test_a_memory_that_is_edited_while_another_version_arrives_keeps_both(ann, bob, monkeypatch):
    """The edit is made after the commit, and before the file is written: it is merged in the same sync or the next."""
    from mesh.sharing import syncing

    ann.mesh.update(ann.lamp, "The lamp is broken")
    ann.sync()
    merged = syncing._bring_in

    def edited_before(shared, *rest):
        file = bob.mesh.file_of(ann.lamp)
        file.write_bytes(file.read_bytes().replace(b"is lit", b"is dark"))
        monkeypatch.undo()
        merged(shared, *rest)

    monkeypatch.setattr(syncing, "_bring_in", edited_before)
    bob.mesh.sync()
    settle(bob, ann)
    assert ann.texts() == {"The lamp is broken", "The lamp in the hall is dark"}
    assert len(ann.mesh.conflicts()) == 1


def test_a_push_that_comes_too_late_is_made_again(ann, bob, monkeypatch):
    """After a merge with what came before it."""
    from mesh.sharing import syncing

    pushed = syncing.push

    def push_after_bob(*arguments, **options):
        monkeypatch.undo()
        bob.learn("Bob was first")
        bob.sync()
        pushed(*arguments, **options)

    monkeypatch.setattr(syncing, "push", push_after_bob)
    ann.learn("Ann was second")
    ann.sync()
    settle(bob, ann)
    assert {"Bob was first", "Ann was second"} < ann.texts()


def test_a_lock_that_a_killed_git_left_does_not_stop_syncs_for_ever(ann):
    """One on a ref that only syncs write is removed when it is old; of any other it is told what to do."""
    ann.learn("The door is green")
    lock = ann.folder / ".git/refs/mesh/applying.lock"
    lock.touch()
    with pytest.raises(GitFailed, match=r"\.lock.*if none is running, remove"):
        ann.mesh.sync()
    os.utime(lock, (0, 0))
    assert len(ann.sync()["pushed"]) == 1
    ann.learn("The window is open")
    lock = ann.folder / ".git/refs/heads/main.lock"
    lock.touch()
    with pytest.raises(GitFailed, match=r"\.lock.*if none is running, remove"):
        ann.mesh.sync()
    lock.unlink()
    assert len(ann.sync()["pushed"]) == 1


def test_a_refused_remote_changes_nothing(ann, bob, remote):
    """No file, no commit of ours."""
    git(bob.folder, "rm", "--quiet", "-r", ".")
    git(bob.folder, "commit", "--quiet", "-m", "Clean up")
    git(bob.folder, "push", "--quiet", str(remote), "main")
    before = ann.files(), git(ann.folder, "rev-parse", "HEAD")
    with pytest.raises(RemoteRefused):
        ann.mesh.sync()
    assert before == (ann.files(), git(ann.folder, "rev-parse", "HEAD"))
