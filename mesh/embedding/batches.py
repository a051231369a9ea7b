"""Texts of like length computed together, on all the cores that this process may use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from mesh.embedding.wordpiece import PAD

if TYPE_CHECKING:
    from mesh.embedding.bert import Scratch, Shape

    Run: TypeAlias = Callable[[list[int], list[Sequence[int]], Scratch], None]

_BATCH_TOKENS = 384  # the arrays of a batch stay in the cache
_ROWS_STEP = 4  # BLAS works on four rows at a time: 23 rows take a third longer than 24
_MOST_THREADS = 8

_Batch: TypeAlias = tuple[list[int], int]  # which texts, and how many rows they take


def in_batches(encoded: Sequence[Sequence[int]], shape: Shape, run: Run) -> None:
    """Call `run(members, texts, scratch)` for each batch: which texts it has, their tokens, and arrays to write to.

    One text more may follow those of `members`, which only fills rows up: its result means nothing.
    """
    import numpy as np

    from mesh.embedding.bert import Scratch
    from mesh.embedding.blas_threads import one_blas_thread

    batches = list(_batches(encoded))
    most_rows = max((rows for _, rows in batches), default=0)

    def run_all(share: Sequence[_Batch]) -> None:
        scratch = Scratch(most_rows, shape)
        with np.errstate(over="ignore", invalid="ignore"):  # exp(large) is inf, and x / inf is the 0 that is meant
            for members, rows in share:
                texts = [encoded[i] for i in members]
                padding = [PAD] * (rows - sum(map(len, texts)))
                run(members, [*texts, padding] if padding else texts, scratch)

    with one_blas_thread():
        _on_all_cores(run_all, batches)


def _on_all_cores(run: Callable[[Sequence[_Batch]], None], batches: Sequence[_Batch]) -> None:
    """Run all batches, dealt out to as many threads as this process may use cores: numpy computes without the GIL."""
    threads = min(_usable_cores(), len(batches), _MOST_THREADS)
    if threads < 2:
        run(batches)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(run, batches[number::threads]) for number in range(threads)]:
            done.result()


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _batches(encoded: Sequence[Sequence[int]]) -> Iterator[_Batch]:
    """(members, rows): texts of like length together; rows is their tokens rounded up to a multiple of four."""
    members: list[int] = []
    tokens = 0
    for i in sorted(range(len(encoded)), key=lambda i: len(encoded[i])):
        if members and tokens + len(encoded[i]) > _BATCH_TOKENS:
            yield members, _rows(tokens)
            members, tokens = [], 0
        members.append(i)
        tokens += len(encoded[i])
    if members:
        yield members, _rows(tokens)


def _rows(tokens: int) -> int:
    return -(-tokens // _ROWS_STEP) * _ROWS_STEP
