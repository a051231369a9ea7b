"""A sync looks only at what changed, and whatever changed it sees."""

from __future__ import annotations

import os
import re
import time

import pytest
from clones import Clone, ann, bob, git, joins, remote, settle  # noqa: F401

from mesh.sharing import committing

pytestmark = pytest.mark.usefixtures("without_model")


@pytest.fixture
def settled(ann, monkeypatch):
    """Ann's clone with nothing to do, which a sync has seen; and that the next does not look at any file."""
    (ann.folder / "plan.txt").write_text("A file of hers\n")
    git(ann.folder, "add", "plan.txt")
    git(ann.folder, "commit", "--quiet", "-m", "Add the plan")
    ann.sync()
    time.sleep(0.2)  # so that stamps are old enough to tell; git status wrote the index
    ann.mesh.sync()
    with monkeypatch.context() as patched:
        patched.setattr(committing, "edits", None)
        ann.mesh.sync()
    return ann


def lamp(clone):
    return clone.mesh.file_of(clone.lamp)


def same_stamp_but(path, data):
    """Other bytes under the same size and time, as some editors and archivers leave them."""
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.mark.parametrize("times", [1, 3])
def test_an_edit_of_the_same_size_and_time_is_seen(settled, bob, times):
    """Also one that follows a sync at once, however often."""
    for number in range(times):
        path = lamp(settled)
        same_stamp_but(path, re.sub(rb"is (lit|ou\d)", b"is ou%d" % number, path.read_bytes()))
        assert settled.sync()["pushed"] == [path.name]
    settle(settled, bob)
    assert bob.texts() == {f"The lamp in the hall is ou{times - 1}"}


def test_other_files_that_people_keep_there_are_looked_at(settled, remote):
    """They are in no scan."""
    (settled.folder / "plan.txt").write_text("Another file of hers\n")
    settled.sync()
    assert git(remote, "show", "main:plan.txt") == "Another file of hers\n"


def test_a_new_a_moved_and_a_deleted_memory_are_seen(settled, bob):
    """After a sync that looked at nothing."""
    settled.learn("The door is green")
    lamp(settled).rename(settled.folder / "moved.md")
    settled.sync()
    settle(settled, bob)
    assert (bob.folder / "moved.md").exists() and "The door is green" in bob.texts()
    (settled.folder / "moved.md").unlink()
    settle(settled, bob)
    assert bob.texts() == {"The door is green"}


@pytest.mark.parametrize("damage", [b"", b"{}\n{}", b"\0\0\0", b"not\njson", b"[1]\n[2]", b'{"others": 3}\n{"a": 7}'])
def test_damaged_stamps_do_no_harm(settled, damage):
    """They are made anew."""
    path = settled.home / ".cache/notes/sync.stamps"
    assert path.exists()
    path.write_bytes(damage)
    lamp(settled).write_bytes(lamp(settled).read_bytes().replace(b"is lit", b"is out"))
    assert settled.sync()["pushed"]
    assert settled.texts() == {"The lamp in the hall is out"}


def test_what_stays_back_is_told_each_time(settled):
    """A secret is no reason to look away."""
    (settled.folder / "key.md").write_text("The API token is " + "ghp_" + "9x3Kq7Lm2Vb8Nw4Rt6Yc1Zp5Dg0Hj7Fs2Qa8\n")
    time.sleep(0.2)
    told = [settled.sync()["kept_back"] for _ in range(3)]
    assert [len(one) for one in told] == [1, 1, 1]


def test_a_person_who_moves_the_branch_back_is_heard(settled):
    """HEAD is another, so everything is looked at."""
    settled.learn("The door is green")
    settled.sync()
    git(settled.folder, "reset", "--quiet", "--soft", "HEAD^")
    git(settled.folder, "reset", "--quiet")
    settled.sync()
    assert "The door is green" in settled.texts()
