"""Between the bytes of a file and a `Memory`: what `docs/FORMAT.md` says, and nothing of its own.

Reading never guesses: a known key in a wrong form becomes a `Problem` and counts as absent; a file that cannot be
understood raises `MalformedMemory`. Writing changes only the lines it must.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from .errors import MalformedMemory
from .front_matter import Document, FrontMatterError, Value, edited, split
from .front_matter.edit import Change
from .memory import DEFAULT_TYPE, ID_FORM, TYPES, Memory, Problem, decimal, derived_id, iso, normalised, plain_tag

T = TypeVar("T")

MAX_FILE_BYTES = 1 << 20

NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:\d\d)?)?\Z", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)\Z", re.ASCII)


def decode(data: bytes, path: str) -> str:
    """The text of a file. Raises `MalformedMemory` for what is not readable text, or an unresolved merge."""
    if len(data) > MAX_FILE_BYTES:
        raise MalformedMemory(path, 1, f"larger than {MAX_FILE_BYTES:,} bytes", "Split it into several memories")
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise MalformedMemory(path, line, "holds a NUL byte; this is not text")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise MalformedMemory(path, line, "not valid UTF-8", "Save the file as UTF-8") from error
    if "<<<<<<< " in text and (line := conflict_line(text)):
        raise MalformedMemory(path, line, "an unresolved merge conflict", "Choose a side and delete the markers")
    return text


def conflict_line(text: str) -> int:
    """The line, from 1, on which an unresolved merge begins; 0 if there is none."""
    wanted, begins = ("<<<<<<< ", "=======", ">>>>>>> "), 0
    step = 0
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        line = line.removesuffix("\r")
        if step == 1 and line == wanted[1]:
            step = 2
        elif step != 1 and line.startswith(wanted[step]):
            if step == 2:
                return begins
            begins, step = number, 1
    return 0


def read(data: bytes, path: str) -> Memory:
    """The memory in a file. `path` is its place in the home. Raises `MalformedMemory` for a refused file."""
    document = _split(decode(data, path), path)
    return _Typed(path, document).memory()


def revise(data: bytes, path: str, changes: Mapping[str, Change], content: str | None = None) -> bytes:
    """The file with some keys set (None or nothing drops one) and, if given, other content.

    Raises `MalformedMemory` if the file, or what would become of it, cannot be understood.
    """
    document = _split(decode(data, path), path)
    try:
        document = edited(document, _needed(changes, document, path))
    except FrontMatterError as error:
        raise MalformedMemory(path, error.line + 1, error.reason) from error
    if content is None or normalised(content) == normalised(document.body):
        return document.text.encode("utf-8")
    text = document.with_body(_new_body(document, content)).text
    try:
        new = text.encode("utf-8")
        understood = read(new, path).content == normalised(content)
    except (UnicodeEncodeError, MalformedMemory) as error:
        raise MalformedMemory(path, 1, f"the new text cannot stand in a file ({error})", "Change it") from error
    if not understood:
        raise MalformedMemory(path, 1, "the new text cannot stand in a file as it is", "Change it")
    return new


def _needed(changes: Mapping[str, Change], document: Document, path: str) -> dict[str, Change]:
    """The changes that change what is read; a list is written as the string it was, if it was one."""
    memory = _Typed(path, document).memory()
    now = known_values(memory)
    for problem in memory.problems:  # such a key counts as absent, whatever is read for it
        now.pop(problem.key, None)
    needed: dict[str, Change] = {}
    for key, value in changes.items():
        wanted = [*value] if isinstance(value, (list, tuple)) else value
        if wanted and now.get(key) == wanted:
            continue
        before = document.fields.values.get(key)
        was_string = isinstance(before, str) and before not in NOTHING
        if key == "tags" and was_string and isinstance(wanted, list) and not any("," in tag for tag in wanted):
            wanted = ", ".join(map(str, wanted))
        needed[key] = wanted or None
    return needed


def render(memory: Memory) -> bytes:
    """A new file for `memory`: known keys that are not defaults, the user's own keys, the content."""
    return _rendered(memory).text.encode("utf-8")


def render_and_read(memory: Memory, path: str) -> tuple[bytes, Memory]:
    """A new file, and the memory that it is when it is read. Raises `MalformedMemory` if it cannot be one."""
    try:
        document = _rendered(memory)
        data = document.text.encode("utf-8")
    except FrontMatterError as error:
        raise MalformedMemory(path, error.line + 1, error.reason) from error
    except UnicodeEncodeError as error:
        raise MalformedMemory(path, 1, "it holds half a character (a lone surrogate)", "Give valid Unicode") from error
    decode(data, path)
    return data, _Typed(path, document).memory()


def _rendered(memory: Memory) -> Document:
    changes: dict[str, Change] = {}
    for key, value in {**known_values(memory), **memory.extra}.items():
        if value is not None:
            changes[key] = value
    return edited(split(""), changes).with_body(normalised(memory.content) + "\n")


def known_values(memory: Memory) -> dict[str, Change]:
    """Each known key as it is written in a file; None for a default."""

    def when(moment: datetime | None) -> str | None:
        return iso(moment) if moment else None

    return {
        "id": None if memory.derived_id else memory.id,
        "type": memory.type if memory.type != DEFAULT_TYPE else None,
        "tags": list(memory.tags) or None,
        "agent": memory.agent or None,
        "created": when(memory.created),
        "updated": when(memory.updated),
        "confidence": decimal(memory.confidence) if memory.confidence != 1 else None,
        "expires": when(memory.expires),
        "supersedes": _one_or_many(memory.supersedes),
        "source": memory.source or None,
        "evidence": _one_or_many(memory.evidence),
        "local_only": "true" if memory.local_only else None,
        "title": memory.title or None,
    }


