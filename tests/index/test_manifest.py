"""`manifest.db`: made when missing, read by many, and every kind of failure told from every other."""

import sqlite3
import subprocess
import sys
import threading

import pytest

from mesh import Mesh, codec
from mesh.index import models, postings
from mesh.index.damage import CacheDamaged, CacheReadOnly, translated
from mesh.index.file_row import FileRow
from mesh.index.manifest import EMPTY, REFUSED, SERVED, UNREADABLE, Manifest
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


def put(manifest, *rows):
    with manifest.changing_files():
        for one in rows:
            manifest.put(one)


def remove(manifest, *paths):
    with manifest.changing_files():
        manifest.remove(paths)


def matching(manifest, word):
    paths = dict(manifest.db.execute("SELECT file_id, path FROM files"))
    (term,) = manifest.analyzer.terms([word])
    return {paths[file_id] for file_id, one, _ in postings.entries(manifest.db) if one == term}


def numbers(manifest):
    return dict(manifest.db.execute("SELECT path, file_id FROM files"))


def test_a_missing_manifest_is_made(manifest):
    """The first look at a namespace begins an empty manifest."""
    assert manifest.count() == 0 and manifest.writable
    assert manifest.get("scan") is None


def test_what_was_put_is_there_after_reopening(tmp_path):
    """The manifest outlives the process."""
    first = Manifest.open(tmp_path / "manifest.db")
    put(first, row())
    first.set("scan", b"mark")
    first.close()
    again = Manifest.open(tmp_path / "manifest.db")
    assert again.count() == 1 and again.get("scan") == b"mark"
    again.close()


def test_putting_a_file_again_replaces_it(manifest):
    """A file has one row, and the words of what it holds now."""
    put(manifest, row(text="alpha", front="supersedes: old-one"))
    put(manifest, row(text="beta", front="supersedes: new-one"))
    assert manifest.count() == 1
    assert matching(manifest, "alpha") == set() and matching(manifest, "beta") == {"ns/a.md"}
    assert manifest.db.execute("SELECT id FROM supersedes").fetchall() == [("new-one",)]


@pytest.mark.parametrize("state", [REFUSED, UNREADABLE, EMPTY])
def test_a_file_that_is_not_served_has_no_words(manifest, state):
    """What is refused, unreadable or empty answers no question, whatever it held before."""
    put(manifest, row(text="alpha"))
    put(manifest, row(text="" if state == EMPTY else "alpha", state=state))
    assert matching(manifest, "alpha") == set()
    assert manifest.count(SERVED) == 0 and manifest.count(state) == 1


@pytest.fixture
def of_two_models(manifest):
    """A manifest with one file, embedded by model 1 and waiting for model 2."""
    models.enter(manifest, "one", 2), models.enter(manifest, "two", 3)
    put(manifest, row(front="supersedes: old-one"))
    embedded_by(manifest, 1)
    return manifest


def embedded_by(manifest, model):
    manifest.db.execute("INSERT INTO passages SELECT ?, file_id, 0, 0, 5, x'00' FROM files", (model,))
    manifest.db.execute("DELETE FROM waiting WHERE model = ?", (model,))


def waiting(manifest):
    """How many files wait for each of the two models, and how many have passages."""
    passages = manifest.db.execute("SELECT count(DISTINCT file_id) FROM passages JOIN files USING (file_id)").fetchone()
    return models.count_waiting(manifest, 1), models.count_waiting(manifest, 2), passages[0]


def test_a_removed_file_leaves_nothing(of_two_models):
    """Words, passages and what it superseded go with the file, and nobody waits for it."""
    remove(of_two_models, "ns/a.md", "ns/never-there.md")
    for table in ("files", "supersedes", "passages", "waiting"):
        assert of_two_models.db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    assert list(postings.entries(of_two_models.db)) == []


def test_the_same_content_keeps_its_passages(of_two_models):
    """A new tag does not cost an embedding; a new text does, of every model."""
    put(of_two_models, row(digest=b"other", front="tags: [new]"))
    assert waiting(of_two_models) == (0, 1, 1)
    put(of_two_models, row(text="beta"))
    assert waiting(of_two_models) == (1, 1, 0)


def test_a_file_that_is_not_served_waits_for_nothing(of_two_models):
    """It has no text; once it has one it waits for every model."""
    put(of_two_models, row(state=REFUSED))
    assert waiting(of_two_models) == (0, 0, 0)
    put(of_two_models, row())
    assert waiting(of_two_models) == (1, 1, 0)


def test_a_moved_file_waits_for_whom_it_waited_before(of_two_models):
    """Under its new path the vectors of the one model are its own still."""
    with of_two_models.changing_files():
        of_two_models.put(row("ns/b.md"), "ns/a.md")
    assert waiting(of_two_models) == (0, 1, 1)
    assert models.some_waiting(of_two_models, 2, after=0, limit=9)[0][1] == "ns/b.md"


def test_all_that_is_served_waits_for_a_new_model(manifest):
    """Before it has a number as well as after."""
    put(manifest, row(), row("ns/b.md"), row("ns/c.md", state=REFUSED))
    before = models.count_waiting(manifest, 0), models.some_waiting(manifest, 0, after=0, limit=9)
    number, file = models.enter(manifest, "new", 2)
    after = models.count_waiting(manifest, number), models.some_waiting(manifest, number, after=0, limit=9)
    assert before == after and before[0] == 2 and file == "vectors.npy"


