"""Check what a pull request would bring in, as `mesh sync` would look at it: for CI, without a home.

Problems are what must not be merged, or is worth a warning; besides, what is new is compared with what the base has.
For that the memories of both are put into a home of their own, which is deleted, or kept for its vectors.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from .. import codec, inputs, secrets
from ..errors import InvalidInput, MalformedMemory
from ..git.inspection import Inspection, inspect, shown
from ..memory import Problem
from ..scan import is_memory
from ..settings import Settings
from ..workspace import Workspace
from .arrivals import Compared, Row, compared
from .leaves import unfit
from .proposal import MOST_BYTES, Proposal, proposal

_ALL = 1 << 40
_MADE_BY_CHECK = ".mesh-check"
_LOCAL_ONLY = re.compile(rb"(?m)^local_only\s*:")


@dataclass(slots=True)
class Checked:
    """Paths are those in the repository. `serious`: what must not be merged; `warnings`: what one should know."""

    proposal: Proposal
    new: list[str]
    changed: list[str]
    gone: list[str]
    serious: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    compared: Compared = field(default_factory=Compared)

    def as_dict(self) -> dict[str, Any]:
        row: dict[str, Any] = {"folder": self.proposal.prefix.rstrip("/") or ".", "base": self.proposal.base}
        row |= {"head": self.proposal.head, "new": self.new, "changed": self.changed, "gone": self.gone}
        problems = [(True, one) for one in self.serious] + [(False, one) for one in self.warnings]
        return row | {"problems": [asdict(one) | {"serious": it} for it, one in problems]} | asdict(self.compared)


def check(settings: Settings, folder: Path, base: str, head: str = "", cache: Path | None = None) -> Checked:
    """What the work tree of a folder, or the commit `head`, would bring into `base`.

    `cache`: a folder outside the repository to keep vectors in. Raises `InvalidInput`, `GitFailed`.
    """
    found = proposal(folder, base, head)
    if cache is not None:
        _refuse_cache(cache, found.repository.folder)
    changed = found.changed
    memories = [path for path in changed if is_memory(path)]
    before, gone = found.before, [path for path in found.gone if is_memory(path)]
    result = Checked(found, [p for p in memories if p not in before], [p for p in memories if p in before], gone)
    with found.blobs() as blobs:
        inspected = inspect(found.now.values(), blobs, {path: one.id for path, one in before.items()})
        texts = {path: blobs.read(found.now[path].id, MOST_BYTES) for path in changed if _is_file(found, path)}
    _judge(found, inspected, texts, result)
    arrived = {path: texts[path] for path in memories if path in inspected.accepted and path in texts}
    yours = dict(_kept(found))
    _find_repeated_ids(arrived, yours, result)
    with _home(cache) as home:
        result.compared = _compared(settings, home, folder, arrived, yours)
    _in_repository(found.prefix, result)
    return result


def _is_file(found: Proposal, path: str) -> bool:
    return found.now[path].mode.startswith("100") and found.now[path].size <= MOST_BYTES


def _kept(found: Proposal) -> Iterator[tuple[str, bytes]]:
    """The base's memories that the proposal leaves as they are."""
    touched = {*found.changed, *found.gone}
    with found.repository.blobs() as blobs:
        for path, one in found.there.items():
            fits = one.mode.startswith("100") and one.size <= codec.MAX_FILE_BYTES
            if fits and path not in touched and is_memory(path) and not unfit(path):
                yield path, blobs.read(one.id, codec.MAX_FILE_BYTES)


# --- problems ------------------------------------------------------------------------------------------------------


def _judge(found: Proposal, inspected: Inspection, texts: dict[str, bytes], result: Checked) -> None:
    result.serious += inspected.refused
    changed = {shown(found.now[path].path): path for path in found.changed}
    for one in inspected.left_out:
        path = changed.get(one.path)
        if path is None:
            if any(other.startswith(f"{one.path}/") for other in changed):
                result.serious.append(one)  # a folder that is a repository
        elif is_memory(path):
            result.serious.append(_with_line(one, texts.get(path, b"")))
        else:
            result.warnings.append(one)
    for path, data in texts.items():
        if is_memory(path) and (accepted := inspected.accepted.get(path)) and accepted.memory:
            result.warnings += accepted.memory.problems
        result.serious += _secrets(path, data)


