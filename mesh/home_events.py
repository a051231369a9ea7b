"""Every change below a home, in the order in which it happened: one watchdog emitter, so one inotify instance.

Whoever keeps track of files by it can drop a file anywhere in the home (a cookie) and, when that is reported, knows
that all earlier changes have been (Watchman's trick). Certainty ends where the kernel's queue overflows, where it
grants no more watches, and where a folder could not be watched because it could not be read: `lost` is called. It also
ends, without a word, where something is mounted: `alive` says so. Whoever goes on must begin again with a new
`HomeEvents` and a look at all files.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .mounts import Mounts

OVERFLOW_LOGGER = "watchdog.observers.inotify_c"
_LEAST_PAUSE, _MOST_PAUSE = 0.5, 30.0  # seconds
_IN_DELETE_SELF = 0x400

# (path relative to the home with "/", whether it is a folder, what happened to it in watchdog's word)
OnEvent = Callable[[str, bool, str], None]


class HomeEvents:
    """Begins at once. Raises `OSError` where the system grants no watch. Both callbacks come from other threads."""

    def __init__(self, home: Path, on_event: OnEvent, lost: Callable[[], None]) -> None:
        self.home = home.resolve()  # watchdog would watch a link, not where it leads
        self.blind = False  # the kernel grants no more watches, so changes go by unseen
        self._prefix = f"{self.home}{os.sep}"
        self._on_event, self._lost = on_event, lost
        self._process, self._stopped = os.getpid(), False
        self._overflow = Overflow(lost)
        self._mounts = Mounts(self.home)
        try:
            self._observer = self._started()
        except BaseException:
            self._mounts.close()
            raise

    def _started(self) -> Any:
        observer = new_observer()
        handler = quiet_handler(self._handle)
        observer.schedule(handler, str(self.home), recursive=True, event_filter=kinds_of_change())
        try:
            observer.start()
            ask_for_one_more_watch()
        except BaseException:
            _end(observer)
            raise
        logging.getLogger(OVERFLOW_LOGGER).addHandler(self._overflow)
        return observer

    @property
    def forked(self) -> bool:
        """Whether this is a copy in a child process, which no event reaches."""
        return self._process != os.getpid()

    @property
    def alive(self) -> bool:
        """Whether events still come, from all that lies below the home."""
        running = is_running(self._observer) and all(one.is_alive() for one in self._observer.emitters)
        return running and not self.forked and not self._mounts.changed

    def stop(self) -> None:
        """End it; an event that is on its way is not told any more."""
        self._stopped = True
        logging.getLogger(OVERFLOW_LOGGER).removeHandler(self._overflow)
        self._mounts.close()
        if not self.forked:
            _end(self._observer)

    def _handle(self, event: Any) -> None:
        if self._stopped:
            return
        for path in (os.fsdecode(event.src_path), os.fsdecode(event.dest_path)):
            if path.startswith(self._prefix):
                self._tell(path[len(self._prefix) :].replace(os.sep, "/"), event.is_directory, event.event_type)
            elif path and event.is_directory and event.event_type == "deleted":
                self._lost()  # the home itself went

    def _tell(self, path: str, is_folder: bool, what: str) -> None:
        if is_folder and what == "created":
            self._check_that_it_sees()
        elif is_folder and what == "attrib" and not path.startswith("."):
            self._lost()  # it may be that it could not be watched before
        self._on_event(path, is_folder, what)

    def _check_that_it_sees(self) -> None:
        try:
            ask_for_one_more_watch()
        except OSError:
            self.blind = True
            self._lost()


class Renewal:
    """When watching may begin again: soon, but not again and again. Times are of the monotonic clock."""

    def __init__(self) -> None:
        self._began_at, self._pause_seconds = -math.inf, _LEAST_PAUSE

    @property
    def due_at(self) -> float:
        return self._began_at + self._pause_seconds

    def begin(self) -> None:
        again_soon = time.monotonic() < self.due_at + self._pause_seconds
        self._pause_seconds = min(2 * self._pause_seconds, _MOST_PAUSE) if again_soon else _LEAST_PAUSE
        self._began_at = time.monotonic()


# --- watchdog and the kernel's limits, for `hints` as well -----------------------------------------------------------


class Overflow(logging.Handler):
    """watchdog tells its handlers nothing of an overflow of the kernel's queue; it logs it, before later events."""

    def __init__(self, note: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        self._note()


def new_observer() -> Any:
    """A watchdog observer that keeps to itself what it has to say: it is not for stderr."""
    from watchdog.observers import Observer

    logger = logging.getLogger("watchdog")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        warnings.filterwarnings("ignore", module=r"watchdog\.")  # pages of its own state, when folders move fast
    observer = Observer()
    observer.daemon = True
    return observer


def quiet_handler(on_event: Callable[[Any], None]) -> Any:
    """A watchdog handler that hands every event on."""
    from watchdog.events import FileSystemEventHandler

    handler = FileSystemEventHandler()
    handler.on_any_event = on_event  # type: ignore[method-assign,assignment]
    return handler


def kinds_of_change() -> list[Any]:
    """What is to be reported: not that a file was opened, nor that it was closed unchanged. A new mode is a change."""
    from watchdog import events

    newer = [getattr(events, name) for name in ("FileAttribEvent", "DirAttribEvent") if hasattr(events, name)]
    return [
        events.FileCreatedEvent, events.FileModifiedEvent, events.FileMovedEvent, events.FileDeletedEvent,
        events.DirCreatedEvent, events.DirMovedEvent, events.DirDeletedEvent, *newer,
    ]  # fmt: skip


def ask_for_one_more_watch() -> None:
    """Raises `OSError` if the kernel grants none: below the first folder of a watch, watchdog passes over that."""
    import ctypes

    libc = ctypes.CDLL(None)
    fd = libc.inotify_init1(os.O_CLOEXEC)
    granted = fd >= 0 and libc.inotify_add_watch(fd, os.fsencode(os.sep), _IN_DELETE_SELF) >= 0
    limit = "watches" if fd >= 0 else "instances"
    if fd >= 0:
        os.close(fd)
    if not granted:
        raise OSError(f"the kernel's limit is reached: raise fs.inotify.max_user_{limit} with sysctl")


def _end(observer: Any) -> None:
    with contextlib.suppress(KeyError):  # watchdog's, where two folders changed places
        observer.stop()
    if observer.is_alive():
        observer.join(timeout=2)


def is_running(observer: Any) -> bool:
    """Whether its own threads run: the one that reads from the kernel ends where watchdog makes a mistake."""
    reading = getattr(observer, "_inotify_fd", None)
    return bool(observer.is_alive() and (reading is None or reading.is_alive()))
