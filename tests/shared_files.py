"""What clones and remotes hold, to be compared: files, words, commits, and all that can be had back."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

from clones import Clone, git

from mesh.git.inspection import inspect
from mesh.git.repository import Repository


class Plain:
    """A folder like a clone's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder


def files(clone: Clone | Plain) -> dict[str, bytes]:
    found = {path.relative_to(clone.folder): path for path in clone.folder.rglob("*.md")}
    return {str(name): path.read_bytes() for name, path in found.items() if name.parts[0] != ".git"}


def words(files: dict[str, bytes]) -> Counter[str]:
    """The words of all files, and of their names, each as often as it stands there."""
    text = " ".join(f"{name} {data.decode('utf-8', 'replace')}" for name, data in files.items())
    plain = "".join(c if c.isalnum() else " " for c in text)
    return Counter(word for word in plain.split() if word[0] == "w" and word[-1] == "x" and word[1:-1].isdigit())


def in_commit(remote: Path) -> dict[str, bytes]:
    names = git(remote, "ls-tree", "-r", "-z", "--name-only", "main").split("\0")[:-1]
    return {name: git(remote, "show", f"main:{name}").encode() for name in names}


def readable(clone: Clone) -> set[str]:
    """The paths of the last commit that may be in folders."""
    repository = Repository.open(clone.folder)
    with repository.blobs() as blobs:
        return set(inspect(repository.entries("HEAD"), blobs).accepted)


def stored(folder: Path) -> str:
    """All that a home or a repository has: its files, its trash, and every object of its repository."""
    parts = []
    repositories = [folder / "HEAD"] if (folder / "HEAD").exists() else list(folder.glob("**/.git/HEAD"))
    for head in repositories:
        said = subprocess.run(
            ["git", f"--git-dir={head.parent}", "cat-file", "--batch-all-objects", "--batch"],
            capture_output=True,
            check=True,
        )
        parts.append(said.stdout)
    for path in folder.rglob("*"):
        if path.is_file() and ".git" not in path.parts and ".cache" not in path.parts and path.suffix != ".git":
            parts.append(path.name.encode() + path.read_bytes())
    return b" ".join(parts).decode("utf-8", "replace")
