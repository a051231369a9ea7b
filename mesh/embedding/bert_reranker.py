"""A small BERT cross-encoder by numpy alone, such as ms-marco-MiniLM-L-6-v2.

A cross-encoder reads a question and a passage as one text and gives one number: how well the passage answers. What
its folder must be for numpy is decided by its own configuration; anything else is left to sentence-transformers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.embedding.batches import in_batches
from mesh.embedding.bert import Bert, Scratch, Shape
from mesh.embedding.weights import Safetensors
from mesh.embedding.wordpiece import SPECIAL, Vocabulary, WordPiece
from mesh.errors import ModelUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SIGMOID, _IDENTITY = "torch.nn.modules.activation.Sigmoid", "torch.nn.modules.linear.Identity"
_SETTLED = {  # of config.json; a key that is left out has this value
    "model_type": ("bert",),
    "hidden_act": ("gelu",),
    "position_embedding_type": ("absolute", None),
    "is_decoder": (False,),
    "type_vocab_size": (2,),
}
_UNCASED = {"do_lower_case": (True,), "strip_accents": (None, True), "tokenize_chinese_chars": (True,)}
_NORMALIZER = {
    "type": ("BertNormalizer",),
    "lowercase": (True,),
    "strip_accents": (None, True),
    "handle_chinese_chars": (True,),
    "clean_text": (True,),
}


class NotForNumpy(ModelUnavailable):
    """The folder may hold a good model, but not one that this engine runs."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a folder's configuration says: how to run its weights."""

    shape: Shape
    window: int
    sigmoid: bool


class BertReranker:
    """A `Reranker` on the weights of one folder; one may serve several threads."""

    def __init__(self, key: str, folder: Path) -> None:
        """Raises `NotForNumpy`, or `ModelUnavailable` if it is a BERT cross-encoder and damaged."""
        self.key, self._folder = key, folder
        self._recipe = recipe(folder)
        self._tokenizer = _tokenizer(folder)
        weights = Safetensors(folder / "model.safetensors")
        try:
            self._bert = Bert(weights, self._recipe.shape, "bert.")
            self._bert.make_contiguous()
            self._pool = [weights.tensor(f"bert.pooler.dense.{part}") for part in ("weight", "bias")]
            self._classify = [weights.tensor(f"classifier.{part}") for part in ("weight", "bias")]
            self.scores("what", ["fits"])
        except (ValueError, IndexError) as error:
            raise _damaged(folder, "its weights do not fit its config.json") from error

    def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """How well each passage answers, float32 `(len(passages),)`; see `protocol`."""
        import numpy as np

        tokenizer, window = self._tokenizer, self._recipe.window
        asked = tokenizer.ids(question)
        most = max(window, len(asked) + 1)  # enough to tell which of the two is the longer one
        pairs = [tokenizer.encode_pair(asked, tokenizer.ids(text, most), window) for text in passages]
        first = np.empty((len(pairs), self._recipe.shape.width), np.float32)

        def run(members: list[int], ids: Sequence[Sequence[int]], scratch: Scratch) -> None:
            segments = [pairs[i][1] for i in members] + [[0] * len(padding) for padding in ids[len(members) :]]
            first[members] = self._bert.first_tokens(ids, segments, scratch)[: len(members)]

        in_batches([ids for ids, _ in pairs], self._recipe.shape, run)
        (pool, pool_bias), (classify, classify_bias) = self._pool, self._classify
        found = (np.tanh(first @ pool.T + pool_bias) @ classify.T + classify_bias)[:, 0]
        if not np.isfinite(found).all():
            raise _damaged(self._folder, "its weights give no finite numbers")
        return _sigmoid(found) if self._recipe.sigmoid else found


