"""Many files changed at once, each as `Vault.rewrite` and `Vault.discard` would, made durable together.

All new bytes are written under temporary names, and the file system is flushed once; then each file is exchanged with
its temporary, and what it was is looked at and goes to the trash; then the file system is flushed again. So at any
moment a name holds the old or the new bytes as a whole. Who is killed in between has to find out what was done.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import PurePosixPath
from typing import NamedTuple

from .bulk import TOGETHER, flush_file_system
from .errors import EditConflict, MeshError, VaultUnavailable
from .files import Folder, failures_reported, sha256
from .renames import exchange_names
from .vault import Vault, rename_beside


class Change(NamedTuple):
    """`path`: in the home. `old`, `new`: its bytes; None for no file."""

    path: str
    old: bytes | None
    new: bytes | None


def change(vault: Vault, namespace: str, one: Change) -> None:
    """One file, durably. The caller holds the write lock. Raises `EditConflict`, `VaultUnavailable`."""
    if one.old is None and one.new is not None:
        *parts, name = PurePosixPath(one.path).parts
        with failures_reported(one.path), Folder.open(vault.home, *parts, create=True) as folder:
            folder.create(name, one.new)
    elif one.old is not None and one.new is not None:
        vault.rewrite(namespace, one.path, sha256(one.old), one.new)
    elif one.old is not None:
        vault.discard(namespace, one.path, sha256(one.old))


def change_all(vault: Vault, namespace: str, changes: Sequence[Change]) -> dict[str, MeshError]:
    """All of them, durable on return; by path those that failed. The caller holds the write lock.

    Raises `VaultUnavailable` if the disk cannot be flushed; then any of them may have been done.
    """
    with _Batch(vault, namespace) as batch:
        if not TOGETHER:
            return batch.each(changes)
        for one in changes:
            with batch.failures_kept(one.path):
                batch.stage(one)
        batch.flush()
        for one in changes:
            if one.path not in batch.failed:
                with batch.failures_kept(one.path):
                    batch.put(one)
        batch.flush()
    vault.trash(namespace).empty_old()
    return batch.failed


class _Batch:
    """The folders that are open, and the temporaries in them. A context manager: these are removed at the end."""

    def __init__(self, vault: Vault, namespace: str) -> None:
        self._vault, self._namespace, self._trash = vault, namespace, vault.trash(namespace)
        self._stack = ExitStack()
        self._folders: dict[str, Folder] = {}
        self._temporaries: dict[str, str] = {}
        self.failed: dict[str, MeshError] = {}

    def __enter__(self) -> _Batch:
        return self

    def __exit__(self, *_: object) -> None:
        for path, temporary in self._temporaries.items():
            with suppress(OSError):
                os.unlink(temporary, dir_fd=self._folder(path).descriptor)
        self._stack.close()

    @contextmanager
    def failures_kept(self, path: str) -> Iterator[None]:
        try:
            with failures_reported(path):
                yield
        except (EditConflict, VaultUnavailable) as error:
            self.failed[path] = error

    def each(self, changes: Sequence[Change]) -> dict[str, MeshError]:
        """One after the other, where nothing can be flushed together."""
        for one in changes:
            with self.failures_kept(one.path):
                change(self._vault, self._namespace, one)
        return self.failed

    def stage(self, one: Change) -> None:
        """Write the new bytes beside the file, with its mode."""
        if one.new is None:
            return
        folder = self._folder(one.path, create=one.old is None)
        mode: int | None = None  # the usual one there
        if one.old is not None:
            mode = stat.S_IMODE(os.stat(_name(one.path), dir_fd=folder.descriptor, follow_symlinks=False).st_mode)
        self._temporaries[one.path] = folder.write_temporary(one.new, mode, flush=False)

    def put(self, one: Change) -> None:
        folder, name = self._folder(one.path), _name(one.path)
        if one.new is None:
            self._discard(one, folder)
        elif one.old is None:
            folder.put_in_place(self._temporaries[one.path], name)
            del self._temporaries[one.path]
        else:
            self._exchange(one, folder, one.old)

    def _exchange(self, one: Change, folder: Folder, old: bytes) -> None:
        """What is displaced goes to the trash; or, if somebody saved since it was read, beside the new file."""
        temporary = self._temporaries.pop(one.path)  # from now on it may be theirs, which nobody removes
        try:
            exchanged = exchange_names(folder.descriptor, temporary, _name(one.path))
        except OSError:
            self._temporaries[one.path] = temporary
            raise
        if not exchanged:  # this file system cannot
            self._temporaries[one.path] = temporary
            change(self._vault, self._namespace, one)
        elif folder.read(temporary) == old:
            self._trash.take_in(one.path, folder, old, name=temporary, flush=False)
        else:
            kept = rename_beside(folder, temporary, _name(one.path))
            raise EditConflict(one.path, f"{one.path.rpartition('/')[0]}/{kept}")

    def _discard(self, one: Change, folder: Folder) -> None:
        assert one.old is not None
        entry = self._trash.take_in(one.path, folder, one.old, flush=False)
        if self._trash.bytes_of(entry) != one.old:  # somebody saved in the last moment: theirs stays
            self._trash.put_back(entry)
            raise EditConflict(one.path)

    def flush(self) -> None:
        """Everything that was written so far. Raises `VaultUnavailable`."""
        flushed: set[int] = set()
        with failures_reported(str(self._vault.home)), Folder.open(self._vault.home) as home:
            for folder in (home, *self._folders.values()):  # the trash lies on the same as the home, or cannot be used
                if folder.descriptor is not None:
                    flush_file_system(folder.descriptor, flushed)

    def _folder(self, path: str, *, create: bool = False) -> Folder:
        above = path.rpartition("/")[0]
        if above not in self._folders:
            folder = Folder.open(self._vault.home, *above.split("/"), create=create)
            self._folders[above] = self._stack.enter_context(folder)
        return self._folders[above]


def _name(path: str) -> str:
    return path.rpartition("/")[2]
