"""Errors as HTTP says them: a status, and always `{"error": {"code", "message", "remedy"}}`."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from pathlib import Path

from mesh.errors import (
    AmbiguousId,
    EditConflict,
    GitFailed,
    InvalidInput,
    LockTimeout,
    MalformedMemory,
    MayNotLeave,
    MeshError,
    ModelUnavailable,
    NotFound,
    RemoteRefused,
    SecretFound,
    VaultUnavailable,
)

from . import strict_json

log = logging.getLogger("mesh")

STATUSES: dict[type[MeshError], int] = {
    InvalidInput: 400,
    NotFound: 404,
    AmbiguousId: 409,
    EditConflict: 409,
    MalformedMemory: 422,
    SecretFound: 422,
    GitFailed: 503,
    RemoteRefused: 409,
    MayNotLeave: 409,
    VaultUnavailable: 503,
    LockTimeout: 503,
    ModelUnavailable: 503,
}
CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "unknown_route",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    421: "misdirected",
    429: "too_many",
    431: "headers_too_large",
    500: "internal_error",
}


class Refused(MeshError):
    """A request that HTTP itself has an answer to; `headers` go with it."""

    def __init__(
        self, status: int, cause: str, remedy: str, *, code: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(cause, remedy=remedy)
        self.status, self.headers = status, dict(headers or {})
        self.code = code or CODES[status]


def status_of(error: MeshError) -> int:
    if isinstance(error, Refused):
        return error.status
    return next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 500)


def body_of(error: MeshError) -> bytes:
    message = f"{error.place}: {error.cause}" if error.place else error.cause
    return strict_json.write({"error": {"code": error.code, "message": message, "remedy": error.remedy}})


def bug(error: BaseException, what: str) -> Refused:
    """Log a failure of ours by kind and place, without its text, which may quote a memory; the answer to give."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    log.error("%s failed: %s at %s. This is a bug: please report it", what, type(error).__name__, places)
    return Refused(500, "the server failed to answer", "See what it says on its standard error")
