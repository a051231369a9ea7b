"""Arguments of a tool, held against its schema: an unknown or ill-typed one is named, never ignored."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from mesh.errors import InvalidInput

from .json_schema import Schema, satisfied


def checked(given: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """The arguments that were given; null is as good as not given. Raises `InvalidInput` for the first wrong one."""
    known = schema["properties"]
    for name in given:
        if name not in known:
            raise _unknown(name, sorted(known))
    kept = {name: _plain(value) for name, value in given.items() if value is not None}
    for name in schema.get("required", ()):
        if name not in kept:
            raise InvalidInput("it is missing", place=name, remedy=f"Give it: {known[name]['description']}")
    for name, value in kept.items():
        satisfied(value, known[name], name)
    return kept


def _plain(value: Any) -> Any:
    """The value, with 5.0, which JSON does not tell from 5, as the whole number that it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _unknown(name: str, known: Sequence[str]) -> InvalidInput:
    close = difflib.get_close_matches(name, known, n=1)
    remedy = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(known)}"
    return InvalidInput(f"there is no argument {name[:40]!r}", remedy=remedy)
