"""From two kinds of scores to one order."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.ranking import LENT, Scale, fused

SCORES = st.dictionaries(st.integers(0, 30), st.floats(-1, 1, allow_subnormal=False))
WORDS = st.dictionaries(st.integers(0, 30), st.floats(0, 40, allow_subnormal=False))


NEIGHBOURS = st.dictionaries(
    st.integers(0, 35), st.lists(st.tuples(st.integers(0, 40), st.integers(1, 2)), max_size=4), max_size=12
)


def standardised(scores):
    scale = Scale.of(list(scores.values()))
    return {key: scale(score) for key, score in scores.items()}


@given(SCORES)
def test_standardised_scores_have_mean_0_and_deviation_1(scores):
    """Or are all 0, if there is nothing to tell them apart."""
    found = standardised(scores)
    if any(found.values()):
        assert sum(found.values()) == pytest.approx(0, abs=1e-6)
        assert math.sqrt(sum(value**2 for value in found.values()) / len(found)) == pytest.approx(1)


@given(SCORES)
def test_standardising_keeps_the_order(scores):
    """A higher score never becomes a lower one."""
    found = standardised(scores)
    by_score = sorted(scores, key=scores.__getitem__)
    for lower, higher in pairwise(by_score):
        assert found[lower] <= found[higher]


@pytest.mark.parametrize("scores", [[], [5.0], [0.3, 0.3, 0.3], [0.0, 0.0]])
def test_scores_that_do_not_differ_say_nothing(scores):
    """None, one, or all the same: 0 for these and for any other."""
    scale = Scale.of(scores)
    assert [scale(score) for score in [*scores, 9.0]] == [0.0] * (len(scores) + 1)


def test_cosines_that_differ_by_rounding_only_do_not_differ():
    """The last bit of a float32 depends on the order of the sum; it must not outweigh the words."""
    assert standardised({1: 0.70710677, 2: 0.70710683}) == {1: 0.0, 2: 0.0}
    assert [one.key for one in fused({1: 0.70710677, 2: 0.70710683}, {1: 2.0, 2: 1.0}, {1, 2})] == [1, 2]


@given(SCORES, WORDS, NEIGHBOURS)
def test_the_parts_add_up_and_every_candidate_is_ranked_once(cosines, bm25, neighbours):
    """The score is the sum of its three parts, which are what `--explain` shows; best first."""
    candidates = cosines.keys() | bm25.keys()
    order = fused(cosines, bm25, candidates, neighbours)
    assert sorted(one.key for one in order) == sorted(candidates | neighbours.keys())
    for one in order:
        assert one.score == pytest.approx(one.cosine_part + one.bm25_part + one.lent_part, abs=1e-9)
        assert one.lent_part == 0 or neighbours[one.key]
    assert [one.score for one in order] == sorted((one.score for one in order), reverse=True)


@given(SCORES, WORDS, st.floats(0.1, 10))
def test_the_order_does_not_depend_on_the_unit_of_bm25(cosines, bm25, factor):
    """BM25 grows with the store; standardised, only differences between candidates count."""
    candidates = cosines.keys() | bm25.keys()
    once = {one.key: one.score for one in fused(cosines, bm25, candidates)}
    twice = {one.key: one.score for one in fused(cosines, {k: v * factor for k, v in bm25.items()}, candidates)}
    if max(bm25.values(), default=0) - min([*bm25.values(), 0.0]) > 1e-3:
        assert once == pytest.approx(twice, abs=1e-5)


def test_what_is_best_on_both_sides_is_first():
    """Nothing can overtake the best cosine with the best BM25."""
    assert fused({1: 0.9, 2: 0.5, 3: 0.1}, {1: 8.0, 2: 3.0}, {1, 2, 3})[0].key == 1


def test_a_memory_without_shared_words_has_a_bm25_of_0():
    """It is below those that share words, and above none for that reason alone."""
    order = fused({1: 0.5, 2: 0.5}, {2: 1.0}, {1, 2})
    assert [one.key for one in order] == [2, 1]


def test_a_memory_that_is_not_embedded_yet_has_the_lowest_cosine_there_is():
    """Nothing speaks for it on that side; its words still can."""
    order = {one.key: one for one in fused({1: 0.9, 2: 0.2}, {3: 9.0}, {1, 2, 3})}
    assert order[3].cosine_part == order[2].cosine_part < order[1].cosine_part
    assert order[3].bm25_part > order[1].bm25_part


def test_both_sides_weigh_the_same():
    """Best by meaning and best by words are level when each has nothing on the other side."""
    order = fused({1: 0.9, 2: 0.1}, {2: 5.0}, {1, 2})
    assert order[0].score == pytest.approx(order[1].score) == pytest.approx(0)


def test_without_a_model_words_alone_rank():
    """No cosines: the order is that of BM25."""
    assert [one.key for one in fused({}, {1: 1.0, 2: 3.0, 3: 2.0}, {1, 2, 3})] == [2, 3, 1]
    assert fused({}, {}, set()) == []


def test_neighbours_lend_a_part_of_their_own_scores():
    """What is one place away more than what is two; and not what those have borrowed themselves."""
    bm25 = {1: 9.0, 2: 0.0, 3: 0.0, 4: 0.0}
    beside = {1: [(2, 1), (3, 2)], 2: [(1, 1), (3, 1)], 3: [(2, 1), (1, 2)]}
    order = {one.key: one for one in fused({}, bm25, bm25, beside)}
    own = {key: one.bm25_part for key, one in order.items()}
    borrowed = {key: sum(LENT[away - 1] * own[other] for other, away in near) for key, near in beside.items()}
    usual = sum(borrowed.values()) / 3
    assert {key: order[key].lent_part for key in beside} == pytest.approx(
        {key: part - usual for key, part in borrowed.items()}
    )
    assert order[2].score > order[3].score > order[4].score - 1 and order[4].lent_part == 0


def test_what_stands_beside_a_candidate_joins_it():
    """With its own true scores, and what it is lent."""
    order = [one.key for one in fused({}, {1: 9.0, 2: 1.0}, {1, 2}, {1: [(5, 1)], 5: [(1, 1)]})]
    assert order == [1, 2, 5] or order == [1, 5, 2]
    assert [one.key for one in fused({}, {1: 9.0}, {1}, {1: [(5, 1)], 5: [(1, 1)]})] == [1, 5]


def test_the_only_memory_that_answers_is_before_those_beside_it():
    """One candidate has nothing to be compared with but its neighbours."""
    beside = {1: [(2, 1), (3, 1)], 2: [(1, 1), (3, 2)], 3: [(1, 1), (2, 2)]}
    assert fused({}, {1: 3.0}, {1}, beside)[0].key == 1
    assert fused({1: 0.5, 2: 0.1, 3: 0.1}, {}, {1}, beside)[0].key == 1


@given(WORDS)
def test_to_have_neighbours_is_no_merit_and_no_fault(bm25):
    """Where all memories of a source are lent the same, it is as if they were lent nothing."""
    keys = sorted(bm25)
    beside = {key: [(99, 1)] for key in keys[::2]}
    alone = {one.key: one.bm25_part for one in fused({}, bm25, keys, beside)}
    together = {one.key: one.score for one in fused({}, bm25, keys, beside)}
    assert together == pytest.approx(alone, abs=1e-9)


@given(SCORES, WORDS)
def test_a_source_of_one_is_no_source(cosines, bm25):
    """An empty list of neighbours changes nothing."""
    candidates = cosines.keys() | bm25.keys()
    assert fused(cosines, bm25, candidates, {key: [] for key in candidates}) == fused(cosines, bm25, candidates)
