"""What is in a namespace, counted."""

from __future__ import annotations

from typing import Any

from .index.filters import Filters
from .listing import listed
from .workspace import Workspace


def status(workspace: Workspace) -> dict[str, Any]:
    """Counts and places, for a person. Also of a home or a namespace that does not exist yet."""
    vault, namespace = workspace.vault, workspace.namespace
    receipt = workspace.refreshed(embed=False)
    memories = listed(workspace, limit=0)[1]
    return {
        "home": str(vault.home),
        "exists": vault.home.is_dir() and vault.exists(namespace),
        "namespaces": vault.namespaces(),
        "namespace": namespace,
        "memories": memories,
        "local_only": memories - listed(workspace, filters=Filters(local=False), limit=0)[1],
        "pending": receipt.pending,
        "problems": receipt.problems,
        "trash": len(vault.trash(namespace).entries()),
        "model": receipt.model,
        "cache_bytes": workspace.cache.size_on_disk(),
    }
