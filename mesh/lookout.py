"""Looks at the files of a home while somebody wants to hear of changes, and tells what is different."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from . import codec
from .differences import Change, Known, compare, filled, gone, shared
from .errors import MalformedMemory, MeshError
from .files import Folder, sha256
from .hints import Hints, say_once
from .index.plan import is_settled
from .memory import derived_id
from .scan import Snapshot, Stamp, is_folder
from .vault import LOCAL, Vault, roots

QUIET_SECONDS = 0.1
REST = 4  # times as long as the last look took: what changes all the time must not cost all the time
USUAL_BYTES = 65_536  # a file that has grown beyond since it was listed is read again when that is hinted at
EMPTIED_SECONDS = 1.0  # some editors empty a file before they write it

Report = Callable[[str, list[Change], list[Change]], None]


class Lookout:
    """One thread, from `begin` to `stop`.

    `report` is told of a namespace's changes, and of those that may leave this machine; `failed` is called when the
    thread ends by itself.
    """

    def __init__(self, home: Path, report: Report, failed: Callable[[], None], *, poll: bool = False) -> None:
        self._vault = Vault(home)
        self._report, self._failed = report, failed
        self._hints = Hints(self._vault, poll=poll)
        self._files: dict[str, dict[str, Known]] = {}  # of each namespace
        self._missing: dict[str, set[str]] = {}  # of those, what was gone at the last look
        self._devices: dict[str, int] = {}  # of each root that there is
        self._read_once = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="mesh-feed", daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def begin(self, patience_seconds: float) -> None:
        """From the return on, changes are seen. Waits for a while until every file has been read once."""
        self._hints.renew()  # first: what happens while the files are listed is hinted at
        self._for_each(self._namespaces(), self._list)
        self._thread.start()
        self._read_once.wait(patience_seconds)

    def stop(self) -> None:
        self._ended = True
        self._hints.end()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        try:
            self._for_each(self._namespaces(), self._look)
            self._read_once.set()
            rest = QUIET_SECONDS
            while not self._ended:
                noted = self._hints.wait(rest)
                began = time.monotonic()
                if noted is None:
                    self._hints.renew()
                self._for_each(self._namespaces() if noted is None else noted, self._look)
                rest = max(QUIET_SECONDS, REST * (time.monotonic() - began))
        finally:
            self._hints.stop()
            self._read_once.set()
            if not self._ended:
                self._failed()

    def _namespaces(self) -> set[str]:
        """Those there are, and those there were."""
        try:
            return {*self._vault.namespaces(), *self._files}
        except MeshError as error:
            say_once(f"changes cannot be seen: {error}")
            return set()

    def _for_each(self, namespaces: Iterable[str], action: Callable[[str], None]) -> None:
        for namespace in sorted(namespaces):
            try:
                action(namespace)
            except (OSError, MeshError) as error:
                say_once(f"{namespace}: changes cannot be seen: {error}")

    def _list(self, namespace: str) -> None:
        """Take note of what is there, to be read soon."""
        self._lost_roots(namespace)
        listed = self._vault.scan(namespace).files
        self._files[namespace] = {path: _unread(path, stamp) for path, stamp in listed.items()}

    def _look(self, namespace: str) -> None:
        """Compare a namespace with the last look at it, and report."""
        before = self._files.get(namespace, {})
        after = self._read(namespace, self._vault.scan(namespace), before)
        lost = self._lost_roots(namespace)
        if self._ended:
            return
        for root in lost:  # "list again" says all there is to say
            after = {path: known for path, known in after.items() if root in self._devices or not _in(path, root)}
            before = {path: known for path, known in before.items() if not _in(path, root)}
            before |= {path: known for path, known in after.items() if _in(path, root)}
        after |= self._waited_for(namespace, before, after)
        self._files[namespace] = after
        if not any(root in self._devices for root in roots(namespace)):
            del self._files[namespace]
        before = filled(before, after)
        resets = [Change("reset", local_only=_in(root, LOCAL)) for root in lost]
        everything = resets + compare(before, after)
        to_all = [one for one in resets if not one.local_only] + compare(shared(before), shared(after))
        if everything or to_all:
            self._report(namespace, everything, to_all)

    def _waited_for(self, namespace: str, before: dict[str, Known], after: dict[str, Known]) -> dict[str, Known]:
        """Files that are gone for the first time: git and many editors delete one and write it anew. Looks again."""
        missing = gone(before, after)
        waited_for = {path: before[path] for path in missing - self._missing.get(namespace, set())}
        self._missing[namespace] = missing
        if waited_for:
            self._hints.note(namespace)
        return waited_for

    def _lost_roots(self, namespace: str) -> list[str]:
        """The folders of a namespace that are gone since the last look, or lie on another disk than they did."""
        lost = []
        for root in roots(namespace):
            before, now = self._devices.get(root), _device(self._vault.home, root)
            if now is None:
                self._devices.pop(root, None)
            else:
                self._devices[root] = now
            if before not in {None, now}:
                lost.append(root)
        return lost

    # --- reading -------------------------------------------------------------------------------------------------

    def _read(self, namespace: str, snapshot: Snapshot, before: dict[str, Known]) -> dict[str, Known]:
        """What is known of the files of a snapshot; only those are read that may have changed."""
        now_ns = time.time_ns()
        after: dict[str, Known] = {}
        with _Reader(self._vault.home) as reader:
            for path, stamp in snapshot.files.items():
                known = before.get(path)
                if known is None or known.stamp != stamp or not known.settled:
                    if self._ended:
                        break
                    known = self._known(namespace, path, stamp, known, reader)
                    known = known and known._replace(settled=is_settled(known.stamp, now_ns))
                if known:
                    after[path] = known
        if hidden := tuple(snapshot.unreadable):
            after |= {path: known for path, known in before.items() if path not in after and path.startswith(hidden)}
        return after

    def _known(self, namespace: str, path: str, stamp: Stamp, before: Known | None, reader: _Reader) -> Known | None:
        """A file as it is now; as it was before, None for a new one, while an editor is writing it."""
        try:
            data = reader.bytes_of(path, stamp)
            if not data or (before and not before.id):  # it was written, or emptied to be, since it was listed
                stamp = _stamp(self._vault.home / path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            local = before.local_only if before else _in(path, LOCAL)
            return Known(stamp, False, b"", (before and before.id) or derived_id(path), local)
        if not data and 0 <= time.time() - stamp[1] / 1e9 < EMPTIED_SECONDS:
            self._hints.note(namespace)  # look again
            return before
        return _understood(path, stamp, data)


class _Reader:
    """Reads files in the order of a scan, and so need not open their folder for each of them."""

    def __init__(self, home: Path) -> None:
        self._home, self._parent = home, ""
        self._folder: Folder | None = None

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder:
            self._folder.close()
        self._folder = None

    def bytes_of(self, path: str, stamp: Stamp) -> bytes:
        """As `Vault.bytes_of`, without making room for the largest file there may be."""
        parent, _, name = path.rpartition("/")
        if self._folder is None or parent != self._parent:
            self.__exit__()
            self._folder, self._parent = Folder.open(self._home, *parent.split("/")), parent
        return self._folder.read(name, limit=min(max(stamp[0], USUAL_BYTES), codec.MAX_FILE_BYTES) + 1)


def _understood(path: str, stamp: Stamp, data: bytes) -> Known:
    """A refused file that speaks of local_only counts as that: what is not understood must not be shared."""
    try:
        memory = codec.read(data, path)
    except MalformedMemory:
        local = _in(path, LOCAL) or b"local_only" in data
        return Known(stamp, False, sha256(data), derived_id(path), local)
    return Known(stamp, False, sha256(data), memory.id, memory.local_only)


def _unread(path: str, stamp: Stamp) -> Known:
    return Known(stamp, False, b"", "", _in(path, LOCAL))


def _stamp(path: Path) -> Stamp:
    found = path.stat(follow_symlinks=False)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _device(home: Path, root: str) -> int | None:
    try:
        return (home / root).stat().st_dev if is_folder(home, root) else None
    except FileNotFoundError:
        return None


def _in(path: str, root: str) -> bool:
    return path.startswith(root + "/")
