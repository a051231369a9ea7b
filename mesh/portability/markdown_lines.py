"""What each line of a Markdown text is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

BLANK, HEADING, BREAK, ITEM, TEXT, CODE = "blank heading break item text code".split()

_HEADING = re.compile(r" {0,3}(#{1,6})(?:\s|\Z)")
_UNDERLINE = re.compile(r" {0,3}(?:(=+)|-+)\s*\Z")
_BREAK = re.compile(r" {0,3}([-*_])(?:\s*\1){2,}\s*\Z")
MARKER = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])(?:\s+|\Z)")
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file, a heading with the line under it, or a whole block of code."""

    kind: str
    text: str
    number: int  # from 1
    indent: int = 0  # columns
    level: int = 0  # of a heading, 1 the highest


class Lines:
    """Says what each line of a file is."""

    def __init__(self, rows: list[str]) -> None:
        self._rows = rows
        self._last_end_of_comment = max((at for at, row in enumerate(rows) if "-->" in row), default=-1)
        self._never_closed: dict[str, int] = {}  # the shortest fence of each sign that has no end further down

    def __iter__(self) -> Iterator[Line]:
        """All but front matter and comments."""
        at, before = self._end_of_front_matter(), BLANK
        while at < len(self._rows):
            end = self._end_of_comment(at)
            if end is not None:
                at = end
                continue
            line = self._line(at, before)
            yield line
            before = line.kind
            at += line.text.count("\n") + 1

    def _line(self, at: int, before: str) -> Line:
        row = self._rows[at]
        kind, level, end = TEXT, 0, at + 1
        if not row.strip():
            kind = BLANK
        elif close := self._end_of_code(at):
            kind, end = CODE, close
        elif found := _HEADING.match(row):
            kind, level = HEADING, len(found[1])
        elif _BREAK.match(row):
            kind = BREAK
        elif MARKER.match(row):
            kind = ITEM
        elif before not in (TEXT, ITEM) and (level := self._level_by_underline(at)):
            kind, end = HEADING, at + 2
        return Line(kind, "\n".join(self._rows[at:end]), at + 1, _indent(row), level)

    def _level_by_underline(self, at: int) -> int:
        """Of a heading that is one by the line under it; 0 for what is none."""
        found = _UNDERLINE.match(self._rows[at + 1]) if at + 1 < len(self._rows) else None
        return 0 if not found or _indent(self._rows[at]) >= 4 else 1 if found[1] else 2

    def _end_of_front_matter(self) -> int:
        if self._rows[0].rstrip() != "---":
            return 0
        return next((at + 1 for at in range(1, len(self._rows)) if self._rows[at].rstrip() == "---"), 0)

    def _end_of_code(self, at: int) -> int:
        """The line after the block of code that begins here; 0 if none does, or it has no end."""
        fence = _FENCE.match(self._rows[at])
        sign, length = (fence[1][0], len(fence[1])) if fence else ("", 0)
        if not fence or length >= self._never_closed.get(sign, length + 1):
            return 0
        for end in range(at + 1, len(self._rows)):
            row = self._rows[end].strip()
            if len(row) >= length and not row.strip(sign):
                return end + 1
        self._never_closed[sign] = length
        return 0

    def _end_of_comment(self, at: int) -> int | None:
        """Where it goes on after a comment that begins here; None if none does. What follows it in its line stays."""
        if at > self._last_end_of_comment or not self._rows[at].lstrip().startswith("<!--"):
            return None
        while "-->" not in self._rows[at]:
            at += 1
        self._rows[at] = self._rows[at].rpartition("-->")[2]
        return at if self._rows[at].strip() else at + 1


def _indent(row: str) -> int:
    wide = row.expandtabs(4)
    return len(wide) - len(wide.lstrip())
