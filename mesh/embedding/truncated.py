"""The first numbers of a model's vectors, for models that were trained so that these suffice (Matryoshka)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mesh.errors import ModelUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mesh.embedding.protocol import Embedder


class Truncated:
    """An `Embedder` that keeps the first `dimension` numbers of another's vectors, at unit length again."""

    def __init__(self, embedder: Embedder, dimension: int, *, place: str = "") -> None:
        """Raises `ModelUnavailable` if there are not so many numbers; `place`: the model's name, to say of which."""
        if not 0 < dimension <= embedder.dimension:
            raise ModelUnavailable(
                f"its vectors have {embedder.dimension} numbers, of which {dimension} cannot be kept",
                place=place or embedder.key,
                remedy=f"Set MESH_MODEL_DIMENSION, or --dimension, to 1 to {embedder.dimension}",
            )
        self._embedder, self.dimension = embedder, dimension
        self.key, self.max_tokens = f"{embedder.key}[:{dimension}]", embedder.max_tokens

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Passages -> unit rows, float32 `(len(texts), dimension)`; see `protocol`."""
        return self._cut(self._embedder.embed(texts))

    def embed_questions(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Questions -> unit rows, float32 `(len(texts), dimension)`; see `protocol`."""
        return self._cut(self._embedder.embed_questions(texts))

    def split(self, text: str, prefix: str = "") -> list[tuple[int, int]]:
        """Character spans that fit the window; see `protocol`."""
        return self._embedder.split(text, prefix)

    def _cut(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        return unit(vectors[:, : self.dimension])


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows at unit length, float32 and contiguous. One of nothing but zeros stays: it is near to nothing."""
    import numpy as np

    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    lengths[lengths == 0] = 1
    return np.ascontiguousarray(vectors / lengths[:, None], np.float32)
