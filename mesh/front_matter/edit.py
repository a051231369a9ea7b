"""Change keys of a header and nothing else.

Each change rewrites the lines of one key, or adds or drops them. The result is parsed again: unless exactly the
wanted keys changed, the edit is refused and the caller's text stays as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from .document import Document, FrontMatterError, split
from .parse import Fields, Value

Change = str | Sequence[Value] | Mapping[str, Value] | None

_SAFE_PLAIN = re.compile(r"[^\W_](?:[^:#\n]|:(?=\S)|(?<=\S)#)*(?<![\s:])\Z")
_SAFE_ITEM = re.compile(r"[^\W_](?:[\w ./+@()-]*[\w./+@()-])?\Z")
# What a YAML reader with types would not take for a string.
_TYPED = re.compile(
    r"(?i:true|false|yes|no|on|off|y|n|null|nan|inf)\Z|[-+.]?\d[\d_.,:eExXoO+-]*\Z|0[xX][0-9a-fA-F]+\Z|\d{4}-\d\d?-\d\d?"
)
_TYPED_KEYS = frozenset({"created", "updated", "expires", "confidence", "local_only"})
_ONE_LINE = re.compile(
    r"""(?P<key>[^\s:#][^:]*?:[ ]*)
        (?P<value>'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|\[[^\]\n]*\]|(?!\#)(?:(?!\s\#)[^\n])*?)
        (?P<rest>[ \t]*(?:[ \t]\#[^\n]*)?)\Z""",
    re.VERBOSE,
)
_FLOW_ITEM = re.compile(r"""\s*('(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|[^,]+?)\s*(?:,|\Z)""")


def edited(document: Document, changes: Mapping[str, Change]) -> Document:
    """The document with `changes` made: a string, list or mapping sets a key, None drops it.

    Raises `FrontMatterError` where that cannot be done without touching other lines.
    """
    wanted = _wanted(document.fields, changes)
    if wanted == document.fields.values:
        return document
    newline = document.newline
    lines = [_Line.of(line) for line in document.header.split("\n")[:-1]]
    fields = document.fields
    for key in sorted(changes, key=lambda key: -fields.lines.get(key, -1)):
        if wanted.get(key) != fields.values.get(key) or (key in wanted) != (key in fields.values):
            _change(lines, fields, key, changes[key], newline)
    header = "".join(line.text + line.end for line in lines)
    if document.opening:
        return _checked(replace(document, header=header), wanted)
    return _checked(replace(document, opening=f"---{newline}", header=header, closing=f"---{newline}"), wanted)


class _Line(NamedTuple):
    """A line of the header, and the line end it has."""

    text: str
    end: str

    @classmethod
    def of(cls, line: str) -> _Line:
        return cls(line[:-1], "\r\n") if line.endswith("\r") else cls(line, "\n")


def _wanted(fields: Fields, changes: Mapping[str, Change]) -> dict[str, Value]:
    wanted = dict(fields.values)
    for key, value in changes.items():
        if value is None:
            wanted.pop(key, None)
        else:
            wanted[key] = value if isinstance(value, str) else _value(value)
    return wanted


def _value(value: Sequence[Value] | Mapping[str, Value]) -> Value:
    return dict(value) if isinstance(value, Mapping) else list(value)


def _checked(result: Document, wanted: dict[str, Value]) -> Document:
    refused = FrontMatterError(0, "this front matter cannot be changed without touching other lines")
    try:
        again = split(result.text)
    except FrontMatterError as error:
        raise refused from error
    if again.fields.values != wanted or again.body != result.body:
        raise refused
    return again


def _change(lines: list[_Line], fields: Fields, key: str, value: Change, newline: str) -> None:
    """Make one change in `lines`. Changes come from the last key to the first, so earlier numbers stay right."""
    if key not in fields.lines:
        if value is not None:
            lines.append(_Line(f"{_quoted_if_needed(key, flow=False)}: {_fresh(key, value)}", newline))
        return
    start, stop = fields.lines[key], fields.ends[key] + 1
    first = lines[start]
    if value is None:
        del lines[start:stop]
    elif stop - start == 1 and (match := _ONE_LINE.match(first.text)):
        space = "" if match["key"].endswith(" ") else " "
        new = _in_style_of(match["value"], key, fields.values[key], value)
        lines[start] = first._replace(text=match["key"] + space + new + match["rest"])
    elif not _rewrite_block_list(lines, start, stop, fields.values[key], value):
        lines[start:stop] = [first._replace(text=f"{first.text.partition(':')[0]}: {_fresh(key, value)}")]


def _rewrite_block_list(lines: list[_Line], start: int, stop: int, old: Value, value: Change) -> bool:
    """Keep the lines of items that stay, and the comments; add new items at the same indentation."""
    new = _words(value)
    item_lines = [number for number in range(start + 1, stop) if re.match(r" *- ", lines[number].text)]
    if not isinstance(old, list) or len(item_lines) != len(old) or not new or len(set(new)) != len(new):
        return False
    indent = lines[item_lines[0]].text.partition("-")[0]
    line_of = {item: number for item, number in zip(old, item_lines, strict=True) if isinstance(item, str)}
    block: list[_Line] = []
    at = start + 1
    for item in new:
        number = line_of.get(item)
        if number is None:
            block.append(lines[start]._replace(text=f"{indent}- {_quoted_if_needed(item, flow=False)}"))
            continue
        block += [lines[n] for n in range(at, number) if n not in item_lines]  # comments before it
        block.append(lines[number])
        at = max(at, number + 1)
    block += [lines[n] for n in range(at, stop) if n not in item_lines]
    lines[start + 1 : stop] = block
    return True


def _words(value: Change) -> list[str]:
    """The items of a list that has nothing but strings."""
    items = value if isinstance(value, (list, tuple)) else ()
    words = [item for item in items if isinstance(item, str)]
    return words if len(words) == len(items) else []


def _in_style_of(old: str, key: str, had: Value, value: str | Sequence[Value] | Mapping[str, Value]) -> str:
    """The value, quoted as the old one was; items of a flow list that stay keep their spelling."""
    if isinstance(value, str):
        if old.startswith("'") and "'" not in value and value.isprintable():
            return f"'{value}'"
        return _double_quoted(value) if old.startswith(('"', "'")) else _fresh(key, value)
    if not (words := _words(value)):
        return _flow(value)
    spelt: dict[str, str] = {}
    if old.startswith("[") and isinstance(had, list):
        tokens = _FLOW_ITEM.findall(old[1:-1])
        if len(tokens) == len(had):
            spelt = {item: token for item, token in zip(had, tokens, strict=True) if isinstance(item, str)}
    return "[" + ", ".join(spelt.get(item) or _quoted_if_needed(item, flow=True) for item in words) + "]"


def _fresh(key: str, value: str | Sequence[Value] | Mapping[str, Value]) -> str:
    """The value as Mesh writes it: plain where every YAML reader sees the same string, quoted otherwise."""
    if not isinstance(value, str):
        return _flow(value)
    if key in _TYPED_KEYS and re.fullmatch(r"[\w.:+-]+", value):
        return value
    return _quoted_if_needed(value, flow=False)


def _flow(value: str | Sequence[Value] | Mapping[str, Value]) -> str:
    if isinstance(value, str):
        return _quoted_if_needed(value, flow=True)
    if isinstance(value, Mapping):
        pairs = (f"{_quoted_if_needed(key, flow=True)}: {_flow(one)}" for key, one in value.items())
        return "{" + ", ".join(pairs) + "}"
    return "[" + ", ".join(map(_flow, value)) + "]"


def _quoted_if_needed(value: str, *, flow: bool) -> str:
    safe = _SAFE_ITEM if flow else _SAFE_PLAIN
    if safe.match(value) and value.isprintable() and not _TYPED.match(value):
        return value
    return _double_quoted(value)


def _double_quoted(value: str) -> str:
    return '"' + "".join(_escaped(character) for character in value) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    number = ord(character)
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character) or (
        f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"
    )
