"""One namespace as a keeper sees it: what may have changed, who waits for an answer, and when it is to be looked at."""

from __future__ import annotations

import math
import time
from pathlib import Path

from . import lease, links
from .embedding import choice
from .freshness import Freshness
from .happened import Happened, Told
from .hints import say_once
from .index import models
from .index.cache import Cache
from .lease import Answer, Holder, Lease
from .mounts import can_be_relied_upon
from .moves import settle
from .refresh import Progress
from .scan import is_folder
from .vault import Vault, roots
from .watcher import noted

QUIET_SECONDS = 0.05  # changes come in bursts: so long after the last one they are looked at
BURST_SECONDS = 0.5  # or so long after the first one
RESCAN_SECONDS = 300.0  # whatever the events say
POLL_SECONDS = 2.0  # where there are no events
TRY_AGAIN_SECONDS = 5.0  # what could not be read, and a lease that another holds
REST = 2  # times as long as the last scan took: what changes all the time must not cost all the time
CHOICE = f".models/{choice.FILE}"


class Kept:
    """`note` and `ask` are for the events' thread, under the keeper's lock; the rest is for the keeper's own."""

    def __init__(self, home: Path, namespace: str, told: Told | None) -> None:
        """`told`: what a listener knows, if there is one."""
        self.home, self.namespace = home, namespace
        self.lease: Lease | None = None
        self._vault, self._roots = Vault(home), roots(namespace)
        self.cache = Cache(home, namespace, self._roots)
        self._freshness = Freshness(self._vault, namespace, self.cache)
        self._told = told
        self._changed: set[str] | None = None  # None: anything may have changed
        self._cookies: list[str] = []
        self._noted_first, self._noted_last = 0.0, 0.0  # 0: nothing was
        self._scanned_at, self._rest_until, self._again_at = -math.inf, 0.0, 0.0
        self._found_something = True
        self.watched_from_now()

    @property
    def active(self) -> bool:
        """Whether somebody relies on this process to look."""
        return self.lease is not None or self._told is not None

    @property
    def asked(self) -> bool:
        return bool(self._cookies)

    def close(self) -> None:
        self._give_back()
        self._freshness.close()
        self.cache.close()

    # --- what may have changed -----------------------------------------------------------------------------------

    def note(self, path: str, is_folder: bool) -> None:
        """A file or folder of this namespace may have changed."""
        if self._changed is not None:
            self._changed = noted(self._changed, path, is_folder)
        if self._changed is None or path in self._changed:
            self._noted_last = time.monotonic()
            self._noted_first = self._noted_first or self._noted_last

    def ask(self, cookie: str) -> None:
        """Somebody wants to know whether the cache is as the files are."""
        if self.lease and not self.is_elsewhere:
            self._cookies.append(cookie)

    def doubt(self) -> None:
        """Anything may have changed."""
        self._changed = None
        self._noted_first = self._noted_last = time.monotonic()

    def due_at(self, polling: bool) -> float:
        """When it is to be looked at, by the monotonic clock."""
        if not self.active:
            return math.inf
        if self._cookies:
            return max(0.0, self._again_at)
        polling = polling or self.is_elsewhere
        due = self._scanned_at + (POLL_SECONDS if polling else RESCAN_SECONDS)
        if self._noted_first:
            due = min(due, self._noted_first + BURST_SECONDS, self._noted_last + QUIET_SECONDS)
        if self._changed is None or polling:
            due = max(due, self._rest_until)
        return max(due, self._again_at)

    def taken(self, polling: bool) -> tuple[set[str] | None, list[str]]:
        """What is to be looked at now, None: everything, and the cookies to be answered then."""
        changed, cookies = self._changed, self._cookies
        self._changed, self._cookies = set(), []
        self._noted_first = 0.0
        if polling or self.is_elsewhere or time.monotonic() >= self._scanned_at + RESCAN_SECONDS:
            changed = None
        return changed, cookies

    # --- leases and folders --------------------------------------------------------------------------------------

    def take_lease(self, holder: Holder) -> bool:
        """Whether the lease is had, now or before. Raises `OSError`."""
        if self.lease and not self.lease.valid:
            self._give_back()
        if self.lease is None:
            self.lease = Lease.take(self.home, self.namespace, holder)
            if self.lease:
                lease.sweep(self.home, self.namespace)
                self.doubt()
        return self.lease is not None

    def _give_back(self) -> None:
        if self.lease:
            self.lease.release()
        self.lease = None

    def watched_from_now(self) -> None:
        """Its folders, as they are now, are those that events come from."""
        self._watched = self._identities()
        # Other machines write to it, or it lies outside of the home: what the system tells is not all that changes.
        is_linked = links.target(self.home, self.namespace) is not None
        self.is_elsewhere = is_linked or not all(map(can_be_relied_upon, self._folders()))
        if is_linked:
            say_once(f"{self.namespace}: looked at every {POLL_SECONDS:g} s, as it is linked from outside of the home")

    @property
    def still_watched(self) -> bool:
        """Not if a folder was replaced: then events come from another one, or none."""
        return self._watched == self._identities()

    @property
    def exists(self) -> bool:
        return any(is_folder(self.home, root) for root in self._roots)

    def _folders(self) -> list[Path]:
        return [self.home / root for root in self._roots if is_folder(self.home, root)]

    def _identities(self) -> tuple[object, ...]:
        found: list[object] = []
        for root in ("", *self._roots):
            try:
                status = (self.home / root).stat()
                found.append((status.st_dev, status.st_ino))
            except OSError:
                found.append(None)
        return tuple(found)

    # --- looking -------------------------------------------------------------------------------------------------

    def look(self, changed: set[str] | None, progress: Progress | None = None) -> list[Happened]:
        """Make the cache equal the files, and say what happened. Raises `MeshError`."""
        began = time.monotonic()
        self._found_something |= self.cache.run(lambda: self._look(changed, progress))
        if changed is None:
            self._scanned_at = time.monotonic()
            self._rest_until = self._scanned_at + REST * (self._scanned_at - began)
        found = self._told.news(self.cache.manifest, changed) if self._told else []
        if changed is None:
            self.cache.give_back()
        return found

    def _look(self, changed: set[str] | None, progress: Progress | None) -> bool:
        settle(self.home)
        return bool(self._freshness.take_in(changed, progress)[1])

    def failed(self) -> None:
        """It could not be read: later, and then all of it."""
        self.doubt()
        self._again_at = time.monotonic() + TRY_AGAIN_SECONDS

    def answer(self, cookies: list[str]) -> None:
        """Vouch for the manifest as it is now."""
        identity = self.cache.identity
        if not (cookies and self.lease and self.lease.valid and self.cache.writable and identity):
            return
        answer = Answer(*identity, self.cache.manifest.generation())
        for cookie in cookies:
            lease.answer(self.home, cookie, answer)

    def to_be_embedded(self) -> bool:
        """Whether this process is to see to vectors: memories may have come without them since it did."""
        if not self.lease or not self._found_something:
            return False
        self._found_something = False
        return models.anything_waits(self.cache.manifest)
