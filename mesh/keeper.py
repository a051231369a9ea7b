"""Keeps the caches of a home equal to its files, as long as it runs: for processes that run for long.

    with Keeper(settings, program="mesh watch") as keeper:
        ...

It takes the watch lease of every namespace that no other process keeps, follows what the system reports, and answers
those who ask instead of scanning (`lease`). When the holder of a lease dies, the next keeper has it within a second.
Where the system cannot report, files are looked at every two seconds, and nobody is answered.

Two threads: one takes changes into the index by words, the other embeds what is new (`catching_up`).
"""

from __future__ import annotations

import logging
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial

from . import lease, links
from .catching_up import CatchingUp
from .catching_up import Progress as Embedded
from .errors import MeshError
from .happened import Happened, Told
from .hints import say_once
from .home_events import HomeEvents, Renewal
from .kept import CHOICE, POLL_SECONDS, Kept
from .lease import POLLING, WATCHING, Holder
from .mounts import can_be_relied_upon
from .settings import Settings
from .vault import LOCAL, Vault

log = logging.getLogger("mesh")

LEASE_SECONDS = 1.0  # how often to try for one that another process holds
CHECK_SECONDS = 5.0  # whether events still come

Tell = Callable[[str, list[Happened]], None]  # of a namespace
Indexed = Callable[[str, int, int], None]  # so many files of a namespace were taken in, of so many


class _Ended(Exception):
    """`stop` was called, while files are taken in."""


