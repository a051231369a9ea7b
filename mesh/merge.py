"""One memory in three versions: what it becomes. Bytes in, bytes out; no disk, no git, no clock.

The result is the same bytes whichever side is called ours, and to merge it with either side again changes nothing:
no result is given that fails this. Where no rule is safe, both sides are kept whole: one stays the memory, the other
becomes its rival (`rivals.py`). What cannot be read is never rewritten. docs/MERGING.md has the rules.

In a git merge driver (`%O %A %B`) only one file can be written. There a conflict is git's own, which every tool knows:

    result = merge(base, ours, theirs)
    if result.rival is None:  # one memory, or its deletion
        write(result.data)
        return 0
    write(marked(base, ours, theirs))  # git stops, and a person decides
    return 1

Whoever commits the markers all the same spoils nothing: such a file is refused by every reader, and `sides` takes it
apart again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from . import codec, field_merge, line_merge
from .errors import MalformedMemory
from .field_merge import SETS, NoRule, Version
from .front_matter import Document, FrontMatterError, edited, split
from .front_matter.edit import Change
from .memory import normalised

Side = Literal["", "ours", "theirs", "both"]


@dataclass(frozen=True, slots=True)
class Merged:
    """What a memory becomes.

    `data` is its file, None if it is deleted. `rival`: the other side whole, where both cannot be one. `kept`: one
    side deleted what the other changed, and the change stays. `broken`: the sides that cannot be read; the one that
    can is in `data`.
    """

    data: bytes | None
    rival: bytes | None = None
    kept: bool = False
    broken: Side = ""


def merge(base: bytes | None, ours: bytes | None, theirs: bytes | None) -> Merged:
    """Merge a memory's file in three versions; None: there is none."""
    if ours in (theirs, base) or theirs == base:
        return Merged(theirs if ours == base else ours)
    if ours is None or theirs is None:
        return Merged(theirs if ours is None else ours, kept=True)
    one, other = version(ours), version(theirs)
    if one is None or other is None:
        return _broken(ours, theirs, one, other)
    first, second = sorted((one, other), key=_order)
    text = _combined(version(base), first, second)
    if text is None:
        return Merged(first.text.encode(), rival=second.text.encode())
    return Merged(text.encode())


def version(data: bytes | None) -> Version | None:
    """A version that can be read; None for one that cannot, and where there is none."""
    try:
        return None if data is None else Version.of(codec.decode(data, ""))
    except MalformedMemory:
        return None


def _order(one: Version) -> tuple[tuple[float, str], str]:
    return one.rank, one.text


def _broken(ours: bytes, theirs: bytes, one: Version | None, other: Version | None) -> Merged:
    if one:
        return Merged(ours, rival=theirs, broken="theirs")
    if other:
        return Merged(theirs, rival=ours, broken="ours")
    return Merged(min(ours, theirs), rival=max(ours, theirs), broken="both")


# --- one text from two -----------------------------------------------------------------------------------------


def _combined(base: Version | None, first: Version, second: Version) -> str | None:
    """A text that has what both sides changed, and that a further merge with either does not change."""

    def stable(text: str) -> bool:
        pairs = [sorted((Version.of(text), side), key=_order) for side in (first, second) if side.text != text]
        return all(next(_candidates(base, *pair), None) == text for pair in pairs) and (not base or base.text != text)

    return next(filter(stable, _candidates(base, first, second)), None)


def _candidates(base: Version | None, first: Version, second: Version) -> Iterator[str]:
    """Texts with the merged keys and body, the one that keeps most of both headers first."""
    newline = _newline(base, first, second)
    if newline:
        base, first, second = base and _with_lf(base), _with_lf(first), _with_lf(second)
    try:
        values = field_merge.merged(base, first, second)
    except NoRule:
        return
    body = _body(base, first, second)
    if body is None:
        return
    sides = (first, second)
    clean, *others = (_written(frame, values, body, sides) if frame else None for frame in _frames(base, *sides))
    complete = sorted(text for text in others if text in (first.text, second.text))  # a side that lacks nothing
    for text in (clean, *complete, *others):
        if text is not None:
            yield text.replace("\n", newline) if newline else text


def _newline(base: Version | None, first: Version, second: Version) -> str:
    """The line end to be; "" if one version has both kinds, so that every line keeps its own."""
    texts = [one.text if one else "" for one in (base, first, second)]
    if any(text.count("\r\n") not in (0, text.count("\n")) for text in texts):
        return ""
    had, *have = ("\r\n" in text for text in texts)
    return "\r\n" if _flag(had if base else None, *have) else "\n"


def _with_lf(one: Version) -> Version:
    return Version.of(one.text.replace("\r\n", "\n"))


def _flag(base: bool | None, one: bool | None, other: bool | None) -> bool:
    """Yes or no in three versions; without a base, yes needs both."""
    return bool(one) if one == other else not (base is None or base)


