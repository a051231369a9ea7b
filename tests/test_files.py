"""Changes to single files: whole or not at all, never over another's, never through a link."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import VaultUnavailable
from mesh.files import Folder, failures_reported, read_regular
from mesh.renames import exchange_names

posix_only = pytest.mark.skipif(os.name != "posix", reason="modes and links as POSIX has them")


def swap(folder, name, data):
    """Exchange, and take what was displaced; None where the platform cannot exchange."""
    temporary = folder.exchange(name, data)
    if temporary is None:
        return None
    displaced = folder.read(temporary)
    folder.remove(temporary)
    return displaced


@pytest.fixture
def folder(tmp_path):
    with Folder.open(tmp_path, "notes", create=True) as opened:
        yield opened


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


# --- creating and replacing ----------------------------------------------------------------------------------


def test_create_never_replaces(folder):
    """A name that is taken is an error, and the file that has it stays as it was."""
    folder.create("a.md", b"first")
    with pytest.raises(FileExistsError):
        folder.create("a.md", b"second")
    assert folder.read("a.md") == b"first"
    assert os.listdir(folder.path) == ["a.md"]


def test_create_does_not_write_through_a_link(folder, tmp_path):
    """A link that has the name is in the way, even if it leads nowhere."""
    (folder.path / "a.md").symlink_to(tmp_path / "outside.md")
    with pytest.raises(FileExistsError):
        folder.create("a.md", b"text")
    assert not (tmp_path / "outside.md").exists()


@settings(max_examples=25)
@given(data=st.binary(max_size=200_000))
def test_what_is_created_and_swapped_is_what_is_read(tmp_path_factory, data):
    """Every byte arrives, whatever the bytes are, and so do the displaced ones."""
    with Folder.open(tmp_path_factory.mktemp("bytes"), "notes", create=True) as folder:
        folder.create("a.md", data)
        assert folder.read("a.md") == data
        assert swap(folder, "a.md", b"other") in {data, None}
        assert folder.read("a.md") == b"other"


def test_swap_returns_what_it_displaced(folder):
    """The caller gets the bytes that stood there at the moment of the exchange."""
    folder.create("a.md", b"old")
    if not exchange_names(folder._fd, "a.md", "a.md"):
        pytest.skip("this file system cannot exchange two names")
    (folder.path / "a.md").write_bytes(b"saved by an editor")
    assert swap(folder, "a.md", b"new") == b"saved by an editor"
    assert folder.read("a.md") == b"new"
    assert os.listdir(folder.path) == ["a.md"]


def test_swap_needs_a_file_to_displace(folder):
    """A file that is gone is not made again, and nothing is left behind."""
    with pytest.raises(FileNotFoundError):
        swap(folder, "gone.md", b"text")
    assert os.listdir(folder.path) == []


@posix_only
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_swap_keeps_the_mode(folder, mode):
    """Who may read a file is the user's decision, also after a change."""
    folder.create("a.md", b"old")
    (folder.path / "a.md").chmod(mode)
    swap(folder, "a.md", b"new")
    assert mode_of(folder.path / "a.md") == mode


@posix_only
def test_what_is_made_is_for_the_owner_only(tmp_path):
    """Folders are 0700 and files 0600 under any umask."""
    before = os.umask(0)
    try:
        with Folder.open(tmp_path / "root", "a", "b", create=True) as folder:
            folder.create("c.md", b"text")
    finally:
        os.umask(before)
    made = list((tmp_path / "root").rglob("*"))
    assert {path.name: mode_of(path) for path in [tmp_path / "root", *made]} == {
        "root": 0o700,
        "a": 0o700,
        "b": 0o700,
        "c.md": 0o600,
    }


def test_a_failed_write_leaves_no_temporary(folder):
    """What cannot be put in place is taken away again."""
    (folder.path / "a.md").mkdir()
    with pytest.raises(OSError):
        folder.create("a.md", b"text")
    assert os.listdir(folder.path) == ["a.md"]


