"""Measure import, `mesh-http` and `mesh-server` from outside, through the installed commands:

    taskset -c 0 python bench/servers.py --venv .venv [--sizes 1000,10000] [--two-cores] [--json FILE]

`--venv` is an environment with any product that has the commands `mesh import`, `mesh-http` and `mesh-server`: Mesh or
the peer, so that both are measured by the same code in one sitting. `--env NAME=VALUE` reaches its processes and
`--home-files DIR` is copied into each home first (the peer's model lies there). Standard library only. With
`--two-cores` the server under 16 clients is not pinned (run without taskset then, or it has no effect).
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from corpus import questions, texts

RECALLS = 200
CLIENTS, ASKED_BY_EACH = 16, 25
SPAWNS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure import, HTTP and MCP through the installed commands.")
    parser.add_argument("--venv", default=sys.prefix)
    parser.add_argument("--sizes", default="1000,10000")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--home-files", metavar="DIR")
    parser.add_argument("--two-cores", action="store_true")
    parser.add_argument("--json")
    options = parser.parse_args()
    product = Product(Path(options.venv), dict(pair.split("=", 1) for pair in options.env), options.home_files)
    figures: dict[str, Any] = {}
    for size in map(int, options.sizes.split(",")):
        with product.home() as env:
            figures[f"{size:,}"] = product.at_size(env, size, two_cores=options.two_cores)
            print(json.dumps({f"{size:,}": figures[f"{size:,}"]}), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")


class Product:
    """The commands of one environment."""

    def __init__(self, venv: Path, env: dict[str, str], home_files: str | None) -> None:
        self._bin, self._env, self._home_files = venv / "bin", env, home_files

    @contextmanager
    def home(self) -> Iterator[dict[str, str]]:
        """A fresh home folder, and the environment that names it."""
        with tempfile.TemporaryDirectory(prefix="mesh-bench-") as folder:
            home = Path(folder, ".mesh")
            if self._home_files:
                shutil.copytree(self._home_files, home)
            home.mkdir(mode=0o700, exist_ok=True)
            kept = {name: value for name, value in os.environ.items() if not name.startswith("MESH_")}
            yield kept | {"HOME": folder, "MESH_HOME": str(home)} | self._env

    def at_size(self, env: dict[str, str], size: int, *, two_cores: bool) -> dict[str, object]:
        found: dict[str, object] = {"import": self.imported(env, size)}
        found["http"] = self.http(env, two_cores=two_cores)
        found["mcp"] = self.mcp(env)
        return found

    # --- import --------------------------------------------------------------------------------------------------

    def imported(self, env: dict[str, str], size: int) -> dict[str, float]:
        """`mesh import` of an export in the peer's format, vectors not included."""
        file = Path(env["HOME"], "export.json")
        file.write_text(json.dumps(export(size)))
        command = [str(self._bin / "mesh"), "import", str(file), "--namespace", "bench"]
        began = time.perf_counter()
        pid = os.spawnve(os.P_NOWAIT, command[0], command, env)
        _, status, used = os.wait4(pid, 0)
        wall = time.perf_counter() - began
        if status:
            raise SystemExit(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
        cpu = used.ru_utime + used.ru_stime
        return {"per_s": size / wall, "wall_s": wall, "cpu_s": cpu, "peak_mb": used.ru_maxrss / 1024}

    # --- HTTP ----------------------------------------------------------------------------------------------------

    def http(self, env: dict[str, str], *, two_cores: bool) -> dict[str, float]:
        port = free_port()
        command = [self._bin / "mesh-http", "--port", str(port)]
        with running(command, env) as process:
            began = time.perf_counter()
            ask = Client(port, Path(env["MESH_HOME"]), wait=True)
            found = {"up_s": time.perf_counter() - began}
            ask.recall("which notes are about the canary region?")
            found["first_recall_after_start_s"] = time.perf_counter() - began
            time.sleep(1)
            asked = iter(questions(RECALLS + 40 + CLIENTS * ASKED_BY_EACH, seed=5))
            for _ in range(40):
                ask.recall(next(asked))
            cpu = cpu_seconds(process.pid)
            times = [ask.recall(next(asked)) for _ in range(RECALLS)]
            found["recall_p50_ms"] = statistics.median(times) * 1000
            found["recall_p95_ms"] = sorted(times)[int(RECALLS * 0.95)] * 1000
            found["recall_cpu_ms"] = (cpu_seconds(process.pid) - cpu) / RECALLS * 1000
            if two_cores:
                os.sched_setaffinity(process.pid, range(os.cpu_count() or 1))
            found |= at_once(port, Path(env["MESH_HOME"]), list(asked))
            found["peak_mb"] = peak_mb(process.pid)
        return found

    # --- MCP -----------------------------------------------------------------------------------------------------

    def mcp(self, env: dict[str, str]) -> dict[str, float]:
        runs = [self._mcp_once(env | {"MESH_NAMESPACE": "bench"}, number) for number in range(SPAWNS)]
        return {key: statistics.median(run[key] for run in runs) for key in runs[0]}

    def _mcp_once(self, env: dict[str, str], number: int) -> dict[str, float]:
        first, second = questions(2, seed=100 + number)
        began = time.perf_counter()
        with running([self._bin / "mesh-server"], env, pipes=True) as process:
            talk = Talk(process)
            client = {"name": "bench", "version": "1"}
            opening = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
            talk.ask("initialize", opening)
            talk.tell("notifications/initialized")
            talk.ask("tools/list", {})
            listed = time.perf_counter()
            talk.ask("tools/call", {"name": "mesh_recall", "arguments": {"query": first}})
            recalled = time.perf_counter()
            talk.ask("tools/call", {"name": "mesh_recall", "arguments": {"query": second}})
            again = time.perf_counter()
            return {
                "tools_list_s": listed - began,
                "first_recall_s": recalled - began,
                "second_recall_ms": (again - recalled) * 1000,
                "peak_mb": peak_mb(process.pid),
            }


def export(size: int) -> dict[str, object]:
    """The peer's export format, without vectors."""
    memories = [
        {
            "id": f"00000000-0000-4000-8000-{number:012d}",
            "content": text,
            "memory_type": "fact",
            "confidence": 1.0,
            "source_agent": "bench",
            "tags": [],
            "local_only": False,
            "created_at": "2026-01-01T00:00:00+00:00",
            "ttl_days": None,
            "access_count": 0,
        }
        for number, text in enumerate(texts(size))
    ]
    return {
        "mesh_version": "0.8.3",
        "exported_at": "2026-01-01T00:00:00+00:00",
        "namespace": "bench",
        "memory_count": size,
        "skipped_local_only": 0,
        "memories": memories,
    }


@contextmanager
def running(command: list[object], env: dict[str, str], *, pipes: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    ends = subprocess.PIPE if pipes else subprocess.DEVNULL
    process = subprocess.Popen(list(map(str, command)), env=env, stdin=ends, stdout=ends, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


class Client:
    """One keep-alive connection. The peer wants the token that it wrote into its home."""

    def __init__(self, port: int, home: Path, *, wait: bool = False) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while wait and not self._is_up():
            time.sleep(0.005)
        token = home / "auth_token"
        self._headers = {"Content-Type": "application/json"}
        if token.exists():
            self._headers["Authorization"] = f"Bearer {token.read_text().strip()}"

    def _is_up(self) -> bool:
        try:
            self._connection.request("GET", "/health")
            return self._connection.getresponse().read() is not None
        except OSError:
            self._connection.close()
            return False

    def recall(self, question: str) -> float:
        """Seconds that one /recall takes."""
        body = json.dumps({"query": question, "count": 5, "namespace": "bench"})
        began = time.perf_counter()
        self._connection.request("POST", "/recall", body, self._headers)
        answer = self._connection.getresponse()
        data = answer.read()
        seconds = time.perf_counter() - began
        if answer.status != 200 or not json.loads(data)["results"]:
            raise SystemExit(f"/recall: {answer.status} {data[:200]!r}")
        return seconds


class Talk:
    """JSON-RPC over the pipes of an MCP server."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin and process.stdout
        self._in, self._out, self._last = process.stdin, process.stdout, 0

    def tell(self, method: str, params: object = None, number: int | None = None) -> None:
        message: dict[str, object] = {"jsonrpc": "2.0", "method": method}
        message |= {} if params is None else {"params": params}
        message |= {} if number is None else {"id": number}
        self._in.write(json.dumps(message).encode() + b"\n")
        self._in.flush()

    def ask(self, method: str, params: object) -> dict[str, Any]:
        self._last += 1
        self.tell(method, params, self._last)
        for line in self._out:
            answer = json.loads(line) if line.lstrip().startswith(b"{") else {}
            if answer.get("id") == self._last and "method" not in answer:
                if "error" in answer or answer["result"].get("isError"):
                    raise SystemExit(f"{method}: {line[:300]!r}")
                return dict(answer)
        raise SystemExit("the MCP server ended")


def at_once(port: int, home: Path, asked: list[str]) -> dict[str, float]:
    """Recalls a second of 16 clients that all ask at the same time, each over a connection of its own."""
    failures: list[BaseException] = []

    def ask(number: int) -> None:
        try:
            client = Client(port, home)
            for question in asked[number * ASKED_BY_EACH : (number + 1) * ASKED_BY_EACH]:
                client.recall(question)
        except (OSError, SystemExit, http.client.HTTPException) as failure:
            failures.append(failure)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = CLIENTS * ASKED_BY_EACH / (time.perf_counter() - began)
    return {"clients_16_recalls_per_s": rate, "clients_16_failures": float(len(failures))}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
