"""The vectors are sentence-transformers'; damaged files are an error that explains itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mesh.embedding import blas_threads, load_embedder
from mesh.embedding.bert import MINILM, _gelu
from mesh.embedding.minilm import MiniLM
from mesh.embedding.weights import SHA256
from mesh.errors import ModelUnavailable

pytestmark = pytest.mark.model

PARITY = [
    "hi",
    "",
    "  \n\t ",
    "\x00\x07",
    "\u0301\u0301",
    "a",
    ".",
    "What happened to the billing service and why?",
    "The API rate limit is 100 requests/min since the customer asked for lower latency.",
    "NO yes 1.10 12:30 2026-11-22T07:42:10Z",
    "[SEP] [MASK] inside a [CLS] text [PAD] [UNK] [sep]",
    "ΑΣ ΣΑΣ ὈΔΥΣΣΕΎΣ İstanbul straße ﬁ Ǆ",
    "e\u0301cole école Ångström Việt Nam a\u0323\u0307\u0345b",
    "日本語のテキストと漢字、カタカナ。",
    "中文内容需要逐字切分" * 60,
    "한국어 텍스트 임베딩",
    "ไทย हिन्दी العربية עברית አማርኛ русский",
    "😀👩‍👩‍👧🏳️‍🌈 ❤️ emoji 🎉",
    "a\x00b\x07c\x7fd\u200de\ufefff\ufffdg",
    "def f(x: int) -> str:\n\treturn f'{x!r}'  # https://a.b/c?d=e&f=%20#g",
    "https://example.com/a/very/long/path?with=query&and=more#fragment",
    "word " * 253,
    "word " * 254,
    "word " * 255,
    "a long text that goes on. " * 400,
    "x" * 10_000,
    "".join(chr(33 + i % 90) for i in range(10_000)),
    "{" * 300,
    *(f"Text number {n}: " + "several words more " * n for n in range(0, 60, 3)),
]


@pytest.fixture(scope="module")
def reference(model_folder):
    library = pytest.importorskip("sentence_transformers", reason="the reference is not installed")
    return library.SentenceTransformer(str(model_folder), device="cpu")


@pytest.fixture(scope="module")
def expected(reference):
    return reference.encode(PARITY, normalize_embeddings=True)


def test_a_batch_gives_the_vectors_of_sentence_transformers(minilm, expected):
    """Cosine of at least 0.99999 for every text, in the order given."""
    assert _cosines(minilm.embed(PARITY), expected).min() >= 0.99999


def test_a_text_alone_gives_the_vector_it_has_in_a_batch(model_folder, expected):
    """Also while the weights are still read from the file as it is."""
    fresh = MiniLM(model_folder)
    alone = np.concatenate([fresh.embed([text]) for text in PARITY[:12]])
    assert fresh._tokens_before_copying > 0
    assert _cosines(alone, expected[:12]).min() >= 0.99999


def test_the_vectors_stay_when_the_weights_are_copied(model_folder, expected):
    """The faster layout is only a layout."""
    fresh = MiniLM(model_folder)
    before = fresh.embed(PARITY[:12])
    fresh.embed(["word " * 300] * 5)
    assert fresh._tokens_before_copying <= 0
    assert _cosines(fresh.embed(PARITY[:12]), before).min() >= 0.999999


def test_vectors_are_float32_unit_rows(minilm):
    """What the protocol promises."""
    vectors = minilm.embed(PARITY[:9])
    assert (vectors.dtype, vectors.shape) == (np.float32, (9, minilm.dimension))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_no_texts_give_no_rows(minilm):
    """An empty list is not an error."""
    assert minilm.embed([]).shape == (0, 384)


def test_a_lone_surrogate_is_left_out(minilm):
    """A file name or a broken emoji must not stop a refresh."""
    broken, whole = minilm.embed(["a \ud83d text", "a  text"])
    assert broken @ whole > 0.99999


def test_threads_share_one_model(model_folder):
    """A server embeds for several clients at once."""
    fresh = MiniLM(model_folder)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda i: fresh.embed(PARITY[i : i + 3]), range(0, 24, 3)))
    assert _cosines(np.concatenate(parts), fresh.embed(PARITY[:24])).min() >= 0.999999


def test_the_number_of_blas_threads_is_given_back(minilm):
    """It is the process's, and its other numpy code may want more."""
    controls = blas_threads._controls()
    if controls is None:
        pytest.skip("numpy runs on another BLAS than OpenBLAS here")
    get, _ = controls
    before = get()
    with blas_threads.one_blas_thread():
        minilm.embed(["hi"])
        assert get() == 1
    assert get() == before


