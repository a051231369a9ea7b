"""What must not leave this machine does not exist for an MCP client, unless the server's owner says so."""

from __future__ import annotations

import json
import logging
from contextlib import suppress

import anyio
import pytest
from hashing import write
from mcp import MCPError, types
from mcp_talk import MODES, PATIENCE_SECONDS, answer, refusal, talk

from mesh import Mesh

CANARY = "canary"  # in every local memory: in its text, its id, its tags, its title, its author, its source
LOCAL_IDS = ("canary00", "canary01", "canary02")
OFFICE = "The office is on Harbour Street 12"

pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")


@pytest.fixture
def vault(home):
    """Shared memories, one of them also a local one's text, and local ones of every kind."""
    write(home, "shared/office.md", f"---\nid: aaaa0000\ntags: [place]\n---\n{OFFICE}\n")
    write(home, "shared/same.md", "---\nid: bbbb0000\n---\nThe code of the door is on the wall\n")
    front = "tags: [canary]\ntitle: The canary\nagent: canary-keeper\nsource: canary.txt\nsupersedes: aaaa0000"
    text = f"{OFFICE.replace('12', '99')}, says the canary"
    write(home, "_local/shared/canary.md", f"---\nid: canary00\n{front}\n---\n{text}\n")
    write(home, "shared/marked canary.md", f"---\nid: canary01\nlocal_only: true\n{front}\n---\n{text} too\n")
    write(home, "_local/shared/canary same.md", "---\nid: canary02\n---\nThe code of the door is on the wall\n")
    write(home, "_local/shared/canary broken.md", "---\nid: [\n---\nThe canary is broken\n")
    write(home, "_local/canary-namespace/canary.md", f"---\nid: canary03\n---\n{text}\n")
    return home


async def everything(client, ids=LOCAL_IDS) -> str:
    """What every tool, resource, completion and prompt says, errors included, when it is asked for local memories."""
    heard: list[object] = []

    async def ask(question) -> None:
        try:
            heard.append(await question)
        except MCPError as error:
            heard.append((error.message, error.data))

    for tool, arguments in questions(ids):
        await ask(client.call_tool(tool, arguments))
    listed = await client.list_resources()
    heard.append(listed)
    for resource in listed.resources:
        await ask(client.read_resource(resource.uri))
    for memory_id in (*ids, "canary"):
        for namespace in ("shared", "canary-namespace"):
            await ask(client.read_resource(f"mesh://{namespace}/{memory_id}"))
    ref = types.ResourceTemplateReference(uri="mesh://{namespace}/{id}")
    for name, value in (("namespace", ""), ("namespace", "c"), ("id", ""), ("id", "c"), ("id", "cana")):
        await ask(client.complete(ref, {"name": name, "value": value}))
    for prompt, arguments in (("recall", {"query": "the office"}), ("brief", {}), ("remember", {"text": "x"})):
        await ask(client.get_prompt(prompt, arguments))
    heard.append((await client.list_tools(), client.instructions, client.server_capabilities))
    return "\n".join(map(repr, heard))


def questions(ids):
    for query in ("the office on Harbour Street", "what does the bird say?", "the code of the door"):
        yield "mesh_recall", {"query": query, "count": 50}
        yield "mesh_context", {"query": query, "count": 50}
    yield "mesh_context", {}
    yield "mesh_inspect", {"limit": 50}
    for namespace in ("cnary-namespace", "nowhere"):
        yield "mesh_recall", {"query": "x", "namespace": namespace}
    for memory_id in (*ids, "cana", "aaaa", "aaaa0000"):
        yield "mesh_inspect", {"memory_id": memory_id}
    yield "mesh_learn", {"content": OFFICE.replace("12", "98") + ", said somebody"}
    yield "mesh_learn", {"content": "The office is on Harbour Street 99, says the bird"}
    for memory_id in (*ids, "cana"):
        yield "mesh_forget", {"memory_id": memory_id}
        yield "mesh_update", {"memory_id": memory_id, "content": "Nothing"}
        yield "mesh_learn", {"content": "Something new", "supersedes": [memory_id]}


def without_what_was_asked(said: str) -> str:
    """Errors repeat the ids that the question itself held."""
    for memory_id in (*LOCAL_IDS, "cana"):
        said = said.replace(f"no memory '{memory_id}'", "").replace(f'no memory "{memory_id}"', "")
        for namespace in ("shared", "canary-namespace"):
            said = said.replace(f"mesh://{namespace}/{memory_id}", "")
    return said.replace("no memory 'canary'", "").replace("mesh://shared/canary", "").replace(
        "mesh://canary-namespace/canary", ""
    ).replace("there is no namespace 'canary-namespace'", "")  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("model", [pytest.param("model", marks=pytest.mark.model), "words"])
