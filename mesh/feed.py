"""A feed of the changes in a home, for who wants to be told: server-sent events, notices to MCP clients.

    feed = Feed(home)
    with feed.subscribe(["shared"]) as subscription:
        event = subscription.next(timeout_seconds=30)

event     a memory was added, changed or removed; or a *reset*: anything in its namespace may have changed, list again
sequence  the number of an event, one more than that of the event before; `after` takes it, to go on after a break
audience  those who may hear of local_only memories, or those who may not: each has a stream of events of its own, so
          that not even a gap in the numbers tells of what must not leave this machine

It costs nothing until the first subscription, and ends some seconds after the last one. What it says it has seen in
the files; caches, and what other processes know, have no part in it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from .differences import MOST, RESET, Change, Kind
from .lookout import Lookout
from .memory import iso

REMEMBERED = MOST  # events that can be asked for again
GRACE_SECONDS = 5.0  # a client that reconnects within these finds the feed running
PATIENCE_SECONDS = 0.3  # to read every file once before `subscribe` returns; the rest is read while events flow
EVERY_NAMESPACE = "*"  # the namespace of a reset that is about all of them


@dataclass(frozen=True, slots=True)
class Event:
    """`id` and `path` are empty in a reset, whose `namespace` may be `EVERY_NAMESPACE`. `at`: ISO 8601 in UTC."""

    sequence: int
    kind: Kind
    namespace: str
    id: str
    path: str
    at: str
    local_only: bool

    def as_dict(self) -> dict[str, Any]:
        """What a client is shown."""
        return {key: value for key, value in asdict(self).items() if key != "local_only"}


class Stream:
    """The events of one audience. Numbers start at the clock, so that those of an earlier process are too old."""

    def __init__(self) -> None:
        self.latest = time.time_ns() // 1000  # microseconds: JSON's numbers hold them exactly
        self._events: deque[Event] = deque(maxlen=REMEMBERED)

    def add(self, namespace: str, changes: Iterable[Change], at: str) -> None:
        for one in changes:
            self.latest += 1
            self._events.append(Event(self.latest, one.kind, namespace, one.id, one.path, at, one.local_only))

    def since(self, sequence: int) -> Iterator[Event] | None:
        """The events later than `sequence`; None if that cannot be told, because some are no longer remembered."""
        missing = self.latest - sequence
        if not 0 <= missing <= len(self._events):
            return None
        return islice(self._events, len(self._events) - missing, None)

    def interrupt(self) -> None:
        """Nobody looks from here on: what comes after the break does not follow what came before."""
        self._events.clear()
        self.latest = max(self.latest + 1, time.time_ns() // 1000)


class Subscription:
    """A place in a stream, from which one reader goes on. A context manager; made by `Feed.subscribe`."""

    def __init__(
        self,
        stream: Stream,
        news: threading.Condition,
        namespaces: frozenset[str] | None,
        after: int | None,
        leave: Callable[[Subscription], None],
    ) -> None:
        self._stream, self._news, self._namespaces, self._leave = stream, news, namespaces, leave
        self._position = stream.latest if after is None else after
        self._resets: deque[Event] = deque()
        self._closed = False

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether nothing more will come."""
        return self._closed

    def next(self, timeout_seconds: float | None = None) -> Event | None:
        """The next event; None if none came in time, and, at once, when the subscription or the feed is closed."""
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        with self._news:
            while not self._closed:
                if event := self._take():
                    return event
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._news.wait(left)
        return None

    def close(self) -> None:
        """End it, and whoever waits in `next`."""
        with self._news:
            if self._closed:
                return
            self._closed = True
            self._news.notify_all()
        self._leave(self)

    def _take(self) -> Event | None:
        """The first event that waits and is asked for."""
        waiting = self._stream.since(self._position)
        if waiting is None:
            self._resets = deque(self._missed())
            self._position = self._stream.latest
        if self._resets:
            return self._resets.popleft()
        for event in waiting or ():
            self._position = event.sequence
            if self._namespaces is None or event.namespace in self._namespaces:
                return event
        return None

    def _missed(self) -> Iterator[Event]:
        """A reset for each namespace. Only the last has the number to go on from: after a break between them, all
        of them come again."""
        names = [EVERY_NAMESPACE] if self._namespaces is None else sorted(self._namespaces)
        for name in names:
            sequence = self._stream.latest if name == names[-1] else self._position
            yield Event(sequence, RESET.kind, name, "", "", iso(datetime.now(UTC)), False)


