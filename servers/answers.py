"""What the servers answer, as dictionaries: one place, so that MCP and HTTP cannot differ."""

from __future__ import annotations

from typing import Any

from mesh.api import Mesh

Row = dict[str, Any]


def recalled(mesh: Mesh, query: str, count: int, **filters: Any) -> Row:
    """`results`, best first, whether any seems to answer, and the `receipt` of what they were made from."""
    results = mesh.recall(query, count, **filters)
    receipt = results.receipt
    assert receipt is not None
    return {
        "results": list(results),
        "count": len(results),
        "answered": results.answered,
        "namespace": mesh.namespace,
        "receipt": receipt.as_dict(),
    }


def inspected(mesh: Mesh, limit: int, offset: int = 0, **filters: Any) -> Row:
    """`memories`, the youngest first, `count` of these, and `next_offset` where there may be more."""
    memories = mesh.inspect(limit, offset=offset, **filters)
    more = offset + limit if len(memories) == limit else None
    return {"memories": memories, "count": len(memories), "namespace": mesh.namespace, "next_offset": more}
