"""A folder that is missing, or empty because its disk is: refused, never taken for one whose memories were deleted."""

from __future__ import annotations

from collections.abc import Collection

from . import links
from .errors import VaultUnavailable
from .index.cache import Cache
from .scan import Snapshot, is_folder
from .vault import Vault, roots


def refuse_missing_folders(vault: Vault, namespace: str, cache: Cache) -> None:
    """A folder that held memories and is not there may be an unmounted disk: `VaultUnavailable`, not "deleted"."""
    for root in roots(namespace):
        links.require(vault.home, root)
        if is_folder(vault.home, root):
            continue
        held = cache.manifest.db.execute(
            "SELECT count(*) FROM files WHERE path >= ? AND path < ?", (root + "/", root + "0")
        ).fetchone()[0]
        if held:
            raise VaultUnavailable(
                f"the folder is missing, and {held} memories were in it",
                place=str(vault.home / root),
                remedy="Mount or restore it; if they are to be forgotten, make an empty folder there",
            )


def refuse_unmounted(vault: Vault, namespace: str, cache: Cache, snapshot: Snapshot, known: Collection[str]) -> None:
    """An empty folder on another device than before is a mount point without its disk: `VaultUnavailable`."""
    for root in roots(namespace):
        held = sum(path.startswith(root + "/") for path in known)
        device = cache.manifest.get(f"device {root}")
        empty = not any(path.startswith(root + "/") for path in snapshot.files)
        if held and empty and device and device != device_of(vault, root):
            raise VaultUnavailable(
                f"the folder is empty and on another device than the {held} memories that were in it",
                place=str(vault.home / root),
                remedy="Mount its disk; if they are to be forgotten, run: mesh reindex --all",
            )


def device_of(vault: Vault, root: str) -> str:
    """The device that a folder lies on; "" if it is not there."""
    try:
        return str((vault.home / root).stat().st_dev)
    except OSError:
        return ""
