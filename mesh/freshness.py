"""Makes one namespace's cache equal to its files in the cheapest way that is certain.

    a watch of this process    it asks often, and has learned from the system what changed since it asked last
    the lease's holder         another process has taken in all that changed: the manifest is right as it is
    a scan                     else: every file's stamp is looked at

The first two look at no file but those whose rows are not settled: see `refresh`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

from . import lease, links, quarantine
from .index.cache import Cache
from .index.plan import Plan
from .missing import refuse_missing_folders
from .moves import settle
from .refresh import Progress, Refresh
from .vault import Vault, roots
from .watcher import Watch

log = logging.getLogger("mesh")

SLOW_SCAN_SECONDS = 0.003
SLOW_SCANS = 3  # after so many a process watches the home instead
WORTH_ASKING = 300  # files: fewer are scanned sooner than anybody answers
ASK_AGAIN_SECONDS = 10.0  # after no answer came
MOST_UNSETTLED = 500  # files to hash; beyond that a scan does it, and settles them


class Freshness:
    """One thread at a time."""

    def __init__(self, vault: Vault, namespace: str, cache: Cache) -> None:
        self._vault, self._namespace, self._cache = vault, namespace, cache
        self._watch: Watch | None = None
        self._slow_scans = 0
        self._ask_again_at = 0.0
        self._manifest: object = None  # that was made equal to the files last; it may be made anew
        self.progress: Progress | None = None  # is told what `refresh` takes in

    def refresh(self, *, patience_seconds: float | None = None) -> tuple[int, Plan]:
        """How many files there are, and what had changed; `patience_seconds` as in `Refresh`."""
        settle(self._vault.home)
        try:
            changed, began = self._known_changes(), time.monotonic()
            found = self.take_in(changed, self.progress, patience_seconds=patience_seconds)
            if changed is None:
                self._slow_scans += time.monotonic() - began > SLOW_SCAN_SECONDS
            if found[1].left and self._watch:
                self._watch.anything_may_have_changed()
            return found
        except BaseException:
            if self._watch:
                self._watch.anything_may_have_changed()
            raise

    def take_in(
        self,
        changed: Collection[str] | None,
        progress: Progress | None = None,
        *,
        patience_seconds: float | None = None,
    ) -> tuple[int, Plan]:
        """The same for one who knows that nothing else changed; None: anything may have."""
        refresh = Refresh(self._vault, self._namespace, self._cache, progress, patience_seconds=patience_seconds)
        if changed is not None:
            refuse_missing_folders(self._vault, self._namespace, self._cache)
            paths = {*changed, *refresh.unsettled()}
            if len(paths) <= MOST_UNSETTLED + len(changed) and self._manifest is self._cache.manifest:
                left = refresh.run_for(paths)
                quarantine.settle(self._vault, self._namespace, self._cache)
                return self._cache.manifest.count_all(), Plan(changed=sorted(changed), left=left)
        found = refresh.run()
        quarantine.settle(self._vault, self._namespace, self._cache)
        if not found[1].left:
            self._manifest = self._cache.manifest
        return found

    def watch(self) -> bool:
        """Learn of changes from the system from now on; False where that fails."""
        home = self._vault.home
        if links.target(home, self._namespace):
            return False  # it lies elsewhere, so no watch on the home tells of it
        if self._watch is None and self._cache.writable and Watch.possible(home):
            try:
                self._watch = Watch(home, roots(self._namespace), self._cache.folder)
            except OSError as error:
                log.warning("each recall looks at every file: the home cannot be watched (%s)", error)
        return self._watch is not None

    def close(self) -> None:
        if self._watch:
            self._watch.stop()
        self._watch, self._slow_scans, self._manifest = None, 0, None

    def _known_changes(self) -> Collection[str] | None:
        """What changed since the last refresh; None if only a scan can tell."""
        if self._watch is None and self._is_vouched_for():
            self._manifest = self._cache.manifest
            return ()
        if self._slow_scans == SLOW_SCANS:
            self._slow_scans += 1
            self.watch()
        return self._watch.changes() if self._watch else None

    def _is_vouched_for(self) -> bool:
        """Whether the lease's holder says that the manifest, as it is now, has all that the files hold."""
        home, now = self._vault.home, time.monotonic()
        if now < self._ask_again_at or not self._cache.writable or not self._is_large():
            return False
        holder = lease.holder_of(home, self._namespace)
        if holder is None or (holder.protocol, holder.how) != (lease.PROTOCOL, lease.WATCHING):
            return False
        answer = lease.asked(home, self._namespace)
        if answer is None:
            self._ask_again_at = time.monotonic() + ASK_AGAIN_SECONDS
            return False
        return answer[:2] == self._cache.identity and answer.generation <= self._cache.manifest.generation()

    def _is_large(self) -> bool:
        row = self._cache.manifest.db.execute("SELECT 1 FROM files LIMIT 1 OFFSET ?", (WORTH_ASKING - 1,)).fetchone()
        return row is not None
