"""Files that cannot be read, and the last good version of each, which is served in its place.

The row of `files` has the digest of the broken bytes, and for all else what the good version says. It goes when
that row does. `asked` is what the repository was when it was asked; it is
noted also where there was no good version. A copy of that version stands here, since each git costs more than a
recall; like all of the cache it can be made again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from ..files import sha256
from .damage import CacheDamaged
from .manifest import REFUSED, SERVED, Manifest


class Broken(NamedTuple):
    """`asked` None: nobody looked for a good version yet."""

    path: str
    digest: bytes
    asked: str | None


class Kept(NamedTuple):
    """A good version. `local`: it must not leave this machine, whatever it says."""

    data: bytes
    commit: str
    when: datetime
    local: bool


def every(manifest: Manifest, root: str) -> list[Broken]:
    """The broken files below a root."""
    same = "q.path = f.path AND q.digest = f.digest"
    rows = manifest.db.execute(
        f"SELECT f.path, f.digest, q.asked FROM files f LEFT JOIN quarantined q ON {same}"
        f" WHERE f.state = {REFUSED} AND substr(f.path, 1, ?2) = ?1 UNION ALL"
        f" SELECT f.path, f.digest, q.asked FROM quarantined q CROSS JOIN files f ON {same} WHERE f.state = {SERVED}",
        (f"{root}/", len(root) + 1),
    )
    return [Broken(*row) for row in rows]


def kept(manifest: Manifest, path: str, digest: bytes) -> Kept | None:
    """The good version of a broken file that has this digest. Raises `CacheDamaged`."""
    ask = "SELECT good, checksum, commit_id, moment, local FROM quarantined WHERE path = ? AND digest = ?"
    row = manifest.db.execute(ask, (path, digest)).fetchone()
    if row is None or row[0] is None:
        return None
    if sha256(row[0]) != row[1]:
        raise CacheDamaged(f"the last good version of {path} is not what it was")
    return Kept(row[0], row[2], datetime.fromtimestamp(row[3], UTC), bool(row[4]))


def served(manifest: Manifest) -> dict[str, str]:
    """The path of each file whose last good version is served, and the commit of that."""
    ask = (
        "SELECT path, commit_id FROM quarantined q JOIN files f USING (path)"
        f" WHERE f.digest = q.digest AND f.state = {SERVED} ORDER BY path"
    )
    return dict(manifest.db.execute(ask).fetchall())


def reasons(manifest: Manifest) -> dict[str, str]:
    """Why there is no good version of some files, where that is not plain: git could not be asked."""
    return dict(manifest.db.execute("SELECT path, reason FROM quarantined WHERE reason <> ''").fetchall())


def note(manifest: Manifest, one: Broken, good: Kept | None, reason: str) -> None:
    """Remember what was found for a file, within a transaction. `one.asked`: of what."""
    found = (good.data, sha256(good.data), good.commit, good.when.timestamp(), good.local) if good else (None,) * 5
    manifest.db.execute("INSERT OR REPLACE INTO quarantined VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*one, *found, reason))
