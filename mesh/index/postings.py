"""The lexical index: for each term the files that have it. Lives in the manifest, in batches that are never changed.

    batches   which files a batch holds, and how long each is: the sum of its weights
    postings  of one term in one batch: the files that have it, and its weight in each
    dropped   files of some batch that were replaced or removed since, in the order in which that happened

A change adds one small batch; many of a size are merged into a larger one (a log-structured merge), so that a term is
read from a few places and a change writes little. A file whose words change gets a new number, which is what lets a
batch stay as it is. Written without numpy, since `mesh list` may have to index what it finds.
"""

from __future__ import annotations

import heapq
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import itemgetter

from .analysis import Analyzer
from .damage import CacheDamaged

SCHEMA = """
CREATE TABLE batches (batch INTEGER PRIMARY KEY AUTOINCREMENT, files BLOB NOT NULL, lengths BLOB NOT NULL);
CREATE TABLE postings (batch INTEGER, term TEXT, data BLOB NOT NULL, PRIMARY KEY (batch, term)) WITHOUT ROWID;
CREATE TABLE dropped (place INTEGER PRIMARY KEY AUTOINCREMENT, file_id INTEGER NOT NULL UNIQUE);
"""

NUMBER = 4  # bytes of a file's number or length, in the machine's own order; a weight takes one more
MOST_WEIGHT = 255
MOST_ALIKE = 8  # batches of about one size, before they are merged
MOST_DROPPED = 0.2  # of all files, before all batches are written anew without them
FEW_DROPPED = 1000  # so many are not worth that
_ROWS = 5000  # of a merge, written at a time

Posting = tuple[str, bytes]


def add(db: sqlite3.Connection, analyzer: Analyzer, texts: Sequence[tuple[int, str, str]]) -> None:
    """Index some new files, `(file_id, content, about)`, as a batch. The manifest's transaction must be open."""
    if not texts:
        return
    lengths: list[int] = []
    of_terms: dict[str, tuple[array[int], bytearray]] = {}
    weighed = analyzer.weighed([(content, about) for _, content, about in texts])
    for (file_id, _, _), weights in zip(texts, weighed, strict=True):
        lengths.append(sum(weights.values()))
        for term, weight in weights.items():
            files, of_files = of_terms.get(term) or of_terms.setdefault(term, (array("I"), bytearray()))
            files.append(file_id)
            of_files.append(min(weight, MOST_WEIGHT))
    rows = ((term, files.tobytes() + of_files) for term, (files, of_files) in sorted(of_terms.items()))
    _write(db, array("I", [file_id for file_id, _, _ in texts]), array("I", lengths), rows)


def drop(db: sqlite3.Connection, file_id: int) -> None:
    """Note that a file which was indexed is gone."""
    db.execute("INSERT INTO dropped (file_id) VALUES (?)", (file_id,))


def tidy(db: sqlite3.Connection, *, anew: bool = True) -> None:
    """Merge batches of about one size where there are many of them; write all anew when much has been dropped.

    Without `anew` only the first: while most files are replaced, the second would be done again and again.
    """
    sizes = dict(db.execute(f"SELECT batch, length(files) / {NUMBER} FROM batches ORDER BY batch").fetchall())
    dropped = int(db.execute("SELECT count(*) FROM dropped").fetchone()[0])
    if anew and dropped > max(FEW_DROPPED, MOST_DROPPED * sum(sizes.values())):
        _merge(db, list(sizes))
        return
    while many := _alike(sizes):
        merged = _merge(db, many)
        sizes = {batch: size for batch, size in sizes.items() if batch not in many} | merged


