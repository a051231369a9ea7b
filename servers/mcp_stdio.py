"""Serve one client over standard input and output, until it closes the input or the process is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any

import anyio
from mcp.server.stdio import stdio_server

from .mcp_calls import stop_before_long
from .mcp_protocol import MeshServer

log = logging.getLogger("mesh")

LINES_AHEAD = 64  # that are read before they are asked for
SETTLING_SECONDS = 0.05


def serve(server: MeshServer) -> None:
    """Returns when the input ends, after what was asked has been answered, or at SIGTERM or SIGINT."""
    try:
        anyio.run(_serve, server)
    except* OSError as lost:
        log.warning("the client is gone: %s", lost.exceptions[0])


async def _serve(server: MeshServer) -> None:
    async with anyio.create_task_group() as tasks:
        if sys.platform != "win32":
            tasks.start_soon(_stop_when_told, tasks.cancel_scope)
        lines: Any = _lines(server)  # all that the SDK does with its file is to iterate over it
        async with stdio_server(stdin=lines) as (reading, writing):
            with contextlib.redirect_stdout(sys.stderr):  # standard output belongs to the protocol
                await server.run(reading, writing, server.create_initialization_options())
        tasks.cancel_scope.cancel()


async def _stop_when_told(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            stop_before_long()
            scope.cancel()


async def _lines(server: MeshServer) -> AsyncIterator[str]:
    """The lines of standard input. Before the end they wait for the last answers, which the end would cut off."""
    loop, waiting = asyncio.get_running_loop(), asyncio.Queue[str | None]()
    room = threading.Semaphore(LINES_AHEAD)
    # A daemon: a thread that waits for input cannot be interrupted, and must not keep the process from ending.
    threading.Thread(target=_read, args=(_taken(0), loop, waiting, room), name="mesh-input", daemon=True).start()
    while (line := await waiting.get()) is not None:
        room.release()
        yield line
    await anyio.sleep(SETTLING_SECONDS)
    await server.calls.finished()
    await anyio.sleep(SETTLING_SECONDS)


def _taken(number: int) -> int:
    """A descriptor of the same input. Whoever else reads the old one, as a child process might, finds it empty."""
    taken, empty = os.dup(number), os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, number)
    os.close(empty)
    return taken


def _read(
    number: int, loop: asyncio.AbstractEventLoop, waiting: asyncio.Queue[str | None], room: threading.Semaphore
) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended
        with os.fdopen(number, "rb") as file:
            for line in file:
                room.acquire()
                loop.call_soon_threadsafe(waiting.put_nowait, line.decode("utf-8", "replace"))
        loop.call_soon_threadsafe(waiting.put_nowait, None)
