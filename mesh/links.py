"""Namespaces that lie outside of the home: which link is followed, and to where.

    <home>/<namespace>         a symbolic link, made by `mesh link`
    <home>/.links/<namespace>  where it leads: an absolute path in which no part was a link when it was recorded

Only a link that leads where its record says is followed, and nobody follows it by opening it: what is opened is the
recorded folder, part by part from the root, and none of these parts may be a link. Any other link is refused.
"""

from __future__ import annotations

import os
from pathlib import Path

from .errors import VaultUnavailable

FOLDER = ".links"
POSSIBLE = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_FOLDER_ONLY = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_PASS_THROUGH = getattr(os, "O_PATH", os.O_RDONLY)  # a folder on the way need not be readable


def target(home: Path, namespace: str) -> Path | None:
    """Where the link of a namespace leads, whether anything is there or not; None if it has none that was recorded."""
    try:
        leads_to = (home / namespace).readlink()
    except OSError:  # nearly always: it is a folder
        return None
    return leads_to if POSSIBLE and leads_to == _recorded(home, namespace) else None


def _recorded(home: Path, namespace: str) -> Path | None:
    try:
        folder = os.open(home / FOLDER, os.O_RDONLY | _FOLDER_ONLY)
        try:
            file = os.open(namespace, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        finally:
            os.close(folder)
        with os.fdopen(file, "rb") as record:
            return Path(os.fsdecode(record.read()))
    except OSError:
        return None


def place(home: Path, namespace: str) -> Path:
    """The folder that holds a namespace's files: in the home, or where its link leads."""
    return target(home, namespace) or home / namespace


def names(home: Path) -> list[str]:
    """The namespaces that have a link, whether anything is where it leads or not."""
    try:
        recorded = os.listdir(home / FOLDER)
    except OSError:
        return []
    return sorted(name for name in recorded if target(home, name))


def entered(folder: Path) -> int:
    """A descriptor of a recorded folder, opened from the root without following a link. Raises `OSError`."""
    fd = os.open(folder.anchor, _PASS_THROUGH | _FOLDER_ONLY)
    *above, last = folder.parts[1:]
    for part, how in [*((part, _PASS_THROUGH) for part in above), (last, os.O_RDONLY)]:
        try:
            inner = os.open(part, how | _FOLDER_ONLY, dir_fd=fd)
        finally:
            os.close(fd)
        fd = inner
    return fd


def opened(home: Path, namespace: str) -> int | None:
    """A descriptor of the folder that a namespace is linked to; None if it is not. Raises `VaultUnavailable`."""
    folder = target(home, namespace)
    if folder is None:
        return None
    try:
        return entered(folder)
    except OSError as error:
        raise unavailable(home, namespace, folder, error) from error


def is_there(folder: Path) -> bool:
    """Whether a recorded folder can be opened."""
    try:
        os.close(entered(folder))
    except OSError:
        return False
    return True


def require(home: Path, namespace: str) -> None:
    """Raise `VaultUnavailable` if a namespace is linked to a folder that cannot be opened."""
    fd = opened(home, namespace)
    if fd is not None:
        os.close(fd)


def unavailable(home: Path, namespace: str, folder: Path, error: OSError) -> VaultUnavailable:
    """What is said of a namespace whose folder has moved or is not mounted: nothing of it counts as deleted."""
    if isinstance(error, FileNotFoundError):
        cause = f"the folder that it is linked to is missing ({folder})"
    elif isinstance(error, NotADirectoryError):
        cause = f"a link or a file is on the way to the folder that it is linked to ({folder})"
    else:
        cause = f"the folder that it is linked to cannot be opened: {(error.strerror or 'error').lower()} ({folder})"
    return VaultUnavailable(
        cause,
        place=str(home / namespace),
        remedy=f"Bring it back, or say where it is now: mesh link DIR {namespace}; or: mesh unlink {namespace}",
    )
