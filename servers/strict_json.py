"""JSON as a careful reader takes it: UTF-8, every key once, finite numbers, no guesses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mesh.errors import InvalidInput

MAX_DIGITS = 18  # of a whole number: it fits into 64 bits


def read(data: bytes) -> Any:
    """What a body says. Raises `InvalidInput`, which says where it stops being JSON."""
    if not data.strip():
        raise _refused("it is empty", "Send a JSON object")
    try:
        return json.loads(
            data.decode("utf-8-sig"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except UnicodeDecodeError as error:
        raise _refused(f"it is not UTF-8 (byte {error.start})", "Send JSON in UTF-8") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _refused(f"it is not JSON ({place}: {error.msg})", "Correct it there") from error
    except RecursionError as error:
        raise _refused("it is nested too deeply", "Send one flat JSON object") from error


def write(value: object) -> bytes:
    """Compact JSON in UTF-8. What is no character (half of one, in a file's name) stands there escaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise _refused(f"the key {twice[:40]!r} stands there twice", "Give each key once")
    return found


def _constant(word: str) -> float:
    raise _refused(f"{word} is not JSON", "Give a finite number")


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_DIGITS:
        raise _refused(f"a number has {len(digits):,} digits", f"Give at most {MAX_DIGITS}")
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if number in {float("inf"), float("-inf")}:
        raise _refused("a number is too large", "Give a finite number")
    return number


def _refused(cause: str, remedy: str) -> InvalidInput:
    return InvalidInput(cause, place="body", remedy=remedy)
