"""`mesh learn`."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from mesh.errors import InvalidInput
from mesh.settings import Settings

from .options import AllowSecret, Json, Namespace, opened, words_or_stdin
from .output import first_line, note, one_line, print_json


def learn(
    content: Annotated[list[str] | None, typer.Argument(help="What to remember; - reads standard input.")] = None,
    memory_type: Annotated[str, typer.Option("--type", "-t", metavar="TYPE", help="What it is.")] = "fact",
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="A tag; repeat for several.")] = None,
    confidence: Annotated[float, typer.Option(metavar="0..1", help="How sure you are.")] = 1.0,
    ttl: Annotated[float | None, typer.Option(metavar="DAYS", help="Days until it no longer holds.")] = None,
    title: Annotated[str, typer.Option(metavar="TEXT", help="A title, searched as well.", show_default=False)] = "",
    source: Annotated[str, typer.Option(metavar="TEXT", help="Where it comes from.", show_default=False)] = "",
    supersedes: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A memory that this one replaces; it goes to the trash.")
    ] = None,
    local_only: Annotated[bool, typer.Option("--local-only", help="Never let it leave this machine.")] = False,
    allow_secret: AllowSecret = None,
    edit: Annotated[bool, typer.Option("--edit", "-e", help="Write it in your editor.")] = False,
    agent: Annotated[
        str | None, typer.Option("--agent", "-a", metavar="NAME", help="The author. [default: MESH_AGENT_ID, agent]")
    ] = None,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Store a memory.

    Types: fact, preference, context, result, instruction, process, decision, error, general. The very same text is
    not stored twice. A text that differs from another in a number, a name or a "not" is stored, and the other is
    named, so that one of them can be superseded. What looks like a secret is refused unless it stays on this machine
    or is allowed by its fingerprint.
    """
    text = _edited(" ".join(content or [])) if edit else words_or_stdin(content)
    with opened(namespace, agent, must_exist=False) as mesh:
        learned = mesh.learn(
            text,
            memory_type=memory_type,
            confidence=confidence,
            tags=tag,
            ttl_days=ttl,
            local_only=local_only,
            supersedes=supersedes,
            title=title,
            source=source,
            allow_secrets=allow_secret,
        )
        if as_json:
            print_json(learned)
            return
        print(f"{learned['memory_id']}\t{learned['status']}\t{one_line(learned['path'])}")
    if learned["status"] == "deduplicated":
        note("that very text is there already; to change what is said about it: mesh update")
    if conflict := learned["conflict"]:
        theirs = first_line(conflict["existing_content"], 70)
        note(f'it differs in a {conflict["difference"]} from {conflict["existing_memory_id"]} "{theirs}"')
        note(f"to replace that one: mesh forget {conflict['existing_memory_id']}")


def _edited(beginning: str) -> str:
    """What the user writes in their editor."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "memory.md"
        path.write_text(beginning, "utf-8")
        run_editor(path)
        return path.read_bytes().decode("utf-8", "surrogateescape")


def run_editor(path: Path) -> None:
    """Open a file in VISUAL or EDITOR and wait. Raises `InvalidInput` if it cannot be run or fails."""
    import shlex

    editor = Settings.from_environment().editor
    try:
        status = subprocess.run([*shlex.split(editor), str(path)], check=False).returncode
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{editor!r} cannot be run ({error})", place="EDITOR", remedy="Set EDITOR") from error
    if status:
        raise InvalidInput(f"{editor!r} ended with status {status}; the file is as it left it", place="EDITOR")
