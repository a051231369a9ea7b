"""The YAML between the fences, as strings.

Two parsers that agree: a strict one for the flat keys that nearly every file has (microseconds), and one over
PyYAML's event stream for the rest. Neither ever guesses a type: every scalar is the characters that stand there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml

Value = str | list["Value"] | dict[str, "Value"]

MAX_CHARACTERS = 65_536
MAX_DEPTH = 8


class FrontMatterError(Exception):
    """Front matter that is refused. `line` counts from 0 at the first line of the header."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line, self.reason = line, reason


@dataclass(frozen=True, slots=True)
class Fields:
    """The top-level keys of a header: their values, and the first and last line of each, from 0."""

    values: dict[str, Value]
    lines: dict[str, int]
    ends: dict[str, int]


def parse(header: str) -> Fields:
    """The keys of a header. Raises `FrontMatterError`."""
    if len(header) > MAX_CHARACTERS:
        raise FrontMatterError(0, f"front matter is longer than {MAX_CHARACTERS:,} characters")
    if odd := _OTHER_LINE_END.search(header):
        line = header.count("\n", 0, odd.start())
        raise FrontMatterError(line, "front matter holds a line end that is neither LF nor CRLF")
    fields = parse_strict(header)
    return fields if fields is not None else parse_yaml(header)


# --- the strict parser -------------------------------------------------------------------------------------

_OTHER_LINE_END = re.compile("[\r\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f]")
_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_-]{0,99}):(?: +(.*))?\Z")
_ITEM = re.compile(r"( *)- +(.*)\Z")
# A plain scalar that needs no second thought: no indicator in front, no `: `, ` #` or final colon inside.
_PLAIN = re.compile(r"(?![-?:,\[\]{}#&*!|>'\"%@`=])(?:[^:#]|:(?=[^\s])|(?<=\S)#)+\Z")
_FLOW_ITEM = re.compile(r"[^\s\-?:,\[\]{}#&*!|>'\"%@`=][^,\[\]{}:#'\"\n]*\Z")


def parse_strict(header: str) -> Fields | None:
    """The keys of a flat header, or None where only a YAML parser should decide."""
    if _CONTROL.search(header) or (not header.isascii() and _unusual().search(header)):
        return None
    fields = Fields({}, {}, {})
    open_key, indent = "", ""  # the key whose block list may follow, and how its items are indented
    for number, line in enumerate(header.split("\n")):
        text = line.strip(" ")
        if not text or text.startswith("#"):
            continue
        if open_key and (item := _ITEM.match(line)):
            if not _add_item(fields, open_key, item, indent):
                return None
            indent, fields.ends[open_key] = item[1], number
        elif (key := _KEY.match(line)) and key[1] not in fields.values:
            value = _value(key[2] or "")
            if value is None:
                return None
            fields.values[key[1]] = value
            fields.lines[key[1]] = fields.ends[key[1]] = number
            open_key = key[1] if value == "" and (key[2] or "#").startswith("#") else ""
        else:
            return None
    return fields


@cache
def _unusual() -> re.Pattern[str]:
    """Characters beyond ASCII that YAML might treat in a way of its own. Compiled when first needed: it takes 5 ms."""
    return re.compile("[^\n -~\u00a1-\u1fff\u2030-\ud7ff\U00010000-\U0001ffff]")


def _add_item(fields: Fields, key: str, item: re.Match[str], indent: str) -> bool:
    """Append a block list's item to `key`; False if it is not a plain one-line item at the list's indentation."""
    items, value = fields.values[key], _scalar(item[2])
    if value is None or (isinstance(items, list) and item[1] != indent):
        return False
    fields.values[key] = [*items, value] if isinstance(items, list) else [value]
    return True


def _value(text: str) -> Value | None:
    return _flow_list(text) if text.startswith("[") else _scalar(text)


def _scalar(text: str) -> str | None:
    """The value of a one-line scalar, its comment dropped; None if it is not that simple."""
    if text[:1] in {"'", '"'}:
        quote = text[0]
        end = text.find(quote, 1)
        inner = text[1:end]
        if end < 0 or "\\" in inner or text[end + 1 : end + 2] == quote:
            return None
        rest = text[end + 1 :]
        return inner if not rest.strip() or re.match(r" +#", rest) else None
    comment = re.search(r"(?:^| )#", text)
    plain = (text[: comment.start()] if comment else text).strip(" ")
    if not plain:
        return ""
    return plain if _PLAIN.match(plain) and not plain.endswith(":") else None


