"""Hints that something in a home may have changed: from the system where it tells, else from the clock.

watchdog watches the folders that matter: the home and `_local/` without what lies below (namespaces come and go
there), and each namespace's two folders with all below. Not the home as a whole: the trash alone may hold more
folders than the kernel lets a user watch. A hint only says where to look; what changed, the files say. Where certainty
ends (an overflow of the kernel's queue, a minute gone by) the hint is "everything".
"""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import links
from .errors import MeshError
from .home_events import (
    OVERFLOW_LOGGER,
    Overflow,
    ask_for_one_more_watch,
    is_running,
    kinds_of_change,
    new_observer,
    quiet_handler,
)
from .mounts import can_be_relied_upon
from .scan import is_folder
from .vault import LOCAL, Vault, roots

log = logging.getLogger("mesh")

BURST_SECONDS = 1.0  # changes come in bursts: one that goes on for longer is looked at meanwhile
POLL_SECONDS = 2.0
LOOK_AGAIN_SECONDS = 60.0


class Hints:
    """Where to look, in one home. One thread asks (`renew`, `wait`, `stop`); `note` and `end` are for any thread."""

    def __init__(self, vault: Vault, *, poll: bool = False) -> None:
        self._vault, self._poll = vault, poll
        # Never held while watchdog is called: it holds a lock of its own when it calls.
        self._news = threading.Condition()
        self._noted: set[str | None] = set()  # None: everything
        self._noted_at = 0.0
        self._ended = False
        self._looked_at = time.monotonic()  # when everything was last to be looked at
        self._observer: Any = None
        self._watched: dict[Path, tuple[tuple[int, int], Any]] = {}  # (device, inode), watchdog's own object
        self._process = os.getpid()
        self._overflow = Overflow(self.note)

    # --- what the asking thread calls ----------------------------------------------------------------------------

    def wait(self, quiet_seconds: float) -> set[str] | None:
        """The namespaces to look at, once no hint came for `quiet_seconds`; None: all there are. Empty when ended."""
        with self._news:
            left = self._looked_at + (LOOK_AGAIN_SECONDS if self._watched else POLL_SECONDS) - time.monotonic()
            self._news.wait_for(lambda: self._ended or self._noted, max(0.0, left))
            self._wait_for_quiet(quiet_seconds)
            noted, self._noted = self._noted, set()
            if self._ended:
                return set()
            if not noted or None in noted or left <= 0:
                self._looked_at = time.monotonic()
                return None
            return {name for name in noted if name is not None}

    def _wait_for_quiet(self, seconds: float) -> None:
        latest = time.monotonic() + max(BURST_SECONDS, seconds)
        while self._noted and not self._ended and (now := time.monotonic()) < min(latest, self._noted_at + seconds):
            self._news.wait(min(latest, self._noted_at + seconds) - now)

    def renew(self) -> None:
        """Watch the folders there are now, and no longer those that went."""
        if self._poll:
            return
        try:
            wanted = dict(self._folders())
            if self._observer and not is_running(self._observer):
                self.stop()
            if wanted and self._observer is None:
                self._observer = self._started()
            self._watch_these(wanted)
        except (FileNotFoundError, NotADirectoryError):
            self.note()  # a folder went away in this moment: again
        except (OSError, MeshError) as error:
            self._only_poll(getattr(error, "strerror", None) or str(error))

    def stop(self) -> None:
        """Free all that the system gave."""
        logging.getLogger(OVERFLOW_LOGGER).removeHandler(self._overflow)
        observer, self._observer = self._observer, None
        self._watched.clear()
        if observer and self._process == os.getpid():  # in a forked child it is the parent's
            observer.stop()
            observer.join(timeout=2)

    # --- what any thread calls -----------------------------------------------------------------------------------

    def note(self, namespace: str | None = None) -> None:
        """Look at this namespace; None: at everything."""
        with self._news:
            self._noted.add(namespace)
            self._noted_at = time.monotonic()
            self._news.notify_all()

    def end(self) -> None:
        """Wake the asking thread for the last time."""
        with self._news:
            self._ended = True
            self._news.notify_all()

    # --- watching ------------------------------------------------------------------------------------------------

    def _folders(self) -> Iterator[tuple[Path, tuple[str | None, tuple[int, int]]]]:
        """The folders to watch, each with its namespace (None: of all) and its identity."""
        home = self._vault.home.resolve()  # watchdog would watch a link, not where it leads
        if not home.is_dir():
            return
        yield home, (None, _identity(home))
        if is_folder(home, LOCAL):
            yield home / LOCAL, (None, _identity(home / LOCAL))
        for namespace in self._vault.namespaces():
            for root in roots(namespace):
                if is_folder(home, root):
                    folder = links.place(home, root)
                    yield folder, (namespace, _identity(folder))

    def _started(self) -> Any:
        logging.getLogger("watchdog.observers.inotify").addFilter(_is_news)
        logging.getLogger(OVERFLOW_LOGGER).addHandler(self._overflow)
        observer = new_observer()
        observer.start()
        return observer

    def _watch_these(self, wanted: dict[Path, tuple[str | None, tuple[int, int]]]) -> None:
        for folder, (identity, watch) in list(self._watched.items()):
            if folder not in wanted or wanted[folder][1] != identity:
                del self._watched[folder]
                self._observer.unschedule(watch)
        for folder, (namespace, identity) in wanted.items():
            if folder not in self._watched:
                if not can_be_relied_upon(folder, below=namespace is not None):
                    raise OSError("other machines may write to its file system")
                self._watched[folder] = identity, self._watch(folder, namespace)
        if self._watched:
            ask_for_one_more_watch()

    def _watch(self, folder: Path, namespace: str | None) -> Any:
        """Raises `OSError` when the kernel's limit of watches is reached."""
        handler = quiet_handler(lambda event: self._on_event(event, folder, namespace))
        recursive = namespace is not None
        return self._observer.schedule(handler, str(folder), recursive=recursive, event_filter=kinds_of_change())

    def _on_event(self, event: Any, folder: Path, namespace: str | None) -> None:
        for path in filter(None, (os.fsdecode(event.src_path), os.fsdecode(event.dest_path))):
            hidden = any(part.startswith(".") for part in Path(path).relative_to(folder).parts)
            if not hidden and (event.is_directory or (namespace and path.lower().endswith(".md"))):
                self.note(namespace)

    def _only_poll(self, reason: str) -> None:
        self.stop()
        self._poll = True
        say_once(f"{self._vault.home}: changes are looked for each {POLL_SECONDS:g} s, as none are reported ({reason})")


def _is_news(record: logging.LogRecord) -> bool:
    """Not what watchdog calls an error each time that a watch ends in the middle of an event."""
    return "thread is inactive" not in record.getMessage()


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


@functools.cache
def say_once(text: str) -> None:
    """Into the log, and not again in this process."""
    log.warning("%s", text)