def recipe(folder: Path) -> Recipe:
    """Read the configuration of a folder. Raises `NotForNumpy`."""
    config = _read(folder, "config.json")
    _check(folder, "config.json", config, _SETTLED)
    if config.get("architectures") != ["BertForSequenceClassification"] or _labels(config) != 1:
        raise _not_for_numpy(folder, "config.json", "it is no BERT cross-encoder that gives one score")
    modules = _read(folder, "modules.json", default=[])
    if len(modules) > 1:
        raise _not_for_numpy(folder, "modules.json", "it has more than one module")
    own = _read(folder, "config_sentence_transformers.json", default={}) if modules else {}
    if own.get("default_prompt_name"):
        raise _not_for_numpy(folder, "config_sentence_transformers.json", "it has a prompt")
    try:
        shape = Shape(
            layers=int(config["num_hidden_layers"]),
            heads=int(config["num_attention_heads"]),
            width=int(config["hidden_size"]),
            inner=int(config["intermediate_size"]),
            epsilon=float(config.get("layer_norm_eps", 1e-12)),
        )
        return Recipe(shape, _window(folder, int(config["max_position_embeddings"])), _has_sigmoid(folder, config, own))
    except (KeyError, TypeError, ValueError) as error:
        raise _not_for_numpy(folder, "config.json", f"it does not say how large the model is ({error})") from error


def _labels(config: dict[str, Any]) -> int:
    """The library's default is two."""
    return len(config.get("id2label") or (0, 1))


def _window(folder: Path, positions: int) -> int:
    """Tokens of a pair, special ones included."""
    if _read(folder, "sentence_bert_config.json", default={}).get("max_seq_length"):
        raise _not_for_numpy(folder, "sentence_bert_config.json", "it has a window of its own")
    return min(int(_read(folder, "tokenizer_config.json", default={}).get("model_max_length", positions)), positions)


def _has_sigmoid(folder: Path, config: dict[str, Any], own: dict[str, Any]) -> bool:
    """Whether the number is brought between 0 and 1: where nothing is said, it is."""
    said = (
        own.get("activation_fn"),
        (config.get("sentence_transformers") or {}).get("activation_fn"),
        config.get("sbert_ce_default_activation_function"),
    )
    chosen = next(filter(None, said), _SIGMOID)
    if chosen not in (_SIGMOID, _IDENTITY):
        raise _not_for_numpy(folder, "config.json", f"its activation is {chosen}")
    return bool(chosen == _SIGMOID)


def _tokenizer(folder: Path) -> WordPiece:
    """The tokenizer of a BERT-uncased model. Raises `NotForNumpy` for any other."""
    _check(folder, "tokenizer_config.json", _read(folder, "tokenizer_config.json", default={}), _UNCASED)
    whole = _read(folder, "tokenizer.json", default={})
    if whole:
        _check(folder, "tokenizer.json", whole.get("normalizer") or {"type": None}, _NORMALIZER)
        if not {one["content"] for one in whole.get("added_tokens", ())} <= SPECIAL.keys():
            raise _not_for_numpy(folder, "tokenizer.json", "it has added tokens")
    try:
        ids = whole["model"]["vocab"] if whole else None
        vocabulary = Vocabulary("\n".join(sorted(ids, key=ids.__getitem__)).encode() if ids else _vocab(folder))
        known = vocabulary.ids()
        return WordPiece(vocabulary, {token: known[token] for token in SPECIAL})
    except (KeyError, TypeError, ValueError) as error:
        raise _not_for_numpy(folder, "", f"its vocabulary is not that of a BERT ({error})") from error


def _vocab(folder: Path) -> bytes:
    try:
        return (folder / "vocab.txt").read_bytes()
    except OSError as error:
        raise _not_for_numpy(folder, "", "it has neither tokenizer.json nor vocab.txt") from error


def _read(folder: Path, name: str, default: Any = None) -> Any:
    """A file of JSON; `default` if there is none. Raises `NotForNumpy`."""
    try:
        return json.loads((folder / name).read_bytes())
    except FileNotFoundError as error:
        if default is None:
            raise _not_for_numpy(folder, "", f"it has no {name}") from error
        return default
    except (OSError, ValueError) as error:
        raise _not_for_numpy(folder, name, "it cannot be read") from error


def _check(folder: Path, name: str, found: dict[str, Any], wanted: dict[str, tuple[Any, ...]]) -> None:
    for key, values in wanted.items():
        if (value := found.get(key, values[0])) not in values:
            raise _not_for_numpy(folder, name, f"its {key} is {value!r}")


def _sigmoid(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-numbers)), np.float32)


def _not_for_numpy(folder: Path, name: str, cause: str) -> NotForNumpy:
    return NotForNumpy(cause, place=str(folder / name) if name else str(folder))


def _damaged(folder: Path, cause: str) -> ModelUnavailable:
    return ModelUnavailable(cause, place=str(folder), remedy="Download it again, or unset MESH_RERANK")
