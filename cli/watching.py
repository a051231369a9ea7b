"""`mesh watch`."""

from __future__ import annotations

import logging
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mesh.errors import InvalidInput, MeshError, VaultUnavailable
from mesh.settings import Settings

from . import background
from .options import Every, Json, Namespace, sync_seconds
from .output import Bar, Bars, Row, first_line, note, one_line, print_json, print_json_lines, styled, visible, width
from .regular_sync import regular_sync, said_of_syncs, tell_of_sync

if TYPE_CHECKING:
    from mesh.happened import Happened

    News = queue.SimpleQueue[tuple[str, list[Happened]] | Row]

_COLORS = {"added": "green", "changed": "yellow", "moved": "cyan", "gone": "red"}
_LOOK_SECONDS = 30.0  # whether the keeper is still there
_FEW = 50  # memories; more of them to embed get a bar


def watch(
    in_background: Annotated[bool, typer.Option("--background", help="Start it, detached, and return.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End the one in the background.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Say who watches; 3 if nobody does.")] = False,
    sync: Annotated[bool, typer.Option("--sync", help="Also sync what is shared, as mesh sync --watch does.")] = False,
    every: Every = None,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Follow changes as they happen, and keep recall instant. Ctrl-C ends it.

    Prints a line for each memory that comes, changes, moves or goes, whoever does it: an editor, git, an agent. While
    it runs, no other command has to look at every file. Without -N it watches every namespace.
    """
    if in_background + stop + status > 1:
        raise InvalidInput("--background, --stop and --status exclude each other", remedy="Give one of them")
    if namespace is not None and (in_background or stop or status):
        raise InvalidInput("what runs in the background watches every namespace", remedy="Leave out -N")
    if (sync or every) and (stop or status):
        raise InvalidInput("--sync and --every are for what watches", place="watch", remedy="Leave them out")
    settings = Settings.from_environment()
    if status:
        _print_status(settings, as_json)
    elif stop:
        ended = background.stop(settings.home)
        note(f"ended (process {ended})" if ended else "nothing watches this home in the background")
    elif in_background:
        _start(settings, sync_seconds(settings, sync, every))
    else:
        follow(settings, None if namespace is None else [namespace], as_json, sync_seconds(settings, sync, every))


def _start(settings: Settings, every_seconds: float | None) -> None:
    started, pid = background.start(settings.home, every_seconds)
    note(f"process {pid} watches {settings.home}" if started else f"process {pid} does already")
    running = background.status(settings.home)
    if not started and running and running.get("sync_every") != every_seconds:
        is_at_it = f"syncs every {running['sync_every']:g} s" if running.get("sync_every") else "does not sync"
        raise InvalidInput(f"it {is_at_it}", place=f"process {pid}", remedy="End it first: mesh watch --stop")


def follow(settings: Settings, names: list[str] | None, as_json: bool, every_seconds: float | None) -> None:
    """Watch these namespaces, None: all, until a signal comes; and sync them, if that is to be done every so often."""
    from mesh import inputs
    from mesh.keeper import Keeper

    names = names and [inputs.namespace(name) for name in names]
    news: News = queue.SimpleQueue()
    progress = _Progress()
    syncs = regular_sync(settings, names, every_seconds, news.put)

    def tell(namespace: str, happened: list[Happened]) -> None:
        news.put((namespace, happened))
        if syncs:
            syncs.note(namespace, happened)

    with _ended_by_signals():
        keeper = Keeper(
            settings,
            names,
            program="mesh watch",
            tell=tell,
            indexed=progress.indexed,
            embedded=progress.embedded,
        )
        try:
            with keeper, syncs or nullcontext():
                _wait_until_ready(keeper.ready)
                progress.all_indexed()
                note(_said_at_first(settings, names, keeper.holds()))
                if every_seconds:
                    note(said_of_syncs(settings, names, every_seconds))
                while keeper.alive:
                    _print_news(settings, news, progress, as_json)
                raise VaultUnavailable("watching ended by itself", place=str(settings.home), remedy="See above")
        finally:
            progress.finish()


def _wait_until_ready(ready: threading.Event) -> None:
    while not ready.wait(_LOOK_SECONDS):
        pass


def _said_at_first(settings: Settings, names: list[str] | None, held: list[str]) -> str:
    from mesh.lease import holder_of
    from mesh.vault import Vault

    watched = [name for name in Vault(settings.home).namespaces() if names is None or name in names]
    others = {name: holder.pid for name in watched if name not in held and (holder := holder_of(settings.home, name))}
    if not watched:
        return f"waiting for memories in {settings.home / names[0] if names else settings.home}"
    kept = ", ".join(f"{name} by process {pid}" for name, pid in others.items())
    return f"watching {', '.join(watched)}" + (f" (kept up to date: {kept})" if kept else "")


def _print_news(settings: Settings, news: News, progress: _Progress, as_json: bool) -> None:
    """What was told within the next while, if anything was."""
    try:
        told = news.get(timeout=_LOOK_SECONDS)
    except queue.Empty:
        return
    progress.make_room()
    if isinstance(told, dict):
        tell_of_sync(told, as_json)
        return
    namespace, several = told
    at = datetime.now(UTC).astimezone()
    rows = (_row(settings, namespace, one, at, as_json) for one in several)
    if as_json:
        print_json_lines(rows)
    else:
        for row in rows:
            print(_line(row))
    sys.stdout.flush()


def _row(settings: Settings, namespace: str, one: Happened, at: datetime, as_json: bool) -> dict[str, Any]:
    time_said = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if as_json else at.strftime("%H:%M:%S")
    row = {"time": time_said, "namespace": namespace, "happened": one.kind, "id": one.id, "path": one.path}
    return row | {"was": one.was, "title": one.title or _first_words(settings, one)}


def _first_words(settings: Settings, one: Happened) -> str:
    """The first line of a memory that has no title; "" if it is gone, or cannot be understood."""
    from mesh.vault import Vault

    if one.kind == "gone":
        return ""
    try:
        return first_line(Vault(settings.home).read(one.path)[0].content.lstrip("# "), 200)
    except MeshError:
        return ""


def _line(row: dict[str, Any]) -> str:
    place = visible(row["path"]) if row["was"] is None else visible(f"{row['was']} -> {row['path']}")
    facts = [styled(row["time"], "dim"), row["namespace"], styled(f"{row['happened']:<7}", _COLORS[row["happened"]])]
    title = first_line(row["title"], width() - 30 if sys.stdout.isatty() else 0)
    return "  ".join([*facts, row["id"] or "-" * 16, one_line(place), title]).rstrip()


def _print_status(settings: Settings, as_json: bool) -> None:
    """Who watches each namespace; exits with 3 if nobody watches any."""
    from mesh.memory import iso
    from mesh.status import watched

    running = background.status(settings.home)
    rows = watched(settings.home)
    if running:
        running["since"] = iso(datetime.fromtimestamp(running["since"], UTC))
    if as_json:
        print_json({"background": running, "namespaces": rows})
    for row in () if as_json else rows:
        who = (
            f"{row['program']}, process {row['pid']}, since {row['since']}, by {row['how']}" if row["pid"] else "nobody"
        )
        print(f"{row['namespace']}\t{who}")
    if not as_json:
        print(f"in the background\t{'process ' + str(running['pid']) if running else 'nothing'}")
    if not running and not any(row["pid"] for row in rows):
        raise typer.Exit(3)


class _Progress:
    """Bars on stderr: first of files, then of memories to be embedded. Called from threads of the keeper."""

    def __init__(self) -> None:
        self._files: Bars | None = Bars()
        self._memories: Bar | None = None
        self._turn = threading.Lock()

    def indexed(self, namespace: str, count: int, total: int) -> None:
        with self._turn:
            if self._files:
                self._files(f"files of {namespace}", count, total)

    def all_indexed(self) -> None:
        with self._turn:
            if self._files:
                self._files.finish()
            self._files = None

    def embedded(self, _: str, count: int, left: int) -> None:
        with self._turn:
            if self._memories is None and left > _FEW:
                self._memories = Bar(count + left, "memories embedded", time.monotonic)
            if self._memories and count:
                self._memories.advance(count)
            if left == 0:
                self._close()

    def make_room(self) -> None:
        """Something is printed: not behind a bar."""
        if self._memories and sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def finish(self) -> None:
        self.all_indexed()
        with self._turn:
            self._close()

    def _close(self) -> None:
        if self._memories:
            self._memories.finish()
        self._memories = None


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Ctrl-C, and what a system sends when it shuts down, end what is inside; that is no error."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        logging.getLogger("mesh").debug("ended by a signal")
    finally:
        signal.signal(signal.SIGTERM, before)
