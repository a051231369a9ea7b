"""Rules for agents as people write them: `CLAUDE.md`, `AGENTS.md` and the like.

item     a top-level bullet or numbered line with all that hangs on it: nested ones, further lines, code
prose    a run of paragraphs, tables or code that is no item
lead-in  a short prose that ends with a colon, before items: it says what they are about
trail    where something stands: `CLAUDE.md › Build › Tests`

Each item and each prose becomes a memory of type `instruction` with its trail as source. Front matter, comments and
lines that import another file (`@docs/style.md`) are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import inputs
from ..codec import MAX_FILE_BYTES
from ..errors import InvalidInput
from ..files import failures_reported
from ..memory import Memory, Problem
from . import fields
from .markdown_lines import BLANK, BREAK, CODE, HEADING, ITEM, MARKER, TEXT, Line, Lines
from .record import Record

MAX_LEAD_IN = 60
NESTED = 2  # columns further in than an item begins: what stands there hangs on it
BETWEEN = " › "

_EMPHASIS = re.compile(r"[*`]+|(?<!\w)_+|_+(?!\w)")


@dataclass(frozen=True, slots=True)
class Piece:
    """What becomes a memory. `trail`: the headings above it, and a lead-in."""

    text: str
    number: int
    trail: tuple[str, ...]
    title: str = ""


def read(source: Path) -> Iterator[Record | Problem]:
    """A memory for each item and each prose. Raises `InvalidInput` for what is too large or no text."""
    for piece in pieces(_text(source)):
        place = f"{source.name}:{piece.number}"
        try:
            yield Record(place, _memory(piece, source.name))
        except InvalidInput as error:
            yield fields.refused(place, error)


def pieces(text: str) -> Iterator[Piece]:
    """The items and proses of a Markdown text, in its order."""
    scan = _Scan()
    for line in Lines(text.split("\n")):
        yield from scan.take(line)
    yield from scan.finished()


def _text(source: Path) -> str:
    with failures_reported(str(source)), source.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise InvalidInput(f"it is larger than {MAX_FILE_BYTES:,} bytes", place=source.name, remedy="Split it")
    if b"\0" in data:
        raise InvalidInput("it is not text in UTF-8", place=source.name, remedy="Save the file as UTF-8")
    return data.decode("utf-8-sig", "surrogateescape").replace("\r\n", "\n")  # a bad byte spoils only its memory


def _memory(piece: Piece, name: str) -> Memory:
    return Memory(
        "",
        fields.content(piece.text),
        type="instruction",
        source=_joined([name, *(part for part in piece.trail if part != name)]),
        title=fields.word(piece.title, "title"),
    )


def _joined(trail: list[str]) -> str:
    """The trail as one line; without the outermost headings if it is too long."""
    while len(trail) > 2 and len(BETWEEN.join(trail)) > inputs.MAX_WORD:
        del trail[1]
    return fields.word(BETWEEN.join(trail), "source")


# --- pieces --------------------------------------------------------------------------------------------------


class _Scan:
    """Takes line after line, and gives each piece when it is whole."""

    def __init__(self) -> None:
        self._headings: list[tuple[int, str]] = []
        self._lead_in = ""
        self._lines: list[Line] = []  # of the piece that is open
        self._item: Line | None = None  # the first of them, if it is an item

    def take(self, line: Line) -> Iterator[Piece]:
        if self._belongs(line):
            self._lines.append(line)
        elif line.kind in (HEADING, BREAK):
            yield from self.finished()
            self._enter(line)
        elif line.kind == ITEM:
            yield from self.finished() if self._item else self._prose_before_items()
            self._item, self._lines = line, [line]
        elif line.kind != BLANK:
            yield from self.finished()
            self._lead_in = ""
            self._lines = [line]

    def finished(self) -> Iterator[Piece]:
        """The piece that is open, if it says anything."""
        item, lines = self._item, self._lines
        self._item, self._lines = None, []
        text = _without_marker(item, lines) if item else "\n".join(line.text for line in lines if not _imports(line))
        if text.strip() and not _is_import(text):
            heading = self._headings[-1][1] if self._headings and not item else ""
            yield Piece(text.strip("\n"), lines[0].number, self._trail(), heading)

    def _trail(self) -> tuple[str, ...]:
        trail = [heading for _, heading in self._headings] + [self._lead_in]
        return tuple(part for part in trail if part)

    def _enter(self, line: Line) -> None:
        self._lead_in = ""
        if line.kind == HEADING:
            self._headings = [above for above in self._headings if above[0] < line.level]
            self._headings.append((line.level, _heading(line.text)))

    def _belongs(self, line: Line) -> bool:
        """Whether a line goes on with the piece that is open; to an item, what stands further in or follows at once."""
        if self._item is None or line.kind == BLANK:
            return bool(self._lines) and line.kind in (TEXT, CODE, BLANK)
        at_once = line.kind in (TEXT, CODE) and self._lines[-1].kind != BLANK
        return at_once or line.indent >= self._item.indent + NESTED

    def _prose_before_items(self) -> Iterator[Piece]:
        """The prose that is open, without a lead-in at its end, which is kept for the items."""
        while self._lines and self._lines[-1].kind == BLANK:
            self._lines.pop()
        last = len(self._lines)
        while last and self._lines[last - 1].kind == TEXT:
            last -= 1
        said = _plain(" ".join(line.text for line in self._lines[last:]))
        if said.endswith(":") and len(said) <= MAX_LEAD_IN:
            del self._lines[last:]
            yield from self.finished()
            self._lead_in = said.rstrip(": ")
        else:
            yield from self.finished()


def _without_marker(item: Line, lines: Sequence[Line]) -> str:
    """An item's text, as far out as it can stand."""
    found = MARKER.match(item.text)
    end = found.end() if found else 0
    columns = len(item.text[:end].rstrip().expandtabs(4)) + 1
    rows = (row for line in lines[1:] for row in line.text.split("\n"))
    return "\n".join([item.text[end:], *(_outdented(row, columns) for row in rows)])


def _outdented(row: str, columns: int) -> str:
    if row.startswith(" " * columns):
        return row[columns:]
    bare = row.lstrip()
    return row[: len(row) - len(bare)].expandtabs(4)[columns:] + bare


def _heading(text: str) -> str:
    """A heading without its marks: `Build` of `## Build ##` and of `Build` underlined."""
    said = text.split("\n")[0].strip().lstrip("#").strip()
    bare = said.rstrip("#")
    return _plain(bare if not bare or bare[-1].isspace() else said)


def _plain(text: str) -> str:
    """Without emphasis and code marks, cut to what can be a line."""
    return " ".join(_EMPHASIS.sub("", text[: 4 * inputs.MAX_WORD]).split())


def _imports(line: Line) -> bool:
    return line.kind == TEXT and _is_import(line.text)


def _is_import(text: str) -> bool:
    said = text.strip()
    return said.startswith("@") and len(said.split(maxsplit=1)) == 1 and any(sign in said for sign in "./~\\")
