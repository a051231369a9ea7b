"""`mesh model status`, `use`, `pull`, `forget`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mesh.errors import InvalidInput, ModelUnavailable
from mesh.settings import Settings

from .group import new_app
from .options import Json
from .output import Bar, bytes_said, counted, note, print_json, visible

if TYPE_CHECKING:
    from mesh.embedding.choice import Choice, Model
    from mesh.embedding.protocol import Embedder
    from mesh.reembed import Held

app = new_app(help="Show, choose, fetch or forget embedding models.", no_args_is_help=True)

_PATH_STARTS = (".", "~", "/", "\\")


@app.command()
def status(
    verify: Annotated[bool, typer.Option("--verify", help="Compare every byte with the published checksum.")] = False,
    as_json: Json = False,
) -> None:
    """Say which model is used, where its files are, and which models have vectors here."""
    from mesh.embedding.choice import choice_of
    from mesh.reembed import held, loaded

    settings = Settings.from_environment()
    vectors, unread = held(settings.home)
    for error in unread:
        note(str(error))
    problem, keys, facts = None, set[str](), dict[str, Any]()
    try:
        chosen = choice_of(settings)
        facts = _facts(chosen, settings, verify=verify)
        keys.add(loaded(chosen.used, settings).key)
    except ModelUnavailable as error:
        problem = error
        if not vectors:
            raise
    if as_json:
        print_json(facts | {"vectors": [_row(one, keys) for one in vectors]})
    else:
        _print_status(facts, vectors, keys)
    if problem:
        raise problem


def _facts(chosen: Choice, settings: Settings, *, verify: bool) -> dict[str, Any]:
    """What there is to say of the model that is used. Raises `ModelUnavailable` if its files are not here."""
    from mesh.embedding import DEFAULT_NAMES
    from mesh.embedding.minilm import MiniLM
    from mesh.embedding.model_files import find_model

    facts: dict[str, Any] = {"model": chosen.used.name, "by": chosen.by, "dimension": chosen.used.dimension}
    facts["coming"] = chosen.coming and str(chosen.coming)
    if chosen.used.name not in DEFAULT_NAMES:
        return facts | {"source": "sentence-transformers", "folder": None}
    files = find_model(
        model_path=settings.model_path, hub_cache=settings.hub_cache, models_folder=settings.home / ".models"
    )
    if files is None:
        raise ModelUnavailable("there is no model here", place=chosen.used.name, remedy="Get it: mesh model pull")
    if verify:
        MiniLM(files.folder).verify()
        facts["verified"] = True
    return facts | {"source": files.source, "folder": str(files.folder)}


def _row(one: Held, used: set[str]) -> dict[str, Any]:
    return {"key": one.key, "memories": one.memories, "of": one.of, "bytes": one.size, "used": one.key in used}


def _print_status(facts: dict[str, Any], vectors: list[Held], used: set[str]) -> None:
    for name, value in facts.items():
        if value is not None:
            print(f"{name:<9} {visible(str(value))}")
    for i, one in enumerate(vectors):
        said = f"{one.memories:,} of {counted(one.of, 'memory', 'memories')}, {bytes_said(one.size)}"
        print(f"{'vectors' if i == 0 else '':<9} {visible(one.key)}: {said}{', in use' if one.key in used else ''}")


@app.command()
def use(
    name: Annotated[str, typer.Argument(help="A name on the model hub, a folder, or all-MiniLM-L6-v2, the default.")],
    dimension: Annotated[
        int | None,
        typer.Option(
            "--dimension", metavar="N", min=1, help="Keep N numbers of each vector, if it was trained for that."
        ),
    ] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Leave the work to a mesh-server or mesh-http that runs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Choose the model of this home: embed every memory with it, then go by it.

    Until that is done every recall goes by the model before, whose vectors stay; see mesh model forget. What was
    embedded is kept, so after an interruption the same command goes on. A model that is not on this machine is
    fetched first with mesh model pull NAME.
    """
    from mesh import reembed
    from mesh.embedding.choice import Model

    settings = Settings.from_environment()
    model = Model(_named(name), dimension)
    embedder = reembed.loaded(model, settings)
    if settings.model or settings.model_dimension:
        wins = "MESH_MODEL" if settings.model else "MESH_MODEL_DIMENSION"
        note(f"{wins} is set in this environment and wins over what is chosen: unset it")
    if background:
        reembed.announce(settings.home, model)
        said = f"{model}: a running mesh-server or mesh-http brings it in, or the next one; see mesh model status"
        print_json({"model": str(model), "key": embedder.key, "used": False}) if as_json else print(visible(said))
        return
    _switch(settings, model, embedder, as_json)


