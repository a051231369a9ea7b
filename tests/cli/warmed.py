"""A home with a command server, and commands that are sure to have been done by it, or sure not to."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mesh_cli import server_process

MESH = Path(sys.executable).parent / "mesh"
_SERVE = """
import sys
sys.path[0] = sys.executable.rpartition("/")[0]  # as a command has it, and not the current folder
import time
from pathlib import Path
from mesh_cli.server_process import begin, status
home, until = Path(sys.argv[1]), time.monotonic() + 60
server = begin(home, cool_after_seconds=float(sys.argv[2]))
while not ((running := status(home)) and running.answers):
    if server.poll() is not None or time.monotonic() > until:
        sys.exit("no command server answers")
    time.sleep(0.01)
print("answers", flush=True)
sys.stdin.read()
"""
# Importing is logged by the command itself, not by the worker, which has imported all it needs long ago.
THIN = (sys.executable, "-X", "importtime")
HEAVY = {"typer", "numpy", "sqlite3", "mesh"}


class Ran(NamedTuple):
    """What became of one command."""

    code: int
    out: str
    err: str


def environment(changes: dict[str, str | None] | None = None) -> dict[str, str]:
    """As the fixture `run` has it; a None unsets."""
    env: dict[str, str | None] = dict(os.environ) | {"PYTHONUTF8": "0", "LC_ALL": "C.UTF-8"} | (changes or {})
    return {name: value for name, value in env.items() if value is not None}


class NotServed(Exception):
    """No command server can run in that home."""


@contextmanager
def serving(
    home: Path,
    *options: str,
    env: dict[str, str | None] | None = None,
    prefix: tuple[str, ...] = (),
    cool_after_seconds: float = 600,
) -> Iterator[int]:
    """Have a command server serve a home, started with the environment that commands have here; its process id."""
    starter = subprocess.Popen(
        [*prefix, sys.executable, *options, "-c", _SERVE, str(home), str(cool_after_seconds)],
        env=environment(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with starter:  # which closes its standard input at the end; then it ends, and then the server does
        assert starter.stdout
        if not starter.stdout.readline() or not (running := server_process.status(home)):
            raise NotServed
        yield running.pid
    wait_until(lambda: server_process.status(home) is None)


def split(err: bytes) -> tuple[str, set[str]]:
    """What a command said on stderr, and the modules that it imported itself."""
    lines = err.decode().splitlines(keepends=True)
    logged = [line for line in lines if line.startswith("import time:")]
    said = "".join(line for line in lines if not line.startswith("import time:"))
    return said, {line.rpartition("|")[2].strip() for line in logged}


def done(
    *arguments: str | bytes | Path,
    warm: bool,
    stdin: bytes = b"",
    env: dict[str, str | None] | None = None,
    program: str = "mesh",
    cwd: Path | None = None,
    prefix: tuple[str, ...] = (),
) -> Ran:
    """Run a command and make sure that it was, or was not, the command server that did it."""
    ran = subprocess.run(
        [*prefix, *THIN, MESH.with_name(program), *arguments],
        input=stdin,
        capture_output=True,
        env=environment(env),
        cwd=cwd,
        timeout=120,
        check=False,
    )
    said, imported = split(ran.stderr)
    assert bool(imported & HEAVY) is not warm, f"{'not ' if warm else ''}warm: {said}"
    return Ran(ran.returncode, ran.stdout.decode("utf-8", "replace"), said)


def begun(*arguments: str, env: dict[str, str | None] | None = None, **options: object) -> subprocess.Popen[bytes]:
    """A command whose standard input stays open."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([MESH, *arguments], env=environment(env), **pipes | options)  # type: ignore[call-overload]


def worker_of(server: int, client: int) -> int:
    """The worker that reads what a command was given, which has the same pipe open as its standard input."""
    theirs = f"/proc/{client}/fd/0"

    def found() -> int | None:
        for task in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((task / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == server and os.path.samefile(task / "fd/0", theirs):
                    return int(task.name)
            except OSError:
                continue
        return None

    return wait_until(found)


def wait_until(condition, seconds: float = 20.0):
    """What a condition gives, once it is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError("it never became true")


def is_gone(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
