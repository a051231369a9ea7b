"""The tokenizer is, token for token, the one the model was trained with."""

from __future__ import annotations

import random
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.embedding.wordpiece import CLS, SEP, UNK, Vocabulary, WordPiece, words
from mesh.errors import ModelUnavailable

tokenizers = pytest.importorskip("tokenizers", reason="the reference tokenizer is not installed")
pytestmark = pytest.mark.model

TEXTS = [
    "",
    " \t\r\n ",
    "What's the API rate-limit (100 req/min)?",
    "unaffable kubernetes idempotency antidisestablishmentarianism",
    "[SEP] a[MASK]b [sep] [ MASK ] [CLS][SEP][UNK][PAD] [MASK]\u0301 [[SEP]] [MA\u0301SK] [SE\0P]",
    "ΑΣ ΣΑΣ ὈΔΥΣΣΕΎΣ İI ı ß ẞ ﬁ Ǆ",
    "e\u0301cole Ångström Å ñ Việt Nam a\u0323\u0307\u0345b ,\u0301,",
    "漢字 日本語のテキスト カタカナ 豈更車 𠀀𪜀𫝀𫠠 丽",
    "한국어 텍스트 힣 각",
    "ไทย हिन्दी العربية עברית አማርኛ፡ Ελληνικά русский",
    "a\x00b\x07c\x1fd\x7fe\x85f\u200dg\ufeffh\ufffdi\u2028j\u3000k\xa0l",
    "😀👩‍👩‍👧🏳️‍🌈 ❤️ ① ½ ﷺ ㎏ ™ € £ ¥ ₿ ∑ ≠ → ★",
    "“quoted” — dash… ‘x’ «y» 。、！？＋－＝＄ ⁄ ⁓ ¿¡",
    "x" * 100,
    "x" * 101,
    "é" * 100 + " " + "é" * 101,
    "def f(x: int) -> str:\n\treturn f'{x!r}'  # https://a.b/c?d=e&f=%20#g",
    "\U000e0001\U000f0000\U0010fffd\u0378",
    "\u1160\u302e\u302f\u0300\u0323",
]


@pytest.fixture(scope="module")
def ours(model_folder):
    return WordPiece.load(model_folder / "vocab.txt")


@pytest.fixture(scope="module")
def reference(model_folder):
    loaded = tokenizers.Tokenizer.from_file(str(model_folder / "tokenizer.json"))
    loaded.no_truncation()
    loaded.no_padding()
    return loaded


@pytest.fixture(scope="module")
def known_otherwise(reference):
    """The code points whose category Python and `tokenizers` know differently, found by asking both."""
    return {chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000 and _differs(reference, chr(code))}


def _differs(reference, character):
    category = unicodedata.category(character)
    if category[0] not in "MPCS":
        return False
    kept = reference.normalizer.normalize_str(character) != ""
    kept_here = (category not in ("Mn", "Cc", "Cf", "Co") and character != "\ufffd") or character in "\t\n\r"
    mark = len(reference.pre_tokenizer.pre_tokenize_str(f"a{character}b")) == 3
    marks_here = category[0] == "P" or (character.isascii() and character.isprintable() and category[0] == "S")
    return kept != kept_here or (mark != marks_here and kept)


def _expected(reference, text):
    return reference.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_chosen_texts_become_the_reference_tokens(ours, reference, text):
    """Every rule of BERT's normaliser and pre-tokenizer has an example."""
    assert ours.ids(text) == _expected(reference, text)


def test_the_unicode_versions_differ_in_few_and_recent_characters_only(known_otherwise):
    """What the other tests leave out is small, rare, and holds nothing that ordinary text has."""
    assert len(known_otherwise) < 700
    assert {c for c in known_otherwise if ord(c) < 0x600} == set()
    assert {unicodedata.category(c) for c in known_otherwise} <= {"Mn", "Mc", "Cf", "Po", "Ps", "Pe", "Pd", "So"}


