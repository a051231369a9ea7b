"""`bench/scale.py` measures what it says: the texts are what they are said to be, and every step does its work."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).parent.parent / "bench"


@pytest.fixture(autouse=True, scope="module")
def _bench_on_the_path():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCH)
        yield
        for name in ("scale", "zipf", "near"):
            sys.modules.pop(name, None)


def test_the_texts_are_distinct_and_the_same_on_every_run():
    """Also the first of many are those of few, so that sizes can be compared."""
    import zipf

    first = [text for text, _ in zipf.texts(300)]
    assert len(set(first)) == 300
    assert first == [text for text, _ in islice(zipf.texts(20_000), 300)]
    assert zipf.questions(20, 300) == zipf.questions(20, 300)


def test_the_vectors_of_one_subject_are_nearer_to_each_other():
    """Unit vectors in clusters, as those of a model are."""
    import zipf

    made = list(zipf.texts(3000))
    vectors = zipf.Sums().embed([text for text, _ in made])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    subjects = np.array([subject for _, subject in made])
    cosines = vectors @ vectors.T
    alike = subjects[:, None] == subjects[None, :]
    np.fill_diagonal(alike, False)
    assert cosines[alike].mean() > cosines[~alike].mean() + 0.1


def test_every_step_works_on_a_small_home(tmp_path):
    """Each in a process of its own, one after the other; the model apart."""
    import scale

    figures = {name: scale.step(name, tmp_path / "home", 300) for name in scale.STEPS if name != "model"}
    assert figures["index"]["files/s"] > 0 and figures["embed"]["disk MB"]["vectors.npy"] > 0
    assert figures["recall"]["found of the nearest 10"] == figures["recall"]["found of the nearest 50"] == 1
    table = scale.as_markdown({"question": {"embedding": {"p50": 1, "p95": 2, "cpu": 1}}, "300": figures})
    assert "| recall: recall | p50 " in table and "| learn: learn | p50 " in table


def test_the_share_that_a_sketch_finds_is_of_what_is_exactly_nearest(monkeypatch):
    """All of it where every row is scored, and less where few are."""
    import near

    made = np.random.default_rng(0)
    matrix = made.standard_normal((21_000, 32), dtype=np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    monkeypatch.setattr(near.sketch, "enough", lambda wanted, rows: rows)
    assert near.compared(matrix, matrix[:5]) == {10: 1, 50: 1}
    monkeypatch.setattr(near.sketch, "enough", lambda wanted, rows: wanted)
    assert near.compared(matrix, matrix[:5])[50] < 0.9
