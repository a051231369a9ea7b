"""Any model that the sentence-transformers library runs: an extra, because it brings torch."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.embedding import library
from mesh.embedding.passages import passages
from mesh.embedding.truncated import unit
from mesh.errors import ModelUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

QUESTIONS, PASSAGES = ("query",), ("document", "passage", "corpus")  # the names of prompts, the first that there is

_WINDOW_IF_UNKNOWN = 512
_NO_WINDOW = 1_000_000  # what tokenizers say that know of none
_LEAST_WINDOW = 16  # tokens that a prompt must leave for a text
_WEIGHTS = ("*.safetensors", "*.bin", "*.onnx", "*.model", "*.txt")  # and what tokenizers are made of
_ATTEMPTS = 8
_BATCH = 32


class SentenceTransformersEmbedder:
    """An `Embedder` around one model, named as on the model hub or given as a folder. For several threads.

    Before a question and before a passage it puts what the model's own configuration says, which is part of the key.
    """

    def __init__(
        self, name_or_folder: str, *, offline: bool = False, device: str = "", hub_cache: Path | None = None
    ) -> None:
        """Loads the model; not offline, that may download it. Raises `ModelUnavailable`."""
        self._name, self._turn = name_or_folder, threading.Lock()  # its tokenizer is for one thread at a time
        self._model = _load(name_or_folder, offline=offline, device=device)
        self._question_prompt = prompt_of(self._model, QUESTIONS, others=PASSAGES)
        self._passage_prompt = prompt_of(self._model, PASSAGES, others=QUESTIONS)
        self.dimension: int = _dimension(self._model)
        self.max_tokens = self._window() - self._count(self._passage_prompt)
        if self.max_tokens < _LEAST_WINDOW:
            raise ModelUnavailable(
                "its prompt leaves no room for a text", place=name_or_folder, remedy="Correct its configuration"
            )
        self.key = f"{identity(name_or_folder, hub_cache)}/{self.dimension}{_mark(self._passage_prompt)}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows of passages, float32 `(len(texts), dimension)`, in the order given; see `protocol`."""
        return self._encoded(self._model.encode_document, texts, self._passage_prompt)

    def embed_questions(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows of questions, float32 `(len(texts), dimension)`, in the order given; see `protocol`."""
        return self._encoded(self._model.encode_query, texts, self._question_prompt)

    def _encoded(self, encode: Callable[..., Any], texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
        """Equally long texts together, few at a time: a question need not wait for many passages."""
        import numpy as np

        vectors = np.empty((len(texts), self.dimension), np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(texts), _BATCH):
            some = order[start : start + _BATCH]
            with self._turn:
                vectors[some] = encode(
                    [library.without_surrogates(texts[i]) for i in some],
                    prompt=prompt,
                    convert_to_numpy=True,
                    show_progress_bar=False,
                )
        if not np.isfinite(vectors).all():
            raise ModelUnavailable("it gives no finite numbers", place=self._name, remedy="Use another: mesh model use")
        return unit(vectors)

    def split(self, text: str, prefix: str = "") -> list[tuple[int, int]]:
        """Character spans of `text` that each fit the window together with the prompt and `prefix`; see `passages`.

        Not every tokenizer's counts add up over a text, so the spans are counted as wholes, and cut again for a
        smaller window while one does not fit.
        """
        before = self._passage_prompt + prefix
        window = room = self._window() - self._model.tokenizer.num_special_tokens_to_add(pair=False)
        for _ in range(_ATTEMPTS):
            spans = passages(text, before, window=room, count=self._count)
            if all(self._count(before + text[start:stop]) <= window for start, stop in spans):
                break
            room = room * 7 // 8
        return spans

    def _window(self) -> int:
        """Tokens that the model reads at once, special ones included."""
        found = self._model.max_seq_length or _WINDOW_IF_UNKNOWN
        return int(found) if found < _NO_WINDOW else _WINDOW_IF_UNKNOWN

    def _count(self, text: str, limit: int | None = None) -> int:
        with self._turn:
            tokens = self._model.tokenizer(
                library.without_surrogates(text), add_special_tokens=False, truncation=False, verbose=False
            )
        return len(tokens["input_ids"])


def prompt_of(model: Any, names: Sequence[str], *, others: Sequence[str]) -> str:
    """What the model's configuration puts before a text of one kind: of the first of `names`, else the default one.

    A default that is named for the other kind is not meant for this one.
    """
    prompts: dict[str, str | None] = model.prompts
    default = model.default_prompt_name
    for name in (*names, default):
        if name and name not in others and prompts.get(name):
            return str(prompts[name])
    return ""


def identity(name_or_folder: str, hub_cache: Path | None = None) -> str:
    """What tells a model from all others: its name, and a digest of its configuration and of its weights' stamps.

    Of a name on the hub that is not on this machine the name alone.
    """
    folder = Path(name_or_folder)
    if folder.is_dir():
        return f"{folder.absolute()}@{_digest(folder)}"
    snapshot = _snapshot(name_or_folder, hub_cache) if hub_cache else None
    return f"{name_or_folder}@{_digest(snapshot)}" if snapshot else name_or_folder


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for config in sorted(folder.rglob("*.json")):
        digest.update(config.read_bytes())
    for weights in sorted(path for pattern in _WEIGHTS for path in folder.rglob(pattern)):
        status = weights.stat()
        # A file of the hub's cache is a link to one that is named by what it holds.
        held = weights.readlink().name if weights.is_symlink() else status.st_mtime_ns
        digest.update(f"{weights.name}:{status.st_size}:{held};".encode())
    return digest.hexdigest()[:8]


def _snapshot(name: str, hub_cache: Path) -> Path | None:
    """Where the hub's cache has a model; those without an owner belong to the library's own."""
    for repository in (name, f"sentence-transformers/{name}"):
        root = hub_cache / f"models--{repository.replace('/', '--')}"
        with contextlib.suppress(OSError, ValueError):
            found = root / "snapshots" / (root / "refs" / "main").read_text("utf-8").strip()
            if found.is_dir():
                return found
    return None


def _mark(prompt: str) -> str:
    return f"/{hashlib.sha256(prompt.encode()).hexdigest()[:8]}" if prompt else ""


def _load(name_or_folder: str, *, offline: bool, device: str) -> Any:
    make = library.imported(name_or_folder).SentenceTransformer
    named = f"Check its name and MESH_DEVICE={device}" if device else "Check its name"
    pull = f"If it is not on this machine yet, run: mesh model pull {name_or_folder}"
    return library.loaded(
        lambda: make(name_or_folder, device=device or None, local_files_only=offline),
        name_or_folder,
        pull if offline and not device and not Path(name_or_folder).is_dir() else named,
    )


def _dimension(model: Any) -> int:
    name = "get_embedding_dimension"  # get_sentence_embedding_dimension until version 5
    ask = getattr(model, name, None) or model.get_sentence_embedding_dimension
    return int(ask())