def _with_line(problem: Problem, data: bytes) -> Problem:
    """The same, with the line where it says local_only."""
    if problem.line or "local_only" not in problem.cause or not (match := _LOCAL_ONLY.search(data)):
        return problem
    line = data.count(b"\n", 0, match.start()) + 1
    remedy = "Take that line out, if others may see it; else take the file out of the branch's commits"
    return Problem(problem.path, line, "local_only", "it says local_only", remedy)


def _secrets(path: str, data: bytes) -> Iterator[Problem]:
    for one in secrets.in_file(data, path):
        remedy = f"Take it out, and make a new one; or, if it is none: {secrets.ALLOW_KEY}: [{one.fingerprint}]"
        yield Problem(path, one.line, "", f"it looks like a secret ({one.kind}: {one.excerpt})", remedy)


def _find_repeated_ids(arrived: dict[str, bytes], yours: dict[str, bytes], result: Checked) -> None:
    """Ids that stand in two files, one of which is new here."""
    known = dict[str, str]()
    for files in (yours, arrived):
        for path, memory_id in _ids(files):
            other = known.setdefault(memory_id, path)
            if files is arrived and other != path:
                cause = f"its id, {memory_id}, is that of {result.proposal.prefix}{other}"
                remedy = "Take the id out of one of them: mesh doctor --fix ids gives it another"
                result.serious.append(Problem(path, 0, "id", cause, remedy))


def _ids(files: dict[str, bytes]) -> Iterator[tuple[str, str]]:
    for path, data in files.items():
        with suppress(MalformedMemory):
            memory = codec.read(data, path)
            if not memory.derived_id:
                yield path, memory.id.lower()


# --- the comparison ------------------------------------------------------------------------------------------------


def _refuse_cache(cache: Path, top: Path) -> None:
    place = cache.absolute()
    if place.resolve().is_relative_to(top.resolve()):
        raise InvalidInput("it lies in the repository", place="--cache", remedy="Name a folder elsewhere")
    if place.exists() and not (place / _MADE_BY_CHECK).exists() and (not place.is_dir() or any(place.iterdir())):
        raise InvalidInput("there is something in it", place="--cache", remedy="Name a new folder, or an empty one")


@contextmanager
def _home(cache: Path | None) -> Iterator[Path]:
    """A home for the time of the comparison."""
    if cache is not None:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        (cache / _MADE_BY_CHECK).touch()
        yield cache.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="mesh-check-") as folder:
        yield Path(folder)


def _compared(
    settings: Settings, home: Path, folder: Path, arrived: dict[str, bytes], yours: dict[str, bytes]
) -> Compared:
    if not arrived or not yours:
        return Compared()
    namespace = _namespace(folder)
    shutil.rmtree(home / namespace, ignore_errors=True)
    for path, data in {**yours, **arrived}.items():
        file = home / namespace / PurePosixPath(path)
        with suppress(FileExistsError, NotADirectoryError, IsADirectoryError):  # a file where the base has a folder
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.write_bytes(data)
    real = Workspace(settings, namespace)  # asked for its model only
    workspace = real.beside(namespace, home)
    try:
        return compared(workspace, [f"{namespace}/{path}" for path in arrived], most_embedded=_ALL)
    finally:
        workspace.close()
        real.close()


def _namespace(folder: Path) -> str:
    """The folder's name, if a namespace may have it."""
    with suppress(InvalidInput):
        return inputs.namespace(folder.absolute().name)
    return "checked"


def _in_repository(prefix: str, result: Checked) -> None:
    """Let all paths be those in the repository."""
    for paths in (result.new, result.changed, result.gone):
        paths[:] = [f"{prefix}{path}" for path in paths]
    for problems in (result.serious, result.warnings):
        problems[:] = [Problem(f"{prefix}{p.path}", p.line, p.key, p.cause, p.remedy) for p in problems]
    for side in _sides([*result.compared.contradicts, *result.compared.duplicates]):
        side["path"] = f"{prefix}{side['path']}"


def _sides(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        yield row
        yield row["yours"]