def _body(base: Version | None, first: Version, second: Version) -> str | None:
    """The merged body; None for a conflict."""
    bodies = [one.document.body if one else None for one in (base, first, second)]
    if first.memory.content == second.memory.content and bodies[0] not in bodies[1:]:
        return min(first.document.body, second.document.body)
    old, one, other = bodies
    if old is None or one is None or other is None:
        return None
    lines = line_merge.merged(*(body.removesuffix("\n").split("\n") for body in (old, one, other)))
    ended = _flag(*(body.endswith("\n") for body in (old, one, other)))
    return None if lines is None else "\n".join(lines) + "\n" * ended


def _frames(base: Version | None, first: Version, second: Version) -> list[Document | None]:
    """What may stand around the body: the lines of both headers merged, if they can be; and where they cannot, with
    the lines of `first`; one side's header; the base's."""
    sides = [one.document for one in (first, second)]
    had = base.document if base else split("")
    bom = "\ufeff" * _flag(bool(had.bom) if base else None, *(bool(side.bom) for side in sides))
    fenced = [replace(side, bom=bom) for side in sides if side.opening] or [replace(sides[0], bom=bom)]
    headers = [side.header.split("\n")[:-1] for side in (had, *sides)]
    clean = line_merge.merged(*headers)
    chunks = line_merge.chunks(*headers)
    mixed = [line for chunk in chunks for line in (chunk.one if chunk.merged is None else chunk.merged)]

    def with_header(lines: Sequence[str]) -> Document:
        return replace(fenced[0], header="".join(f"{line}\n" for line in lines))

    return [None if clean is None else with_header(clean), with_header(mixed), *fenced, with_header(headers[0])]


def _written(frame: Document, values: Mapping[str, Change], body: str, sides: Sequence[Version]) -> str | None:
    """The text with this header, these keys and this body; None if the header cannot be given them."""
    try:
        document = _with_lines_of(sides, split(replace(frame, body="").text), values)
        document = edited(document, {key: _spelt(document, key, value) for key, value in values.items()})
        result = Version.of(document.with_body(body).text)
        understood = result.memory.content == normalised(body)
    except (FrontMatterError, MalformedMemory):
        return None
    return result.text if understood else None


def _with_lines_of(sides: Sequence[Version], document: Document, values: Mapping[str, Change]) -> Document:
    """The document with a side's own lines for a key that has that side's value, and new keys in the alphabet's order.

    So nobody's spelling changes, and the order does not hang on who is who.
    """
    lines, fields = document.header.split("\n")[:-1], document.fields
    for key in sorted(values, key=lambda key: (-fields.lines.get(key, -1), key)):
        value, at = values[key], fields.lines.get(key, len(lines))
        spelt = [_lines_of(side.document, key) for side in sides if value is not None and side.raw(key) == value]
        if key not in fields.values and value is not None and not spelt:
            spelt = [_lines_of(edited(split(""), {key: value}), key)]
        if spelt and fields.values.get(key) != value:
            lines[at : fields.ends.get(key, at) + 1] = min(spelt)
    return split(replace(document, header="".join(f"{line}\n" for line in lines)).text)


def _lines_of(document: Document, key: str) -> list[str]:
    return document.header.split("\n")[document.fields.lines[key] : document.fields.ends[key] + 1]


def _spelt(document: Document, key: str, value: Change) -> Change:
    """A set in the form that it has in the header, where that can hold it: `a, b` or a single word."""
    was = document.fields.values.get(key)
    if key not in SETS or not isinstance(value, list) or isinstance(was, list):
        return value
    if key != "tags":
        return value[0] if len(value) == 1 else value
    plain = isinstance(was, str) and was not in codec.NOTHING and not any("," in str(tag) for tag in value)
    return ", ".join(map(str, value)) if plain else value


# --- where only one file can be written --------------------------------------------------------------------------


def marked(base: bytes | None, ours: bytes, theirs: bytes) -> bytes:
    """Both sides in one file, with git's markers around what both changed: what a merge driver leaves for a person.

    Where a side is no text, or has such markers already, it is `ours` as it is: so git does with what is not text.
    """
    try:
        texts = [(data or b"").decode().replace("\r\n", "\n") for data in (base, ours, theirs)]
    except UnicodeDecodeError:
        return ours
    if any(map(codec.conflict_line, texts[1:])):
        return ours
    old, one, other = (text.removesuffix("\n").split("\n") for text in texts)
    newline = "\r\n" if b"\r\n" in ours else "\n"
    lines = line_merge.with_markers(old, one, other, ("ours", "theirs"))
    return (newline.join(lines) + newline).encode()


def sides(data: bytes) -> tuple[bytes, bytes] | None:
    """The two versions in a file with conflict markers; None if there are none, or they do not pair."""
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        return None
    found = line_merge.without_markers(lines)
    return ("\n".join(found[0]).encode(), "\n".join(found[1]).encode()) if found else None
