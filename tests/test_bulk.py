"""Many new files at once: each whole under its name, or not there."""

from __future__ import annotations

import os
import stat
import sys

import pytest

from mesh import bulk
from mesh.bulk import NewFile, create_all


@pytest.fixture(params=[True, False], ids=["flushed together", "flushed one by one"])
def _way(request, monkeypatch):
    if request.param and sys.platform != "linux":
        pytest.skip("only Linux flushes a whole file system by one call")
    monkeypatch.setattr(bulk, "TOGETHER", request.param)


pytestmark = pytest.mark.usefixtures("_way")


def left(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_each_gets_the_first_of_its_names_that_is_free(tmp_path):
    """Also where another of them has just taken it; the folders are made, and all is for the owner only."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.md").write_text("old")
    files = [
        NewFile("a", ["one.md", "two.md"], b"1"),
        NewFile("b/c", ["one.md"], b"2"),
        NewFile("a", iter(["two.md", "three.md"]), b"3"),
    ]
    assert create_all(tmp_path, files) == ["a/two.md", "b/c/one.md", "a/three.md"]
    assert left(tmp_path) == {"a/one.md": b"old", "a/two.md": b"1", "b/c/one.md": b"2", "a/three.md": b"3"}
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "b/c/one.md").stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "b/c").stat().st_mode) == 0o700


def test_nothing_is_nothing(tmp_path):
    """Not even a folder."""
    assert create_all(tmp_path, []) == []
    assert not list(tmp_path.iterdir())


def test_where_no_name_is_free_the_others_are_left_alone(tmp_path):
    """An error, and no temporary stays."""
    (tmp_path / "a.md").write_text("old")
    with pytest.raises(FileExistsError):
        create_all(tmp_path, [NewFile("x", ["b.md"], b"1"), NewFile("x", ["b.md"], b"2"), NewFile("x", ["c.md"], b"3")])
    assert left(tmp_path) == {"a.md": b"old", "x/b.md": b"1"}


def test_a_folder_that_cannot_be_made_leaves_nothing(tmp_path):
    """Neither of the files before it nor of those after."""
    (tmp_path / "x").write_text("in the way")
    with pytest.raises(NotADirectoryError):
        create_all(tmp_path, [NewFile("a", ["1.md"], b"1"), NewFile("x/y", ["2.md"], b"2")])
    assert left(tmp_path) == {"x": b"in the way"}
