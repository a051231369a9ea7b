"""What became of the records of an import."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ..errors import MeshError
from ..memory import Problem
from .deciding import Outcome

PROBLEMS_KEPT = 100


@dataclass(slots=True)
class Imported:
    """Counts, and the first problems. `broke_off`: why the source could not be read to its end."""

    namespace: str
    dry_run: bool = False
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    local_only: int = 0
    errors: int = 0
    problems: list[Problem] = field(default_factory=list)  # the first of them
    broke_off: MeshError | None = None

    def note(self, problem: Problem) -> None:
        """A record that could not be taken in."""
        self.errors += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(problem)

    @property
    def written(self) -> int:
        """How many memories are new or changed; in a dry run, would be."""
        return self.outcomes[Outcome.WRITE] + self.outcomes[Outcome.REPLACE]

    @property
    def skipped(self) -> int:
        return sum(self.outcomes[one] for one in (Outcome.PRESENT, Outcome.SAME_TEXT, Outcome.DIFFERS))

    def as_dict(self) -> dict[str, Any]:
        return {
            "namespace": self.namespace,
            "imported": 0 if self.dry_run else self.written,
            "skipped": self.skipped,
            "errors": self.errors,
            **({"would_import": self.written} if self.dry_run else {}),
            "present": self.outcomes[Outcome.PRESENT],
            "same_text": self.outcomes[Outcome.SAME_TEXT],
            "differs": self.outcomes[Outcome.DIFFERS],
            "replaced": self.outcomes[Outcome.REPLACE],
            "local_only": self.local_only,
            "dry_run": self.dry_run,
            "problems": [{"place": one.path, "cause": one.cause, "remedy": one.remedy} for one in self.problems],
        }
