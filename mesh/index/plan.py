"""What a refresh has to do, decided without touching a disk.

Stamps are a hint, bytes are the truth. A file whose stamp is the one we know is taken as unchanged only if that
stamp was already old when the file was hashed: within one tick of the file system's clock a second write leaves the
same stamp (git calls such files racy).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.moved or self.gone or self.unreadable or self.restamped)


def is_settled(stamp: Stamp, now_ns: int) -> bool:
    """Whether a later write must give another stamp: its times lie more than one clock tick before `now_ns`.

    A time that is a whole second comes from a file system that counts in seconds or two. A time in the future (a
    clock that was set back) is never settled.
    """
    _, mtime_ns, ctime_ns, _ = stamp
    tick = COARSE_TICK_NS if mtime_ns % 1_000_000_000 == 0 else FINE_TICK_NS
    return max(mtime_ns, ctime_ns) + tick < now_ns


def suspects(snapshot: Snapshot, known: Mapping[str, Known]) -> list[str]:
    """The files that must be read and hashed to know whether they changed."""
    return [
        path
        for path, stamp in snapshot.files.items()
        if (before := known.get(path)) is None or before.stamp != stamp or not before.settled or before.digest is None
    ]


def plan(snapshot: Snapshot, known: Mapping[str, Known], digests: Mapping[str, bytes | None]) -> Plan:
    """Compare. `digests`: the sha256 of every suspect, None where it could not be read; a suspect that is missing
    there was deleted in the meantime."""
    result = Plan()
    new: list[str] = []
    for path, digest in digests.items():
        before = known.get(path)
        if digest is None:
            result.unreadable.append(path)
        elif before is None:
            new.append(path)
        elif before.digest != digest:
            result.changed.append(path)
        else:
            result.restamped.append(path)
    vanished = [path for path in known if path not in snapshot.files or _was_deleted(path, known, snapshot, digests)]
    hidden = tuple(snapshot.unreadable)
    for path in vanished:
        if hidden and path.startswith(hidden):
            result.unreadable.append(path)
        else:
            result.gone.append(path)
    _pair_moves(result, new, known, digests)
    return result


def _was_deleted(
    path: str, known: Mapping[str, Known], snapshot: Snapshot, digests: Mapping[str, bytes | None]
) -> bool:
    """Listed by the scan, but no longer there when it was to be read."""
    before = known[path]
    suspect = before.stamp != snapshot.files[path] or not before.settled or before.digest is None
    return suspect and path not in digests


def _pair_moves(
    result: Plan, new: Iterable[str], known: Mapping[str, Known], digests: Mapping[str, bytes | None]
) -> None:
    """A new file with the bytes of one that is gone is that file, moved."""
    gone_by_digest: dict[bytes, list[str]] = {}
    for path in result.gone:
        if digest := known[path].digest:
            gone_by_digest.setdefault(digest, []).append(path)
    moved_from = set()
    for path in new:
        candidates = gone_by_digest.get(digests[path] or b"")
        if candidates:
            old = candidates.pop()
            moved_from.add(old)
            result.moved.append((old, path))
        else:
            result.added.append(path)
    result.gone = [path for path in result.gone if path not in moved_from]
