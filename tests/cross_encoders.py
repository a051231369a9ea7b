"""Small cross-encoders for tests: real ones, of random weights, made in a moment."""

from __future__ import annotations

import json
import string
from pathlib import Path

SPECIAL = ("[PAD]", "[CLS]", "[MASK]", "[UNK]", "[SEP]")  # not in BERT-uncased's places
WORDS = "the api rate limit is deploy how what we of in may 日 本".split()


def made(folder: Path, *, seed: int = 1, window: int = 48, labels: int = 1, **config: object) -> Path:
    """A BERT of two layers that judges a pair. The same arguments give the same weights."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir()
    letters = [one for one in string.printable if one.isprintable() and not one.isupper() and one != " "]
    words = list(dict.fromkeys([*SPECIAL, *WORDS, *letters, *(f"##{one}" for one in letters)]))
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", "utf-8")
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=512).save_pretrained(folder)
    torch.manual_seed(seed)
    shape = BertConfig(
        vocab_size=len(words), hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=80,
        max_position_embeddings=window, initializer_range=0.3, num_labels=labels, **config,
    )  # fmt: skip
    BertForSequenceClassification(shape).save_pretrained(folder)
    return folder


def changed(folder: Path, name: str, **entries: object) -> Path:
    """Write some entries of one of its JSON files, made if it is missing."""
    path = folder / name
    there = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps(there | entries), "utf-8")
    return folder