def test_the_key_names_the_published_weights(minilm):
    """Vectors of other weights never get this key."""
    assert minilm.key == "all-MiniLM-L6-v2/53aa5117"
    minilm.verify()


def test_gelu_is_right_to_three_ten_millionths_and_never_overflows():
    """Against the definition by the error function, far beyond what the model produces."""
    from math import erfc, sqrt

    x = np.linspace(-60, 60, 64 * MINILM.inner, dtype=np.float32).reshape(64, MINILM.inner)
    right = np.array([0.5 * v * erfc(-v / sqrt(2)) for v in x.ravel().astype(float)]).reshape(x.shape)
    with np.errstate(over="ignore"):
        _gelu(x, np.zeros(MINILM.inner, np.float32), np.empty((2, 16, MINILM.inner), np.float32))
    assert (np.abs(x - right) / np.maximum(np.abs(right), 1)).max() < 3e-7


@pytest.fixture
def copy(model_folder, tmp_path):
    for name in ("model.safetensors", "vocab.txt"):
        shutil.copy(model_folder / name, tmp_path / name)
    return tmp_path


def test_a_truncated_file_is_refused(copy):
    """A download that broke off."""
    os.truncate(copy / "model.safetensors", 50_000_000)
    with pytest.raises(ModelUnavailable, match=r"50,000,000 bytes.*mesh model pull"):
        MiniLM(copy)


@pytest.mark.parametrize("offset", [0, 8, 5000], ids=["length", "header", "inside the header"])
def test_a_damaged_header_is_refused(copy, offset):
    """Whatever its length or its text says."""
    _overwrite(copy / "model.safetensors", offset, b"\xff" * 8)
    with pytest.raises(ModelUnavailable, match="damaged"):
        MiniLM(copy)


def test_a_file_with_a_hole_is_refused(copy):
    """Space that was reserved and never filled: the samples are a megabyte apart."""
    _overwrite(copy / "model.safetensors", 60_000_000, bytes(2 << 20))
    with pytest.raises(ModelUnavailable, match="damaged"):
        MiniLM(copy)


def test_weights_that_give_no_numbers_are_reported(copy):
    """Damage between the samples that reaches the result."""
    _overwrite(copy / "model.safetensors", 90_265_600 - 512, b"\xff" * 64)
    with pytest.raises(ModelUnavailable, match="no finite numbers"):
        MiniLM(copy).embed(["hi"])


def test_verify_finds_one_flipped_bit(copy):
    """Only reading everything does."""
    _overwrite(copy / "model.safetensors", 12_345_678, b"\x01")
    damaged = MiniLM(copy)
    with pytest.raises(ModelUnavailable, match="SHA-256") as caught:
        damaged.verify()
    assert SHA256[:8] in str(caught.value)


def test_missing_weights_are_named(copy):
    """The error says which file and what to do."""
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match=r"model\.safetensors.*mesh model pull"):
        MiniLM(copy)


def test_importing_the_package_loads_no_numpy():
    """`mesh --help` must not wait for it."""
    code = "import sys, mesh.embedding; print('numpy' in sys.modules)"
    assert _run(code) == "False"


def test_a_query_loads_nothing_heavy(model_folder):
    """Neither torch nor tokenizers, nor what only a download needs."""
    code = (
        "import sys; from pathlib import Path; from mesh.embedding import load_embedder\n"
        f"load_embedder('all-MiniLM-L6-v2', model_path=Path({str(model_folder)!r}), hub_cache=Path('x'),"
        " models_folder=Path('x')).embed(['hi'])\n"
        "heavy = {'torch', 'tokenizers', 'safetensors', 'transformers', 'urllib.request', 'subprocess'}\n"
        "print(heavy & set(sys.modules))"
    )
    assert _run(code) == "set()"


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
def test_both_names_of_the_default_model_load_it(model_folder, name):
    """With and without the organisation."""
    nowhere = Path("/nonexistent")
    loaded = load_embedder(name, model_path=model_folder, hub_cache=nowhere, models_folder=nowhere)
    assert loaded.key == MiniLM.key


def _cosines(first, second):
    return np.einsum("ij,ij->i", first, second)


def _overwrite(path, offset, content):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def _run(code):
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()
