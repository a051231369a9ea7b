"""`mesh model status`, `mesh model pull`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from mesh.errors import InvalidInput, ModelUnavailable
from mesh.settings import Settings

from .group import new_app
from .options import Json
from .output import Bar, note, print_json

app = new_app(help="Show or fetch the embedding model.", no_args_is_help=True)


@app.command()
def status(
    verify: Annotated[bool, typer.Option("--verify", help="Compare every byte with the published checksum.")] = False,
    as_json: Json = False,
) -> None:
    """Say which model is used and where its files are."""
    from mesh.embedding import DEFAULT_NAMES
    from mesh.embedding.model_files import find_model

    settings = Settings.from_environment()
    if settings.model not in DEFAULT_NAMES:
        found: dict[str, object] = {"model": settings.model, "source": "sentence-transformers", "folder": None}
    else:
        files = find_model(
            model_path=settings.model_path, hub_cache=settings.hub_cache, models_folder=settings.home / ".models"
        )
        if files is None:
            raise ModelUnavailable("there is no model here", place=settings.model, remedy="Get it: mesh model pull")
        found = {"model": settings.model, "source": files.source, "folder": str(files.folder)}
        if verify:
            from mesh.embedding.minilm import MiniLM

            MiniLM(files.folder).verify()
            found["verified"] = True
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        if value is not None:
            print(f"{name:<9} {value}")


@app.command()
def pull(as_json: Json = False) -> None:
    """Fetch the model once: all-MiniLM-L6-v2 (91 MB, SHA-256 checked) into the home, or what MESH_MODEL names."""
    from mesh.embedding import DEFAULT_NAMES
    from mesh.embedding.model_pull import pull as fetch

    settings = Settings.from_environment()
    if settings.offline:
        raise InvalidInput("the network is switched off", place="MESH_OFFLINE", remedy="Unset it to fetch the model")
    if settings.model not in DEFAULT_NAMES:
        _pull_by_name(settings.model, as_json)
        return
    bar: Bar | None = None
    seen = 0

    def progress(done: int, total: int) -> None:
        nonlocal bar, seen
        bar = bar or Bar(total, "bytes", time.monotonic)
        bar.advance(done - seen)
        seen = done

    note("fetching all-MiniLM-L6-v2, 91 MB")
    files = fetch(settings.home / ".models", progress=progress)
    if bar:
        bar.finish()
    if as_json:
        print_json({"model": "all-MiniLM-L6-v2", "folder": str(files.folder)})
    else:
        print(files.folder)


def _pull_by_name(model: str, as_json: bool) -> None:
    """Let sentence-transformers fetch a model into its own cache."""
    from mesh.embedding.sentence_transformers import SentenceTransformersEmbedder

    embedder = SentenceTransformersEmbedder(model, offline=False)
    if as_json:
        print_json({"model": model, "dimension": embedder.dimension})
    else:
        print(f"{model}: vectors of {embedder.dimension} numbers")
