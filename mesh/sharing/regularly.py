"""Sync what is shared on an interval, for processes that run for long.

    with RegularSync(settings, 300.0, program="mesh watch", tell=print) as syncs:
        ...  # and `syncs.note` for what a keeper tells

Each sync is a process of its own (`mesh.sync_process`): a network that hangs holds up nobody, and what is told to end
ends at once, with its git. `pacing` says when, `saying` what is worth telling, `turns` which process.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import GitFailed, LockTimeout, MeshError
from ..happened import Happened
from ..settings import Settings
from ..vault import LOCAL
from .pacing import Pace
from .saying import Said
from .syncing import shared_namespaces
from .turns import Syncer, Turn

log = logging.getLogger("mesh")

AT_ONCE = 4  # processes
FOLLOW_SECONDS = 30.0  # how often to look which namespaces are shared; less where the interval is short
END_SECONDS = 3.0  # for a sync that is told to end

Row = dict[str, Any]
Tell = Callable[[Row], None]


class _Followed:
    """One namespace. Guarded by the condition of whoever follows it."""

    def __init__(self, namespace: str, every_seconds: float) -> None:
        self.namespace, self.pace, self.said = namespace, Pace(every_seconds, time.monotonic()), Said()
        self.turn: Turn | None = None
        self.running = False
        self._own = set[str]()  # paths that a sync wrote, until the system tells of it

    def note(self, paths: Iterable[str]) -> bool:
        """Something happened at these paths. Whether that is a reason to sync."""
        theirs = {path for path in paths if not path.startswith(f"{LOCAL}/")}
        own = theirs & self._own
        self._own -= own
        if theirs == own:
            return False
        self.pace.changed(time.monotonic())
        return True

    def ended(self, row: Row) -> None:
        self.running = False
        if row.get("error") == LockTimeout.code:
            self.pace.postponed(time.monotonic())
            return
        self.pace.ended(time.monotonic(), reached=row.get("error") != GitFailed.code)
        self._own = {f"{self.namespace}/{path}" for key in ("new", "changed", "gone") for path in row.get(key, ())}


class RegularSync:
    """A context manager. `namespaces`: only these; None: all that are shared, and those that will be.

    `tell` gets a row as `Mesh.sync` gives it, with `again` if the last one failed, or `namespace, error, message`, if
    there is something to tell. It is called from threads of this object.
    """

    def __init__(
        self,
        settings: Settings,
        every_seconds: float,
        *,
        program: str,
        tell: Tell,
        namespaces: Collection[str] | None = None,
    ) -> None:
        self._settings, self._every_seconds = settings, every_seconds
        self._wanted, self._tell = namespaces, tell
        self._syncer = Syncer(os.getpid(), program, every_seconds)
        self._news = threading.Condition()  # guards all below
        self._followed: dict[str, _Followed] = {}
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="mesh-sync", daemon=True)

    def __enter__(self) -> RegularSync:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._thread.start()

    def note(self, namespace: str, happened: Iterable[Happened]) -> None:
        """Something happened in a namespace: it is synced when that has settled."""
        paths = [path for one in happened for path in (one.path, one.was) if path]
        with self._news:
            if (one := self._followed.get(namespace)) and one.note(paths):
                self._news.notify_all()

    def stop(self) -> None:
        """End, and with it what runs; a sync may be ended anywhere."""
        with self._news:
            self._ended = True
            self._news.notify_all()
            processes = list(self._processes)
        for process in processes:
            process.terminate()
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(END_SECONDS)
            process.kill()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    # --- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            follow_at = 0.0
            while not self._ended:
                if time.monotonic() >= follow_at:
                    self._follow()
                    follow_at = time.monotonic() + min(FOLLOW_SECONDS, self._every_seconds)
                with self._news:
                    self._begin()
                    waiting = [one.pace.due_at() for one in self._followed.values() if not one.running]
                    until = min([follow_at, *waiting]) if len(self._processes) < AT_ONCE else follow_at
                    if not self._ended:
                        self._news.wait(max(0.0, until - time.monotonic()))
        finally:
            for one in self._followed.values():
                if one.turn:
                    one.turn.release()

    def _follow(self) -> None:
        """Take note of which namespaces are shared now."""
        try:
            there = shared_namespaces(self._settings)
        except MeshError as error:
            log.info("what is shared cannot be seen: %s", error)
            return
        wanted = {name for name in there if self._wanted is None or name in self._wanted}
        with self._news:
            for name in wanted - self._followed.keys():
                self._followed[name] = _Followed(name, self._every_seconds)
            for name in self._followed.keys() - wanted:
                if not self._followed[name].running and (turn := self._followed.pop(name).turn):
                    turn.release()

    def _begin(self) -> None:
        """Begin the syncs that are due, as far as it is this process's turn. The caller has the condition."""
        for one in sorted(self._followed.values(), key=lambda one: one.pace.due_at()):
            if one.running or one.pace.due_at() > time.monotonic():
                continue
            if len(self._processes) >= AT_ONCE or self._ended:
                return
            if not self._has_turn(one):
                one.pace.postponed(time.monotonic())
                continue
            try:
                process = _begun(self._settings.home, one.namespace)
            except OSError as error:
                log.info("%s: not synced: %s", one.namespace, error.strerror)
                one.pace.postponed(time.monotonic())
                continue
            one.running = True
            one.pace.begun()
            self._processes.add(process)
            threading.Thread(target=self._wait, args=(one, process), name="mesh-sync-one", daemon=True).start()

    def _has_turn(self, one: _Followed) -> bool:
        if one.turn is None:
            try:
                one.turn = Turn.take(self._settings.home, one.namespace, self._syncer)
            except OSError as error:
                log.info("%s: not synced: %s", one.namespace, error.strerror)  # a home that cannot be written, say
        return one.turn is not None

    def _wait(self, one: _Followed, process: subprocess.Popen[bytes]) -> None:
        row = _told_by(process, one.namespace)
        with self._news:
            self._processes.discard(process)
            one.ended(row)
            self._news.notify_all()
            news = None if self._ended or row.get("error") == LockTimeout.code else one.said.news(row)
        if news:
            self._tell(news)


def _begun(home: Path, namespace: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "mesh.sync_process", str(home), namespace],
        stdin=subprocess.PIPE,  # which is closed with this process: then it ends, too
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=home,
        start_new_session=True,
    )


def _told_by(process: subprocess.Popen[bytes], namespace: str) -> Row:
    assert process.stdin and process.stdout
    with process.stdin, process.stdout:
        said = process.stdout.read()
        code = process.wait()
    try:
        row: Row = json.loads(said)
        return row
    except ValueError:
        message = f"its sync ended without a result (exit code {code}). Run: mesh sync {namespace}"
        return {"namespace": namespace, "error": MeshError.code, "message": message}
