"""Durable changes to single files, relative to an opened folder.

Every operation goes through a folder that was opened part by part without following links, so that a link swapped
in between cannot lead it elsewhere; `links` has the one exception. A file is written to a temporary name, flushed,
and put in place in one step; the folder is flushed before the operation returns.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import links
from .errors import VaultUnavailable
from .renames import NO_REPLACE, exchange_names, renamed

_HAS_DIR_FD = os.open in os.supports_dir_fd and os.link in os.supports_dir_fd
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_TEMPORARY = ".mesh-"
_NO_FOLDER = {errno.ENOTDIR, errno.ELOOP}  # what the system says of a link that is not to be followed
_REMEDIES = {
    errno.ENOSPC: "Free some space and try again",
    errno.EDQUOT: "Free some of your quota and try again",
    errno.EROFS: "Make it writable, or choose another home with MESH_HOME",
    errno.EACCES: "Check who owns it and its mode",
    errno.EPERM: "Check who owns it and its mode",
    errno.ELOOP: "Symbolic links are not followed here: use a real folder",
    errno.ENOTDIR: "Move the file that is in the way",
    errno.EIO: "The disk reports errors: check it",
    errno.EXDEV: "It must lie on the same file system as the rest of the home",
    errno.EBUSY: "Unmount the disk that is mounted there, or end the program that uses it",
}


@contextmanager
def failures_reported(place: str) -> Iterator[None]:
    """Turn an `OSError` inside into `VaultUnavailable` with the place, the cause and a remedy."""
    try:
        yield
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        remedy = _REMEDIES.get(error.errno or 0, "Check the disk and the folder")
        raise VaultUnavailable(cause, place=place, remedy=remedy) from error


def is_temporary(name: str) -> bool:
    """Whether a file of this name is one that `Folder` was writing."""
    return name.startswith(_TEMPORARY) and name.endswith(".tmp")


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def read_regular(path: str | Path, dir_fd: int | None = None, limit: int = -1) -> bytes:
    """The bytes of a regular file, at most `limit`. Raises `OSError`, also for a link, a pipe or a folder."""
    fd = os.open(path, os.O_RDONLY | _NOFOLLOW | _BINARY | getattr(os, "O_NONBLOCK", 0), dir_fd=dir_fd)
    with os.fdopen(fd, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return file.read(limit)


class Folder:
    """An opened folder. Use as a context manager; every name given to it is a plain file name."""

    def __init__(self, path: Path, fd: int | None, *, linked: bool = False) -> None:
        """`linked`: it lies outside of the home, in a folder that others use: what is made gets their usual modes."""
        self.path, self._fd, self._linked = path, fd, linked

    @classmethod
    def open(cls, root: Path, *parts: str, create: bool = False, flush: bool = True) -> Folder:
        """`root/parts...`, links refused below `root`, but for a namespace that is linked (see `links`).

        With `create`, missing folders are made: 0700 in the home, elsewhere as the umask says; `flush` as in `move`.
        """
        if create and not root.is_dir():
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with cls.open(root.parent) as parent:
                parent.sync()
        path, fd, linked = root, os.open(root, os.O_RDONLY | os.O_DIRECTORY) if _HAS_DIR_FD else None, False
        for number, part in enumerate(parts):
            path = path / part
            try:
                fd = _step_into(path, part, fd, 0o777 if linked else 0o700, create, flush)
            except OSError as error:
                fd = links.opened(root, part) if error.errno in _NO_FOLDER and not number else None
                if fd is None:
                    raise
                linked = True
        return cls(path, fd, linked=linked)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _at(self, name: str) -> str:
        return name if self._fd is not None else str(self.path / name)

    def read(self, name: str, limit: int = -1) -> bytes:
        return read_regular(self._at(name), dir_fd=self._fd, limit=limit)

    def exists(self, name: str) -> bool:
        try:
            os.stat(self._at(name), dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def create(self, name: str, data: bytes) -> None:
        """A new file, durable on return. Raises `FileExistsError` and leaves the other file alone."""
        temporary = self.write_temporary(data)
        try:
            self._put_if_absent(temporary, name)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._at(temporary), dir_fd=self._fd)
        self.sync()

    def exchange(self, name: str, data: bytes) -> str | None:
        """Put `data` in the place of the file `name`, durably; return the name that the displaced file has now.

        That is a temporary name, and the caller's to dispose of: an editor may have saved into the file a moment
        ago, or may still hold it open. None where the platform cannot exchange two names: the file was replaced,
        and what was saved in the last microseconds before is gone.
        """
        mode = stat.S_IMODE(os.stat(self._at(name), dir_fd=self._fd, follow_symlinks=False).st_mode)
        temporary = self.write_temporary(data, mode)
        try:
            exchanged = exchange_names(self._fd, self._at(temporary), self._at(name))
            if not exchanged:
                os.replace(self._at(temporary), self._at(name), src_dir_fd=self._fd, dst_dir_fd=self._fd)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(self._at(temporary), dir_fd=self._fd)
            raise
        self.sync()
        return temporary if exchanged else None

    def move(self, name: str, target: Folder, new_name: str, *, flush: bool = True) -> None:
        """Move a file to another folder, durably if `flush`, never over another file: `FileExistsError`."""
        if not self._rename_if_absent(name, target, new_name):
            self._move_far(name, target, new_name)
        for folder in (target, self) if flush else ():
            folder.sync()

    def _move_far(self, name: str, target: Folder, new_name: str) -> None:
        """To another file system. What somebody saves while it is copied goes along; a crash leaves it in both."""
        data = self.read(name)
        target.create(new_name, data)
        aside = f"{_TEMPORARY}{secrets.token_hex(8)}.tmp"
        os.rename(self._at(name), self._at(aside), src_dir_fd=self._fd, dst_dir_fd=self._fd)
        if self.read(aside) != data:
            self.move_over(aside, target, new_name)
        else:
            os.unlink(self._at(aside), dir_fd=self._fd)

    def move_over(self, name: str, target: Folder, new_name: str) -> None:
        """Move a file over another one, durably."""
        try:
            os.replace(self._at(name), target._at(new_name), src_dir_fd=self._fd, dst_dir_fd=target._fd)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            copy = target.write_temporary(self.read(name))
            os.replace(target._at(copy), target._at(new_name), src_dir_fd=target._fd, dst_dir_fd=target._fd)
            target.sync()
            os.unlink(self._at(name), dir_fd=self._fd)
        target.sync()
        self.sync()

    def move_folder(self, name: str, target: Folder, new_name: str) -> None:
        """Move a folder and all that is in it, in one step, never to another file system; the caller syncs both.

        An empty folder gives way; for anything else in the new place `FileExistsError`.
        """
        with contextlib.suppress(OSError):
            os.rmdir(target._at(new_name), dir_fd=target._fd)
        if not renamed(self._fd, self._at(name), target._fd, target._at(new_name), NO_REPLACE):
            if target.exists(new_name):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target.path / new_name))
            os.rename(self._at(name), target._at(new_name), src_dir_fd=self._fd, dst_dir_fd=target._fd)

    def _rename_if_absent(self, name: str, target: Folder, new_name: str) -> bool:
        """Give a file another name in one step; False if the target is on another file system."""
        try:
            if renamed(self._fd, self._at(name), target._fd, target._at(new_name), NO_REPLACE):
                return True
            os.link(
                self._at(name), target._at(new_name), src_dir_fd=self._fd, dst_dir_fd=target._fd, follow_symlinks=False
            )
            os.unlink(self._at(name), dir_fd=self._fd)
        except OSError as error:
            if error.errno in {errno.EXDEV, errno.EPERM, errno.ENOTSUP}:
                return False
            raise
        return True

    def remove(self, name: str) -> None:
        os.unlink(self._at(name), dir_fd=self._fd)
        self.sync()

    @property
    def descriptor(self) -> int | None:
        """Of the folder; None where the system has none."""
        return self._fd

    def sync(self) -> None:
        """Flush the folder's entries to disk."""
        if self._fd is not None:
            os.fsync(self._fd)

    def write_temporary(self, data: bytes, mode: int | None = None, *, flush: bool = True) -> str:
        """A new file under a temporary name, which is returned; durable if `flush`. `mode`: None for the usual one."""
        if mode is None and not self._linked:
            mode = 0o600
        name = f"{_TEMPORARY}{secrets.token_hex(8)}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _BINARY
        fd = os.open(self._at(name), flags, 0o666 if mode is None else mode, dir_fd=self._fd)
        try:
            with os.fdopen(fd, "wb", buffering=0) as file:
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
                if mode is not None and hasattr(os, "fchmod"):
                    os.fchmod(fd, mode)
                if flush:
                    os.fsync(fd)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(self._at(name), dir_fd=self._fd)
            raise
        return name

    def put_in_place(self, temporary: str, name: str) -> None:
        """Give a temporary its name, to be made durable by `sync`. `FileExistsError` leaves both files alone."""
        if not renamed(self._fd, self._at(temporary), self._fd, self._at(name), NO_REPLACE):
            self._put_if_absent(temporary, name)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._at(temporary), dir_fd=self._fd)

    def _put_if_absent(self, temporary: str, name: str) -> None:
        try:
            os.link(
                self._at(temporary), self._at(name), src_dir_fd=self._fd, dst_dir_fd=self._fd, follow_symlinks=False
            )
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}:
                raise
            # No hard links here: reserve the name, then rename over the reservation, which is ours.
            os.close(os.open(self._at(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self._fd))
            os.replace(self._at(temporary), self._at(name), src_dir_fd=self._fd, dst_dir_fd=self._fd)


def _step_into(path: Path, part: str, fd: int | None, mode: int, create: bool, flush: bool) -> int | None:
    """Open `part` below `fd` (which is closed) without following a link."""
    if fd is None:
        if create:
            path.mkdir(mode=mode, exist_ok=True)
        if path.is_symlink() or not path.is_dir():
            raise OSError(errno.ENOTDIR, "not a folder", str(path))
        return None
    try:
        while True:
            if create:
                try:
                    os.mkdir(part, mode, dir_fd=fd)
                    if flush:
                        os.fsync(fd)
                except FileExistsError:
                    pass  # the usual case: it is there
            try:
                return os.open(part, os.O_RDONLY | os.O_DIRECTORY | _NOFOLLOW, dir_fd=fd)
            except FileNotFoundError:
                if not create:  # otherwise it was there a moment ago: its namespace was just moved away
                    raise
    finally:
        os.close(fd)