def test_no_answer_tells_of_local_memories(vault, mcp_server, request, caplog, mode, model):
    """Not a word of them, their ids, their files, or the namespace that holds nothing else."""
    if model == "words":
        request.getfixturevalue("without_model")
    before = {path: path.read_bytes() for path in vault.glob("_local/**/*.md")}
    with caplog.at_level(logging.DEBUG, "mesh"):
        said = talk(mcp_server(), everything, mode)
    assert OFFICE in said
    assert CANARY not in without_what_was_asked(said).lower()
    assert "99, says the canary" not in caplog.text
    assert {path: path.read_bytes() for path in vault.glob("_local/**/*.md")} == before
    assert (vault / "shared" / "marked canary.md").exists()


def test_what_the_owner_lets_out_is_found_by_every_way(vault, mcp_server, without_model):
    """The same questions, so that their silence above means something."""
    said = talk(mcp_server(local=True), lambda client: everything(client, ids=()))
    for found in (*LOCAL_IDS, "canary-keeper", "canary-namespace", "says the canary", "local only"):
        assert found in said, found


def test_the_answers_are_those_of_a_home_without_local_memories(vault, mcp_server, without_model):
    """Receipts, counts, offsets, conflicts and errors alike: nothing is left out where it was."""

    def asked() -> list[object]:
        server = mcp_server()
        wanted = ["mesh_recall", "mesh_context", "mesh_inspect"]
        found = []
        for tool, arguments in questions(LOCAL_IDS):
            if tool in wanted:
                result = talk(server, lambda client, t=tool, a=arguments: client.call_tool(t, a))
                found.append((tool, arguments, result.content[0].text, result.structured_content))
        server.close()
        return found

    with_them = asked()
    for path in [*vault.glob("_local/*/*.md"), vault / "shared" / "marked canary.md"]:
        path.unlink()
    without_them = asked()
    for one, other in zip(with_them, without_them, strict=True):
        for data in (one[3], other[3]):
            if data and "receipt" in data:
                del data["receipt"]["changed"]  # what the second look at the files found
        assert one == other


def test_the_text_of_a_local_memory_is_stored_again_when_it_is_shared(vault, mcp_server, without_model):
    """Whether it was there is not told: neither as a duplicate nor as a contradiction."""
    server = mcp_server()
    write(vault, "_local/shared/only.md", "---\nid: canary04\n---\nThe key lies under the pot 7\n")
    assert answer(server, "mesh_learn", content="The key lies under the pot 7")["status"] == "stored"
    write(vault, "_local/shared/more.md", "---\nid: canary05\n---\nThe spare key lies in drawer 3\n")
    learned = answer(server, "mesh_learn", content="The spare key lies in drawer 4")
    assert (learned["status"], learned["conflict"]) == ("stored", None)


def test_an_id_that_a_local_memory_shares_names_the_other_one(vault, mcp_server, without_model):
    """It is read, changed and forgotten as if it stood alone."""
    write(vault, "_local/shared/twin.md", "---\nid: aaaa0000\n---\nThe canary's twin\n")
    server = mcp_server()
    assert answer(server, "mesh_inspect", memory_id="aaaa0000")["memories"][0]["content"] == OFFICE
    answer(server, "mesh_update", memory_id="aaaa0000", content="The office has moved")
    assert answer(server, "mesh_forget", memory_id="aaaa0000")["path"] == "shared/office.md"
    assert (vault / "_local" / "shared" / "twin.md").exists()
    assert "aaaa0000" in refusal(server, "mesh_forget", memory_id="aaaa0000")


def test_a_model_cannot_make_a_local_memory_unless_it_may_read_them(vault, mcp_server, without_model):
    """And where it may, the file lies apart."""
    assert "local_only" in refusal(mcp_server(), "mesh_learn", content="A secret", local_only=True)
    learned = answer(mcp_server(local=True), "mesh_learn", content="A secret", local_only=True)
    assert learned["path"].startswith("_local/shared/")
    with Mesh(home=vault) as mesh:
        assert mesh.get(learned["memory_id"])["local_only"]


def test_notices_do_not_tell_of_local_memories(vault, mcp_server, without_model):
    """Neither that one changed nor that the list did; a shared one shows that news arrive."""
    heard = []

    async def listen(message) -> None:
        heard.append(repr(message))

    async def converse(client):
        for uri in ("mesh://shared/canary00", "mesh://shared/canary01", "mesh://shared/aaaa0000"):
            await client.subscribe_resource(uri)
        write(vault, "_local/shared/canary.md", "---\nid: canary00\n---\nThe canary sings\n")
        write(vault, "shared/marked canary.md", "---\nid: canary01\nlocal_only: true\n---\nThe canary sings\n")
        write(vault, "_local/shared/canary new.md", "---\nid: canary09\n---\nThe canary is new\n")
        await anyio.sleep(0.5)
        write(vault, "shared/office.md", "---\nid: aaaa0000\n---\nThe office has moved\n")
        with suppress(TimeoutError), anyio.fail_after(PATIENCE_SECONDS):
            while not any("aaaa0000" in one for one in heard):
                await anyio.sleep(0.02)

    talk(mcp_server(), converse, "legacy", message_handler=listen)
    assert any("aaaa0000" in one for one in heard)
    assert CANARY not in json.dumps(heard).lower()
    assert not any("ListChanged" in one for one in heard)
