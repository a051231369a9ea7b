"""Filters as SQL: the same answer that the record itself gives."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mesh.index.file_row import FileRow
from mesh.index.filters import _EFFECTIVE, Filters
from mesh.index.manifest import Manifest
from mesh.memory import STALE_BELOW, Memory, new_id

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TIMES = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
IDS = st.sampled_from(["hand-made", new_id(), new_id(0), new_id(2**42)])
MEMORIES = st.builds(
    Memory,
    id=IDS,
    content=st.just("text"),
    path=st.just("n/a.md"),
    type=st.sampled_from(["fact", "error", "other"]),
    tags=st.lists(st.sampled_from(["api", "API", "ap", "api limits", "Straße"]), unique=True, max_size=3).map(tuple),
    agent=st.sampled_from(["", "ann", "Ann", "bob"]),
    created=st.none() | TIMES,
    expires=st.none() | TIMES,
    confidence=st.floats(0, 1),
    local_only=st.booleans(),
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    opened = Manifest.open(tmp_path_factory.mktemp("filters") / "manifest.db")
    yield opened
    opened.close()


def stored(manifest, memory):
    with manifest.transaction():
        manifest.put(FileRow("n/a.md", 0, (1, 2, 3, 4), True, b"d", memory, text_digest=b"t"))


def admitted(manifest, **options):
    where, values = Filters(**{"now": NOW} | options).where()
    return manifest.db.execute(f"SELECT count(*) FROM files WHERE {where}", values).fetchone()[0] == 1


@settings(max_examples=300, deadline=None)
@given(MEMORIES, TIMES)
def test_confidence_in_sql_is_that_of_the_record(manifest, memory, now):
    """SQLite computes the effective confidence that `Memory.effective_confidence` does."""
    stored(manifest, memory)
    computed = manifest.db.execute(f"SELECT {_EFFECTIVE.replace(':now', str(now.timestamp()))} FROM files").fetchone()[
        0
    ]
    assert computed == pytest.approx(memory.effective_confidence(now), abs=1e-6)


@settings(max_examples=300, deadline=None)
@given(MEMORIES, TIMES, st.floats(0.01, 1))
def test_least_confidence_and_staleness_are_those_of_the_record(manifest, memory, now, least):
    """`min_confidence` and `include_stale` admit what the record says."""
    effective = memory.effective_confidence(now)
    assume(abs(effective - least) > 1e-6 and abs(effective - STALE_BELOW) > 1e-6)
    stored(manifest, memory)
    assert admitted(manifest, now=now, min_confidence=least) == (effective >= least)
    assert admitted(manifest, now=now, include_stale=False) == (not memory.is_stale(now))


@settings(max_examples=300, deadline=None)
@given(
    MEMORIES,
    st.sampled_from([None, "fact", "error"]),
    st.lists(st.sampled_from(["api", "API", "ap", "limits", "api limits"]), max_size=2),
    st.sampled_from([None, "ann", "bob", ""]),
    st.none() | TIMES,
    st.none() | TIMES,
    st.booleans(),
)
def test_each_filter_admits_what_the_record_says(manifest, memory, kind, tags, agent, since, until, local):
    """Type, all tags in any case, agent, the half-open span of time, and scope."""
    stored(manifest, memory)
    options = {"type": kind, "tags": tuple(tags), "agent": agent, "since": since, "until": until, "local": local}
    born = memory.born
    assert admitted(manifest, **options) == all(
        [
            not kind or memory.type == kind,
            {tag.lower() for tag in tags} <= {tag.lower() for tag in memory.tags},
            not agent or memory.agent == agent,
            since is None or (born is not None and born >= since),
            until is None or (born is not None and born < until),
            local or not memory.local_only,
        ]
    )


@pytest.mark.parametrize("tag", ["Übersicht", "ÉCOLE", "ПЛАН"])
def test_a_tag_of_any_alphabet_is_found_as_it_is_written(manifest, tag):
    """A memory is found by its own tag."""
    stored(manifest, Memory(id="hand-made", content="text", path="n/a.md", tags=(tag,)))
    assert admitted(manifest, tags=(tag,))


def test_only_what_is_served_is_admitted(manifest):
    """No filter brings back a refused file."""
    stored(manifest, Memory(id="hand-made", content="text", path="n/a.md"))
    assert admitted(manifest)
    manifest.db.execute("UPDATE files SET state = 2")
    assert not admitted(manifest)


def test_filters_say_whether_they_narrow_anything():
    """The short way is taken only where nothing is asked for."""
    assert Filters().admits_all
    assert Filters(now=NOW - timedelta(days=1)).admits_all
    narrowed = [
        {"type": "fact"},
        {"tags": ("x",)},
        {"agent": "a"},
        {"since": NOW},
        {"until": NOW},
        {"min_confidence": 0.1},
        {"include_stale": False},
        {"local": False},
    ]
    assert not any(Filters(**one).admits_all for one in narrowed)
