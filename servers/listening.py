"""Where a server listens: the addresses of a host, and sockets on one port of all of them."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Sequence
from contextlib import suppress

from mesh.errors import InvalidInput, MeshError

log = logging.getLogger("mesh")

LOOPBACK = ("127.0.0.1", "::1")  # `localhost` may mean either
_ABSENT = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}


def addresses_of(host: str) -> tuple[str, ...]:
    """The addresses that a host names; of this machine itself, both of its own."""
    if host in {"", "localhost"}:
        return LOOPBACK
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InvalidInput(f"{host!r} is no address of this machine", place="--host", remedy="Give one") from error
    return tuple(dict.fromkeys(str(one[4][0]) for one in found))


def listening(addresses: Sequence[str], port: int) -> list[socket.socket]:
    """Sockets that listen on all of these addresses, on one port; an address that this machine lacks is left out.

    Port 0: one that is free on all of them. Raises `MeshError` when the port is in use.
    """
    for _ in range(9 if port == 0 else 0):
        with suppress(MeshError):  # it was free on the first address only
            return _all_listening(addresses, port)
    return _all_listening(addresses, port)


def _all_listening(addresses: Sequence[str], port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        for address in addresses:
            try:
                sockets.append(_bound(address, sockets[0].getsockname()[1] if sockets else port))
            except OSError as error:
                if error.errno not in _ABSENT or (address == addresses[-1] and not sockets):
                    raise _cannot_listen(address, port, error) from error
                log.warning("%s: this machine has no such address; going on without it", address)
    except MeshError:
        for one in sockets:
            one.close()
        raise
    return sockets


def _bound(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # a port whose last connections are dying may be taken; elsewhere it means any port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        made.listen(128)  # from here on clients wait instead of being refused
    except BaseException:
        made.close()
        raise
    return made


def _cannot_listen(address: str, port: int, error: OSError) -> MeshError:
    place = url(address, port).removeprefix("http://")
    if error.errno == errno.EADDRINUSE:
        return MeshError(f"{place} is in use", remedy="Stop the other program, or choose another port with --port")
    return MeshError(
        f"cannot listen there ({error.strerror or error})", place=place, remedy="Try another --host or --port"
    )


def url(address: str, port: int) -> str:
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