def _one_or_many(values: tuple[str, ...]) -> Change:
    alone = len(values) == 1 and values[0] not in NOTHING  # a list that holds such a word is not nothing
    return values[0] if alone else list(values) or None


def _split(text: str, path: str) -> Document:
    try:
        return split(text)
    except FrontMatterError as error:
        raise MalformedMemory(path, error.line + 1, error.reason) from error


def _new_body(document: Document, content: str) -> str:
    """`content` in the place of the old one: the blank lines before it and the end of the file stay."""
    body, newline = document.body, document.newline
    lead = re.match(r"(?:[ \t]*\r?\n)*", body)
    before = lead[0] if lead else ""
    stripped = body.rstrip()
    after = body[len(stripped) :] if stripped else newline
    return before + normalised(content).replace("\n", newline) + after


def parse_time(text: str) -> datetime | None:
    """A date or time in the forms of FORMAT.md, in UTC; None if it is none of them."""
    match = _TIME.match(text)
    if not match:
        return None
    try:
        moment = datetime.fromisoformat(f"{match[1]}T{match[2] or '00:00'}{match[3] or 'Z'}")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


class _Typed:
    """Gives the known keys of one document their types and collects what is wrong with them."""

    def __init__(self, path: str, document: Document) -> None:
        self._path = path
        self._document = document
        self._rest = dict(document.fields.values)
        self._problems: list[Problem] = []

    def memory(self) -> Memory:
        content = normalised(self._document.body)
        if not content:
            self._report("", "holds no text", "Write its content, or delete the file")
        own_id = self._take("id", _as_id, "an id", "Write 4 to 64 letters, digits, '.', '_' or '-'")
        known = len(self._problems)
        local = self._take("local_only", _as_truth, "true or false", "Write local_only: true or drop the key")
        local = local or len(self._problems) > known  # what is not understood must not be shared
        return Memory(
            id=own_id or derived_id(self._path),
            content=content,
            path=self._path,
            type=self._type(),
            tags=self._take("tags", _as_tags, "a list of words", "Write tags: [one, two]") or (),
            agent=self._take("agent", _as_text, "a name", "Write one line of text") or "",
            created=self._time("created"),
            updated=self._time("updated"),
            confidence=self._confidence(),
            expires=self._time("expires"),
            supersedes=self._take("supersedes", _as_texts, "an id or a list of ids", "Write supersedes: <id>") or (),
            source=self._take("source", _as_text, "a line of text", "Write one line of text") or "",
            evidence=self._take("evidence", _as_texts, "a text or a list of texts", "Write evidence: <text>") or (),
            title=self._take("title", _as_text, "a line of text", "Write one line of text") or "",
            local_only=local or self._path.startswith("_local/"),
            derived_id=own_id is None,
            extra=self._rest,
            problems=tuple(self._problems),
        )

    def _take(self, key: str, convert: Callable[[Value], T | None], form: str, remedy: str) -> T | None:
        """The typed value of `key`, None if it is absent or has another form (which is then reported)."""
        value = self._rest.pop(key, "")
        if value in ([], {}) or (isinstance(value, str) and value in NOTHING):
            return None
        typed = convert(value)
        if typed is None:
            self._report(key, f"{key!r} is not {form} ({_shown(value)})", remedy)
        return typed

    def _time(self, key: str) -> datetime | None:
        moment: datetime | None = self._take(key, _as_time, "a date", "Write 2026-01-31 or 2026-01-31T12:00:00Z")
        return moment

    def _confidence(self) -> float:
        number = self._take("confidence", _as_confidence, "a number from 0 to 1", "Write confidence: 0.8")
        return 1.0 if number is None else number

    def _type(self) -> str:
        word = self._take("type", _as_text, "a word", f"Write one of: {', '.join(TYPES)}") or DEFAULT_TYPE
        if word not in TYPES:
            self._report("type", f"'type' is not one Mesh knows ({_shown(word)})", f"Known: {', '.join(TYPES)}")
        return word

    def _report(self, key: str, cause: str, remedy: str) -> None:
        line = self._document.fields.lines.get(key, -2) + 2
        self._problems.append(Problem(self._path, line, key, cause, remedy))


def _shown(value: Value) -> str:
    text = str(value)
    return f'"{text if len(text) <= 40 else text[:37] + "..."}"'


def _as_text(value: Value) -> str | None:
    return value if isinstance(value, str) else None


def _as_texts(value: Value) -> tuple[str, ...] | None:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        return None
    return tuple(str(item) for item in items if item)


def _as_tags(value: Value) -> tuple[str, ...] | None:
    texts = _as_texts([*value.split(",")] if isinstance(value, str) else value)
    if texts is None:
        return None
    return tuple(dict.fromkeys(tag for text in texts if (tag := plain_tag(text))))


def _as_id(value: Value) -> str | None:
    return value if isinstance(value, str) and ID_FORM.match(value) else None


def _as_time(value: Value) -> datetime | None:
    return parse_time(value) if isinstance(value, str) else None


def _as_truth(value: Value) -> bool | None:
    words = {"true": True, "yes": True, "false": False, "no": False}
    return words.get(value.lower()) if isinstance(value, str) else None


def _as_confidence(value: Value) -> float | None:
    if not isinstance(value, str) or not _NUMBER.match(value):
        return None
    number = float(value)
    return number if 0 <= number <= 1 else None