def _flow_list(text: str) -> list[Value] | None:
    end = text.find("]")
    rest = text[end + 1 :]
    if end < 0 or (rest.strip() and not re.match(r" +#", rest)):
        return None
    inner = text[1:end].strip(" ")
    if not inner:
        return []
    items: list[Value] = []
    for part in inner.split(","):
        item = part.strip(" ")
        if item[:1] in {"'", '"'} and len(item) > 1 and item[-1] == item[0]:
            item = item[1:-1]
            if re.search(r"['\"\\,\[\]]", item):
                return None
        elif not _FLOW_ITEM.match(item):
            return None
        items.append(item)
    return items


# --- the YAML parser ---------------------------------------------------------------------------------------


def parse_yaml(header: str) -> Fields:
    """The keys of any header that YAML can read. Raises `FrontMatterError` for what FORMAT.md refuses."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Reader(iter(yaml.parse(header, Loader=loader))).read()
    except yaml.YAMLError as error:
        # Of an unclosed bracket or quote the line where it opens helps, not the one where the parser gave up.
        unclosed = any(word in (getattr(error, "context", None) or "") for word in ("flow", "quoted"))
        mark = getattr(error, "context_mark" if unclosed else "problem_mark", None)
        reason = getattr(error, "problem", None) or "it holds a character that YAML does not allow"
        raise FrontMatterError(mark.line if mark else 0, f"not valid YAML: {reason}") from error
    except (ValueError, RecursionError) as error:
        raise FrontMatterError(0, f"not valid YAML: {error}") from error


def _line(event: yaml.Event) -> int:
    return event.start_mark.line if event.start_mark else 0


def _last_line(event: yaml.Event) -> int:
    """The last line that an event stands on: its end mark, or the line before if that is a line's beginning."""
    mark = event.end_mark
    return mark.line - (mark.column == 0 and mark.line > _line(event)) if mark else 0


class _Reader:
    """Builds strings, lists and dicts from YAML events, refusing everything that could mean something else."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._lines: dict[str, int] = {}
        self._ends: dict[str, int] = {}
        self._last = 0  # the last line of the node that was read last

    def read(self) -> Fields:
        import yaml

        values: Value = {}
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if event.version or event.tags or documents > 1:
                    what = "a second document" if documents > 1 else "a directive"
                    raise FrontMatterError(_line(event), f"front matter must not hold {what}")
                values = self._node(next(self._events), depth=1)
        if values == "":
            values = {}
        if not isinstance(values, dict):
            raise FrontMatterError(0, "front matter is not a list of 'key: value' lines")
        return Fields(values, self._lines, self._ends)

    def _node(self, event: yaml.Event, depth: int) -> Value:
        import yaml

        line, self._last = _line(event), _last_line(event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise FrontMatterError(line, "anchors and aliases (& and *) are not allowed")
        if tag := getattr(event, "tag", None):
            raise FrontMatterError(line, f"tags ({tag}) are not allowed")
        if isinstance(event, yaml.ScalarEvent):
            return str(event.value)
        if depth > MAX_DEPTH:
            raise FrontMatterError(line, f"nested deeper than {MAX_DEPTH}")
        flow = bool(getattr(event, "flow_style", False))
        return self._sequence(depth, flow) if isinstance(event, yaml.SequenceStartEvent) else self._mapping(depth, flow)

    def _sequence(self, depth: int, flow: bool) -> list[Value]:
        import yaml

        items: list[Value] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        self._note_end(event, flow)
        return items

    def _mapping(self, depth: int, flow: bool) -> dict[str, Value]:
        import yaml

        pairs: dict[str, Value] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = _line(event)
            key = self._node(event, depth + 1)
            if not isinstance(key, str):
                raise FrontMatterError(line, "a key must be a word")
            if key == "<<":
                raise FrontMatterError(line, "merge keys (<<) are not allowed")
            if key in pairs:
                raise FrontMatterError(line, f"the key {key!r} stands there twice")
            pairs[key] = self._node(next(self._events), depth + 1)
            if depth == 1:
                self._lines[key], self._ends[key] = line, max(line, self._last)
        self._note_end(event, flow)
        return pairs

    def _note_end(self, event: yaml.Event, flow: bool) -> None:
        """A flow collection ends at its bracket, a block with its last node: comments after are not its own."""
        if flow:
            self._last = _last_line(event)
