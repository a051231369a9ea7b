"""The command server of a home: it keeps a Python warm and forks a worker of it for each command (see `thin`).

    .locks/_serve.lock  flocked for as long as it serves, so there is one; it says which process that is
    .locks/serve.sock   where clients connect

Linux only: elsewhere nobody can tell what a client may do, and the libraries below numpy need not survive a fork.

It stays single-threaded and opens no database, for neither survives a fork. Therefore it watches no files either:
that is another process's work (`mesh watch`), which the workers ask just as any cold process does. It serves for as
long as the process that started it holds the other end of its standard input.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mesh.errors import LockTimeout, MeshError
from mesh.locks import taken

from . import warmth, wire
from .server_process import IDLE, LOCK
from .surroundings import Given
from .worker import Program
from .workers import Workers

log = logging.getLogger("mesh_cli.server")

LOOK_SECONDS = 60.0  # whether the socket is still there, and whether anybody still comes
SPARE_AFTER_SECONDS = 0.3
MOST_WORKERS = 64
REHEARSAL = Path(".cache") / "_rehearsal"
_STARTER = 0  # standard input
_IDLE = "nobody asked"
_BACKLOG = 128
_TRIES = 10


class CannotServe(MeshError):
    """This process must not fork, or cannot know whom it works for."""


def main() -> None:
    """What `server_process.begin` runs: the home, and after how many idle seconds to let go of the model, to end."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger(__package__)  # of this package alone: in a worker, others speak to the client
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        cool_after, idle_after = map(float, sys.argv[2:])
        reason = serve(Path(sys.argv[1]), cool_after_seconds=cool_after, idle_after_seconds=idle_after)
        sys.exit(IDLE if reason == _IDLE else 0)
    except LockTimeout:
        sys.exit("another process serves this home already")
    except (MeshError, OSError) as error:  # among others where no socket can be made in the home
        sys.exit(str(error))


def serve(home: Path, *, cool_after_seconds: float, idle_after_seconds: float) -> str:
    """Serve until it is stopped, idle, left alone, or out of date, and say which.

    Raises `LockTimeout` if another process serves, `OSError`.

    To be called in a process of its own, without threads: `CannotServe`.
    """
    given = Given.of_this_process()
    if wire.CONFINED in given.rights:
        raise CannotServe("where no_new_privs is set, it cannot be told what a command may do")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a thread of numpy's would not survive a fork
    folder = home / ".locks"
    with _locked(folder / LOCK) as lock:
        program = Program(warmth.Code(), wire.identity(), given)
        warmth.prepare(home / REHEARSAL)
        _refuse_threads()
        with _listening(folder) as listening:
            os.pwrite(lock.fileno(), f"{os.getpid()}\n".encode(), 0)
            return Server(folder, program, listening, lock, cool_after_seconds, idle_after_seconds).run()


def _locked(path: Path) -> BinaryIO:
    """Hold the lock; it is tried for a moment, since who asks whether it is held holds it meanwhile."""
    for _ in range(_TRIES):
        if (lock := taken(path)) is not None:
            os.ftruncate(lock, 0)
            return os.fdopen(lock, "r+b", buffering=0)
        time.sleep(0.01)
    raise LockTimeout(str(path), 0.01 * _TRIES)


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
        self,
        folder: Path,
        program: Program,
        listening: socket.socket,
        lock: BinaryIO,
        cool_after_seconds: float,
        idle_after_seconds: float,
    ) -> None:
        self._path, self._lock = folder / wire.SOCKET, lock
        self._cool_after_seconds, self._idle_after_seconds = cool_after_seconds, idle_after_seconds
        self._inode = self._path.lstat().st_ino
        self._listening: socket.socket | None = listening
        self._workers = Workers(program, self._let_go)
        self._used_at = time.monotonic()
        self._reason_to_stop = ""
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)

    def run(self) -> str:
        """Until there is nothing more to do; why it ended."""
        self._take_signals()
        log.info("serving, process %d", os.getpid())
        while self._listening or self._workers.clients:
            if self._listening and self._workers.lacks_spare and not self._is_busy():
                self._workers.add_spare()
            self._wait()
            if not self._workers.reap():
                self._reason_to_stop = "the program's files are others now"
            self._look()
        log.info("ended")
        return self._reason_to_stop

    def _is_busy(self) -> bool:
        """Whether a command has just begun: it, or the next of many, needs the processor more than a rehearsal does."""
        return time.monotonic() - self._used_at < SPARE_AFTER_SECONDS

    def _take_signals(self) -> None:
        # Blocked rather than ignored: a worker unblocks it, and whatever came before then reaches it.
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGINT})
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, _wake)
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)

    def _ask_to_stop(self, *_: object) -> None:
        self._reason_to_stop = "asked to"

    def _let_go(self) -> None:
        """In a child; above all of the lock, or it would hold that as well when this process is dead."""
        for one in (self._lock, self._listening, self._woken, self._waker):
            if one:
                one.close()

    def _wait(self) -> None:
        """Until something happens; take clients in, and end the workers of those that have gone."""
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        if self._listening:
            poll.register(self._listening, select.POLLIN)
            poll.register(_STARTER, 0)  # only that the other end is gone
        clients = {client.fileno(): pid for pid, client in self._workers.clients.items()}
        for descriptor in clients:
            poll.register(descriptor, 0)
        looks = min(LOOK_SECONDS, self._cool_after_seconds, self._idle_after_seconds)
        patience = SPARE_AFTER_SECONDS if self._workers.lacks_spare else looks
        for descriptor, _ in poll.poll(patience * 1000):
            if descriptor in clients:
                self._workers.end(clients[descriptor])
            elif descriptor == self._woken.fileno():
                with contextlib.suppress(BlockingIOError):
                    self._woken.recv(4096)
            elif descriptor == _STARTER:
                self._reason_to_stop = "left alone"
            elif self._listening:
                self._accept(self._listening)

    def _accept(self, listening: socket.socket) -> None:
        try:
            client, _ = listening.accept()
        except OSError:  # it has given up already
            return
        if len(self._workers.clients) >= MOST_WORKERS:
            client.close()  # it does its work itself, at once
            return
        client.setblocking(True)
        self._used_at = time.monotonic()
        self._workers.give(client)

    def _look(self) -> None:
        """Whether it is time to let go of the model, or to end."""
        if not self._is_found():
            self._reason_to_stop = "the socket is gone"
        idle = 0.0 if self._workers.clients else time.monotonic() - self._used_at
        if idle >= self._idle_after_seconds:
            self._reason_to_stop = self._reason_to_stop or _IDLE
        if self._reason_to_stop:
            self._stop()
        elif idle >= self._cool_after_seconds:
            self._workers.cool()

    def _is_found(self) -> bool:
        try:
            return self._path.lstat().st_ino == self._inode
        except OSError:
            return False

    def _stop(self) -> None:
        """Take no more clients, and let another serve; `run` ends once the last worker has."""
        if self._listening:
            log.info("ending: %s", self._reason_to_stop)
            if self._is_found():  # not another's, should the folder have been replaced
                self._path.unlink(missing_ok=True)
            self._listening.close()
            self._listening = None
            self._workers.dismiss_spare()
            self._lock.close()


def _wake(*_: object) -> None:
    """A signal that only has to interrupt the wait."""


def _refuse_threads() -> None:
    if len(os.listdir("/proc/self/task")) > 1:
        raise CannotServe("other threads run in this process", remedy="Start the command server in one of its own")
