"""What can be asked of a whole home without opening a namespace first: the module-level functions of `mesh`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .api import Mesh

Row = dict[str, Any]


def build_context(
    query: str | None = None,
    namespace: str | None = None,
    count: int = 10,
    format: str = "markdown",
    min_confidence: float = 0.3,
    memory_type: str | None = None,
    tags: Sequence[str] | None = None,
    *,
    home: str | Path | None = None,
    include_local: bool = False,
) -> str:
    """Memories as a text for a prompt, marked as reference data: see `Mesh.context`."""
    with Mesh(namespace, home=home) as mesh:
        found = mesh.context(query, count, format, min_confidence, memory_type, tags, include_local=include_local)
    return str(found["context"])