class Feed:
    """The changes in one home. Any number of subscriptions, in any threads.

    `poll`: look at every file each 2 s instead of being told by the system, as happens by itself where the system
    does not tell. A home that does not exist is waited for.
    """

    def __init__(self, home: Path, *, poll: bool = False) -> None:
        self._home, self._poll = home, poll
        self._news = threading.Condition()  # guards the streams, the set of subscriptions and what they hold
        self._streams = {True: Stream(), False: Stream()}  # by whether they tell of local_only memories
        self._subscriptions: set[Subscription] = set()
        self._closed = False
        self._running = threading.RLock()  # guards the lookout; taken before `_news`, never after it
        self._lookout: Lookout | None = None
        self._ending: threading.Timer | None = None

    def subscribe(
        self, namespaces: Iterable[str] | None = None, include_local: bool = False, after: int | None = None
    ) -> Subscription:
        """Be told of the changes from now on, or of those later than the event number `after`.

        `namespaces`: of these only. Changes that are made once this has returned are told. Where `after` is too old,
        and after more than 1,000 events that nobody fetched, a reset stands for what was missed.
        """
        names = None if namespaces is None else frozenset([namespaces] if isinstance(namespaces, str) else namespaces)
        with self._running:
            if not self._closed:
                self._run()
            with self._news:
                subscription = Subscription(self._streams[include_local], self._news, names, after, self._left)
                self._subscriptions.add(subscription)
            if self._closed:
                self._end_subscriptions()
        return subscription

    def close(self) -> None:
        """End all subscriptions."""
        with self._running:
            self._closed = True
            self._end_subscriptions()
            self._stop()

    # --- running while somebody listens ------------------------------------------------------------------------

    def _run(self) -> None:
        if self._ending:
            self._ending.cancel()
            self._ending = None
        if self._lookout and not self._lookout.alive:
            self._stop()
        if self._lookout is None:
            # It fails only by a fault of ours: who listens is ended rather than left to wait, and may come again.
            lookout = Lookout(self._home, self._publish, self._end_subscriptions, poll=self._poll)
            lookout.begin(PATIENCE_SECONDS)
            self._lookout = lookout

    def _left(self, subscription: Subscription) -> None:
        with self._news:
            self._subscriptions.discard(subscription)
            if self._subscriptions or self._closed:
                return
        with self._running:
            if self._ending is None and self._lookout:
                self._ending = threading.Timer(GRACE_SECONDS, self._stop_if_unused)
                self._ending.daemon = True
                self._ending.start()

    def _stop_if_unused(self) -> None:
        with self._running:
            self._ending = None
            if not self._subscriptions:
                self._stop()

    def _stop(self) -> None:
        if self._ending:
            self._ending.cancel()
            self._ending = None
        lookout, self._lookout = self._lookout, None
        if lookout:
            lookout.stop()
        with self._news:
            for stream in self._streams.values():
                stream.interrupt()

    def _end_subscriptions(self) -> None:
        with self._news:
            for subscription in self._subscriptions:
                subscription._closed = True
            self._subscriptions.clear()
            self._news.notify_all()

    # --- what the lookout calls ----------------------------------------------------------------------------------

    def _publish(self, namespace: str, everything: Iterable[Change], shared: Iterable[Change]) -> None:
        at = iso(datetime.now(UTC))
        with self._news:
            self._streams[True].add(namespace, everything, at)
            self._streams[False].add(namespace, shared, at)
            self._news.notify_all()
