"""Who wrote each line of a memory, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..git import reading
from ..git.reading import Line
from ..memory import Memory
from ..workspace import Workspace
from .changes import Versions, who
from .past import Past


@dataclass(frozen=True, slots=True)
class Blamed:
    """A line of a memory's file. `commit` is None, `who` is "" for one that is not committed yet."""

    number: int
    text: str
    who: str
    when: datetime | None
    commit: str | None


def blame(workspace: Workspace, name: str) -> list[Blamed]:
    """Each line of a memory's file as it is now. Raises `UnknownMemory` and the like, `GitFailed`."""
    past = Past(workspace)
    memory, _ = workspace.find(name)
    data = workspace.vault.bytes_of(memory.path)
    with Versions(past) as versions:
        path = _committed_path(past, versions, memory)
        if path is None:
            lines = [Line(line, None, "", None, "", None) for line in data.removesuffix(b"\n").split(b"\n")]
        else:
            lines = reading.blame(past.repository, path, data)
        return _named(lines, versions)


def _committed_path(past: Past, versions: Versions, memory: Memory) -> str | None:
    """What a memory's file is called in the last commit; None if it is not in it."""
    path, there = past.in_repository(memory.path), reading.memories_in(past.repository, past.head)
    if path in there and versions.of(path, there[path][0]).id == memory.id:
        return path
    renamed = (one for one in there if versions.of(one, there[one][0]).id == memory.id)
    return next(renamed, path if path in there else None)


def _named(lines: list[Line], versions: Versions) -> list[Blamed]:
    authors: dict[tuple[str, str], str] = {}
    for line in lines:
        if line.commit and (line.commit, line.path) not in authors:
            before = versions.of(line.before[1], ":".join(line.before)).memory if line.before else None
            after = versions.of(line.path, f"{line.commit}:{line.path}").memory
            authors[line.commit, line.path] = who(before, after, line.author)
    return [
        Blamed(
            number,
            line.text.decode("utf-8", "replace").removesuffix("\r"),
            authors.get((line.commit or "", line.path), ""),
            line.when,
            line.commit,
        )
        for number, line in enumerate(lines, 1)
    ]
