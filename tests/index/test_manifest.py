"""`manifest.db`: made when missing, read by many, and every kind of failure told from every other."""

import sqlite3
import threading

import pytest

from mesh import codec
from mesh.index.file_row import FileRow
from mesh.index.manifest import (
    EMPTY,
    REFUSED,
    SERVED,
    UNREADABLE,
    CacheDamaged,
    CacheReadOnly,
    Manifest,
    translated,
)
from mesh.memory import Problem

STAMP = (1, 2, 3, 4)


def row(path="ns/a.md", text="alpha beta", state=SERVED, digest=b"d", front="", problems=()):
    memory = codec.read(f"---\n{front}\n---\n{text}\n".encode(), path) if state in (SERVED, EMPTY) else None
    text_digest = text.encode() if memory else None
    return FileRow(path, state, STAMP, True, digest, memory, text_digest=text_digest, problems=problems)


@pytest.fixture
def manifest(tmp_path):
    opened = Manifest.open(tmp_path / "manifest.db")
    yield opened
    opened.close()


def matching(manifest, word):
    found = manifest.db.execute(
        "SELECT path FROM files WHERE file_id IN (SELECT rowid FROM words WHERE words MATCH ?)", (word,)
    )
    return {path for (path,) in found}


def test_a_missing_manifest_is_made(manifest):
    """The first look at a namespace begins an empty manifest."""
    assert manifest.count() == 0 and manifest.writable
    assert manifest.get("scan") is None


def test_what_was_put_is_there_after_reopening(tmp_path):
    """The manifest outlives the process."""
    first = Manifest.open(tmp_path / "manifest.db")
    first.put(row())
    first.set("scan", b"mark")
    first.close()
    again = Manifest.open(tmp_path / "manifest.db")
    assert again.count() == 1 and again.get("scan") == b"mark"
    again.close()


def test_putting_a_file_again_replaces_it(manifest):
    """A file has one row, and the words of what it holds now."""
    manifest.put(row(text="alpha", front="supersedes: old-one"))
    manifest.put(row(text="beta", front="supersedes: new-one"))
    assert manifest.count() == 1
    assert matching(manifest, "alpha") == set() and matching(manifest, "beta") == {"ns/a.md"}
    assert manifest.db.execute("SELECT id FROM supersedes").fetchall() == [("new-one",)]


@pytest.mark.parametrize("state", [REFUSED, UNREADABLE, EMPTY])
def test_a_file_that_is_not_served_has_no_words(manifest, state):
    """What is refused, unreadable or empty answers no question, whatever it held before."""
    manifest.put(row(text="alpha"))
    manifest.put(row(text="" if state == EMPTY else "alpha", state=state))
    assert matching(manifest, "alpha") == set()
    assert manifest.count(SERVED) == 0 and manifest.count(state) == 1


def test_a_removed_file_leaves_nothing(manifest):
    """Words, passages and what it superseded go with the file."""
    manifest.db.execute("INSERT INTO matrices VALUES (1, 'k', 'vectors.npy', 2, 0, 0, '')")
    manifest.put(row(front="supersedes: old-one"))
    manifest.db.execute("INSERT INTO passages SELECT 1, file_id, 0, 0, 5, x'00' FROM files")
    manifest.remove(["ns/a.md", "ns/never-there.md"])
    for table in ("files", "words", "supersedes", "passages"):
        assert manifest.db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


def test_the_same_content_keeps_its_passages(manifest):
    """A new tag does not cost an embedding; a new text does."""
    manifest.db.execute("INSERT INTO matrices VALUES (1, 'k', 'vectors.npy', 2, 0, 0, '')")
    manifest.put(row(text="alpha"))
    manifest.db.execute("UPDATE files SET embedded = 1")
    manifest.db.execute("INSERT INTO passages SELECT 1, file_id, 0, 0, 5, x'00' FROM files")
    manifest.put(row(text="alpha", digest=b"other", front="tags: [new]"))
    assert manifest.db.execute("SELECT embedded, count(*) FROM files JOIN passages USING (file_id)").fetchone() == (
        1,
        1,
    )
    manifest.put(row(text="beta"))
    assert manifest.db.execute("SELECT embedded FROM files").fetchone() == (0,)
    assert manifest.db.execute("SELECT count(*) FROM passages").fetchone() == (0,)


