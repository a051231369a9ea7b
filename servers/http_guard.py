"""What stands before every route: who may ask, in which form, and what is said with every answer.

A page in the user's browser can reach a server on this machine. So the name it was called by (Host) must be one of
the server's own, a page (Origin) must be one of its own, and a body must be JSON, which no foreign page can send
without asking first: and no such question (CORS) is ever answered.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from .http_errors import Refused, body_of

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

MAX_BODY_BYTES = 1 << 20
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
WITHOUT_TOKEN = frozenset({"/health"})
LOCAL = "mesh.local"  # in a request's environ: whether its client is on this machine
HEADERS = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
]
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_TARGET = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")
_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")


class Guard:
    """A WSGI application around another. `hosts`: names besides the loopback ones; `token`: what a client must know."""

    def __init__(self, application: Application, *, hosts: Iterable[str] = (), token: str = "") -> None:
        self._application = application
        self._hosts = LOOPBACK_NAMES | {host.lower() for host in hosts}
        self._token = token.encode()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        def with_headers(status: str, headers: list[tuple[str, str]], *failure: Any) -> Any:
            return start_response(status, headers + HEADERS, *failure)

        environ[LOCAL] = is_on_this_machine(environ)
        try:
            self._admit(environ)
        except Refused as refusal:
            return _answer(refusal, environ, with_headers)
        return self._application(environ, with_headers)

    def _admit(self, environ: Environ) -> None:
        self._check_host(environ.get("HTTP_HOST"))
        if target := _TARGET.match(environ.get("REQUEST_URI", "")):  # a whole URL, as sent to a proxy
            self._check_host(target[1])
        _check_page(environ)
        if self._token and environ["PATH_INFO"] not in WITHOUT_TOKEN:
            self._check_token(environ.get("HTTP_AUTHORIZATION", ""))
        _check_body(environ)

    def _check_host(self, host: str | None) -> None:
        if not host:
            raise Refused(400, "the Host header is missing", "Send one, as HTTP/1.1 does")
        if not (match := _HOST.fullmatch(host)):
            raise Refused(400, "the Host header is not one name", "Send one, such as localhost:7701")
        if match[1].lower() not in self._hosts:
            remedy = "Call it localhost, or start mesh-http with --allow-host"
            raise Refused(421, "this server does not go by the name in the Host header", remedy)

    def _check_token(self, authorization: str) -> None:
        scheme, _, token = authorization.partition(" ")
        said = token.strip(" \t").encode("latin-1", "replace")
        if scheme.lower() == "bearer" and hmac.compare_digest(said, self._token):
            return
        cause = "the token is wrong" if authorization else "a token is needed"
        remedy = "Send the header Authorization: Bearer TOKEN, with the server's MESH_HTTP_TOKEN"
        raise Refused(401, cause, remedy, headers={"WWW-Authenticate": 'Bearer realm="mesh"'})


def is_on_this_machine(environ: Environ) -> bool:
    """Whether the client speaks from a loopback address, and for itself: what a proxy forwards may be anyone's."""
    return _is_loopback(environ.get("REMOTE_ADDR", "")) and not any(name in environ for name in _FORWARDED)


@lru_cache(maxsize=256)
def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def _check_page(environ: Environ) -> None:
    """A request that a web page makes must come from a page of this very server."""
    origin, host = environ.get("HTTP_ORIGIN"), environ["HTTP_HOST"]
    foreign = origin is not None and origin.lower() not in {f"http://{host}".lower(), f"https://{host}".lower()}
    if foreign or environ.get("HTTP_SEC_FETCH_SITE", "none") not in {"none", "same-origin"}:
        raise Refused(403, "a page of another origin may not ask this server", "Ask from a program")


def _check_body(environ: Environ) -> None:
    if "HTTP_TRANSFER_ENCODING" in environ:  # only HTTP/1.0 leaves it here, and does not know it
        raise Refused(400, "HTTP/1.0 has no Transfer-Encoding", "Send a Content-Length")
    length = environ.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()):
        raise Refused(400, "the Content-Length is not a number", "Send the body's length in bytes")
    if len(length) > 18 or int(length) > MAX_BODY_BYTES:
        raise Refused(413, f"the body has more than {MAX_BODY_BYTES:,} bytes", "Send less at once")
    if environ["REQUEST_METHOD"] == "POST":
        _check_content_type(environ.get("CONTENT_TYPE", ""), environ.get("HTTP_CONTENT_ENCODING", ""))
    elif length.strip("0"):
        raise Refused(400, f"{environ['REQUEST_METHOD']} takes no body", "Put it into the query, or use POST")


def _check_content_type(content_type: str, encoding: str) -> None:
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [value.strip('"') for name, _, value in (one.partition("=") for one in parameters) if name == "charset"]
    if kind != "application/json" or any(charset not in {"utf-8", "utf8"} for charset in charsets):
        raise Refused(415, "the body must be JSON", "Send Content-Type: application/json")
    if encoding.strip().lower() not in {"", "identity"}:
        raise Refused(415, "the body must not be compressed", "Send it without Content-Encoding")


def _answer(refusal: Refused, environ: Environ, start_response: StartResponse) -> list[bytes]:
    body = body_of(refusal)
    start_response(
        f"{refusal.status} {HTTPStatus(refusal.status).phrase}",
        [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *refusal.headers.items()],
    )
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
