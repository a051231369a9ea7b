"""Text to BERT's token ids, by the standard library alone.

The `tokenizers` library takes 40 ms to import and to parse `tokenizer.json`; here a query costs well under one.
Equal to it token for token with truncation and padding switched off, but for code points whose Unicode category
Python and `tokenizers` (about Unicode 8) know differently: some marks and punctuation assigned since. Such a word
is unknown to the vocabulary in any case, or loses one mark.

Steps, in BERT's order: the special tokens are taken out of the raw text; control characters go, Chinese characters
become words; canonical decomposition; marks go, letters are lowered one by one; words are cut at white space and
around punctuation; each word into the longest pieces that the vocabulary has.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from mesh.errors import ModelUnavailable

LONGEST_WORD = 100  # characters after normalisation; anything longer is one [UNK]
PAD, UNK, CLS, SEP, MASK = 0, 100, 101, 102, 103
SPECIAL = {"[PAD]": PAD, "[UNK]": UNK, "[CLS]": CLS, "[SEP]": SEP, "[MASK]": MASK}
SPECIAL_TOKEN = re.compile(r"(\[(?:PAD|UNK|CLS|SEP|MASK)\])")

# The blocks BERT calls Chinese. Kana and Hangul are not among them.
CHINESE_BLOCKS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)

_VOCABULARY_CRC32 = 0xE3084609
_SEARCHES_BEFORE_A_DICT = 64
_REMEMBERED_WORDS = 50_000


class _Clean(dict[int, str]):
    """Before decomposition: no controls, no lone surrogates, Chinese characters as words, one kind of space.

    A table for `str.translate` that works each character out once.
    """

    def __missing__(self, code: int) -> str:
        replacement = self[code] = self.replace(chr(code))
        return replacement

    def replace(self, character: str) -> str:
        if character in "\t\n\r":
            return " "
        if character in "\0\ufffd" or unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs"):
            return ""
        if character.isspace():
            return " "
        code = ord(character)
        chinese = code >= 0x3400 and any(first <= code <= last for first, last in CHINESE_BLOCKS)
        return f" {character} " if chinese else character


class _Fold(_Clean):
    """After decomposition: no marks, lower case, punctuation as words.

    Lowered one by one, because Greek has a final sigma that depends on its neighbours and BERT does not know it.
    """

    def replace(self, character: str) -> str:
        if unicodedata.category(character) == "Mn":
            return ""
        cleaned = super().replace(character)
        return f" {character} " if _is_punctuation(character) else cleaned.lower()


def _is_punctuation(character: str) -> bool:
    """Unicode's, and all of ASCII that is neither letter, digit nor space: BERT counts `$` and `^` too."""
    if character.isascii():
        return character.isprintable() and not character.isalnum() and character != " "
    return unicodedata.category(character).startswith("P")


_clean, _fold = _Clean(), _Fold()


def words(text: str) -> list[str]:
    """The normalised words of a text without special tokens."""
    if not text.isascii():
        text = unicodedata.normalize("NFD", text.translate(_clean))
    return text.translate(_fold).split()


class Vocabulary:
    """Token to id, from the bytes of `vocab.txt` (one token a line, its id is its line).

    A dict of all tokens takes 8 ms to build, which a shell command that embeds one query should not pay: the first
    few tokens are searched for in the bytes, about 0.1 ms each.
    """

    def __init__(self, lines: bytes) -> None:
        self._lines = b"\n" + lines.rstrip(b"\n") + b"\n"
        self._searches_left = _SEARCHES_BEFORE_A_DICT
        self._ids: dict[str, int] = {}

    def find(self, token: str) -> int | None:
        if self._searches_left <= 0:
            return self.ids().get(token)
        self._searches_left -= 1
        at = self._lines.find(b"\n%b\n" % token.encode())
        return None if at < 0 else self._lines.count(b"\n", 0, at)

    def ids(self) -> dict[str, int]:
        if not self._ids:
            tokens = self._lines[1:-1].decode().split("\n")
            self._ids = dict(zip(tokens, range(len(tokens)), strict=True))
        return self._ids


