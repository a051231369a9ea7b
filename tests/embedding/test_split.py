"""A long text is cut into passages that cover it, overlap and fit."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.model

WINDOW = 254  # 256 less [CLS] and [SEP]
SENTENCES = "The staging cluster mirrors its data into a bucket. Nobody knows why! Does it matter? " * 60

PATHOLOGICAL = {
    "one word": "x" * 61_440,
    "one word among others": "before " * 300 + "x" * 61_440 + " after" * 300,
    "Chinese": "漢字" * 20_000,
    "kana and Chinese": "これは漢字です" * 5_000,
    "minified JSON": '{"a":1,"b":[2,3]},' * 3_600,
    "punctuation that is no unit of ours": "አ፡" * 20_000,
    "decomposed": "e\u0301" * 20_000,
    "marks only": "\u0301" * 60_000,
    "most pieces a character": "\u1f82\u0387" * 9_000,
    "Hangul": "한국어텍스트 " * 4_000,
    "symbols that are no punctuation": "a⁄b＋c＜d＞" * 5_000,
    "lone surrogates": "\ud800 a" * 5_000,
    "control characters": "a\x00 b\x85c" * 5_000,
    "white space": " \n" * 30_000,
    "special tokens": "[SEP][MASK]" * 5_000,
}
PREFIXES = ["", "Title: deploy\n", "no space at the end", "[", "漢字", "word " * 120]

pieces = st.sampled_from(
    ["word ", "antidisestablishment", "\n", "\n\n", ". ", "。", "漢", "한", "e\u0301", "[SEP]", "[", "\u0301", "x" * 90]
)
texts = st.lists(st.one_of(pieces, st.text(max_size=8)), max_size=60).flatmap(
    lambda parts: st.integers(1, 60).map(lambda times: "".join(parts) * times)
)


def _check(minilm, text, prefix):
    spans = minilm.split(text, prefix)
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)
    for (start, stop), (next_start, next_stop) in pairwise(spans):
        assert start < next_start <= stop < next_stop
    count = minilm._tokenizer.count
    assert max(count(prefix + text[start:stop]) for start, stop in spans) <= WINDOW
    return spans


@settings(max_examples=300, deadline=None)
@given(text=texts, prefix=st.one_of(st.sampled_from(PREFIXES), st.text(max_size=40)))
def test_spans_cover_the_text_go_forward_and_fit(minilm, text, prefix):
    """For any text and any prefix that leaves room."""
    assume(minilm._tokenizer.count(prefix) < WINDOW - 132)
    _check(minilm, text, prefix)


@pytest.mark.parametrize("prefix", PREFIXES[:3], ids=repr)
@pytest.mark.parametrize("text", PATHOLOGICAL.values(), ids=PATHOLOGICAL)
def test_pathological_texts_end_and_fit(minilm, text, prefix):
    """60 KB without a place to cut at."""
    _check(minilm, text, prefix)


@pytest.mark.parametrize("text", ["", "short", "word " * WINDOW, "x" * 61_440])
def test_a_text_that_fits_is_one_span(minilm, text):
    """Nothing is cut that need not be."""
    assert minilm.split(text) == [(0, len(text))]


def test_one_token_too_many_makes_two_spans(minilm):
    """The window is used to its last token, and not beyond."""
    assert len(minilm.split("word " * (WINDOW + 1))) == 2
    assert len(minilm.split("word " * (WINDOW - 3), "a b c\n")) == 1
    assert len(minilm.split("word " * (WINDOW - 2), "a b c\n")) == 2


def test_passages_end_at_sentences(minilm):
    """A hit that is shown should read well."""
    spans = _check(minilm, SENTENCES, "")
    assert {SENTENCES[:stop].rstrip()[-1] for _, stop in spans} <= set(".!?")


def test_a_paragraph_end_is_preferred_to_a_sentence_end(minilm):
    """The author's own division is the better one."""
    text = "One short sentence. " * 58 + "\n\n" + "Another short sentence. " * 60
    assert minilm.split(text)[0][1] == text.index("\n\n") + 2


def test_passages_overlap_by_about_an_eighth_and_start_at_a_word(minilm):
    """What stands at a boundary is found from both sides."""
    spans = _check(minilm, SENTENCES, "")
    for (_, stop), (start, _) in pairwise(spans):
        assert 16 <= minilm._tokenizer.count(SENTENCES[start:stop]) <= WINDOW // 8
        assert SENTENCES[start - 1] == " "


def test_an_overlong_prefix_ends_and_still_covers(minilm):
    """A title without end must not stop a refresh."""
    text = "word " * 500
    spans = minilm.split(text, "title " * 1_000)
    assert (spans[0][0], spans[-1][1]) == (0, len(text))
    assert len(spans) < 30
