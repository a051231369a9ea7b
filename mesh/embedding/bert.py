"""BERT's layers in numpy, float32 throughout.

Texts of one batch are laid end to end without padding: the dense layers see one tall matrix, attention runs per
text (per group of equally long ones). Weights may be views of the mapped file, as it stores them `(out, in)`, or
contiguous `(in, out)` copies: with the copies a short text takes a quarter less time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesh.embedding.weights import Safetensors

    Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a network is. `width`: numbers a token; `inner`: those between the two dense layers."""

    layers: int
    heads: int
    width: int
    inner: int
    epsilon: float = 1e-12  # what layer normalisation adds to the variance

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    @property
    def key_query_value(self) -> tuple[slice, slice, slice]:
        """Where they stand among the columns of `Layer.attend`."""
        key, query, value = (slice(i * (self.width + 1) + 1, (i + 1) * (self.width + 1)) for i in range(3))
        return key, query, value


MINILM = Shape(layers=6, heads=12, width=384, inner=1536)

# Key, query and value stand in the file one after the other, each as its bias and then its matrix: read as one
# matrix they are a single product, whose three columns from the biases (taken as rows) mean nothing.
_ATTEND = tuple(
    f"attention.self.{name}"
    for name in ("key.bias", "key.weight", "query.bias", "query.weight", "value.bias", "value.weight")
)

# gelu(x) = x * Phi(x), and log(Phi / (1 - Phi)) = x * P(x * x) for a smooth P. This P is fitted (weighted least
# squares, reweighted towards the largest error) so that gelu is right to 7e-8 everywhere, and grows beyond.
GELU = (
    1.5957685367818257,
    0.07266829834550056,
    -6.605348605483326e-05,
    -0.00011054674835003658,
    7.948138069800941e-06,
    -2.6756618378780674e-07,
    3.627849718159821e-09,
)
_GELU_ROWS = 16  # rows at a time, so that the work stays in the second-level cache


class Layer:
    """One layer's weights; matrices as `(in, out)`, contiguous or not."""

    def __init__(self, weights: Safetensors, shape: Shape, at: str) -> None:
        self.shape = shape
        block = weights.stacked([at + name for name in _ATTEND], shape.width)
        self.attend, self.attend_bias = block.T, _block_bias(block, shape)
        self.mix = weights.tensor(f"{at}attention.output.dense.weight").T
        self.mix_bias = weights.tensor(f"{at}attention.output.dense.bias")
        self.mix_norm = _norm(weights, f"{at}attention.output.LayerNorm")
        self.widen = weights.tensor(f"{at}intermediate.dense.weight").T
        self.widen_bias = weights.tensor(f"{at}intermediate.dense.bias")
        self.narrow = weights.tensor(f"{at}output.dense.weight").T
        self.narrow_bias = weights.tensor(f"{at}output.dense.bias")
        self.norm = _norm(weights, f"{at}output.LayerNorm")

    def make_contiguous(self) -> None:
        """Copy the matrices into the order in which products are fastest (7 MB for MiniLM)."""
        self.attend, self.mix, self.widen, self.narrow = (
            np.ascontiguousarray(matrix) for matrix in (self.attend, self.mix, self.widen, self.narrow)
        )


class Scratch:
    """The arrays that every layer writes to, for up to `rows` tokens. One per running call."""

    def __init__(self, rows: int, shape: Shape) -> None:
        self.attended = np.empty((rows, 3 * (shape.width + 1)), np.float32)
        self.context = np.empty((rows, shape.width), np.float32)
        self.mixed = np.empty((rows, shape.width), np.float32)
        self.wide = np.empty((rows, shape.inner), np.float32)
        self.gelu = np.empty((2, _GELU_ROWS, shape.inner), np.float32)


class Bert:
    """The network. `prefix`: what stands before the names of its tensors in the file."""

    def __init__(self, weights: Safetensors, shape: Shape = MINILM, prefix: str = "") -> None:
        self.shape = shape
        self._words = weights.tensor(f"{prefix}embeddings.word_embeddings.weight")
        self._positions = weights.tensor(f"{prefix}embeddings.position_embeddings.weight")
        self._segments = weights.tensor(f"{prefix}embeddings.token_type_embeddings.weight")
        self._norm = _norm(weights, f"{prefix}embeddings.LayerNorm")
        self._layers = tuple(Layer(weights, shape, f"{prefix}encoder.layer.{i}.") for i in range(shape.layers))

    def make_contiguous(self) -> None:
        for layer in self._layers:
            layer.make_contiguous()

    def pooled(self, texts: Sequence[Sequence[int]], scratch: Scratch) -> Floats:
        """The mean over each text's tokens, float32 `(len(texts), width)`, not normalised.

        Equally long texts should stand together.
        """
        lengths = [len(text) for text in texts]
        hidden = self._embeddings(texts, lengths)
        for layer in self._layers:
            hidden = _run(layer, hidden, lengths, scratch)
        sums = np.add.reduceat(hidden, _starts(lengths), axis=0)
        sums /= np.array(lengths, np.float32)[:, None]
        return sums

    def first_tokens(
        self, texts: Sequence[Sequence[int]], segments: Sequence[Sequence[int]], scratch: Scratch
    ) -> Floats:
        """What is made of each text's first token, float32 `(len(texts), width)`. `segments`: 0 or 1 for each token."""
        lengths = [len(text) for text in texts]
        hidden = self._embeddings(texts, lengths, segments)
        for layer in self._layers[:-1]:
            hidden = _run(layer, hidden, lengths, scratch)
        return _run(self._layers[-1], hidden, lengths, scratch, _starts(lengths))

    def _embeddings(
        self, texts: Sequence[Sequence[int]], lengths: Sequence[int], segments: Sequence[Sequence[int]] | None = None
    ) -> Floats:
        hidden = self._words[list(itertools.chain.from_iterable(texts))]
        hidden += self._positions[list(itertools.chain.from_iterable(map(range, lengths)))]
        hidden += self._segments[0 if segments is None else list(itertools.chain.from_iterable(segments))]
        return _normalise(hidden, self._norm, self.shape.epsilon)


