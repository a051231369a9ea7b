"""Look at all that a push would send: every file, its name, every message and author; also what git committed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from ..codec import MAX_FILE_BYTES
from ..errors import GitFailed, MayNotLeave
from ..git.objects import Objects
from ..git.running import Git
from ..memory import Problem
from ..purging.record import Record
from . import leaks
from .leaves import text_of
from .repository import Shared

MOST_TOLD = 50
_MOST_FOLLOWED = 10  # of which it is said with which commit they came
_LIST_BYTES = 1 << 30
_STRUCTURE = re.compile(r"(?:tree|parent|object|type|gpgsig(?:-sha256)?) ")  # headers that hold no words of people


class Sent(NamedTuple):
    """An object that the remote does not have. `path`: the first one of it; "" for a commit or a tag."""

    name: str
    kind: str
    size: int
    path: str


def check(shared: Shared, commit: str, known: str | None) -> None:
    """Raise `MayNotLeave` if anything that the remote does not have, up to `known`, may not go out."""
    problems = found(shared.git, [commit], [known] if known else [])
    if problems:
        raise _refusal(shared, problems, known)


def _refusal(shared: Shared, problems: Sequence[Problem], known: str | None) -> MayNotLeave:
    places = [f"{one.path}:{one.line}" if one.line else one.path for one in problems]
    reasons = [f"{place}: {one.cause}" for place, one in zip(places, problems, strict=True)]
    since = known[:12] if known else "--root"
    return MayNotLeave(
        shared.place,
        reasons,
        f"{problems[0].remedy}; or take it out of your commits (git rebase -i {since}), and sync again",
    )


def found(git: Git, tips: Sequence[str], known: Sequence[str]) -> list[Problem]:
    """Why what `tips` have and `known` have not may not be sent; at most `MOST_TOLD` reasons."""
    objects = sent(git, tips, known)
    pairs = list(islice(leaking(git, objects), MOST_TOLD)) if objects else []
    blobs = list(dict.fromkeys(one.name for one, _ in pairs if one.kind == "blob"))[:_MOST_FOLLOWED]
    came_with = {name: _came_with(git, name, tips, known) for name in blobs}
    return [replace(why, cause=why.cause + came_with.get(one.name, "")) for one, why in pairs]


def _came_with(git: Git, blob: str, tips: Sequence[str], known: Sequence[str]) -> str:
    """Which commit has put this there, in words; "" if that was a merge."""
    only = (f"--find-object={blob}", "--diff-filter=AM", "--max-count=1", "--no-renames")
    said = git.run("log", "--format=%h", *only, *tips, *(f"^{name}" for name in known), "--").decode().strip()
    return f", in commit {said}" if said else ""


def leaking(git: Git, objects: Sequence[Sent]) -> Iterator[tuple[Sent, Problem]]:
    """What of these may not leave, and why."""
    allowed, purged = leaks.allowed_here(git), Record.of(git.git_dir).blobs
    with Objects(git) as blobs:
        for one in objects:
            if one.name in purged:
                yield one, Problem(one.path, 0, "purged", "it was purged", "Take it out: mesh forget --purge-history")
                continue
            yield from [(one, why) for why in _leaks_of(one, blobs, allowed)]


def _leaks_of(one: Sent, blobs: Objects, allowed: Collection[str]) -> Iterator[Problem]:
    if one.kind == "blob" and one.size > MAX_FILE_BYTES:
        yield from leaks.in_pieces(one.path, blobs.pieces(one.name, leaks.PIECE), allowed)
    elif one.kind == "blob":
        yield from leaks.in_file(one.path, b"".join(blobs.pieces(one.name)), allowed)
    elif one.size > MAX_FILE_BYTES:
        yield from leaks.in_pieces(f"the {one.kind} {one.name[:12]}", blobs.pieces(one.name, leaks.PIECE), allowed)
    else:
        people, message = _words(b"".join(blobs.pieces(one.name)).decode("utf-8", "replace"))
        place = f"the {one.kind} {one.name[:12]}"
        yield from leaks.in_text(f"{place}, its author", people, allowed)
        yield from leaks.in_text(f"{place}, its message", message, allowed)


def _words(text: str) -> tuple[str, str]:
    """What people wrote in a commit or a tag: its headers, without what names objects or signs, and its message."""
    headers, _, message = text.partition("\n\n")
    lines = re.sub(r"\n ", "\x00", headers).split("\n")
    return "\n".join(line.replace("\x00", "\n") for line in lines if not _STRUCTURE.match(line)), message


def sent(git: Git, tips: Sequence[str], known: Sequence[str]) -> list[Sent]:
    """Every blob, commit and tag that `tips` have and `known` have not."""
    given = "".join([*(f"{name}\n" for name in tips), *(f"^{name}\n" for name in known)]).encode()
    listed = git.run("rev-list", "--objects", "--stdin", given=given, limit=_LIST_BYTES)
    paths = {}
    for line in listed.splitlines():
        name, _, path = line.partition(b" ")
        paths[name.decode("ascii")] = text_of(path)
    return [one for one in sized(git, paths) if one.kind != "tree"] if paths else []


def sized(git: Git, paths: dict[str, str]) -> Iterator[Sent]:
    """Objects with their kinds and sizes, by their names. Raises `GitFailed` for one that is not here."""
    given = "".join(f"{name}\n" for name in paths).encode()
    said = git.run("cat-file", "--batch-check", given=given, limit=_LIST_BYTES)
    for line in said.decode("ascii").splitlines():
        name, kind, *size = line.split(" ")
        if not size:
            reason = f"the object {name[:12]} ({paths[name] or 'a commit'}) is not here, so nobody can look at it"
            raise GitFailed(reason, place=str(git.git_dir), remedy="Fetch all of the history: git fetch --refetch")
        yield Sent(name, kind, int(size[0]), paths[name] if kind == "blob" else "")
