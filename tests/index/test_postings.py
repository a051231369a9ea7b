"""The lexical index after any history is that of a fresh one over the files that live, and stays in few batches."""

import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh import codec
from mesh.index import postings
from mesh.index.damage import CacheDamaged
from mesh.index.file_row import FileRow
from mesh.index.lexical import Matches
from mesh.index.lexicon import Lexicon
from mesh.index.manifest import SERVED, Manifest
from mesh.index.question import Question

WORDS = "walrus octopus tusk garden deploy limit".split()


@pytest.fixture
def manifest(tmp_path):
    opened = Manifest.open(tmp_path / "manifest.db")
    yield opened
    opened.close()


def row(path, text):
    memory = codec.read(text.encode(), path)
    return FileRow(path, SERVED, (1, 2, 3, 4), True, text.encode(), memory, text_digest=text.encode(), about="about it")


def change(manifest, texts, gone=()):
    """One change: some files get a text, some go."""
    with manifest.changing_files():
        manifest.remove(gone)
        for path, text in texts.items():
            manifest.put(row(path, text))


def by_path(manifest):
    """Every entry of the index, as often as it is there."""
    paths = dict(manifest.db.execute("SELECT file_id, path FROM files"))
    return Counter((paths[file_id], term, weight) for file_id, term, weight in postings.entries(manifest.db))


def scores(manifest, question, lexicon=None):
    paths = dict(manifest.db.execute("SELECT file_id, path FROM files"))
    found = Matches(lexicon or Lexicon(manifest), Question.read(question)).best(1000, "", ())
    return {paths[file_id]: score for file_id, score in found.items()}


def sizes(manifest):
    return [size for (size,) in manifest.db.execute("SELECT length(files) / 4 FROM batches")]


TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
PATHS = st.integers(0, 30).map("n/{}.md".format)
CHANGES = st.lists(st.tuples(st.dictionaries(PATHS, TEXTS, max_size=12), st.sets(PATHS, max_size=4)), max_size=40)


@given(changes=CHANGES, alike=st.integers(1, 8), few=st.integers(0, 10))
@settings(max_examples=150)
def test_any_history_gives_the_index_of_its_outcome(tmp_path_factory, changes, alike, few):
    """Added, replaced, removed and merged in any order: the postings and BM25 of a fresh index, for every reader."""
    folder, living, everything = tmp_path_factory.mktemp("postings"), {}, set()
    manifest, fresh = Manifest.open(folder / "manifest.db"), Manifest.open(folder / "fresh.db")
    lexicon = Lexicon(manifest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postings, "MOST_ALIKE", alike)
        patch.setattr(postings, "FEW_DROPPED", few)
        for number, (texts, gone) in enumerate(changes):
            before = dict(manifest.db.execute("SELECT path, file_id FROM files"))
            change(manifest, texts, gone)
            living = {path: text for path, text in living.items() if path not in gone} | texts
            after = dict(manifest.db.execute("SELECT path, file_id FROM files"))
            new = {file_id for path, file_id in after.items() if before.get(path) != file_id}
            assert not new & everything, "a number was given twice"
            everything |= new
            if number % 5 == 0:
                lexicon.lengths()  # a reader that looks now and then
        change(fresh, living)
        assert by_path(manifest) == by_path(fresh)
        for question in [*WORDS, "walrus tusk garden"]:
            assert scores(manifest, question, lexicon) == pytest.approx(scores(fresh, question), rel=1e-9)
    manifest.close()
    fresh.close()


