"""`mesh-http`: arguments, sockets, signals. What takes long to load is loaded once the sockets listen."""

from __future__ import annotations

import argparse
import gc
import ipaddress
import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mesh import inputs
from mesh.errors import InvalidInput, MeshError
from mesh.settings import Settings
from mesh.version import __version__

from .listening import addresses_of, listening, url

if TYPE_CHECKING:
    from .meshes import Meshes

log = logging.getLogger("mesh")

FINISH_SECONDS = 10.0
ENDING = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line and the environment ask for, checked."""

    settings: Settings
    addresses: tuple[str, ...]
    port: int
    names: tuple[str, ...]  # by which clients may call the server, besides the loopback ones


def main() -> None:
    """Serve until a signal says to stop. Exit codes: 0 stopped, 1 it failed, 2 wrong usage."""
    for one in ENDING:
        signal.signal(one, lambda *_: sys.exit(0))  # until it serves there is nothing to end in order
    # Questions are answered side by side: more threads for each would only get in each other's way. For numpy.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _log_to_stderr()
    try:
        options = _options(sys.argv[1:])
        sockets = listening(options.addresses, options.port)
    except MeshError as error:
        log.error("%s", error)
        sys.exit(error.exit_code)
    sys.exit(_serve(options, sockets))


def _serve(options: Options, sockets: list[socket.socket]) -> int:
    _say_where(sockets, options.settings)
    gc.disable()  # what is imported stays: to look for garbage in it only takes time
    from .events import Streams
    from .http_app import create_app
    from .meshes import Meshes
    from .serving import Server

    meshes, streams = Meshes(options.settings), Streams(options.settings.home)
    app = create_app(meshes, token=options.settings.http_token, hosts=options.names, streams=streams)
    server = Server(app, sockets)
    gc.freeze()
    gc.enable()

    def stop(number: int, _: object) -> None:
        for one in ENDING:
            signal.signal(one, signal.SIG_DFL)  # the next one ends at once
        server.stop()

    for one in ENDING:
        signal.signal(one, stop)
    threading.Thread(target=_warm_up, args=(meshes,), name="warm-up", daemon=True).start()
    server.run()
    streams.close()
    if cut_off := server.finish(FINISH_SECONDS):
        log.warning("%d requests had not ended %d s after the signal, and were cut off", cut_off, FINISH_SECONDS)
    _close(meshes)
    return 0


def _warm_up(meshes: Meshes) -> None:
    try:
        meshes.warm_up()
    except MeshError as error:  # each request will say so, too
        log.warning("%s", error)


def _close(meshes: Meshes) -> None:
    """Let go of the namespaces. A first index of many files may hold one: it can be interrupted at any point."""
    closing = threading.Thread(target=meshes.close, daemon=True)
    closing.start()
    closing.join(2.0)


# --- arguments -------------------------------------------------------------------------------------------------------


class _Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidInput(message, remedy="See: mesh-http --help")


def _options(arguments: Sequence[str]) -> Options:
    """Raises `InvalidInput`."""
    parser = _Arguments(
        prog="mesh-http",
        description="Serve the memories of this machine over HTTP. Routes: GET / or docs/HTTP.md.",
        epilog="Environment: MESH_HTTP_PORT, MESH_HTTP_TOKEN, and those of mesh: MESH_HOME, MESH_NAMESPACE, "
        "MESH_SYNC_EVERY (as 5m: sync what is shared that often) ...",
    )
    parser.add_argument("--host", default="", help="the address to listen on [default: 127.0.0.1 and ::1]")
    parser.add_argument("--port", help="the port; 0 for any free one [default: MESH_HTTP_PORT, 7701]")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a further name of the server"
    )
    parser.add_argument("--namespace", "-N", metavar="NAME", help="where requests name none [default: MESH_NAMESPACE]")
    parser.add_argument("--agent", "-a", metavar="NAME", help="the author, likewise [default: MESH_AGENT_ID]")
    parser.add_argument("--token-file", metavar="FILE", help="a file with the token that clients must present")
    parser.add_argument("--version", "-V", action="version", version=f"mesh-http {__version__}")
    given = parser.parse_args(arguments)
    settings = Settings.from_environment()
    inputs.sync_interval(settings.sync_every)
    settings = replace(
        settings,
        namespace=inputs.namespace(settings.namespace if given.namespace is None else given.namespace),
        agent=inputs.agent(settings.agent if given.agent is None else given.agent),
        http_token=_token(given.token_file) if given.token_file else settings.http_token,
    )
    addresses = addresses_of(given.host)
    if not settings.http_token and not all(ipaddress.ip_address(one).is_loopback for one in addresses):
        raise InvalidInput(
            f"{given.host} can be reached from other machines, and there is no token",
            place="--host",
            remedy="Set MESH_HTTP_TOKEN, or give --token-file",
        )
    port = _port(given.port, "--port") if given.port is not None else _port(settings.http_port, "MESH_HTTP_PORT")
    return Options(settings, addresses, port, (*_names(given.host, addresses), *map(_name, given.allow_host)))


def _port(said: str, place: str) -> int:
    if not (said.isascii() and said.isdigit() and len(said) <= 5 and int(said) < 65536):
        raise InvalidInput(f"{said!r} is not a port", place=place, remedy="Give a number from 0 to 65535")
    return int(said)


def _name(said: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", said):
        raise InvalidInput(f"{said!r} is not a name", place="--allow-host", remedy="Give one such as host.example")
    return said


def _token(path: str) -> str:
    try:
        token = Path(path).read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot be read ({error})", place=path, remedy="Check --token-file") from error
    if not token:
        raise InvalidInput("it is empty", place=path, remedy="Write the token into it")
    return token


def _names(host: str, addresses: Sequence[str]) -> list[str]:
    """The Host headers that go with a bound address."""
    return [host, *(f"[{one}]" if ":" in one else one for one in addresses)] if host else []


# --- what it says ----------------------------------------------------------------------------------------------------


def _say_where(sockets: list[socket.socket], settings: Settings) -> None:
    places = " and ".join(url(*one.getsockname()[:2]) for one in sockets)
    print(f"mesh-http: listening on {places}, namespace {settings.namespace!r}", file=sys.stderr, flush=True)


class _OneLine(logging.Formatter):
    """Without tracebacks: a traceback may quote a memory."""

    def format(self, record: logging.LogRecord) -> str:
        return f"mesh-http: {record.getMessage()}"


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine())
    for name, level in (("mesh", logging.WARNING), ("waitress", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
