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
    '"first working day" -freeze',
    "Wo liegen die Rechnungen? 請求書",
    "what",
][-20:]
UNANSWERED = ["how do I bake sourdough bread?", "who won the football world cup in 1998?", "symptoms of the flu"]
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


def by_python(home, asked) -> list:
    """Of each question, the keys of what is found, and whether it is an answer."""
    with Mesh(home=home) as mesh:
        return [(keys(found), found.answered) for found in (mesh.recall(question, COUNT) for question in asked)]


def by_command_line(home, asked, *more) -> list:
    mesh = Path(sys.executable).parent / "mesh"
    answers = []
    for question in asked:
        done = subprocess.run(
            [mesh, "recall", "--json", "-n", str(COUNT), *more, "--", question], capture_output=True, check=False
        )
        said = json.loads(done.stdout)
        assert done.returncode == (0 if said["results"] else 3)
        answers.append((keys(said["results"]), said["answered"]))
    return answers


def by_http(server, asked) -> list:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    answers = []
    for question in asked:
        body = json.dumps({"query": question, "count": COUNT})
        connection.request("POST", "/recall", body, {"Content-Type": "application/json"})
        said = json.loads(connection.getresponse().read())
        answers.append((keys(said["results"]), said["answered"]))
    return answers


def by_mcp(home, asked, **more) -> list:
    from mcp import StdioServerParameters
    from mcp.client import Client

    command = str(Path(sys.executable).parent / "mesh-server")

    async def ask() -> list:
        async with Client(StdioServerParameters(command=command, env=dict(os.environ))) as client:
            answers = []
            for question in asked:
                found = await client.call_tool("mesh_recall", {"query": question, "count": COUNT, **more})
                assert not found.is_error, found
                said = found.structured_content
                answers.append((keys(said["results"]), said["answered"]))
            return answers

    return asyncio.run(ask())


def test_twenty_questions_have_the_same_ids_and_scores_on_every_surface(vault, mesh_http):
    """Ids in order, the fused score, the cosine, and whether it is an answer; where it is not, where asked for."""
    assert len(ASKED) == 20
    expected = by_python(vault, ASKED)
    assert all(found for found, _ in expected) and any(answered for _, answered in expected)
    assert by_command_line(vault, ASKED, "--nearest") == expected
    assert by_http(mesh_http(), ASKED) == expected
    assert by_mcp(vault, ASKED, nearest=True) == expected


def test_every_surface_says_when_nothing_answers(vault, mesh_http):
    """Those whose answer a model or a script takes as it is give nothing; the others give what is nearest beside it."""
    nearest = by_python(vault, UNANSWERED)
    assert [(len(found), answered) for found, answered in nearest] == [(COUNT, False)] * len(UNANSWERED)
    nothing = [([], False)] * len(UNANSWERED)
    assert by_http(mesh_http(), UNANSWERED) == nearest
    assert by_command_line(vault, UNANSWERED) == nothing
    assert by_command_line(vault, UNANSWERED, "--nearest") == nearest
    assert by_mcp(vault, UNANSWERED) == nothing
    assert by_mcp(vault, UNANSWERED, nearest=True) == nearest
