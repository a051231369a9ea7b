"""The seam between Mesh and whatever turns text into vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Embedder(Protocol):
    """Turns texts into unit vectors of one space.

    `key` names the space: two embedders with the same key give the same vectors, and vectors of different keys
    are never compared. `max_tokens` is the model's window, special tokens included.
    """

    @property
    def key(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows, float32 `(len(texts), dimension)`, in the order given. A text beyond the window is cut."""
        ...

    def split(self, text: str, prefix: str = "") -> list[tuple[int, int]]:
        """Character spans `(start, stop)` of `text` that each fit the window together with `prefix`.

        They cover the text, overlap a little, and end at a sentence or line where one is near. A text that fits
        gives `[(0, len(text))]`.
        """
        ...
