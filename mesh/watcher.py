"""Know what changed without looking at every file, in a process that asks more than once.

A question first drops a cookie file and waits until the watcher reports it: the kernel keeps the order, so all earlier
changes have been reported as well (Watchman's trick). The cookie lies in the cache, never in a namespace. Wherever
certainty ends, the answer is "anything may have changed", and the caller scans: no cookie within 50 ms, an overflow of
the kernel's queue, a folder that moved, a minute since the last scan, a file system that other machines write to.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

from .home_events import HomeEvents
from .mounts import can_be_relied_upon
from .scan import is_passed_over, is_unicode

COOKIE_SECONDS = 0.05
SCAN_AGAIN_SECONDS = 60.0


class Watch:
    """A running watch on some folders (`roots`) of a home. `changes` is its only question."""

    def __init__(self, home: Path, roots: tuple[str, ...], cookies: Path) -> None:
        """Raises `OSError` when the kernel's limit of watches is reached."""
        self._home, self._cookies = home, cookies.relative_to(home).as_posix()
        self._roots = roots
        self._changed: set[str] | None = None  # None: anything may have changed
        self._lost = False  # changes may have gone by unseen
        self._scanned_at = 0.0
        self._seen_cookie = ""
        self._news = threading.Condition()
        self._number = 0
        self._events = HomeEvents(home, self._on_event, self._note_loss)

    @classmethod
    def possible(cls, home: Path) -> bool:
        """Whether a watch on this home can be relied upon."""
        return can_be_relied_upon(home)

    def stop(self) -> None:
        self._events.stop()

    # --- what the observer's thread reports --------------------------------------------------------------------

    def _on_event(self, path: str, is_folder: bool, _: str) -> None:
        with self._news:
            if path.startswith(self._cookies):
                self._seen_cookie = path
                self._news.notify_all()
            elif is_folder and any(root == path or _is_in(root, path) for root in self._roots):
                self._changed = None
            elif any(_is_in(path, root) for root in self._roots) and self._changed is not None:
                self._changed = noted(self._changed, path, is_folder)

    def _note_loss(self) -> None:
        with self._news:
            self._lost = True

    def anything_may_have_changed(self) -> None:
        with self._news:
            self._changed = None

    # --- what a question asks ----------------------------------------------------------------------------------

    def changes(self) -> set[str] | None:
        """Paths of files that may have changed since the last call; None: scan, for anything may have."""
        complete = self._sees() and self._cookie_came_back()
        with self._news:
            known, self._changed = self._changed, set()
            if known is None or not complete or time.monotonic() - self._scanned_at > SCAN_AGAIN_SECONDS:
                self._scanned_at = time.monotonic()
                return None
            return known

    def _sees(self) -> bool:
        """Whether changes are seen; after a loss the watch begins again, since folders may have come unseen."""
        if self._events.forked or self._events.blind:
            return False
        if self._lost or not self._events.alive:
            self._events.stop()
            self._lost = False
            self.anything_may_have_changed()
            try:
                self._events = HomeEvents(self._home, self._on_event, self._note_loss)
            except OSError:
                self._lost = self._events.blind = True
        return not self._lost

    def _cookie_came_back(self) -> bool:
        """Drop a cookie; True once the watcher has reported it."""
        self._number += 1
        name = f"{self._cookies}/cookie-{os.getpid()}-{self._number}"
        cookie = self._home / name
        try:
            cookie.touch(mode=0o600)
        except OSError:
            return False
        try:
            with self._news:
                return self._news.wait_for(lambda: self._seen_cookie == name, COOKIE_SECONDS) and not self._lost
        finally:
            with contextlib.suppress(OSError):
                cookie.unlink()


def noted(changed: set[str], path: str, is_folder: bool) -> set[str] | None:
    """What may have changed after one more event; None: anything, because a folder came or went with its files."""
    if any(map(is_passed_over, path.split("/"))):
        return changed
    if is_folder or not is_unicode(path):  # what has no name as text is only listed, by a scan
        return None
    if path.lower().endswith(".md"):
        changed.add(path)
    return changed


def _is_in(path: str, folder: str) -> bool:
    return path.startswith(folder + "/")
