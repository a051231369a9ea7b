"""What a refresh has to do, decided without touching a disk.

    differing -> (some files are read) -> Planning.of -> (they are acted upon, the next ones are read) -> Planning.rest

Stamps are a hint, bytes are the truth. A file whose stamp is the one we know is taken as unchanged only if that
stamp was already old when the file was hashed: within one tick of the file system's clock a second write leaves the
same stamp (git calls such files racy).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ..scan import Snapshot, Stamp

FINE_TICK_NS = 50_000_000
COARSE_TICK_NS = 2_100_000_000


class Known(NamedTuple):
    """What the manifest says of a file. `settled`: its stamp was old when it was hashed. `digest` None: unreadable."""

    stamp: Stamp
    settled: bool
    digest: bytes | None


@dataclass(slots=True)
class Plan:
    """The actions of a refresh. Each path stands in one of them at most; unchanged files stand in none."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)  # (old path, new path)
    gone: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    restamped: list[str] = field(default_factory=list)  # same bytes, other stamp
    left: int = 0  # files to be looked at that are left to another process, which is just taking them in

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.moved or self.gone or self.unreadable or self.restamped)

    def extend(self, other: Plan) -> None:
        """Add the actions of another part of the same refresh."""
        for name in ("added", "changed", "moved", "gone", "unreadable", "restamped"):
            getattr(self, name).extend(getattr(other, name))


def is_settled(stamp: Stamp, now_ns: int) -> bool:
    """Whether a later write must give another stamp: its times lie more than one clock tick before `now_ns`.

    A time that is a whole second comes from a file system that counts in seconds or two. A time in the future (a
    clock that was set back) is never settled.
    """
    _, mtime_ns, ctime_ns, _ = stamp
    tick = COARSE_TICK_NS if mtime_ns % 1_000_000_000 == 0 else FINE_TICK_NS
    return max(mtime_ns, ctime_ns) + tick < now_ns


def differing(snapshot: Snapshot, rows: Iterable[tuple[str, Known]]) -> tuple[dict[str, Known], list[str]]:
    """What a refresh has to look at. `rows`: all that the manifest knows.

    The known files that are no longer what they were, or no longer there, and the paths that must be read and hashed.
    """
    files, new = snapshot.files, set(snapshot.files)
    known = {}
    for path, before in rows:
        new.discard(path)
        if before.stamp != files.get(path) or not before.settled or before.digest is None:
            known[path] = before
    suspects = [path for path in known if path in files]
    return known, suspects + ([path for path in files if path in new] if new else [])


class Planning:
    """Decides a refresh part by part, so that what was decided is done before more is read."""

    def __init__(self, snapshot: Snapshot, known: Mapping[str, Known]) -> None:
        """`known`: at least the files that `differing` names."""
        self._known, self._gone, self._by_digest = known, dict[str, None](), dict[bytes, list[str]]()
        self._hidden = list[str]()
        unseen = tuple(snapshot.unreadable)
        for path in known:
            if path not in snapshot.files:
                if unseen and path.startswith(unseen):
                    self._hidden.append(path)
                else:
                    self._note_gone(path)

    def of(self, paths: Collection[str], digests: Mapping[str, bytes | None]) -> Plan:
        """What to do about some suspects. `digests`: the sha256 of each, None where it could not be read.

        One that is missing there was deleted in the meantime. A new file with the bytes of one that is gone is that
        file, moved.
        """
        for path in paths:
            if path not in digests and path in self._known:
                self._note_gone(path)
        result = Plan()
        for path, digest in digests.items():
            before = self._known.get(path)
            if digest is None:
                result.unreadable.append(path)
            elif before is None:
                if (old := self._moved_from(digest)) is None:
                    result.added.append(path)
                else:
                    result.moved.append((old, path))
            elif before.digest != digest:
                result.changed.append(path)
            else:
                result.restamped.append(path)
        return result

    def rest(self) -> Plan:
        """What to do when all suspects have been dealt with."""
        return Plan(gone=list(self._gone), unreadable=self._hidden)

    def _note_gone(self, path: str) -> None:
        self._gone[path] = None
        if digest := self._known[path].digest:
            self._by_digest.setdefault(digest, []).append(path)

    def _moved_from(self, digest: bytes) -> str | None:
        candidates = self._by_digest.get(digest)
        if not candidates:
            return None
        old = candidates.pop()
        del self._gone[old]
        return old
