"""How a request's fields are declared, and checked against their declaration. The tables are in `route_table`.

A field's `schema` is the JSON Schema its value must satisfy; `check` is the library's own, for what a schema cannot
say or (`pattern`) cannot say in words.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from mesh.errors import InvalidInput

from .json_schema import Schema, satisfied

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?")


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a route takes: a key of its JSON body, or of its query."""

    name: str
    schema: Schema
    about: str
    default: Any = None
    required: bool = False
    alias: str = ""
    check: Callable[[Any], Any] | None = None

    def value(self, given: Any) -> Any:
        """The value as the library takes it. Raises `InvalidInput` with the field's name as its place."""
        if given is None and not self.required:
            return self.default
        if self.schema["type"] == "integer" and isinstance(given, float) and given.is_integer():
            given = int(given)  # JSON Schema counts 5.0 among the integers
        satisfied(given, self.schema, self.name)
        if self.check is None:
            return given
        try:
            return self.check(given)
        except InvalidInput as error:
            raise InvalidInput(error.cause, place=self.name, remedy=error.remedy) from error


@dataclass(frozen=True, slots=True)
class Route:
    """One route. `answer`: the name of its response's schema; `names_memory`: whether a field names one."""

    name: str
    method: str
    path: str
    summary: str
    answer: str
    fields: tuple[Field, ...] = ()
    names_memory: bool = False

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The value of every field. Raises `InvalidInput`, which names what is unknown, missing or wrong."""
        names = {name: field.name for field in self.fields for name in (field.name, field.alias) if name}
        if unknown := [name for name in given if name not in names]:
            raise _unknown(unknown, list(names))
        found: dict[str, Any] = {}
        for name, value in given.items():
            if names[name] in found:
                raise InvalidInput(f"another name of {names[name]}, which is given too", place=name, remedy="Give one")
            found[names[name]] = value
        if missing := next((field for field in self.fields if field.required and field.name not in found), None):
            raise InvalidInput("it is missing", place=missing.name, remedy=f"Give it: {missing.about}")
        return {field.name: field.value(found.get(field.name)) for field in self.fields}


def from_query(route: Route, query: str) -> dict[str, Any]:
    """The keys of a query (as WSGI hands it over) with the kinds their fields have. A list is repeated, or `a,b`."""
    kinds = {name: field.schema["type"] for field in route.fields for name in (field.name, field.alias) if name}
    found: dict[str, Any] = {}
    for name, text in _pairs(query):
        if kinds.get(name) == "array":
            found.setdefault(name, []).extend(text.split(","))
        elif name in found:
            raise InvalidInput("it is given twice", place=name[:40], remedy="Give it once")
        else:
            found[name] = _converted(text, kinds.get(name, "string"))
    return found


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        text = query.encode("latin-1").decode("utf-8")
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError as error:  # no UTF-8, or too many
        raise InvalidInput(
            "it is not UTF-8, or has more than 100 parts", place="query string", remedy="Correct it"
        ) from error


def _converted(text: str, kind: str) -> Any:
    """A number or a truth that is written as one; else the text, which its field then refuses."""
    if kind == "integer" and _INTEGER.fullmatch(text):
        return int(text)
    if kind == "number" and _NUMBER.fullmatch(text):
        return float(text)
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return text


def _unknown(unknown: Sequence[str], known: Sequence[str]) -> InvalidInput:
    shown = ", ".join(repr(name[:40]) for name in unknown[:5]) + ", ..." * (len(unknown) > 5)
    closest = difflib.get_close_matches(unknown[0][:40], known, n=1)
    remedy = f"Did you mean {closest[0]!r}?" if closest else f"Known: {', '.join(known) or 'none'}"
    return InvalidInput(f"unknown key {shown}", remedy=remedy)
