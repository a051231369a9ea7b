"""What a branch, or a work tree, would bring into another: any repository of git, read and never written to."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..codec import MAX_FILE_BYTES
from ..errors import InvalidInput
from ..git.objects import Entry, Objects, blob_name
from ..git.repository import Repository
from ..git.running import Git

MOST_BYTES = 16 * MAX_FILE_BYTES  # of a file that is looked at; a larger one is no note


@dataclass(frozen=True, slots=True)
class Proposal:
    """Trees by path in the folder that is checked. `prefix`: that folder in the repository, "" or ending with "/".

    `base`: the commit to compare with. `head`: the commit that is proposed; None for the work tree. `before`: what the
    proposal started from, their merge base. `there`: the base's own.
    """

    repository: Repository
    prefix: str
    base: str
    head: str | None
    before: Mapping[str, Entry]
    there: Mapping[str, Entry]
    now: Mapping[str, Entry]

    @property
    def changed(self) -> list[str]:
        return [path for path, one in self.now.items() if path not in self.before or self.before[path].id != one.id]

    @property
    def gone(self) -> list[str]:
        return [path for path in self.before if path not in self.now]

    def blobs(self) -> Objects:
        """A context manager that reads what is proposed."""
        if self.head:
            return self.repository.blobs()
        return _OnDisk(self.repository.git, self.repository.folder, self.prefix, self.now)


def proposal(folder: Path, base: str, head: str = "") -> Proposal:
    """What the work tree of a folder, or the commit `head`, changes since it left `base`. Raises `InvalidInput`."""
    repository, prefix = _repository_of(folder)
    old = _commit(repository, base, "--base")
    new = _commit(repository, head, "--head") if head else repository.commit_of("HEAD")
    bases = repository.merge_bases(old, new) if new else []
    trees = [_tree(repository, commit, prefix) for commit in (bases[0] if bases else old, old)]
    now = _tree(repository, new, prefix) if head and new else _on_disk(repository, prefix, trees[0])
    return Proposal(repository, prefix, old, new if head else None, trees[0], trees[1], now)


def _repository_of(folder: Path) -> tuple[Repository, str]:
    """The repository around a folder, and the folder's place in it.

    Its settings are obeyed as far as any git there would: who checks a repository has it, and nothing is run.
    """
    folder = Path(os.path.realpath(folder))
    if not folder.is_dir():
        raise InvalidInput("there is no such folder", place=str(folder), remedy="Name one of a repository")
    for top in (folder, *folder.parents):
        if os.path.lexists(top / ".git"):
            found = Repository(top)
            if (top / ".git").is_file():  # of a linked work tree, or a submodule
                said = (top / ".git").read_text("utf-8", "replace").removeprefix("gitdir:").strip()
                found.git = Git(top / said, top)
            place = folder.relative_to(top).as_posix()
            return found, "" if place == "." else f"{place}/"
    raise InvalidInput("it is in no repository of git", place=str(folder), remedy="Run it in a clone")


def _commit(repository: Repository, name: str, option: str) -> str:
    found = repository.commit_of(name)
    if found is None:
        remedy = "Fetch it first; in CI, check out the whole history (fetch-depth: 0)"
        raise InvalidInput(f"there is no commit {name!r} here", place=option, remedy=remedy)
    return found


def _tree(repository: Repository, commit: str, prefix: str) -> dict[str, Entry]:
    return {path: one for entry in repository.entries(commit) for path, one in _below(entry, prefix)}


def _below(entry: Entry, prefix: str) -> Iterator[tuple[str, Entry]]:
    start = os.fsencode(prefix)
    if entry.path.startswith(start):
        path = entry.path[len(start) :]
        yield os.fsdecode(path), Entry(path, entry.mode, entry.kind, entry.id, entry.size)


def _on_disk(repository: Repository, prefix: str, before: Mapping[str, Entry]) -> dict[str, Entry]:
    """The files that git would see there: tracked ones, and new ones that it does not ignore."""
    there = ["--", prefix] if prefix else []
    said = repository.git.run("ls-files", "--cached", "--others", "--exclude-standard", "-z", *there)
    like = next((one.id for one in before.values()), "")
    found = {}
    for raw in dict.fromkeys(said.split(b"\0")[:-1]):
        path = raw[len(os.fsencode(prefix)) :]
        if entry := _entry(repository.folder / os.fsdecode(raw), path, like, before.get(os.fsdecode(path))):
            found[os.fsdecode(path)] = entry
    return found


def _entry(file: Path, path: bytes, like: str, before: Entry | None) -> Entry | None:
    try:
        about = os.lstat(file)
        if stat.S_ISDIR(about.st_mode):
            return before or Entry(path, "160000", "commit", "", -1)  # a submodule: its own commits are not looked at
        if stat.S_ISLNK(about.st_mode):
            return Entry(path, "120000", "blob", blob_name(os.fsencode(file.readlink()), like), about.st_size)
        if not stat.S_ISREG(about.st_mode):
            return None
        data = file.read_bytes() if about.st_size <= MOST_BYTES else b""
    except FileNotFoundError:
        return None  # removed, and not committed yet
    return Entry(path, "100644", "blob", blob_name(data, like), about.st_size)


class _OnDisk(Objects):
    """The bytes of files, by the names that git would give them."""

    def __init__(self, git: Git, top: Path, prefix: str, now: Mapping[str, Entry]) -> None:
        super().__init__(git)
        self._files = {one.id: top / f"{prefix}{path}" for path, one in now.items() if one.mode == "100644"}

    def read(self, blob: str, limit: int) -> bytes:
        with self._files[blob].open("rb") as file:
            return file.read(limit)
