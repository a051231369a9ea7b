"""One file as the manifest keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime

from ..files import sha256
from ..memory import Memory, Problem
from ..rivals import rival_of
from ..scan import Stamp
from .manifest import SERVED


class FileRow:
    """One file as the manifest keeps it: the columns of `files` after `path`, and its words."""

    __slots__ = (
        "columns", "embedded_of", "is_served", "path", "problems", "rival_of", "source", "supersedes", "words",
        "words_digest",
    )  # fmt: skip

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
        self.problems = tuple(problems)
        noted = [(problem.line, problem.key, problem.cause, problem.remedy) for problem in self.problems]
        known = _known_keys(memory) if memory else (None,) * 11
        self.path, self.is_served = path, state == SERVED
        self.embedded_of = (text_digest, memory.title, memory.agent, memory.source) if memory else (None,) * 4
        self.source, self.supersedes = (memory.source, memory.supersedes) if memory else ("", ())
        self.rival_of = rival_of(memory) if memory else ""
        self.words = (f"{memory.title}\n{memory.content}", about) if memory and state == SERVED else None
        self.words_digest = sha256("\0".join(self.words).encode("utf-8")) if self.words else None
        problems_noted = json.dumps(noted) if noted else ""
        self.columns = (state, *stamp, settled, digest, *known, text_digest, self.words_digest, problems_noted)

    def doubt(self) -> None:
        """Have it hashed again, whatever its stamp says."""
        self.columns = (*self.columns[:5], False, *self.columns[6:])


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
