"""Change keys of a header and nothing else.

Each change rewrites the lines of one key, or adds or drops them. The result is parsed again: unless exactly the
wanted keys changed, the edit is refused and the caller's text stays as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from .document import Document, FrontMatterError, split
from .parse import Fields, Value

Change = str | Sequence[str] | None

_SAFE_PLAIN = re.compile(r"[^\W_](?:[^:#\n]|:(?=\S)|(?<=\S)#)*(?<![\s:])\Z")
_SAFE_ITEM = re.compile(r"[^\W_](?:[\w ./+@()-]*[\w./+@()-])?\Z")
# What a YAML reader with types would not take for a string.
_TYPED = re.compile(
    r"(?i:true|false|yes|no|on|off|y|n|null|nan|inf)\Z|[-+.]?\d[\d_.,:eExXoO+-]*\Z|0[xX][0-9a-fA-F]+\Z|\d{4}-\d\d?-\d\d?"
)
_TYPED_KEYS = frozenset({"created", "updated", "expires", "confidence", "local_only"})
_ONE_LINE = re.compile(
    r"""(?P<key>[^\s:#][^:]*?:[ ]*)
        (?P<value>'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|\[[^\]\n]*\]|(?:(?!\s\#)[^\n])*?)
        (?P<rest>[ \t]*(?:[ \t]\#[^\n]*)?)\Z""",
    re.VERBOSE,
)


def edited(document: Document, changes: Mapping[str, Change]) -> Document:
    """The document with `changes` made: a string or list sets a key, None drops it.

    Raises `FrontMatterError` where that cannot be done without touching other lines.
    """
    wanted = _wanted(document.fields, changes)
    if wanted == document.fields.values:
        return document
    newline = document.newline
    lines = document.header.replace("\r\n", "\n").split("\n")[:-1] if document.header else []
    fields = document.fields
    for key in sorted(changes, key=lambda key: -fields.lines.get(key, -1)):
        if wanted.get(key) != fields.values.get(key):
            _change(lines, fields, key, changes[key])
    header = "".join(line + newline for line in lines)
    if document.opening:
        result = replace(document, header=_with_old_line_ends(document.header, header))
    else:
        result = replace(document, opening=f"---{newline}", header=header, closing=f"---{newline}")
    return _checked(result, wanted)


def _wanted(fields: Fields, changes: Mapping[str, Change]) -> dict[str, Value]:
    wanted = dict(fields.values)
    for key, value in changes.items():
        if value is None:
            wanted.pop(key, None)
        else:
            wanted[key] = value if isinstance(value, str) else list(value)
    return wanted


def _checked(result: Document, wanted: dict[str, Value]) -> Document:
    again = split(result.text)
    if again.fields.values != wanted or again.body != result.body:
        raise FrontMatterError(1, "this front matter cannot be changed without touching other lines")
    return again


def _with_old_line_ends(old: str, new: str) -> str:
    """Give unchanged lines back the line ends they had, where a file mixes them."""
    if "\r\n" not in old or old.count("\r\n") == old.count("\n"):
        return new
    ends = {line.rstrip("\r\n"): line[len(line.rstrip("\r\n")) :] for line in old.splitlines(keepends=True)}
    return "".join(line.rstrip("\r\n") + ends.get(line.rstrip("\r\n"), "\n") for line in new.splitlines(keepends=True))


def _change(lines: list[str], fields: Fields, key: str, value: Change) -> None:
    """Make one change in `lines`. Changes come from the last key to the first, so earlier numbers stay right."""
    if key not in fields.lines:
        if value is not None:
            lines.append(f"{key}: {_fresh(key, value)}")
        return
    start = fields.lines[key]
    stop = _end_of(lines, fields, start)
    if value is None:
        del lines[start:stop]
    elif stop - start == 1 and (match := _ONE_LINE.match(lines[start])):
        space = "" if match["key"].endswith(" ") else " "
        lines[start] = match["key"] + space + _in_style_of(match["value"], key, value) + match["rest"]
    elif isinstance(value, str) or not _rewrite_block_list(lines, start, stop, fields.values[key], value):
        lines[start:stop] = [f"{lines[start].partition(':')[0]}: {_fresh(key, value)}"]


def _end_of(lines: list[str], fields: Fields, start: int) -> int:
    """One past the last line of the key on line `start`: comments and blank lines after it are not its own."""
    later = [number for number in fields.lines.values() if number > start]
    stop = min(later, default=len(lines))
    while stop > start + 1 and (not lines[stop - 1].strip() or lines[stop - 1].startswith("#")):
        stop -= 1
    return stop


def _rewrite_block_list(lines: list[str], start: int, stop: int, old: Value, new: Sequence[str]) -> bool:
    """Keep the lines of items that stay, drop the others', add new ones at the same indentation."""
    item_lines = [number for number in range(start + 1, stop) if re.match(r" *- ", lines[number])]
    if not isinstance(old, list) or len(item_lines) != len(old) or not new:
        return False
    indent = lines[item_lines[0]].partition("-")[0]
    line_of = {item: number for item, number in zip(old, item_lines, strict=True) if isinstance(item, str)}
    block = [line_of[item] for item in new if item in line_of]
    if block != sorted(block) or len(set(new)) != len(new):
        return False
    gone = {number for number in item_lines if number not in set(block)}
    added = [f"{indent}- {_quoted_if_needed(item, flow=False)}" for item in new if item not in line_of]
    lines[start + 1 : stop] = [lines[n] for n in range(start + 1, stop) if n not in gone] + added
    return True


def _in_style_of(old: str, key: str, value: str | Sequence[str]) -> str:
    """The value, quoted as the old one was; items of a flow list that stay keep their spelling."""
    if isinstance(value, str):
        if old.startswith("'") and "'" not in value and value.isprintable():
            return f"'{value}'"
        return _double_quoted(value) if old.startswith(('"', "'")) else _fresh(key, value)
    if old.startswith("["):
        spelt = {part.strip().strip("'\""): part.strip() for part in old[1:-1].split(",")}
        return "[" + ", ".join(spelt.get(item) or _quoted_if_needed(item, flow=True) for item in value) + "]"
    return _fresh(key, value)


def _fresh(key: str, value: str | Sequence[str]) -> str:
    """The value as Mesh writes it: plain where every YAML reader sees the same string, quoted otherwise."""
    if not isinstance(value, str):
        return "[" + ", ".join(_quoted_if_needed(item, flow=True) for item in value) + "]"
    if key in _TYPED_KEYS and re.fullmatch(r"[\w.:+-]+", value):
        return value
    return _quoted_if_needed(value, flow=False)


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
