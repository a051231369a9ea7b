"""From a model's name to an embedder. Importing this loads neither numpy nor any model."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesh.embedding.protocol import Embedder

DEFAULT_NAMES = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")


def load_embedder(model: str, *, model_path: Path | None, hub_cache: Path, models_folder: Path) -> Embedder | None:
    """The embedder for a model's name; `None` if it is the default model and its files are nowhere.

    Any other name, or a folder, goes to sentence-transformers. Nothing is downloaded: `mesh model pull` does that.
    `model_path` is the default model's folder.
    Raises `ModelUnavailable` if there is a model and it cannot be used.
    """
    from mesh.errors import ModelUnavailable

    if model not in DEFAULT_NAMES:
        from mesh.embedding.sentence_transformers import SentenceTransformersEmbedder

        return SentenceTransformersEmbedder(model, offline=True)

    from mesh.embedding.model_files import find_model

    try:
        found = find_model(model_path=model_path, hub_cache=hub_cache, models_folder=models_folder)
    except OSError as error:
        raise ModelUnavailable(str(error), place=model, remedy="Check the mode of that folder") from error
    return _minilm(found.folder, _stamp(found.folder)) if found else None


@lru_cache(maxsize=1)
def _minilm(folder: Path, _stamp: tuple[int, ...]) -> Embedder:
    """The default model of a folder, loaded once a process: every namespace that is open shares it."""
    from mesh.embedding.minilm import MiniLM
    from mesh.embedding.together import Together

    return Together(MiniLM(folder))


def _stamp(folder: Path) -> tuple[int, ...]:
    """Another one means that the files are not those that were loaded."""
    found = [path.stat() for path in sorted(folder.glob("*")) if path.is_file()]
    return tuple(number for one in found for number in (one.st_ino, one.st_size, one.st_mtime_ns))
