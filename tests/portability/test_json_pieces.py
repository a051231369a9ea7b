"""A JSON document, piece by piece: the same as all at once, and no piece spoils another."""

from __future__ import annotations

import io
import json
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import InvalidInput, MeshError
from mesh.portability import json_pieces
from mesh.portability.json_pieces import Piece, decoded, lines, pieces

texts = st.text('a"\\{}[],: \né😀\x01\ud7ff', max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)
documents = st.dictionaries(texts.filter(bool), values, max_size=4) | st.lists(values, max_size=4)


def read(text: bytes, chunk: int = 1 << 18) -> list[Piece]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_pieces, "CHUNK_BYTES", chunk)
        return list(pieces(io.BytesIO(text), "x.json"))


def put_together(found: list[Piece]) -> object:
    whole: dict[str, object] = {}
    for key, number, data in found:
        if number:
            whole[key].append(decoded(data))  # type: ignore[attr-defined]  # the list began with its own piece
        else:
            whole[key] = decoded(data)
    return whole.get("", whole)


@given(documents, st.booleans(), st.sampled_from([None, 1]), st.sampled_from([1, 2, 3, 7, 1000]))
def test_the_pieces_make_the_document(document, is_ascii, indent, chunk):
    """However it is written, and wherever a read ends."""
    text = json.dumps(document, ensure_ascii=is_ascii, indent=indent).encode()
    assert put_together(read(text, chunk)) == document


@given(documents, st.integers(1, 40), st.sampled_from([1, 5, 1000]))
def test_a_part_of_a_document_is_an_error(document, missing, chunk):
    """Whatever is cut off its end."""
    text = json.dumps(document).encode()
    with pytest.raises(MeshError, match=r"ends too early|not JSON"):
        read(text[: max(0, len(text) - missing)], chunk)


@given(st.binary(max_size=40))
def test_any_bytes_are_pieces_or_a_clear_error(text):
    """Never anything else."""
    try:
        read(b"[" + text)
    except MeshError as error:
        assert error.place == "x.json"
        assert error.remedy


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (rb'{"a": NaN}', None),
        (rb'{"a": "\ud800"}', None),
        (b'{"a": "\xff"}', "utf-8"),
        (b'{"a": "line\nend"}', "control character"),
        (b'{"a" 1}', "delimiter"),
        (b"nul", "Expecting value"),
        (b"[" * 200_000 + b"]" * 200_000, "nested too deep"),
    ],
    ids=["NaN", "half a character", "no UTF-8", "a line end in a string", "no colon", "no value", "too deep"],
)
def test_a_bad_piece_spoils_no_other(bad, said):
    """What stands before and after it is read as it is."""
    found = read(b'{"memories": [1, ' + bad + b", 3]}")
    assert [one.data for one in found if one.number != 2] == [b"[]", b"1", b"3"]
    assert found[2].data == bad
    if said:
        with pytest.raises(ValueError, match=said):
            decoded(bad)


def test_what_is_too_large_is_skipped_and_the_rest_is_read(monkeypatch):
    """A string, a list, an object: none of them is kept longer than it may be."""
    monkeypatch.setattr(json_pieces, "MAX_PIECE_BYTES", 50)
    monkeypatch.setattr(json_pieces, "CHUNK_BYTES", 16)
    large = [b'"' + rb"x\"\\" * 40 + b'"', b"[" + b"[]," * 40 + b"1]", b'{"a": "' + b"]}" * 40 + b'"}', b"1" * 90]
    found = list(pieces(io.BytesIO(b'{"z": "before", "m": [' + b", ".join(large) + b', "after"]}'), "x"))
    assert [one.data for one in found] == [b'"before"', b"[]", None, None, None, None, b'"after"']


def test_a_byte_order_mark_is_no_part_of_it():
    """Some editors write one."""
    assert read(b'\xef\xbb\xbf{"a": 1}') == [Piece("a", 0, b"1")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "no object and no list"),
        (b"hello", "no object and no list"),
        (b'{"a": 1} x', "something follows"),
        (b'{"a": 1, 2}', "a key should stand here, at byte 10"),
        (b'{"a" 1}', "':' should stand here, at byte 6"),
        (b"[1 2]", "',' should stand here, at byte 4"),
        ('{"a": 1}'.encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_no_document_is_said_with_its_place(text, said):
    """The byte at which it is seen."""
    with pytest.raises(InvalidInput, match=said):
        read(text)


def test_lines_are_numbered_and_blank_ones_left_out(monkeypatch):
    """One that is too large is None, and the next is whole again."""
    monkeypatch.setattr(json_pieces, "MAX_PIECE_BYTES", 10)
    text = b"\xef\xbb\xbf{}\n\n \r\n[1]\r\n" + b"x" * 25 + b"\n12345678\nlast"
    assert list(lines(io.BytesIO(text))) == [
        (1, b"{}\n"),
        (4, b"[1]\r\n"),
        (5, None),
        (6, b"12345678\n"),
        (7, b"last"),
    ]


def test_a_file_is_never_held_whole():
    """Of an endless document every piece is given as soon as it has been read."""

    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            self.given += size
            return (b'[{"a": 1}' + b',{"a": 1}' * size)[:size] if self.given == size else b',{"a": 1}' * (size // 9)

    file = Endless()
    found = pieces(file, "x")  # type: ignore[arg-type]
    for number in count(1):
        next(found)
        if number == 100_000:
            break
    assert file.given < 4 * json_pieces.CHUNK_BYTES + 9 * number
