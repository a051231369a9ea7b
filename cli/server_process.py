"""The command server as a process in the background: begin it, end it, say whether it runs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from mesh.errors import MeshError
from mesh.files import failures_reported
from mesh.locks import is_held

from . import wire

LOCK = "serve.lock"
LOG = Path(".cache") / "_serve.log"
IDLE_SECONDS = 3600.0
_BEGIN = f"import sys; sys.path[0] = sys.argv.pop(1); from {__package__}.command_server import main; main()"
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Running:
    """`answers`: not if it runs other code than this process, or is just beginning or ending."""

    pid: int
    answers: bool


class NotStarted(MeshError):
    """The command server could not begin."""


def start(home: Path, *, patience_seconds: float = 20.0) -> int:
    """Have a command server serve this home, unless one does; its process id. Raises `MeshError`."""
    if os.name != "posix":
        raise NotStarted("this system cannot fork, so there is no command server")
    if (running := status(home)) is not None:
        return running.pid
    process = begin(home)
    until = time.monotonic() + patience_seconds
    while time.monotonic() < until:
        if (running := status(home)) is not None and running.answers:
            return running.pid
        if process.poll():
            raise NotStarted(
                f"the command server ended with {process.returncode}", place=str(home / LOG), remedy="See there"
            )
        time.sleep(_LOOK_SECONDS)
    return process.pid


def watch_from_now() -> None:
    """For `MESH_AUTOWATCH`: `mesh watch --background`, for the next command. Nothing waits for it."""
    with contextlib.suppress(OSError):
        subprocess.Popen(
            [sys.executable, *_options(), "-c", "from mesh_cli.main import main; main()", "watch", "--background"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def begin(home: Path, *, idle_seconds: float = IDLE_SECONDS) -> subprocess.Popen[bytes]:
    """The process, which has only just begun. It ends by itself if another serves this home.

    It has the options of this Python, since whoever runs with others gets no answer, and is in no folder that is used.
    Raises `MeshError`.
    """
    with failures_reported(str(home)):
        (home / LOG).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = os.open(home / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    scripts = sys.path[0] if Path(sys.path[0]).is_absolute() else str(Path(sys.executable).parent)
    try:
        return subprocess.Popen(
            [sys.executable, *_options(), "-c", _BEGIN, scripts, str(home), str(idle_seconds)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(log)


def _options() -> list[str]:
    options: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return options


def stop(home: Path, *, patience_seconds: float = 5.0) -> bool:
    """End the command server of a home; commands that run are finished. False if there is none."""
    if (running := status(home)) is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGTERM)
        os.kill(running.pid, signal.SIGCONT)
    until = time.monotonic() + patience_seconds
    while (home / ".locks" / wire.SOCKET).exists() and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
    return True


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
