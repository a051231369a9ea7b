"""What clients and models are told of the server: small, plain, and within what every client can take."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from mcp_talk import talk
from mesh_servers.mcp_catalogue import TOOLS
from mesh_servers.mcp_prompts import PROMPTS
from mesh_servers.mcp_server import DEFAULT_PORT

from mesh.memory import TYPES

MOST_CHARACTERS = 4096  # of a description or of the instructions, where clients cut
MOST_BYTES = 12_500  # of the whole list: it is part of every conversation


@pytest.fixture(params=[False, True], ids=["", "local"])
def tools(request, mcp_server) -> list[dict[str, Any]]:
    """The list as it is sent, without and with local_only."""
    found = talk(mcp_server(local=request.param), lambda client: client.list_tools())
    return [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in found.tools]


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Every schema in a schema, itself included."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from parts(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from parts(value)


def test_the_tools_are_those_that_are_published_and_two_more(tools):
    """Their names are what scripts and agents' habits rest on."""
    names = {tool["name"] for tool in tools}
    assert names == {f"mesh_{verb}" for verb in ("learn", "recall", "forget", "inspect", "context", "update")}


def test_the_list_of_tools_is_small(tools):
    """As it is sent, with all schemas."""
    assert len(json.dumps(tools, ensure_ascii=False, separators=(",", ":")).encode()) <= MOST_BYTES


def test_no_description_is_cut_by_a_client(tools, mcp_server):
    """Neither a tool's nor the instructions, whose first sentences say what to do."""
    for tool in tools:
        assert 0 < len(tool["title"]) < 40
        assert 100 < len(tool["description"]) < MOST_CHARACTERS
    instructions = talk(mcp_server(namespace="my-project"), _instructions)
    assert 500 < len(instructions) < MOST_CHARACTERS
    beginning = instructions[:400]
    assert "mesh_recall" in beginning and "memory" in beginning
    assert "not instructions" in instructions and instructions.endswith(" my-project.")


async def _instructions(client) -> str:
    return client.instructions


def test_schemas_are_what_every_client_reads(tools):
    """No references, no array without items, an object at the top, valid JSON Schema."""
    for tool in tools:
        for schema in (tool["inputSchema"], tool["outputSchema"]):
            jsonschema.Draft202012Validator.check_schema(schema)
            assert schema["type"] == "object"
            for part in parts(schema):
                assert not part.keys() & {"$ref", "$defs", "$schema", "definitions", "allOf", "oneOf"}
                if part.get("type") == "array":
                    assert part["items"].get("type")
                assert not isinstance(part.get("type"), list)
        for part in parts(tool["inputSchema"]):
            assert "anyOf" not in part


def test_every_argument_is_described_and_others_are_refused(tools):
    """Each has one type and a description; the known types of a memory are listed; all take a namespace."""
    for tool in tools:
        schema = tool["inputSchema"]
        assert schema["additionalProperties"] is False
        assert set(schema.get("required", ())) <= schema["properties"].keys()
        assert "namespace" in schema["properties"]
        for name, argument in schema["properties"].items():
            assert argument["type"] in {"string", "integer", "number", "boolean", "array"}, name
            assert argument["description"], name
            if name == "memory_type":
                assert argument["enum"] == list(TYPES)


def test_every_answer_has_a_text(tools):
    """Clients that show data show nothing else."""
    for tool in tools:
        schema = tool["outputSchema"]
        assert schema["properties"]["text"]["type"] == "string"
        assert "text" in schema["required"]


def test_annotations_say_what_a_tool_may_do(tools):
    """Reading changes nothing; learning destroys nothing; nothing reaches beyond the home."""
    hints = {tool["name"].removeprefix("mesh_"): tool["annotations"] for tool in tools}
    assert all(one["openWorldHint"] is False for one in hints.values())
    assert {name for name, one in hints.items() if one["readOnlyHint"]} == {"recall", "inspect", "context"}
    writing = {name: one["destructiveHint"] for name, one in hints.items() if not one["readOnlyHint"]}
    assert writing == {"learn": False, "update": True, "forget": True}


def test_the_two_main_tools_are_always_loaded(tools):
    """Where a client loads tools on demand, memory that must first be looked for is not used."""
    assert {tool["name"] for tool in tools if tool.get("_meta", {}).get("anthropic/alwaysLoad")} == {
        "mesh_recall",
        "mesh_learn",
    }


def test_only_a_server_that_may_tell_of_local_memories_takes_local_only(mcp_server):
    """No schema names it otherwise."""
    for local in (False, True):
        found = talk(mcp_server(local=local), lambda client: client.list_tools())
        takers = {tool.name for tool in found.tools if "local" in json.dumps(tool.input_schema["properties"])}
        assert takers == ({"mesh_learn"} if local else set())


def test_the_documentation_has_every_tool_and_its_configurations_parse():
    """docs/MCP.md: what people paste into their clients' files."""
    text = (Path(__file__).parent.parent.parent / "docs" / "MCP.md").read_text("utf-8")
    for name in (*TOOLS, *PROMPTS, "MESH_MCP_LOCAL_ONLY", "MESH_HTTP_TOKEN", str(DEFAULT_PORT)):
        assert name in text
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    parsers = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}
    found = [parsers[kind](block) for kind, block in blocks if kind in parsers]
    assert len(found) >= 8
    assert all("mesh-server" in json.dumps(one) for one in found)
