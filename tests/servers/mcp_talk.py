"""An MCP server as a client sees it: in this process, or a real one behind pipes or a port."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
from mcp import MCPError, types
from mcp.client import Client

MESH_SERVER = Path(sys.executable).parent / "mesh-server"
MODES = ("auto", "legacy", "2026-07-28")
PATIENCE_SECONDS = 60


def talk(server: Any, do: Callable[[Client], Awaitable[Any]], mode: str = "auto", **options: Any) -> Any:
    """What a conversation with a server (its object, its URL or its parameters) comes to."""

    async def conversation() -> tuple[Any, MCPError | None]:
        with anyio.fail_after(PATIENCE_SECONDS):
            async with Client(server, mode=mode, **options) as client:
                try:
                    return await do(client), None
                except MCPError as error:  # inside, where the client's tasks do not wrap it
                    return None, error

    result, error = anyio.run(conversation)
    if error:
        raise error
    return result


def call(server: Any, tool: str, mode: str = "auto", **arguments: Any) -> types.CallToolResult:
    return talk(server, lambda client: client.call_tool(tool, arguments), mode)


def answer(server: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    """The data of an answer that is no error."""
    result = call(server, tool, **arguments)
    assert not result.is_error, result.content
    return result.structured_content


def refusal(server: Any, tool: str, **arguments: Any) -> str:
    """The one line of an answer that is an error."""
    result = call(server, tool, **arguments)
    assert result.is_error, result.structured_content
    assert result.structured_content is None
    [said] = [block.text for block in result.content]
    assert "\n" not in said and "Traceback" not in said
    return said


class Pipes:
    """A real `mesh-server`, spoken to line by line."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [MESH_SERVER, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | environment,
        )  # fmt: skip
        self._number = 0

    def write(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The response to a request; notifications that come before it are passed over."""
        self._number += 1
        self.write(json.dumps({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}).encode())
        while (message := self.read()).get("id") != self._number:
            pass
        return message

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_SECONDS)
        assert ready, "no answer"
        return json.loads(self.process.stdout.readline())

    def shake_hands(self) -> dict[str, Any]:
        client = {"name": "test", "version": "1"}
        opened = self.ask("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=client)
        self.write(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}')
        return opened["result"]

    def end(self) -> tuple[int, bytes, str]:
        """Close the input: the exit code, and what was still on standard output and error."""
        out, err = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, out, err.decode()


@contextmanager
def served_over_http(*arguments: str, **environment: str) -> Iterator[str]:
    """The URL of a real `mesh-server --http`, on a port that the system chose."""
    process = subprocess.Popen(
        [MESH_SERVER, "--http", "--port", "0", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        found = re.search(r"http://\S+", process.stderr.readline())
        assert found, process.stderr.read()
        yield found[0]
    finally:
        process.terminate()
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert (process.returncode, out) == (0, "")


def until(true: Callable[[], bool]) -> None:
    """Wait for something that another thread or process brings about."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
