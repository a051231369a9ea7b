"""Questions whose answers are known, from a JSON Lines file of one of two kinds.

A collection brings its memories with it. `t` says what a line is:

    {"t": "m", "ns": "trip", "id": "D1:3", "text": "...", "speaker": "Ann", "date": "2023-05-08T13:56", "session": 1}
    {"t": "q", "ns": "trip", "q": "When did Ann ...?", "ev": ["D1:3"], "cat": "temporal"}

Questions to a vault name the memories that answer them:

    {"question": "How do we deploy?", "id": "01kb2x7m9q4dk2wc", "namespace": "shared", "category": "process"}

Other keys are left alone. A line that cannot be used is a `Problem`, and all of them are told at once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .. import inputs
from ..errors import InvalidInput
from ..memory import Memory, Problem, new_id

Row = dict[str, Any]
_NO_DATE = "2026-01-01T00:00"
_NO_SPEAKER = "corpus"
_ONE_A_LINE = "Write one JSON object a line"
_WANTED = 'Write {"question": "...", "id": "..."} on each line'


class UnusableQuestions(InvalidInput):
    """Some lines cannot be used: `problems`, by line. As an error it is the first of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__(first.cause, place=f"{first.path}:{first.line}", remedy=first.remedy)
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Question:
    """`wanted`: ids as the file has them. `namespace` is "" where the line names none."""

    line: int
    text: str
    wanted: tuple[str, ...]
    namespace: str = ""
    category: str = ""


@dataclass(slots=True)
class QuestionSet:
    """`memories`: of each namespace by their id in the file; empty for questions to a vault."""

    path: str
    questions: list[Question] = field(default_factory=list)
    memories: dict[str, dict[str, Memory]] = field(default_factory=dict)

    @property
    def is_collection(self) -> bool:
        return bool(self.memories)

    def texts(self, question: Question) -> frozenset[str]:
        """What the memories of a collection are recognised by that answer a question of it."""
        memories = self.memories[question.namespace]
        return frozenset(flat(memories[name].content) for name in question.wanted)


def read(path: Path) -> QuestionSet:
    """Read a file of either kind. Raises `UnusableQuestions`, `InvalidInput`."""
    reader = _Reader(QuestionSet(str(path)))
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    reader.take(number, line)
    except OSError as error:
        raise InvalidInput(
            f"cannot be read ({error.strerror or error})", place=str(path), remedy="Give a JSON Lines file"
        ) from error
    return reader.finished()


class _Reader:
    def __init__(self, found: QuestionSet) -> None:
        self.found, self.problems = found, list[Problem]()
        self.is_collection: bool | None = None  # decided by the first line
        self.places: dict[tuple[str, str], int] = {}  # the line of each memory

    def take(self, number: int, line: bytes) -> None:
        try:
            self._take(number, _row(line))
        except InvalidInput as error:
            self._problem(number, f"{error.place}: {error.cause}" if error.place else error.cause, error.remedy)

    def finished(self) -> QuestionSet:
        """What was read, if all of it can be used."""
        if not self.problems and not self.found.questions:
            self._problem(1, "there is no question in this file", _WANTED)
        if self.is_collection:
            for question in self.found.questions:
                self._look_up(question)
        if self.problems:
            raise UnusableQuestions(sorted(self.problems, key=lambda problem: problem.line))
        return self.found

    def _take(self, number: int, row: Row) -> None:
        if self.is_collection is None:
            self.is_collection = "t" in row
        if not self.is_collection:
            self.found.questions.append(_asked_of_vault(number, row))
        elif row.get("t") == "m":
            self._take_memory(number, row)
        elif row.get("t") == "q":
            self.found.questions.append(_asked_of_collection(number, row))
        else:
            raise InvalidInput(
                f"'t' is {row.get('t')!r}", remedy='Write "t": "m" for a memory, "t": "q" for a question'
            )

    def _take_memory(self, number: int, row: Row) -> None:
        namespace, name = inputs.namespace(_text(row, "ns")), _text(row, "id")
        first = self.places.setdefault((namespace, name), number)
        if first != number:
            raise InvalidInput(f"the id {name!r} stands on line {first} already", remedy="Give each memory its own")
        rows = self.found.memories.setdefault(namespace, {})
        rows[name] = _memory(row, namespace, len(rows))

    def _look_up(self, question: Question) -> None:
        missing = [name for name in question.wanted if (question.namespace, name) not in self.places]
        if missing:
            cause = f"no memory {missing[0]!r} in {question.namespace!r}"
            self._problem(question.line, cause, "Correct 'ev', or add the memory")

    def _problem(self, line: int, cause: str, remedy: str) -> None:
        self.problems.append(Problem(self.found.path, line, "", cause, remedy))


