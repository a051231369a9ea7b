"""A child of the command server: it waits, warms up while it does, runs one command as its client, and ends.

One process a command, as in Mercurial's chg: the current folder, the environment, the streams, signals and the exit
code belong to a process, so threads could not each have their own, and whatever a command leaves behind ends with it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import sys
import threading
import traceback
from dataclasses import dataclass
from typing import NoReturn

from . import warmth, wire
from .running import interrupted, run_here
from .surroundings import Given, Request, Unlike, take_over

READY = b"r"  # what one that waits says to the server
_FOR_THIS_PROCESS = socket.MSG_CMSG_CLOEXEC  # not for those that it starts
STALE = 75  # the exit code of a worker that found other code than it runs


@dataclass(frozen=True, slots=True)
class Program:
    """What the server is: its code, how it greets, and what its workers cannot change about themselves."""

    code: warmth.Code
    identity: bytes
    given: Given


def wait_and_work(program: Program, server: socket.socket) -> NoReturn:
    """Work on the connection that the server sends through `server`; end if it ends instead."""
    if program.code.has_changed():
        os._exit(STALE)
    wire.own_rights()
    warmth.rehearse()
    descriptors: list[int] = []
    with contextlib.suppress(OSError):
        server.sendall(READY)
        _, descriptors, _, _ = socket.recv_fds(server, 1, 1, _FOR_THIS_PROCESS)
    if not descriptors:
        os._exit(0)
    server.close()
    work(program, socket.socket(fileno=descriptors[0]))


def work(program: Program, client: socket.socket) -> NoReturn:
    """Do what a client asks for. Interruptions are blocked, until it is known what they interrupt."""
    stale = False
    try:
        process = wire.other_end(client)
        wire.send(client, program.identity + b"\0" + str(os.getpid()).encode())
        stale = program.code.has_changed()  # while the client writes down what it wants
        request, descriptors = _request(client)
    except (OSError, EOFError):  # it is a stranger, has given up, or only wanted to know who is here
        os._exit(STALE if stale else 0)
    try:
        if stale:
            raise Unlike("other code")
        take_over(request, descriptors, process, program.given)
    except (Unlike, OSError, LookupError):  # the last: an encoding that is not known here
        _tell(client, wire.NOT_ME + b"\0")
        os._exit(STALE if stale else 0)
    code = _run(request.verb)
    _tell(client, wire.EXITED + bytes([code]))
    os._exit(code)


def _tell(client: socket.socket, outcome: bytes) -> None:
    with contextlib.suppress(OSError):  # it was killed
        client.sendall(outcome)


def _request(client: socket.socket) -> tuple[Request, list[int]]:
    """Raises `OSError`, `EOFError`."""
    first, descriptors, _, _ = socket.recv_fds(client, 65536, 4, _FOR_THIS_PROCESS)
    if not first:
        raise EOFError
    return Request.parsed(wire.received(client, first)), descriptors


def _run(verb: str | None) -> int:
    """The exit code of the command, and all that a process does when it ends."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        code = run_here(verb)
    except KeyboardInterrupt:  # before it had begun
        code = interrupted()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:  # noqa: BLE001  # as Python itself ends with it
        traceback.print_exc()
        code = 1
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    threading._shutdown()  # type: ignore[attr-defined]  # as multiprocessing ends a forked process
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    for number in range(3):  # whoever reads a pipe to its end must not wait for this process
        with contextlib.suppress(OSError):
            os.close(number)
    return code & 0xFF
