"""How well it can be told that nothing in a vault answers a question.

The library judges (`mesh/relevance.py`): of each recall it gives two signals, and says by a threshold of the model's
whether both are low. Measured on questions that are answered (the right memory is among the first ten: these must not
be refused) and on questions of one field put to the memories of another, which must be. Questions about other people
than a conversation's own are a harder kind, and no threshold for them would be safe; their share is shown all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import charts
from recipes import AS_IT_IS

from mesh import Mesh
from mesh.embedding.minilm import MiniLM
from mesh.evaluation.questions import Question, QuestionSet, flat
from mesh.recall import recall
from mesh.relevance import LEAST_SHARE, LOOKED_AT, Signals

if TYPE_CHECKING:
    from quality import Bench

THRESHOLD = MiniLM.unrelated_below
COSINES = tuple(sorted({THRESHOLD, 0.16, 0.18, 0.2, 0.22, 0.24, 0.26, 0.28, 0.3, 0.32, 0.34}))
FIELDS = {"titles": "Python", "functions": "Python", "paraphrases": "an engineering team"}  # others: their own


def measured(bench: Bench, sets: dict[str, QuestionSet]) -> dict[str, Any]:
    """Signals by kind: answered questions of each set, and the questions of each field put to another's memories."""
    found: dict[str, list[Signals]] = {}
    for name, asked in sets.items():
        answered = found.setdefault(f"answered: {name}", [])
        for answer in bench.answers(name, asked, AS_IT_IS, LOOKED_AT, watching=_signals):
            wanted = asked.texts(answer.question)
            if any(flat(row["content"]) in wanted for row in answer.rows):
                answered.append(answer.watched)
        for other, strangers in sets.items():
            if FIELDS.get(other, other) != FIELDS.get(name, name):
                foreign = _put_to(asked, strangers.questions)
                found[f"{other} asked of {name}"] = _all(bench, name, foreign)
        if len(asked.memories) > 1 and name not in FIELDS:
            found[f"{name}: asked of other people"] = _all(bench, name, _put_to_the_next(asked))
    refused = {kind: _refused(found[kind]) for kind in found}
    return {"share": LEAST_SHARE, "threshold": THRESHOLD, "cosines": COSINES, "refused": refused}


def _all(bench: Bench, name: str, asked: QuestionSet) -> list[Signals]:
    return [answer.watched for answer in bench.answers(name, asked, AS_IT_IS, 1, watching=_signals)]


def _signals(mesh: Mesh, text: str) -> Signals:
    return recall(mesh.workspace, text, n=1).signals


def _put_to(asked: QuestionSet, questions: Sequence[Question]) -> QuestionSet:
    """Other questions, spread over the namespaces of a set."""
    names = list(asked.memories)
    spread = [Question(q.line, q.text, (), names[place % len(names)]) for place, q in enumerate(questions)]
    return QuestionSet(asked.path, spread, asked.memories)


def _put_to_the_next(asked: QuestionSet) -> QuestionSet:
    names = list(asked.memories)
    after = dict(zip(names, [*names[1:], names[0]], strict=True))
    moved = [Question(q.line, q.text, (), after[q.namespace]) for q in asked.questions]
    return QuestionSet(asked.path, moved, asked.memories)


def _refused(signals: Sequence[Signals]) -> dict[str, Any]:
    """In per cent, for each threshold of the cosine."""
    refused = [sum(not one.answer(least) for one in signals) for least in COSINES]
    rates = [round(100 * several / max(1, len(signals)), 2) for several in refused]
    return {"questions": len(signals), "percent": rates}


# --- what people read --------------------------------------------------------------------------------------------


def table(result: dict[str, Any]) -> str:
    """A row a kind of question, a column a threshold; that of the library is bold."""
    bold = {result["threshold"]: "**"}
    marks = [bold.get(cosine, "") for cosine in result["cosines"]]
    thresholds = (f"{mark}< {cosine:g}{mark}" for mark, cosine in zip(marks, result["cosines"], strict=True))
    head = ["refused, %", "questions", *thresholds]
    lines = [f"| {' | '.join(head)} |", f"|---{'|---:' * (len(head) - 1)}|"]
    for kind, row in result["refused"].items():
        rates = (f"{mark}{rate:.1f}{mark}" for mark, rate in zip(marks, row["percent"], strict=True))
        lines.append(f"| {kind} | {row['questions']:,} | {' | '.join(rates)} |")
    return "\n".join(lines)


def chart(result: dict[str, Any]) -> str:
    series = {kind: list(_points(result, row["percent"])) for kind, row in _by_sort(result).items()}
    return charts.lines(
        f"Refused where the cosine is below a threshold and less than {result['share']:g} of the words are matched",
        "threshold of the cosine",
        "refused, %",
        series,
    )


def _by_sort(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Over all questions of a sort."""
    sorts = {"has an answer": "answered: ", "other field": " asked of ", "other people": ": asked of other people"}
    found: dict[str, dict[str, Any]] = {}
    for said, mark in sorts.items():
        rows = [row for kind, row in result["refused"].items() if mark in kind]
        questions = sum(row["questions"] for row in rows)
        if questions:
            parts = [[row["questions"] * rate / questions for rate in row["percent"]] for row in rows]
            found[said] = {"percent": [sum(column) for column in zip(*parts, strict=True)]}
    return found


def _points(result: dict[str, Any], percent: Sequence[float]) -> Iterator[charts.Point]:
    for cosine, rate in zip(result["cosines"], percent, strict=True):
        yield cosine, rate, ""
