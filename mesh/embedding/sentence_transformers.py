"""Any model that the sentence-transformers library runs: an extra, because it brings torch."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.embedding.passages import passages
from mesh.errors import ModelUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WINDOW_IF_UNKNOWN = 512
_WEIGHTS = ("*.safetensors", "*.bin", "*.onnx")
_ATTEMPTS = 8


class SentenceTransformersEmbedder:
    """An `Embedder` around one model, named as on the model hub or given as a folder."""

    def __init__(self, name_or_folder: str, *, offline: bool = False) -> None:
        """Loads the model; not offline, that may download it. Raises `ModelUnavailable`."""
        self._model = _load(name_or_folder, offline=offline)
        self.dimension: int = _dimension(self._model)
        self.max_tokens: int = self._model.max_seq_length or _WINDOW_IF_UNKNOWN
        self.key = f"{_identity(name_or_folder)}/{self.dimension}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows, float32 `(len(texts), dimension)`, in the order given. A text beyond the window is cut."""
        import numpy as np

        if not texts:
            return np.empty((0, self.dimension), np.float32)
        vectors = self._model.encode(
            [_without_surrogates(text) for text in texts],
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.ascontiguousarray(vectors, np.float32)

    def split(self, text: str, prefix: str = "") -> list[tuple[int, int]]:
        """Character spans of `text` that each fit the window together with `prefix`; see `passages`.

        Not every tokenizer's counts add up over a text, so the spans are counted as wholes, and cut again for a
        smaller window while one does not fit.
        """
        window = room = self.max_tokens - self._model.tokenizer.num_special_tokens_to_add(pair=False)
        for _ in range(_ATTEMPTS):
            spans = passages(text, prefix, window=room, count=self._count)
            if all(self._count(prefix + text[start:stop]) <= window for start, stop in spans):
                break
            room = room * 7 // 8
        return spans

    def _count(self, text: str, limit: int | None = None) -> int:
        tokens = self._model.tokenizer(
            _without_surrogates(text), add_special_tokens=False, truncation=False, verbose=False
        )
        return len(tokens["input_ids"])


def _load(name_or_folder: str, *, offline: bool) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ModelUnavailable(
            f"the library sentence-transformers is not installed ({error})",
            place=name_or_folder,
            remedy='Run: pip install "mesh-memory[sentence-transformers]"',
        ) from error
    for library in ("sentence_transformers", "transformers", "huggingface_hub"):
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        return SentenceTransformer(name_or_folder, local_files_only=offline)
    except Exception as error:  # whatever the hub, torch or a model's own code raise
        raise ModelUnavailable(
            f"sentence-transformers cannot load it ({_first_line(error)})",
            place=name_or_folder,
            remedy="If it is not on this machine yet, run: mesh model pull" if offline else "Check MESH_MODEL",
        ) from error


def _dimension(model: Any) -> int:
    name = "get_embedding_dimension"  # get_sentence_embedding_dimension until version 5
    ask = getattr(model, name, None) or model.get_sentence_embedding_dimension
    return int(ask())


def _identity(name_or_folder: str) -> str:
    """A hub name as it is; a folder with a digest of its configuration and the size and time of its weights."""
    folder = Path(name_or_folder)
    if not folder.is_dir():
        return name_or_folder
    digest = hashlib.sha256()
    for config in sorted(folder.rglob("*.json")):
        digest.update(config.read_bytes())
    for weights in sorted(path for pattern in _WEIGHTS for path in folder.rglob(pattern)):
        status = weights.stat()
        digest.update(f"{weights.name}:{status.st_size}:{status.st_mtime_ns};".encode())
    return f"{folder.absolute()}@{digest.hexdigest()[:8]}"


def _without_surrogates(text: str) -> str:
    """A lone surrogate is no character, and tokenizers refuse it."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