def test_a_removed_model_leaves_nothing_and_its_number_to_nobody(of_two_models, tmp_path):
    """The other model keeps what it has."""
    for name in ("vectors.npy", "vectors.bits", "vectors-2.npy"):
        (tmp_path / name).write_bytes(b"x")
    assert models.remove(of_two_models, tmp_path, "two") and not models.remove(of_two_models, tmp_path, "two")
    assert {path.name for path in tmp_path.glob("vectors*")} == {"vectors.npy", "vectors.bits"}
    assert waiting(of_two_models) == (0, 0, 1)
    assert models.enter(of_two_models, "three", 2) == (3, "vectors-3.npy")


@pytest.mark.parametrize("front", ["title: T", "agent: ann", "source: a book"])
def test_what_is_embedded_besides_the_content_counts_as_well(of_two_models, front):
    """The title, and in a source the author, stand before the text that is embedded."""
    put(of_two_models, row(front=front))
    assert waiting(of_two_models) == (1, 1, 0)


def test_a_file_keeps_its_number_as_long_as_its_words_are_the_same(manifest):
    """The lexical index is by numbers: other words are another number, and none is given twice."""
    put(manifest, row(), row("ns/b.md"))
    before = numbers(manifest)
    put(manifest, row(digest=b"other"), row("ns/b.md", text="gamma"))
    after = numbers(manifest)
    assert after["ns/a.md"] == before["ns/a.md"] and after["ns/b.md"] > max(before.values())
    remove(manifest, "ns/b.md")
    put(manifest, row("ns/b.md"))
    assert numbers(manifest)["ns/b.md"] > after["ns/b.md"]


def test_a_file_put_twice_in_one_change_is_indexed_once(manifest):
    """A refresh may meet a file again that it has just taken in."""
    put(manifest, row(text="alpha"), row(text="beta"))
    assert matching(manifest, "alpha") == set() and matching(manifest, "beta") == {"ns/a.md"}
    assert manifest.db.execute("SELECT count(*) FROM dropped").fetchone() == (0,)
    with manifest.changing_files():
        manifest.put(row("ns/b.md"))
        manifest.remove(["ns/b.md"])
    assert {file_id for file_id, *_ in postings.entries(manifest.db)} == set(numbers(manifest).values())


def test_what_was_never_indexed_is_not_dropped(manifest):
    """Files that are not served come and go without a trace in the lexical index."""
    put(manifest, row(state=REFUSED))
    remove(manifest, "ns/a.md")
    assert manifest.db.execute("SELECT count(*) FROM dropped").fetchone() == (0,)


def test_a_change_that_fails_is_not_indexed_with_the_next(manifest):
    """Neither its rows nor its words."""
    with pytest.raises(ZeroDivisionError), manifest.changing_files():
        manifest.put(row(text="alpha"))
        raise ZeroDivisionError
    put(manifest, row("ns/b.md", text="beta"))
    assert matching(manifest, "alpha") == set() and matching(manifest, "beta") == {"ns/b.md"}


def test_what_is_read_together_is_of_one_state(manifest):
    """Whatever another process writes between two queries."""
    put(manifest, row())
    other = Manifest.open(manifest.path)
    with manifest.reading():
        before = manifest.generation()
        put(other, row("ns/b.md"))
        assert (manifest.generation(), manifest.count()) == (before, 1)
    assert (manifest.generation(), manifest.count()) == (before + 1, 2)
    other.close()


def test_a_failed_transaction_leaves_everything_as_it_was(manifest):
    """All of a transaction, or nothing."""
    put(manifest, row())
    with pytest.raises(ZeroDivisionError), manifest.changing_files():
        manifest.remove(["ns/a.md"])
        raise ZeroDivisionError
    assert manifest.count() == 1 and matching(manifest, "alpha") == {"ns/a.md"}
    remove(manifest, "ns/a.md")
    assert manifest.count() == 0


def test_problems_come_back_as_they_went_in(manifest):
    """A problem is data: path, line, key, cause and remedy, sorted by path."""
    problems = [Problem("ns/b.md", 3, "created", 'not "a" date', "Write ünï"), Problem("ns/b.md", 0, "", "x", "y")]
    put(manifest, row("ns/b.md", problems=problems))
    put(manifest, row("ns/a.md", problems=[Problem("ns/a.md", 1, "id", "c", "r")]))
    put(manifest, row("ns/c.md"))
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
    put(first, row())
    first.close()
    copy = Manifest.open_copy(tmp_path / "manifest.db")
    assert copy.count() == 1 and not copy.writable
    remove(copy, "ns/a.md")
    assert Manifest.open(tmp_path / "manifest.db").count() == 1


@pytest.mark.parametrize("content", [None, b"", b"garbage" * 1000])
def test_a_copy_of_nothing_is_empty(tmp_path, content):
    """A missing or damaged manifest in a read-only home means starting from the files."""
    if content is not None:
        (tmp_path / "manifest.db").write_bytes(content)
    assert Manifest.open_copy(tmp_path / "manifest.db").count() == 0


def test_opening_it_twice_in_one_process_leaves_the_log_of_the_first_alone(home, without_model):
    """POSIX locks belong to a process: a descriptor that is closed must not free those of another connection.

    Else the next process that ends takes itself for the last, and deletes the log that is still written to.
    """
    elsewhere = "import sys; from mesh import Mesh; print(Mesh(home=sys.argv[1]).count())"
    with Mesh(home=home) as first, Mesh(home=home) as second:
        for number in range(3):
            first.learn(f"The otter is number {number}")
            second.recall("otter")
            second.close()
            done = subprocess.run([sys.executable, "-c", elsewhere, home], capture_output=True, text=True, check=True)
            assert done.stdout == f"{number + 1}\n"
            assert (home / ".cache" / "shared" / "manifest.db-wal").exists()
