"""Many files changed at once: each as a whole, none that somebody else changed, and nothing lost."""

from __future__ import annotations

import errno
import os
import sys

import pytest

from mesh import bulk, replacing
from mesh.errors import EditConflict, VaultUnavailable
from mesh.replacing import Change, change_all
from mesh.vault import Vault

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="files are flushed together on Linux only")


@pytest.fixture
def vault(home):
    (home / "notes").mkdir(parents=True)
    for name in "abc":
        (home / f"notes/{name}.md").write_bytes(f"old {name}\n".encode())
    return Vault(home)


def there(vault):
    """Every file of the folder, temporaries as well."""
    return {path.name: path.read_bytes().decode() for path in (vault.home / "notes").rglob("*") if path.is_file()}


def trashed(vault):
    trash = vault.trash("notes")
    return {entry.path: trash.bytes_of(entry).decode() for entry in trash.entries()}


def act(vault, *changes):
    with vault.writing("notes"):
        return change_all(vault, "notes", changes)


REPLACE = Change("notes/a.md", b"old a\n", b"new a\n")
REMOVE = Change("notes/b.md", b"old b\n", None)
CREATE = Change("notes/deep/er/d.md", None, b"new d\n")


def test_files_are_created_replaced_and_removed(vault):
    """What they were is in the trash, and a file keeps its mode."""
    (vault.home / "notes/a.md").chmod(0o640)
    assert act(vault, REPLACE, REMOVE, CREATE) == {}
    assert there(vault) == {"a.md": "new a\n", "c.md": "old c\n", "d.md": "new d\n"}
    assert trashed(vault) == {"notes/a.md": "old a\n", "notes/b.md": "old b\n"}
    assert (vault.home / "notes/a.md").stat().st_mode & 0o777 == 0o640


def test_one_that_cannot_be_changed_does_not_keep_the_others_from_it(vault):
    """A name that is taken, a file in a folder's place, a file that is gone."""
    (vault.home / "notes/deep").write_bytes(b"in the way\n")
    (vault.home / "notes/b.md").unlink()
    failed = act(vault, REMOVE, CREATE, Change("notes/c.md", None, b"mine\n"), REPLACE)
    assert set(failed) == {"notes/b.md", "notes/deep/er/d.md", "notes/c.md"}
    assert there(vault) == {"a.md": "new a\n", "c.md": "old c\n", "deep": "in the way\n"}


@pytest.mark.parametrize("change", [REPLACE, REMOVE, CREATE])
def test_what_an_editor_saves_in_the_last_moment_stays(vault, monkeypatch, change):
    """Between the flush and the change of the names."""
    path = vault.home / change.path
    flush = replacing.flush_file_system

    def saved_after(*arguments):
        flush(*arguments)
        monkeypatch.undo()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"saved\n")

    monkeypatch.setattr(replacing, "flush_file_system", saved_after)
    failed = act(vault, change)
    assert "saved\n" in there(vault).values()
    assert isinstance(failed[change.path], (EditConflict, VaultUnavailable))
    assert not any(name.endswith(".tmp") for name in there(vault))


def test_a_disk_that_cannot_be_flushed_changes_nothing(vault, monkeypatch):
    """It is said, and no temporary is left."""

    def fails(descriptor, flushed):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    before = there(vault)
    monkeypatch.setattr(replacing, "flush_file_system", fails)
    with pytest.raises(VaultUnavailable, match="input/output"):
        act(vault, REPLACE, REMOVE, CREATE)
    assert there(vault) == before


@pytest.mark.parametrize("lacking", ["flush", "exchange"])
def test_a_system_that_cannot_do_it_together_does_it_one_by_one(vault, monkeypatch, lacking):
    """With the same result."""
    if lacking == "flush":
        monkeypatch.setattr(replacing, "TOGETHER", False)
    else:
        monkeypatch.setattr(replacing, "exchange_names", lambda *_: False)
    assert act(vault, REPLACE, REMOVE, CREATE) == {}
    assert there(vault) == {"a.md": "new a\n", "c.md": "old c\n", "d.md": "new d\n"}
    assert trashed(vault) == {"notes/a.md": "old a\n", "notes/b.md": "old b\n"}


def test_all_is_flushed_before_a_name_changes_and_after(vault, monkeypatch):
    """So that a power failure leaves the old or the new bytes under each name."""
    seen = []
    flush = bulk.flush_file_system

    def watched(descriptor, flushed):
        flush(descriptor, flushed)
        seen.append(there(vault)["a.md"])

    monkeypatch.setattr(replacing, "flush_file_system", watched)
    act(vault, REPLACE, CREATE)
    assert seen[0] == "old a\n" and seen[-1] == "new a\n"
