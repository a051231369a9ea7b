"""The same question has the same answer everywhere: Python, the command line, MCP and HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mesh import Mesh

ROOT = Path(__file__).parent.parent.parent
ASKED = [
    *(case["ask"] for case in tomllib.loads((ROOT / "tests" / "paraphrases.toml").read_text("utf-8"))["question"]),
    "API",
    "how do we deploy to production?",
    '"rate limit" -billing',
    "Wo liegen die Rechnungen? 請求書",
    "what",
][-20:]
COUNT = 7

pytestmark = pytest.mark.model


@pytest.fixture
def vault(home):
    """The sample vault's namespace `shared`, indexed."""
    shutil.copytree(ROOT / "sample-vault" / "shared", home / "shared")
    with Mesh(home=home) as mesh:
        mesh.reindex()
    return home


def keys(rows) -> list[tuple[str, float, float | None]]:
    return [(row["id"], row["score"], row["similarity"]) for row in rows]


def by_python(home) -> list:
    with Mesh(home=home) as mesh:
        return [keys(mesh.recall(question, COUNT)) for question in ASKED]


def by_command_line(home) -> list:
    mesh = Path(sys.executable).parent / "mesh"
    answers = []
    for question in ASKED:
        done = subprocess.run(
            [mesh, "recall", "--json", "-n", str(COUNT), "--", question], capture_output=True, check=False
        )
        answers.append(keys(json.loads(done.stdout)["results"]))
    return answers


def by_http(server) -> list:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    answers = []
    for question in ASKED:
        body = json.dumps({"query": question, "count": COUNT})
        connection.request("POST", "/recall", body, {"Content-Type": "application/json"})
        answers.append(keys(json.loads(connection.getresponse().read())["results"]))
    return answers


def by_mcp(home) -> list:
    from mcp import StdioServerParameters
    from mcp.client import Client

    command = str(Path(sys.executable).parent / "mesh-server")

    async def ask() -> list:
        async with Client(StdioServerParameters(command=command, env=dict(os.environ))) as client:
            answers = []
            for question in ASKED:
                found = await client.call_tool("mesh_recall", {"query": question, "count": COUNT})
                assert not found.is_error, found
                answers.append(keys(found.structured_content["results"]))
            return answers

    return asyncio.run(ask())


def test_twenty_questions_have_the_same_ids_and_scores_on_every_surface(vault, mesh_http):
    """Ids in order, the fused score, and the cosine."""
    assert len(ASKED) == 20
    expected = by_python(vault)
    assert all(expected)
    assert by_command_line(vault) == expected
    assert by_http(mesh_http()) == expected
    assert by_mcp(vault) == expected
