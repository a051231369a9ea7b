"""How the last sync of a namespace ended: `.locks/sync/<namespace>.json`, for people who ask. It may be deleted."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import MeshError
from ..files import Folder
from ..memory import iso
from .report import Report

log = logging.getLogger("mesh")

_FOLDER = (".locks", "sync")
_MAX_TEXT = 2_000
_MAX_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class LastSync:
    """`at`: UTC. `error`: its code, "" if there was none. `pushed`, `received`: how many memories."""

    at: str
    error: str = ""
    message: str = ""
    pushed: int = 0
    received: int = 0


def noted(home: Path, namespace: str, sync: Callable[[], Report]) -> Report:
    """Sync, and note how that ended. One that is killed leaves what was noted of the one before it."""
    try:
        report = sync()
    except MeshError as error:
        _write(home, namespace, LastSync(_now(), error.code, str(error)[:_MAX_TEXT]))
        raise
    received = len(report.new) + len(report.changed) + len(report.gone)
    _write(home, namespace, LastSync(_now(), pushed=len(report.pushed), received=received))
    return report


def read(home: Path, namespace: str) -> LastSync | None:
    """None if nothing is known."""
    try:
        with Folder.open(home, *_FOLDER) as folder:
            return LastSync(**json.loads(folder.read(f"{namespace}.json", _MAX_BYTES)))
    except (OSError, ValueError, TypeError):  # never, or by another version
        return None


def forget(home: Path, namespace: str) -> None:
    """What was noted may have named a file."""
    home.joinpath(*_FOLDER, f"{namespace}.json").unlink(missing_ok=True)


def _write(home: Path, namespace: str, last: LastSync) -> None:
    """As far as the home lets: a sync does not fail because nobody can be told of it."""
    data = json.dumps(asdict(last)).encode()
    try:
        with Folder.open(home, *_FOLDER, create=True) as folder:
            temporary = folder.path / folder.write_temporary(data, flush=False)
            temporary.replace(folder.path / f"{namespace}.json")
    except OSError as error:
        log.info("%s: how its sync ended is not noted: %s", namespace, error.strerror)


def _now() -> str:
    return iso(datetime.now(UTC))
