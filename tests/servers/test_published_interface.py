"""The lines that were published before this project, run as they stand against a real `mesh-http` on port 7701."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

SHELL = r"""
curl -s -X POST http://localhost:7701/learn   -H "Content-Type: application/json" -d '{"content": "deploy uses ./scripts/deploy.sh", "memory_type": "process"}'
curl -s -X POST http://localhost:7701/recall  -H "Content-Type: application/json" -d '{"query": "how do we deploy?", "count": 3}'
curl -s -X POST http://localhost:7701/context -H "Content-Type: application/json" -d '{"count": 10, "format": "markdown"}'
"""  # noqa: E501
HTTPX = """
import httpx
results = httpx.post("http://localhost:7701/recall", json={"query": "deploy process"}).json()["results"]
print(results[0]["content"])
"""
NODE = """
const response = await fetch("http://localhost:7701/recall", {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ query: "deploy process", count: 5 }),
});
const { results } = await response.json();
console.log(results[0].content);
"""
PYTHON = """
from mesh import Mesh
agent_a = Mesh(namespace="my-project", agent_id="coding-agent")
agent_a.learn("The API rate limit is 100 requests/min")
agent_b = Mesh(namespace="my-project", agent_id="review-agent")
results = agent_b.recall("what are the API constraints?")     # finds it, by meaning
mesh = agent_a
mesh.learn("Internal staging server is under heavy load", local_only=True)
print(results[0]["content"])
"""
PORT = 7701
BIN = Path(sys.executable).parent

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """The environment of a user whose `mesh-http` runs on 7701 with nothing configured."""
    home = tmp_path_factory.mktemp("user")
    env = {name: value for name, value in os.environ.items() if not name.startswith("MESH_")}
    env |= {"HOME": str(home), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            pytest.skip("another program uses port 7701")
    server = subprocess.Popen(["mesh-http"], env=env, stderr=subprocess.PIPE)
    try:
        _wait_for(server)
        yield env
    finally:
        server.terminate()
        server.communicate(timeout=30)


def _wait_for(server: subprocess.Popen) -> None:
    for _ in range(600):
        assert server.poll() is None, server.stderr.read()
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=5).close()
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail("mesh-http did not come up")


def run(command, env, text=None):
    done = subprocess.run(command, input=text, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
def test_the_curl_lines(user):
    """Learn, recall and context, each answered in JSON."""
    answers = []
    decoder, rest = json.JSONDecoder(), run(["bash", "-eu"], user, SHELL).strip()
    while rest:
        answer, end = decoder.raw_decode(rest)
        answers.append(answer)
        rest = rest[end:].strip()
    learned, recalled, context = answers
    assert learned["status"] == "ok"
    assert learned["result"]["status"] in {"stored", "deduplicated"}
    assert recalled["results"][0]["content"] == "deploy uses ./scripts/deploy.sh"
    assert recalled["results"][0]["memory_type"] == "process"
    assert "deploy uses ./scripts/deploy.sh" in context["context"]
    assert context["memory_count"] >= 1


def _learned(user) -> None:
    run(["mesh", "learn", "deploy uses ./scripts/deploy.sh", "--type", "process"], user)


def test_the_httpx_line(user):
    """`httpx.post(".../recall", json={"query": "deploy process"}).json()["results"]`."""
    pytest.importorskip("httpx")
    _learned(user)
    assert run([sys.executable, "-c", HTTPX], user) == "deploy uses ./scripts/deploy.sh\n"


@pytest.mark.skipif(not shutil.which("node"), reason="there is no Node here")
def test_the_node_lines(user):
    """`fetch` with `{query, count: 5}` and `const { results }`; `localhost` may mean ::1."""
    _learned(user)
    assert run(["node", "--input-type=module", "-e", NODE], user) == "deploy uses ./scripts/deploy.sh\n"


def test_the_python_lines(user):
    """One agent learns, another recalls by meaning."""
    assert run([sys.executable, "-c", PYTHON], user) == "The API rate limit is 100 requests/min\n"


def test_the_commands_of_their_own(user, tmp_path):
    """`mesh-export`, `mesh-import`, `mesh-namespaces`, and the old names of the verbs."""
    backup = str(tmp_path / "backup.json")
    run(["mesh", "add", "Backups run at night", "--namespace", "shared"], user)
    assert "Backups run at night" in run(["mesh", "ask", "when are backups made?"], user)
    run(["mesh-export", backup, "--namespace", "shared"], user)
    assert "Backups run at night" in Path(backup).read_text()
    run(["mesh-import", backup, "--namespace", "published-copy", "--dry-run"], user)
    assert "published-copy" not in run(["mesh-namespaces", "list"], user)
    run(["mesh-import", backup, "--namespace", "published-copy"], user)
    assert "published-copy" in run(["mesh-namespaces", "list"], user)
    assert "memories" in run(["mesh-namespaces", "stats", "published-copy"], user)
    run(["mesh-namespaces", "rename", "published-copy", "published-archive"], user)
    run(["mesh-namespaces", "delete", "published-archive"], user)
    assert "published" not in run(["mesh-namespaces", "list"], user)
    for name in ("export", "import", "namespaces"):
        assert f"mesh-{name}" in run([f"mesh-{name}", "--help"], user)
