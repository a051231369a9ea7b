"""Serve many clients over streamable HTTP: on this machine as it is, beyond it only with a token.

A page in the user's browser can reach a server on this machine. On loopback the SDK checks the names that it is
called by (Host, Origin); elsewhere a page cannot know the token.
"""

from __future__ import annotations

import hmac
import signal
import socket
import sys
from collections.abc import Collection
from types import FrameType
from typing import Any

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from .mcp_calls import stop_before_long
from .mcp_protocol import MeshServer

PATH = "/mcp"
MAX_BODY_BYTES = 1 << 20
SECONDS_TO_CLOSE = 1  # for streams that clients hold open


def serve(server: MeshServer, sockets: list[socket.socket], token: str, *, loopback: bool) -> None:
    """Returns at SIGTERM or SIGINT, when the requests that run are answered."""
    names = {"localhost", "127.0.0.1", "[::1]", *map(host_of, sockets)}
    application = Guard(_application(server, names, check_names=loopback), token)
    config = uvicorn.Config(
        application, log_config=None, access_log=False, timeout_graceful_shutdown=SECONDS_TO_CLOSE, lifespan="on"
    )
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again when it has ended
        signal.signal(number, lambda *_: sys.exit(0))
    _Server(config).run(sockets=sockets)


class _Server(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        stop_before_long()
        super().handle_exit(sig, frame)


def host_of(one: socket.socket) -> str:
    """Its address as it stands in a URL."""
    address = str(one.getsockname()[0])
    return f"[{address}]" if ":" in address else address


def _application(server: MeshServer, names: Collection[str], *, check_names: bool) -> Any:
    hosts = [*names, *(f"{name}:*" for name in names)]
    return server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=MAX_BODY_BYTES,
        transport_security=TransportSecuritySettings(
            enable_dns_rebinding_protection=check_names,
            allowed_hosts=hosts,
            allowed_origins=[f"http://{name}" for name in hosts],
        ),
    )


class Guard:
    """An ASGI application around another: with a token, nobody passes who does not know it."""

    def __init__(self, application: ASGIApp, token: str) -> None:
        self._application, self._token = application, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._token and not self._knows_it(Headers(scope=scope)):
            headers = {"WWW-Authenticate": 'Bearer realm="mesh"'}
            refusal = PlainTextResponse("Send the header Authorization: Bearer MESH_HTTP_TOKEN\n", 401, headers)
            await refusal(scope, receive, send)
        else:
            await self._application(scope, receive, send)

    def _knows_it(self, headers: Headers) -> bool:
        scheme, _, said = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(said.strip().encode("latin-1"), self._token)
