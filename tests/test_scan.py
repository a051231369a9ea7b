"""What counts as a memory file, decided by names alone."""

from __future__ import annotations

import os
import shutil
import unicodedata

import pytest

from mesh.scan import folders, scan

MEMORIES = ["a.md", "B.MD", "c.Md", "deep/er/d.md", "with space.md", "u\u0308mlaut.md", "x.conflict-20260101T000000.md"]
IGNORED = [
    ".hidden.md",
    ".git/config.md",
    ".mesh-0123456789abcdef.tmp",
    ".#emacs.md",
    "#emacs.md#",
    "backup.md~",
    ".a.md.swp",
    "4913",
    ".DS_Store",
    "notes.txt",
    "md",
    "a.md.orig",
]


def write(root, name, text="text\n"):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_exactly_the_memories_are_found(tmp_path):
    """Every `.md` file at any depth, and no temporary, hidden or foreign file."""
    for name in MEMORIES + IGNORED:
        write(tmp_path / "shared", name)
    found = scan(tmp_path, ("shared",))
    assert sorted(found.files) == sorted(f"shared/{name}" for name in MEMORIES)
    assert not found.links and not found.unreadable


def test_a_stamp_is_what_stat_says(tmp_path):
    """Size, both times and the inode, so that no write within a tick of one of them is missed."""
    there = write(tmp_path / "shared", "a.md").stat()
    stamp = (there.st_size, there.st_mtime_ns, there.st_ctime_ns, there.st_ino)
    assert scan(tmp_path, ("shared",)).files == {"shared/a.md": stamp}


def test_links_are_listed_and_not_followed(tmp_path):
    """A linked file and a linked folder are named as links; a loop of links does no harm."""
    write(tmp_path / "outside", "secret.md")
    write(tmp_path / "shared", "a.md")
    (tmp_path / "shared" / "file.md").symlink_to(tmp_path / "outside" / "secret.md")
    (tmp_path / "shared" / "folder").symlink_to(tmp_path / "outside")
    (tmp_path / "shared" / "loop").symlink_to(tmp_path / "shared")
    found = scan(tmp_path, ("shared",))
    assert list(found.files) == ["shared/a.md"]
    assert sorted(found.links) == ["shared/file.md", "shared/folder", "shared/loop"]


@pytest.mark.parametrize("root", ["shared", "_local/shared"])
def test_a_linked_namespace_is_not_followed(tmp_path, root):
    """A namespace's folder must be a real folder, and so must `_local`."""
    write(tmp_path / "outside" / "shared", "secret.md")
    link = tmp_path / root.split("/")[0]
    link.symlink_to(tmp_path / "outside" / "shared" if root == "shared" else tmp_path / "outside")
    assert not scan(tmp_path, (root,)).files


def test_a_pipe_named_like_a_memory_is_none(tmp_path):
    """Only regular files are memories; nothing is opened, so nothing waits."""
    (tmp_path / "shared").mkdir()
    os.mkfifo(tmp_path / "shared" / "pipe.md")
    (tmp_path / "shared" / "folder.md").mkdir()
    assert not scan(tmp_path, ("shared",)).files


def test_a_root_that_does_not_exist_is_empty(tmp_path):
    """No folder, no files, no error."""
    found = scan(tmp_path, ("shared", "_local/shared"))
    assert not found.files and not found.unreadable


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_is_reported(tmp_path):
    """It is named with the cause, and the other folders are listed."""
    write(tmp_path / "shared", "closed/a.md")
    write(tmp_path / "shared", "open/a.md")
    (tmp_path / "shared" / "closed").chmod(0)
    try:
        found = scan(tmp_path, ("shared",))
    finally:
        (tmp_path / "shared" / "closed").chmod(0o700)
    assert list(found.files) == ["shared/open/a.md"]
    assert list(found.unreadable) == ["shared/closed/"]


def test_names_are_taken_as_they_stand(tmp_path):
    """A decomposed name stays decomposed: the file must be found again by it."""
    name = unicodedata.normalize("NFD", "Zürich.md")
    write(tmp_path / "shared", name)
    (found,) = scan(tmp_path, ("shared",)).files
    assert (tmp_path / found).read_text() == "text\n"


def test_scanning_changes_nothing(tmp_path):
    """No file is opened: even the access times stay."""
    path = write(tmp_path / "shared", "a.md")
    os.utime(path, ns=(1, 1))
    before = path.stat()
    scan(tmp_path, ("shared",))
    assert path.stat() == before


def test_a_deep_tree_is_walked(tmp_path):
    """A hundred folders deep is no recursion limit."""
    write(tmp_path / "shared", "d/" * 100 + "a.md")
    assert len(scan(tmp_path, ("shared",)).files) == 1
    shutil.rmtree(tmp_path / "shared")


def test_folders_leave_links_out(tmp_path):
    """Only real folders are listed, and none in a folder that does not exist."""
    (tmp_path / "real").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert folders(tmp_path) == ["real"]
    assert folders(tmp_path / "missing") == []
