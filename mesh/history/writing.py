"""Carry out several changes of files by the write protocol: what they replace goes to the trash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ..errors import EditConflict
from ..files import Folder, failures_reported, sha256
from ..workspace import Workspace

EXISTS, CHANGED = "exists", "changed"


@dataclass(frozen=True, slots=True)
class Step:
    """A file as it is and as it is to be: its path in the home and its bytes, None where there is none."""

    path: str | None
    data: bytes | None
    new_path: str | None
    new_data: bytes | None

    @property
    def changes(self) -> bool:
        return (self.path, self.data) != (self.new_path, self.new_data)

    @property
    def files(self) -> dict[str, bytes | None]:
        """What is to lie where."""
        gone = {self.path: None} if self.path and self.path != self.new_path else {}
        return gone | ({self.new_path: self.new_data} if self.new_path else {})


def write(workspace: Workspace, steps: Sequence[Step]) -> list[str]:
    """Take the steps; why each was not taken, or "". Files that go make room first."""
    order = sorted(range(len(steps)), key=lambda number: steps[number].new_path is not None)
    reasons = [""] * len(steps)
    with workspace.turn:
        for number in order:
            reasons[number] = _taken(workspace, steps[number])
        workspace.refresh()
        for step, reason in zip(steps, reasons, strict=True):
            if step.new_path and not reason:
                workspace.embed_path(step.new_path)
    return reasons


def _taken(workspace: Workspace, step: Step) -> str:
    vault, namespace = workspace.vault, workspace.namespace
    if not step.changes:
        return ""
    base = None if step.data is None else sha256(step.data)
    with vault.writing(namespace):
        try:
            if step.path and step.path == step.new_path and base and step.new_data is not None:
                vault.rewrite(namespace, step.path, base, step.new_data)
                return ""
            if step.new_path and step.new_data is not None:
                _create(workspace, step.new_path, step.new_data)
            if step.path:
                vault.discard(namespace, step.path, base)
        except FileExistsError:
            return EXISTS
        except (EditConflict, FileNotFoundError):
            return CHANGED
    return ""


def _create(workspace: Workspace, path: str, data: bytes) -> None:
    *parts, name = PurePosixPath(path).parts
    with Folder.open(workspace.vault.home, *parts, create=True) as folder:
        try:
            folder.create(name, data)
        except FileExistsError:
            if folder.read(name, limit=len(data) + 1) != data:  # it is what a killed undo wrote
                raise
        except OSError:
            with failures_reported(path):
                raise
