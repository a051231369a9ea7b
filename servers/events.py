"""Server-sent events: a feed of changes as `text/event-stream`. Each stream holds one of the server's threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from . import strict_json
from .http_errors import Refused

if TYPE_CHECKING:
    from mesh.feed import Event, Feed, Subscription

MOST_STREAMS = 16
HEARTBEAT_SECONDS = 15.0
LOOK_SECONDS = 1.0  # how often a quiet stream looks whether its client is still there
RETRY_MILLISECONDS = 2000


class Streams:
    """All streams of a server. The feed is made for the first one."""

    def __init__(self, home: Path, most: int = MOST_STREAMS) -> None:
        self._home, self._most = home, most
        self._feed: Feed | None = None
        self._open, self._closed = 0, False
        self._turn = threading.Lock()

    def open(
        self, namespaces: Iterable[str] | None, *, include_local: bool, after: int | None, gone: Callable[[], bool]
    ) -> Stream:
        """A new stream; `gone` says whether its client has left. Raises `Refused` when there are too many."""
        from mesh.feed import Feed

        with self._turn:
            if self._open >= self._most or self._closed:
                cause = "the server is stopping" if self._closed else f"{self._most} streams of events are open"
                raise Refused(503, cause, "Try again later", code="too_many_streams", headers={"Retry-After": "5"})
            self._open += 1
            self._feed = self._feed or Feed(self._home)
        try:
            return Stream(self._feed.subscribe(namespaces, include_local, after), gone, self._left)
        except BaseException:
            self._left()
            raise

    def close(self) -> None:
        """End all streams; no more are opened."""
        with self._turn:
            self._closed = True
        if self._feed:
            self._feed.close()

    def _left(self) -> None:
        with self._turn:
            self._open -= 1


class Stream:
    """The bytes of one stream, until its client leaves or the feed ends. Whoever takes it must `close` it."""

    def __init__(self, subscription: Subscription, gone: Callable[[], bool], left: Callable[[], None]) -> None:
        self._subscription, self._gone, self._left = subscription, gone, left
        self._once = threading.Lock()

    def __iter__(self) -> Iterator[bytes]:
        yield b"retry: %d\n\n" % RETRY_MILLISECONDS  # the first bytes carry the headers with them
        said_at = time.monotonic()
        while not (self._subscription.closed or self._gone()):
            if event := self._subscription.next(LOOK_SECONDS):
                yield _bytes_of(event)
            elif time.monotonic() - said_at < HEARTBEAT_SECONDS:
                continue
            else:
                yield b": still here\n\n"
            said_at = time.monotonic()

    def close(self) -> None:
        if self._once.acquire(blocking=False):
            self._subscription.close()
            self._left()


def _bytes_of(event: Event) -> bytes:
    data = strict_json.write(event.as_dict())
    return b"event: %s\nid: %d\ndata: %s\n\n" % (event.kind.encode(), event.sequence, data)
