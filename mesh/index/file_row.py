"""One file as the manifest keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime

from ..memory import Memory, Problem
from ..scan import Stamp
from .manifest import SERVED


class FileRow:
    """One file as the manifest keeps it: the columns of `files` between `path` and `embedded`, and its words."""

    __slots__ = ("columns", "path", "supersedes", "text_digest", "title", "words")

    def __init__(
        self,
        path: str,
        state: int,
        stamp: Stamp,
        settled: bool,
        digest: bytes | None,
        memory: Memory | None = None,
        *,
        text_digest: bytes | None = None,
        about: str = "",
        problems: Iterable[Problem] = (),
    ) -> None:
        noted = [(problem.line, problem.key, problem.cause, problem.remedy) for problem in problems]
        known = _known_keys(memory) if memory else (None,) * 11
        self.path, self.text_digest, self.title = path, text_digest, memory.title if memory else None
        self.supersedes = memory.supersedes if memory else ()
        self.words = (memory.content, about) if memory and state == SERVED else None
        self.columns = (state, *stamp, settled, digest, *known, text_digest, json.dumps(noted) if noted else "")


def _known_keys(memory: Memory) -> tuple[object, ...]:
    def seconds(moment: datetime | None) -> float | None:
        return moment.timestamp() if moment else None

    return (
        memory.id,
        memory.type,
        f"\n{chr(10).join(memory.tags).casefold()}\n" if memory.tags else "",
        memory.agent,
        seconds(memory.born),
        seconds(memory.fades_from),
        memory.confidence,
        seconds(memory.expires),
        memory.local_only,
        memory.source,
        memory.title,
    )
