"""The command server as a process in the background: begin it, say whether it runs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mesh.files import failures_reported
from mesh.locks import is_held

from . import wire

LOCK = "_serve.lock"  # no namespace's name begins with an underscore
LOG = Path(".cache") / "_serve.log"
COOL_AFTER_SECONDS = 600.0
IDLE_AFTER_SECONDS = 12 * 3600.0
IDLE = 3  # the exit code of a server that nobody asked for so long
# Neither has the current folder among those where modules are looked for, as `python -c` would.
_BEGIN = f"import sys; sys.path[0] = sys.argv.pop(1); from {__package__}.command_server import main; main()"
_WATCH = f"import sys; sys.path[:] = filter(None, sys.path); from {__package__}.main import main; main()"


@dataclass(frozen=True, slots=True)
class Running:
    """`answers`: not if it runs other code than this process, or is just beginning."""

    pid: int
    answers: bool


def status(home: Path) -> Running | None:
    """None if there is none."""
    try:
        lock = os.open(home / ".locks" / LOCK, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    try:
        return Running(int(os.pread(lock, 32, 0)), _answers(home)) if is_held(lock) else None
    except ValueError:  # it has not said yet
        return None
    finally:
        os.close(lock)


def _answers(home: Path) -> bool:
    try:
        connection = wire.connected(str(home / ".locks"))
    except OSError:
        return False
    try:
        return wire.greeted(connection) > 0
    except OSError:
        return False
    finally:
        connection.close()


def begin(
    home: Path, *, cool_after_seconds: float = COOL_AFTER_SECONDS, idle_after_seconds: float = IDLE_AFTER_SECONDS
) -> subprocess.Popen[bytes]:
    """The process, which has only just begun. It ends by itself if another serves this home, or if this process ends.

    It is in no folder that is used. Raises `MeshError`.
    """
    with failures_reported(str(home)):
        (home / LOG).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = os.open(home / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    scripts = sys.path[0] if Path(sys.path[0]).is_absolute() else str(Path(sys.executable).parent)
    patience = [str(cool_after_seconds), str(idle_after_seconds)]
    try:
        return subprocess.Popen(
            [sys.executable, *options(), "-c", _BEGIN, scripts, str(home), *patience],
            stdin=subprocess.PIPE,  # which is closed with this process
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(log)


def options() -> list[str]:
    """Those of this Python. Whoever runs with others is not the same program: see `wire.identity`."""
    found: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return found


def watch_from_now() -> None:
    """For `MESH_AUTOWATCH`: `mesh watch --background`, for the next command. Nothing waits for it."""
    with contextlib.suppress(OSError):
        subprocess.Popen(
            [sys.executable, *options(), "-c", _WATCH, "watch", "--background"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
