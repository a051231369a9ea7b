"""The real `mesh-server` process behind pipes: what stands on its standard output, how it begins and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mcp import StdioServerParameters
from mcp_talk import MESH_SERVER, MODES, PATIENCE_SECONDS, Pipes, answer, talk, until

from mesh import Mesh

MESH = Path(sys.executable).parent / "mesh"
RECALL = {"name": "mesh_recall", "arguments": {"query": "lamp"}}


@pytest.fixture(autouse=True)
def _home(home, without_model) -> None:
    """Every process has this home, and no model unless a test says so."""


def learn(pipes: Pipes, text: str) -> dict:
    return pipes.ask("tools/call", name="mesh_learn", arguments={"content": text})["result"]["structuredContent"]


def run(*arguments: str, program=MESH_SERVER, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command that must end by itself."""
    return subprocess.run(
        [program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=PATIENCE_SECONDS, env=os.environ | environment,
    )  # fmt: skip


# --- the command ---------------------------------------------------------------------------


def test_help_and_version_are_printed_and_no_server_starts():
    """Exit 0, on standard output; nothing else happens."""
    for option in ("--help", "-h"):
        done = run(option)
        assert (done.returncode, done.stderr) == (0, "")
        for word in ("--http", "--namespace", "--agent", "MESH_MCP_LOCAL_ONLY", "MESH_HTTP_TOKEN"):
            assert word in done.stdout
    assert run("--version").stdout.startswith("mesh-server ")


def test_help_and_version_import_no_protocol():
    """They are quick."""
    done = run("-X", "importtime", str(MESH_SERVER), "--help", program=sys.executable)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "mesh_servers" in loaded
    assert not loaded & {"mcp", "numpy", "pydantic", "asyncio", "sqlite3"}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--nonsense"], "--nonsense"),
        (["serve"], "serve"),
        (["--port", "x", "--http"], "'x'"),
        (["--port", "65536", "--http"], "65536"),
        (["--port", "7702"], "--http"),
        (["--namespace", "../x"], "namespace"),
        (["--agent", ""], "agent"),
        (["--http", "--host", "0.0.0.0"], "MESH_HTTP_TOKEN"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_exit_2(arguments, word):
    """No server starts, no usage is printed."""
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("mesh-server: ") and word in line


def test_mesh_mcp_is_the_same_server(home):
    """`mesh mcp --agent me`."""
    params = StdioServerParameters(command=str(MESH), args=["mcp", "--agent", "me"], env=dict(os.environ))
    answer(params, "mesh_learn", content="The lamp is lit")
    with Mesh(home=home) as mesh:
        assert [row["source_agent"] for row in mesh.inspect()] == ["me"]


# --- the conversation ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_client_finds_what_was_learned_in_every_version_of_the_protocol(home, mode):
    """The environment names the namespace and the author; what is learned is in a file when it is acknowledged."""
    env = dict(os.environ) | {"MESH_NAMESPACE": "project", "MESH_AGENT_ID": "me"}

    async def converse(client):
        learned = await client.call_tool("mesh_learn", {"content": "The lamp is lit"})
        path = learned.structured_content["path"]
        assert "The lamp is lit" in (home / path).read_text() and path.startswith("project/")
        return (await client.call_tool("mesh_recall", {"query": "lamp"})).structured_content

    found = talk(StdioServerParameters(command=str(MESH_SERVER), env=env), converse, mode)
    assert (found["namespace"], found["results"][0]["source_agent"]) == ("project", "me")


@pytest.mark.model
def test_the_process_answers_by_meaning(home, monkeypatch):
    """With the model, and the answers of the library."""
    monkeypatch.delenv("MESH_MODEL_PATH")
    with Mesh(home=home) as mesh:
        for text in ("Invoices are sent on the first of the month", "The lamp is lit", "Tea is at four"):
            mesh.learn(text)
        expected = [(row["id"], row["score"], row["similarity"]) for row in mesh.recall("when does billing happen?")]
    params = StdioServerParameters(command=str(MESH_SERVER), env=dict(os.environ))
    rows = answer(params, "mesh_recall", query="when does billing happen?")["results"]
    assert [(row["id"], row["score"], row["similarity"]) for row in rows] == expected


def test_standard_output_is_the_protocols_alone(home):
    """Every byte belongs to a line of JSON-RPC, also when there is something to say."""
    (home / "shared").mkdir()
    (home / "shared" / "bad.md").write_bytes(b"\xff\xfe")
    (home / ".cache" / "shared").mkdir(parents=True)
    (home / ".cache" / "shared" / "manifest.db").write_bytes(b"no database" * 1000)
    pipes = Pipes()
    pipes.shake_hands()
    assert pipes.ask("tools/call", **RECALL)["result"]["structuredContent"]["receipt"]["problems"] == 1
    pipes.write(b'{"jsonrpc": "2.0", "id": 99, "method": "tools/list"}')
    code, rest, said = pipes.end()
    assert code == 0
    assert [json.loads(line)["id"] for line in rest.splitlines()] == [99]
    assert "mesh-server: " in said and "Traceback" not in said  # the cache was made again, and there is no model


def test_lines_that_are_no_requests_do_no_harm():
    """The next request is answered."""
    pipes = Pipes()
    for line in (
        b"",
        b"garbage",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b'{"jsonrpc": "2.0"}',
        b'{"id": 1}',
        b"9" * 9999,
    ):
        pipes.write(line)
    pipes.shake_hands()
    for line in (
        b"garbage",
        b'{"jsonrpc": "2.0", "id": {}, "method": "tools/list"}',
        b'{"jsonrpc":"2.0","method":"x"}',
    ):
        pipes.write(line)
    pipes.write(b"[" * 100_000)
    assert len(pipes.ask("tools/list")["result"]["tools"]) == 6
    code, _, said = pipes.end()
    assert (code, "Traceback" in said) == (0, False)


def test_wrong_requests_are_errors_of_the_protocol():
    """An unknown method, and parameters that are none."""
    pipes = Pipes()
    pipes.shake_hands()
    assert pipes.ask("nonsense")["error"]["code"] == -32601
    assert pipes.ask("tools/call")["error"]["code"] == -32602
    assert pipes.ask("tools/call", name=5)["error"]["code"] == -32602
    assert pipes.ask("resources/read", uri="mesh://shared/zzzz0000")["error"]["code"] == -32602
    assert "result" in pipes.ask("ping")
    assert pipes.end()[0] == 0


def test_a_print_in_the_process_does_not_reach_the_client():
    """Neither one of Python nor one of a library written in C, nor what is still buffered at the end."""
    code = (
        "import os, sys\nfrom mesh_servers import mcp_server, mcp_tools\n"
        "listed = mcp_tools.TOOLS['mesh_inspect']\n"
        "def noisy(*a, **k):\n    print('STRAY'); os.write(1, b'STRAY\\n'); sys.stdout.write('STRAY')\n"
        "    return listed(*a, **k)\n"
        "mcp_tools.TOOLS['mesh_inspect'] = noisy\nsys.argv = ['mesh-server']\nmcp_server.main()\n"
    )
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "mesh_inspect", "arguments": {}}}
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    lines = [{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}, call]
    done = subprocess.run(
        [sys.executable, "-c", code], input="".join(json.dumps(line) + "\n" for line in lines),
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1, 2]
    assert done.stderr.count("STRAY") == 3


