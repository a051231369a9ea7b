"""Who stands beside whom in a source: by the time of creation, as far as two places, whatever the source's length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh import codec
from mesh.index import neighbours
from mesh.index.file_row import FileRow
from mesh.index.filters import Filters
from mesh.index.manifest import SERVED, Manifest

ALL = f"state = {SERVED}"


@pytest.fixture
def manifest(tmp_path):
    opened = Manifest.open(tmp_path / "manifest.db")
    yield opened
    opened.close()


def put(manifest, *rows):
    """Memories given as `(path, source, second of creation)`, or with front matter of their own after that."""
    with manifest.changing_files():
        for path, source, second, *front in rows:
            created = f"created: 2026-01-01T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"
            text = "\n".join(["---", f"id: id-of-{path}", f"source: {source}", created, *front, "---", path])
            memory = codec.read(text.encode(), f"n/{path}.md")
            manifest.put(FileRow(f"n/{path}.md", SERVED, (1, 2, 3, 4), True, b"d", memory, text_digest=path.encode()))


def beside(manifest, *paths, where=ALL, values=()):
    """`neighbours.of`, by names."""
    names = {row[0]: row[1][2:-3] for row in manifest.db.execute("SELECT file_id, path FROM files")}
    numbers = {name: file_id for file_id, name in names.items()}
    found = neighbours.of(manifest, [numbers[path] for path in paths], where, values)
    return {
        names[one]: {names[other]: away for other, away in near}
        for company in found.values()
        for one, near in company.beside.items()
    }


def test_memories_of_a_source_stand_in_the_order_of_their_creation(manifest):
    """Not in that of their names, nor of their indexing."""
    put(manifest, ("e", "talk", 5), ("a", "talk", 3), ("d", "talk", 1), ("c", "talk", 2), ("b", "talk", 4))
    found = beside(manifest, "a")
    assert found["a"] == {"d": 2, "c": 1, "b": 1, "e": 2}
    assert found.keys() == {"a", "b", "c", "d", "e"} and found["e"] == {"a": 2, "b": 1}


def test_two_places_are_near_and_three_are_not(manifest):
    """What is near is named with its own neighbours, which explain it."""
    put(manifest, *[(f"t{i}", "talk", i) for i in range(10)])
    found = beside(manifest, "t0")
    assert found.keys() == {"t0", "t1", "t2"}
    assert found["t2"] == {"t0": 2, "t1": 1, "t3": 1, "t4": 2}


def test_another_source_is_no_neighbour_and_none_is_no_source(manifest):
    """However close in time."""
    put(manifest, ("a", "talk", 1), ("b", "book", 2), ("c", "", 3), ("d", "", 4))
    assert beside(manifest, "a", "b", "c", "d") == {"a": {}, "b": {}}


def test_equal_times_go_by_id(manifest):
    """An import may give all parts of a document one time."""
    put(manifest, ("b", "talk", 1), ("a", "talk", 1), ("c", "talk", 1))
    assert beside(manifest, "a")["a"] == {"b": 1, "c": 2}


def test_a_memory_without_a_time_has_no_place(manifest):
    """Neither `created` nor an id that tells it."""
    put(manifest, ("a", "talk", 1))
    with manifest.changing_files():
        memory = codec.read(b"---\nid: by-hand\nsource: talk\n---\nx", "n/x.md")
        manifest.put(FileRow("n/x.md", SERVED, (1, 2, 3, 4), True, b"d", memory, text_digest=b"x"))
    assert beside(manifest, "a", "x") == {"a": {}}


def test_only_what_a_filter_admits_counts(manifest):
    """A memory that may not answer neither lends nor stands between two others."""
    put(
        manifest,
        ("a", "talk", 1),
        ("b", "talk", 2, "local_only: true"),
        ("c", "talk", 3),
        ("d", "talk", 4, "local_only: true"),
    )
    where, values = Filters(local=False).where()
    assert beside(manifest, "a", where=where, values=values) == {"a": {"c": 1}, "c": {"a": 1}}


@given(
    sources=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    asked=st.sets(st.integers(0, 59), min_size=1),
    most=st.integers(0, 5),
)
def test_a_long_source_is_no_different_from_a_short_one(tmp_path_factory, sources, asked, most):
    """Read as a whole or around each memory: the same neighbours, those that a plain count gives."""
    manifest = Manifest.open(tmp_path_factory.mktemp("neighbours") / "manifest.db")
    put(manifest, *[(f"m{i:02}", f"source {source}", 59 - i) for i, source in enumerate(sources)])
    wanted = [f"m{i:02}" for i in asked if i < len(sources)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_RUN_A_MEMBER", most)
        found = beside(manifest, *wanted)
    manifest.close()
    expected = {}
    for source in range(4):
        run = [f"m{i:02}" for i in reversed(range(len(sources))) if sources[i] == source]
        for here, name in enumerate(run):
            if any(abs(here - there) <= 2 and other in wanted for there, other in enumerate(run)):
                near = [there for there in range(len(run)) if 0 < abs(there - here) <= 2]
                expected[name] = {run[there]: abs(there - here) for there in near}
    assert found == expected
