"""How much of what is nearest the sketch of a large matrix misses, on embeddings of a real model:

    python bench/near.py WORK/vectors.db [--crowd 40]

WORK is the folder that `bench/quality.py --work WORK` keeps its vectors in. 400 of them are the questions, all others
are searched: for each question the 10 and the 50 nearest by the exact product are compared with those found among the
rows that the sketch says are worth scoring. With `--crowd N` the others are a crowd: N vectors around each real one,
at a cosine of 0.7 to it, for there are not as many real ones. That is harder than any vault is likely to be.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import tempfile
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from mesh.index import sketch

QUESTIONS = 400
WANTED = 100  # rows that a recall asks for: twice the candidates
COSINE = 0.7


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare searches by a sketch with exact ones, on real embeddings.")
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--crowd", type=int, default=0, metavar="N")
    options = parser.parse_args()
    made = np.random.default_rng(0)
    real = kept(options.vectors)
    chosen = made.permutation(len(real))
    questions, others = real[chosen[:QUESTIONS]], real[chosen[QUESTIONS:]]
    matrix = np.concatenate([around(others, made) for _ in range(options.crowd)]) if options.crowd else others
    print(f"{len(matrix):,} vectors, {sketch.enough(WANTED, len(matrix)):,} scored of them")
    for k, share in compared(matrix, questions).items():
        print(f"of the nearest {k}: {100 * share:.2f}% found")


def kept(file: Path) -> np.ndarray:
    db = sqlite3.connect(file)
    model = db.execute("SELECT model FROM vectors GROUP BY model ORDER BY count(*) DESC LIMIT 1").fetchone()
    rows = db.execute("SELECT vector FROM vectors WHERE model = ? ORDER BY text", model)
    return np.stack([np.frombuffer(vector, np.float32) for (vector,) in rows])


def around(vectors: np.ndarray, made: np.random.Generator) -> np.ndarray:
    noise = made.standard_normal(vectors.shape, dtype=np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    found = COSINE * vectors + np.float32(np.sqrt(1 - COSINE**2)) * noise
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def compared(matrix: np.ndarray, questions: np.ndarray) -> dict[int, float]:
    """The share of the exactly nearest 10 and 50 that is among the rows to be scored."""
    found: dict[int, list[float]] = {10: [], 50: []}
    with tempfile.TemporaryDirectory() as folder:
        signs = sketch.Sketch(Path(folder) / "vectors.bits", matrix.shape[1])
        signs.extend(matrix)
        for question in questions:
            likely = sketch.nearest(signs.distances(question), sketch.enough(WANTED, signs.rows))
            scored = set(likely.tolist()) | set(range(signs.rows, len(matrix)))
            order = np.argsort(-(matrix @ question))
            for k, shares in found.items():
                shares.append(len(scored.intersection(order[:k].tolist())) / k)
    return {k: float(np.mean(shares)) for k, shares in found.items()}


if __name__ == "__main__":
    main()
