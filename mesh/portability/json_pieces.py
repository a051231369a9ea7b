"""JSON taken apart without ever holding all of it: a document piece by piece, or lines one by one.

Only the edges of the pieces are found here; each is then decoded by itself. So a bad piece spoils no other, which a
parser of the whole stream cannot promise: it stops at the first byte that is not JSON, and some put other characters
in the place of what they cannot decode.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ..errors import InvalidInput, MeshError

MAX_PIECE_BYTES = 8 << 20  # a memory of 1 MiB of which every character is escaped, and some more
CHUNK_BYTES = 1 << 18

_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = rb'(?:[^"\\]++|\\.)*+'
_REST_OF_STRING = re.compile(_STRING, re.DOTALL)
_UNTIL_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|"' + _STRING + rb'")*+', re.DOTALL)
_WORD = re.compile(rb"[^ \t\r\n,:\[\]{}\"]*+")
_LOST = "Get a whole copy of it and import that; what is here already is not imported again"


class Piece(NamedTuple):
    """The JSON text of a top-level key's value. Of a list each element is a piece, and `[]` stands before them."""

    key: str  # "" in a document that is a list
    number: int  # of the element, from 1; 0 for all that is none
    data: bytes | None  # None: larger than MAX_PIECE_BYTES, and skipped


def pieces(file: BinaryIO, name: str) -> Iterator[Piece]:
    """The pieces of a JSON document. Raises `InvalidInput` if it is none, `MeshError` if it ends too early."""
    text = _Text(file, name)
    first = text.next()
    if first == b"[":
        yield from _elements(text, "")
    elif first == b"{":
        yield from _members(text)
    else:
        raise text.not_json("it holds no object and no list")
    if text.next():
        raise text.not_json("something follows the end of the document")


def lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """The lines of a file that hold something, numbered from 1; None for one larger than MAX_PIECE_BYTES."""
    number = 0
    while line := file.readline(MAX_PIECE_BYTES):
        number += 1
        if len(line) == MAX_PIECE_BYTES and not line.endswith(b"\n"):
            while (rest := file.readline(CHUNK_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        elif line.strip(b"\xef\xbb\xbf \t\r\n"):
            yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line


def decoded(data: bytes) -> object:
    """The value of a piece. Raises `ValueError` if it is not JSON in UTF-8."""
    try:
        return json.loads(data.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def ends_too_early(name: str, place: str) -> MeshError:
    return MeshError(f"it ends too early, {place}", place=name, remedy=_LOST)


def _members(text: _Text) -> Iterator[Piece]:
    text.take(b"{")
    while text.next() != b"}":
        if text.next() != b'"':
            raise text.not_json("a key should stand here")
        key = text.key()
        text.take(b":")
        if text.next() == b"[":
            yield from _elements(text, key)
        else:
            yield Piece(key, 0, text.value())
        if text.next() != b"}":
            text.take(b",")
    text.take(b"}")


def _elements(text: _Text, key: str) -> Iterator[Piece]:
    text.take(b"[")
    yield Piece(key, 0, b"[]")
    number = 0
    while text.next() != b"]":
        number += 1
        yield Piece(key, number, text.value())
        if text.next() != b"]":
            text.take(b",")
    text.take(b"]")


class _Text:
    """The bytes of a file from where the reading has come to."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        self._data, self._at, self._before = b"", 0, 0  # what is held, how far it is used up, what was before it
        self._more()
        if self._data.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise InvalidInput("it is UTF-16, not UTF-8", place=name, remedy="Save it as UTF-8")
        self._at = 3 if self._data.startswith(b"\xef\xbb\xbf") else 0

    def not_json(self, reason: str) -> InvalidInput:
        place = f"at byte {self._before + self._at + 1:,}"
        return InvalidInput(f"it is not JSON: {reason}, {place}", place=self._name, remedy="Export it again")

    def next(self) -> bytes:
        """The next byte that is not white space, not used up; nothing at the end."""
        while True:
            found = _SPACE.match(self._data, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._data) or not self._more():
                return self._data[self._at : self._at + 1]

    def take(self, expected: bytes) -> None:
        if (found := self.next()) != expected:
            if not found:
                raise self._too_early()
            raise self.not_json(f"{expected.decode()!r} should stand here")
        self._at += 1

    def key(self) -> str:
        try:
            return str(decoded(self.value() or b'""'))
        except ValueError as error:
            raise self.not_json("the key before this is not one") from error

    def value(self) -> bytes | None:
        """The text of the value that begins here; None, and skipped, if it is larger than MAX_PIECE_BYTES."""
        first = self.next()
        if not first:
            raise self._too_early()
        kept = _Kept()
        if first in (b'"', b"[", b"{"):
            self._closed(kept)
        else:
            self._word(kept)
        return kept.whole()

    def _closed(self, kept: _Kept) -> None:
        """Use up a string, list or object."""
        start, depth = self._at, 0
        in_string = self._data[start : start + 1] == b'"'
        self._at += in_string
        while True:
            found = (_REST_OF_STRING if in_string else _UNTIL_BRACKET).match(self._data, self._at)
            self._at = found.end() if found else self._at
            sign = self._data[self._at : self._at + 1]
            if not sign or sign == b"\\":  # a backslash, whose character is still to be read
                kept.add(self._data[start : self._at])
                if not self._more():
                    raise self._too_early()
                start = 0
                continue
            self._at += 1
            if sign == b'"':
                in_string = not in_string
            else:
                depth += 1 if sign in b"[{" else -1
            if depth <= 0 and not in_string:
                kept.add(self._data[start : self._at])
                return

    def _word(self, kept: _Kept) -> None:
        """Use up a number, `true`, `false` or `null`."""
        start = self._at
        while True:
            found = _WORD.match(self._data, self._at)
            self._at = found.end() if found else self._at
            kept.add(self._data[start : self._at])
            if self._at < len(self._data) or not self._more():
                return
            start = 0

    def _more(self) -> bool:
        """Read on, and let go of what is used up; False at the end of the file."""
        chunk = self._file.read(CHUNK_BYTES)
        self._before += self._at
        self._data, self._at = self._data[self._at :] + chunk, 0
        return bool(chunk)

    def _too_early(self) -> MeshError:
        return ends_too_early(self._name, f"after byte {self._before + len(self._data):,}")


class _Kept:
    """The parts of a value, as long as there are not too many of them."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > MAX_PIECE_BYTES:
            self._parts = []
        else:
            self._parts.append(part)

    def whole(self) -> bytes | None:
        return b"".join(self._parts) if self._size <= MAX_PIECE_BYTES else None
