"""Syncs on an interval, as `mesh watch --sync` and `mesh sync --watch` tell of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mesh.memory import iso
from mesh.settings import Settings

from .output import Row, note, print_json_lines
from .sharing import print_syncs

if TYPE_CHECKING:
    from mesh.sharing.regularly import RegularSync


def regular_sync(
    settings: Settings, names: Collection[str] | None, every_seconds: float | None, tell: Callable[[Row], None]
) -> RegularSync | None:
    """What syncs these namespaces, None: all that are shared; not begun yet. None if nothing is to be synced."""
    if every_seconds is None:
        return None
    from mesh.sharing.regularly import RegularSync

    return RegularSync(settings, every_seconds, program="mesh watch", tell=tell, namespaces=names)


def tell_of_sync(row: Row, as_json: bool = False) -> None:
    """Print one row of `RegularSync`."""
    if as_json:
        what = "not synced" if "error" in row else "synced"
        print_json_lines([{"time": iso(datetime.now(UTC)), "happened": what} | row])
    else:
        if row.get("again"):
            note(f"{row['namespace']}: it can be synced again")
        print_syncs([row])
    sys.stdout.flush()


def said_of_syncs(settings: Settings, names: Collection[str] | None, every_seconds: float) -> str:
    """`syncing notes every 5 min`, and what of it another process does."""
    from mesh.sharing.syncing import shared_namespaces
    from mesh.sharing.turns import syncer_of

    shared = [name for name in shared_namespaces(settings) if names is None or name in names]
    if not shared:
        return "nothing is shared yet, so nothing is synced. Share a namespace: mesh share NS URL"
    others = {name: one.pid for name in shared if (one := syncer_of(settings.home, name)) and one.pid != os.getpid()}
    done = ", ".join(f"{name} by process {pid}" for name, pid in others.items())
    return f"syncing {', '.join(shared)} every {duration(every_seconds)}" + (f" (done: {done})" if done else "")


def duration(seconds: float) -> str:
    """`30 s`, `5 min`, `2 h`."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"
