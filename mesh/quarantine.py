"""Files that came in broken, by git or by a hand: they stay as they are, and their last good version is served.

That comes from the history alone, so a cache made anew serves the same. Git is asked only where a file is broken, and
again only when the file or what is checked out became another.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import served
from .codec import MAX_FILE_BYTES
from .errors import MeshError
from .files import sha256
from .index import broken, lexical
from .index.broken import Broken, Kept
from .index.cache import Cache
from .index.file_row import FileRow
from .index.manifest import REFUSED, SERVED, Manifest
from .memory import Problem
from .vault import Vault

if TYPE_CHECKING:
    from .git.last_good import Good

log = logging.getLogger("mesh")


def settle(vault: Vault, namespace: str, cache: Cache) -> None:
    """Have the last good version of each broken file served, as git knows it now. To be called after a refresh."""
    files = broken.every(cache.manifest, namespace)
    if not files:
        return
    from .git.last_good import standing

    now = standing(vault.home, namespace)
    stale = [Broken(path, digest, now) for path, digest, asked in files if asked != now]
    if not stale:
        return
    found, reason = _found(vault, namespace, stale) if now else ({}, "")
    kept = {one.path: good for one in stale if one.path in found and (good := _kept(vault, one, found[one.path]))}
    known = [one for one in stale if one.path in kept or one.path not in found]
    _take_over(cache.manifest, known, kept, reason)


def _found(vault: Vault, namespace: str, stale: Sequence[Broken]) -> tuple[Mapping[str, Good], str]:
    """Good versions by path, and why there are none, if git could not be asked."""
    from .git.last_good import last_good

    prefix = f"{namespace}/"
    try:
        found = last_good(vault.home, namespace, [one.path.removeprefix(prefix) for one in stale])
        return {f"{prefix}{path}": good for path, good in found.items()}, ""
    except (MeshError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        log.warning("the last good version of %s is not known: %s", stale[0].path, reason)
        return {}, reason


def _kept(vault: Vault, one: Broken, good: Good) -> Kept | None:
    """None if the file is another by now: the next refresh sees to it.

    What speaks of local_only, or was not seen whole, may not leave.
    """
    try:
        data = vault.bytes_of(one.path)
    except OSError:
        return None
    if sha256(data) != one.digest:
        return None
    local = b"local_only" in data.replace(b"\0", b"") or len(data) > MAX_FILE_BYTES
    return Kept(good.data, good.commit, good.when, local)


def _take_over(manifest: Manifest, files: Sequence[Broken], kept: Mapping[str, Kept], reason: str) -> None:
    """Have these good versions in the manifest, and none of the other files. What the last scan saw still holds."""
    generation, mark = manifest.generation(), manifest.get("scan")
    with manifest.changing_files():
        for one in files:
            if old := _row_of(manifest, one):
                manifest.put(row(*old, kept.get(one.path)))
                broken.note(manifest, one, kept.get(one.path), reason)
        if manifest.generation() == generation + 1:
            manifest.set("scan", mark)


def _row_of(manifest: Manifest, one: Broken) -> tuple[str, tuple[Any, ...], Sequence[Problem]] | None:
    """What the manifest says of a broken file itself; None if it is another by now."""
    ask = "SELECT size, mtime_ns, ctime_ns, inode, settled, problems FROM files WHERE path = ? AND digest = ?"
    found = manifest.db.execute(ask, (one.path, one.digest)).fetchone()
    if found is None:
        return None
    problems = [Problem(one.path, *each) for each in json.loads(found[-1] or "[]")]
    return one.path, (*found[:-1], one.digest), problems


def row(path: str, of_file: Sequence[Any], problems: Sequence[Problem], good: Kept | None) -> FileRow:
    """A broken file as the manifest keeps it. `of_file`: its stamp, whether that is settled, its digest."""
    *stamp, settled, digest = of_file
    size, mtime_ns, ctime_ns, inode = stamp
    about = (path, SERVED if good else REFUSED, (size, mtime_ns, ctime_ns, inode), bool(settled), digest)
    if good is None:
        return FileRow(*about, problems=problems)
    memory = served.of_good(good, path)
    text = sha256(memory.content.encode("utf-8"))
    return FileRow(*about, memory, text_digest=text, about=lexical.about(memory), problems=problems)


def expected(manifest: Manifest, fresh: FileRow | None) -> FileRow | None:
    """The row that the manifest should have, where this is that of the file itself."""
    if fresh is None:
        return None
    state, *of_file = fresh.columns[:7]
    digest = of_file[-1]
    good = broken.kept(manifest, fresh.path, digest) if state == REFUSED and isinstance(digest, bytes) else None
    return row(fresh.path, of_file, fresh.problems, good) if good else fresh


def release(manifest: Manifest) -> None:
    """Serve no good version any more: the files are to be those of another commit."""
    files = [Broken(path, digest, None) for path, digest, asked in broken.every(manifest, "") if asked]
    if files:
        _take_over(manifest, files, {}, "")
    with manifest.transaction() as db:
        db.execute("DELETE FROM quarantined")
