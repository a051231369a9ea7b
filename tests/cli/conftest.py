"""The real `mesh` command, as a shell runs it: through pipes, or on a terminal of its own."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from warmed import serving

MESH = Path(sys.executable).parent / "mesh"

# mended.
STEERS = "a file's name, an error's place and JSON reach the terminal with their control characters (cli/output.py)"
USAGE = "wrong usage is Typer's four lines, not one of ours (cli/main.py)"
COMPLETION = "typer's completion_init() is never called, so no shell is supported (cli/main.py)"
NOT_TEXT = "bytes that are no UTF-8 reach SQLite: UnicodeEncodeError (Workspace.path_of, Mesh.inspect)"
STDOUT = "OSError, BrokenPipeError or UnicodeEncodeError on stdout ends in a traceback (cli/main.py)"
INSPECT = "Mesh.inspect does not check its limit"
PROMPT = "typer.confirm says Aborted! and exits with 1 (cli/options.py)"
MISTAKES = re.compile(r"Traceback|File \".*\", line \d+")


@dataclass(frozen=True)
class Ran:
    """What became of one command."""

    code: int
    out: str
    err: str
    raw: bytes  # stdout as bytes

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def said(self) -> str:
        """The one line on stderr; more or less of it is a failure."""
        lines = self.err.splitlines()
        assert len(lines) == 1, f"not one line on stderr: {self.err!r}"
        return lines[0]


@pytest.fixture(autouse=True)
def served(request):
    """With --warm, a command server for the home of every test, begun as late as its other fixtures allow."""
    if not request.config.getoption("--warm") or "home" not in request.fixturenames:
        yield
        return
    if marker := request.node.get_closest_marker("cold"):
        pytest.skip(f"not with --warm: {marker.args[0]}")
    home = request.getfixturevalue("home")
    if "without_model" in request.fixturenames:
        request.getfixturevalue("without_model")  # which changes the environment
    with serving(home):
        yield


@pytest.fixture
def run(home) -> Callable[..., Ran]:
    """`run("recall", "a question", stdin=b"...", env={...})`, with pipes, in `home`. A None in `env` unsets."""

    def run_mesh(
        *arguments: str | bytes | Path,
        stdin: bytes = b"",
        env: dict[str, str | None] | None = None,
        prefix: tuple[str, ...] = (),
        cwd: Path | None = None,
    ) -> Ran:
        done = subprocess.run(
            [*prefix, MESH, *arguments],
            input=stdin,
            capture_output=True,
            env=_environment(env),
            cwd=cwd,
            timeout=600,  # a model from the hub takes minutes to import where much else runs
            check=False,
        )
        err = done.stderr.decode()
        assert not MISTAKES.search(err), err
        return Ran(done.returncode, done.stdout.decode("utf-8", "replace"), err, done.stdout)

    return run_mesh


@dataclass(frozen=True)
class Session:
    """A command that ran on a terminal: all that it showed there."""

    code: int
    screen: str

    @property
    def plain(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.screen)


@pytest.fixture
def terminal(home) -> Callable[..., Session]:
    """`terminal("forget", "01kb", type_after=[("[y/N]", b"n\\n")])`: the command on a terminal of 80 columns.

    Each pair is what to wait for on the screen, and what to type then.
    """

    def on_terminal(
        *arguments: str | Path,
        type_after: list[tuple[str, bytes]] | None = None,
        env: dict[str, str | None] | None = None,
        prefix: tuple[str, ...] = (),
    ) -> Session:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = subprocess.Popen(
            [*prefix, MESH, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=_environment({"TERM": "xterm-256color"} | (env or {})),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        try:
            screen = _watched(master, type_after or [], time.monotonic() + 120)
            code = process.wait(30)
        finally:
            os.close(master)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
        assert not MISTAKES.search(screen), screen
        return Session(code, screen)

    return on_terminal


def _watched(master: int, type_after: list[tuple[str, bytes]], until: float) -> str:
    """All that appears on a terminal until its last program has ended."""
    seen, waiting, since = b"", list(type_after), 0
    while time.monotonic() < until:
        if not select.select([master], [], [], 1)[0]:
            continue
        try:
            data = os.read(master, 65536)
        except OSError:  # Linux says EIO where others say end of file
            data = b""
        if not data:
            break
        seen += data
        if waiting and (at := seen.find(waiting[0][0].encode(), since)) >= 0:
            since = at + len(waiting[0][0].encode())
            os.write(master, waiting.pop(0)[1])
    else:
        pytest.fail(f"still running after its time; the screen shows {seen[-2000:]!r}")
    assert not waiting, f"{waiting[0][0]!r} never appeared: {seen!r}"
    return seen.decode("utf-8", "replace").replace("\r\n", "\n")


def _environment(changes: dict[str, str | None] | None) -> dict[str, str]:
    env = dict(os.environ) | {"PYTHONUTF8": "0", "LC_ALL": "C.UTF-8"}
    for name in ("NO_COLOR", "VISUAL", "EDITOR", "FORCE_COLOR"):
        env.pop(name, None)
    for name, value in (changes or {}).items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    return env


@pytest.fixture
def untouched(home) -> Callable[[], dict[str, str]]:
    """Call it before and after: every file and folder of the home, with digests. The cache and locks do not count."""

    def listing() -> dict[str, str]:
        if home.is_file():
            return {".": hashlib.sha256(home.read_bytes()).hexdigest()}
        return {
            str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
            for path in home.rglob("*")
            if path.relative_to(home).parts[0] not in {".cache", ".locks"}
        }

    return listing


@pytest.fixture
def write(home) -> Callable[..., Path]:
    """`write("plans.md", "text")`: save a file in the namespace `shared` as a person's editor would."""

    def save(path: str, text: str | bytes, namespace: str = "shared") -> Path:
        target = home / namespace / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())
        return target

    return save


@pytest.fixture
def editor(tmp_path) -> Callable[[str], dict[str, str | None]]:
    """`editor("sed -i s/a/b/ \\"$1\\"")`: an environment whose EDITOR is that shell script."""

    def script(body: str) -> dict[str, str | None]:
        path = tmp_path / "an editor.sh"  # the blank is on purpose
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return {"EDITOR": f"'{path}'"}

    return script
