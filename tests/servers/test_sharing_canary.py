"""What is local_only comes out nowhere: a mark that only it holds is looked for in every way out of a machine.

By default a few histories. `MESH_CANARIES=300x30` runs 300 of 30 steps; `MESH_FIRST_SEED=1000` begins elsewhere.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace

import anyio
import pytest
from canary import LAMP, MARK, Canaries
from conftest import Application
from mcp import MCPError, types
from mcp_talk import PATIENCE_SECONDS, talk
from mesh_servers.events import Streams
from mesh_servers.http_app import create_app
from mesh_servers.mcp_protocol import MeshServer
from mesh_servers.meshes import Meshes

from mesh.settings import Settings

pytestmark = [
    pytest.mark.usefixtures("without_model", "home"),
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),
]
HISTORIES, STEPS = map(int, os.environ.get("MESH_CANARIES", "2x16").split("x"))
FIRST = int(os.environ.get("MESH_FIRST_SEED", "1"))
QUESTIONS = ("The lamp is always here", "which code has the door?", "what does the bird say?")


@pytest.mark.parametrize("seed", range(FIRST, FIRST + HISTORIES))
def test_the_mark_of_what_is_local_comes_out_nowhere(tmp_path, seed):
    """After a random history of clones, kills and merges; in each place something that is shared is found."""
    history = Canaries(tmp_path, seed, clones=2 + seed % 2)
    streams = Streams(history.clones[0].home)
    stream = streams.open(None, include_local=False, after=None, gone=bool)
    try:
        history.go(STEPS)
        history.settle()
        for clone in history.clones:
            history.learn_local(clone)
        looked = [*history.channels(), *served(history), ("GET /events", MARK, *heard(history, stream))]
        leaks = [f"{name}: {_around(data, mark)}" for name, mark, data, _ in looked if _around(data, mark)]
        silent = [name for name, _, data, wanted in looked if not re.search(wanted.encode(), data)]
        steps = "\n".join(history.steps)
        assert not leaks and not silent, f"seed {seed}: {leaks} {silent}\n{steps}"
        assert MARK.encode() in b"".join(file.read_bytes() for file in history.clones[0].home.glob("_local/notes/*.md"))
    finally:
        stream.close()
        streams.close()
        history.close()


def _around(data: bytes, mark: str) -> bytes:
    found = re.search(b".{0,90}" + mark.encode() + b".{0,90}", data, re.IGNORECASE | re.DOTALL)
    return found[0] if found else b""


def heard(history, stream):
    """What the feed of changes tells a client elsewhere, up to a memory that is learned now."""
    learned = history.clones[0].learn("And this is the end")
    parts = []
    for part in stream:
        parts.append(part)
        if learned.encode() in part:
            break
    return b"".join(parts), learned


def served(history):
    """What servers tell whom: every route to a client on another machine, all of MCP to a client here."""
    clone = history.random.choice(history.clones)
    settings = replace(Settings.from_environment(), home=clone.home, namespace="notes")
    meshes, server = Meshes(settings), MeshServer(settings, local=False)
    app = Application(create_app(meshes).test_client()).from_elsewhere()
    for method, path, body in ROUTES:
        yield f"{method} {path} elsewhere", MARK, app.ask(method, path, body).body, ""
    for row in clone.mesh.inspect(None):
        answer = app.get(f"/memories/{row['id']}")
        yield "GET /memories/ID elsewhere", MARK, answer.body, "no memory" if row["local_only"] else ""
    for name, said in talk(server, all_of_mcp).items():
        yield f"MCP: {name}", MARK, said.encode(), ""
    yield "MCP: notices", MARK, notices(history, clone, server).encode(), "resources/updated|ResourceUpdated"
    meshes.close()
    server.close()


ROUTES = [
    *(
        ("GET", path, None)
        for path in ("/", "/health", "/inspect?limit=1000", "/namespaces", "/export", "/openapi.json")
    ),
    *(("POST", "/recall", {"query": query, "count": 100}) for query in QUESTIONS),
    *(("POST", "/context", {"query": query, "count": 100}) for query in QUESTIONS),
    ("POST", "/context", {"count": 1000}),
]


async def all_of_mcp(client) -> dict[str, str]:
    said: dict[str, list[object]] = {}

    async def ask(name, question) -> None:
        try:
            answer = await question
        except MCPError as error:
            answer = error.message, error.data
        said.setdefault(name, []).append(answer)

    for query in QUESTIONS:
        for tool in ("mesh_recall", "mesh_context"):
            await ask("tools", client.call_tool(tool, {"query": query, "count": 50}))
    await ask("tools", client.call_tool("mesh_inspect", {"limit": 50}))
    await ask("tools", client.call_tool("mesh_learn", {"content": "The bird says that the door has code 9"}))
    listed = await client.list_resources()
    await ask("resources", client.list_resources())
    for resource in listed.resources:
        await ask("resources", client.read_resource(resource.uri))
    reference = types.ResourceTemplateReference(uri="mesh://{namespace}/{id}")
    for name, value in (("namespace", ""), ("id", ""), ("id", MARK[:4])):
        await ask("completions", client.complete(reference, {"name": name, "value": value}))
    for prompt, arguments in (("recall", {"query": "the lamp"}), ("brief", {}), ("remember", {"text": "x"})):
        await ask("prompts", client.get_prompt(prompt, arguments))
    assert LAMP in repr(said["tools"]) and LAMP in repr(said["resources"])
    return {name: repr(answers) for name, answers in said.items()}


def notices(history, clone, server) -> str:
    """What a client hears that listens while something local comes, and then something shared changes."""
    found: list[str] = []
    lamp = next(row["id"] for row in clone.mesh.inspect(None) if LAMP in row["content"])

    async def listen(message) -> None:
        found.append(repr(message))

    async def converse(client) -> None:
        for row in clone.mesh.inspect(None):
            await client.subscribe_resource(f"mesh://notes/{row['id']}")
        history.learn_local(clone)
        history.write_local_by_hand(clone)
        clone.mesh.update(lamp, confidence=round(history.random.random(), 4))
        with anyio.fail_after(PATIENCE_SECONDS):
            while not any(lamp in one for one in found):
                await anyio.sleep(0.02)

    talk(server, converse, "legacy", message_handler=listen)
    return "\n".join(found)
