"""Make a namespace's cache equal to its files.

    scan -> suspects -> hash -> plan -> act

Nothing is written to a memory's file, whatever is found. A file that cannot be read is not deleted, a folder that is
missing is not empty, and one bad file never stops the others.
"""

from __future__ import annotations

import hashlib
import marshal
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from . import codec
from .errors import MalformedMemory, VaultUnavailable
from .files import sha256
from .index import lexical, postings
from .index.cache import Cache
from .index.file_row import FileRow
from .index.manifest import EMPTY, REFUSED, SERVED, UNREADABLE
from .index.plan import Known, Plan, is_settled, plan, suspects
from .memory import Problem
from .scan import Snapshot, Stamp, is_folder
from .vault import Vault, roots

ROWS_A_TRANSACTION = 500
_HELD_BYTES = 16 << 20  # read for hashing and kept for parsing; beyond that a file is read twice
_GONE = b"\0gone"


class Refresh:
    """One refresh of one namespace."""

    def __init__(self, vault: Vault, namespace: str, cache: Cache) -> None:
        self._vault, self._namespace, self._cache = vault, namespace, cache
        self._held: dict[str, bytes] = {}
        self._held_bytes = 0
        self._now_ns = time.time_ns()
        self._generation = 0  # of the manifest, as this refresh knows it
        self._waits = 25  # for files that an editor has just emptied

    def run(self) -> tuple[int, Plan]:
        """Scan and act. Returns how many files there are, and what was done."""
        refuse_missing_folders(self._vault, self._namespace, self._cache)
        self._now_ns = time.time_ns()
        self._generation = self._cache.manifest.generation()
        snapshot = self._vault.scan(self._namespace)
        mark = _digest(snapshot)
        manifest = self._cache.manifest
        if manifest.get("scan") == mark:
            return len(snapshot.files), Plan()
        known = self._known()
        self._refuse_unmounted(snapshot, known)
        todo = plan(snapshot, known, dict(self._hashed(suspects(snapshot, known))))
        self._act(todo, snapshot)
        if manifest.writable:
            self._note_scan(snapshot, todo, mark)
        return len(snapshot.files), todo

    def run_for(self, paths: Iterable[str]) -> None:
        """Take in some files that were just written or removed, without a scan."""
        rows = {path: self._fresh_row(path, self._stamp(path)) for path in paths if not self._is_known(path)}
        if not rows:
            return
        with self._cache.manifest.changing_files():
            for path, row in rows.items():
                if row:
                    self._cache.manifest.put(row)
                else:
                    self._cache.manifest.remove([path])

    def _is_known(self, path: str) -> bool:
        """Whether the manifest has this file as it is: as a rule this process wrote it a moment ago."""
        row = self._cache.manifest.db.execute(
            "SELECT size, mtime_ns, ctime_ns, inode, digest FROM files WHERE path = ?", (path,)
        ).fetchone()
        if not row or row[:4] != self._stamp(path):
            return False
        return bool(dict(self._hashed([path])).get(path) == row[4])

    def wrong_rows(self) -> list[str]:
        """Paths of files of which the manifest, just refreshed, says something else than they do.

        What the lexical index says of a file is compared by a sum of hashes: all of it would not fit into memory.
        """
        manifest, wrong = self._cache.manifest, []
        indexed: dict[int, int] = {}
        for file_id, *entry in postings.entries(manifest.db):
            indexed[file_id] = indexed.get(file_id, 0) + hash(tuple(entry))
        for file_id, path, state, *rest in manifest.db.execute("SELECT * FROM files ORDER BY path").fetchall():
            row = self._fresh_row(path, self._stamp(path))
            terms = manifest.analyzer.weighed([row.words])[0] if row and row.words else {}
            expected = sum(map(hash, postings.entries_of(terms))) if terms else 0
            # The stamp aside: it is about the cache, and was looked at before.
            same = row and (state, *rest[5:]) == (row.columns[0], *row.columns[6:])
            if (indexed.pop(file_id, 0) != expected or not same) and row:
                wrong.append(path)
        return wrong or [f"file {file_id} of the lexical index" for file_id in indexed]

    def _refuse_unmounted(self, snapshot: Snapshot, known: dict[str, Known]) -> None:
        """An empty folder on another device than before is a mount point without its disk."""
        for root in roots(self._namespace):
            held = sum(path.startswith(root + "/") for path in known)
            device = self._cache.manifest.get(f"device {root}")
            empty = not any(path.startswith(root + "/") for path in snapshot.files)
            if held and empty and device and device != _device(self._vault, root):
                raise VaultUnavailable(
                    f"the folder is empty and on another device than the {held} memories that were in it",
                    place=str(self._vault.home / root),
                    remedy="Mount its disk; if they are to be forgotten, run: mesh reindex --all",
                )

    # --- comparing -------------------------------------------------------------------------------------------

    def _known(self) -> dict[str, Known]:
        rows = self._cache.manifest.db.execute(
            "SELECT path, size, mtime_ns, ctime_ns, inode, settled, digest FROM files"
        )
        return {row[0]: Known(row[1:5], bool(row[5]), row[6]) for row in rows}

    def _hashed(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """`(path, sha256)` of files, None if unreadable; one that is gone by now is left out."""
        for path in paths:
            data = self._read(path)
            if data is None:
                yield path, None
            elif data is not _GONE:
                if self._held_bytes < _HELD_BYTES:
                    self._held[path] = data
                    self._held_bytes += len(data)
                yield path, sha256(data)

    def _read(self, path: str) -> bytes | None:
        """The bytes of a file, None if they cannot be read, `_GONE` if there is no such file."""
        try:
            return self._stable_bytes(path)
        except (FileNotFoundError, NotADirectoryError):
            return _GONE
        except OSError:
            return None

    def _stable_bytes(self, path: str) -> bytes:
        """The file's bytes. Some editors empty a file before they write it: one emptied just now is given a moment."""
        data = self._vault.bytes_of(path)
        while not data and self._waits and 0 <= time.time() - (self._vault.home / path).stat().st_mtime < 1:
            self._waits -= 1
            time.sleep(0.02)
            data = self._vault.bytes_of(path)
        return data

    # --- acting ----------------------------------------------------------------------------------------------

    def _act(self, todo: Plan, snapshot: Snapshot) -> None:
        manifest = self._cache.manifest
        moved_from = {new: old for old, new in todo.moved}
        arriving = [*todo.added, *todo.changed, *moved_from]
        if todo.gone or todo.restamped:
            with self._changing():
                # A file that was learned between the scan and now is in the manifest, though the scan missed it.
                manifest.remove([path for path in todo.gone if self._stamp(path) is None])
                self._restamp(todo.restamped, snapshot)
        for start in range(0, len(arriving), ROWS_A_TRANSACTION):
            rows = [
                self._fresh_row(path, snapshot.files[path]) for path in arriving[start : start + ROWS_A_TRANSACTION]
            ]
            with self._changing():
                for row in rows:
                    if row:
                        manifest.put(row, moved_from.get(row.path))
        if todo.unreadable:
            with self._changing():
                for path in todo.unreadable:
                    manifest.put(_unreadable_row(path, snapshot.files.get(path)))

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._cache.manifest.changing_files():
            yield
        self._generation += 1

    def _restamp(self, paths: Iterable[str], snapshot: Snapshot) -> None:
        self._cache.manifest.db.executemany(
            "UPDATE files SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?, settled = ? WHERE path = ?",
            [(*snapshot.files[path], is_settled(snapshot.files[path], self._now_ns), path) for path in paths],
        )

    def _fresh_row(self, path: str, stamp: Stamp | None) -> FileRow | None:
        """The row of a file as it is now; None if it is gone."""
        if stamp is None:
            return None
        data = self._held.pop(path, None)
        if data is None:
            data = self._read(path)
        if data is None:
            return _unreadable_row(path, stamp)
        return self._row(path, stamp, data) if data is not _GONE else None

    def _row(self, path: str, stamp: Stamp, data: bytes) -> FileRow:
        settled, digest = is_settled(stamp, self._now_ns), sha256(data)
        try:
            memory = codec.read(data, path)
        except MalformedMemory as error:
            problem = Problem(path, error.line, "", error.reason, error.remedy)
            return FileRow(path, REFUSED, stamp, settled, digest, problems=[problem])
        return FileRow(
            path,
            SERVED if memory.content else EMPTY,
            stamp,
            settled,
            digest,
            memory,
            text_digest=sha256(memory.content.encode("utf-8")),
            about=lexical.about(memory),
            problems=memory.problems,
        )

    def _stamp(self, path: str) -> Stamp | None:
        try:
            found = (self._vault.home / path).stat(follow_symlinks=False)
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino

    def _note_scan(self, snapshot: Snapshot, todo: Plan, mark: bytes) -> None:
        """Remember the scan as a whole, if the next equal one needs no look at single files."""
        settled = all(is_settled(snapshot.files[path], self._now_ns) for path in [*todo.added, *todo.changed])
        racy = self._cache.manifest.db.execute("SELECT 1 FROM files WHERE settled = 0 LIMIT 1").fetchone()
        manifest = self._cache.manifest
        with manifest.transaction():
            # If somebody else changed rows since this refresh compared them, the scan proves nothing about those.
            alone = manifest.generation() == self._generation
            manifest.set("scan", mark if settled and alone and not racy and not todo.unreadable else b"")
            for root in roots(self._namespace):
                manifest.set(f"device {root}", _device(self._vault, root))


def refuse_missing_folders(vault: Vault, namespace: str, cache: Cache) -> None:
    """A folder that held memories and is not there may be an unmounted disk: `VaultUnavailable`, not "deleted"."""
    for root in roots(namespace):
        if is_folder(vault.home, root):
            continue
        held = cache.manifest.db.execute(
            "SELECT count(*) FROM files WHERE path >= ? AND path < ?", (root + "/", root + "0")
        ).fetchone()[0]
        if held:
            raise VaultUnavailable(
                f"the folder is missing, and {held} memories were in it",
                place=str(vault.home / root),
                remedy="Mount or restore it; if they are to be forgotten, make an empty folder there",
            )


def _device(vault: Vault, root: str) -> str:
    try:
        return str((vault.home / root).stat().st_dev)
    except OSError:
        return ""


def _unreadable_row(path: str, stamp: Stamp | None) -> FileRow:
    problem = Problem(path, 0, "", "it cannot be read", "Check who owns it and its mode")
    return FileRow(path, UNREADABLE, stamp or (0, 0, 0, 0), False, None, problems=[problem])


def _digest(snapshot: Snapshot) -> bytes:
    """Of everything a scan saw: equal digests mean that no stamp changed."""
    seen = (list(snapshot.files.items()), list(snapshot.unreadable.items()))
    return hashlib.sha256(marshal.dumps(seen, 2)).digest()
