"""`mesh link`, `mesh unlink`."""

from __future__ import annotations

from typing import Annotated

import typer

from mesh.errors import InvalidInput

from .options import Json
from .output import Row, note, one_line, print_json, styled


def link(
    folder: Annotated[str | None, typer.Argument(metavar="DIR", help="A project's docs/memory, say.")] = None,
    namespace: Annotated[str | None, typer.Argument(metavar="NS", help="[default: how the project is called]")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the folders that are linked.")] = False,
    as_json: Json = False,
) -> None:
    """Nothing is copied.

    Its Markdown files are the memories, and are learned, recalled and edited where they lie. mesh sync NS commits them
    to the project's repository. What is local_only, the trash and the cache stay in the home.

    To say where a linked folder is now, after it was moved, link it again.
    """
    from mesh.functions import link_namespace, linked_namespaces

    if listed == (folder is not None):
        raise InvalidInput(
            "it takes a folder, or --list", place="link", remedy="Say: mesh link DIR, or mesh link --list"
        )
    if folder is None:
        _told(linked_namespaces(), as_json)
        return
    row = link_namespace(folder, namespace or "")
    _told(row, as_json)
    if row["project"] not in (None, row["folder"]) and not as_json:
        note(f"to commit what is learned there: mesh sync {row['namespace']}; to push it is the project's own work")


def unlink(
    namespace: Annotated[str, typer.Argument(metavar="NS", help="The namespace.")], as_json: Json = False
) -> None:
    """Nothing is deleted.

    No file is removed, neither in the folder nor what is local_only or in the trash.
    """
    from mesh.functions import unlink_namespace

    row = unlink_namespace(namespace)
    if as_json:
        print_json(row)
    else:
        print(f"{row['namespace']}\tunlinked\t{one_line(row['folder'])}")


def _told(found: Row | list[Row], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    rows = found if isinstance(found, list) else [found]
    for row in rows:
        print(f"{styled(row['namespace'], 'bold')}\t{one_line(row['folder'])}")
        if row["problem"]:
            note(row["problem"])
    if not rows:
        note("no folder is linked yet: mesh link DIR NS")
