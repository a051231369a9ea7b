"""What a reader of some file format gives: one record a memory, and problems as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..memory import Memory, Problem


@dataclass(frozen=True, slots=True)
class Record:
    """A memory as a source has it.

    `memory.id` is the source's own id, "" where it has none. `data`: the bytes of a Markdown file, to be kept as they
    are as far as possible, with `name`, its path below the folder it came from; None for every other source.
    """

    place: str  # where it stands, for messages: `backup.json: memory 17`, `notes/deploy.md`
    memory: Memory
    data: bytes | None = None
    name: str = ""


class Reader(Protocol):
    """Reads one kind of source from its beginning, never more of it at a time than one record.

    A record that cannot be used is given as a `Problem` (`path` is its place), and the reading goes on. Raises
    `MeshError` when nothing more can be read: not this format, truncated, encrypted.
    """

    def __call__(self, source: Path, /) -> Iterator[Record | Problem]: ...
