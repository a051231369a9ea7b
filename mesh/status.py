"""What is in a namespace, counted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import lease
from .index import broken
from .index.filters import Filters
from .listing import count
from .memory import iso
from .vault import Vault
from .workspace import Workspace


def status(workspace: Workspace) -> dict[str, Any]:
    """Counts and places, for a person. Also of a home or a namespace that does not exist yet."""
    vault, namespace = workspace.vault, workspace.namespace
    with workspace.turn:
        receipt = workspace.refreshed(embed=False, patience_seconds=0)
        memories = count(workspace, Filters())
        shared = count(workspace, Filters(local=False))
        quarantined = workspace.cache.run(lambda: broken.served(workspace.cache.manifest))
    return {
        "home": str(vault.home),
        "exists": vault.home.is_dir() and vault.exists(namespace),
        "namespaces": vault.namespaces(),
        "namespace": namespace,
        "memories": memories,
        "local_only": memories - shared,
        "unindexed": receipt.unindexed,
        "pending": receipt.pending,
        "problems": receipt.problems,
        "quarantined": list(quarantined),
        "trash": len(vault.trash(namespace).entries()),
        "model": receipt.model,
        "cache_bytes": workspace.cache.size_on_disk(),
        "watch": _watch(vault.home, namespace),
        "shared": _shared(vault),
    }


def _shared(vault: Vault) -> list[dict[str, Any]]:
    """How things stand with what is shared: see `sharing.state`. git is called for nothing else."""
    names = [name for name in vault.namespaces() if (vault.home / name / ".git").exists()]
    if not names:
        return []
    from .sharing import state

    return state.states(vault.home, names)


def watched(home: Path) -> list[dict[str, Any]]:
    """Of each namespace, who keeps its cache equal to its files: all None where nobody does."""
    nobody = {"pid": None, "program": None, "how": None, "since": None}
    return [{"namespace": name} | (_watch(home, name) or nobody) for name in Vault(home).namespaces()]


def _watch(home: Path, namespace: str) -> dict[str, Any] | None:
    """The holder of a namespace's watch lease."""
    holder = lease.holder_of(home, namespace)
    if holder is None:
        return None
    since = iso(datetime.fromtimestamp(holder.since, UTC))
    return {"pid": holder.pid, "program": holder.program, "how": holder.how, "since": since}
