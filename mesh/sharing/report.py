"""What a sync did, as data."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import MeshError
from ..memory import Problem
from ..merging import Note
from ..workspace import Workspace
from .applying import Applied
from .arrivals import Compared, compared

log = logging.getLogger("mesh")

RIVAL = ".rival-"  # in the name of every file that a merge puts beside another


@dataclass(slots=True)
class Report:
    """`pushed`, `new`, `changed`, `gone`: paths in the namespace. `kept_back`: what was not committed, and why.
    `left_out`: what arrived and was not written, and why. `conflicts`: paths of rivals that arose or arrived.
    `compared`: what arrived beside what was here, see `compare`."""

    namespace: str
    commit: str | None = None
    remote: str = ""
    pushed: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    kept_back: list[Problem] = field(default_factory=list)
    left_out: list[Problem] = field(default_factory=list)
    purged: list[tuple[str, str]] = field(default_factory=list)  # ids, and where what they were is kept
    notes: list[Note] = field(default_factory=list)
    compared: Compared = field(default_factory=Compared)

    def compare(self, workspace: Workspace) -> None:
        """Look which of what arrived contradicts or repeats what was here. A cache that fails does no harm."""
        arrived = [f"{self.namespace}/{path}" for path in (*self.new, *self.changed)]
        try:
            self.compared = compared(workspace, arrived)
        except MeshError as error:
            log.warning("what arrived was not compared with what was here: %s", error)
            self.compared = Compared(not_compared=len(arrived))

    def take(self, applied: Applied) -> None:
        for mine, its in ((self.new, applied.new), (self.changed, applied.changed), (self.gone, applied.gone)):
            mine += [path for path in its if path not in mine]
        self.conflicts += [path for path in applied.new if RIVAL in path and path not in self.conflicts]
        self._leave_out(applied.in_the_way)

    def found(self, problems: Iterable[Problem], notes: Iterable[Note]) -> None:
        self._leave_out(problems)
        for note in notes:
            if note not in self.notes:
                self.notes.append(note)
            if note.kind == "conflict" and note.other not in self.conflicts:
                self.conflicts.append(note.other)

    def _leave_out(self, problems: Iterable[Problem]) -> None:
        self.left_out += [one for one in problems if one not in self.left_out]

    def as_dict(self) -> dict[str, Any]:
        row = {
            name: getattr(self, name) for name in ("namespace", "commit", "remote", "pushed", "new", "changed", "gone")
        }
        row |= asdict(self.compared)
        row |= {"conflicts": self.conflicts, "notes": [note._asdict() for note in self.notes]}
        row["purged"] = [{"id": name, "backup": place} for name, place in self.purged]
        return row | {name: [asdict(one) for one in getattr(self, name)] for name in ("kept_back", "left_out")}