def test_a_failed_transaction_leaves_everything_as_it_was(manifest):
    """All of a transaction, or nothing."""
    manifest.put(row())
    with pytest.raises(ZeroDivisionError), manifest.transaction():
        manifest.remove(["ns/a.md"])
        raise ZeroDivisionError
    assert manifest.count() == 1
    with manifest.transaction():
        manifest.remove(["ns/a.md"])
    assert manifest.count() == 0


def test_problems_come_back_as_they_went_in(manifest):
    """A problem is data: path, line, key, cause and remedy, sorted by path."""
    problems = [Problem("ns/b.md", 3, "created", 'not "a" date', "Write ünï"), Problem("ns/b.md", 0, "", "x", "y")]
    manifest.put(row("ns/b.md", problems=problems))
    manifest.put(row("ns/a.md", problems=[Problem("ns/a.md", 1, "id", "c", "r")]))
    manifest.put(row("ns/c.md"))
    assert manifest.problems() == [Problem("ns/a.md", 1, "id", "c", "r"), *problems]


def test_another_version_is_damage(tmp_path):
    """A manifest of an older or newer Mesh is made again, not guessed at."""
    Manifest.open(tmp_path / "manifest.db").close()
    with sqlite3.connect(tmp_path / "manifest.db") as db:
        db.execute("PRAGMA user_version = 77")
    db.close()
    with pytest.raises(CacheDamaged, match="version 77"):
        Manifest.open(tmp_path / "manifest.db")


def test_tables_of_somebody_else_are_damage(tmp_path):
    """A database without our version that is not empty is not taken over."""
    with sqlite3.connect(tmp_path / "manifest.db") as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    with pytest.raises(CacheDamaged):
        Manifest.open(tmp_path / "manifest.db")


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to look at" * 100, b"SQLite format 3\0" + b"\xff" * 500]
)
def test_garbage_is_damage(tmp_path, content):
    """A file that is no database is recognised as such."""
    (tmp_path / "manifest.db").write_bytes(content)
    with pytest.raises(CacheDamaged):
        Manifest.open(tmp_path / "manifest.db").get("scan")


def test_many_processes_may_make_it_at_once(tmp_path):
    """The tables are made once, whoever comes first."""
    failures = []
    barrier = threading.Barrier(8)

    def make():
        barrier.wait()
        try:
            for _ in range(3):
                Manifest.open(tmp_path / "manifest.db").close()
        except Exception as error:  # noqa: BLE001 - every failure counts
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_busy_is_not_damage():
    """A lock that somebody holds says nothing about the file."""
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    with pytest.raises(sqlite3.OperationalError), translated():
        raise error


def test_a_full_disk_is_not_damage():
    """Making the cache again would not give the disk more room."""
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    with pytest.raises(CacheReadOnly), translated():
        raise error


def test_a_read_only_database_is_told_from_a_damaged_one(tmp_path):
    """What cannot be written here is answered from a copy, never deleted."""
    Manifest.open(tmp_path / "manifest.db").close()
    db = sqlite3.connect(f"{(tmp_path / 'manifest.db').as_uri()}?mode=ro", uri=True)
    with pytest.raises(CacheReadOnly), translated():
        db.execute("CREATE TABLE more (x)")


def test_a_copy_in_memory_has_what_the_file_has(tmp_path):
    """A home that cannot be written is answered from a copy; changes of the copy stay in it."""
    first = Manifest.open(tmp_path / "manifest.db")
    first.put(row())
    first.close()
    copy = Manifest.open_copy(tmp_path / "manifest.db")
    assert copy.count() == 1 and not copy.writable
    copy.remove(["ns/a.md"])
    assert Manifest.open(tmp_path / "manifest.db").count() == 1


@pytest.mark.parametrize("content", [None, b"", b"garbage" * 1000])
def test_a_copy_of_nothing_is_empty(tmp_path, content):
    """A missing or damaged manifest in a read-only home means starting from the files."""
    if content is not None:
        (tmp_path / "manifest.db").write_bytes(content)
    assert Manifest.open_copy(tmp_path / "manifest.db").count() == 0
