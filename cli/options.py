"""Options that several verbs share, and how they become the library's objects."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mesh.errors import InvalidInput
from mesh.settings import DEFAULT_SYNC_EVERY, Settings

from .output import FilesBar

if TYPE_CHECKING:
    from mesh.api import Mesh

Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-N", metavar="NAME", help="[default: MESH_NAMESPACE, shared]"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Type = Annotated[str | None, typer.Option("--type", "-t", metavar="TYPE", help="Only of this type.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="Only with this tag; repeat for several.")]
Agent = Annotated[str | None, typer.Option("--agent", "-a", metavar="NAME", help="Only by this author.")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Only from then on: 2026-01-31, 3d, yesterday.")
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Only from before then.")]
AllowSecret = Annotated[
    list[str] | None,
    typer.Option("--allow-secret", metavar="FINGERPRINT", help="What looks like a secret and is none; repeat."),
]
At = Annotated[
    str | None, typer.Option("--at", metavar="REV|TIME", help="As a commit had it, or the last one at that time.")
]
Every = Annotated[
    str | None, typer.Option("--every", metavar="TIME", help="How often: 30s, 5m, 1h. [default: MESH_SYNC_EVERY, 5m]")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def opened(namespace: str | None, agent: str | None = None, *, must_exist: bool = True, at: str | None = None) -> Mesh:
    """The namespace asked for. With `must_exist` a name that is nowhere is an error with a suggestion.

    `at`: as a commit, or a time, had it.
    """
    from mesh.api import Mesh

    mesh = Mesh(namespace=namespace, agent_id=agent, must_exist=must_exist)
    mesh.workspace.freshness.progress = FilesBar()
    return mesh if at is None else mesh.at(at)


def sync_seconds(settings: Settings, asked: bool, every: str | None) -> float | None:
    """How often to sync what is shared, in seconds; None: not at all. `asked`: whether an option says so."""
    from mesh import inputs

    if every is not None and not asked:
        raise InvalidInput("it says how often to sync, and nothing says to", place="--every", remedy="Add --sync")
    if every is not None:
        return inputs.interval(every, "--every")
    return inputs.sync_interval(settings.sync_every or (DEFAULT_SYNC_EVERY if asked else ""))


def words_or_stdin(words: list[str] | None) -> str:
    """The arguments joined, or standard input for `-` or for no argument where it is not a terminal."""
    if words and words != ["-"]:
        return " ".join(words)
    if not words and sys.stdin.isatty():
        return ""
    return sys.stdin.buffer.read().decode("utf-8", "surrogateescape")


def confirmed(question: str, yes: bool) -> bool:
    """Ask, where there is a terminal to ask on."""
    if yes or not sys.stdin.isatty():
        return True
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
