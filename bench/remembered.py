"""An embedder that embeds a text once in its life, so that many indexes of the same texts cost little."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mesh.embedding.protocol import Embedder
from mesh.files import sha256


class Remembered:
    """Another embedder, with its vectors kept in a file. With `remembers` off it embeds afresh, to be timed."""

    def __init__(self, embedder: Embedder, file: Path) -> None:
        self._embedder, self.remembers = embedder, True
        self._db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS vectors (model TEXT, text BLOB, vector BLOB, PRIMARY KEY (model, text))"
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._embedder, name)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return self._remembered(self._embedder.embed, texts, self._embedder.key)

    def embed_questions(self, texts: Sequence[str]) -> np.ndarray:
        return self._remembered(self._embedder.embed_questions, texts, f"questions to {self._embedder.key}")

    def _remembered(self, embed: Callable[[Sequence[str]], np.ndarray], texts: Sequence[str], space: str) -> np.ndarray:
        if not self.remembers or not texts:
            return embed(texts)
        digests = [sha256(text.encode()) for text in texts]
        known = {digest: vector for digest in digests if (vector := self._known(space, digest)) is not None}
        missing = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in known}
        if missing:
            made = embed(list(missing.values()))
            known |= zip(missing, made, strict=True)
            rows = [(space, digest, known[digest].tobytes()) for digest in missing]
            self._db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
        return np.stack([known[digest] for digest in digests])

    def _known(self, space: str, digest: bytes) -> np.ndarray | None:
        row = self._db.execute("SELECT vector FROM vectors WHERE model = ? AND text = ?", (space, digest)).fetchone()
        return np.frombuffer(row[0], np.float32) if row else None
