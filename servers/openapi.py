"""`/openapi.json`, made from the tables that the server itself goes by: OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from mesh.version import __version__

from .http_schemas import SCHEMAS, ref
from .requests import Field, Route
from .route_table import ROUTES

_ERRORS = {
    400: "The request is not acceptable: the message says what, and where",
    401: "The token is missing or wrong",
    403: "The request comes from a web page of another origin, or asks for what its client may not do",
    404: "There is no such namespace or memory",
    409: "The id names several memories, or the file changed in the meantime",
    413: "The body is larger than 1 MiB",
    415: "The body is not JSON",
    421: "The Host header names another server",
    422: "The file's front matter cannot be edited safely",
    431: "The headers are too large",
    500: "A failure of the server",
    503: "A folder is missing, read-only or full, or another process holds a lock; or too many streams",
}
_ALWAYS = {400, 403, 421, 431, 500, 503}


def document(*, with_token: bool) -> dict[str, Any]:
    """The whole document. `with_token`: whether this server asks for one."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, with_token)
    schemes = {"token": {"type": "http", "scheme": "bearer", "description": "The server's MESH_HTTP_TOKEN"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Mesh", "version": __version__, "summary": "Shared memory for AI agents"},
        "paths": paths,
        "components": {"schemas": SCHEMAS} | ({"securitySchemes": schemes} if with_token else {}),
    }


def _operation(route: Route, with_token: bool) -> dict[str, Any]:
    needs_token = with_token and route.path != "/health"
    said: dict[str, Any] = {"operationId": route.name, "summary": route.summary}
    if route.method == "POST":
        said["requestBody"] = {"required": True, "content": _json(_body(route.fields))}
    elif route.fields:
        said["parameters"] = [one for field in route.fields for one in _parameters(field, route)]
    said["responses"] = {"200": _answer(route)} | {
        str(status): {"description": _ERRORS[status], "content": _json(ref("Error"))}
        for status in sorted(_errors(route, needs_token))
    }
    return said | ({"security": [{"token": []}]} if needs_token else {})


def _answer(route: Route) -> dict[str, Any]:
    if route.name == "events":
        content: dict[str, Any] = {"text/event-stream": {"schema": {"type": "string"}}}
    else:
        content = _json(ref(route.answer))
    return {"description": route.summary, "content": content}


def _errors(route: Route, needs_token: bool) -> set[int]:
    found = set(_ALWAYS)
    if needs_token:
        found.add(401)
    if route.method == "POST":
        found |= {413, 415}
    if any(field.name == "namespace" for field in route.fields):
        found.add(404)
    if route.names_memory:
        found |= {409, 422}
    return found


def _body(fields: tuple[Field, ...]) -> dict[str, Any]:
    properties = {field.name: _property(field) for field in fields}
    aliases = [field for field in fields if field.alias]
    for field in aliases:
        properties[field.alias] = _property(field) | _other_name(field)
    body: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required := [field.name for field in fields if field.required]:
        body["required"] = required
    if aliases:
        body["allOf"] = [{"not": {"required": [field.name, field.alias]}} for field in aliases]
    return body


def _property(field: Field) -> dict[str, Any]:
    """The schema of a key of a body. What is optional may also be null, which counts as absent."""
    schema = dict(field.schema) | {"description": field.about}
    if field.required:
        return schema
    schema["type"] = [field.schema["type"], "null"]
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    if field.default is not None:
        schema["default"] = field.default
    return schema


def _parameters(field: Field, route: Route) -> list[dict[str, Any]]:
    in_path = f"{{{field.name}}}" in route.path
    schema = dict(field.schema) | ({} if field.default is None else {"default": field.default})
    said = {
        "name": field.name,
        "in": "path" if in_path else "query",
        "required": field.required,
        "description": field.about,
        "schema": schema,
    }
    if not field.alias:
        return [said]
    return [said, said | {"name": field.alias} | _other_name(field)]


def _other_name(field: Field) -> dict[str, Any]:
    return {"description": f"Another name of {field.name}", "deprecated": True}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
