"""The real `mesh-server --http`: many clients at once, and who is turned away."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
from urllib.parse import urlsplit

import pytest
from hashing import write
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp_talk import MESH_SERVER, MODES, PATIENCE_SECONDS, answer, served_over_http, talk

from mesh import Mesh

TOKEN = "a token of some length"
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
LEARN = {"name": "mesh_learn", "arguments": {"content": "The lamp is lit"}}
MODERN = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
ACCEPTED = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


@pytest.fixture(autouse=True)
def _home(home, without_model) -> None:
    """Every process has this home, and no model."""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """One server for the tests that leave nothing behind."""
    folder = tmp_path_factory.mktemp("http")
    with served_over_http(MESH_HOME=str(folder / "home"), MESH_MODEL_PATH=str(folder / "no-model")) as found:
        yield found


def learning(**headers: str) -> tuple[bytes, dict[str, str]]:
    """A request of the present protocol that would write a memory."""
    body = json.dumps(MODERN | {"params": LEARN | {"_meta": ENVELOPE}}).encode()
    names = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "mesh_learn"}
    return body, ACCEPTED | names | headers


def post(url, body: bytes, headers: dict[str, str], path: str | None = None) -> tuple[int, bytes]:
    """The status and the beginning of the body. A header of "" is not sent."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE_SECONDS)
    connection.putrequest("POST", path or parts.path, skip_host="Host" in headers)
    for name, value in ({"Content-Length": str(len(body))} | headers).items():
        if value:
            connection.putheader(name, value)
    connection.endheaders()
    with contextlib.suppress(OSError):  # it was refused before all of it was sent
        connection.send(body)
    response = connection.getresponse()
    try:
        return response.status, response.read(400)
    finally:
        connection.close()


@pytest.mark.parametrize("mode", MODES)
def test_many_clients_share_one_server_in_every_version_of_the_protocol(url, mode):
    """What one has learned the next finds; reading resources and prompts works as over pipes."""
    content = f"The lamp of {mode} is lit"

    async def converse(client):
        await client.call_tool("mesh_learn", {"content": content})
        await client.list_resources()
        await client.read_resource("mesh://namespaces")
        await client.get_prompt("brief", {})
        return len((await client.list_tools()).tools)

    assert talk(url, converse, mode) == 6
    assert content in {row["content"] for row in answer(url, "mesh_recall", query="lamp", count=50)["results"]}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.test"}, 421),
        ({"Host": "evil.test:7702"}, 421),
        ({"Host": "127.0.0.1.evil.test"}, 421),
        ({"Host": ""}, 400),
        ({"Origin": "http://evil.test"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://127.0.0.1.evil.test"}, 403),
        ({"Content-Type": "text/plain"}, 400),
        ({"Content-Type": ""}, 400),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 400),
    ],
    ids=str,
)
@pytest.mark.parametrize("protocol", ["legacy", "modern"])
def test_who_a_page_in_a_browser_could_be_is_turned_away(url, headers, status, protocol):
    """With the right status, and nothing is written."""
    before = answer(url, "mesh_inspect", limit=50)["count"]
    body, accepted = learning()
    if protocol == "legacy":
        body, accepted = json.dumps(HELLO).encode(), ACCEPTED
    assert post(url, body, accepted | headers)[0] == status
    assert answer(url, "mesh_inspect", limit=50)["count"] == before


def test_a_body_that_is_too_large_is_refused(url):
    """5 MB, announced or not."""
    body, headers = learning()
    assert post(url, body + b" " * 5_000_000, headers)[0] == 413
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [b" " * 100_000] * 50) + b"0\r\n\r\n"
    assert post(url, chunked, headers | {"Content-Length": "", "Transfer-Encoding": "chunked"})[0] == 413


def test_what_is_no_request_is_refused_without_a_traceback(url):
    """Garbage, an unknown path, another method."""
    for body in (b"garbage", b"[]", b"{}", b"null", b'"x"', b"\xff\xfe"):
        status, said = post(url, body, ACCEPTED)
        assert 400 <= status < 500 and b"Traceback" not in said
    assert post(url, b"{}", ACCEPTED, path="/")[0] == 404


def test_a_port_in_use_is_one_line(url):
    """Exit 1, with what to do."""
    port = urlsplit(url).port
    done = subprocess.run(
        [MESH_SERVER, "--http", "--port", str(port)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("mesh-server: ") and str(port) in line and "--port" in line


# --- a token ---------------------------------------------------------------------------


def knowing(url, token):
    """A client's way to the server, with a token."""
    client = create_mcp_http_client(headers={"Authorization": f"Bearer {token}"})
    return streamable_http_client(url, http_client=client)


def test_with_a_token_nobody_passes_who_does_not_know_it(home):
    """On this machine as well: 401, and nothing is written."""
    with served_over_http(MESH_HTTP_TOKEN=TOKEN) as url:
        for said in ("", "Bearer", "Bearer wrong", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer ü"):
            headers = {"Authorization": said.encode("latin-1").decode("latin-1")} if said else {}
            assert post(url, *learning(**headers))[0] == 401
        assert not (home / "shared").exists()
        assert post(url, *learning(Authorization=f"Bearer {TOKEN}"))[0] == 200
        assert answer(knowing(url, TOKEN), "mesh_recall", query="lamp")["count"] == 1


def own_address() -> str:
    """An address of this machine that is not a loopback one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"


@pytest.mark.skipif(own_address().startswith("127."), reason="this machine has no address but loopback")
def test_beyond_this_machine_a_token_is_needed_and_local_memories_stay_here(home):
    """Whatever MESH_MCP_LOCAL_ONLY says."""
    write(home, "_local/shared/a.md", "The lamp is a secret\n")
    write(home, "shared/b.md", "The lamp is lit\n")
    env = {"MESH_HTTP_TOKEN": TOKEN, "MESH_MCP_LOCAL_ONLY": "1"}
    host = own_address()
    with served_over_http("--host", host, **env) as url:
        assert post(url, *learning())[0] == 401
        found = answer(knowing(url, TOKEN), "mesh_recall", query="lamp")
        assert [row["content"] for row in found["results"]] == ["The lamp is lit"]
    with served_over_http(**env) as url:
        assert answer(knowing(url, TOKEN), "mesh_recall", query="lamp")["count"] == 2


# --- the end ---------------------------------------------------------------------------


def test_a_signal_ends_it_also_while_a_client_listens(home):
    """Exit 0 (see `served_over_http`), and what was acknowledged is there."""

    async def converse(client):
        async with client.listen(resources_list_changed=True):
            learned = await client.call_tool("mesh_learn", {"content": "The lamp is lit"})
            return learned.structured_content["path"]

    with served_over_http() as url:
        parts = urlsplit(url)
        path = talk(url, converse)
        with socket.create_connection((parts.hostname, parts.port)) as open_connection:
            open_connection.sendall(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n")
            os.stat(home / path)
    with Mesh(home=home) as mesh:
        assert mesh.count() == 1
