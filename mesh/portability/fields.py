"""The parts of a memory as other programs write them, made into what Mesh keeps.

Lenient where nothing is lost by it: a time that cannot be read is no time, a tag too many is dropped. Only content
is strict, since a memory without its text is none: `content` alone raises `InvalidInput`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from .. import inputs
from ..codec import NOTHING
from ..errors import InvalidInput
from ..memory import DEFAULT_TYPE, TYPES, Problem

UNKNOWN_TYPE = "general"  # for a foreign type: "fact" would claim more than is known
SMALLEST_CONFIDENCE = 1e-4  # below it a decimal fraction would need an exponent, which files do not have
FIRST_SECOND = 1e8  # in 1973; a smaller number is a year, a count, or nothing
SECONDS_BEFORE_YEAR_5138 = 1e11  # a larger number counts smaller units
LAST_NANOSECOND = 1e20
LARGEST_NUMBER = 1e15  # that is taken for a word, such as a number for an id


def content(value: object) -> str:
    """The text of a memory. Raises `InvalidInput` like `inputs.content`, also for what is not text."""
    return inputs.content(value)  # type: ignore[arg-type]  # it is there that other things than text are refused


def word(value: object, place: str) -> str:
    """One line that `inputs.word` accepts for `place`: white space made one space, too long cut; "" for nothing."""
    line = _line(value)
    return "" if place != "tag" and line in NOTHING else line


def tags(value: object) -> tuple[str, ...]:
    """The tags in a list, a comma-separated string or a list as JSON text, as many as `inputs.tags` accepts."""
    kept = (_line(part).lstrip("# ") for item in _items(value) for part in _text(item).split(","))
    return tuple(dict.fromkeys(tag for tag in kept if tag))[: inputs.MAX_TAGS]


def memory_type(value: object) -> tuple[str, str | None]:
    """A type Mesh knows, and the foreign word in whose place it stands, to be kept as a tag."""
    said = word(value, "type")
    known = said.lower().replace("-", "_").replace(" ", "_")
    if known in TYPES:
        return known, None
    return (UNKNOWN_TYPE, said) if said else (DEFAULT_TYPE, None)


def type_and_tags(type_value: object, tags_value: object) -> tuple[str, tuple[str, ...]]:
    """Both, a foreign type as the first tag."""
    known, foreign = memory_type(type_value)
    own = tags(tags_value)
    return known, tags([foreign, *own]) if foreign else own


def confidence(value: object) -> float:
    """From 0 to 1; 1 where none is said."""
    number = _number(value)
    if number is None:
        return 1.0
    return min(round(number, 12), 1.0) if number >= SMALLEST_CONFIDENCE else 0.0


def when(value: object) -> datetime | None:
    """A moment to the second in UTC: ISO 8601 (UTC where it has no zone), or a number since 1970.

    Numbers are seconds, or where that would be millennia ahead, milliseconds (or micro-, or nanoseconds).
    """
    try:
        moment = value if isinstance(value, datetime) else _from_text(value) if isinstance(value, str) else None
        moment = moment or _from_number(_number(value))
        if moment is None:
            return None
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return moment.replace(microsecond=0)
    except (ValueError, OverflowError, OSError):
        return None


def expires(created: datetime | None, decay_start: datetime | None, ttl_days: object) -> datetime | None:
    """When a memory ends whose life of `ttl_days` counts from `decay_start`, else `created`; None: never."""
    days, start = _number(ttl_days), decay_start or created
    if start is None or days is None or not 0 < days <= inputs.MAX_TTL_DAYS:
        return None
    try:
        return (start + timedelta(days=days)).replace(microsecond=0)
    except OverflowError:
        return None


def truth(value: object) -> bool:
    """For `local_only` and the like: what is not plainly false is true, since what is not understood is not shared."""
    said = value.strip().lower() if isinstance(value, str) else value
    return said not in (None, False, 0, "", "0", "false", "no")


def own_id(value: object) -> str:
    """The source's own id, in whatever form; "" for none."""
    return word(value, "id")


def refused(place: str, error: InvalidInput) -> Problem:
    """A record that cannot be kept."""
    return Problem(place, 0, error.place, f"its {error.place or 'text'} cannot be kept ({error.cause})", error.remedy)


def _items(value: object) -> Iterable[object]:
    if isinstance(value, str):
        return _json_list(value) or value.strip().removeprefix("[").removesuffix("]").split(",")
    return value if isinstance(value, (list, tuple)) else ()


def _json_list(text: str) -> list[object]:
    try:
        found = json.loads(text) if text.lstrip().startswith("[") else []
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER
    return str(value) if is_number else ""


def _line(value: object) -> str:
    text = _text(value)[: 4 * inputs.MAX_WORD]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())[: inputs.MAX_WORD].strip()


def _number(value: object) -> float | None:
    """A finite number, also from a decimal or a string of digits."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # what has no float raises TypeError
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _from_text(text: str) -> datetime | None:
    said = text.strip().upper().removesuffix("UTC").removesuffix("GMT").rstrip()
    try:
        return datetime.fromisoformat(said)
    except ValueError:
        return None


def _from_number(number: float | None) -> datetime | None:
    if number is None or not FIRST_SECOND <= number < LAST_NANOSECOND:
        return None
    while number >= SECONDS_BEFORE_YEAR_5138:
        number /= 1000
    return datetime.fromtimestamp(number, UTC)
