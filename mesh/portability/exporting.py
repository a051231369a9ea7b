"""Write the memories of a namespace that may leave this machine to a file, a folder or a stream."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from .. import bulk
from ..errors import InvalidInput
from ..files import Folder, failures_reported
from ..memory import iso
from ..missing import refuse_missing_folders
from ..version import __version__
from ..workspace import Workspace
from . import writers
from .shareable import Shareable, Shared

Row = dict[str, Any]

KINDS = ("json", "jsonl", "markdown", "tar.gz")
FORMAT_VERSION = "0.3"  # of the peer's exports, the oldest: what every version of it reads
BATCH_FILES = 256
BATCH_BYTES = 8 << 20

_ENDINGS = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".tar.gz": "tar.gz", ".tgz": "tar.gz"}
_WRITERS = {"json": writers.write_json, "jsonl": writers.write_lines, "tar.gz": writers.write_archive}


def kind_of(name: str) -> str:
    """The kind that a target's name asks for: by its ending; without a known one, and for a folder, Markdown."""
    if not name.endswith(("/", os.sep)) and not Path(name).is_dir():
        for ending, kind in _ENDINGS.items():
            if name.lower().endswith(ending):
                return kind
    return "markdown"


def export(workspace: Workspace, target: Path | IO[bytes], kind: str) -> Row:
    """Write an export, whole or not at all, and tell what is in it and what was left out.

    A file is replaced; a folder must be new or empty. Gives the keys of the export itself without `memories`, and
    `format`, `path` (None for a stream), and `refused`: files that cannot be understood, which stay here. Raises
    `MeshError`, and whatever a stream raises.
    """
    if kind not in KINDS:
        raise InvalidInput(f"{kind!r} is not known", place="format", remedy=f"Use one of: {', '.join(KINDS)}")
    shared, header = _begun(workspace)
    if kind == "markdown":
        if not isinstance(target, Path):
            raise InvalidInput("a folder cannot go there", place="format", remedy="Use tar.gz, json or jsonl")
        _write_folder(target, shared, workspace.vault.home)
    else:
        with _opened(target) as file:
            _WRITERS[kind](file, header, shared)
    told = {
        "format": kind,
        "path": str(target) if isinstance(target, Path) else None,
        "refused": [{"place": one.path, "cause": one.cause, "remedy": one.remedy} for one in shared.refused],
    }
    return header | _counts(shared) | told


def exported(workspace: Workspace) -> Row:
    """An export as a dictionary, under the keys of a JSON file; all of it in memory."""
    shared, header = _begun(workspace)
    memories = [writers.row(one) for one in shared]
    return header | _counts(shared) | {"memories": memories}


def _begun(workspace: Workspace) -> tuple[Shareable, Row]:
    vault, namespace = workspace.vault, workspace.namespace
    vault.require(namespace)
    with workspace.turn:
        workspace.cache.run(lambda: refuse_missing_folders(vault, namespace, workspace.cache))
    header = {
        "mesh_version": FORMAT_VERSION,
        "written_by": f"mesh-memory {__version__}",
        "exported_at": iso(datetime.now(UTC)),
        "namespace": namespace,
    }
    return Shareable(vault, namespace), header


def _counts(shared: Shareable) -> Row:
    return {"memory_count": shared.count, "skipped_local_only": shared.local_only}


# --- a file, or a stream -------------------------------------------------------------------------------------


@contextmanager
def _opened(target: Path | IO[bytes]) -> Iterator[IO[bytes]]:
    """A file to write to, which becomes the target, or is copied to it, when all is written."""
    if isinstance(target, Path):
        if target.is_dir():
            raise InvalidInput("it is a folder", place=str(target), remedy="Give the name of a file")
        with failures_reported(str(target)):
            if target.exists() and not stat.S_ISREG(target.stat().st_mode):  # a pipe, a terminal, /dev/null
                with target.open("wb") as stream, _spooled(stream) as file:
                    yield file
            else:
                with _replacing(target) as file:
                    yield file
    else:
        with _spooled(target) as file:
            yield file


@contextmanager
def _spooled(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        with failures_reported(tempfile.gettempdir()):
            yield file
            file.seek(0)
        shutil.copyfileobj(file, stream)
        stream.flush()


@contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    """A new file beside the target, for its owner only; put in the target's place, durably, if all goes well."""
    _require_folder(target)
    descriptor, temporary = tempfile.mkstemp(prefix=".mesh-", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, target)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise
    with Folder.open(target.parent.resolve()) as folder:
        folder.sync()


def _require_folder(target: Path) -> None:
    if not target.parent.is_dir():
        raise InvalidInput(f"there is no folder {target.parent}", place=str(target), remedy="Make it first")


# --- a folder ------------------------------------------------------------------------------------------------


def _write_folder(target: Path, shared: Shareable, home: Path) -> None:
    """The Markdown files as they are, in a new folder that gets its name when all of them are there."""
    _require_folder(target)
    _refuse_taken(target, home)
    with failures_reported(str(target)):
        temporary = Path(tempfile.mkdtemp(prefix=".mesh-", suffix=".tmp", dir=target.parent))
        try:
            for batch in _batches(shared):
                _create(temporary, batch)
            if os.name == "nt" and target.exists():
                target.rmdir()
            temporary.rename(target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        with Folder.open(target.parent.resolve()) as folder:
            folder.sync()


def _refuse_taken(target: Path, home: Path) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise InvalidInput("something that is no folder is there", place=str(target), remedy="Give another name")
    if target.is_dir() and any(target.iterdir()):
        raise InvalidInput("the folder is not empty", place=str(target), remedy="Give a new one, or an empty one")
    if target.resolve().is_relative_to(home.resolve()):
        raise InvalidInput("it lies inside the home", place=str(target), remedy="Export to a folder outside of it")


def _batches(shared: Iterable[Shared]) -> Iterator[list[Shared]]:
    batch: list[Shared] = []
    size = 0
    for one in shared:
        batch.append(one)
        size += len(one.data)
        if len(batch) == BATCH_FILES or size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _create(folder: Path, batch: list[Shared]) -> None:
    def place(one: Shared) -> tuple[str, str]:
        above, _, name = f"{folder.name}/{one.path}".rpartition("/")
        return above, name

    files = [bulk.NewFile(above, [name], one.data) for one in batch for above, name in [place(one)]]
    for one, path in zip(batch, bulk.create_all(folder.parent, files), strict=True):
        os.utime(folder.parent / path, ns=(one.mtime_ns, one.mtime_ns))
