"""What a caller may hand in. Each check returns the value as Mesh keeps it, or raises `InvalidInput`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from .codec import NOTHING, conflict_line, parse_time
from .errors import InvalidInput
from .memory import ID_FORM, TYPES, normalised, plain_tag

MAX_CONTENT_BYTES = 64 * 1024
MAX_QUERY_BYTES = 16 * 1024
MAX_TAGS = 32
MAX_WORD = 128
MAX_RESULTS = 1000
MAX_TTL_DAYS = 36_500

_NAMESPACE = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[1-9]|lpt[1-9])(?:\.|\Z)")
_AGO = re.compile(r"(\d{1,5})\s*(minutes?|m|hours?|h|days?|d|weeks?|w)(?:\s+ago)?\Z", re.IGNORECASE)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def namespace(name: str) -> str:
    """A namespace's name, folded to lower case. The rules are in FORMAT.md, section 1."""
    folded = name.strip().lower() if isinstance(name, str) else ""
    if not folded:
        raise InvalidInput("it is empty", place="namespace", remedy="Give a name such as 'shared'")
    shown = repr(folded if len(folded) <= 40 else folded[:37] + "...")
    if not _NAMESPACE.match(folded) or folded.endswith("."):
        raise InvalidInput(
            f"{shown} is not a name for a namespace",
            place="namespace",
            remedy="Use up to 63 of a-z, 0-9, '.', '_' and '-', starting with a letter or digit, not ending with '.'",
        )
    if _RESERVED.match(folded):
        raise InvalidInput(f"{shown} is a name that Windows reserves", place="namespace", remedy="Choose another name")
    return folded


def text(value: str, place: str) -> str:
    """Text that can stand in a UTF-8 file."""
    if not isinstance(value, str):
        raise InvalidInput(f"it is {type(value).__name__}, not text", place=place, remedy="Give a string")
    if "\0" in value:
        raise InvalidInput("it holds a NUL character", place=place, remedy="Remove it")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"it holds half a character (a lone surrogate) at position {error.start}",
            place=place,
            remedy="Give valid Unicode text",
        ) from error
    return value


def content(value: str) -> str:
    """The text of a memory."""
    kept = normalised(text(value, "content"))
    if not kept:
        raise InvalidInput("it is empty", place="content", remedy="Write what should be remembered")
    size = len(kept.encode("utf-8"))
    if size > MAX_CONTENT_BYTES:
        raise InvalidInput(
            f"it has {size:,} bytes, more than {MAX_CONTENT_BYTES:,}",
            place="content",
            remedy="Split it into several memories",
        )
    if line := conflict_line(kept):
        raise InvalidInput(
            f"line {line} begins an unresolved merge conflict",
            place="content",
            remedy="Indent such lines to quote them",
        )
    return kept


def query(value: str) -> str:
    """A question to recall by."""
    asked = text(value, "query").strip()
    if not asked:
        raise InvalidInput("it is empty", place="query", remedy="Ask for something")
    size = len(asked.encode("utf-8"))
    if size > MAX_QUERY_BYTES:
        raise InvalidInput(
            f"it has {size:,} bytes, more than {MAX_QUERY_BYTES:,}", place="query", remedy="Ask a shorter question"
        )
    return asked


def memory_type(value: str) -> str:
    if value not in TYPES:
        raise InvalidInput(f"{value!r} is not known", place="type", remedy=f"Use one of: {', '.join(TYPES)}")
    return value


def word(value: str, place: str) -> str:
    """One short line: an agent, a source, a title, a tag."""
    kept = text(value, place).strip()
    if kept and place != "tag" and kept in NOTHING:
        raise InvalidInput(f"{kept!r} means nothing in YAML", place=place, remedy="Give other text")
    if len(kept) > MAX_WORD or not kept.isprintable():
        raise InvalidInput(f"it is not one line of at most {MAX_WORD} characters", place=place, remedy="Shorten it")
    return kept


def agent(value: str) -> str:
    kept = word(value, "agent")
    if not kept:
        raise InvalidInput("it is empty", place="agent", remedy="Give a name such as 'coding-agent'")
    return kept


def tags(values: Iterable[str] | None) -> tuple[str, ...]:
    """Tags without `#`, each once, in the order given."""
    if isinstance(values, str):
        values = values.split(",")
    if values is not None and not isinstance(values, Iterable):
        raise InvalidInput(f"{values!r} is not a list of words", place="tags", remedy="Give a list")
    kept = tuple(dict.fromkeys(tag for value in values or () if (tag := plain_tag(word(value, "tag")))))
    if len(kept) > MAX_TAGS:
        raise InvalidInput(f"there are {len(kept)}, more than {MAX_TAGS}", place="tags", remedy="Use fewer")
    if bad := next((tag for tag in kept if "," in tag), None):
        raise InvalidInput(f"{bad!r} holds a comma", place="tag", remedy="Give two tags")
    return kept


def ids(values: str | Sequence[str] | None) -> tuple[str, ...]:
    found = tuple(values if isinstance(values, (list, tuple)) else () if values is None else [values])
    for value in found:
        if not isinstance(value, str) or not ID_FORM.match(value):
            raise InvalidInput(f"{value!r} is not an id", place="id", remedy="Give 4 or more characters of an id")
    return found


def fraction(value: float, place: str, low: float = 0.0) -> float:
    """A number from `low` to 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= 1:
        raise InvalidInput(f"{value!r} is not a number from {low:g} to 1", place=place, remedy="Give one, such as 0.8")
    return float(value)


def count(value: int, place: str = "n") -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_RESULTS:
        raise InvalidInput(f"{value!r} is not from 1 to {MAX_RESULTS:,}", place=place, remedy="Give such a number")
    return value


def interval(said: str, place: str) -> float:
    """A time between two rounds, in seconds: `90s`, `5m`, `2h`; from a second to a day."""
    match = re.fullmatch(r"(\d{1,6}) ?([smh])", said.strip().lower(), re.ASCII)
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]] if match else 0.0
    if not 1 <= seconds <= 86_400:
        raise InvalidInput(f"{said!r} is not from 1s to 24h", place=place, remedy="Write one such as 30s, 5m or 1h")
    return seconds


def sync_interval(said: str) -> float | None:
    """What `MESH_SYNC_EVERY` says, in seconds; None: it is unset, and nothing is to be synced by itself."""
    return interval(said, "MESH_SYNC_EVERY") if said else None


def ttl_days(value: float | None) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise InvalidInput(f"{value!r} is not a number of days", place="ttl", remedy="Give one, such as 30")
    if not 0 < value <= MAX_TTL_DAYS:
        raise InvalidInput(
            f"{str(value)[:20]} days is not more than 0 and at most {MAX_TTL_DAYS:,}",
            place="ttl",
            remedy="Give such a number",
        )
    return float(value)


def moment(value: str | datetime | None, place: str, now: datetime) -> datetime | None:
    """A time: `2026-01-31`, with a time of day, or a span ago: `3d`, `2 weeks ago`, `today`, `yesterday`."""
    if value is None or isinstance(value, datetime):
        return value.astimezone(UTC) if value else None
    said = text(value, place).strip().lower()
    midnight = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    if said in {"today", "yesterday"}:
        return (midnight - timedelta(days=said == "yesterday")).astimezone(UTC)
    if match := _AGO.match(said):
        return now - timedelta(**{_UNITS[match[2][0]]: int(match[1])})
    if found := parse_time(value.strip()):
        return found
    raise InvalidInput(
        f"{value!r} is not a time", place=place, remedy="Write 2026-01-31, 2026-01-31T12:00Z, 3d, yesterday"
    )
