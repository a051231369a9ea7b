"""The part of JSON Schema that requests are declared in, checked with errors that a person understands."""

from __future__ import annotations

from typing import Any

from mesh import inputs
from mesh.errors import InvalidInput

Schema = dict[str, Any]

_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "string": (str, "text"),
    "integer": (int, "a whole number"),
    "number": ((int, float), "a number"),
    "boolean": (bool, "true or false"),
    "array": (list, "a list"),
}


def satisfied(value: Any, schema: Schema, place: str) -> None:
    """Raise `InvalidInput` with that place unless `value` satisfies `schema`."""
    kind, words = _KINDS[schema["type"]]
    if not isinstance(value, kind) or (isinstance(value, bool) and schema["type"] != "boolean"):
        raise InvalidInput(f"it is {_said(value)}, not {words}", place=place, remedy=f"Give {words}")
    if isinstance(value, str):
        _text(value, schema, place)
    elif isinstance(value, list):
        _list(value, schema, place)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        _number(value, schema, place)


def _text(value: str, schema: Schema, place: str) -> None:
    inputs.text(value, place)
    if "enum" in schema and value not in schema["enum"]:
        raise InvalidInput(
            f"{_short(value)} is not known", place=place, remedy=f"Use one of: {', '.join(schema['enum'])}"
        )
    if len(value) < schema.get("minLength", 0):
        cause = "it is empty" if not value else f"{value!r} is too short"
        raise InvalidInput(cause, place=place, remedy=f"Give {schema['minLength']} or more characters")
    if len(value) > schema.get("maxLength", len(value)):
        cause = f"it has {len(value):,} characters, more than {schema['maxLength']:,}"
        raise InvalidInput(cause, place=place, remedy="Shorten it")


def _list(values: list[Any], schema: Schema, place: str) -> None:
    if len(values) > schema["maxItems"]:
        raise InvalidInput(
            f"there are {len(values):,}, more than {schema['maxItems']}", place=place, remedy="Use fewer"
        )
    for value in values:
        satisfied(value, schema["items"], place)


def _number(value: float, schema: Schema, place: str) -> None:
    above, low, high = schema.get("exclusiveMinimum"), schema.get("minimum"), schema["maximum"]
    if value > high or (above is not None and value <= above) or (low is not None and value < low):
        span = f"from {low:,}" if above is None else f"more than {above:,}"
        raise InvalidInput(f"{value:,} is not {span} to {high:,}", place=place, remedy="Give such a number")


def _said(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return {str: "text", int: "a number", float: "a number", list: "a list", dict: "an object"}[type(value)]


def _short(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:37] + "...")
