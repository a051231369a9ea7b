"""all-MiniLM-L6-v2 by numpy alone, on the memory-mapped weights.

Made for the shell: a process that embeds one query and ends. Nothing is read that the query does not need, and
nothing heavy is imported. A process that goes on embedding pays once for a faster layout of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mesh.embedding.batches import in_batches
from mesh.embedding.weights import SHA256, Weights, sha256_of
from mesh.embedding.wordpiece import WordPiece
from mesh.errors import ModelUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mesh.embedding.bert import Bert, Scratch

NAME = "all-MiniLM-L6-v2"
WEIGHTS_FILE, VOCABULARY_FILE = "model.safetensors", "vocab.txt"

# Copying the weights into the faster layout takes as long as some 1,000 tokens win by it.
_TOKENS_BEFORE_COPYING = 1_000
_LAYERS = ("encoder.layer.0.attention.output.LayerNorm.bias", "encoder.layer.5.output.dense.weight")


class MiniLM:
    """An `Embedder` of 384 dimensions and a window of 256 tokens; one may serve several threads."""

    key = f"{NAME}/{SHA256[:8]}"
    dimension = 384
    max_tokens = 256
    unrelated_below = 0.2  # measured in docs/RECALL.md, "When there is no answer"

    def __init__(self, folder: Path) -> None:
        """Raises `ModelUnavailable` unless `folder` has the known weights and vocabulary (see `weights`)."""
        self.folder = folder
        self._tokenizer = WordPiece.load(folder / VOCABULARY_FILE)
        self._weights = Weights(folder / WEIGHTS_FILE)
        self._bert: Bert | None = None
        self._tokens_before_copying = _TOKENS_BEFORE_COPYING

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows, float32 `(len(texts), 384)`, in the order given. A text beyond the window is cut.

        Raises `ModelUnavailable` if damaged weights give anything but finite numbers.
        """
        import numpy as np

        encoded = [self._tokenizer.encode(text, self.max_tokens) for text in texts]
        bert = self._ready(sum(map(len, encoded)))
        vectors = np.empty((len(texts), self.dimension), np.float32)

        def run(members: list[int], ids: Sequence[Sequence[int]], scratch: Scratch) -> None:
            vectors[members] = bert.pooled(ids, scratch)[: len(members)]

        in_batches(encoded, bert.shape, run)
        return self._unit(vectors)

    def embed_questions(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As passages: the model was trained without a difference."""
        return self.embed(texts)

    def split(self, text: str, prefix: str = "") -> list[tuple[int, int]]:
        """Character spans of `text` that each fit the window together with `prefix`; see `passages`."""
        from mesh.embedding.passages import passages

        return passages(text, prefix, window=self.max_tokens - 2, count=self._tokenizer.count)

    def verify(self) -> None:
        """Read the whole weights file. Raises `ModelUnavailable` if it is not the published one, bit for bit."""
        path = self.folder / WEIGHTS_FILE
        if (found := sha256_of(path)) != SHA256:
            raise ModelUnavailable(
                f"its SHA-256 is {found[:8]}..., not {SHA256[:8]}...", place=str(path), remedy="Run: mesh model pull"
            )

    def _ready(self, tokens: int) -> Bert:
        """The network, its weights copied into the faster layout once enough tokens have come by."""
        if self._bert is None:
            from mesh.embedding.bert import Bert

            self._bert = Bert(self._weights)
        if self._tokens_before_copying > 0:
            self._tokens_before_copying -= tokens
            if self._tokens_before_copying <= 0:
                self._bert.make_contiguous()
                self._weights.release(*_LAYERS)
        return self._bert

    def _unit(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        import numpy as np

        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        if not np.isfinite(lengths).all():
            raise ModelUnavailable(
                "it gives no finite numbers, so it is damaged",
                place=str(self.folder / WEIGHTS_FILE),
                remedy="Run: mesh model pull",
            )
        vectors /= np.maximum(lengths, 1e-12)[:, None]
        return vectors
