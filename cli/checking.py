"""`mesh check`: what a pull request would bring in."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mesh.errors import InvalidInput

from .arrivals import difference, print_arrivals, summary, what_was_not_compared
from .output import Row, counted, note, one_line, print_json, styled


class Format(StrEnum):
    text = "text"
    json = "json"
    github = "github"


def check(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Of the memories, in any clone. [default: here]")
    ] = None,
    base: Annotated[str, typer.Option("--base", metavar="REV", help="What it is to be merged into.")] = "",
    head: Annotated[str, typer.Option("--head", metavar="REV", help="[default: the files as they are]")] = "",
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-N", metavar="NAME", help="Instead of DIR: a namespace of your home.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail for contradictions and duplicates, too.")] = False,
    cache: Annotated[
        Path | None, typer.Option("--cache", metavar="DIR", help="Keep vectors there for the next time.")
    ] = None,
    format: Annotated[Format, typer.Option("--format", help="github: as annotations of its Actions.")] = Format.text,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Say what is new, what of it must not be merged, and what contradicts or repeats what the base has.

    For CI: it needs a clone, no home, and writes nothing to either. Exits with 1 for files that cannot be read,
    conflict markers, local_only, what looks like a secret, ids that stand twice, names that not every system can keep.
    """
    from mesh.functions import check_proposal

    if not base:
        raise InvalidInput("it is needed: what to compare with", place="--base", remedy="Say --base origin/main")
    if folder and namespace:
        raise InvalidInput("a folder is given, and a namespace", place="check", remedy="Give one of them")
    row = check_proposal(folder, base, head=head, namespace=namespace, cache=cache)
    if as_json or format is Format.json:
        print_json(row)
    elif format is Format.github:
        _print_annotations(row)
    else:
        _print(row)
    serious = any(one["serious"] for one in row["problems"])
    if serious or (strict and (row["contradicts"] or row["duplicates"])):
        raise typer.Exit(1)


def _print(row: Row) -> None:
    print(f"{styled(one_line(row['folder']), 'bold')}\t{_summary(row)}")
    for one in row["problems"]:
        mark = styled("error", "red") if one["serious"] else styled("note ", "yellow")
        print(f"  {mark}  {_place(one)}: {one_line(one['cause'])}. {one_line(one['remedy'])}")
    print_arrivals(row)


def _summary(row: Row) -> str:
    """`4 new, 1 changed; 1 error; 1 contradicts yours`."""
    news = [f"{len(row[name]):,} {name}" for name in ("new", "changed", "gone") if row[name]]
    errors = sum(one["serious"] for one in row["problems"])
    notes = len(row["problems"]) - errors
    found = [counted(many, what) for many, what in ((errors, "error"), (notes, "note")) if many]
    parts = [", ".join(some) for some in (news, found, summary(row)) if some]
    return "; ".join(parts) or "no memory differs"


def _place(one: Row) -> str:
    return f"{one_line(one['path'])}:{one['line']}" if one["line"] else one_line(one["path"])


# --- annotations ---------------------------------------------------------------------------------------------------


def _print_annotations(row: Row) -> None:
    """`::error file=a.md,line=3::message`: what GitHub shows beside the file."""
    for one in row["problems"]:
        _annotate(
            "error" if one["serious"] else "warning", one["path"], one["line"], f"{one['cause']}. {one['remedy']}"
        )
    for one in row["contradicts"]:
        told = f"it contradicts {one['yours']['path']} ({_near(one)}): {difference(one)}"
        _annotate("warning", one["path"], 0, told)
    for one in row["duplicates"]:
        _annotate("warning", one["path"], 0, f"it says the same as {one['yours']['path']} ({_near(one)})")
    for line in what_was_not_compared(row):
        note(line)


def _near(one: Row) -> str:
    return "by words" if one["similarity"] is None else f"{one['similarity']:.2f}"


def _annotate(kind: str, path: str, line: int, text: str) -> None:
    place = f"file={_escaped(path, ':,')}" + (f",line={line}" if line else "")
    print(f"::{kind} {place}::{_escaped(one_line(text))}")


def _escaped(text: Any, more: str = "") -> str:
    return "".join(f"%{ord(c):02X}" if c in "%\r\n" + more else c for c in text)
