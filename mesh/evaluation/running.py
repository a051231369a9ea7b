"""Ask the questions and score the answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from .. import codec, inputs
from ..errors import MeshError
from ..memory import Memory, Problem, slug
from ..recall import Hit, recall
from ..settings import Settings
from ..version import __version__
from ..workspace import Workspace
from .questions import Question, QuestionSet, UnusableQuestions, by_namespace, flat
from .scoring import DEPTH, Figures, Tally, scored

Progress = Callable[[str, int, int], None]  # so many more of all "memories" to embed, or of all "questions"


@dataclass(frozen=True, slots=True)
class Report:
    """`model` is None where recall went by words only. `milliseconds`: of each recall, with the look at the files."""

    path: str
    model: str | None
    reranker: str | None
    memories: int
    n: int
    figures: Figures
    milliseconds: tuple[float, ...] = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": self.path,
            "mesh_version": __version__,
            "model": self.model,
            "reranker": self.reranker,
            "memories": self.memories,
            "n": self.n,
            "figures": {group: dict(row) for group, row in self.figures.items()},
            "recall_ms": {"p50": round(median(self.milliseconds), 2), "max": round(max(self.milliseconds), 2)},
        }


def evaluate(
    asked: QuestionSet,
    settings: Settings,
    *,
    n: int = DEPTH,
    limit: int | None = None,
    home: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Score recall on the first `limit` questions, by their first `n` results.

    A collection's memories go into a home that is thrown away afterwards, or into the folder `home`, which may hold
    them from another time. Questions to a vault go to that of `settings`; of it only the cache changes: what has no
    vectors yet gets them first. Raises `UnusableQuestions` if a memory that should be found is not there, `MeshError`.
    """
    inputs.count(n)
    chosen = asked.questions[: None if limit is None else inputs.count(limit, "questions")]
    groups = by_namespace(chosen, inputs.namespace(settings.namespace))
    with _home(asked, groups, settings, home) as place, closing(Workspace(settings, settings.namespace)) as own:
        run = _Run(own, place, asked, n, progress or (lambda *_: None))
        return run.report(groups)


@contextmanager
def _home(asked: QuestionSet, used: Iterable[str], settings: Settings, given: Path | None) -> Iterator[Path]:
    if not asked.is_collection:
        yield settings.home
        return
    with nullcontext(str(given)) if given else TemporaryDirectory(prefix="mesh-eval-") as folder:
        fill(Path(folder), asked, used)
        yield Path(folder)


def fill(home: Path, asked: QuestionSet, used: Iterable[str]) -> None:
    """Write a collection's memories into a home, but for namespaces that are there already."""
    for namespace in used:
        if not (home / namespace).exists():
            _write(home / namespace, asked.memories[namespace].values())


def _write(folder: Path, memories: Iterable[Memory]) -> None:
    """Under the names that Mesh would give the files. Nobody waits for the disk: they can be made again."""
    folder.mkdir(parents=True)
    texts = set[str]()
    for memory in memories:
        if memory.content not in texts:  # as for `learn`, the same text is one memory
            (folder / f"{slug(memory.content)}--{memory.id}.md").write_bytes(codec.render(memory))
            texts.add(memory.content)


class _Run:
    """What a wanted memory is recognised by: in a collection its text, in a vault its path."""

    def __init__(self, own: Workspace, home: Path, asked: QuestionSet, n: int, progress: Progress) -> None:
        self._own, self._home, self._asked, self._n, self._progress = own, home, asked, n, progress
        self._wanted: dict[int, frozenset[str]] = {}  # by the question's line
        self._problems: list[Problem] = []
        self._memories = 0
        self._tally, self._milliseconds = Tally(), list[float]()

    def report(self, groups: dict[str, list[Question]]) -> Report:
        pending = {namespace: self._looked_at(namespace, several) for namespace, several in groups.items()}
        if self._problems:
            raise UnusableQuestions(self._problems)
        total = sum(pending.values())
        for namespace in filter(pending.__getitem__, pending):
            with self._opened(namespace) as workspace:
                workspace.reindexed(lambda count: self._progress("memories", count, total))
        for namespace, several in groups.items():
            with self._opened(namespace) as workspace:
                self._ask(workspace, several, sum(map(len, groups.values())))
        model = self._own.embedder.key if self._own.embedder else None
        reranker = self._own.reranking.reranker()
        return Report(
            self._asked.path,
            model,
            reranker.key if reranker else None,
            self._memories,
            self._n,
            self._tally.figures(),
            tuple(self._milliseconds),
        )

    def _opened(self, namespace: str) -> closing[Workspace]:
        return closing(self._own.beside(namespace, self._home))

    def _looked_at(self, namespace: str, several: Sequence[Question]) -> int:
        """Find the memories that are wanted; how many of the namespace have no vectors yet."""
        try:
            self._own.beside(namespace, self._home).vault.require(namespace)
        except MeshError as error:
            self._problem(several[0], error)
            return 0
        with self._opened(namespace) as workspace:
            receipt = workspace.refreshed(embed=False)
            for question in several:
                self._look_up(workspace, question)
        self._memories += receipt.scanned
        return receipt.pending

    def _look_up(self, workspace: Workspace, question: Question) -> None:
        if self._asked.is_collection:
            self._wanted[question.line] = self._asked.texts(question)
            return
        try:
            with workspace.turn:
                self._wanted[question.line] = frozenset(map(workspace.path_of, question.wanted))
        except MeshError as error:
            self._problem(question, error)

    def _problem(self, question: Question, error: MeshError) -> None:
        cause = f"{error.place}: {error.cause}" if error.place else error.cause
        self._problems.append(Problem(self._asked.path, question.line, "", cause, error.remedy))

    def _ask(self, workspace: Workspace, several: Sequence[Question], total: int) -> None:
        for question in several:
            began = time.perf_counter()
            hits = recall(workspace, question.text, n=self._n).hits
            self._milliseconds.append((time.perf_counter() - began) * 1000)
            found = [self._known_by(workspace, hit, self._wanted[question.line]) for hit in hits]
            self._tally.add(scored(found, self._wanted[question.line], self._n), question.category)
            self._progress("questions", 1, total)

    def _known_by(self, workspace: Workspace, hit: Hit, wanted: frozenset[str]) -> str:
        """Also by the path of one that says the same, if that is the one that is wanted."""
        if self._asked.is_collection:
            return flat(hit.memory.content)
        with workspace.turn:
            same = [workspace.path_of(one) for one in hit.same]
        return next((path for path in same if path in wanted), hit.memory.path)
