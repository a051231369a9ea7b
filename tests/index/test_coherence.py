"""Which sources lend: those whose memories are about what those beside them are about."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.index.coherence import lending
from mesh.index.neighbours import Company

LENGTH = 180
TALK, NOTES = range(LENGTH), range(1000, 1000 + LENGTH)
FOUND_IN_TALK, FOUND_IN_NOTES = TALK[2::10], NOTES[2:-2]


def company(files, found):
    """What stands beside some files that follow each other."""
    beside = {}
    for at, one in enumerate(files):
        if any(files[near] in found for near in range(max(0, at - 2), min(len(files), at + 3))):
            near = [(files[other], abs(other - at)) for other in range(len(files)) if 0 < abs(other - at) <= 2]
            beside[one] = near
    return Company(list(found), beside)


def walk(length, seed, step=0.5):
    """Unit vectors of which each is near the one before it: what a conversation is about drifts."""
    rng = np.random.default_rng(seed)
    rows = [rng.normal(size=32)]
    for _ in range(length - 1):
        rows.append(rows[-1] + step * rng.normal(size=32))
    return [(row / np.sqrt(row @ row)).astype(np.float32) for row in rows]


def some_of(vectors):
    return lambda files: {one: vectors[one] for one in files if one in vectors}


@pytest.fixture
def talk():
    return dict(enumerate(walk(LENGTH, seed=1)))


@pytest.fixture
def notes():
    """The same texts in no order."""
    return dict(enumerate(np.random.default_rng(2).permutation(walk(LENGTH, seed=1)), start=NOTES[0]))


def test_a_conversation_lends_and_notes_in_no_order_do_not(talk, notes):
    """The same vectors in both: only their order differs."""
    in_order = lending({"talk": company(TALK, FOUND_IN_TALK)}, some_of(talk))
    in_none = lending({"notes": company(NOTES, FOUND_IN_NOTES)}, some_of(notes))
    assert set(in_order.share.values()) == {1.0} and in_order.beside[2] == [(0, 2), (1, 1), (3, 1), (4, 2)]
    assert in_none == ({}, {})


def test_of_two_sources_each_is_judged_by_itself(talk, notes):
    """Notes beside a conversation lend nothing, if enough of them were found to tell."""
    companies = {
        "talk": company(TALK, FOUND_IN_TALK),
        "notes": company(NOTES, FOUND_IN_NOTES),
    }
    found = lending(companies, some_of(talk | notes))
    assert found.share[2] == 1.0 and NOTES[2] not in found.share


def test_short_conversations_are_measured_by_each_other(talk):
    """Of each only one memory was found, so nothing else of its source can be compared."""
    companies = {str(first): company(range(first, first + 5), [first + 2]) for first in TALK[::5]}
    assert set(lending(companies, some_of(talk)).share.values()) == {1.0}


def test_what_cannot_be_judged_is_believed(talk):
    """Without a model, without vectors yet, or with nothing to compare."""
    alone = {"talk": company(range(3), [1])}
    for vectors in (None, some_of({}), some_of(talk)):
        found = lending(alone, vectors)
        assert found.share == {0: 1.0, 1: 1.0, 2: 1.0} and found.beside == alone["talk"].beside


def test_no_source_lends_nothing():
    """Notes of no source stand beside nothing."""
    assert lending({}, some_of({})) == ({}, {})


@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    data=st.data(),
)
def test_a_share_is_a_share(sizes, data):
    """Whatever is found, and whatever of it is embedded."""
    rng = np.random.default_rng(3)
    companies, vectors = {}, {}
    for source, size in enumerate(sizes):
        files = range(100 * source, 100 * source + size)
        found = data.draw(st.sets(st.sampled_from(list(files)), min_size=1))
        companies[str(source)] = company(files, sorted(found))
        embedded = data.draw(st.sets(st.sampled_from(list(files))))
        vectors |= {
            one: (row / np.sqrt(row @ row)) for one, row in zip(embedded, rng.normal(size=(99, 8)), strict=False)
        }
    lent = lending(companies, some_of(vectors))
    assert all(0 < share <= 1 for share in lent.share.values()) and lent.share.keys() == lent.beside.keys()
