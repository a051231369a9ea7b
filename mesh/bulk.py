"""Many new files at once, made durable together: to flush each by itself would take most of the time.

First all are written under temporary names, then the file system is flushed once, then each gets its name. So after
a crash at any point a file of a final name is whole, and what else is there is a temporary that `mesh doctor` knows.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .files import Folder

# Linux can flush a whole file system by one call. Elsewhere each file is flushed when it is written.
TOGETHER = sys.platform == "linux"


@dataclass(frozen=True, slots=True)
class NewFile:
    """`folder`: below the root, with `/`. `names`: those it may have, in this order."""

    folder: str
    names: Iterable[str]
    data: bytes


def create_all(root: Path, files: Sequence[NewFile]) -> list[str]:
    """Create all files, durable on return, each under the first free one of its names; give their paths.

    Raises `OSError`, with some of them created; `FileExistsError` if none of a file's names is free.
    """
    with _staged(root, files) as temporaries:
        paths: dict[int, str] = {}
        flushed: set[int] = set()
        for folder, numbers in _by_folder(files).items():
            with Folder.open(root, *folder.split("/")) as opened:
                if TOGETHER and opened.descriptor is not None:
                    flush_file_system(opened.descriptor, flushed)
                for number in numbers:
                    paths[number] = f"{folder}/{_named(opened, temporaries[number], files[number].names)}"
                    del temporaries[number]
                opened.sync()
    return [paths[number] for number in range(len(files))]


@contextmanager
def _staged(root: Path, files: Sequence[NewFile]) -> Iterator[dict[int, str]]:
    """The temporary names of the files, by their numbers; those still there at the end are removed."""
    temporaries: dict[int, str] = {}
    folders = _by_folder(files)
    try:
        for folder, numbers in folders.items():
            with Folder.open(root, *folder.split("/"), create=True) as opened:
                for number in numbers:
                    temporaries[number] = opened.write_temporary(files[number].data, flush=not TOGETHER)
        yield temporaries
    finally:
        for folder, numbers in folders.items() if temporaries else ():
            with suppress(OSError), Folder.open(root, *folder.split("/")) as opened:
                for number in temporaries.keys() & numbers:
                    with suppress(OSError):  # interrupted just after it got its name, it is gone
                        opened.remove(temporaries[number])


def flush_file_system(descriptor: int, flushed: set[int]) -> None:
    """Flush the whole file system that an open folder lies on, unless it is among `flushed`. Raises `OSError`."""
    device = os.fstat(descriptor).st_dev
    if device in flushed:
        return
    if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    flushed.add(device)


def _by_folder(files: Sequence[NewFile]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for number, file in enumerate(files):
        found.setdefault(file.folder, []).append(number)
    return found


def _named(folder: Folder, temporary: str, names: Iterable[str]) -> str:
    """Give a temporary the first free name."""
    for name in names:
        try:
            folder.put_in_place(temporary, name)
        except FileExistsError:
            continue
        return name
    raise FileExistsError(errno.EEXIST, "all its names are taken", str(folder.path))