class WordPiece:
    """The tokenizer of BERT-uncased models."""

    def __init__(self, vocabulary: Vocabulary, special: Mapping[str, int] = SPECIAL) -> None:
        """`special`: the ids of the special tokens, where they are not BERT-uncased's."""
        self._vocabulary, self._special = vocabulary, special
        self._known: dict[str, tuple[int, ...]] = {}

    @classmethod
    def load(cls, path: Path) -> WordPiece:
        """Raises `ModelUnavailable` unless the file is BERT-uncased's vocabulary, byte for byte."""
        try:
            lines = path.read_bytes()
        except OSError as error:
            raise ModelUnavailable(
                f"it cannot be read ({error.strerror})", place=str(path), remedy="Run: mesh model pull"
            ) from error
        if zlib.crc32(lines) != _VOCABULARY_CRC32:
            raise ModelUnavailable(
                "it is damaged or the vocabulary of another model", place=str(path), remedy="Run: mesh model pull"
            )
        return cls(Vocabulary(lines))

    def ids(self, text: str, limit: int | None = None) -> list[int]:
        """Token ids without the model's own [CLS] and [SEP]; the first `limit` of them."""
        return list(islice(self._each_id(text), limit))

    def encode(self, text: str, window: int) -> list[int]:
        """What the model reads: `[CLS] text [SEP]`, the text cut so that all of it is at most `window` tokens."""
        return [self._special["[CLS]"], *self.ids(text, window - 2), self._special["[SEP]"]]

    def encode_pair(self, first: Sequence[int], second: Sequence[int], window: int) -> tuple[list[int], list[int]]:
        """`[CLS] first [SEP] second [SEP]`, cut to at most `window` tokens, and the segment, 0 or 1, of each.

        The longer one is cut first, as the `tokenizers` library does.
        """
        room = window - 3
        if len(first) + len(second) > room:
            shorter = min(len(first), len(second), room // 2)
            longer = room - shorter
            first, second = (
                (first[:shorter], second[:longer]) if len(first) <= len(second) else (first[:longer], second[:shorter])
            )
        cls, sep = self._special["[CLS]"], self._special["[SEP]"]
        return [cls, *first, sep, *second, sep], [0] * (len(first) + 2) + [1] * (len(second) + 1)

    def count(self, text: str, limit: int | None = None) -> int:
        """Tokens of a text without the model's own [CLS] and [SEP]; counting stops at `limit`."""
        return sum(1 for _ in islice(self._each_id(text), limit))

    def _each_id(self, text: str) -> Iterator[int]:
        for part in SPECIAL_TOKEN.split(text) if "[" in text else (text,):
            if part in self._special:
                yield self._special[part]
            else:
                for word in words(part):
                    yield from self._known.get(word) or self._remember(word)

    def _remember(self, word: str) -> tuple[int, ...]:
        if len(self._known) >= _REMEMBERED_WORDS:
            self._known = {}
        pieces = self._known[word] = tuple(self._pieces(word))
        return pieces

    def _pieces(self, word: str) -> list[int]:
        """Longest match first, from the left; a word with a part that is no piece is unknown as a whole."""
        if len(word) > LONGEST_WORD:
            return [self._special["[UNK]"]]
        found: list[int] = []
        start = 0
        while start < len(word):
            stop, piece = self._longest_piece(word, start)
            if piece is None:
                return [self._special["[UNK]"]]
            found.append(piece)
            start = stop
        return found

    def _longest_piece(self, word: str, start: int) -> tuple[int, int | None]:
        mark = "##" if start else ""
        for stop in range(len(word), start, -1):
            piece = self._vocabulary.find(mark + word[start:stop])
            if piece is not None:
                return stop, piece
        return start, None
