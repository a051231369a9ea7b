"""Markdown as it is: a folder (a vault of Mesh, basic-memory or Obsidian), or a single file.

Which files count is what FORMAT.md says of a namespace: hidden folders such as `.obsidian` do not, links are not
followed. Nothing is written to the source.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from .. import codec
from ..errors import InvalidInput, MalformedMemory
from ..files import failures_reported, read_regular
from ..memory import Problem
from ..vault import LOCAL
from .record import Record

log = logging.getLogger("mesh")

SUFFIX = ".md"


def read_file(source: Path) -> Iterator[Record | Problem]:
    """A single memory."""
    with failures_reported(str(source)):
        data = read_regular(source.resolve(), limit=codec.MAX_FILE_BYTES + 1)
    yield record(data, source.name, source.name, local=LOCAL in source.absolute().parts)


def read_folder(source: Path) -> Iterator[Record | Problem]:
    """Every Markdown file below a folder, by name. Raises `InvalidInput` if there is none."""
    local = LOCAL in source.absolute().parts
    with failures_reported(str(source)):
        top = _listed(source)
    found, others = 0, 0
    for item in _walked(top, ""):
        if isinstance(item, Problem):
            yield item
        elif not item[1].lower().endswith(SUFFIX):
            others += 1
            continue
        else:
            yield _read(*item, local)
        found += 1
    if not found:
        raise InvalidInput("it holds no Markdown files", place=str(source), remedy="Give the folder that has them")
    note_others(str(source), others)


def note_others(name: str, others: int) -> None:
    """Say how many files were left out because they are not Markdown."""
    if others:
        log.warning("%s: left out what is not Markdown: %d file%s", name, others, "s" * (others != 1))


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is none of a vault's."""
    return name.startswith(".") or (name.startswith("#") and name.endswith("#"))


def record(data: bytes, name: str, place: str, *, local: bool) -> Record | Problem:
    """The memory in a file's bytes. What its front matter says wrongly counts as absent, as in the vault."""
    try:
        memory = codec.read(data, name)
    except MalformedMemory as error:
        return Problem(place, error.line, "", error.reason, error.remedy)
    if not memory.content:
        return Problem(place, 0, "", "it holds no text", "Write its content, or delete the file")
    own_id = "" if memory.derived_id else memory.id
    local = local or memory.local_only or LOCAL in name.split("/")
    return Record(place, replace(memory, id=own_id, path="", local_only=local, problems=()), data, name)


def _read(path: str, name: str, local: bool) -> Record | Problem:
    try:
        name.encode("utf-8")
        data = read_regular(path, limit=codec.MAX_FILE_BYTES + 1)
    except UnicodeEncodeError:
        shown = name.encode("utf-8", "replace").decode()
        return Problem(shown, 0, "", "its name is not valid UTF-8", "Rename it")
    except OSError as error:
        return _unreadable(name, error)
    return record(data, name, name, local=local)


def _walked(entries: list[os.DirEntry[str]], prefix: str) -> Iterator[tuple[str, str] | Problem]:
    """`(path, name below the source)` of every file that is not hidden, in the order of the names."""
    for entry in entries:
        name = prefix + entry.name
        if is_hidden(entry.name):
            continue
        if entry.is_symlink() and (entry.is_dir() or name.lower().endswith(SUFFIX)):
            yield Problem(name, 0, "", "a symbolic link, which is not followed", "Import what it leads to by itself")
        elif entry.is_dir(follow_symlinks=False):
            try:
                below = _listed(entry.path)
            except OSError as error:
                yield _unreadable(name, error)
            else:
                yield from _walked(below, name + "/")
        else:
            yield entry.path, name


def _listed(folder: str | Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _unreadable(name: str, error: OSError) -> Problem:
    cause = f"it cannot be read ({(error.strerror or str(error)).lower()})"
    return Problem(name, 0, "", cause, "Check who owns it and its mode")
