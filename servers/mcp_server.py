"""`mesh-server`: Mesh for clients of the Model Context Protocol."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, NoReturn

from mesh import inputs
from mesh.errors import InvalidInput, MeshError
from mesh.settings import Settings
from mesh.version import __version__

from .listening import addresses_of, listening

if TYPE_CHECKING:
    from .mcp_protocol import MeshServer

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 7702
SECONDS_TO_CLOSE = 1  # for what still runs when the client is gone; files are safe at any moment


def main() -> None:
    """`mesh-server`: serve until the client is gone or the process is told to stop."""
    options = _parser().parse_args()
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("mesh-server: %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        run(**vars(options))
    except MeshError as error:
        print(f"mesh-server: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def run(
    *,
    namespace: str | None = None,
    agent: str | None = None,
    http: bool = False,
    host: str | None = None,
    port: int | None = None,
) -> None:
    """The same; None is what the settings say, and 127.0.0.1 and 7702. Raises `MeshError` where it cannot begin."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one question is too little work for a second thread
    settings = Settings.from_environment()
    inputs.sync_interval(settings.sync_every)
    settings = replace(
        settings,
        namespace=inputs.namespace(settings.namespace if namespace is None else namespace),
        agent=inputs.agent(settings.agent if agent is None else agent),
    )
    if http:
        _serve_http(settings, host or DEFAULT_HOST, DEFAULT_PORT if port is None else port)
    elif host is not None or port is not None:
        raise InvalidInput("without --http nothing listens", place="--host, --port", remedy="Add --http")
    else:
        _serve_stdio(settings)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"mesh-server: {message}. See: mesh-server --help", file=sys.stderr)
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        "mesh-server",
        description="Serve Mesh to a client of the Model Context Protocol, over standard input and output.",
        epilog="Environment: MESH_HOME, MESH_NAMESPACE, MESH_AGENT_ID; MESH_MCP_LOCAL_ONLY=1 also serves local_only "
        "memories; MESH_HTTP_TOKEN is what HTTP clients must present; MESH_SYNC_EVERY=5m syncs what is shared. "
        "Clients: see docs/MCP.md.",
        allow_abbrev=False,
    )
    parser.add_argument("-V", "--version", action="version", version=f"mesh-server {__version__}")
    parser.add_argument("--namespace", "-N", metavar="NAME", help="the namespace served [MESH_NAMESPACE, shared]")
    parser.add_argument("--agent", "-a", metavar="NAME", help="the author of what is learned [MESH_AGENT_ID, agent]")
    parser.add_argument("--http", action="store_true", help="serve streamable HTTP at /mcp instead")
    parser.add_argument("--host", metavar="HOST", help=f"where HTTP listens [{DEFAULT_HOST}]")
    parser.add_argument("--port", metavar="PORT", type=_port, help=f"its port; 0 for any [{DEFAULT_PORT}]")
    return parser


def _port(said: str) -> int:
    if not (said.isascii() and said.isdigit() and int(said) < 1 << 16):
        raise argparse.ArgumentTypeError(f"{said!r} is not a port from 0 to 65535")
    return int(said)


def _serve_stdio(settings: Settings) -> None:
    if sys.stdin is not None and sys.stdin.isatty():
        print("mesh-server: waiting for a client on standard input; see mesh-server --help", file=sys.stderr)
    gc.disable()  # what is imported stays; to look for garbage meanwhile takes a seventh of the time
    from . import mcp_stdio
    from .mcp_protocol import MeshServer

    gc.freeze()
    gc.enable()
    _serve(MeshServer(settings, local=settings.mcp_local_only), mcp_stdio.serve)


def _serve_http(settings: Settings, host: str, port: int) -> None:
    addresses = addresses_of(host)
    loopback = all(ip_address(address).is_loopback for address in addresses)
    if not (loopback or settings.http_token):
        raise InvalidInput(
            f"{host} can be reached from other machines, and there is no token",
            place="--host",
            remedy="Set MESH_HTTP_TOKEN, or use 127.0.0.1",
        )
    sockets = listening(addresses, port)
    from . import mcp_http
    from .mcp_protocol import MeshServer

    for one in sockets:
        url = f"http://{mcp_http.host_of(one)}:{one.getsockname()[1]}{mcp_http.PATH}"
        print(f"mesh-server: {url}", file=sys.stderr, flush=True)
    server = MeshServer(settings, local=settings.mcp_local_only and loopback)
    _serve(server, lambda server: mcp_http.serve(server, sockets, settings.http_token, loopback=loopback))


def _serve(server: MeshServer, by: Callable[[MeshServer], None]) -> None:
    try:
        by(server)
    finally:
        closing = threading.Thread(target=server.close, daemon=True)
        closing.start()
        closing.join(SECONDS_TO_CLOSE)


if __name__ == "__main__":
    main()
