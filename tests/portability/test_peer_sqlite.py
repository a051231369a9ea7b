"""The peer's live store, read as it lies there."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mesh.errors import InvalidInput, MeshError
from mesh.memory import Problem
from mesh.portability import peer_sqlite
from mesh.portability.record import Record

TABLE_042 = """CREATE TABLE memories (id TEXT PRIMARY KEY, namespace TEXT NOT NULL, content TEXT NOT NULL,
    confidence REAL NOT NULL DEFAULT 1.0, memory_type TEXT NOT NULL DEFAULT 'fact',
    source_agent TEXT NOT NULL DEFAULT 'unknown', tags TEXT NOT NULL DEFAULT '[]', created_at TEXT NOT NULL,
    accessed_at TEXT NOT NULL, access_count INTEGER NOT NULL DEFAULT 0, ttl_days REAL, decay_start_at TEXT,
    local_only INTEGER DEFAULT 0)"""
TABLE_083 = """CREATE TABLE memories (id TEXT PRIMARY KEY, namespace TEXT NOT NULL, content TEXT NOT NULL,
    confidence REAL NOT NULL DEFAULT 1.0, memory_type TEXT NOT NULL DEFAULT 'fact',
    source_agent TEXT NOT NULL DEFAULT 'unknown', tags TEXT NOT NULL DEFAULT '[]', created_at TEXT NOT NULL,
    updated_at TEXT, accessed_at TEXT NOT NULL, access_count INTEGER NOT NULL DEFAULT 0, ttl_days REAL,
    decay_start_at TEXT, local_only INTEGER NOT NULL DEFAULT 0, embedding BLOB,
    embedding_model TEXT NOT NULL DEFAULT 'unknown', trust_tier TEXT NOT NULL DEFAULT 'user',
    quarantined INTEGER NOT NULL DEFAULT 0, secret_ref TEXT)"""
DAY = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
HEAD = {"namespace": "shared", "created_at": "2026-03-01T08:30:00.250000", "accessed_at": "2026-03-02T00:00:00"}

# What another process does that holds a store open: its commands come on stdin.
PEER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.stdin:
    db.execute(line).fetchall()
    print("done", flush=True)
"""


