"""What a source of rules gives."""

from __future__ import annotations

from typing import NamedTuple


class Candidate(NamedTuple):
    """The span of a secret in a text. `excerpt`: what of it, or beside it, is no secret."""

    start: int
    end: int
    kind: str
    excerpt: str = "…"
