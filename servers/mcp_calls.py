"""What happens around every request, whatever it comes by: it is counted, and the first one warms the library up."""

from __future__ import annotations

import asyncio
import logging
import os
import threading

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from mesh.errors import MeshError

from .meshes import Meshes

log = logging.getLogger("mesh")

WARM_UP_AFTER_SECONDS = 0.02  # the answer is on its way by then
SECONDS_TO_STOP = 3  # for calls that run when the process is told to stop; files are safe at any moment
_OPENING = frozenset({"initialize", "server/discover", "ping"})  # a client that shakes hands must not wait for a model
_ENDLESS = "subscriptions/listen"


class Calls:
    """A middleware that knows how many requests are being answered."""

    def __init__(self, meshes: Meshes) -> None:
        self._meshes = meshes
        self._running = 0
        self._warm = False

    async def __call__(self, ctx: ServerRequestContext, call_next: CallNext) -> HandlerResult:
        if ctx.request_id is None or ctx.method == _ENDLESS:
            return await call_next(ctx)
        self._running += 1
        try:
            return await call_next(ctx)
        finally:
            self._running -= 1
            if not self._warm and ctx.method not in _OPENING:
                self._warm = True
                asyncio.get_running_loop().call_later(WARM_UP_AFTER_SECONDS, self._warm_up)

    async def finished(self) -> None:
        """Returns when no request is being answered."""
        while self._running:
            await anyio.sleep(0.01)

    def _warm_up(self) -> None:
        threading.Thread(target=_warm_up, args=(self._meshes,), name="mesh-warm-up", daemon=True).start()


def stop_before_long() -> None:
    """End the process in a few seconds, if it has not ended by then: a call in a thread cannot be interrupted."""
    timer = threading.Timer(SECONDS_TO_STOP, os._exit, [0])
    timer.daemon = True
    timer.start()


def _warm_up(meshes: Meshes) -> None:
    try:
        meshes.warm_up()
    except MeshError as error:
        log.info("not warmed up: %s", error)  # whoever asks will be told
