"""Measure how good recall is, and what each part of the recipe is worth. One command:

    python bench/quality.py [COLLECTION.jsonl ...] [--questions N] [--json FILE] [--work FOLDER] [--write-docs]

Three sets are there for everybody (sets.py): two from the running Python's own documentation, and hard questions to
the sample vault. Collections in the format of `mesh eval` may be given besides. Each set is asked by Mesh as it is, by
each of its two sides alone, and with each part of the recipe switched off (recipes.py). Then the questions of each
field are put to the memories of the others, to see how well it can be told that there is no answer (unanswerable.py).

With --write-docs the tables go into docs/RECALL.md and the charts beside it. --work keeps the vectors, so that the
next run is short.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import charts
import numpy as np
import unanswerable
from recipes import ALL, AS_IT_IS, COSTS, Recipe, cooked
from remembered import Remembered
from sets import paraphrases, write_sets

from mesh import Mesh
from mesh.evaluation.questions import Question, QuestionSet, by_namespace, flat, read
from mesh.evaluation.running import fill
from mesh.evaluation.scoring import DEPTH, Tally, metrics, scored

DOCS = Path(__file__).parent.parent / "docs"
TIMED = 60  # questions
RESAMPLED = 2000
MAIN_FIGURE = "nDCG@10"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how good recall is, and what each part of it is worth.")
    parser.add_argument("collections", nargs="*", type=Path, metavar="COLLECTION.jsonl")
    parser.add_argument("--questions", type=int, default=600, help="of each set, at most; 0 for all")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", type=Path, help="keep the vectors here")
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mesh-quality-") as folder:
        kept = options.work or Path(folder)
        kept.mkdir(parents=True, exist_ok=True)
        bench = Bench(Path(folder), kept / "vectors.db")
        paths = [*options.collections, *write_sets(Path(folder))]
        sets = {path.stem: read(path) for path in paths} | {"paraphrases": paraphrases()}
        sets = {name: _limited(asked, options.questions) for name, asked in sets.items()}
        figures = {name: bench.quality(name, asked) for name, asked in sets.items()}
        costs = bench.costs(*next(iter(sets.items())))
        refusals = unanswerable.measured(bench, sets)
    result = {"sets": figures, "costs": costs, "unanswerable": refusals}
    print(tables(result))
    print(unanswerable.table(refusals))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    if options.write_docs:
        write_docs(result)


def _limited(asked: QuestionSet, most: int) -> QuestionSet:
    """With at most so many questions, spread evenly over the file."""
    if most and len(asked.questions) > most:
        every = len(asked.questions) / most
        asked.questions = [asked.questions[int(place * every)] for place in range(most)]
    return asked


@dataclass(frozen=True)
class Answer:
    question: Question
    rows: Sequence[dict[str, Any]]
    cpu_ms: float
    watched: Any = None


class Bench:
    """Homes of every set and recipe below a folder, and one embedder for all."""

    def __init__(self, folder: Path, vectors: Path) -> None:
        self._folder = folder
        with Mesh("bench", home=folder / "none") as mesh:
            embedder = mesh.workspace.embedder
        if embedder is None:
            raise SystemExit("There is no embedding model here. Get it: mesh model pull")
        self.embedder = Remembered(embedder, vectors)

    def home(self, name: str, asked: QuestionSet, index: str = "") -> Path:
        home = self._folder / "homes" / f"{name}-{index or 'as-it-is'}"
        fill(home, asked, asked.memories)
        return home

    def opened(self, home: Path, namespace: str, *, words_only: bool = False) -> Mesh:
        if not words_only:
            return Mesh(namespace, home=home, embedder=self.embedder)
        mesh = Mesh(namespace, home=home)
        mesh.workspace._asked_for_embedder = True  # and got none
        return mesh

    def answers(
        self,
        name: str,
        asked: QuestionSet,
        recipe: Recipe,
        n: int = DEPTH,
        watching: Callable[[Mesh, str], object] = lambda *_: None,
    ) -> Iterator[Answer]:
        """Ask all questions. `watching(mesh, question)` is looked at after each."""
        home = self.home(name, asked, recipe.index)
        with cooked(recipe):
            for namespace, questions in by_namespace(asked.questions, "").items():
                with self.opened(home, namespace, words_only=recipe.words_only) as mesh:
                    mesh.reindex()
                    for question in questions:
                        began = time.process_time()  # of this process alone: others may work on the machine
                        rows = mesh.recall(question.text, n=n)
                        elapsed = (time.process_time() - began) * 1000
                        yield Answer(question, rows, elapsed, watching(mesh, question.text))

    def quality(self, name: str, asked: QuestionSet) -> dict[str, Any]:
        """The figures of every recipe on one set, and how far from Mesh as it is, with 95% of the resamplings."""
        found: dict[str, Any] = {}
        base: list[float] = []
        for recipe in ALL:
            tally, main = Tally(), list[float]()
            for answer in self.answers(name, asked, recipe):
                scores = scored([flat(row["content"]) for row in answer.rows], asked.texts(answer.question))
                tally.add(scores, answer.question.category)
                main.append(scores[MAIN_FIGURE])
            base = base or main
            found[recipe.name] = {"figures": tally.figures(), "against": _difference(main, base)}
            print(f"{name}: {recipe.name}: {tally.figures()['all']}", file=sys.stderr, flush=True)
        memories = sum(map(len, asked.memories.values()))
        return {"memories": memories, "questions": len(asked.questions), "recipes": found}

    def costs(self, name: str, asked: QuestionSet) -> dict[str, Any]:
        """Of some recipes: how good, and how many milliseconds of CPU a recall takes, the question embedded afresh."""
        found = {}
        for recipe in COSTS:
            answers = list(self.answers(name, asked, recipe))
            scores = [
                scored([flat(row["content"]) for row in answer.rows], asked.texts(answer.question))
                for answer in answers
            ]
            self.embedder.remembers = False
            timed = QuestionSet(asked.path, asked.questions[:TIMED], asked.memories)
            times = [answer.cpu_ms for answer in self.answers(name, timed, recipe)]
            self.embedder.remembers = True
            recall = 100 * statistics.fmean(score["R@10"] for score in scores)
            found[recipe.name] = {"R@10": round(recall, 2), "p50_cpu_ms": round(statistics.median(times), 2)}
        return {"set": name, "recipes": found}


def _difference(figures: Sequence[float], base: Sequence[float]) -> list[float]:
    """The mean difference in points, and what 95% of resamplings of the questions lie between."""
    gaps = 100 * (np.array(figures) - np.array(base))
    drawn = np.random.default_rng(0).integers(0, len(gaps), (RESAMPLED, len(gaps)))
    low, high = np.percentile(gaps[drawn].mean(axis=1), [2.5, 97.5])
    return [round(float(value), 2) for value in (gaps.mean(), low, high)]


# --- what people read --------------------------------------------------------------------------------------------


def tables(result: dict[str, Any]) -> str:
    """One table over all sets, and one of all figures of Mesh as it is."""
    sets = result["sets"]
    head = ["nDCG@10", *(f"{name} ({one['questions']:,} of {one['memories']:,})" for name, one in sets.items())]
    lines = _header(head)
    for recipe in ALL:
        cells = [_cell(one["recipes"][recipe.name], recipe) for one in sets.values()]
        lines.append(f"| {recipe.name} | {' | '.join(cells)} |")
    lines += ["", *_header(["Mesh as it is", *metrics()])]
    for name, one in sets.items():
        for group, row in one["recipes"][AS_IT_IS.name]["figures"].items():
            said = name if group == "all" else f"{name}, {group}"
            lines.append(f"| {said} | {' | '.join(f'{row[figure]:.1f}' for figure in metrics())} |")
    lines += ["", *_header([f"Cost, on {result['costs']['set']}", "R@10", "ms of CPU a recall (p50)"])]
    for recipe_name, row in result["costs"]["recipes"].items():
        lines.append(f"| {recipe_name} | {row['R@10']:.1f} | {row['p50_cpu_ms']:.1f} |")
    return "\n".join(lines)


def _header(cells: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(cells)} |", f"|---{'|---:' * (len(cells) - 1)}|"]


def _cell(found: dict[str, Any], recipe: Recipe) -> str:
    value = found["figures"]["all"][MAIN_FIGURE]
    if recipe is AS_IT_IS:
        return f"**{value:.1f}**"
    mean, low, high = found["against"]
    return f"{value:.1f} ({mean:+.1f}; {low:+.1f} to {high:+.1f})"


def write_docs(result: dict[str, Any]) -> None:
    """Put the tables between their marks in docs/RECALL.md, and the charts beside it."""
    page = DOCS / "RECALL.md"
    text = page.read_text("utf-8")
    for mark, table in (("quality", tables(result)), ("nothing", unanswerable.table(result["unanswerable"]))):
        pattern = re.compile(rf"(<!-- begin {mark}[^\n]*-->\n).*?(<!-- end {mark} -->)", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"{page}: no place for the table: <!-- begin {mark} --> ... <!-- end {mark} -->")
        text = pattern.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", text)
    page.write_text(text, "utf-8")
    for name, chart in drawn(result).items():
        (DOCS / name).write_text(chart, "utf-8")


def drawn(result: dict[str, Any]) -> dict[str, str]:
    quality = {
        name: {recipe: row["figures"]["all"][MAIN_FIGURE] for recipe, row in one["recipes"].items()}
        for name, one in result["sets"].items()
        if name != "paraphrases"  # near 100 with the model and near 0 without: it would flatten the others
    }
    costs = result["costs"]
    points = [(row["p50_cpu_ms"], row["R@10"], name) for name, row in costs["recipes"].items()]
    cost = charts.lines(
        "Recall against cost", "milliseconds of CPU a recall (p50)", "R@10, %", {costs["set"]: points}, joined=False
    )
    return {
        "recall-quality.svg": charts.rows("Quality against recipe", "nDCG@10, %", quality),
        "recall-cost.svg": cost,
        "recall-nothing.svg": unanswerable.chart(result["unanswerable"]),
    }


if __name__ == "__main__":
    main()
