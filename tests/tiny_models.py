"""Small sentence-transformers models for tests: real ones, of random weights."""

from __future__ import annotations

import json
from pathlib import Path

WORDS = """walrus octopus garden tusk deploy limit lamp table room the is lit of in on a rate api query passage what
when how sleeps hangs number search document find store note"""


def made(
    folder: Path,
    *,
    seed: int = 1,
    prompts: dict[str, str] | None = None,
    default_prompt: str | None = None,
    width: int = 32,
    window: int = 64,
) -> Path:
    """A BERT of two layers, mean pooling. The same arguments give the same weights."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    bert = folder.parent / f"{folder.name}-bert"
    bert.mkdir(parents=True)
    letters = [chr(code) for code in range(33, 127)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split(), *letters, *(f"##{one}" for one in letters)]
    (bert / "vocab.txt").write_text("\n".join(dict.fromkeys(words)) + "\n")
    BertTokenizerFast(vocab=str(bert / "vocab.txt"), model_max_length=window).save_pretrained(bert)
    torch.manual_seed(seed)
    shape = BertConfig(
        vocab_size=len(set(words)), hidden_size=width, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=2 * width, max_position_embeddings=window, initializer_range=0.5,
    )  # fmt: skip
    BertModel(shape).save_pretrained(bert)
    transformer = Transformer(str(bert), max_seq_length=window)
    model = SentenceTransformer(modules=[transformer, Pooling(width)], prompts=prompts, device="cpu")
    model.default_prompt_name = default_prompt
    model.save(str(folder), create_model_card=False)
    return folder


def prompts_of(folder: Path, prompts: dict[str, str]) -> None:
    """Give a model other prompts."""
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prompts": prompts}))
