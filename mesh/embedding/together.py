"""Questions that come at the same time from several threads, embedded together.

A matrix product of few rows spends most of its time fetching the weights: eight questions at once take half the time
of eight one after the other. One that comes alone is not kept waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mesh.embedding.protocol import Embedder

    Embed = Callable[[Sequence[str]], NDArray[np.float32]]


class Together:
    """An `Embedder` for threads to share: while one embeds, the others gather, and the next embeds for all of them."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.key, self.dimension, self.max_tokens = embedder.key, embedder.dimension, embedder.max_tokens
        self.unrelated_below = getattr(embedder, "unrelated_below", None)
        self._passages = _Gathered(embedder.embed)
        self._questions = _Gathered(embedder.embed_questions)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows of passages, float32 `(len(texts), dimension)`, in the order given."""
        return self._passages.embed(texts)

    def embed_questions(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows of questions, float32 `(len(texts), dimension)`, in the order given."""
        return self._questions.embed(texts)

    def split(self, text: str, prefix: str = "") -> list[tuple[int, int]]:
        """Character spans that fit the window; see `protocol`."""
        return self._embedder.split(text, prefix)


class _Gathered:
    """Texts of one kind. Many in one call are not kept for others."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._turn = threading.Lock()
        self._gathering = threading.Lock()
        self._waiting: list[_Asked] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if len(texts) != 1:
            return self._embed(texts)
        mine = _Asked(texts[0])
        with self._gathering:
            self._waiting.append(mine)
        with self._turn:
            if mine.vector is None and mine.error is None:
                self._answer_all()
        if mine.error is not None:
            raise mine.error
        assert mine.vector is not None
        return mine.vector[None]

    def _answer_all(self) -> None:
        with self._gathering:
            batch, self._waiting = self._waiting, []
        try:
            vectors = self._embed([asked.text for asked in batch])
        except BaseException as error:  # whatever it is, it is each one's answer
            for asked in batch:
                asked.error = error
            raise
        for asked, vector in zip(batch, vectors, strict=True):
            asked.vector = vector


class _Asked:
    """One thread's text, and what becomes of it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.vector: NDArray[np.float32] | None = None
        self.error: BaseException | None = None
