"""`mesh sync`."""

from __future__ import annotations

from typing import Annotated

import typer

from mesh.errors import InvalidInput, MeshError
from mesh.settings import Settings

from .options import Every, Json, sync_seconds
from .output import print_json
from .sharing import Accept, print_syncs


def sync(
    namespaces: Annotated[
        list[str] | None, typer.Argument(metavar="NS...", help="[default: all that are shared]")
    ] = None,
    accept: Accept = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on: on an interval, and soon after a change. Ctrl-C ends it.")
    ] = False,
    every: Every = None,
    as_json: Json = False,
) -> None:
    """Safe to interrupt and to repeat at any time. One that cannot be synced does not keep the others from it."""
    from mesh.api import Mesh
    from mesh.functions import shared_namespaces

    names = namespaces or shared_namespaces()
    if not names:
        raise InvalidInput("nothing is shared yet", place="sync", remedy="Share a namespace: mesh share NS URL")
    if watch or every:
        _go_on(namespaces, accept, watch, every, as_json)
        return
    rows, errors = [], []
    for name in names:
        try:
            with Mesh(namespace=name) as mesh:
                rows.append(mesh.sync(accept=accept or ()))
        except MeshError as error:
            errors.append(error)
            rows.append({"namespace": name, "error": error.code, "message": str(error)})
    if as_json:
        print_json(rows)
    else:
        print_syncs(rows)
    if errors:
        raise typer.Exit(max(error.exit_code for error in errors))


def _go_on(
    namespaces: list[str] | None, accept: list[str] | None, watch: bool, every: str | None, as_json: bool
) -> None:
    from mesh.sharing.syncing import require_shared

    from .watching import follow

    if accept:
        raise InvalidInput("it is said once, to one sync", place="--accept", remedy="Leave out --watch")
    if not watch:
        raise InvalidInput("it says how often to sync", place="--every", remedy="Add --watch")
    settings = Settings.from_environment()
    for name in namespaces or ():
        require_shared(settings, name)
    follow(settings, namespaces, as_json, sync_seconds(settings, True, every))
