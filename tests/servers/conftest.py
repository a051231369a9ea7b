"""`mesh-http` as its clients meet it: the real process on a free port, and its application without a socket."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from mesh_servers.http_app import create_app
from mesh_servers.meshes import Meshes

from mesh.settings import Settings

COMMAND = Path(sys.executable).parent / "mesh-http"
JSON = {"Content-Type": "application/json"}
ELSEWHERE = "192.0.2.7"  # an address that is not this machine's


@dataclass(frozen=True)
class Answer:
    """One response."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, str]:
        """The error in it, which must have the form of every error."""
        found = self.json()
        assert list(found) == ["error"], found
        assert list(found["error"]) == ["code", "message", "remedy"], found
        assert all(isinstance(value, str) for value in found["error"].values()), found
        assert "Traceback" not in found["error"]["message"]
        return found["error"]


class Running:
    """A `mesh-http` process."""

    def __init__(self, arguments: tuple[str, ...], env: dict[str, str], said_in: Path) -> None:
        self._said_in = said_in
        with said_in.open("wb") as stderr:
            self.process = subprocess.Popen([COMMAND, *arguments], env=dict(os.environ) | env, stderr=stderr)
        self.port = 0

    @property
    def said(self) -> str:
        """All of its standard error."""
        return self._said_in.read_text("utf-8")

    def wait_until_it_listens(self) -> Running:
        for _ in range(3000):
            if found := re.search(r"listening on http://\S+:(\d+)\b", self.said):
                self.port = int(found[1])
                return self
            assert self.process.poll() is None, self.said
            time.sleep(0.01)
        raise AssertionError(f"it does not listen: {self.said}")

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, host: str = "127.0.0.1"
    ) -> Answer:
        """One request on a connection of its own. A body that is not bytes is sent as JSON."""
        connection = http.client.HTTPConnection(host, self.port, timeout=60)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, data, (JSON if data is not None else {}) | (headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def send(self, data: bytes, host: str = "127.0.0.1") -> Answer:
        """These very bytes; what comes back until the server closes or has answered once."""
        with socket.create_connection((host, self.port), timeout=60) as connection:
            connection.sendall(data)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it with a signal; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def mesh_http(home, tmp_path) -> Iterator[Callable[..., Running]]:
    """`mesh_http("--namespace", "mine", env={...})`: the real process, listening on a free port, over `home`."""
    started: list[Running] = []

    def start(*arguments: str, env: dict[str, str] | None = None) -> Running:
        port = () if "--port" in arguments else ("--port", "0")
        said_in = tmp_path / f"mesh-http-{len(started)}.stderr"
        started.append(Running((*arguments, *port), {"MESH_HOME": str(home)} | (env or {}), said_in))
        return started[-1].wait_until_it_listens()

    yield start
    for one in started:
        one.stop()
        assert not re.search("Traceback|xception|This is a bug", one.said), one.said


@pytest.fixture
def server(mesh_http) -> Running:
    """A `mesh-http` with nothing configured."""
    return mesh_http()


@dataclass
class Application:
    """The application without a socket. `address`: where its client is."""

    client: Any
    address: str = "127.0.0.1"

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        data = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
        given = (JSON if data is not None else {}) | (headers or {})
        answer = self.client.open(
            path, method=method, data=data, headers=given, environ_overrides={"REMOTE_ADDR": self.address}
        )
        return Answer(answer.status_code, {name.lower(): value for name, value in answer.headers}, answer.data)

    def post(self, path: str, **body: Any) -> Answer:
        return self.ask("POST", path, body)

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def from_elsewhere(self) -> Application:
        """The same, asked by a client on another machine."""
        return replace(self, address=ELSEWHERE)


@pytest.fixture
def app(home, without_model) -> Iterator[Application]:
    """The application over `home`, without a model; the namespace "shared"."""
    meshes = Meshes(Settings.from_environment())
    yield Application(create_app(meshes).test_client())
    meshes.close()


@pytest.fixture
def mcp_server(home) -> Iterator[Callable[..., Any]]:
    """`mcp_server(local=True, agent="me")`: an MCP server over `home`, in this process; its namespace is "shared"."""
    from mesh_servers.mcp_protocol import MeshServer

    made = []

    def make(*, local: bool = False, **settings: Any) -> MeshServer:
        made.append(MeshServer(replace(Settings.from_environment(), **settings), local=local))
        return made[-1]

    yield make
    for one in made:
        one.close()
