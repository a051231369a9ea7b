"""A memory's text taken apart without losing a character."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from .parse import Fields, FrontMatterError, Value, parse

__all__ = ["Document", "FrontMatterError", "Value", "split"]

_OPENING = re.compile(r"(\ufeff?)(---[ \t]*\r?\n)")
_CLOSING = re.compile(r"^---[ \t]*(?:\r?\n|\Z)", re.MULTILINE)
# A key before the first blank line: whoever wrote it meant front matter.
_HOLDS_A_KEY = re.compile(r"(?:[ \t]*\S[^\n]*\n)*?[^\W\d][\w-]*[ \t]*:(?:\s|\Z)")


@dataclass(frozen=True, slots=True)
class Document:
    """`bom + opening + header + closing + body` is the text; the middle three are empty without front matter."""

    bom: str
    opening: str
    header: str
    closing: str
    body: str
    fields: Fields

    @property
    def text(self) -> str:
        return self.bom + self.opening + self.header + self.closing + self.body

    @property
    def newline(self) -> str:
        """The file's own line end: that of its first line, LF for a file of one line."""
        first = self.text.partition("\n")[0]
        return "\r\n" if first.endswith("\r") else "\n"

    def with_body(self, body: str) -> Document:
        """The document with another body, and with front matter if the body would be mistaken for some without."""
        closed = self.closing if self.closing.endswith("\n") or not self.closing else self.closing + self.newline
        changed = replace(self, closing=closed, body=body)
        if (not self.opening and _OPENING.match(changed.text)) or body.startswith("\ufeff"):
            newline = self.newline
            return replace(changed, opening=f"---{newline}", closing=f"---{newline}")
        return changed


def split(text: str) -> Document:
    """Take a text apart. Raises `FrontMatterError`, its line counted from 0 at the file's first line."""
    opening = _OPENING.match(text)
    if not opening:
        bom = text[: text.startswith("\ufeff")]
        return Document(bom, "", "", "", text[len(bom) :], Fields({}, {}, {}))
    closing = _CLOSING.search(text, opening.end())
    if not closing:
        if _HOLDS_A_KEY.match(text, opening.end()):
            raise FrontMatterError(0, "front matter is opened here and never closed")
        return Document(opening[1], "", "", "", text[opening.end(1) :], Fields({}, {}, {}))
    header = text[opening.end() : closing.start()]
    try:
        fields = parse(header.replace("\r\n", "\n"))
    except FrontMatterError as error:
        raise FrontMatterError(error.line + 1, error.reason) from error
    return Document(opening[1], opening[2], header, closing[0], text[closing.end() :], fields)
