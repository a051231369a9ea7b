"""The best of a ranking, judged once more by a model that reads the question and each passage together.

Such a model, a cross-encoder, tells an answer from a text about the same thing better than two vectors do, but it has
to read every passage anew for every question: so it sees only the first `TOP`. What may be found, and what is among
them, is settled before; it decides their order alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .errors import ModelUnavailable
from .settings import Settings

if TYPE_CHECKING:
    from .embedding.protocol import Reranker
    from .recall import Hit, Recalled

TOP = 30

log = logging.getLogger("mesh")


@dataclass(frozen=True, slots=True)
class Reranked:
    """By which model an order is, and what that cost."""

    name: str
    passages: int
    milliseconds: int


class Reranking:
    """The reranker that the settings name, loaded when first needed, or another one that is given."""

    def __init__(self, settings: Settings, given: Reranker | None = None) -> None:
        self._settings, self._reranker = settings, given
        self._settled = given is not None or not settings.rerank
        self._loading = threading.Lock()

    def reranker(self) -> Reranker | None:
        """None where none is wanted, and, said once, where it cannot be used."""
        if self._settled:
            return self._reranker
        with self._loading:
            if not self._settled:
                self._load()
        return self._reranker

    def _load(self) -> None:
        from .embedding.reranker import load_reranker

        wanted = self._settings
        try:
            self._reranker = load_reranker(wanted.rerank, hub_cache=wanted.hub_cache, device=wanted.device)
        except ModelUnavailable as error:
            self._do_without(error)
        self._settled = True

    def _do_without(self, error: ModelUnavailable) -> None:
        log.warning("recall goes without the reranker: %s", error)
        self._reranker = None

    def applied(self, found: Recalled, question: str, reranker: Reranker, n: int) -> Recalled:
        """The `n` best of what was found, its first `TOP` in the reranker's order; as it was if that fails."""
        best, began = found.hits[:TOP], time.perf_counter()
        try:
            scores = reranker.scores(question, [_read_by_it(hit) for hit in best]).tolist() if best else []
        except ModelUnavailable as error:
            self._do_without(error)
            return replace(found, hits=found.hits[:n])
        judged = [replace(hit, rerank_score=score) for hit, score in zip(best, scores, strict=True)]
        judged.sort(key=lambda hit: -(hit.rerank_score or 0.0))  # equal ones stay as they were
        cost = Reranked(reranker.key, len(best), round((time.perf_counter() - began) * 1000))
        hits: Sequence[Hit] = (*judged, *found.hits[TOP:])
        return replace(found, hits=tuple(hits[:n]), receipt=replace(found.receipt, reranked=cost))


def _read_by_it(hit: Hit) -> str:
    """The passage that was found, under the memory's title and, in a source, after its author."""
    memory = hit.memory
    author = f"{memory.agent}: " if memory.agent and memory.source else ""
    return (f"{memory.title}\n" if memory.title else "") + author + hit.passage