class Keeper:
    """A context manager. `namespaces`: only these; None: all there are, and those that come.

    `tell` is told what happens, also in namespaces that another process keeps. `indexed` and `embedded` are told of
    progress. All are called from threads of the keeper. `poll`: never rely on what the system reports.
    `keeps_model`: do not let go of the model, since the process needs it anyway.
    """

    def __init__(
        self,
        settings: Settings,
        namespaces: Collection[str] | None = None,
        *,
        program: str,
        tell: Tell | None = None,
        indexed: Indexed | None = None,
        embedded: Embedded | None = None,
        poll: bool = False,
        keeps_model: bool = False,
    ) -> None:
        self._home, self._wanted = settings.home, namespaces
        self._program, self._since = program, time.time()
        self._tell, self._indexed = tell, indexed
        self._catching_up = CatchingUp(settings, embedded, keeps_model=keeps_model)
        self._news = threading.Condition()  # guards what events change, and is never held while watchdog is called
        self._kept: dict[str, Kept] = {}
        self._told: dict[str, Told] = {}
        self._events: HomeEvents | None = None
        self._polling = poll or not can_be_relied_upon(self._home, below=False)
        self._may_watch = not self._polling
        if self._polling and not poll:
            self._use_events(False, "other machines may write to its file system")
        self._around, self._lost, self._ended = True, False, False
        self._renewal = Renewal()
        self._leases_at = math.inf  # when to try again for those that others hold
        self.ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mesh-keeper", daemon=True)

    def __enter__(self) -> Keeper:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns at once; `ready` is set when every namespace has been looked at."""
        with self._news:
            if not self._ended:
                self._catching_up.start()
                self._thread.start()

    def stop(self) -> None:
        """Give back the leases, and all that the system gave."""
        with self._news:
            self._ended = True
            self._news.notify_all()
        if self._thread.ident is not None:
            self._catching_up.stop()
            self._thread.join(timeout=10)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def holds(self) -> list[str]:
        """The namespaces whose leases this process holds."""
        return sorted(name for name, kept in list(self._kept.items()) if kept.lease)

    # --- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with suppress(_Ended):
                while not self._ended:
                    self._prepare()
                    for kept in self._due():
                        self._keep(kept)
                    if not self._due():
                        self.ready.set()
                    self._rest()
        finally:
            self.ready.set()
            if self._events:
                self._events.stop()
            for kept in self._kept.values():
                kept.close()

    def _due(self) -> list[Kept]:
        with self._news:
            now = time.monotonic()
            return [kept for kept in self._kept.values() if kept.due_at(self._polling) <= now and not self._ended]

    def _rest(self) -> None:
        """Until something is due; for seconds at most, since namespaces may come, and events cease, unseen."""
        until = time.monotonic() + (CHECK_SECONDS if self._events else POLL_SECONDS)
        with self._news:
            while not (self._ended or self._around):
                due = [kept.due_at(self._polling) for kept in self._kept.values()]
                renewal = self._renewal.due_at if self._lost else math.inf
                timeout = min([*due, renewal, self._leases_at, until]) - time.monotonic()
                if timeout <= 0:
                    return
                self._news.wait(timeout)

    def _keep(self, kept: Kept) -> None:
        """Look at a namespace, then answer those who asked."""
        with self._news:
            changed, cookies = kept.taken(self._polling)
            self._lost |= not (self._polling or (self._sees() and kept.still_watched))
            if self._lost:
                changed = None
        try:
            happened = kept.look(changed, partial(self._took_in, kept.namespace))
            if not self._lost and not self._polling:
                kept.answer(cookies)
            waits = kept.to_be_embedded()
        except (MeshError, OSError, sqlite3.Error) as error:
            say_once(f"{kept.namespace}: not kept up to date: {error}")
            with self._news:
                kept.failed()
            return
        if happened and self._tell:
            self._tell(kept.namespace, happened)
        if waits:
            self._catching_up.note(kept.namespace)

    def _sees(self) -> bool:
        return self._events is not None and self._events.alive

    def _took_in(self, namespace: str, count: int, total: int) -> None:
        if self._ended:
            raise _Ended
        if self._indexed:
            self._indexed(namespace, count, total)

    # --- namespaces, leases, events ------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Follow the namespaces that there are, take the leases that are free, and watch."""
        if self._around or self._leases_at <= time.monotonic() or not self._events:
            self._around = False
            self._follow_namespaces()
            self._take_leases()
        missing = self._may_watch and not self._sees() and any(kept.active for kept in self._kept.values())
        if (self._lost or missing) and time.monotonic() >= self._renewal.due_at:
            self._watch()

    def _follow_namespaces(self) -> None:
        try:
            there = Vault(self._home).namespaces()
        except MeshError as error:
            say_once(f"namespaces cannot be seen: {error}")
            return
        wanted = there if self._wanted is None else [name for name in there if name in self._wanted]
        for name in self._kept.keys() - set(wanted):
            with self._news:
                gone = self._kept.pop(name)
            gone.close()
            if self._tell:
                log.warning("%s: its folder is no longer there", name)
        for name in wanted:
            if name not in self._kept:
                with self._news:
                    self._kept[name] = Kept(self._home, name, self._told_of(name))

    def _told_of(self, namespace: str) -> Told | None:
        """What the listener knows of a namespace, also of one that went and came again."""
        if self._tell and namespace not in self._told:
            self._told[namespace] = Told(from_nothing=self.ready.is_set())
        return self._told.get(namespace)

    def _take_leases(self) -> None:
        missing = False
        for kept in self._kept.values():
            try:
                missing |= not kept.take_lease(self._holder(kept))
            except OSError as error:
                log.info("%s: no lease: %s", kept.namespace, error.strerror)  # a home that cannot be written, say
        self._leases_at = time.monotonic() + LEASE_SECONDS if missing and self._may_watch else math.inf

    def _holder(self, kept: Kept) -> Holder:
        how = POLLING if self._polling or kept.is_elsewhere else WATCHING
        return Holder(os.getpid(), self._since, how, self._program)

    def _watch(self) -> None:
        """Watch the home, from the beginning; all is doubted that was seen before."""
        self._renewal.begin()
        if self._events:
            self._events.stop()
        self._events, self._lost = None, False
        if not self._may_watch:
            return
        for kept in self._kept.values():
            kept.watched_from_now()  # before it is so: what is replaced in between is noticed
        try:
            self._events = HomeEvents(self._home, self._on_event, partial(self._wake, lost=True))
            self._use_events(True)
        except OSError as error:
            self._use_events(False, error.strerror or str(error))
        with self._news:
            for kept in self._kept.values():
                kept.doubt()

    def _use_events(self, used: bool, reason: str = "") -> None:
        if not used:
            say_once(f"{self._home}: files are looked at every {POLL_SECONDS:g} s, as changes are not told ({reason})")
        self._polling = not used
        for kept in self._kept.values():
            if kept.lease:
                kept.lease.describe(self._holder(kept))

    # --- what the events' thread calls ---------------------------------------------------------------------------

    def _wake(self, *, around: bool = False, lost: bool = False) -> None:
        with self._news:
            self._around, self._lost = self._around or around, self._lost or lost
            self._news.notify_all()

    def _on_event(self, path: str, is_folder: bool, what: str) -> None:
        if asked_about := lease.namespace_of_cookie(path):
            if what == "created":
                self._on_cookie(asked_about, path)
        elif not path.startswith("."):
            self._on_change(path, is_folder)
        elif path.startswith(links.FOLDER) or (what in {"deleted", "moved"} and lease.is_about_leases(path)):
            self._wake(around=True)
        elif path == CHOICE:
            self._catching_up.note_model()

    def _on_cookie(self, namespace: str, path: str) -> None:
        with self._news:
            kept = self._kept.get(namespace)
            if kept and not self._lost:
                kept.ask(path)
                self._news.notify_all()

    def _on_change(self, path: str, is_folder: bool) -> None:
        parts = path.split("/")
        name = parts[1] if parts[0] == LOCAL and len(parts) > 1 else parts[0]
        with self._news:
            kept = self._kept.get(name)
            if is_folder and len(parts) <= 1 + (parts[0] == LOCAL):
                self._around = True
                for one in self._kept.values() if name == LOCAL else ():
                    one.doubt()
            if kept:
                kept.note(path, is_folder)
            if kept or self._around:
                self._news.notify_all()
