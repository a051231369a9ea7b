"""Read a repository's history: commits and what each touched, blobs by name, who wrote which line.

Nothing is checked out and no ref moves. Paths are those of memories, in the repository; what is no memory is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ..scan import is_memory
from .objects import Entry, entries
from .repository import Repository
from .running import Git

_PAGE = 1000  # commits that one git tells of
_FORMAT = "%x01%H%x00%P%x00%an%x00%ct%x00%s%x00"
_FIELDS = 5


@dataclass(frozen=True, slots=True)
class Commit:
    """`when`: when it was committed. `author`: the name alone."""

    id: str
    parents: tuple[str, ...]
    author: str
    when: datetime
    subject: str


@dataclass(frozen=True, slots=True)
class Touched:
    """A memory's path that a commit changed: its blob before and after, None where there was none."""

    path: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file, and the commit that wrote it; None for one that is in no commit yet.

    `path`, `before`: what the file is called in that commit, in the whole repository; the commit before it and the name
    there, if it had one.
    """

    text: bytes
    commit: str | None
    author: str
    when: datetime | None
    path: str
    before: tuple[str, str] | None


# --- commits -----------------------------------------------------------------------------------------------------


def commits(repository: Repository, start: str, *not_in: str) -> Iterator[tuple[Commit, list[Touched]]]:
    """All commits that `start` has and `not_in` have not, the latest first, and none before one that is based on it.

    A merge touches what it has in common with none of its parents.
    """
    done = 0
    while True:
        page = list(_page(repository, [start, *(f"^{name}" for name in not_in)], done))
        yield from page
        done += len(page)
        if len(page) < _PAGE:
            return


def _page(repository: Repository, names: list[str], skip: int) -> Iterator[tuple[Commit, list[Touched]]]:
    how = ("--date-order", "-c", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-textconv")
    page = (f"--skip={skip}", f"--max-count={_PAGE}", f"--format={_FORMAT}", "--root")
    part = ("--full-history", "--no-follow") if repository.prefix else ()
    paths = [repository.prefix.rstrip("/")] if repository.prefix else []
    said = repository.git.run("log", *how, *page, *part, "--end-of-options", *names, "--", *paths)
    words, prefix = iter(said.split(b"\0")), repository.prefix.encode("utf-8", "surrogateescape")
    found: tuple[Commit, list[Touched]] | None = None
    for word in words:
        word = word.lstrip(b"\n")
        if word.startswith(b"\x01"):
            if found:
                yield found
            found = _commit(word[1:], [next(words) for _ in range(_FIELDS - 1)]), []
        elif word.startswith(b":") and found and (touched := _touched(word, next(words).removeprefix(prefix))):
            found[1].append(touched)
    if found:
        yield found


def _commit(name: bytes, fields: list[bytes]) -> Commit:
    parents, author, when, subject = (field.decode("utf-8", "replace") for field in fields)
    return Commit(name.decode(), tuple(parents.split()), author, datetime.fromtimestamp(int(when), UTC), subject)


def _touched(about: bytes, path: bytes) -> Touched | None:
    """What `--raw` says of a path: `:mode mode id id status`, with more colons, modes and ids in a merge."""
    sides = len(about) - len(about.lstrip(b":")) + 1
    fields = about.lstrip(b":").decode("ascii").split()
    modes, ids = fields[:sides], fields[sides : 2 * sides]
    blobs = [one if mode.startswith("100") else None for mode, one in zip(modes, ids, strict=True)]
    name = path.decode("utf-8", "surrogateescape")
    return Touched(name, blobs[0], blobs[-1]) if is_memory(name) and blobs[0] != blobs[-1] else None


def first_parents(repository: Repository, start: str, *not_in: str) -> list[str]:
    """The commits of a branch, the latest first, without those of the branches that were merged into it."""
    names = [start, *(f"^{name}" for name in not_in)]
    return repository.git.run("rev-list", "--first-parent", "--end-of-options", *names, "--").decode().split()


def last_before(repository: Repository, start: str, moment: datetime) -> str | None:
    """What a branch was at that time; None if it had no commit yet."""
    before = f"--before={int(moment.timestamp())} +0000"
    said = repository.git.run("rev-list", "--first-parent", "--max-count=1", before, "--end-of-options", start, "--")
    return said.decode().strip() or None


def described(repository: Repository, commit: str) -> Commit:
    """What a commit says of itself."""
    said = repository.git.run("log", "--max-count=1", f"--format={_FORMAT}", "--end-of-options", commit, "--")
    name, *fields = said.lstrip(b"\x01").split(b"\0")[:_FIELDS]
    return _commit(name, fields)


# --- files -------------------------------------------------------------------------------------------------------


def memories_in(repository: Repository, commit: str) -> dict[str, tuple[str, int]]:
    """The path of every memory in a commit's tree: its blob and its size in bytes."""
    return _memories(repository.entries(commit))


def memories_of(git: Git, tree: str) -> dict[str, tuple[str, int]]:
    """The same of a tree."""
    return _memories(entries(git, tree))


def _memories(listed: Iterable[Entry]) -> dict[str, tuple[str, int]]:
    return {
        path: (entry.id, entry.size)
        for entry in listed
        if entry.mode.startswith("100") and is_memory(path := entry.path.decode("utf-8", "surrogateescape"))
    }


# --- lines -------------------------------------------------------------------------------------------------------


def blame(repository: Repository, path: str, data: bytes) -> list[Line]:
    """Who wrote each line of `data`, which is the file that has this path in the last commit, perhaps edited since."""
    file = f"{repository.prefix}{path}"
    said = repository.git.run("blame", "--line-porcelain", "--no-textconv", "--contents", "-", "--", file, given=data)
    lines, about, name = list[Line](), dict[str, str](), ""
    for line in said.split(b"\n"):
        if line.startswith(b"\t"):
            lines.append(_line(name, about, line[1:]))
            about, name = {}, ""
        elif not name:
            name = line.partition(b" ")[0].decode("ascii")
        else:
            key, _, value = line.decode("utf-8", "surrogateescape").partition(" ")
            about[key] = value
    return lines


def _line(commit: str, about: dict[str, str], text: bytes) -> Line:
    if not commit.strip("0"):
        return Line(text, None, "", None, about.get("filename", ""), None)
    when = datetime.fromtimestamp(int(about["committer-time"]), UTC)
    before = about["previous"].split(" ", 1) if "previous" in about else None
    author = about["author"].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return Line(text, commit, author, when, about["filename"], (before[0], before[1]) if before else None)