def _alike(sizes: dict[int, int]) -> list[int]:
    """Batches of the smallest magnitude of which there are too many: sizes below 8, below 64, below 512, ..."""
    alike: dict[int, list[int]] = {}
    for batch, size in sizes.items():
        alike.setdefault((max(1, size).bit_length() - 1) // 3, []).append(batch)
    return next((batches for _, batches in sorted(alike.items()) if len(batches) > MOST_ALIKE), [])


def _merge(db: sqlite3.Connection, batches: Sequence[int]) -> dict[int, int]:
    """Make one batch of several, without what was dropped: its number and its size. None if nothing is left."""
    held = [held_by(db, batch) for batch in batches]
    gone = _dropped_of(db, [file_id for files, _ in held for file_id in files])
    kept = [pair for files, lengths in held for pair in zip(files, lengths, strict=True) if pair[0] not in gone]
    runs = [_run(db, batch) for batch in batches]
    merged = _joined(heapq.merge(*runs, key=itemgetter(0)), gone)
    made = {_write(db, array("I", [one for one, _ in kept]), array("I", [size for _, size in kept]), merged): len(kept)}
    for old in batches:
        db.execute("DELETE FROM postings WHERE batch = ?", (old,))
        db.execute("DELETE FROM batches WHERE batch = ?", (old,))
    db.executemany("DELETE FROM dropped WHERE file_id = ?", [(file_id,) for file_id in gone])
    return made if kept else {}


def _run(db: sqlite3.Connection, batch: int) -> Iterator[Posting]:
    for term, data in db.execute("SELECT term, data FROM postings WHERE batch = ? ORDER BY term", (batch,)):
        if not isinstance(term, str):
            raise CacheDamaged("a term of the lexical index is not what was written")
        yield term, data


def _write(db: sqlite3.Connection, files: array[int], lengths: array[int], rows: Iterable[Posting]) -> int:
    """Add a batch, if there is anything in it; `rows` by term. Its number."""
    if not files:
        return 0
    blobs = files.tobytes(), lengths.tobytes()
    batch = db.execute("INSERT INTO batches (files, lengths) VALUES (?, ?)", blobs).lastrowid
    rest = iter(rows)
    while some := list(islice(rest, _ROWS)):  # read first, then written: what is read is the same table
        db.executemany("INSERT INTO postings VALUES (?, ?, ?)", [(batch, term, data) for term, data in some])
    return batch or 0


def held_by(db: sqlite3.Connection, batch: int) -> tuple[array[int], array[int]]:
    """The files of a batch, and their lengths. Raises `CacheDamaged`."""
    blobs = db.execute("SELECT files, lengths FROM batches WHERE batch = ?", (batch,)).fetchone()
    return numbers_of(*blobs)


def numbers_of(files: object, lengths: object) -> tuple[array[int], array[int]]:
    """What a row of `batches` says. Raises `CacheDamaged`."""
    if not isinstance(files, bytes) or not isinstance(lengths, bytes) or len(files) != len(lengths):
        raise CacheDamaged("a batch of the lexical index is not what was written")
    if len(files) % NUMBER:
        raise CacheDamaged("a batch of the lexical index is cut short")
    return array("I", files), array("I", lengths)


def split(data: object) -> tuple[bytes, bytes]:
    """The two parts of a posting, its files and its weights. Raises `CacheDamaged`."""
    if not isinstance(data, bytes):
        raise CacheDamaged("a posting of the lexical index is not what was written")
    count, rest = divmod(len(data), NUMBER + 1)
    if rest or not count:
        raise CacheDamaged("a posting of the lexical index is cut short")
    return data[: NUMBER * count], data[NUMBER * count :]


def _joined(parts: Iterable[Posting], gone: set[int]) -> Iterator[Posting]:
    """The postings of each term as one, without the files that are gone."""
    for term, of_term in groupby(parts, key=itemgetter(0)):
        halves = [split(data) for _, data in of_term]
        files, weights = b"".join(half for half, _ in halves), b"".join(half for _, half in halves)
        if gone and not gone.isdisjoint(numbers := array("I", files)):
            kept = [pair for pair in zip(numbers, weights, strict=True) if pair[0] not in gone]
            files, weights = array("I", [file_id for file_id, _ in kept]).tobytes(), bytes(one for _, one in kept)
        if files:
            yield term, files + weights


def _dropped_of(db: sqlite3.Connection, files: Sequence[int]) -> set[int]:
    """Those of some files that were dropped: looked up one by one, or all at once where that is less."""
    if len(files) < FEW_DROPPED:
        ask = "SELECT 1 FROM dropped WHERE file_id = ?"
        return {file_id for file_id in files if db.execute(ask, (file_id,)).fetchone()}
    return {file_id for (file_id,) in db.execute("SELECT file_id FROM dropped")}.intersection(files)


def entries(db: sqlite3.Connection) -> Iterator[tuple[int, str, int]]:
    """All there is: `(file_id, term, weight)`, and `(file_id, "", length)`, without what was dropped."""
    dropped = {file_id for (file_id,) in db.execute("SELECT file_id FROM dropped")}
    for batch in db.execute("SELECT files, lengths FROM batches"):
        yield from ((one, "", length) for one, length in zip(*numbers_of(*batch), strict=True) if one not in dropped)
    for term, data in db.execute("SELECT term, data FROM postings"):
        files, weights = split(data)
        pairs = zip(array("I", files), weights, strict=True)
        yield from ((one, term, weight) for one, weight in pairs if one not in dropped)


def entries_of(weights: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """What `entries` must have of a file with these terms."""
    yield "", sum(weights.values())
    yield from ((term, min(weight, MOST_WEIGHT)) for term, weight in weights.items())
