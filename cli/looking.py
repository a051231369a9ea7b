"""`mesh list`, `mesh show`, `mesh inspect`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mesh.errors import InvalidInput

from .options import Agent, At, Json, Namespace, Since, Tags, Type, Until, opened
from .output import (
    Row,
    about,
    first_line,
    indented,
    note,
    one_line,
    print_json,
    print_json_lines,
    styled,
    visible,
    width,
)

Name = Annotated[str, typer.Argument(metavar="ID", help="An id, 4 or more characters of one, or a path.")]


def list_memories(
    n: Annotated[int | None, typer.Option("-n", "--count", metavar="N", help="At most so many.")] = None,
    memory_type: Type = None,
    tag: Tags = None,
    agent: Agent = None,
    since: Since = None,
    until: Until = None,
    trash: Annotated[bool, typer.Option("--trash", help="What was forgotten or replaced, the latest first.")] = False,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """List memories, the youngest first.

    Each line is the id, a TAB and the first line of the text: made for fzf and cut. What is disputed, or a last good
    version, has a third column. With --json a line is an object.
    """
    with opened(namespace) as mesh:
        if trash:
            entries = mesh.trashed()
            shown = entries if n is None else entries[:n]
            if as_json:
                print_json_lines(shown)
            for entry in () if as_json else shown:
                print(f"{entry['id']}\t{entry['forgotten_at']}\t{visible(entry['path'])}")
            return
        rows = mesh.inspect(
            limit=n,
            memory_type=memory_type,
            tags=tag,
            source_agent=agent,
            since=since,
            until=until,
        )
    if as_json:
        print_json_lines(rows)
        return
    for row in rows:
        room = width() - max(24, len(row["id"]) + 8) if sys.stdout.isatty() else 0
        title = first_line(row["title"] or row["content"].lstrip("# "), room)
        print(f"{styled(row['id'], 'cyan')}\t{title}{_marks(row)}")


def _marks(row: Row) -> str:
    """A third column, for the few that have something to note."""
    marks = ["last good version"] * bool(row["quarantined"]) + ["disputed"] * bool(row["rival_of"] or row["rivals"])
    return f"\t{styled('⚠ ' + ', '.join(marks), 'yellow')}" if marks else ""


def show(
    memory_id: Name,
    raw: Annotated[bool, typer.Option("--raw", help="The file as it is, byte for byte.")] = False,
    path: Annotated[bool, typer.Option("--path", help="Only the file's place on disk.")] = False,
    at: At = None,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Print one memory: its text, and on a terminal a line about it."""
    if path and at is not None:
        raise InvalidInput("what a commit had lies nowhere", place="--path", remedy="Leave it out, or take --raw")
    with opened(namespace, at=at) as mesh:
        if path:
            print(mesh.file_of(memory_id))
            return
        if raw:
            sys.stdout.buffer.write(mesh.raw(memory_id))
            return
        row = mesh.get(memory_id)
    if as_json:
        print_json(row)
        return
    if row["title"]:
        print(styled(visible(row["title"]), "bold"))
    print(visible(row["content"]))
    for said in row["notices"]:
        note(f"⚠ {said}")
    if sys.stdout.isatty():
        print(styled(f"\n{about(row)}\n{row['id']}  {one_line(row['path'])}", "dim"))


def inspect(
    memory_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="One memory. [default: the latest]")] = None,
    n: Annotated[int, typer.Option("-n", "--count", metavar="N", help="How many of the latest.")] = 20,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Say all that is known of one memory, or of the latest ones."""
    with opened(namespace) as mesh:
        rows = [mesh.get(memory_id)] if memory_id else mesh.inspect(limit=n)
    if as_json:
        print_json(rows[0] if memory_id else rows)
        return
    for row in rows:
        _print_all(row)


_DETAILS = {
    "title": "title",
    "memory_type": "type",
    "tags": "tags",
    "source_agent": "agent",
    "created_at": "created",
    "updated_at": "updated",
    "expires_at": "expires",
    "days_until_stale": "days until stale",
    "confidence": "confidence",
    "effective_confidence": "confidence now",
    "source": "source",
    "evidence": "evidence",
    "supersedes": "supersedes",
    "local_only": "local only",
}


def _print_all(row: Row) -> None:
    print(styled(row["id"], "cyan", "bold") + "  " + styled(one_line(row["path"]), "dim"))
    for key, said in _DETAILS.items():
        value = row[key]
        untold = value in (None, "", [], False) or (key == "effective_confidence" and value == row["confidence"])
        if not untold:
            print(f"   {said:<17}{visible(', '.join(value) if isinstance(value, list) else str(value))}")
    for said in row["notices"]:
        print(styled(f"   ⚠ {one_line(said)}", "yellow"))
    print(indented(row["content"]) + "\n")
