"""A second embedder, for tests of the machinery: fast, deterministic, no model needed, and no judge of meaning."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mesh.api import Mesh

_WORD = re.compile(r"\w+")


class HashEmbedder:
    """Every word adds 1 or -1 to one of 32 numbers. Texts of more than `window` words are split."""

    def __init__(self, key: str = "hash-32", dimension: int = 32, window: int = 40) -> None:
        self.key, self.dimension, self.max_tokens = key, dimension, window
        self.embedded: list[str] = []  # every text that was ever asked for

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.embedded += texts
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for word in _WORD.findall(text.lower()) or ["\0"]:
                number = int.from_bytes(hashlib.md5(word.encode("utf-8", "replace")).digest()[:4], "big")
                vector[number % self.dimension] += 1 if number & 1 << 20 else -1
            if not vector.any():
                vector[0] = 1
            vector /= np.sqrt((vector * vector).sum())
        return vectors

    def embed_questions(self, texts: Sequence[str]) -> np.ndarray:
        return self.embed(texts)

    def split(self, text: str, prefix: str = "") -> list[tuple[int, int]]:
        words = [match.span() for match in _WORD.finditer(text)]
        if len(words) <= self.max_tokens:
            return [(0, len(text))]
        spans = []
        step = self.max_tokens - 5
        for first in range(0, len(words), step):
            last = min(first + self.max_tokens, len(words))
            spans.append((words[first][0] if first else 0, words[last - 1][1] if last < len(words) else len(text)))
            if last == len(words):
                break
        return spans


def hashed(home: Path, namespace: str = "shared", agent: str = "tester", embedder: HashEmbedder | None = None) -> Mesh:
    """A `Mesh` whose vectors are made by a `HashEmbedder`."""
    return Mesh(namespace, agent, home, embedder=embedder or HashEmbedder())


def wordsonly(home: Path, namespace: str = "shared", agent: str = "tester") -> Mesh:
    """A `Mesh` that has no model, and does not say so."""
    mesh = Mesh(namespace, agent, home)
    mesh.workspace._asked_for_embedder = True
    return mesh


def bytes_below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder that is not hidden, and what it holds."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def write(home: Path, path: str, text: str | bytes) -> Path:
    """Write a file of the home as a person's editor would, folders included."""
    target = home / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return target
