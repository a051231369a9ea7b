"""Which model holds for a home, and who says so."""

from __future__ import annotations

import os
import stat

import pytest

from mesh.embedding import choice
from mesh.embedding.choice import BY_DEFAULT, BY_ENVIRONMENT, BY_USE, Choice, Model
from mesh.errors import ModelUnavailable
from mesh.settings import DEFAULT_MODEL, Settings


def test_a_home_where_nothing_was_chosen_has_the_default(tmp_path):
    """And nothing is made by looking."""
    assert choice.choice_of(Settings(tmp_path)) == Choice(Model(DEFAULT_MODEL), None, BY_DEFAULT)
    assert not list(tmp_path.iterdir())


def test_what_was_chosen_is_read_again(tmp_path):
    """With its dimension, and the one that is coming; only its owner can read it."""
    for used, coming in ((Model("a/b", 256), None), (Model("a/b"), Model("/folder", 64)), (Model("ü"), Model("x"))):
        choice.write(tmp_path, used, coming)
        assert choice.read(tmp_path) == Choice(used, coming, BY_USE)
    assert stat.S_IMODE(os.stat(tmp_path / ".models/chosen.json").st_mode) == 0o600
    assert [path.name for path in (tmp_path / ".models").iterdir()] == ["chosen.json"]


def test_another_choice_has_another_stamp(tmp_path):
    """So a process that goes on need not read the file to know."""
    seen = [choice.stamp(tmp_path)]
    for name in ("one", "two", "one"):
        choice.write(tmp_path, Model(name))
        seen.append(choice.stamp(tmp_path))
    assert len(set(seen)) == 4 and choice.stamp(tmp_path) == seen[-1]


def test_the_environment_wins(tmp_path):
    """MESH_MODEL takes the place of the choice, MESH_MODEL_DIMENSION that of its dimension."""
    choice.write(tmp_path, Model("chosen", 64), Model("coming"))
    named = choice.choice_of(Settings(tmp_path, model="named"))
    assert named == Choice(Model("named"), None, BY_ENVIRONMENT)
    cut = choice.choice_of(Settings(tmp_path, model_dimension="32"))
    assert cut == Choice(Model("chosen", 32), Model("coming"), BY_USE)
    assert choice.choice_of(Settings(tmp_path, model="named", model_dimension="32")).used == Model("named", 32)


@pytest.mark.parametrize("written", ["abc", "0", "-1", "1.5", "²"])
def test_a_dimension_that_is_none_is_named(tmp_path, written):
    """With the variable to correct."""
    with pytest.raises(ModelUnavailable, match="MESH_MODEL_DIMENSION"):
        choice.choice_of(Settings(tmp_path, model_dimension=written))


@pytest.mark.parametrize(
    "text",
    [
        *("", "garbage", "[]", "null", "{}", b"\xff", '{"model": 1}', '{"model": "a", "coming": 1}'),
        *('{"model": "a", "dimension": "b"}', '{"model": "a", "dimension": -1}'),
    ],
)
def test_a_choice_that_cannot_be_understood_is_no_other_model(tmp_path, text):
    """Vectors of a model that nobody chose would be made otherwise; the error names the file and the remedy."""
    (tmp_path / ".models").mkdir()
    (tmp_path / ".models/chosen.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ModelUnavailable, match=r"chosen\.json.*mesh model use"):
        choice.choice_of(Settings(tmp_path))
    assert choice.choice_of(Settings(tmp_path, model="named")).used == Model("named")
