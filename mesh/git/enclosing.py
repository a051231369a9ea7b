"""The repository of a namespace, also where that is a folder of a larger one: a project that a person linked.

Paths are those in the folder, here and for whoever reads by `reading`: the rest of the project is not seen. Its own
settings are trusted as far as git is called at all (see `running`), since the person works in it and has linked it;
but only if it is theirs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from .. import links
from ..errors import GitFailed
from .heads import top_of
from .objects import Entry, entries
from .repository import Person, Repository
from .running import Git


class Part(Repository):
    """A folder of a larger repository."""

    def __init__(self, top: Path, folder: Path) -> None:
        super().__init__(top)
        self.git = Git(_git_dir(top), top)
        self.prefix = f"{folder.relative_to(top).as_posix()}/"

    def entries(self, commit: str) -> Iterator[Entry]:
        """Those of the folder; none where the commit has no such folder."""
        return entries(self.git, self.tree_of(commit))

    def tree_of(self, commit: str) -> str:
        """The tree of the folder."""
        name = f"{commit}:{self.prefix.rstrip('/')}"
        said = self.git.run("rev-parse", "--verify", "--quiet", "--end-of-options", name, accepted=(0, 1, 128))
        found = said.decode().strip()
        if found and self.git.run("cat-file", "-t", found) == b"tree\n":
            return found
        return self.git.run("hash-object", "-t", "tree", "--stdin").decode().strip()  # an empty one

    def commit(
        self, files: Mapping[str, bytes | None], message: str, *, author: Person, committer: Person, when: datetime
    ) -> str | None:
        """As any, with the rest of the project as it is, and with what is staged of it left staged."""
        theirs = {f"{self.prefix}{path}": data for path, data in files.items()}
        return super().commit(theirs, message, author=author, committer=committer, when=when)


def of_namespace(home: Path, namespace: str) -> Repository | None:
    """The repository that a namespace is, or, if it is linked, lies in; None if there is none.

    Raises `GitFailed` for one that is not to be touched.
    """
    if part := project(home, namespace):
        return part
    folder = links.place(home, namespace)
    links.require(home, namespace)
    is_one = not folder.is_symlink() and (folder / ".git").exists()
    return Repository.open(folder) if is_one else None


def project(home: Path, namespace: str) -> Part | None:
    """The larger repository that a linked namespace is a folder of; None if it is none of that kind."""
    folder = links.target(home, namespace)
    top = top_of(folder) if folder else None
    if folder is None or top is None or top == folder:
        return None
    links.require(home, namespace)
    for place in (top / ".git", found := _git_dir(top)):
        if os.name == "posix" and place.stat(follow_symlinks=False).st_uid != os.geteuid():
            raise GitFailed(
                "it belongs to somebody else, whose settings could run programs as you",
                place=str(found),
                remedy="Run this as its owner",
            )
    return Part(top, folder)


def _git_dir(top: Path) -> Path:
    """Where a repository really is: of a linked work tree or a submodule `.git` is a file that says it."""
    place = top / ".git"
    if place.is_dir() and not place.is_symlink():
        return place
    try:
        said = place.read_text("utf-8") if place.is_file() and not place.is_symlink() else ""
        found = (top / said.removeprefix("gitdir:").strip()).resolve(strict=True)
    except (OSError, UnicodeDecodeError) as error:
        raise GitFailed("this .git leads nowhere", place=str(place), remedy="Look at it with: git status") from error
    if not said.startswith("gitdir:") or not found.is_dir():
        raise GitFailed("there is a .git that is none", place=str(place), remedy="Look at it with: git status")
    return found