@posix_only
@pytest.mark.parametrize("act", ["create", "exchange"])
def test_a_short_write_is_an_error_and_the_old_text_stays(tmp_path, act):
    """A file size limit stops the write half-way: the old file is intact, and no half of the new one is left."""
    with Folder.open(tmp_path, "notes", create=True) as folder:
        folder.create("old.md", b"old")
    script = f"""
import resource, signal, sys
from pathlib import Path
from mesh.files import Folder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
with Folder.open(Path(sys.argv[1]), "notes") as folder:
    try:
        folder.{act}({"'new.md'" if act == "create" else "'old.md'"}, b"x" * 9000)
    except OSError as error:
        print(error.errno)
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) == errno.EFBIG
    assert os.listdir(tmp_path / "notes") == ["old.md"]
    assert (tmp_path / "notes" / "old.md").read_bytes() == b"old"


# --- moving --------------------------------------------------------------------------------------------------


def test_move_never_replaces(folder, tmp_path):
    """A name that is taken in the other folder is an error, and both files stay."""
    with Folder.open(tmp_path, "other", create=True) as other:
        folder.create("a.md", b"mine")
        other.create("a.md", b"theirs")
        with pytest.raises(FileExistsError):
            folder.move("a.md", other, "a.md")
        assert (folder.read("a.md"), other.read("a.md")) == (b"mine", b"theirs")


def test_move_leaves_one_file(folder, tmp_path):
    """After a move the text is at the new place, and only there."""
    with Folder.open(tmp_path, "other", create=True) as other:
        folder.create("a.md", b"mine")
        folder.move("a.md", other, "b.md")
        assert other.read("b.md") == b"mine"
        assert not folder.exists("a.md")


def test_move_crosses_file_systems(folder, another_file_system):
    """Where two folders cannot share a file, it is copied, and then removed here."""
    with Folder.open(another_file_system, "other", create=True) as other:
        folder.create("a.md", b"mine")
        folder.move("a.md", other, "b.md")
        assert other.read("b.md") == b"mine"
        assert not folder.exists("a.md")


@pytest.fixture
def another_file_system(tmp_path):
    shared_memory = "/dev/shm"
    if not os.path.isdir(shared_memory) or os.stat(shared_memory).st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here (/dev/shm)")
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory(dir=shared_memory) as found:
        yield Path(found)


# --- links ---------------------------------------------------------------------------------------------------


@posix_only
@pytest.mark.parametrize("parts", [("linked",), ("real", "linked"), ("linked", "below")])
@pytest.mark.parametrize("create", [False, True])
def test_a_linked_folder_is_refused(tmp_path, parts, create):
    """No part of a path below the root may be a link, wherever it leads."""
    outside = tmp_path / "outside"
    (outside / "below").mkdir(parents=True)
    (tmp_path / "root" / "real").mkdir(parents=True)
    (tmp_path / "root" / "linked").symlink_to(outside)
    (tmp_path / "root" / "real" / "linked").symlink_to(outside)
    with pytest.raises(OSError) as caught:
        Folder.open(tmp_path / "root", *parts, create=create)
    assert caught.value.errno in {errno.ELOOP, errno.ENOTDIR}
    assert os.listdir(outside) == ["below"]


def test_only_regular_files_are_read(folder, tmp_path):
    """A folder, a link and a pipe are errors; the pipe does not make the reader wait."""
    (tmp_path / "target").write_bytes(b"secret")
    (folder.path / "folder").mkdir()
    (folder.path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(folder.path / "pipe")
    for name in ("folder", "link", "pipe", "missing"):
        with pytest.raises(OSError):
            folder.read(name)
        with pytest.raises(OSError):
            read_regular(folder.path / name)


_RACER = """
import os, sys
place, aside, outside = sys.argv[1:]
print("ready", flush=True)
while True:
    os.rename(place, aside)
    os.symlink(outside, place)
    os.unlink(place)
    os.rename(aside, place)
"""


@posix_only
def test_a_symlink_racer_leads_no_write_outside(tmp_path):
    """While another process keeps swapping the folder for a link, every change lands in the folder or nowhere."""
    place, aside, outside = (tmp_path / "root" / "sub", tmp_path / "root" / "aside", tmp_path / "outside")
    place.mkdir(parents=True)
    outside.mkdir()
    (outside / "a.md").write_bytes(b"not ours")
    (place / "a.md").write_bytes(b"ours")
    racer = subprocess.Popen([sys.executable, "-c", _RACER, place, aside, outside], stdout=subprocess.PIPE)
    try:
        racer.stdout.readline()
        tried = done = 0
        end = time.monotonic() + 60
        while (done < 200 and time.monotonic() < end) or tried < 500:
            tried += 1
            try:
                with Folder.open(tmp_path / "root", "sub") as folder:
                    folder.create(f"{tried}.md", b"new")
                    swap(folder, "a.md", b"ours again")
                    folder.move(f"{tried}.md", folder, f"{tried}-moved.md")
                    assert folder.read("a.md").startswith(b"ours")
                    done += 1
            except OSError:
                continue  # a link, or nothing, stood there just then
    finally:
        racer.send_signal(signal.SIGKILL)
        racer.wait()
        racer.stdout.close()
    assert os.listdir(outside) == ["a.md"]
    assert (outside / "a.md").read_bytes() == b"not ours"
    assert done, "the racer never let a change through"


# --- errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES, errno.ELOOP, errno.EMFILE])
def test_a_failure_names_place_cause_and_remedy(number):
    """Whatever the system reports, the person reads where it happened, what it is and what to do."""
    with pytest.raises(VaultUnavailable) as caught, failures_reported("shared/x.md"):
        raise OSError(number, os.strerror(number))
    error = caught.value
    assert error.place == "shared/x.md"
    assert error.cause == os.strerror(number).lower()
    assert error.remedy
    assert isinstance(error.__cause__, OSError)