def insert(db: sqlite3.Connection, memory_id: str, content: object, **columns: object) -> None:
    row = HEAD | {"id": memory_id, "content": content} | columns
    marks = ", ".join("?" * len(row))
    db.execute(f"INSERT INTO memories ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


def store(folder: Path, table: str = TABLE_083, *, name: str = "mesh_shared.db", wal: bool = False, **rows) -> Path:
    """A store that is closed. `rows`: of each memory's id its content, or its columns."""
    path = folder / name
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        if wal:
            db.execute("PRAGMA journal_mode = wal")
        db.execute("BEGIN")
        db.execute(table)
        for memory_id, row in rows.items():
            insert(db, memory_id, **row) if isinstance(row, dict) else insert(db, memory_id, row)
        db.execute("COMMIT")
    return path


class Peer:
    """Another process that has a store open."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-c", PEER, str(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def does(self, *statements: str) -> None:
        for statement in statements:
            self._process.stdin.write(statement.replace("\n", " ") + "\n")
            self._process.stdin.flush()
            assert self._process.stdout.readline() == "done\n"

    def is_killed(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def peer(tmp_path):
    peer = Peer(tmp_path / "mesh_shared.db")
    yield peer
    peer.is_killed()


def learns(memory_id: str, content: str = "a text", namespace: str = "shared") -> str:
    columns = "id, namespace, content, created_at, accessed_at"
    return f"INSERT INTO memories ({columns}) VALUES ('{memory_id}', '{namespace}', '{content}', '2026-03-01', 'x')"


def as_it_lies(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """All that could be seen to change."""
    return {
        path.name: (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns, path.stat().st_mode)
        for path in [folder, *folder.iterdir()]
    }


def contents(path: Path) -> list[str]:
    return [found.memory.content for found in peer_sqlite.read(path) if isinstance(found, Record)]


def only(path: Path) -> Record | Problem:
    (found,) = peer_sqlite.read(path)
    return found


# --- what a row says -----------------------------------------------------------------------------------------


def test_a_row_of_0_4_2_keeps_all_it_says(tmp_path):
    """Id, text, type, confidence, author, tags, time, expiry, and that it is local."""
    path = store(
        tmp_path,
        TABLE_042,
        **{
            "5f0c8a4e-90cd-4d0e-8f0a-1c2d3e4f5a6b": {
                "content": "Deploys go out on Tuesday — naïve ☂",
                "confidence": 0.75,
                "memory_type": "process",
                "source_agent": "coding-agent",
                "tags": '["deploy", "ops"]',
                "ttl_days": 30,
                "decay_start_at": HEAD["created_at"],
                "local_only": 1,
            }
        },
    )
    found = only(path)
    memory = found.memory
    assert found.place == "mesh_shared.db: row 1"
    assert memory.id == "5f0c8a4e-90cd-4d0e-8f0a-1c2d3e4f5a6b"
    assert memory.content == "Deploys go out on Tuesday — naïve ☂"
    assert (memory.type, memory.confidence, memory.agent) == ("process", 0.75, "coding-agent")
    assert (memory.tags, memory.local_only) == (("deploy", "ops"), True)
    assert (memory.created, memory.updated, memory.expires) == (DAY, None, DAY + timedelta(days=30))


def test_a_row_of_0_8_3_keeps_all_it_says(tmp_path):
    """Times with an offset, an update, and where a secret lies."""
    path = store(
        tmp_path,
        abcd={
            "content": "The key for payments is in the environment",
            "memory_type": "secret_ref",
            "created_at": "2026-03-01T09:30:00+01:00",
            "updated_at": "2026-03-02T08:30:00+00:00",
            "secret_ref": '{"provider": "env", "uri": "env://PAYMENT_KEY", "key_name": "PAYMENT_KEY"}',
        },
    )
    memory = only(path).memory
    assert (memory.type, memory.source) == ("secret_ref", "env://PAYMENT_KEY")
    assert (memory.created, memory.updated, memory.expires) == (DAY, DAY + timedelta(days=1), None)
    assert (memory.confidence, memory.tags, memory.agent, memory.local_only) == (1.0, (), "unknown", False)


def test_a_renewed_life_fades_from_its_renewal(tmp_path):
    """Not from a later edit: its confidence is the same here and there."""
    renewed = "2026-03-11T08:30:00+00:00"
    row = {"content": "a", "ttl_days": 10, "decay_start_at": renewed, "updated_at": "2026-03-15T08:30:00"}
    memory = only(store(tmp_path, abcd=row)).memory
    assert (memory.fades_from, memory.expires) == (DAY + timedelta(days=10), DAY + timedelta(days=20))
    assert memory.effective_confidence(DAY + timedelta(days=15)) == 0.5


def test_a_life_without_a_start_counts_from_when_it_was_made(tmp_path):
    memory = only(store(tmp_path, abcd={"content": "a", "ttl_days": 7})).memory
    assert (memory.updated, memory.expires) == (None, DAY + timedelta(days=7))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"content": "enc:v1:gcm:abc:def"}, "it is encrypted"),
        ({"content": "a", "quarantined": 1}, "it is in quarantine"),
        ({"content": " \n"}, "it is empty"),
        ({"content": b"\x00\xff"}, "it is bytes, not text"),
        ({"content": 7.5}, ""),
        ({"content": "a\0b"}, "it holds a NUL character"),
        ({"content": "x" * 70_000}, "more than 65,536"),
    ],
)
def test_a_bad_row_is_a_problem_and_the_rest_is_read(tmp_path, columns, said):
    """Encrypted, not approved, empty, no text, too long: named, and the others are not lost."""
    path = store(tmp_path, first="one", second=columns, third="three")
    first, second, third = peer_sqlite.read(path)
    assert (first.memory.content, third.memory.content) == ("one", "three")
    assert isinstance(second, Record) or str(second).startswith("mesh_shared.db: memory second: its content")
    assert isinstance(second, Record) == (not said) and said in str(second)


def test_text_that_is_not_utf_8_is_one_bad_row(tmp_path):
    path = store(tmp_path, first="one", second="two")
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE memories SET content = CAST(x'61ff62' AS TEXT) WHERE id = 'first'")
        db.commit()
    first, second = peer_sqlite.read(path)
    assert isinstance(first, Problem) and second.memory.content == "two"


def test_odd_columns_spoil_nothing(tmp_path):
    """A type unknown here becomes a tag; what cannot be read counts as absent."""
    row = {"content": "a", "memory_type": "episodic", "tags": "{not json", "confidence": "high", "created_at": "soon"}
    memory = only(store(tmp_path, abcd=row | {"ttl_days": "long", "secret_ref": "]["})).memory
    assert (memory.type, memory.tags) == ("general", ("episodic", "{not json"))
    assert (memory.confidence, memory.created, memory.expires, memory.source) == (1.0, None, None, "")


def test_many_rows_come_in_their_order(tmp_path):
    """More than are taken at once."""
    path = store(tmp_path, **{f"id-{number:05}": f"text {number}" for number in range(1234)})
    assert contents(path) == [f"text {number}" for number in range(1234)]


# --- nothing is changed --------------------------------------------------------------------------------------


def test_a_store_that_is_open_is_read_whole_and_left_as_it_is(tmp_path, peer):
    """What is only in the `-wal` file is seen; no byte, no time and no file beside it changes."""
    peer.does("PRAGMA journal_mode = wal", TABLE_083, learns("first", "one"), learns("second", "two"))
    before = as_it_lies(tmp_path)
    assert "mesh_shared.db-wal" in before
    assert contents(tmp_path / "mesh_shared.db") == ["one", "two"]
    assert as_it_lies(tmp_path) == before


def test_the_peer_can_write_while_its_store_is_read(tmp_path, peer):
    """No lock is held between the portions; a row that comes meanwhile comes too."""
    many = [learns(f"id-{number}") for number in range(600)]
    peer.does("PRAGMA journal_mode = delete", TABLE_042, "BEGIN", *many, "COMMIT")
    reading = peer_sqlite.read(tmp_path / "mesh_shared.db")
    first = next(reading)
    peer.does(learns("late", "meanwhile"))
    rest = list(reading)
    assert first.memory.id == "id-0" and len(rest) == 600
    assert rest[-1].memory.content == "meanwhile"


def test_what_is_not_committed_is_not_read(tmp_path, peer):
    peer.does("PRAGMA journal_mode = wal", TABLE_083, learns("first", "one"), "BEGIN", learns("second", "two"))
    before = as_it_lies(tmp_path)
    assert contents(tmp_path / "mesh_shared.db") == ["one"]
    assert as_it_lies(tmp_path) == before


@pytest.mark.parametrize("lost", [(), ("mesh_shared.db-shm",)])
def test_a_store_whose_peer_was_killed_is_read_whole_and_left_as_it_is(tmp_path, peer, lost):
    """Also if only the `-wal` file is left, as in a backup."""
    peer.does("PRAGMA journal_mode = wal", TABLE_083, learns("first", "one"))
    peer.is_killed()
    for name in lost:
        (tmp_path / name).unlink()
    before = as_it_lies(tmp_path)
    assert contents(tmp_path / "mesh_shared.db") == ["one"]
    assert as_it_lies(tmp_path) == before


@pytest.mark.parametrize("wal", [True, False])
def test_a_store_that_is_closed_is_left_as_it_is(tmp_path, wal):
    """No `-wal` and no `-shm` is left behind beside it."""
    path = store(tmp_path, wal=wal, first="one")
    before = as_it_lies(tmp_path)
    assert contents(path) == ["one"]
    assert as_it_lies(tmp_path) == before


def test_a_write_that_was_cut_off_is_undone_in_a_copy(tmp_path):
    """A store without WAL with the journal of a transaction that never ended: what was before it is read."""
    live, lying = tmp_path / "live", tmp_path / "lying"
    live.mkdir()
    path = store(live, TABLE_042, first="one")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA cache_size = 1")  # so that half of it is in the file
        db.execute("BEGIN")
        db.execute("UPDATE memories SET content = 'changed'")
        for number in range(100):
            insert(db, f"late-{number}", "x" * 2000)
        shutil.copytree(live, lying)
        db.execute("ROLLBACK")
    assert (lying / "mesh_shared.db-journal").exists()
    before = as_it_lies(lying)
    assert contents(lying / "mesh_shared.db") == ["one"]
    assert as_it_lies(lying) == before


def test_a_link_to_a_store_leads_to_all_of_it(tmp_path, peer):
    """The `-wal` file lies beside the store, not beside the link."""
    peer.does("PRAGMA journal_mode = wal", TABLE_083, learns("first", "one"))
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "mesh_shared.db")
    assert contents(link) == ["one"]


# --- what is no such store -----------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"SQLite format 3", b"not a database" * 400, b"\0" * 5000])
def test_a_file_that_is_no_database_is_one_clear_error(tmp_path, data):
    path = tmp_path / "mesh_shared.db"
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match=r"^mesh_shared\.db: it is not an SQLite database\. Give"):
        list(peer_sqlite.read(path))


@pytest.mark.parametrize("table", ["CREATE TABLE bookmarks (id)", "CREATE TABLE memories (id, content, created_at)"])
def test_another_database_is_one_clear_error(tmp_path, table):
    """Not the peer's tables, or a table of that name that is another's."""
    path = tmp_path / "places.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute(table)
    for ask in (lambda: list(peer_sqlite.read(path)), lambda: peer_sqlite.namespace_of(path)):
        with pytest.raises(InvalidInput, match="not one of mesh-context-layer"):
            ask()


@pytest.mark.parametrize("kept", [16, 20, 100, 1000, 4096, 8192, 50_000])
def test_a_truncated_store_is_one_clear_error(tmp_path, kept):
    """At its end, or as soon as it is opened; never another exception."""
    path = store(tmp_path, **{f"id-{number}": "a text " * 20 for number in range(900)})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(MeshError, match=r"^mesh_shared\.db: it "):
        list(peer_sqlite.read(path))


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The bytes of a small store in WAL mode."""
    rows = {f"id-{number}": f"text {number} " * 30 for number in range(40)}
    return store(tmp_path_factory.mktemp("sound"), wal=True, **rows).read_bytes()


@given(st.lists(st.tuples(st.integers(0, 30_000), st.integers(0, 255)), max_size=20), st.integers(0, 40_000))
@example([(18, 1)], 40_000)
@example([(19, 1)], 40_000)
def test_no_damage_is_another_error_or_changes_anything(tmp_path_factory, sound, flips, length):
    """Wherever the bytes are wrong: what can be read, or one clear error; and the folder is as it was."""
    folder = tmp_path_factory.mktemp("damaged")
    data = bytearray(sound)
    for place, value in flips:
        data[place % len(data)] = value
    path = folder / "mesh_shared.db"
    path.write_bytes(data[:length])
    before = as_it_lies(folder)
    try:
        peer_sqlite.namespace_of(path)
        list(peer_sqlite.read(path))
    except MeshError as error:
        assert str(error).startswith("mesh_shared.db: it ")
    assert as_it_lies(folder) == before


def test_pages_that_lead_in_a_circle_are_not_read_for_ever(tmp_path):
    """Every branch of the table leads to its first leaf: the same rows would come again and again."""
    path = store(tmp_path, **{f"id-{number:05}": "a text " * 20 for number in range(2000)})
    with closing(sqlite3.connect(path)) as db:
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'memories'").fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
    data = bytearray(path.read_bytes())
    page = memoryview(data)[(root - 1) * size : root * size]
    assert page[0] == 5  # a branch
    cells = [int.from_bytes(page[at : at + 2]) for at in range(12, 12 + 2 * int.from_bytes(page[3:5]), 2)]
    first = bytes(page[cells[0] : cells[0] + 4])
    for cell in cells:
        page[cell : cell + 4] = first
    page[8:12] = first
    page.release()
    path.write_bytes(data)
    with pytest.raises(MeshError, match="its rows are out of order"):
        list(peer_sqlite.read(path))


def test_rows_before_the_damage_are_read(tmp_path):
    path = store(tmp_path, **{f"id-{number:05}": "a text " * 20 for number in range(2000)})
    data = bytearray(path.read_bytes())
    data[-40_000:] = b"\xa5" * 40_000
    path.write_bytes(data)
    found = []
    with pytest.raises(MeshError, match="it is damaged"):
        for one in peer_sqlite.read(path):
            found.append(one)  # what comes before the error counts
    assert len(found) >= 500


def test_a_store_that_stays_locked_is_one_clear_error(tmp_path, peer, monkeypatch):
    monkeypatch.setattr(peer_sqlite, "BUSY_SECONDS", 0.05)
    peer.does("PRAGMA journal_mode = delete", TABLE_042, "BEGIN EXCLUSIVE")
    with pytest.raises(MeshError, match="it is locked"):
        list(peer_sqlite.read(tmp_path / "mesh_shared.db"))


def test_a_store_that_is_not_there_is_one_clear_error(tmp_path):
    with pytest.raises(MeshError, match="no such file"):
        list(peer_sqlite.read(tmp_path / "mesh_gone.db"))


# --- its namespace -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "namespaces", "expected"),
    [
        ("mesh_shared.db", ["shared"], "shared"),
        ("backup.db", ["team-a"], "team-a"),
        ("mesh_Team-A.db", [], "team-a"),
        ("mesh_both.db", ["one", "two"], "both"),
        ("copy.db", ["one", "two"], None),
        ("copy.db", ["not a name!"], None),
        ("copy.db", [], None),
    ],
)
def test_the_namespace_is_that_of_the_rows_else_of_the_name(tmp_path, name, namespaces, expected):
    rows = {f"id-{number}": {"content": "a", "namespace": one} for number, one in enumerate(namespaces)}
    assert peer_sqlite.namespace_of(store(tmp_path, name=name, **rows)) == expected
