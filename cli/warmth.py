"""What makes a worker quick: modules and the model loaded before it is forked, and a rehearsal after.

Nothing is kept open across a fork: no database, no thread. The rehearsal is a recall in a small home of its own. What
it gains is mostly memory: each page that a forked process writes to for the first time is copied, and that is done
before a question comes, not while it waits.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
from contextlib import redirect_stdout, suppress
from importlib import import_module
from pathlib import Path

from mesh.settings import DEFAULT_NAMESPACE

_TEXTS = (
    "Der Käse liegt im Kühlschrank",
    "The night job cleans the disks on Sunday at 03:30, and writes its log to the second volume",
    "Deploys go through the release branch; ask before you tag one",
    "The API rate limit is 100 requests/min",
)
_LONG = "A memory that is longer than the window of the model is embedded in passages that overlap a little. " * 60
_REHEARSALS = 8  # Python makes code faster that it has seen a few times


class Code:
    """The files that this program is made of, as they were when it began: who goes on with others runs stale code."""

    def __init__(self) -> None:
        packages = {Path(str(sys.modules[name].__file__)).parent for name in ("mesh", __package__ or "mesh_cli")}
        files = [file for package in packages for file in package.rglob("*.py")]
        folders = [Path(folder) for folder in sys.path if folder.endswith(("site-packages", "dist-packages"))]
        self._stamps = {str(path): _stamp(str(path)) for path in [*files, *folders]}

    def has_changed(self) -> bool:
        return any(_stamp(path) != before for path, before in self._stamps.items())


def _stamp(path: str) -> tuple[int, ...]:
    try:
        found = os.stat(path)  # noqa: PTH116  # at each command, for every file
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns


def prepare(home: Path) -> None:
    """Load what any verb needs. From now on this process lives in `home`, which is for rehearsals."""
    from .verbs import VERBS

    for verb in VERBS.values():
        import_module(f".{verb.module}", __package__)
    for name in [name for name in os.environ if name.startswith("MESH_") and name != "MESH_MODEL_PATH"]:
        del os.environ[name]  # of this process alone: each worker takes its client's environment
    os.environ["MESH_HOME"] = str(home)
    if home.exists():
        shutil.rmtree(home)
    warm(_REHEARSALS)


def warm(rehearsals: int = 1) -> None:
    """Load the model; let it work so much that it takes on its faster layout."""
    from mesh.api import Mesh

    with Mesh() as mesh:
        if embedder := mesh.workspace.embedder:
            embedder.embed([_LONG] * 6)
    for _ in range(rehearsals):
        rehearse()


def rehearse() -> None:
    """A recall, its output thrown away. What is there then is nothing for the garbage collector, page by page."""
    from .group import group

    if not Path(os.environ["MESH_HOME"], DEFAULT_NAMESPACE).exists():  # it lies in the cache, which anybody may delete
        _learn()
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), suppress(SystemExit):
        group().main(["recall", "when are the disks cleaned?"], prog_name="mesh", standalone_mode=False)
    gc.collect()
    gc.freeze()


def _learn() -> None:
    from mesh.api import Mesh

    with Mesh() as mesh:
        for text in _TEXTS:
            mesh.learn(text, tags=["Küche"], title=text[:12])  # beyond ASCII, which takes ways of its own


def cool() -> None:
    """Let go of the model."""
    from mesh.embedding import let_go

    gc.collect()
    let_go()
