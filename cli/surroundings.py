"""What a process has from whoever started it, taken over by a worker from the client that it works for.

Streams, folder, environment, arguments, mask of modes, priority, cores and limits are set. What cannot be set must be
the same, or else the client does its work itself: what Python, numpy and the dynamic loader read from the environment
when they start, groups, and all that says what a process may do. A worker must never be able to do what its client
could not: the client may run in a sandbox or a container.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import resource
import select
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

# Read once, when a program starts or a library is loaded.
_READ_AT_START = tuple("PYTHON LD_ DYLD_ GLIBC_ MALLOC_ OPENBLAS_ OMP_ MKL_ GOTO_ NPY_ NUMPY_".split())
_RIGHTS = ("Uid:", "Gid:", "Groups:", "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:", "Seccomp")
_SPACES = ("mnt", "user", "pid", "net", "ipc", "uts")
_SO_PEERPIDFD = 77  # which Python has no name for


class Unlike(Exception):
    """A worker cannot be as its client is."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sends, see `thin`. `streams`: encoding and errors of standard input, output and error."""

    verb: str | None
    arguments: list[str]
    umask: int
    groups: str
    streams: list[tuple[str, str]]
    environment: dict[str, str]

    @classmethod
    def parsed(cls, data: bytes) -> Request:
        verb, count, umask, groups, *rest = map(os.fsdecode, data.split(b"\0"))
        streams, rest = rest[:3], rest[3:]
        variables = (variable.partition("=") for variable in rest[int(count) :])
        return cls(
            verb=verb or None,
            arguments=rest[: int(count)],
            umask=int(umask),
            groups=groups,
            streams=[(encoding, errors) for encoding, _, errors in (one.partition(" ") for one in streams)],
            environment={name: value for name, _, value in variables},
        )


def read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that must be the same."""
    found = {name: value for name, value in environment.items() if name.startswith(_READ_AT_START)}
    return {"OPENBLAS_NUM_THREADS": "1"} | found  # which is what `mesh` sets where it is not set


@dataclass(frozen=True, slots=True)
class Given:
    """What cannot be changed any more in a process, nor in its children."""

    environment: dict[str, str]
    groups: str
    rights: list[str]

    @classmethod
    def of_this_process(cls) -> Given:
        """To be called before it sets anything in its environment."""
        return cls(read_at_start(os.environ), groups(), own_rights())


def take_over(request: Request, descriptors: list[int], client: Process, given: Given) -> None:
    """Become as the client is. Raises `Unlike`; then this process is of no use any more."""
    if read_at_start(request.environment) != given.environment:
        raise Unlike("another environment")
    if request.groups != given.groups:
        raise Unlike("other groups")
    _take_from_system(client, given.rights)
    _take_descriptors(descriptors)
    _take_streams(request.streams)
    _take_environment(request.environment)
    os.umask(request.umask)
    sys.argv[:] = request.arguments


def groups() -> str:
    return " ".join(map(str, [os.getegid(), *sorted(os.getgroups())]))


def _take_descriptors(descriptors: list[int]) -> None:
    *streams, folder = descriptors
    try:
        os.fchdir(folder)
    except OSError as error:
        raise Unlike("the current folder cannot be entered") from error
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)


def _take_streams(encodings: list[tuple[str, str]]) -> None:
    """As Python makes them when it starts."""
    (into, into_errors), (out, out_errors), (err, err_errors) = encodings
    sys.stdin = io.TextIOWrapper(open(0, "rb", closefd=False), into, into_errors, "\n")  # noqa: SIM115
    sys.stdout = io.TextIOWrapper(open(1, "wb", closefd=False), out, out_errors, "\n", os.isatty(1))  # noqa: SIM115
    sys.stderr = io.TextIOWrapper(open(2, "wb", closefd=False), err, err_errors, "\n", True)  # noqa: SIM115
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]


def _take_environment(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    tempfile.tempdir = None  # it depends on TMPDIR


# --- what the kernel knows of a process -----------------------------------------------------------------------


class Process(NamedTuple):
    """`about`: its folder in /proc, opened. It stays that of this process, should the id ever be another's."""

    id: int
    about: int

    @classmethod
    def at_other_end(cls, connection: socket.socket) -> Process:
        """The one that connected. Raises `OSError`."""
        pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        found = cls(pid, os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        if not _still_runs(connection):  # it has left the connection to another; who knows whose folder that is
            raise ProcessLookupError
        return found


def _still_runs(connection: socket.socket) -> bool:
    """Whether the process that connected does; yes, where the kernel (before 6.5) does not tell."""
    try:
        held = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError as error:
        return error.errno == errno.ENOPROTOOPT
    ended, _, _ = select.select([held], [], [], 0)
    os.close(held)
    return not ended


def rights(about: int) -> list[str]:
    """All that says what a process may do and see; `about`: its folder in /proc. Raises `OSError`."""
    found = [line for line in _read(about, "status").splitlines() if line.startswith(_RIGHTS)]
    found += [os.readlink(f"ns/{space}", dir_fd=about) for space in _SPACES]
    root = os.stat("root", dir_fd=about)
    found.append(f"{root.st_dev}:{root.st_ino}")
    with contextlib.suppress(OSError):  # there is no security module, or it has nothing to say
        found.append(_read(about, "attr/current"))
    return found


def own_rights() -> list[str]:
    about = os.open("/proc/self", os.O_RDONLY | os.O_DIRECTORY)
    try:
        return rights(about)
    finally:
        os.close(about)


def _read(folder: int, name: str) -> str:
    file = os.open(name, os.O_RDONLY, dir_fd=folder)
    try:
        return os.read(file, 65536).decode("utf-8", "replace")
    finally:
        os.close(file)


def _take_from_system(client: Process, own: list[str]) -> None:
    try:
        # Landlock shows nowhere, and needs no new privileges: among those that have none, nobody knows who is alike.
        if rights(client.about) != own or "NoNewPrivs:\t1" in own:
            raise Unlike("other rights")
        for limit in _limits():
            wanted = resource.prlimit(client.id, limit)
            if wanted == resource.getrlimit(limit):
                continue
            if limit in {resource.RLIMIT_AS, resource.RLIMIT_DATA}:  # this process has taken more already
                raise Unlike("other limits of memory")
            resource.setrlimit(limit, wanted)
        if (cores := os.sched_getaffinity(client.id)) != os.sched_getaffinity(0):
            os.sched_setaffinity(0, cores)
        priority = os.getpriority(os.PRIO_PROCESS, client.id)
        if priority > os.getpriority(os.PRIO_PROCESS, 0):
            os.setpriority(os.PRIO_PROCESS, 0, priority)
    except (OSError, ValueError) as error:
        raise Unlike("other limits") from error


def _limits() -> list[int]:
    return [number for name, number in vars(resource).items() if name.startswith("RLIMIT_")]
