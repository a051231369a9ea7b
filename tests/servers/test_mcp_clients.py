"""Clients that are not ours: the protocol's own inspector, and its conformance scenarios.

They run on Node 22 or later; `.ci/node` installs them into `.node/`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hashing import write
from mcp_talk import MESH_SERVER, served_over_http

from mesh.context import NOTICE

PROGRAMS = Path(__file__).parent.parent.parent / ".node" / "node_modules" / ".bin"
SCENARIOS = (
    *("server-initialize", "server-session-lifecycle", "server-sse-multiple-streams", "ping"),
    *("tools-list", "resources-list", "resources-subscribe", "resources-unsubscribe", "prompts-list"),
    *("completion-complete", "dns-rebinding-protection", "caching", "http-header-validation"),
    *("sep-2164-resource-not-found", "input-required-result-unsupported-methods"),
)
SECONDS = 120


def missing() -> str:
    """Why the programs cannot be run here, if so."""
    if not all((PROGRAMS / name).exists() for name in ("mcp-inspector", "conformance")):
        return "the inspector and the conformance scenarios are not installed here: run .ci/node"
    try:
        said = subprocess.run(
            ["node", "--version"], env=with_node(), capture_output=True, text=True, check=False
        ).stdout
    except OSError:
        return "there is no Node here"
    major = re.match(r"v(\d+)", said)
    return "" if major and int(major[1]) >= 22 else f"Node 22 or later is needed, here is {said.strip() or 'none'}"


def with_node() -> dict[str, str]:
    return os.environ | {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture
def vault(home, without_model, tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))  # the inspector keeps something there
    write(home, "shared/a.md", "---\nid: aaaa0000\n---\nThe lamp is lit\n")
    return home


# --- the inspector ---------------------------------------------------------------------------


def inspected(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit code of the inspector's command line, and the JSON that it prints."""
    done = subprocess.run(
        ["mcp-inspector", "--cli", "-e", f"MESH_HOME={os.environ['MESH_HOME']}",
         "-e", f"MESH_MODEL_PATH={os.environ['MESH_MODEL_PATH']}", str(MESH_SERVER), *arguments, "--format", "json"],
        env=with_node(), capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_the_inspector_lists_and_calls_the_tools(vault):
    """The answer's data holds what is to be read."""
    code, [listed] = inspected("--method", "tools/list")
    assert (code, len(listed["result"]["tools"])) == (0, 6)
    call = ("--method", "tools/call", "--tool-name", "mesh_recall", "--tool-arg")
    code, [called] = inspected(*call, "query=lamp", "--tool-arg", "count=1")
    data = called["result"]["structuredContent"]
    assert (code, data["results"][0]["id"]) == (0, "aaaa0000")
    assert NOTICE in data["text"] and "> The lamp is lit" in data["text"]


def test_the_inspector_shows_an_error_as_one(vault):
    """A tool's refusal has its own exit code there."""
    call = ("--method", "tools/call", "--tool-name", "mesh_recall", "--tool-arg")
    code, answers = inspected(*call, "query=lamp", "--tool-arg", "count=0")
    assert code != 0
    assert "from 1 to 50" in answers[0]["result"]["content"][0]["text"]


def test_the_inspector_reads_resources_and_prompts(vault):
    """What it lists it can read."""
    _, [listed] = inspected("--method", "resources/list")
    assert [one["uri"] for one in listed["result"]["resources"]] == ["mesh://namespaces", "mesh://shared/aaaa0000"]
    _, [read] = inspected("--method", "resources/read", "--uri", "mesh://shared/aaaa0000")
    assert "> The lamp is lit" in read["result"]["contents"][0]["text"]
    _, [templates] = inspected("--method", "resources/templates/list")
    assert templates["result"]["resourceTemplates"][0]["uriTemplate"] == "mesh://{namespace}/{id}"
    _, [prompts] = inspected("--method", "prompts/list")
    assert len(prompts["result"]["prompts"]) == 3
    _, [brief] = inspected("--method", "prompts/get", "--prompt-name", "brief")
    assert "> The lamp is lit" in brief["result"]["messages"][0]["content"]["text"]


# --- the conformance scenarios ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> Iterator[str]:
    """One server for all scenarios."""
    folder = tmp_path_factory.mktemp("conformance")
    write(folder, "home/shared/a.md", "---\nid: aaaa0000\n---\nThe lamp is lit\n")
    with served_over_http(MESH_HOME=str(folder / "home"), MESH_MODEL_PATH=str(folder / "no-model")) as found:
        yield found


def conformance(url: str, scenario: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["conformance", "server", "--url", url, "--scenario", scenario, "--force"],
        env=with_node(), capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_conformance_scenario_passes(url, scenario):
    """None of its checks fails or warns."""
    done = conformance(url, scenario)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Passed: (\d+)/\1, 0 failed, 0 warnings", done.stdout), done.stdout


def test_of_the_stateless_scenario_only_what_needs_its_own_tools_is_not_passed(url):
    """Four of its checks call diagnostic tools, which a real server does not have."""
    said = conformance(url, "server-stateless").stdout
    failures = re.findall(r"^\s+Error: (.*)$", said, re.MULTILINE)
    assert len(failures) == 4
    assert all(failure.startswith("Not testable: server does not list the diagnostic tool") for failure in failures)
    assert "24/28, 4 failed, 0 warnings" in said
