"""What is checked out, without running git: for receipts, which every recall has."""

from __future__ import annotations

import os
from pathlib import Path

from .. import links


def head_of(home: Path, namespace: str) -> str | None:
    """The commit that a namespace is at; of one that is linked, that of the repository it lies in."""
    return head(top_for(home, namespace))


def top_for(home: Path, namespace: str) -> Path:
    """The folder that has the `.git` of a namespace, if there is one: its own, or, if it is linked, one above."""
    folder = links.target(home, namespace)
    return home / namespace if folder is None else top_of(folder) or folder


def top_of(folder: Path) -> Path | None:
    """The top of the repository that a folder lies in, found by its `.git`; None if it lies in none."""
    return next((place for place in (folder, *folder.parents) if os.path.lexists(place / ".git")), None)


def head(folder: Path) -> str | None:
    """The commit that is checked out in `folder`, read from its `.git` without running git; None if there is none."""
    try:
        git = git_dir(folder)
        text = (git / "HEAD").read_text("utf-8").strip()
        if not text.startswith("ref: "):
            return text or None
        return _resolved(common_dir(git), text.removeprefix("ref: "))
    except (OSError, UnicodeDecodeError):
        return None


def git_dir(folder: Path) -> Path:
    """Where `.git` is, or where it leads to as a file. Raises `OSError`, `UnicodeDecodeError`."""
    git = folder / ".git"
    return folder / git.read_text("utf-8").removeprefix("gitdir:").strip() if git.is_file() else git


def common_dir(git: Path) -> Path:
    """Where a repository keeps what all its work trees share: settings, hooks, branches. Raises as `git_dir` does."""
    place = git / "commondir"
    return git / place.read_text("utf-8").strip() if place.exists() else git


def _resolved(git: Path, ref: str) -> str | None:
    loose = git / ref
    if loose.is_file():
        return loose.read_text("utf-8").strip()
    packed = git / "packed-refs"
    if packed.is_file():
        for line in packed.read_text("utf-8").splitlines():
            if line.endswith(" " + ref):
                return line.split(" ")[0]
    return None
