"""The children of the command server: one that waits for a command, and those that work on one."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from . import warmth, wire, worker

log = logging.getLogger("mesh_cli.server")

_FAILED = 70  # the exit code of a worker that failed otherwise than its command did


@dataclass(slots=True)
class _Spare:
    """A worker that waits for its first command. `link`: where its connection is sent to."""

    pid: int
    link: socket.socket
    ready: bool = False

    def is_ready(self) -> bool:
        """Whether it has rehearsed: to fork another one takes less time than to wait for that."""
        with contextlib.suppress(OSError):
            self.ready = self.ready or self.link.recv(1, socket.MSG_DONTWAIT) == worker.READY
        return self.ready


class Workers:
    """Forks them, tells them what to work on, ends them with their clients, and hears how they end.

    `let_go` closes in a child what is the server's.
    """

    def __init__(self, program: worker.Program, let_go: Callable[[], None]) -> None:
        self._program, self._let_go = program, let_go
        self.clients: dict[int, socket.socket] = {}  # of the workers that run, by their process ids
        self._spare: _Spare | None = None
        self._wants_spare, self._is_cool = True, False

    def give(self, client: socket.socket) -> None:
        """Have somebody work for a client."""
        self._wants_spare = True
        spare = self._spare if self._spare and self._spare.is_ready() else None
        if spare:
            self._spare = None
        if spare and _given(spare, client):
            self.clients[spare.pid] = client
        elif pid := self._forked(lambda: worker.work(self._program, client)):
            self.clients[pid] = client
        else:
            client.close()  # who asks does it itself

    @property
    def lacks_spare(self) -> bool:
        return self._wants_spare and not self._spare

    def add_spare(self) -> None:
        """Have one wait for the next client."""
        if self._is_cool:
            warmth.warm()
            log.info("warm again")
        self._is_cool = False
        mine, its = socket.socketpair()

        def wait() -> NoReturn:
            mine.close()
            worker.wait_and_work(self._program, its)

        pid = self._forked(wait)
        its.close()
        self._wants_spare = bool(pid)
        self._spare = _Spare(pid, mine) if pid else None

    def dismiss_spare(self) -> None:
        if self._spare:
            self._spare.link.close()  # which it sees
        self._spare = None

    def cool(self) -> None:
        """Let go of the model until the next client comes."""
        if not self._is_cool:
            self.dismiss_spare()
            warmth.cool()
            log.info("idle: let go of the model")
            self._wants_spare, self._is_cool = False, True

    def end(self, pid: int) -> None:
        """Its client was killed, so it is as well. One that has just ended is not there any more."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)
        self.clients.pop(pid).close()

    def reap(self) -> bool:
        """Hear of those that ended, and tell their clients if they could not. False: one found that its code is old."""
        up_to_date = True
        for pid, code in _ended():
            if self._spare and self._spare.pid == pid:
                if code != worker.STALE:
                    log.warning("a waiting worker ended with %d", code)
                self._spare.link.close()
                self._spare, self._wants_spare = None, False  # not one after the other
            if client := self.clients.pop(pid, None):
                with contextlib.suppress(OSError):
                    if code < 0:
                        client.sendall(wire.KILLED + bytes([-code]))
                client.close()
            up_to_date = up_to_date and code != worker.STALE
        return up_to_date

    def _forked(self, action: Callable[[], NoReturn]) -> int:
        """The process id of a child that does this and ends; 0 if there can be none."""
        try:
            pid = os.fork()
        except OSError as error:  # too many processes, too little memory
            log.warning("cannot fork: %s", error)
            return 0
        if pid:
            return pid
        try:
            self._become_a_child()
            action()
        except BaseException:
            log.exception("a worker failed")
        finally:
            os._exit(_FAILED)

    def _become_a_child(self) -> None:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        self._let_go()
        for client in self.clients.values():
            client.close()
        self.dismiss_spare()


def _given(spare: _Spare, client: socket.socket) -> bool:
    try:
        socket.send_fds(spare.link, [b"c"], [client.fileno()])
    except OSError:  # it is gone
        return False
    finally:
        spare.link.close()
    return True


def _ended() -> list[tuple[int, int]]:
    """(process id, exit code, negative for a signal) of children that have ended since the last call."""
    found = []
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            found.append((pid, os.waitstatus_to_exitcode(status)))
    return found
