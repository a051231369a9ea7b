"""Exports of Mesh and of the peer (mesh-context-layer 0.4.2 to 0.8.3): one JSON object, or an object a line.

Both have the same keys in a memory, and Mesh has more, so that nothing is lost on the way to another Mesh. A memory
that has those is taken word for word; any other as the peer means it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from .. import inputs
from ..errors import InvalidInput, MeshError
from ..files import failures_reported
from ..front_matter import Value
from ..memory import DEFAULT_TYPE, KNOWN_KEYS, Memory, Problem
from . import fields, json_pieces, peer_rows
from .json_pieces import decoded
from .record import Record

OWN_KEYS = ("updated_at", "expires_at")  # whoever writes these says all that Mesh keeps
TIMES = ("created_at", "updated_at", "expires_at", "decay_start_at")
_REMEDY = "Correct it in the file, and import that again"


def read(source: Path) -> Iterator[Record | Problem]:
    """The memories of an export that is one JSON object, or a list of memories."""
    with failures_reported(str(source)), source.open("rb") as file:
        for piece in json_pieces.pieces(file, source.name):
            if piece.key == "mesh_encrypted_export" and piece.data not in (b"false", b"null"):
                raise _encrypted(source.name)
            if piece.number and piece.key in ("memories", ""):
                place = f"{source.name}: memory {piece.number}"
                row = _row(piece.data, place)
                yield row if isinstance(row, Problem) else _record(row, place)


def read_lines(source: Path) -> Iterator[Record | Problem]:
    """The memories of an export that is an object a line. Raises `MeshError` if it ends in the middle of one."""
    with failures_reported(str(source)), source.open("rb") as file:
        for number, data in json_pieces.lines(file):
            place = f"{source.name}: line {number}"
            row = _row(data, place)
            if isinstance(row, Problem):
                if data is not None and not data.endswith(b"\n"):
                    raise json_pieces.ends_too_early(source.name, f"in line {number}")
                yield row
            elif not is_header(row):
                yield _record(row, place)


def is_header(row: object) -> bool:
    """Whether a line says what the file is, and holds no memory."""
    return isinstance(row, Mapping) and "mesh_version" in row and "content" not in row


def namespace_of(source: Path) -> str | None:
    """The namespace that the export names; None also if it breaks off before that, which is for `read` to say."""
    found: object = None
    with failures_reported(str(source)), source.open("rb") as file, suppress(MeshError):
        for piece in json_pieces.pieces(file, source.name):
            if piece.key == "namespace" and not piece.number:
                found = _row(piece.data, "")
                break
    return _name(found, source.name)


def namespace_of_lines(source: Path) -> str | None:
    """The namespace that the first line names."""
    with failures_reported(str(source)), source.open("rb") as file:
        _, data = next(json_pieces.lines(file), (0, None))
    row = _row(data, "")
    return _name(row.get("namespace"), source.name) if isinstance(row, Mapping) and is_header(row) else None


def _name(value: object, place: str) -> str | None:
    if not isinstance(value, str) or not value:
        return None
    try:
        return inputs.namespace(value)
    except InvalidInput as error:
        cause = f"the namespace that it names cannot be: {error.cause}"
        raise InvalidInput(cause, place=place, remedy="Choose one with --namespace") from error


def _encrypted(name: str) -> InvalidInput:
    return InvalidInput(
        "it is an encrypted export, which cannot be read here",
        place=name,
        remedy="Export again, without encryption, where it was made",
    )


def _row(data: bytes | None, place: str) -> object:
    """The value of a piece or a line, or what is wrong with it as a `Problem`."""
    if data is None:
        cause, remedy = f"it is larger than {json_pieces.MAX_PIECE_BYTES:,} bytes", "Split it into several memories"
        return Problem(place, 0, "", cause, remedy)
    try:
        return decoded(data)
    except ValueError as error:
        return Problem(place, 0, "", f"it is not JSON ({error})", _REMEDY)


def _record(row: object, place: str) -> Record | Problem:
    if not isinstance(row, dict):
        return Problem(place, 0, "", "it is not an object with the keys of a memory", _REMEDY)
    try:
        _check_times(row)
        if all(key in row for key in OWN_KEYS):
            return Record(place, _own(row), name=_text(row, "path"))
        return Record(place, peer_rows.memory(row))
    except InvalidInput as error:
        return fields.refused(place, error)


def _check_times(row: Mapping[str, object]) -> None:
    for key in TIMES:
        if (value := row.get(key)) and fields.when(value) is None:
            raise InvalidInput(f"{str(value)[:40]!r} is not a time", place=key, remedy="Write 2026-01-31T12:00:00Z")


def _own(row: Mapping[str, object]) -> Memory:
    """A memory as Mesh exports it: word for word, since people may have written more into it than Mesh would."""
    return Memory(
        id=_text(row, "id"),
        content=inputs.text(row.get("content"), "content"),  # type: ignore[arg-type]  # it refuses what is not text
        type=_text(row, "memory_type") or DEFAULT_TYPE,
        tags=_texts(row, "tags"),
        agent=_text(row, "source_agent"),
        created=fields.when(row.get("created_at")),
        updated=fields.when(row.get("updated_at")),
        confidence=fields.confidence(row.get("confidence")),
        expires=fields.when(row.get("expires_at")),
        supersedes=_texts(row, "supersedes"),
        source=_text(row, "source"),
        evidence=_texts(row, "evidence"),
        title=_text(row, "title"),
        local_only=fields.truth(row.get("local_only")),
        extra=_extra(row.get("extra")),
    )


def _text(row: Mapping[str, object], key: str) -> str:
    value = row.get(key)
    return inputs.text(value, key) if isinstance(value, str) else fields.word(value, key)


def _texts(row: Mapping[str, object], key: str) -> tuple[str, ...]:
    """A list of texts as it is; anything else is made one."""
    value = row.get(key)
    if isinstance(value, str) and key != "tags":
        value = [value]
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(inputs.text(one, key) for one in value)
    return fields.tags(value)


def _extra(value: object) -> dict[str, Value]:
    """The user's own keys, as front matter can hold them: everything in them is text."""
    if not isinstance(value, dict):
        return {}
    try:
        return {key: _plain(one) for key, one in value.items() if key not in KNOWN_KEYS}
    except RecursionError as error:
        raise InvalidInput("it is nested too deep", place="extra", remedy="Make it simpler") from error


def _plain(value: object) -> Value:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return inputs.text(str(value), "extra") if value is not None else ""
