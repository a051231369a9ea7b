"""The seams between Mesh and its models: what turns text into vectors, and what judges a passage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Embedder(Protocol):
    """Turns texts into unit vectors of one space.

    `key` names the space: two embedders with the same key give the same vectors, and vectors of different keys
    are never compared. `max_tokens` is what the model's window holds of a passage, special tokens included.

    Many models were trained to see a question otherwise than what may answer it, so the two are told apart.
    """

    @property
    def key(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows of passages: float32 `(len(texts), dimension)`, in the order given.

        A text beyond the window is cut.
        """
        ...

    def embed_questions(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The same of questions, in the same space."""
        ...

    def split(self, text: str, prefix: str = "") -> list[tuple[int, int]]:
        """Character spans `(start, stop)` of `text` that each fit the window together with `prefix`.

        They cover the text, overlap a little, and end at a sentence or line where one is near. A text that fits
        gives `[(0, len(text))]`.
        """
        ...


class Reranker(Protocol):
    """Reads a question and a passage together. `key` names it to people; nothing is kept by it."""

    @property
    def key(self) -> str: ...

    def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """How well each passage answers, float32 `(len(passages),)`, finite; only their order means something.

        What is beyond the model's window is cut. Raises `ModelUnavailable`.
        """
        ...
