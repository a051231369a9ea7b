"""`mesh git-hook` and `mesh merge-driver`: what git runs in a shared namespace. docs/SYNC.md, "Beside plain git"."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mesh.errors import InvalidInput
from mesh.sharing.hook_texts import NAMES, SAID_WHY

from .output import note


def git_hook(
    name: Annotated[str, typer.Argument(metavar="NAME", help="pre-commit or pre-push.")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="...", help="What git gave to the hook.")] = None,
) -> None:
    """Exit code 20: it may not be, and why was said. With pre-push, standard input is what git gave to the hook."""
    from mesh.sharing import guarding

    if name not in NAMES:
        raise InvalidInput(f"there is no hook {name!r}", place="git-hook", remedy=f"It is one of: {', '.join(NAMES)}")
    if name == "pre-commit":
        problems = guarding.staged(Path.cwd())
    else:
        lines = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
        problems = guarding.pushed(Path.cwd(), (arguments or [""])[0], lines)
    for problem in problems:
        note(str(problem))
    if problems:
        note(_STOPPED[name])
        raise typer.Exit(SAID_WHY)


_STOPPED = {
    "pre-commit": "nothing was committed. To take a file back out: git restore --staged FILE",
    "pre-push": "nothing was pushed. Change the commits that have it: git commit --amend, or git rebase -i",
}


def merge_driver(
    base: Annotated[Path, typer.Argument(metavar="%O", help="What both come from; empty if that is nothing.")],
    ours: Annotated[Path, typer.Argument(metavar="%A", help="Ours; the result is written here.")],
    theirs: Annotated[Path, typer.Argument(metavar="%B", help="Theirs.")],
    path: Annotated[str, typer.Argument(metavar="%P", help="The file's name in the repository.")] = "",
) -> None:
    """Exit code 20: there is a conflict, and it stands in the file, in git's own markers."""
    from mesh.sharing.driving import drive

    if not drive(base, ours, theirs):
        raise typer.Exit(SAID_WHY)