def _switch(settings: Settings, model: Model, embedder: Embedder, as_json: bool) -> None:
    from mesh import reembed

    began = time.monotonic()
    waiting = reembed.waiting(settings.home, embedder)
    bar = Bar(waiting, "memories", time.monotonic)
    try:
        unread = reembed.switch(settings.home, model, embedder, bar.advance)
    finally:
        bar.finish()
    for error in unread:
        note(f"not embedded: {error}")
    if as_json:
        print_json({"model": str(model), "key": embedder.key, "used": True, "embedded": waiting})
        return
    done = f"{counted(waiting, 'memory', 'memories')} embedded in {time.monotonic() - began:.1f} s"
    print(visible(f"{model}: {done}; recall goes by it from now on"))


@app.command()
def forget(
    name: Annotated[str, typer.Argument(help="As mesh model status names it, or only the model's name.")],
    as_json: Json = False,
) -> None:
    """Throw away the vectors that a model made in this home. The model that is in use keeps its own."""
    from mesh.embedding.choice import choice_of
    from mesh.reembed import forget as drop
    from mesh.reembed import loaded

    settings = Settings.from_environment()
    chosen = choice_of(settings)
    used = {loaded(one, settings).key for one in (chosen.used, chosen.coming) if one}
    dropped = drop(settings.home, _named(name, must_be_there=False), used)
    if as_json:
        print_json([{"key": one.key, "bytes": one.size} for one in dropped])
        return
    for one in dropped:
        print(visible(f"{one.key}: {bytes_said(one.size)} freed"))


@app.command()
def pull(
    name: Annotated[
        str | None,
        typer.Argument(help="A name on the model hub. [default: the model of this home]", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch a model once: all-MiniLM-L6-v2 (91 MB, SHA-256 checked) into the home, another one from the model hub."""
    from mesh.embedding import DEFAULT_NAMES
    from mesh.embedding.choice import choice_of
    from mesh.embedding.model_pull import pull as fetch

    settings = Settings.from_environment()
    if settings.offline:
        raise InvalidInput("the network is switched off", place="MESH_OFFLINE", remedy="Unset it to fetch the model")
    wanted = name or choice_of(settings).used.name
    if wanted == settings.rerank:
        _pull_reranker(wanted, as_json)
        return
    if wanted not in DEFAULT_NAMES:
        _pull_by_name(wanted, as_json)
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


def _pull_reranker(model: str, as_json: bool) -> None:
    """What MESH_RERANK names is no embedder, and is fetched as what it is."""
    from mesh.embedding.reranker import CrossEncoderReranker

    CrossEncoderReranker(model, model, offline=False)
    print_json({"reranker": model}) if as_json else print(visible(f"{model}: a reranker"))


def _named(name: str, *, must_be_there: bool = True) -> str:
    """A model's name as it is, a folder as one that holds wherever the next command is run."""
    from mesh.embedding import DEFAULT_NAMES

    folder = Path(name).expanduser()
    if name.strip() and name not in DEFAULT_NAMES and folder.is_dir():
        return str(folder.absolute())
    if must_be_there and (name.startswith(_PATH_STARTS) or not name.strip()):
        raise InvalidInput("there is no such folder", place=name, remedy="Give a folder, or a name on the model hub")
    return name