def _run(
    layer: Layer, hidden: Floats, lengths: Sequence[int], scratch: Scratch, kept: Sequence[int] | None = None
) -> Floats:
    """One layer, in place; of the last one perhaps only the `kept` rows are wanted."""
    epsilon, rows = layer.shape.epsilon, len(hidden)
    attended = np.matmul(hidden, layer.attend, out=scratch.attended[:rows])
    attended += layer.attend_bias
    context = scratch.context[:rows]
    for first, count, length in _groups(lengths):
        last = first + count * length
        _attention(attended[first:last], context[first:last], count, length, layer.shape)
    if kept is not None:
        hidden, context, rows = hidden[kept], context[kept], len(kept)
    mixed = np.matmul(context, layer.mix, out=scratch.mixed[:rows])
    mixed += layer.mix_bias
    hidden += mixed
    _normalise(hidden, layer.mix_norm, epsilon)
    wide = np.matmul(hidden, layer.widen, out=scratch.wide[:rows])
    _gelu(wide, layer.widen_bias, scratch.gelu)
    narrow = np.matmul(wide, layer.narrow, out=scratch.mixed[:rows])
    narrow += layer.narrow_bias
    hidden += narrow
    return _normalise(hidden, layer.norm, epsilon)


def _starts(lengths: Sequence[int]) -> list[int]:
    """The first row of each text."""
    return [0, *itertools.accumulate(lengths[:-1])]


def _groups(lengths: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Runs of equally long texts as (first row, texts, tokens of each)."""
    first = 0
    for length, run in itertools.groupby(lengths):
        count = sum(1 for _ in run)
        yield first, count, length
        first += count * length


def _attention(attended: Floats, context: Floats, count: int, length: int, shape: Shape) -> None:
    """Softmax(query . key / sqrt(head width)) . value for each head of each text, into `context`."""
    heads = (count, length, shape.heads, shape.head_width)
    of_key, of_query, of_value = shape.key_query_value
    attended[:, of_query] *= shape.head_width**-0.5
    query = attended[:, of_query].reshape(heads).transpose(0, 2, 1, 3)
    key = attended[:, of_key].reshape(heads).transpose(0, 2, 3, 1)
    value = attended[:, of_value].reshape(heads).transpose(0, 2, 1, 3)
    scores = np.matmul(query, key)
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    mixed = np.matmul(scores, value, out=context.reshape(heads).transpose(0, 2, 1, 3))
    mixed /= scores.sum(axis=-1, keepdims=True)


def _gelu(wide: Floats, bias: Floats, scratch: Floats) -> None:
    """`gelu(wide + bias)` in place: x / (1 + exp(-x * P(x * x)))."""
    for first in range(0, len(wide), _GELU_ROWS):
        x = wide[first : first + _GELU_ROWS]
        square, exponent = scratch[:, : len(x)]
        x += bias
        np.multiply(x, x, out=square)
        np.multiply(square, -GELU[-1], out=exponent)
        for coefficient in GELU[-2:0:-1]:
            exponent -= coefficient
            exponent *= square
        exponent -= GELU[0]
        exponent *= x
        np.exp(exponent, out=exponent)
        exponent += 1
        x /= exponent


def _normalise(rows: Floats, norm: tuple[Floats, Floats], epsilon: float) -> Floats:
    """Layer normalisation of each row, in place: mean 0, variance 1, then the learnt scale and shift."""
    rows -= rows.mean(axis=1, keepdims=True)
    variance = np.einsum("ij,ij->i", rows, rows)
    variance /= rows.shape[1]
    variance += epsilon
    rows /= np.sqrt(variance)[:, None]
    rows *= norm[0]
    rows += norm[1]
    return rows


def _norm(weights: Safetensors, name: str) -> tuple[Floats, Floats]:
    return weights.tensor(f"{name}.weight"), weights.tensor(f"{name}.bias")


def _block_bias(block: Floats, shape: Shape) -> Floats:
    """The three biases laid out as the columns of the product are."""
    bias = np.zeros(len(block), np.float32)
    for part in shape.key_query_value:
        bias[part] = block[part.start - 1]
    return bias
