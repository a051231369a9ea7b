"""What a process has from whoever started it, taken over by a worker from the client that it works for.

Streams, folder, environment, arguments, mask of modes, priority, cores and limits are set. What cannot be set must be
the same, or else the client does its work itself: what Python, numpy and the dynamic loader read from the environment
when they start, and all that says what a process may do (`wire.rights`).
"""

from __future__ import annotations

import io
import os
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass

from . import wire

# Read once, when a program starts or a library is loaded.
_READ_AT_START = tuple("PYTHON LD_ DYLD_ GLIBC_ MALLOC_ OPENBLAS_ OMP_ MKL_ GOTO_ NPY_ NUMPY_".split())


class Unlike(Exception):
    """A worker cannot be as its client is."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sends, see `thin`. `streams`: encoding and errors of standard input, output and error."""

    verb: str | None
    arguments: list[str]
    umask: int
    streams: list[tuple[str, str]]
    environment: dict[str, str]

    @classmethod
    def parsed(cls, data: bytes) -> Request:
        verb, count, umask, *rest = map(os.fsdecode, data.split(b"\0"))
        streams, rest = rest[:3], rest[3:]
        variables = (variable.partition("=") for variable in rest[int(count) :])
        return cls(
            verb=verb or None,
            arguments=rest[: int(count)],
            umask=int(umask),
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
    rights: list[str]

    @classmethod
    def of_this_process(cls) -> Given:
        """To be called before it sets anything in its environment."""
        return cls(read_at_start(os.environ), wire.own_rights())


def take_over(request: Request, descriptors: list[int], client: tuple[int, int], given: Given) -> None:
    """Become as the client is (`wire.other_end`). Raises `Unlike`; then this process is of no use any more."""
    pid, about = client
    if read_at_start(request.environment) != given.environment:
        raise Unlike("another environment")
    if not wire.alike(about, given.rights):
        raise Unlike("other rights")
    _take_from_system(pid)
    os.close(about)
    _take_descriptors(descriptors)
    _take_streams(request.streams)
    _take_environment(request.environment)
    os.umask(request.umask)
    sys.argv[:] = request.arguments


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


def _take_from_system(client: int) -> None:
    try:
        for limit in _limits():
            wanted = resource.prlimit(client, limit)
            if wanted == resource.getrlimit(limit):
                continue
            if limit in {resource.RLIMIT_AS, resource.RLIMIT_DATA}:  # this process has taken more already
                raise Unlike("other limits of memory")
            resource.setrlimit(limit, wanted)
        if (cores := os.sched_getaffinity(client)) != os.sched_getaffinity(0):
            os.sched_setaffinity(0, cores)
        priority = os.getpriority(os.PRIO_PROCESS, client)
        if priority > os.getpriority(os.PRIO_PROCESS, 0):
            os.setpriority(os.PRIO_PROCESS, 0, priority)
    except (OSError, ValueError) as error:
        raise Unlike("other limits") from error


def _limits() -> list[int]:
    return [number for name, number in vars(resource).items() if name.startswith("RLIMIT_")]
