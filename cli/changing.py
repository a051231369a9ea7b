"""`mesh edit`, `mesh update`, `mesh forget`, `mesh restore`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mesh.errors import InvalidInput

from .learning import run_editor
from .looking import Name
from .options import AllowSecret, Json, Namespace, Yes, confirmed, opened, words_or_stdin
from .output import about, first_line, note, one_line, print_json
from .purging import purge


def edit(memory_id: Name, namespace: Namespace = None) -> None:
    """Open a memory's file in VISUAL or EDITOR. The next recall sees what you save."""
    with opened(namespace) as mesh:
        file = mesh.file_of(memory_id)
        before = file.read_bytes()
        run_editor(file)
        if not file.exists():
            note(f"{file} is gone")
        elif file.read_bytes() == before:
            note("nothing was changed")
        else:
            row = mesh.get(file.relative_to(mesh.workspace.vault.home).as_posix())
            print(f"{row['id']}\tsaved\t{one_line(row['path'])}")
            for problem in mesh.problems():
                if problem.path == row["path"]:
                    note(str(problem))


def update(
    memory_id: Name,
    content: Annotated[list[str] | None, typer.Argument(help="The new text; - reads standard input.")] = None,
    memory_type: Annotated[str | None, typer.Option("--type", "-t", metavar="TYPE", help="Another type.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="The tags it has from now on.")] = None,
    confidence: Annotated[float | None, typer.Option(metavar="0..1", help="How sure you are now.")] = None,
    ttl: Annotated[float | None, typer.Option(metavar="DAYS", help="Days from now until it no longer holds.")] = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Another title; '' drops it.")] = None,
    allow_secret: AllowSecret = None,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Change a memory in place. Only the lines that must change do; the old text goes to the trash."""
    text = words_or_stdin(content) if content else None
    if text is None and all(value is None for value in (memory_type, tag, confidence, ttl, title, allow_secret)):
        raise InvalidInput("nothing is to be changed", place="update", remedy="Give a new text or an option")
    with opened(namespace) as mesh:
        row = mesh.update(
            memory_id,
            text,
            memory_type=memory_type,
            confidence=confidence,
            tags=tag,
            ttl_days=ttl,
            title=title,
            allow_secrets=allow_secret,
        )
    if as_json:
        print_json(row)
    else:
        print(f"{row['id']}\tupdated\t{one_line(row['path'])}")


def forget(
    memory_id: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids, their beginnings, or paths.")],
    purge_history: Annotated[
        bool, typer.Option("--purge-history", help="For a pasted secret: take one out of all history, for good.")
    ] = False,
    push: Annotated[bool, typer.Option("--push", help="With --purge-history: replace the remote's branch.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --purge-history: only say what would go.")] = False,
    yes: Yes = False,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Move memories to the trash. On a terminal it asks first; mesh restore brings them back.

    With --purge-history one memory goes for real: from the folder, the trash, the cache and every commit. A backup is
    made first. docs/HISTORY.md says what that cannot do.
    """
    if purge_history:
        purge(memory_id, push=push, dry_run=dry_run, yes=yes, namespace=namespace, as_json=as_json)
        return
    if push or dry_run:
        option = "--push" if push else "--dry-run"
        raise InvalidInput("it is for --purge-history", place=option, remedy="Add --purge-history, or leave it out")
    with opened(namespace) as mesh:
        rows = list({row["path"]: row for row in map(mesh.get, memory_id)}.values())
        if sys.stdin.isatty() and not yes:
            for row in rows:
                note(f'{row["id"]}  "{first_line(row["content"], 60)}"  {about(row)}')
        if not confirmed(f"Forget {'this' if len(rows) == 1 else f'these {len(rows)}'}?", yes):
            note("nothing was forgotten")
            raise typer.Exit(1)
        gone = [mesh.forget(row["path"]) for row in rows]
    if as_json:
        print_json(gone)
        return
    for row in gone:
        print(f"{row['id']}\tforgotten\t{one_line(row['path'])}")
    ids = dict.fromkeys(row["id"] for row in gone)
    note("to bring back: " + "; ".join(f"mesh restore {one}" for one in ids))


def restore(memory_id: Name, namespace: Namespace = None, as_json: Json = False) -> None:
    """Bring a memory back from the trash.

    Its newest text there takes the place of the living one, if there is one, which goes to the trash itself: to
    restore twice is to undo. See what is there with: mesh list --trash
    """
    with opened(namespace, must_exist=False) as mesh:
        row = mesh.restore(memory_id)
    if as_json:
        print_json(row)
    else:
        print(f"{row['id']}\trestored\t{one_line(row['path'])}")