def _row(line: bytes) -> Row:
    try:
        row = json.loads(line.strip())
    except json.JSONDecodeError as error:
        raise InvalidInput(f"not JSON ({error.msg}, column {error.colno})", remedy=_ONE_A_LINE) from error
    except UnicodeDecodeError as error:
        raise InvalidInput("not UTF-8", remedy="Save the file as UTF-8") from error
    except RecursionError as error:
        raise InvalidInput("not JSON (too deep)", remedy=_ONE_A_LINE) from error
    if not isinstance(row, dict):
        raise InvalidInput("not a JSON object", remedy=_ONE_A_LINE)
    return row


def _asked_of_vault(line: int, row: Row) -> Question:
    if "question" not in row and "t" in row:
        raise InvalidInput(
            "a line of a collection among questions to a vault", remedy="Put the two kinds into two files"
        )
    namespace = inputs.namespace(_text(row, "namespace")) if row.get("namespace") is not None else ""
    return Question(
        line, inputs.query(_text(row, "question")), _names(row, "id"), namespace, _category(row, "category")
    )


def _asked_of_collection(line: int, row: Row) -> Question:
    namespace = inputs.namespace(_text(row, "ns"))
    return Question(line, inputs.query(_text(row, "q")), _names(row, "ev"), namespace, _category(row, "cat"))


def _memory(row: Row, namespace: str, order: int) -> Memory:
    """A turn of a conversation: its session is its source, and a second a turn keeps the order.

    Without a session it is of session 1; `"session": null` says that it is of no source at all.
    """
    session = row.get("session", 1)
    return Memory(
        id=new_id(),
        content=inputs.content(_text(row, "text")),
        type="context",
        agent=inputs.agent(_text(row, "speaker", _NO_SPEAKER)),
        created=_moment(_text(row, "date", _NO_DATE)) + timedelta(seconds=order),
        source="" if session is None else inputs.word(f"{namespace}/session-{session}", "session"),
    )


def _moment(said: str) -> datetime:
    try:
        found = datetime.fromisoformat(said)
    except ValueError as error:
        raise InvalidInput(f"{said!r} is not a time", place="date", remedy="Write 2023-05-08T13:56") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _text(row: Row, key: str, default: str | None = None) -> str:
    value = row.get(key, default)
    if value is None:
        raise InvalidInput(f"{key!r} is missing", remedy=f'Write "{key}": "..."')
    if not isinstance(value, str):
        raise InvalidInput(f"{key!r} is {json.dumps(value)[:40]}, not text", remedy=f'Write "{key}": "..."')
    return value


def _names(row: Row, key: str) -> tuple[str, ...]:
    """One id or several, each once."""
    value = row.get(key)
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise InvalidInput(f"{key!r} names no memory", remedy=f'Write "{key}": ["..."]')
    return tuple(dict.fromkeys(names))


def _category(row: Row, key: str) -> str:
    value = row.get(key)
    return inputs.word(str(value), key) if value is not None else ""


def flat(text: str) -> str:
    """Without regard to kinds of white space."""
    return " ".join(text.split())


def by_namespace(questions: Sequence[Question], default: str) -> dict[str, list[Question]]:
    """In the order in which the namespaces first appear."""
    grouped: dict[str, list[Question]] = {}
    for question in questions:
        grouped.setdefault(question.namespace or default, []).append(question)
    return grouped
