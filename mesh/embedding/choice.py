"""Which embedding model a home uses: the one the environment names, the one chosen with `mesh model use`, the default.

The choice is `.models/chosen.json` of the home: `{"model": NAME}`, with `dimension` where vectors are cut, and with
`coming`, of the same form, while another model is on its way: it takes the place of the first once it has embedded
every memory. The file is replaced as a whole, so whoever reads it sees the one or the other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesh.errors import ModelUnavailable
from mesh.files import Folder, failures_reported, read_regular
from mesh.settings import DEFAULT_MODEL, Settings

FILE = "chosen.json"
BY_DEFAULT, BY_USE, BY_ENVIRONMENT = "the default", "chosen with mesh model use", "named by MESH_MODEL"


@dataclass(frozen=True, slots=True)
class Model:
    """A model as a user names it. `dimension`: how many of its numbers are kept, None for all."""

    name: str = DEFAULT_MODEL
    dimension: int | None = None

    def __str__(self) -> str:
        return self.name if self.dimension is None else f"{self.name}, cut to {self.dimension} numbers"

    def as_dict(self) -> dict[str, Any]:
        return {"model": self.name} | ({"dimension": self.dimension} if self.dimension else {})


@dataclass(frozen=True, slots=True)
class Choice:
    """`used`: what recall goes by; `coming`: what takes its place as soon as it is ready; `by`: who says so."""

    used: Model = Model()
    coming: Model | None = None
    by: str = BY_DEFAULT


def choice_of(settings: Settings) -> Choice:
    """What holds for a process. Raises `ModelUnavailable` if it cannot be made out."""
    chosen = Choice(Model(settings.model), by=BY_ENVIRONMENT) if settings.model else read(settings.home)
    if not settings.model_dimension:
        return chosen
    return Choice(Model(chosen.used.name, _dimension(settings.model_dimension)), chosen.coming, chosen.by)


def read(home: Path) -> Choice:
    """What was chosen for a home, whatever the environment says. Raises `ModelUnavailable`."""
    path = home / ".models" / FILE
    try:
        found = json.loads(read_regular(path, limit=1 << 16))
        coming = found.get("coming")
        return Choice(_model(found), _model(coming) if coming else None, BY_USE)
    except (FileNotFoundError, NotADirectoryError):
        return Choice()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnavailable(
            f"cannot be understood ({error})", place=str(path), remedy="Choose again: mesh model use NAME"
        ) from error


def write(home: Path, used: Model, coming: Model | None = None) -> None:
    """Replace the choice, durably, in one step."""
    data = used.as_dict() | ({"coming": coming.as_dict()} if coming else {})
    with failures_reported(str(home / ".models" / FILE)), Folder.open(home, ".models", create=True) as folder:
        temporary = folder.write_temporary(json.dumps(data, ensure_ascii=False).encode() + b"\n")
        folder.move_over(temporary, folder, FILE)


def stamp(home: Path) -> tuple[int, ...]:
    """Another one means that another choice was made."""
    try:
        found = (home / ".models" / FILE).stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _model(found: dict[str, Any]) -> Model:
    name, dimension = found["model"], found.get("dimension")
    if not isinstance(name, str) or not (dimension is None or (isinstance(dimension, int) and dimension > 0)):
        raise ValueError("not a model")
    return Model(name, dimension)


def _dimension(written: str) -> int:
    if not written.isascii() or not written.isdigit() or int(written) < 1:
        raise ModelUnavailable(
            f"{written!r} is not a number from 1",
            place="MESH_MODEL_DIMENSION",
            remedy="Write one, such as 256, or unset it",
        )
    return int(written)
