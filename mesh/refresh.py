"""Make a namespace's cache equal to its files.

    scan -> suspects -> hash -> plan -> act

Several processes may do it at once. What one puts into the manifest it compares with the file's stamp again, under
the manifest's write lock: if a slow one replaces what a faster one read later, that row is not settled. Neither is one
whose stamp was young when the file was read. Whoever relies on the manifest without a scan hashes those few.

Nothing is written to a memory's file, whatever is found. A file that cannot be read is not deleted, a folder that is
missing is not empty, and one bad file never stops the others.
"""

from __future__ import annotations

import hashlib
import marshal
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from . import codec
from .errors import MalformedMemory
from .files import sha256
from .index import lexical, postings
from .index.cache import Cache
from .index.file_row import FileRow
from .index.manifest import EMPTY, REFUSED, SERVED, UNREADABLE
from .index.plan import Known, Plan, is_settled, plan, suspects
from .memory import Problem
from .missing import device_of, refuse_missing_folders, refuse_unmounted
from .scan import Snapshot, Stamp
from .vault import Vault, roots

ROWS_A_TRANSACTION = 500
_HELD_BYTES = 16 << 20  # read for hashing and kept for parsing; beyond that a file is read twice
_GONE = b"\0gone"

Progress = Callable[[int, int], None]  # so many files were taken in just now, at first 0, of so many that changed


class Refresh:
    """One refresh of one namespace."""

    def __init__(self, vault: Vault, namespace: str, cache: Cache, progress: Progress | None = None) -> None:
        self._vault, self._namespace, self._cache, self._progress = vault, namespace, cache, progress
        self._held: dict[str, bytes] = {}
        self._held_bytes = 0
        self._now_ns = time.time_ns()
        self._generation = 0  # of the manifest, as this refresh knows it
        self._waits = 25  # for files that an editor has just emptied
        self._settled: list[tuple[object, ...]] = []  # rows that were hashed again, and need not be any more

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
        refuse_unmounted(self._vault, self._namespace, self._cache, snapshot, known)
        todo = plan(snapshot, known, dict(self._hashed(suspects(snapshot, known))))
        self._act(todo, snapshot)
        if manifest.writable:
            self._note_scan(snapshot, todo, mark)
        return len(snapshot.files), todo

    def run_for(self, paths: Iterable[str]) -> None:
        """Take in some files that were just written or removed, without a scan."""
        rows = {path: self._fresh_row(path, self._stamp(path)) for path in paths if not self._is_known(path)}
        if rows:
            with self._cache.manifest.changing_files():
                for path, row in rows.items():
                    self._put(path, row)
        if self._settled and self._cache.writable:
            with self._cache.manifest.transaction() as db:
                same = " AND size = ? AND mtime_ns = ? AND ctime_ns = ? AND inode = ? AND digest = ?"
                db.executemany(f"UPDATE files SET settled = 1 WHERE path = ?{same}", self._settled)

    def unsettled(self) -> list[str]:
        """Paths of files that may have changed though their stamps did not."""
        rows = self._cache.manifest.db.execute("SELECT path FROM files WHERE settled = 0")
        return [path for (path,) in rows]

    def _is_known(self, path: str) -> bool:
        """Whether the manifest has this file as it is: as a rule this process wrote it a moment ago."""
        row = self._cache.manifest.db.execute(
            "SELECT size, mtime_ns, ctime_ns, inode, digest, settled FROM files WHERE path = ?", (path,)
        ).fetchone()
        stamp = self._stamp(path)
        if not row or row[:4] != stamp:
            return row is None and stamp is None
        if dict(self._hashed([path])).get(path) != row[4]:
            return False
        if row[4] and not row[5] and is_settled(row[:4], self._now_ns):
            self._settled.append((path, *row[:5]))
        return True

    def _put(self, path: str, row: FileRow | None, moved_from: str | None = None) -> None:
        """Into the manifest. A row that is no longer what the file is counts as not settled, so it is hashed again."""
        manifest, stamp = self._cache.manifest, self._stamp(path)
        if stamp is None:
            manifest.remove([path])
        elif row:
            if stamp != row.columns[1:5]:
                row.doubt()
            is_moved = moved_from and self._stamp(moved_from) is None
            manifest.put(row, moved_from if is_moved else None)

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
        if self._progress and arriving:
            self._progress(0, len(arriving))
        for start in range(0, len(arriving), ROWS_A_TRANSACTION):
            some = arriving[start : start + ROWS_A_TRANSACTION]
            rows = {path: self._fresh_row(path, snapshot.files[path]) for path in some}
            with self._changing():
                for path, row in rows.items():
                    self._put(path, row, moved_from.get(path))
            if self._progress:
                self._progress(len(some), len(arriving))
        if todo.unreadable:
            with self._changing():
                for path in todo.unreadable:
                    if path not in snapshot.files or self._stamp(path) == snapshot.files[path]:
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
                manifest.set(f"device {root}", device_of(self._vault, root))


def _unreadable_row(path: str, stamp: Stamp | None) -> FileRow:
    problem = Problem(path, 0, "", "it cannot be read", "Check who owns it and its mode")
    return FileRow(path, UNREADABLE, stamp or (0, 0, 0, 0), False, None, problems=[problem])


def _digest(snapshot: Snapshot) -> bytes:
    """Of everything a scan saw: equal digests mean that no stamp changed."""
    seen = (list(snapshot.files.items()), list(snapshot.unreadable.items()))
    return hashlib.sha256(marshal.dumps(seen, 2)).digest()
