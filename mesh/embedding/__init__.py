"""From a model's name to an embedder. Importing this loads neither numpy nor any model."""

from __future__ import annotations

import sys
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesh.embedding.choice import Model
    from mesh.embedding.protocol import Embedder
    from mesh.settings import Settings

DEFAULT_NAMES = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")

_LOADING = threading.Lock()  # a model is loaded once, however many threads ask for it


def load_model(model: Model, settings: Settings) -> Embedder | None:
    """`load_embedder`, of a model that was chosen, with the settings of a process."""
    return load_embedder(
        model.name,
        model_path=settings.model_path,
        hub_cache=settings.hub_cache,
        models_folder=settings.home / ".models",
        dimension=model.dimension,
        device=settings.device,
    )


def load_embedder(
    model: str,
    *,
    model_path: Path | None,
    hub_cache: Path,
    models_folder: Path,
    dimension: int | None = None,
    device: str = "",
) -> Embedder | None:
    """The embedder for a model's name; `None` if it is the default model and its files are nowhere.

    Any other name, or a folder, goes to sentence-transformers, on `device`. Nothing is downloaded: `mesh model pull`
    does that. `model_path` is the default model's folder; `dimension`: how many numbers of its vectors are kept.
    Raises `ModelUnavailable` if there is a model and it cannot be used.
    """
    with _LOADING:
        if model in DEFAULT_NAMES:
            loaded = _default(model, model_path=model_path, hub_cache=hub_cache, models_folder=models_folder)
        else:
            from mesh.embedding.sentence_transformers import identity

            loaded = _other(model, identity(model, hub_cache), hub_cache, device)
    if loaded is None or dimension is None or dimension == loaded.dimension:
        return loaded
    from mesh.embedding.truncated import Truncated

    return Truncated(loaded, dimension, place=model)


def _default(model: str, *, model_path: Path | None, hub_cache: Path, models_folder: Path) -> Embedder | None:
    from mesh.embedding.model_files import find_model
    from mesh.errors import ModelUnavailable

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


@lru_cache(maxsize=2)  # the one that is used, and the one that is coming
def _other(model: str, _identity: str, hub_cache: Path, device: str) -> Embedder:
    """Another model, loaded once a process."""
    from mesh.embedding.sentence_transformers import SentenceTransformersEmbedder
    from mesh.embedding.together import Together

    return Together(SentenceTransformersEmbedder(model, offline=True, device=device, hub_cache=hub_cache))


def _stamp(folder: Path) -> tuple[int, ...]:
    """Another one means that the files are not those that were loaded."""
    found = [path.stat() for path in sorted(folder.glob("*")) if path.is_file()]
    return tuple(number for one in found for number in (one.st_ino, one.st_size, one.st_mtime_ns))


def let_go() -> None:
    """Let go of the models that this process has loaded; who uses one still has it."""
    _minilm.cache_clear()
    _other.cache_clear()
    _give_memory_back()


def _give_memory_back() -> None:
    """The GNU library keeps what was freed, once it has seen that arrays as large come again."""
    if sys.platform == "linux":
        import ctypes

        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
            trim(0)
