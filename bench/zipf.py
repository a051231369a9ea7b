"""Texts, questions and vectors to measure size with: made up, distinct, the same on every run, and quick to make.

Words follow Zipf's law over a vocabulary of 60,000, of which the first are English ones that are in nearly every text.
A text is of one of 500 subjects, which half of its other words come from; its vector is the sum of random vectors of
those words and of their subjects, so that vectors lie in clusters, as those of a model do.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np

from mesh.files import sha256
from mesh.memory import Memory

VOCABULARY, SUBJECTS, DIMENSION = 60_000, 500, 384
COMMON = """the of and to in a is that for it as was with be by on not he i this are or his from at which but have an
had they you were their one all we can her has there been if more when will would who so no""".split()
_ONSETS = "b c d f g h j k l m n p r s t v w z br cl dr fl gr kr pl sh st tr".split()
_RHYMES = "a e i o u al an ar ek el en er ig il in ir ok ol on or um un ur".split()
TYPES = ("fact", "decision", "process", "error", "preference")
AGENTS = ("ann", "ben", "chloe", "deploy-bot", "emil", "fay")
_BATCH = 10_000
_POOL = 4096  # random vectors, of which each word has one
_BORN = datetime(2023, 1, 1, tzinfo=UTC)


def _vocabulary() -> list[str]:
    made, pick = dict.fromkeys(COMMON), random.Random(7).choice
    while len(made) < VOCABULARY:
        length = 2 if len(made) < 4000 else 3
        made["".join(pick(_ONSETS) + pick(_RHYMES) for _ in range(length))] = None
    return list(made)


WORDS = _vocabulary()
_SHARES = 1 / (np.arange(VOCABULARY) + 2.7) ** 1.05
_SHARES /= _SHARES.sum()
_CUMULATED = np.cumsum(_SHARES)
_SUBJECT_OF = np.random.default_rng(3).integers(0, SUBJECTS, VOCABULARY)
_OF_SUBJECT = [np.flatnonzero(np.equal(_SUBJECT_OF, subject)) for subject in range(SUBJECTS)]


def texts(count: int, seed: int = 1) -> Iterator[tuple[str, int]]:
    """`(text, subject)`, of 8 to 40 words."""
    for start in range(0, count, _BATCH):
        made = np.random.default_rng([seed, start])
        lengths, subjects = made.integers(8, 41, _BATCH), made.integers(0, SUBJECTS, _BATCH)
        usual = np.searchsorted(_CUMULATED, made.random(int(lengths.sum())))
        swapped, place = made.random(len(usual)), made.random(len(usual)) ** 3
        first = 0
        for length, subject in islice(zip(lengths.tolist(), subjects.tolist(), strict=True), count - start):
            words, own = usual[first : first + length], _OF_SUBJECT[subject]
            at = (swapped[first : first + length] < 0.5) & (words >= len(COMMON))
            words[at] = own[(place[first : first + length][at] * len(own)).astype(int)]
            first += length
            yield f"{' '.join(WORDS[word] for word in words.tolist())}.".capitalize(), subject


def memories(count: int) -> Iterator[Memory]:
    """Of several types, authors and dates; every second one is of a source, of 40 memories, with an order."""
    for number, (text, subject) in enumerate(texts(count)):
        pick = random.Random(number)
        yield Memory(
            id=f"{number:012x}zz",
            content=text,
            type=TYPES[min(pick.randrange(12), 4)],
            agent=pick.choice(AGENTS),
            tags=(f"s{subject}",) if number % 3 == 0 else (),
            source=f"talk-{number // 80}" if number % 2 else "",
            created=_BORN + timedelta(minutes=number),
        )


def questions(count: int, of: int, seed: int = 9) -> list[str]:
    """Each asks with two common words and four others of one of the first `of` texts, in another order."""
    pick, asked = random.Random(seed), []
    chosen = {pick.randrange(min(of, 100_000)) for _ in range(count)}
    for number, (text, _) in enumerate(texts(max(chosen) + 1)):
        if number in chosen:
            words = [word for word in dict.fromkeys(text.lower().rstrip(".").split()) if word not in COMMON]
            pick.shuffle(words)
            asked.append(f"what {pick.choice(COMMON)} {' '.join(words[:4])} {pick.choice(COMMON)}?")
    return asked


class Sums:
    """An embedder for all this: quick, and its vectors are distributed somewhat as a model's."""

    key, dimension, max_tokens = "sums-of-words", DIMENSION, 256

    def __init__(self) -> None:
        made = np.random.default_rng(11)
        self._subjects = made.standard_normal((SUBJECTS, DIMENSION), dtype=np.float32)
        self._pool = 0.7 * made.standard_normal((_POOL, DIMENSION), dtype=np.float32)
        self._shift = self._subjects.mean(axis=0) * 30  # no model's mean is 0
        self._number = {word: number for number, word in enumerate(WORDS)}

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        found = np.empty((len(texts), DIMENSION), np.float32)
        for vector, text in zip(found, texts, strict=True):
            known = [self._number.get(word.strip(".,?:"), 0) for word in text.lower().split()]
            telling = [word for word in known if word >= len(COMMON)] or known or [sha256(text.encode())[0]]
            vector[:] = self._subjects[_SUBJECT_OF[telling]].sum(axis=0) + self._shift
            vector += self._pool[np.array(telling) * 7919 % _POOL].sum(axis=0)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def embed_questions(self, texts: Sequence[str]) -> np.ndarray:
        return self.embed(texts)

    def split(self, text: str, prefix: str = "") -> list[tuple[int, int]]:
        return [(0, len(text))]
