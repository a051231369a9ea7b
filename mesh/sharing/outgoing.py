"""Look at every blob that a push would send: also what people committed with plain git."""

from __future__ import annotations

from ..codec import MAX_FILE_BYTES
from ..errors import MayNotLeave
from ..memory import Problem
from ..purging.record import Record
from .folder import judged
from .leaves import text_of
from .repository import Shared

_LIMIT = 16 * MAX_FILE_BYTES  # what is larger is no note; it is looked at up to here


def check(shared: Shared, commit: str, known: str | None) -> None:
    """Raise `MayNotLeave` if a blob that the remote does not have, up to `known`, may not go out."""
    problems, purged = [], Record.of(shared.git.git_dir).blobs
    with shared.repository.blobs() as blobs:
        for name, path, size in _outgoing(shared, commit, known):
            if name in purged:
                problems.append(Problem(path, 0, "purged", "it was purged", "Take it out: mesh forget --purge-history"))
            if name in purged or size > _LIMIT:
                continue
            _, problem = judged(path, blobs.read(name, _LIMIT))
            if problem and _is_leak(problem):
                problems.append(problem)
    if problems:
        raise _refusal(shared, problems, known)


def _refusal(shared: Shared, problems: list[Problem], known: str | None) -> MayNotLeave:
    places = [f"{one.path}:{one.line}" if one.line else one.path for one in problems]
    reasons = [f"{place} in a commit of yours: {one.cause}" for place, one in zip(places, problems, strict=True)]
    since = known[:12] if known else "--root"
    remedy = problems[0].remedy if problems[0].key != "local_only" else "Take local_only out, if others may see it"
    return MayNotLeave(
        shared.place, reasons, f"{remedy}; or take it out of your commits (git rebase -i {since}), and sync again"
    )


def _is_leak(problem: Problem) -> bool:
    """What cannot be read, or has an odd name, harms nobody: whoever receives it leaves it out."""
    return problem.key in ("local_only", "purged") or "secret" in problem.cause


def _outgoing(shared: Shared, commit: str, known: str | None) -> list[tuple[str, str, int]]:
    """Name, path and size of every blob that the remote does not have."""
    without = [f"^{known}"] if known else []
    listed = shared.git.run("rev-list", "--objects", commit, *without, "--")
    paths = {}
    for line in listed.splitlines():
        name, _, path = line.partition(b" ")
        paths[name.decode("ascii")] = text_of(path)
    given = "".join(f"{name}\n" for name in paths).encode()
    if not given:
        return []
    said = shared.git.run("cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", given=given)
    found = [line.split(" ") for line in said.decode("ascii").splitlines()]
    return [(name, paths[name], int(size)) for name, kind, size in found if kind == "blob"]
