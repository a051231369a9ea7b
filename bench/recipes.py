"""The recipe of recall, and the same with a part of it switched off.

The library has no switches for this. A part is switched off by putting something else in the place of a constant or a
function of a module, for as long as a measurement takes. A name that is no longer there is an error.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from types import ModuleType
from typing import Any

from mesh import embed, moments, ranking
from mesh.embedding.protocol import Embedder
from mesh.index import analysis, coherence, lexical, question
from mesh.memory import Memory

Replacement = tuple[ModuleType, str, Any]


@dataclass(frozen=True)
class Recipe:
    """`index`: names the index it needs; "" for that of Mesh as it is. `words_only`: without the model."""

    name: str
    replaced: tuple[Replacement, ...] = ()
    index: str = ""
    words_only: bool = False


@contextmanager
def cooked(recipe: Recipe) -> Iterator[None]:
    """Everything asked or indexed meanwhile goes by this recipe."""
    with ExitStack() as undo:
        for module, name, value in recipe.replaced:
            undo.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, value)
        yield


NOTHING_LENT = (ranking, "LENT", tuple(0.0 for _ in ranking.LENT))


class Ranks:
    """What `ranking.Scale` would be for reciprocal rank fusion: of a score, 1 / (k + its rank among the candidates)."""

    K = 60

    def __init__(self, scores: Sequence[float]) -> None:
        self._descending = sorted(-score for score in scores)
        self.mean = sum(scores) / max(1, len(scores))

    @classmethod
    def of(cls, scores: Sequence[float]) -> Ranks:
        return cls(scores)

    def __call__(self, score: float) -> float:
        return 1 / (self.K + bisect_left(self._descending, -score) + 1) if score else 0.0

    def of_each(self, scores: Mapping[int, float], share: float) -> dict[int, float]:
        return {key: share * self(score) for key, score in scores.items()}


def author_first(memory: Memory, embedder: Embedder, *, authors_differ: bool) -> list[embed.Passage]:
    """`embed.passages`, but with the author before every text."""
    return embed_passages(memory, embedder, authors_differ=True)


embed_passages = embed.passages


def without(original: Callable[..., Any], **blank: object) -> Callable[..., Any]:
    """A function of a memory that does not see some of its fields."""
    return lambda memory, *rest, **named: original(replace(memory, **blank), *rest, **named)


def no_time(_question: str, _now: datetime) -> None:
    """`moments.named` of a question that names no time."""


NO_TIMES = (moments, "named", no_time)


def nothing(_memory: Memory) -> str:
    return ""


def none_of(_text: str) -> list[Any]:
    return []


AS_IT_IS = Recipe("Mesh as it is")
WORDS_ALONE = Recipe("words alone (BM25)", (NOTHING_LENT, NO_TIMES), words_only=True)
MODEL_ALONE = Recipe("the model alone", (NOTHING_LENT, NO_TIMES, (ranking, "COSINE_SHARE", 1.0)))
ABLATIONS = (
    Recipe("without neighbours", (NOTHING_LENT,)),
    Recipe("every source lends", ((coherence, "NOTHING", -1e9),)),
    Recipe("without times", (NO_TIMES,)),
    Recipe(
        "without dates, authors, tags as words",
        ((lexical, "about", nothing),),
        index="no-about",
    ),
    Recipe(
        "without dates as words",
        ((lexical, "date_words", lambda _moment: ""),),
        index="no-dates",
    ),
    Recipe(
        "without the author before the text",
        ((embed, "passages", without(embed.passages, agent="")),),
        index="no-author",
    ),
    Recipe(
        "the author before every text",
        ((embed, "passages", author_first),),
        index="all-authors",
    ),
    Recipe("what is in quotes must be there", ((question, "_is_sentence", lambda _text: False),)),
    Recipe("without stop words", ((question, "STOP_WORDS", frozenset[str]()),)),
    Recipe(
        "without wholes and parts of identifiers",
        ((analysis, "wholes", none_of), (analysis, "humps", none_of)),
        index="no-wholes",
    ),
    Recipe("BM25 with k1 1.2, b 0.75", ((lexical, "K1", 1.2), (lexical, "B", 0.75))),
    # Those of the time that a question names are the first of a third list.
    Recipe("reciprocal rank fusion, k 60", ((ranking, "Scale", Ranks), (ranking, "OF_ITS_TIME", 0.5 / (Ranks.K + 1)))),
)
COSTS = (WORDS_ALONE, AS_IT_IS, Recipe("400 candidates a side", ((ranking, "CANDIDATES", 400),)))
ALL = (AS_IT_IS, WORDS_ALONE, MODEL_ALONE, *ABLATIONS)
