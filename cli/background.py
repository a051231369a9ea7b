"""`mesh watch --background`: a detached process that keeps a home's caches, and a command server as long as it runs.

It holds the lock `.locks/watch/_background.lock` as long as it lives, and writes there who it is, and when it is ready.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mesh.errors import LockTimeout, MeshError, VaultUnavailable
from mesh.files import Folder, failures_reported
from mesh.locks import is_held, locked, taken
from mesh.settings import Settings
from mesh.version import __version__

from . import server_process

LOG = ".cache/_watch.log"  # what it has to say; begun anew with each start
_LOCK = ".locks/watch/_background.lock"
_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
_LOOK_SECONDS = 60.0  # whether the command server still runs, and the program is still the same

log = logging.getLogger("mesh")


def start(home: Path, sync_seconds: float | None = None) -> tuple[bool, int]:
    """Start it, unless it runs; its process id. Raises `VaultUnavailable` if it ends at once.

    `sync_seconds`: how often to sync what is shared; None: never.
    """
    if running := status(home):
        return False, int(running["pid"])
    with failures_reported(str(home)):
        Folder.open(home, ".cache", create=True).close()
        _forget_the_last(home)
    fd = os.open(home / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    arguments = [str(home), *([str(server_process.IDLE_AFTER_SECONDS), str(sync_seconds)] if sync_seconds else [])]
    with os.fdopen(fd, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, *server_process.options(), "-m", f"{__package__}.background", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if (running := status(home)) and running["ready"]:
            return running["pid"] == process.pid, int(running["pid"])
        time.sleep(0.02)
    if process.poll() is None:  # it still looks at everything for the first time
        return True, process.pid
    if running := status(home):  # another one was faster
        return False, int(running["pid"])
    said = (home / LOG).read_text("utf-8", "replace").strip().splitlines()
    raise VaultUnavailable(said[-1] if said else "it ended at once", place="mesh watch", remedy=f"See {home / LOG}")


def stop(home: Path) -> int | None:
    """End it, and what it started; the process id, None if nothing runs. Raises `VaultUnavailable`."""
    running = status(home)
    if not running:
        return None
    pid = int(running["pid"])
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while (still := status(home)) and still["pid"] == pid:
        if time.monotonic() > deadline:
            raise VaultUnavailable("does not end", place=f"process {pid}", remedy=f"Run: kill -9 {pid}")
        time.sleep(0.02)
    return pid


def status(home: Path) -> dict[str, Any] | None:
    """`pid`, `since` (seconds since 1970), `version`, `ready` and `sync_every` (seconds, or None) of the process that
    runs; None if none does."""
    try:
        fd = os.open(home / _LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        found = json.loads(os.pread(fd, 4096, 0)) if is_held(fd) else None
        return found if isinstance(found, dict) else None
    except ValueError:  # it is just being written
        return None
    finally:
        os.close(fd)


def run(
    home: Path, idle_after_seconds: float = server_process.IDLE_AFTER_SECONDS, sync_seconds: float | None = None
) -> int:
    """The process itself, until it is told to end, or nobody runs a command for so long while there is nothing to sync.

    Returns its exit code.
    """
    describe = partial(_describe, home, sync_seconds)
    try:
        with locked(home / _LOCK, timeout_seconds=1.0):
            describe(ready=False)
            _keep(home, idle_after_seconds, sync_seconds, describe)
            describe(ready=False)
    except LockTimeout:
        return 0  # another one was faster
    return 0


def _keep(home: Path, idle_after_seconds: float, sync_seconds: float | None, describe: Callable[..., None]) -> None:
    from mesh.keeper import Keeper

    from .regular_sync import regular_sync, tell_of_sync
    from .warmth import Code

    ended, code = threading.Event(), Code()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    settings = replace(Settings.from_environment(), home=home)
    syncs = regular_sync(settings, None, sync_seconds, tell_of_sync)
    with (
        Keeper(settings, program="mesh watch --background", tell=syncs.note if syncs else None) as keeper,
        syncs or contextlib.nullcontext(),
        _CommandServer(home, idle_after_seconds) as server,
    ):
        keeper.ready.wait()
        server.wait()
        describe(ready=True)
        while keeper.alive and not ended.wait(min(_LOOK_SECONDS, idle_after_seconds)):
            if code.has_changed():
                log.warning("another version of the program was installed, so this process ends")
                break
            if server.was_idle and not syncs:
                log.warning("nobody ran a command for %.0f hours, so this process ends", idle_after_seconds / 3600)
                break
            server.begin_again()


class _CommandServer:
    """The command server, as long as the keeper runs. A process of its own: it forks, and so must have no threads."""

    def __init__(self, home: Path, idle_after_seconds: float) -> None:
        self._home, self._idle_after_seconds = home, idle_after_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> _CommandServer:
        self.begin_again()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process and self._process.stdin:
            self._process.stdin.close()  # then it takes nothing new, and ends once it has finished what it does
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=1)

    @property
    def was_idle(self) -> bool:
        """Whether it has ended because nobody asked it for so long."""
        return self._process is not None and self._process.poll() == server_process.IDLE

    def begin_again(self) -> None:
        """Begin it, unless one runs. Without one commands are slower, and that is all."""
        code = self._process.poll() if self._process else 0
        if code is None or (code > 0 and code != server_process.IDLE):  # it runs, or it cannot: see its log
            return
        if sys.platform == "linux" and server_process.status(self._home) is None:
            try:
                self._process = server_process.begin(self._home, idle_after_seconds=self._idle_after_seconds)
            except MeshError as error:
                log.warning("commands are not answered by a warm process: %s", error)

    def wait(self) -> None:
        """Until it answers, or ends."""
        until = time.monotonic() + _START_SECONDS / 2
        while self._process and self._process.poll() is None and time.monotonic() < until:
            if (running := server_process.status(self._home)) and running.answers:
                return
            time.sleep(0.02)


def _describe(home: Path, sync_seconds: float | None, *, ready: bool) -> None:
    data = {"pid": os.getpid(), "since": time.time(), "version": __version__, "ready": ready}
    data["sync_every"] = sync_seconds
    fd = os.open(home / _LOCK, os.O_WRONLY)
    try:
        os.pwrite(fd, f"{json.dumps(data):<200}\n".encode(), 0)  # at once, and of one length
    finally:
        os.close(fd)


def _forget_the_last(home: Path) -> None:
    """What one that was killed said of itself: its process id may be another's by now."""
    fd = taken(home / _LOCK)
    if fd is not None:
        os.ftruncate(fd, 0)
        os.close(fd)


if __name__ == "__main__":
    logging.basicConfig(format="mesh: %(message)s")
    sys.exit(run(Path(sys.argv[1]), *map(float, sys.argv[2:])))