# --- the end ---------------------------------------------------------------------------


def test_the_process_ends_when_its_input_does(home):
    """Exit 0, nothing more on standard output, and what it acknowledged is there."""
    pipes = Pipes()
    pipes.shake_hands()
    learned = learn(pipes, "The lamp is lit")
    assert pipes.end()[:2] == (0, b"")
    assert (home / learned["path"]).exists()


def test_what_was_asked_before_the_input_ended_is_answered(home):
    """As of a file that is piped in."""
    pipes = Pipes()
    pipes.shake_hands()
    for number in range(5):
        call = {"name": "mesh_learn", "arguments": {"content": f"Lamp {number} is lit in room {number}"}}
        pipes.write(json.dumps({"jsonrpc": "2.0", "id": 10 + number, "method": "tools/call", "params": call}).encode())
    code, rest, _ = pipes.end()
    answers = [json.loads(line) for line in rest.splitlines()]
    assert code == 0
    assert sorted(one["id"] for one in answers) == [10, 11, 12, 13, 14]
    for one in answers:
        assert (home / one["result"]["structuredContent"]["path"]).exists()


def test_an_input_that_ends_at_once_is_no_error():
    """Nothing was asked, nothing is said."""
    done = run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_nothing_is_lost(home, number):
    """Exit 0 although the input stays open; every acknowledged memory is there, nothing half-written."""
    pipes = Pipes()
    pipes.shake_hands()
    acknowledged = [learn(pipes, f"Lamp {lamp} is lit in room {lamp}")["path"] for lamp in range(5)]
    pipes.process.send_signal(number)
    assert pipes.process.wait(PATIENCE_SECONDS) == 0
    assert "Traceback" not in pipes.end()[2]
    assert all((home / path).read_text().endswith("\n") for path in acknowledged)
    assert not [path for path in (home / "shared").iterdir() if path.name.startswith(".")]


def test_a_signal_ends_it_also_while_a_call_waits(home):
    """For a lock that somebody holds: the memory was not acknowledged, and is not there."""
    pipes = Pipes()
    pipes.shake_hands()
    learn(pipes, "The lamp is lit")
    with Mesh(home=home) as mesh, mesh.workspace.vault.writing("shared"):
        call = {"name": "mesh_learn", "arguments": {"content": "The oven is hot"}}
        pipes.write(json.dumps({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": call}).encode())
        assert pipes.ask("ping")
        pipes.process.terminate()
        assert pipes.process.wait(20) == 0  # sooner than the wait for a lock ends
    assert b'"memory_id"' not in pipes.end()[1]
    assert len(list((home / "shared").iterdir())) == 1


def test_a_signal_before_the_first_request_ends_it_too():
    """It waits for a client then."""
    pipes = Pipes()
    pipes.write(b"")
    pipes.shake_hands()
    pipes.process.terminate()
    assert pipes.process.wait(PATIENCE_SECONDS) == 0
    pipes.end()


def test_a_client_that_vanishes_leaves_no_process(home):
    """Both pipes break while an answer is on its way."""
    pipes = Pipes()
    pipes.shake_hands()
    assert pipes.process.stdout is not None and pipes.process.stdin is not None
    pipes.process.stdout.close()
    pipes.write(b'{"jsonrpc": "2.0", "id": 5, "method": "tools/list"}')
    until(lambda: pipes.process.poll() is not None)
    assert pipes.process.stderr is not None
    said = pipes.process.stderr.read().decode()
    assert "Traceback" not in said
    pipes.process.stderr.close()
    pipes.process.stdin.close()


def test_two_servers_over_one_home_see_each_others_memories():
    """At once: what one has acknowledged the other finds."""
    one, two = Pipes(), Pipes("--agent", "another")
    one.shake_hands()
    two.shake_hands()
    for number in range(3):
        learned = learn(one, f"Lamp {number} is lit in room {number}")
        found = two.ask("tools/call", name="mesh_recall", arguments={"query": f"lamp {number}", "count": 50})
        assert learned["memory_id"] in {row["id"] for row in found["result"]["structuredContent"]["results"]}
    assert one.end()[0] == two.end()[0] == 0
