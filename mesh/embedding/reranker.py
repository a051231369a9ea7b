"""From the name of a cross-encoder to a reranker. Importing this loads neither numpy nor any model."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.embedding import library
from mesh.errors import ModelUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mesh.embedding.protocol import Reranker

_REMEDY = "Correct or unset MESH_RERANK"
_PATH_STARTS = (".", "~", "/", "\\")


def load_reranker(name: str, *, hub_cache: Path, device: str = "") -> Reranker:
    """The cross-encoder of a folder, or of a name on the model hub that is in its cache on this machine.

    numpy runs a small BERT; anything else goes to sentence-transformers. Nothing is downloaded. One that was loaded
    is kept for the process. `device`: where sentence-transformers runs it. Raises `ModelUnavailable`.
    """
    folder = Path(name).expanduser().absolute()
    if folder.is_dir():
        return _loaded(folder.name, str(folder), folder, device)
    if name.startswith(_PATH_STARTS) or Path(name).is_absolute():
        raise ModelUnavailable("there is no such folder", place=name, remedy=_REMEDY)
    return _loaded(name, name, _snapshot(hub_cache, name), device)


@lru_cache(maxsize=1)
def _loaded(key: str, name_or_folder: str, folder: Path | None, device: str) -> Reranker:
    if folder is None:
        return CrossEncoderReranker(key, name_or_folder, device=device)
    from mesh.embedding.bert_reranker import BertReranker, NotForNumpy

    try:
        return BertReranker(key, folder)
    except NotForNumpy as error:
        return CrossEncoderReranker(key, name_or_folder, device=device, why_not_numpy=str(error))


def _snapshot(hub_cache: Path, name: str) -> Path | None:
    """Where the hub's cache has that model."""
    root = hub_cache / f"models--{name.replace('/', '--')}"
    try:
        found = root / "snapshots" / (root / "refs" / "main").read_text("utf-8").strip()
    except (OSError, ValueError):
        return None
    return found if found.is_dir() else None


class CrossEncoderReranker:
    """A `Reranker` around any cross-encoder that the sentence-transformers library runs. Threads take turns."""

    def __init__(
        self, key: str, name_or_folder: str, *, offline: bool = True, device: str = "", why_not_numpy: str = ""
    ) -> None:
        """Loads the model; not offline, that may download it. Raises `ModelUnavailable`."""
        self.key, self._place = key, name_or_folder
        self._model = _load(name_or_folder, offline, device, why_not_numpy)
        self._turn = threading.Lock()  # its tokenizer is not made for threads
        self.scores("what", ["fits"])

    def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """How well each passage answers, float32 `(len(passages),)`; see `protocol`."""
        import numpy as np

        if not passages:
            return np.empty(0, np.float32)
        pairs = [(library.without_surrogates(question), library.without_surrogates(passage)) for passage in passages]
        try:
            with self._turn:
                found = np.asarray(self._model.predict(pairs, show_progress_bar=False), np.float32)
        except Exception as error:  # whatever torch or a model's own code raise
            raise ModelUnavailable(library.first_line(error), place=self._place, remedy=_REMEDY) from error
        if found.shape != (len(pairs),) or not np.isfinite(found).all():
            cause = "it does not give one finite number for a question and a passage"
            raise ModelUnavailable(cause, place=self._place, remedy="MESH_RERANK must name a cross-encoder")
        return found


def _load(name_or_folder: str, offline: bool, device: str, why_not_numpy: str) -> Any:
    why = f"numpy alone cannot run it ({why_not_numpy})" if why_not_numpy else ""
    make = library.imported(name_or_folder, why).CrossEncoder
    pull = f"If it is not on this machine yet, run: mesh model pull {name_or_folder}"
    return library.loaded(
        lambda: make(name_or_folder, local_files_only=offline, device=device or None),
        name_or_folder,
        pull if offline else _REMEDY,
    )