def test_every_assigned_character_is_treated_as_the_reference_does(ours, reference, known_otherwise):
    """Alone between letters and at a word's end, for each character of every Unicode block."""
    characters = [chr(c) for c in _sampled_code_points() if chr(c) not in known_otherwise]
    texts = [f"ab{c}cd e{c}" for c in characters]
    expected = reference.encode_batch(texts, add_special_tokens=False)
    wrong = [
        hex(ord(c)) for c, text, right in zip(characters, texts, expected, strict=True) if ours.ids(text) != right.ids
    ]
    assert wrong == []


def _sampled_code_points():
    """All of the first plane; from the others one in seven, and of the private planes one in a thousand."""
    yield from (c for c in range(0x10000) if not 0xD800 <= c < 0xE000)
    yield from range(0x10000, 0x20000, 3)
    yield from range(0x20000, 0x32000, 37)
    yield from range(0x32000, 0x110000, 1009)


def test_ten_thousand_random_mixtures_become_the_reference_tokens(ours, reference, known_otherwise):
    """Characters of several blocks, special tokens and vocabulary pieces in one text."""
    random_ = random.Random(5)
    pieces = [*Vocabulary.ids(ours._vocabulary), *TEXTS, "[SEP]", "[MASK]", " ", "\n", ".", ","]
    texts = [_mixture(random_, pieces, known_otherwise) for _ in range(10_000)]
    expected = reference.encode_batch(texts, add_special_tokens=False)
    assert [t for t, right in zip(texts, expected, strict=True) if ours.ids(t) != right.ids] == []


def _mixture(random_, pieces, left_out):
    block = random_.randrange(0, 0x1F000, 0x80)
    own = [chr(c) for c in range(block, block + 0x80) if not 0xD800 <= c < 0xE000]
    parts = random_.choices(pieces, k=random_.randrange(6)) + random_.choices(own or [" "], k=random_.randrange(12))
    random_.shuffle(parts)
    return "".join(c for c in "".join(parts) if c not in left_out)


@settings(max_examples=1500, deadline=None)
@given(st.text(max_size=200))
def test_any_text_becomes_the_reference_tokens(ours, reference, known_otherwise, text):
    """Whatever Hypothesis thinks of."""
    text = "".join(c for c in text if c not in known_otherwise)
    assert ours.ids(text) == _expected(reference, text)


def test_the_dict_and_the_byte_search_find_the_same(model_folder):
    """A token's id does not depend on how many were looked up before."""
    vocabulary = Vocabulary((model_folder / "vocab.txt").read_bytes())
    tokens = ["[PAD]", "[UNK]", "the", "##s", "!", "##～", "zulu", "not a token", ""]
    searched = [vocabulary.find(token) for token in tokens]
    assert searched == [vocabulary.ids().get(token) for token in tokens]
    assert searched[:2] == [0, UNK]


def test_a_window_cuts_the_text_and_keeps_the_ends(ours):
    """`[CLS]` and `[SEP]` are inside the window."""
    ids = ours.encode("word " * 400, 256)
    assert (len(ids), ids[0], ids[-1]) == (256, CLS, SEP)
    assert ours.count("word " * 400, 300) == 300


def test_a_lone_surrogate_is_no_character():
    """It is dropped, as the replacement character is."""
    assert words("a\ud800b \udfff c") == ["ab", "c"]


@pytest.mark.parametrize("content", [b"", b"[PAD]\n", b"\xff" * 231_508])
def test_another_vocabulary_is_refused_with_a_remedy(tmp_path, content):
    """A wrong vocabulary would give wrong vectors without a word."""
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    with pytest.raises(ModelUnavailable, match="mesh model pull"):
        WordPiece.load(path)


def test_a_missing_vocabulary_is_named(tmp_path):
    """The error says which file."""
    with pytest.raises(ModelUnavailable, match=r"vocab\.txt"):
        WordPiece.load(tmp_path / "vocab.txt")
