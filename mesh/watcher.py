"""Know what changed without looking at every file, in a process that asks more than once.

watchdog watches the home. A question first drops a cookie file and waits until the watcher reports it: the kernel
keeps the order, so all earlier changes have been reported as well (Watchman's trick). The cookie lies in the cache,
never in a namespace. Wherever certainty ends, the answer is "anything may have changed", and the caller scans: no
cookie within 50 ms, an overflow of the kernel's queue, a folder that moved, a minute since the last scan, a file
system that other machines write to.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

COOKIE_SECONDS = 0.05
SCAN_AGAIN_SECONDS = 60.0

# File systems that only this machine writes to, so that its kernel sees every change.
_LOCAL_FILE_SYSTEMS = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "bcachefs", "jfs"})
OVERFLOW_LOGGER = "watchdog.observers.inotify_c"
_IN_DELETE_SELF = 0x400


class Watch:
    """A running watch on some folders (`roots`) of a home. `changes` is its only question."""

    def __init__(self, home: Path, roots: tuple[str, ...], cookies: Path) -> None:
        real = home.resolve()  # watchdog would watch a link, not where it leads
        self._home, self._cookies = real, real / cookies.relative_to(home)
        self._prefixes = tuple(f"{real}{os.sep}{root}{os.sep}".replace("/", os.sep) for root in roots)
        self._blind = False  # the kernel grants no more watches, so changes go by unseen
        self._changed: set[str] | None = None  # None: anything may have changed
        self._scanned_at = 0.0
        self._seen_cookie = ""
        self._news = threading.Condition()
        self._process = os.getpid()
        self._number = 0
        self._observer = self._start()

    @classmethod
    def possible(cls, home: Path) -> bool:
        """Whether a watch on this home can be relied upon."""
        return sys.platform == "linux" and _file_system(home) in _LOCAL_FILE_SYSTEMS

    def _start(self) -> Any:
        """Raises `OSError` when the kernel's limit of watches is reached."""
        handler, observer = quiet_handler(self._on_event), new_observer()
        observer.schedule(handler, str(self._home), recursive=True, event_filter=kinds_of_change())
        overflow = Overflow(self.anything_may_have_changed)
        try:
            observer.start()
            ask_for_one_more_watch()
        except BaseException:
            _end(observer)
            raise
        logging.getLogger(OVERFLOW_LOGGER).addHandler(overflow)
        self._overflow = overflow
        return observer

    def stop(self) -> None:
        logging.getLogger(OVERFLOW_LOGGER).removeHandler(self._overflow)
        if self._process == os.getpid():
            _end(self._observer)

    # --- what the observer's thread reports --------------------------------------------------------------------

    def _on_event(self, event: Any) -> None:
        if event.is_directory and event.event_type == "created":
            self._check_that_it_sees()
        with self._news:
            for path in (os.fsdecode(event.src_path), os.fsdecode(event.dest_path)):
                if path.startswith(self._prefixes):
                    self._note(path, event.is_directory)
                elif path.startswith(str(self._cookies)):
                    self._seen_cookie = path
                    self._news.notify_all()
                elif event.is_directory and event.event_type != "created" and self._holds(path):
                    self._changed = None

    def _check_that_it_sees(self) -> None:
        try:
            ask_for_one_more_watch()
        except OSError:
            self._blind = True

    def _holds(self, folder: str) -> bool:
        """Whether one of the watched folders is this one or lies in it."""
        return any(prefix.startswith(folder + os.sep) for prefix in self._prefixes)

    def _note(self, path: str, is_folder: bool) -> None:
        relative = Path(path).relative_to(self._home).as_posix()
        hidden = any(part.startswith(".") for part in relative.split("/"))
        if self._changed is None or hidden:
            return
        if is_folder:
            self._changed = None
        elif relative.lower().endswith(".md"):
            self._changed.add(relative)

    def anything_may_have_changed(self) -> None:
        with self._news:
            self._changed = None

    # --- what a question asks ----------------------------------------------------------------------------------

    def changes(self) -> set[str] | None:
        """Paths of files that may have changed since the last call; None: scan, for anything may have."""
        complete = not self._blind and self._process == os.getpid() and self._cookie_came_back()
        with self._news:
            known, self._changed = self._changed, set()
            if known is None or not complete or time.monotonic() - self._scanned_at > SCAN_AGAIN_SECONDS:
                self._scanned_at = time.monotonic()
                return None
            return known

    def _cookie_came_back(self) -> bool:
        """Drop a cookie; True once the watcher has reported it."""
        self._number += 1
        cookie = self._cookies / f"cookie-{self._process}-{self._number}"
        try:
            cookie.touch(mode=0o600)
        except OSError:
            return False
        try:
            with self._news:
                return self._news.wait_for(lambda: self._seen_cookie == str(cookie), COOKIE_SECONDS)
        finally:
            with contextlib.suppress(OSError):
                cookie.unlink()


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
    """What is to be reported: not that a file was opened, nor that it was closed unchanged."""
    from watchdog import events

    return [
        events.FileCreatedEvent, events.FileModifiedEvent, events.FileMovedEvent, events.FileDeletedEvent,
        events.DirCreatedEvent, events.DirMovedEvent, events.DirDeletedEvent,
    ]  # fmt: skip


def ask_for_one_more_watch() -> None:
    """Raises `OSError` if the kernel grants none: below the first folder of a watch, watchdog passes over that."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_CLOEXEC)
    granted = fd >= 0 and libc.inotify_add_watch(fd, os.fsencode(os.sep), _IN_DELETE_SELF) >= 0
    reason = os.strerror(ctypes.get_errno())
    if fd >= 0:
        os.close(fd)
    if not granted:
        raise OSError(f"{reason}: fs.inotify.max_user_watches or max_user_instances is reached")


def _end(observer: Any) -> None:
    observer.stop()
    if observer.is_alive():
        observer.join(timeout=2)


def _file_system(path: Path) -> str:
    """The kind of file system that holds `path`, from the kernel's list of mounts; "" if unknown."""
    best, kind = "", ""
    try:
        for line in Path("/proc/self/mounts").read_text("utf-8", "surrogateescape").splitlines():
            point, found = line.split(" ")[1:3]
            point = point.replace("\\040", " ")
            if len(point) > len(best) and f"{path}/".startswith(point.rstrip("/") + "/"):
                best, kind = point, found
    except (OSError, ValueError):
        return ""
    return kind
