"""The command server of a home: it keeps a Python warm and forks a worker of it for each command (see `thin`).

    .locks/serve.lock   flocked for as long as it serves, so there is one; it says which process that is
    .locks/serve.sock   where clients connect

It stays single-threaded and opens no database, for neither survives a fork. Therefore it watches no files either:
that is another process's work (`mesh watch`), which the workers ask just as any cold process does.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from mesh.errors import LockTimeout, MeshError
from mesh.locks import taken

from . import warmth, wire
from .server_process import IDLE_SECONDS, LOCK
from .surroundings import Given
from .worker import Program
from .workers import Workers

log = logging.getLogger("mesh_cli.server")

MODEL_IDLE_SECONDS = 600.0
LOOK_SECONDS = 60.0  # whether the socket is still there, and whether anybody still comes
SPARE_AFTER_SECONDS = 0.2
MOST_WORKERS = 64
_BACKLOG = 128
_TRIES = 10


class NotAlone(MeshError):
    """Threads run in this process, so it must not fork."""


def main() -> None:
    """What `server_process.begin` runs: the home and the idle seconds are its arguments."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger(__package__)  # of this package alone: in a worker, others speak to the client
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        serve(Path(sys.argv[1]), idle_seconds=float(sys.argv[2]))
    except LockTimeout:
        sys.exit("another process serves this home already")
    except (MeshError, OSError) as error:  # among others where no socket can be made in the home
        sys.exit(str(error))


def serve(home: Path, *, idle_seconds: float = IDLE_SECONDS) -> None:
    """Serve until it is stopped, idle, or out of date. Raises `LockTimeout` if another process serves, `OSError`.

    To be called in a process of its own, without threads: `NotAlone`.
    """
    given = Given.of_this_process()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a thread of numpy's would not survive a fork
    folder = home / ".locks"
    with _locked(folder / LOCK) as lock, _stage() as stage:
        program = Program(warmth.Code(), wire.identity(), given)
        warmth.prepare(stage)
        _refuse_threads()
        with _listening(folder) as listening:
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            Server(folder, program, listening, lock, idle_seconds).run()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Hold the lock; it is tried for a moment, since who asks whether it is held holds it meanwhile."""
    for _ in range(_TRIES):
        if (lock := taken(path)) is not None:
            break
        time.sleep(0.01)
    else:
        raise LockTimeout(str(path), 0.01 * _TRIES)
    try:
        os.ftruncate(lock, 0)
        yield lock
    finally:
        os.close(lock)


@contextlib.contextmanager
def _stage() -> Iterator[Path]:
    """A home for rehearsals. Not a TemporaryDirectory: each child would remove that when it ends."""
    folder = Path(tempfile.mkdtemp(prefix="mesh-rehearsal-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _listening(folder: Path) -> Iterator[socket.socket]:
    """The socket. What lies in its place is nobody's, since this process holds the lock."""
    path = folder / wire.SOCKET
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        wire.at_address(str(folder), listening.bind)
    finally:
        os.umask(before)
    listening.listen(_BACKLOG)
    listening.setblocking(False)
    try:
        yield listening
    finally:
        listening.close()


class Server:
    """One thread, one loop: take clients in, give them to workers, look after those."""

    def __init__(
        self, folder: Path, program: Program, listening: socket.socket, lock: int, idle_seconds: float
    ) -> None:
        self._path, self._lock, self._idle_seconds = folder / wire.SOCKET, lock, idle_seconds
        self._inode = self._path.lstat().st_ino
        self._listening: socket.socket | None = listening
        self._workers = Workers(program, self._let_go)
        self._used_at = time.monotonic()
        self._asked_to_stop = False
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)

    def run(self) -> None:
        """Until there is nothing more to do."""
        self._take_signals()
        log.info("serving, process %d", os.getpid())
        while self._listening or self._workers.clients:
            if self._listening and not self._is_busy():
                self._workers.keep_spare()
            self._wait()
            if not self._workers.reap():
                self._stop("the program's files are others now")
            self._look()
        log.info("ended")

    def _is_busy(self) -> bool:
        """Whether a command has just begun: it needs the processor more than the next one does, for which to fork."""
        return bool(self._workers.clients) and time.monotonic() - self._used_at < SPARE_AFTER_SECONDS

    def _take_signals(self) -> None:
        # Blocked rather than ignored: a worker unblocks it, and whatever came before then reaches it.
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGINT})
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, _wake)
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)

    def _ask_to_stop(self, *_: object) -> None:
        self._asked_to_stop = True

    def _let_go(self) -> None:
        """In a child; above all of the lock, or it would hold that as well when this process is dead."""
        os.close(self._lock)
        for one in (self._listening, self._woken, self._waker):
            if one:
                one.close()

    def _wait(self) -> None:
        """Until something happens; take clients in, and end the workers of those that have gone."""
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        if self._listening and len(self._workers.clients) < MOST_WORKERS:
            poll.register(self._listening, select.POLLIN)
        clients = {client.fileno(): pid for pid, client in self._workers.clients.items()}
        for descriptor in clients:
            poll.register(descriptor, 0)  # only that the other end is gone
        patience = SPARE_AFTER_SECONDS if self._is_busy() else min(LOOK_SECONDS, self._idle_seconds)
        for descriptor, _ in poll.poll(patience * 1000):
            if descriptor in clients:
                self._workers.end(clients[descriptor])
            elif descriptor == self._woken.fileno():
                with contextlib.suppress(BlockingIOError):
                    self._woken.recv(4096)
            elif self._listening:
                self._accept(self._listening)

    def _accept(self, listening: socket.socket) -> None:
        try:
            client, _ = listening.accept()
        except OSError:  # it has given up already
            return
        client.setblocking(True)
        self._used_at = time.monotonic()
        self._workers.give(client)

    def _look(self) -> None:
        """Whether it is time to let go of the model, or to end."""
        idle = 0.0 if self._workers.clients else time.monotonic() - self._used_at
        if self._asked_to_stop:
            self._stop("asked to")
        elif idle >= self._idle_seconds:
            self._stop("idle")
        elif not self._is_found():
            self._stop("the socket is gone")
        elif idle >= MODEL_IDLE_SECONDS:
            self._workers.cool()

    def _is_found(self) -> bool:
        try:
            return self._path.lstat().st_ino == self._inode
        except OSError:
            return False

    def _stop(self, reason: str) -> None:
        """Take no more clients; `run` ends once the last worker has."""
        if self._listening:
            log.info("ending: %s", reason)
            if self._is_found():  # not another's, should the folder have been replaced
                self._path.unlink(missing_ok=True)
            self._listening.close()
            self._listening = None
            self._workers.dismiss_spare()


def _wake(*_: object) -> None:
    """A signal that only has to interrupt the wait."""


def _refuse_threads() -> None:
    tasks = Path("/proc/self/task")
    if threading.active_count() > 1 or (tasks.is_dir() and len(list(tasks.iterdir())) > 1):
        raise NotAlone("other threads run in this process", remedy="Start the command server in one of its own")
