"""The live store of the peer (mesh-context-layer 0.4.2 to 0.8.3): `mesh_<namespace>.db`, an SQLite file.

It is left byte for byte as it was, with what lies beside it, also while the peer has it open. What was tried:

- `mode=ro` alone is not enough: of a store in WAL mode it leaves `-wal` and `-shm` files behind where there were
  none, and writes its marks into a `-shm` that is there.
- `immutable=1` changes nothing, but does not see what is only in the `-wal` file: of a young store, everything.
- `mode=ro` with `readonly_shm=1` sees all of it and changes nothing, where both files are there (the peer is running,
  or was killed), and for a store without WAL.
- What remains (WAL mode, closed; a crash in the middle of a write without WAL) is read from a copy.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from .. import inputs
from ..errors import InvalidInput, MeshError
from ..files import failures_reported
from ..memory import Problem
from . import fields, peer_rows
from .record import Record

MAGIC = b"SQLite format 3\0"
WANTED = ("id", "content", "memory_type", "source_agent", "created_at")  # what makes a table the peer's
READ = (
    *("id", "content", "memory_type", "confidence", "source_agent", "tags", "created_at", "updated_at", "ttl_days"),
    *("decay_start_at", "local_only", "quarantined", "secret_ref"),
)
ROWS_AT_ONCE = 500
FIRST_ROW = -(1 << 63)
WAL = 2
NOT_IN_PLACE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL)  # but a copy can be read
BUSY_SECONDS = 5.0

_FILE_NAME = re.compile(r"mesh_(.+)\.db\Z", re.IGNORECASE)
_VERSIONS = slice(18, 20)  # the bytes of the header that say how the file is to be written and read


def looks_like(head: bytes) -> bool:
    """Whether a file that begins with `head` is an SQLite file."""
    return head.startswith(MAGIC)


def read(source: Path) -> Iterator[Record | Problem]:
    """Every memory of the store, in the order of its rows. Raises `InvalidInput` if it is no such store, `MeshError`
    where it is damaged or locked."""
    with _opened(source) as db:
        columns = _columns(db, source)
        last = FIRST_ROW
        while rows := _rows_after(db, columns, last):
            for row in rows:
                yield _record(dict(row), source.name)
            last = rows[-1]["rowid"]


def namespace_of(source: Path) -> str | None:
    """The namespace that all its memories are in, else the one in its name; None if Mesh cannot have such a one.

    Raises as `read` does.
    """
    with _opened(source) as db:
        _columns(db, source)
        names = db.execute("SELECT DISTINCT namespace FROM memories LIMIT 2").fetchall()
    match = _FILE_NAME.match(source.name)
    try:
        return inputs.namespace(names[0][0] if len(names) == 1 else match[1] if match else "")
    except InvalidInput:
        return None


def _record(row: dict[str, object], name: str) -> Record | Problem:
    try:
        return Record(f"{name}: row {row['rowid']:,}", peer_rows.memory(row))
    except InvalidInput as error:
        return fields.refused(f"{name}: memory {fields.own_id(row['id']) or row['rowid']}", error)


def _columns(db: sqlite3.Connection, source: Path) -> str:
    """What to select of the table, NULL for a column that a store of an older version lacks."""
    there = {row["name"] for row in db.execute("PRAGMA table_info(memories)")}
    if missing := [name for name in WANTED if name not in there]:
        lack = f"no {missing[0]!r} in its table 'memories'" if there else "no table 'memories'"
        raise InvalidInput(
            f"it is an SQLite database, but not one of mesh-context-layer ({lack})",
            place=source.name,
            remedy="Give a store such as mesh_shared.db",
        )
    return ", ".join(name if name in there else f"NULL AS {name}" for name in READ)


def _rows_after(db: sqlite3.Connection, columns: str, last: int) -> list[sqlite3.Row]:
    # In portions, each its own short transaction: the peer could not write while one long one lasts.
    rows = db.execute(
        f"SELECT rowid, {columns} FROM memories WHERE rowid > ? ORDER BY rowid LIMIT {ROWS_AT_ONCE}", (last,)
    ).fetchall()
    for row in rows:
        if row["rowid"] <= last:  # pages that lead in a circle would be read for ever
            raise sqlite3.DatabaseError("its rows are out of order")
        last = row["rowid"]
    return rows


@contextmanager
def _opened(source: Path) -> Iterator[sqlite3.Connection]:
    with failures_reported(str(source)), tempfile.TemporaryDirectory(prefix="mesh-import-") as scratch:
        try:
            with closing(_connection(source, scratch)) as db:
                db.row_factory = sqlite3.Row
                db.text_factory = _text
                db.execute("PRAGMA trusted_schema = OFF")  # no function may run because a stranger's table says so
                yield db
        except (sqlite3.Error, UnicodeDecodeError, MemoryError) as error:  # the latter two also speak of damage
            raise _explained(error, source) from error


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")  # so that one bad text is one bad row


def _connection(source: Path, scratch: str) -> sqlite3.Connection:
    path = source.resolve(strict=True)  # what lies beside it has the name of the file, not of a link to it
    with path.open("rb") as file:
        head = file.read(_VERSIONS.stop)
    if not looks_like(head):
        raise InvalidInput(
            "it is not an SQLite database", place=source.name, remedy="Give a store such as mesh_shared.db"
        )
    if WAL not in head[_VERSIONS] or (_beside(path, "-wal").exists() and _beside(path, "-shm").exists()):
        try:
            return _connected(f"{path.as_uri()}?mode=ro&readonly_shm=1")
        except sqlite3.OperationalError as error:
            if _code(error) not in NOT_IN_PLACE:
                raise
    return _connected(_copied(path, Path(scratch)).as_uri())


def _connected(uri: str) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        db.execute("SELECT count(*) FROM sqlite_master")  # only now the file is opened
    except sqlite3.Error:
        db.close()
        raise
    return db


def _copied(path: Path, scratch: Path) -> Path:
    """A copy of the file and of what belongs to it. Raises `MeshError` if it changed meanwhile: it could be torn."""
    parts = [("", path), *((end, _beside(path, end)) for end in ("-wal", "-journal"))]
    before = [_stamp(part) for _, part in parts]
    for end, part in parts:
        if part.exists():
            shutil.copyfile(part, scratch / f"store{end}")
    if [_stamp(part) for _, part in parts] != before:
        raise MeshError("it is being written to", place=path.name, remedy="Close what uses it, or try again")
    return scratch / "store"


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def _code(error: Exception) -> int:
    """The primary result code of SQLite."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _explained(error: Exception, source: Path) -> MeshError:
    if _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return MeshError("it is locked", place=source.name, remedy="Close what writes to it, or try again")
    said = f" ({error})" if isinstance(error, sqlite3.Error) else ""
    return MeshError(
        f"it is damaged, and cannot be read any further{said}",
        place=source.name,
        remedy="Give a backup or an export of it; what is already here is not imported again",
    )
