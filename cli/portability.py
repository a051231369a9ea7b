"""`mesh export`, `mesh import`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mesh.errors import InvalidInput

from .options import AllowSecret, Json, Namespace, opened
from .output import Bars, counted, first_line, note, one_line, print_json

if TYPE_CHECKING:
    from mesh.portability.deciding import Outcome, Wanted
    from mesh.portability.imported import Imported

SHOWN = 20  # of what was wrong; the rest is only counted


def export(
    target: Annotated[
        str, typer.Argument(metavar="FILE", help="A file, a folder for Markdown, or - for standard output.")
    ],
    kind: Annotated[
        str | None,
        typer.Option(
            "--format", "-f", metavar="FORMAT", help="json, jsonl, markdown or tar.gz. [default: by the name]"
        ),
    ] = None,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Write the memories of a namespace to a file.

    The name says what it becomes: .json, .jsonl, .tar.gz, and a folder of Markdown files for any other. What is local
    only stays here, and so does a file that cannot be understood: it is named, and the exit code is 1.
    """
    from mesh.portability import exporting

    if target == "-" and as_json:
        raise InvalidInput("standard output is for the export itself", place="--json", remedy="Give a file name")
    if not target:
        raise InvalidInput("it is empty", place="FILE", remedy="Give a name such as backup.json")
    with opened(namespace) as mesh:
        if target == "-":
            told = exporting.export(mesh.workspace, sys.stdout.buffer, kind or "json")
        else:
            told = exporting.export(mesh.workspace, Path(target), kind or exporting.kind_of(target))
    if as_json:
        print_json(told)
    else:
        _print_exported(told)
    if told["refused"]:
        raise typer.Exit(1)


def _print_exported(told: dict[str, Any]) -> None:
    line = f"{counted(told['memory_count'], 'memory', 'memories')} of {told['namespace']}"
    if told["skipped_local_only"]:
        line += f", without {told['skipped_local_only']:,} local only"
    if told["path"]:
        print(f"{one_line(told['path'])}\t{line}")
    else:
        note(line)
    _note_problems([(one["place"], one["cause"], one["remedy"]) for one in told["refused"]], len(told["refused"]))
    if told["refused"]:
        note(f"{counted(len(told['refused']), 'file')} that cannot be understood stayed here")


def import_(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A file or a folder; - reads standard input.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would become of each.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let those that differ give way; their old text goes to the trash.")
    ] = False,
    allow_secret: AllowSecret = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", hidden=True)] = False,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-N", metavar="NAME", help="[default: the one it names, MESH_NAMESPACE, shared]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Take in memories from another Mesh, or from other programs.

    Reads exports of Mesh and of mesh-context-layer, stores of the latter (mesh_NAME.db), folders and archives of
    Markdown such as an Obsidian vault, CLAUDE.md and AGENTS.md, memory.jsonl of the MCP memory server, and JSON of
    mem0. What is here already is left as it is: to import twice adds nothing, and after an interruption a repeat does
    the rest. Exits with 1 if something could not be taken in.
    """
    from mesh.portability.importing import import_source
    from mesh.portability.reading import namespace_of

    with _file_of(source) as path, opened(namespace or namespace_of(path), must_exist=False) as mesh, Bars() as bars:
        result = import_source(
            mesh.workspace,
            path,
            dry_run=dry_run,
            replace=replace or overwrite,
            progress=lambda done, count, total: bars("records" if done == "read" else "memories", count, total),
            told=_print_decision if dry_run and not as_json else None,
            allow_secrets=allow_secret,
        )
    if result.broke_off and not result.outcomes and not result.errors:
        raise result.broke_off
    if as_json:
        print_json(result.as_dict())
    else:
        _print_imported(result)
    if result.broke_off:
        note(str(result.broke_off))
    if result.errors or result.broke_off:
        raise typer.Exit(1)


_SAID = {
    "write": "would write",
    "replace": "would replace",
    "present": "has it",
    "same text": "has its text",
    "differs": "differs",
}


def _print_decision(outcome: Outcome, one: Wanted) -> None:
    if said := _SAID.get(outcome):
        print(f"{said}\t{one.memory.id}\t{one_line(one.place)}\t{first_line(one.memory.content, 60)}")


def _print_imported(result: Imported) -> None:
    from mesh.portability.deciding import Outcome

    did = "would be imported" if result.dry_run else "imported"
    line = f"{counted(result.written, 'memory', 'memories')} {did} into {result.namespace}"
    more = {
        "replaced": result.outcomes[Outcome.REPLACE],
        "local only": result.local_only,
    }
    if told := [f"{number:,} {said}" for said, number in more.items() if number]:
        line += f" ({', '.join(told)})"
    left = {
        "here already": result.outcomes[Outcome.PRESENT],
        "with a text that is here": result.outcomes[Outcome.SAME_TEXT],
        "different here and kept so (see --replace)": result.outcomes[Outcome.DIFFERS],
        "refused": result.errors,
    }
    print("; ".join([line, *(f"{number:,} {said}" for said, number in left.items() if number)]))
    _note_problems([(one.path, one.cause, one.remedy) for one in result.problems], result.errors)


def _note_problems(problems: list[tuple[str, str, str]], count: int) -> None:
    for place, cause, remedy in problems[:SHOWN]:
        note(f"{place}: {cause}. {remedy}")
    if count > SHOWN:
        note(f"and {count - SHOWN:,} more")


@contextmanager
def _file_of(source: str) -> Iterator[Path]:
    """What is to be read; standard input as a file of its own."""
    if not source:
        raise InvalidInput("it is empty", place="SOURCE", remedy="Give a file or a folder")
    if source != "-":
        yield Path(source)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdin"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield path
