"""Make a namespace's cache equal to its files.

    scan -> compare -> read some -> plan -> act -> read some ...

What was read is in the manifest, and so found by its words, before more is read: a kill loses one batch, and memory
does not grow with the vault but for the scan. Where there is much to read, processes take turns: whoever comes second
finds it done, or goes on without it.

Several processes may do it at once. What one puts into the manifest it compares with the file's stamp again, under
the manifest's write lock: if a slow one replaces what a faster one read later, that row is not settled. Neither is one
whose stamp was young when the file was read. Whoever relies on the manifest without a scan hashes those few.

Nothing is written to a memory's file, whatever is found. A file that cannot be read is not deleted, a folder that is
missing is not empty, and one bad file never stops the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import islice

from .errors import LockTimeout
from .file_reader import FILES_AT_ONCE, GONE, FileReader, unreadable_row
from .files import sha256
from .index import postings
from .index.cache import Cache
from .index.file_row import FileRow
from .index.plan import Known, Plan, Planning, differing
from .locks import locked
from .missing import device_of, refuse_missing_folders, refuse_unmounted
from .quarantine import expected
from .scan import Snapshot, Stamp
from .vault import Vault, roots

MANY = 1000  # files to be read, for which processes take turns
TURN_SECONDS = 600.0  # to wait for one's turn, where nothing less than all will do

Progress = Callable[[int, int], None]  # so many files were taken in just now, at first 0, of so many that changed
_Read = Mapping[str, bytes | None]  # what a `FileReader` read


@dataclass(frozen=True, slots=True)
class _Compared:
    """A scan beside what the manifest knew then: the files that differ, and those that must be read."""

    snapshot: Snapshot
    mark: bytes
    generation: int
    known: dict[str, Known]
    suspects: list[str]


class Refresh:
    """One refresh of one namespace."""

    reader: type[FileReader] = FileReader

    def __init__(
        self,
        vault: Vault,
        namespace: str,
        cache: Cache,
        progress: Progress | None = None,
        *,
        patience_seconds: float | None = None,
    ) -> None:
        """`patience_seconds`: how long to wait for another process that takes in many files; what is left then is
        told. None: as long as it takes, and nothing is left."""
        self._vault, self._namespace, self._cache, self._progress = vault, namespace, cache, progress
        self._patience = patience_seconds
        self._reader = self.reader(vault)
        self._generation = 0  # of the manifest, as this refresh knows it
        self._more = False  # many changes are to be made

    def run(self) -> tuple[int, Plan]:
        """Scan and act. Returns how many files there are, and what was done.

        Raises `LockTimeout` if another process takes in many files, and goes on for longer than can be.
        """
        refuse_missing_folders(self._vault, self._namespace, self._cache)
        found = self._compared()
        if len(found.suspects) < MANY or not self._cache.writable:
            return self._taken_in(found)
        try:
            with self._turn():
                now = self._cache.manifest.generation()
                return self._taken_in(found if now == found.generation else self._compared())
        except LockTimeout:
            if self._patience is None:
                raise
            return len(found.snapshot.files), Plan(left=len(found.suspects))

    def run_for(self, paths: Collection[str]) -> int:
        """Take in some files that were just written or removed, without a scan.

        Returns how many were left to another process that is just taking in many; raises `LockTimeout` as `run`.
        """
        if len(paths) < MANY or not self._cache.writable:
            return self._taken_in_of(paths)
        try:
            with self._turn():
                return self._taken_in_of(paths)
        except LockTimeout:
            if self._patience is None:
                raise
            return len(paths)

    def unsettled(self) -> list[str]:
        """Paths of files that may have changed though their stamps did not."""
        rows = self._cache.manifest.db.execute("SELECT path FROM files WHERE settled = 0")
        return [path for (path,) in rows]

    def _turn(self) -> AbstractContextManager[None]:
        patience = TURN_SECONDS if self._patience is None else self._patience
        return locked(self._cache.indexing_lock, timeout_seconds=patience)

    # --- comparing -------------------------------------------------------------------------------------------

    def _compared(self) -> _Compared:
        self._reader, generation = self.reader(self._vault), self._cache.manifest.generation()
        snapshot = self._vault.scan(self._namespace)
        mark = snapshot.digest()
        known, suspects = dict[str, Known](), list[str]()
        if self._cache.manifest.get("scan") != mark:
            known, suspects = differing(snapshot, self._rows())
            refuse_unmounted(self._vault, self._namespace, self._cache, snapshot, known)
        return _Compared(snapshot, mark, generation, known, suspects)

    def _rows(self) -> Iterator[tuple[str, Known]]:
        ask = "SELECT path, size, mtime_ns, ctime_ns, inode, settled, digest FROM files"
        for row in self._cache.manifest.db.execute(ask):
            yield row[0], Known(row[1:5], bool(row[5]), row[6])

    # --- acting ----------------------------------------------------------------------------------------------

    def _taken_in(self, found: _Compared) -> tuple[int, Plan]:
        done = Plan()
        if self._cache.manifest.get("scan") != found.mark:
            self._generation = found.generation
            self._act(found, done)
            if self._cache.manifest.writable:
                self._note_scan(found.snapshot, done, found.mark)
        return len(found.snapshot.files), done

    def _act(self, found: _Compared, done: Plan) -> None:
        """Do what is to be done, batch by batch, and add it to `done`."""
        planning = Planning(found.snapshot, found.known)
        self._more = len(found.known) + len(found.suspects) >= MANY
        if self._progress and found.suspects:
            self._progress(0, len(found.suspects))
        with self._reader as reader:
            for read in reader.batches(found.suspects):
                digests = {path: _sha256(data) for path, data in read.items() if data is not GONE}
                todo = planning.of(read, digests)
                self._put_all(todo, read, found.snapshot)
                done.extend(todo)
                if self._progress:
                    self._progress(len(read), len(found.suspects))
        rest = planning.rest()
        self._remove(rest, found.snapshot)
        done.extend(rest)
        self._end_of_many()

    def _put_all(self, todo: Plan, read: _Read, snapshot: Snapshot) -> None:
        """What was read, into the manifest."""
        moved_from = {new: old for old, new in todo.moved}
        arriving = [*todo.added, *todo.changed, *moved_from]
        rows = {path: self._reader.row(path, snapshot.files[path], read[path]) for path in arriving}
        if not todo:
            return
        with self._changing():
            for path, row in rows.items():
                self._put(path, row, moved_from.get(path))
            self._restamp(todo.restamped, snapshot)
            self._put_unreadable(todo.unreadable, snapshot)

    def _put(self, path: str, row: FileRow | None, moved_from: str | None = None) -> None:
        """Into the manifest. A row that is no longer what the file is counts as not settled, so it is hashed again."""
        manifest, stamp = self._cache.manifest, self._reader.stamp(path)
        if stamp is None:
            manifest.remove([path])
        elif row:
            if stamp != row.columns[1:5]:
                row.doubt()
            is_moved = moved_from and self._reader.stamp(moved_from) is None
            manifest.put(row, moved_from if is_moved else None)

    def _put_unreadable(self, paths: Iterable[str], snapshot: Snapshot) -> None:
        for path in paths:
            if path not in snapshot.files or self._reader.stamp(path) == snapshot.files[path]:
                self._cache.manifest.put(unreadable_row(path, snapshot.files.get(path)))

    def _restamp(self, paths: Iterable[str], snapshot: Snapshot) -> None:
        self._cache.manifest.db.executemany(
            "UPDATE files SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?, settled = ? WHERE path = ?",
            [(*snapshot.files[path], self._reader.is_settled(snapshot.files[path]), path) for path in paths],
        )

    def _remove(self, rest: Plan, snapshot: Snapshot) -> None:
        for some in _parts(rest.gone):
            with self._changing():
                # A file that was learned between the scan and now is in the manifest, though the scan missed it.
                self._cache.manifest.remove([path for path in some if self._reader.stamp(path) is None])
        for some in _parts(rest.unreadable):
            with self._changing():
                self._put_unreadable(some, snapshot)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._cache.manifest.changing_files(more=self._more):
            yield
        self._generation += 1

    def _end_of_many(self) -> None:
        if self._more:
            self._more = False
            with self._changing():
                pass

    def _note_scan(self, snapshot: Snapshot, done: Plan, mark: bytes) -> None:
        """Remember the scan as a whole, if the next equal one needs no look at single files."""
        manifest = self._cache.manifest
        racy = manifest.db.execute("SELECT 1 FROM files WHERE settled = 0 LIMIT 1").fetchone()
        with manifest.transaction():
            # If somebody else changed rows since this refresh compared them, the scan proves nothing about those.
            alone = manifest.generation() == self._generation
            manifest.set("scan", mark if alone and not racy and not done.unreadable else b"")
            for root in roots(self._namespace):
                manifest.set(f"device {root}", device_of(self._vault, root))

    # --- without a scan --------------------------------------------------------------------------------------

    def _taken_in_of(self, paths: Collection[str]) -> int:
        self._more = len(paths) >= MANY
        with self._reader as reader:
            for some in _parts(paths):
                stamps = {path: reader.stamp(path) for path in some}
                for read in reader.batches(some):
                    self._take_in(read, stamps)
                    if self._progress:
                        self._progress(len(read), len(paths))
        self._end_of_many()
        return 0

    def _take_in(self, read: _Read, stamps: Mapping[str, Stamp | None]) -> None:
        rows, settled = dict[str, FileRow | None](), list[tuple[object, ...]]()
        for path, data in read.items():
            stamp, before = stamps[path], self._columns(path)
            if stamp is None or data is GONE:
                if before:
                    rows[path] = None
            elif before is None or before[:5] != (*stamp, _sha256(data)):
                rows[path] = self._reader.row(path, stamp, data)
            elif data is not None and not before[5] and self._reader.is_settled(stamp):
                settled.append((path, *before[:5]))  # it was hashed again, and need not be any more
        if rows:
            with self._changing():
                for path, row in rows.items():
                    self._put(path, row)
        if settled and self._cache.writable:
            with self._cache.manifest.transaction() as db:
                same = " AND size = ? AND mtime_ns = ? AND ctime_ns = ? AND inode = ? AND digest = ?"
                db.executemany(f"UPDATE files SET settled = 1 WHERE path = ?{same}", settled)

    def _columns(self, path: str) -> tuple[object, ...] | None:
        """What the manifest says of a file: its stamp, its digest, whether it is settled."""
        ask = "SELECT size, mtime_ns, ctime_ns, inode, digest, settled FROM files WHERE path = ?"
        found: tuple[object, ...] | None = self._cache.manifest.db.execute(ask, (path,)).fetchone()
        return found

    def wrong_rows(self) -> list[str]:
        """Paths of files of which the manifest, just refreshed, says something else than they do.

        What the lexical index says of a file is compared by a sum of hashes: all of it would not fit into memory.
        """
        manifest, wrong, indexed = self._cache.manifest, list[str](), dict[int, int]()
        for file_id, *entry in postings.entries(manifest.db):
            indexed[file_id] = indexed.get(file_id, 0) + hash(tuple(entry))
        with self._reader as reader:
            for file_id, path, state, *rest in manifest.db.execute("SELECT * FROM files ORDER BY path"):
                row = expected(manifest, reader.fresh_row(path))
                terms = manifest.analyzer.weighed([row.words])[0] if row and row.words else {}
                total = sum(map(hash, postings.entries_of(terms))) if terms else 0
                # The stamp aside: it is about the cache, and was looked at before.
                same = row and (state, *rest[5:]) == (row.columns[0], *row.columns[6:])
                if (indexed.pop(file_id, 0) != total or not same) and row:
                    wrong.append(path)
        return wrong or [f"file {file_id} of the lexical index" for file_id in indexed]


def _parts(paths: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(paths)
    while some := list(islice(rest, FILES_AT_ONCE)):
        yield some


def _sha256(data: bytes | None) -> bytes | None:
    return None if data is None else sha256(data)