@pytest.mark.parametrize("many", [1, 500])
def test_batches_stay_few(manifest, many):
    """At most eight of a magnitude, whether files come one by one or many at a time."""
    for i in range(0, 400 * (1 if many == 1 else 10), many):
        change(manifest, {f"n/{j}.md": f"walrus number{j}" for j in range(i, i + many)})
        magnitudes = Counter((max(1, size).bit_length() - 1) // 3 for size in sizes(manifest))
        assert max(magnitudes.values()) <= 8
    assert sum(sizes(manifest)) == manifest.count()


def test_a_change_writes_little(manifest):
    """One more file in a large index is a batch of its own: what is there stays as it is, but for now and then."""
    change(manifest, {f"n/{i}.md": f"walrus number{i}" for i in range(600)})
    big = manifest.db.execute("SELECT max(batch) FROM batches").fetchone()
    for i in range(60):
        change(manifest, {f"n/new{i}.md": "octopus"}, [f"n/{i}.md"])
        assert big in manifest.db.execute("SELECT batch FROM batches").fetchall()
    assert sorted(sizes(manifest))[-2] < 60


def test_what_was_dropped_is_cleared_away_when_it_is_much(manifest, monkeypatch):
    """A file that changes a thousand times does not leave a thousand files in the index."""
    monkeypatch.setattr(postings, "FEW_DROPPED", 20)
    change(manifest, {f"n/{i}.md": "walrus" for i in range(50)})
    for i in range(200):
        change(manifest, {"n/0.md": f"octopus {i}"})
        assert manifest.db.execute("SELECT count(*) FROM dropped").fetchone()[0] <= 21
    assert sum(sizes(manifest)) <= 50 + 21


def test_when_everything_is_dropped_nothing_is_left(manifest, monkeypatch):
    """No empty batch, no posting of nobody."""
    monkeypatch.setattr(postings, "FEW_DROPPED", 0)
    change(manifest, {"n/a.md": "walrus", "n/b.md": "octopus"})
    change(manifest, {}, ["n/a.md", "n/b.md"])
    for table in ("batches", "postings", "dropped"):
        assert manifest.db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    change(manifest, {"n/c.md": "walrus"})
    assert scores(manifest, "walrus").keys() == {"n/c.md"}


def test_a_word_that_is_there_very_often_weighs_no_more_than_a_byte_holds(manifest):
    """Beyond 127 times it makes no difference, neither fresh nor merged."""
    change(manifest, {"n/a.md": "walrus " * 1000})
    (entry,) = [weight for _, term, weight in postings.entries(manifest.db) if term == "walru"]
    assert entry == postings.MOST_WEIGHT
    (length,) = [weight for _, term, weight in postings.entries(manifest.db) if term == ""]
    assert length == 2002


def test_a_failed_change_leaves_the_index_as_it_was(manifest):
    """Batches, postings and drops are part of the same transaction as the files."""
    change(manifest, {"n/a.md": "walrus"})
    before = by_path(manifest)
    with pytest.raises(ZeroDivisionError), manifest.changing_files():
        manifest.put(row("n/a.md", "octopus"))
        manifest.put(row("n/b.md", "octopus"))
        raise ZeroDivisionError
    assert by_path(manifest) == before and scores(manifest, "octopus") == {}


def test_two_processes_may_add_at_once(manifest):
    """Each in its own transaction: every file is there once, in few batches."""
    script = """
    import sys
    sys.path.insert(0, sys.argv[1])
    from pathlib import Path
    from test_postings import Manifest, change
    manifest = Manifest.open(Path(sys.argv[2]))
    for i in range(60):
        change(manifest, {f"n/{sys.argv[3]}{i}.md": f"walrus {sys.argv[3]}", "n/both.md": f"octopus {sys.argv[3]}{i}"})
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(Path(__file__).parent), str(manifest.path)]
    running = [subprocess.Popen([*command, name], stderr=subprocess.PIPE) for name in "xy"]
    for process in running:
        assert process.communicate()[1] == b"" and process.returncode == 0
    assert manifest.count() == 121 and len(scores(manifest, "walrus")) == 120
    assert len([one for one in by_path(manifest).elements() if one[:2] == ("n/both.md", "octopu")]) == 1
    assert len(sizes(manifest)) <= 24


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE batches SET lengths = x'010203'",
        "UPDATE batches SET files = x'01000000'",
        "UPDATE postings SET data = x'010203'",
        "UPDATE postings SET data = x''",
    ],
)
def test_what_cannot_be_an_index_is_damage_also_when_it_is_merged(manifest, damage):
    """A refresh that meets it says so, and the cache is made again."""
    for i in range(8):
        change(manifest, {f"n/{i}.md": "walrus", f"n/{i}b.md": "tusk"})
    manifest.db.execute(damage)
    with pytest.raises(CacheDamaged):
        change(manifest, {"n/x.md": "walrus", "n/xb.md": "tusk"})
    with pytest.raises(CacheDamaged):
        list(postings.entries(manifest.db))
