"""`/openapi.json` is true: of what is taken, of what is answered, and of how it fails."""

from __future__ import annotations

from typing import Any

import pytest
from fuzz import fuzz
from jsonschema import Draft202012Validator
from mesh_servers.openapi import document
from mesh_servers.requests import Field
from mesh_servers.route_table import ROUTES

from mesh.errors import InvalidInput

REQUESTS = 300  # here; 5,000 with: python -m tests.servers.fuzz 5000
FIELDS = {(route.name, field.name): field for route in ROUTES for field in route.fields}


def test_whatever_is_asked_is_answered_as_declared(home, without_model):
    """Valid requests and others, made by schemathesis from it: no 5xx, no status or body that it does not have."""
    seen = fuzz(REQUESTS, home)
    assert seen.total() > REQUESTS * 0.9
    statuses = {status for _, status in seen}
    assert statuses >= {200, 400, 404} and max(statuses) < 500
    assert {label for label, status in seen if status == 200} == {
        f"{route.method} {route.path}" for route in ROUTES if route.name not in {"events", "openapi"}
    }


def undeclared(value: Any, schema: dict[str, Any], schemas: dict[str, Any], place: str = "") -> list[str]:
    """The keys of an answer that its schema does not name."""
    schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if "anyOf" in schema:
        schema = schemas[schema["anyOf"][0]["$ref"].rpartition("/")[2]] if value is not None else {}
    if isinstance(value, list):
        return [found for one in value for found in undeclared(one, schema["items"], schemas, place)]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    found = [f"{place}.{key}" for key in value if key not in schema["properties"]]
    for key in value.keys() & schema["properties"].keys():
        found += undeclared(value[key], schema["properties"][key], schemas, f"{place}.{key}")
    return found


def test_every_key_that_is_answered_is_declared(app):
    """The other way round, that every declared key is answered, the requests above hold."""
    document = app.get("/openapi.json").json()
    learned = app.post("/learn", content="The API rate limit is 100 requests/min", ttl_days=3, tags=["api"])
    named = {"memory_id": learned.json()["result"]["memory_id"]}
    answers = {
        "/learn": app.post("/learn", content="The API rate limit is 200 requests/min"),
        "/recall": app.post("/recall", query="API rate limit"),
        "/context": app.post("/context"),
        "/update": app.post("/update", title="Limit", **named),
        "/memories/{memory_id}": app.get(f"/memories/{named['memory_id']}"),
        "/forget": app.post("/forget", **named),
        "/restore": app.post("/restore", **named),
        **{path: app.get(path) for path in ("/", "/health", "/inspect", "/namespaces", "/export", "/openapi.json")},
    }
    assert answers["/learn"].json()["result"]["conflict"]
    for path, answer in answers.items():
        (operation,) = document["paths"][path].values()
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert answer.status == 200
        assert undeclared(answer.json(), schema, document["components"]["schemas"]) == [], path


def test_the_document_has_every_route_and_nothing_else(app):
    """With the method that the route has."""
    paths = app.get("/openapi.json").json()["paths"]
    assert [(path, list(methods)) for path, methods in paths.items()] == [
        (route.path, [route.method.lower()]) for route in ROUTES
    ]


def test_the_schemas_in_it_are_schemas():
    """Of JSON Schema 2020-12, which OpenAPI 3.1 goes by."""
    for with_token in (True, False):
        made = document(with_token=with_token)
        for schema in made["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)
        for methods in made["paths"].values():
            for operation in methods.values():
                for content in operation.get("requestBody", {}).get("content", {}).values():
                    Draft202012Validator.check_schema(content["schema"])
                for parameter in operation.get("parameters", []):
                    Draft202012Validator.check_schema(parameter["schema"])


VALUES = [
    None, True, False, 0, 1, -1, 5, 1000, 1001, 10**9, 2.0, 2.5, 0.5, 1e-9, 36_500, 36_501, "", "a", "abc", "fact",
    "markdown", "x" * 64, "x" * 129, "x" * 16_385, "x" * 65_537, [], ["a"], ["a"] * 33, [5], [None], ["abcd"],
    ["x" * 129], {}, {"a": 1},
]  # fmt: skip


def accepts(field: Field, value: Any) -> bool:
    """Whether a field's declaration, without the check that stands beside it, takes a value."""
    try:
        Field(field.name, field.schema, field.about, required=True).value(value)
    except InvalidInput:
        return False
    return True


@pytest.mark.parametrize("field", FIELDS.values(), ids=[".".join(key) for key in FIELDS])
def test_a_request_is_held_against_its_schema_as_the_schema_means_it(field):
    """The small validator here and a whole one agree (but for `pattern`, which the library's own check stands for)."""
    schema = {key: value for key, value in field.schema.items() if key != "pattern"}
    whole = Draft202012Validator(schema)
    for value in VALUES:
        assert accepts(field, value) == whole.is_valid(value), value
