"""What is mounted where, read from the kernel's list."""

from __future__ import annotations

import os
import sys

import pytest

from mesh.mounts import Mount, Mounts, _mounts, can_be_relied_upon
from tests.keeping import mounted, unmounted

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the list is Linux's")
ROOT, HOME, BELOW = Mount("1", "/", "ext4"), Mount("2", "/home", "ext4"), Mount("3", "/home/a b/notes", "nfs4")


@pytest.mark.parametrize(
    ("folder", "found"),
    [("/srv", [ROOT]), ("/home/a b", [HOME, BELOW]), ("/home/a b/notes", [BELOW]), ("/home/a bc", [HOME])],
)
def test_a_folder_lies_on_the_nearest_mount_above_it(tmp_path, folder, found):
    """Names are compared whole, and what is mounted below counts as well."""
    assert _mounts(type(tmp_path)(folder), [ROOT, HOME, BELOW]) == found


def test_of_several_at_one_place_the_last_one_counts(tmp_path):
    """It covers the others."""
    over = Mount("4", "/home", "nfs4")
    assert _mounts(type(tmp_path)("/home/me"), [ROOT, HOME, over]) == [over]


def test_what_is_mounted_is_noticed(tmp_path):
    """Also at a place with a space in its name; not what is mounted elsewhere."""
    here, elsewhere = tmp_path / "a home", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    relied_upon = can_be_relied_upon(here)
    mounts = Mounts(here)
    mounted("-t", "tmpfs", "none", elsewhere)
    assert not mounts.changed
    unmounted(elsewhere)
    (here / "below").mkdir()
    mounted("-t", "ramfs", "none", here / "below")
    try:
        assert mounts.changed
        assert not can_be_relied_upon(here)
        assert can_be_relied_upon(here, below=False) is relied_upon
    finally:
        unmounted(here / "below")
        mounts.close()


def test_it_takes_one_descriptor_and_gives_it_back(tmp_path):
    """However often it is asked."""
    before = len(os.listdir("/proc/self/fd"))
    mounts = Mounts(tmp_path)
    assert not any(mounts.changed for _ in range(100))
    assert len(os.listdir("/proc/self/fd")) == before + 1
    mounts.close()
    assert len(os.listdir("/proc/self/fd")) == before
