"""Remotes that are no folder: git's own daemon, git over HTTP, and a program that stands for ssh; each on loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from clones import git

_SSH = """#!/bin/sh
# What a host would do: run the last word, the command, in its shell.
for last; do :; done
exec sh -c "$last"
"""


class Daemon:
    """`git daemon` over a folder of repositories."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"git://127.0.0.1:{self.port}/remote.git"

    def start(self) -> None:
        place = [f"--port={self.port}", "--export-all", f"--base-path={self.folder}", "--enable=receive-pack"]
        command = ["git", "daemon", "--reuseaddr", "--listen=127.0.0.1", *place]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        (self.folder / "daemon.pid").write_text(str(self.process.pid))
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            if self.process.poll() is not None:
                pytest.skip("git daemon is not installed here")
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Backend(ThreadingHTTPServer):
    """`git http-backend` behind a small server. `before_push`: called before a push is handed on; False drops it."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.folder, self.password, self.dropped_answers = folder, "", 0
        self.before_push: Callable[[], bool] = lambda: True
        self.url = f"http://127.0.0.1:{self.server_port}/remote.git"
        git(folder / "remote.git", "config", "http.receivepack", "true")


class _Asked(BaseHTTPRequestHandler):
    server: Backend

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        if self.server.password:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="notes"')
            self.end_headers()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        is_push = self.command == "POST" and self.path.endswith("git-receive-pack")
        if is_push and not self.server.before_push():
            self.close_connection = True
            return
        head, _, answer = self._answered(body).partition(b"\r\n\r\n")
        if is_push and self.server.dropped_answers:
            self.server.dropped_answers -= 1
            self.close_connection = True
            return
        status = next((line[8:11] for line in head.split(b"\r\n") if line.startswith(b"Status: ")), b"200")
        self.send_response(int(status))
        for line in head.decode().split("\r\n"):
            name, _, value = line.partition(": ")
            if name != "Status":
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def _answered(self, body: bytes) -> bytes:
        path, _, query = self.path.partition("?")
        env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        env |= {
            "GIT_PROJECT_ROOT": str(self.server.folder), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
            "QUERY_STRING": query, "REQUEST_METHOD": self.command, "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "REMOTE_ADDR": "127.0.0.1",
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }  # fmt: skip
        return subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=env, check=True).stdout


@contextmanager
def daemon(folder: Path) -> Iterator[Daemon]:
    made = Daemon(folder)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@contextmanager
def backend(folder: Path) -> Iterator[Backend]:
    made = Backend(folder)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        made.shutdown()
        made.server_close()


def through_ssh(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of the remote for a program in the place of ssh: git talks to it as it does to ssh."""
    if not shutil.which("sh"):
        pytest.skip("there is no sh here")
    program = folder / "ssh-to-here"
    program.write_text(_SSH)
    program.chmod(0o700)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(program))
    return f"ssh://git@notes.invalid{folder}/remote.git"
