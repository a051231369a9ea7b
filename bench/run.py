"""Measure Mesh beside floors taken in the same run. One command, one table:

    python bench/run.py [--sizes 1000,10000,100000] [--json FILE] [--markdown FILE]

Run it with the Python of an environment that Mesh is installed in. Pin it to one core (`taskset -c 0`) and compare
CPU seconds: wall time depends on what else the machine does. At 100,000 and more the vectors are random, since
embedding so many texts would take a quarter of an hour and the time of a search does not depend on their values.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

from corpus import questions, texts

from mesh import Mesh
from mesh.files import sha256
from mesh.memory import Memory, new_id
from mesh.refresh import Refresh

REAL_VECTORS_UP_TO = 20_000
COLD_RUNS = 9
WARM_RUNS = 60


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure Mesh beside floors taken in the same run.")
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    figures: dict[str, dict[str, object]] = {"floors": floors(), "start": start()}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="mesh-bench-") as folder:
            figures[f"{size:,}"] = at_size(Path(folder), size)
            print(f"{size:,} done", file=sys.stderr, flush=True)
    tell(figures, as_markdown(figures), options)


def tell(figures: dict[str, Any], table: str, options: argparse.Namespace) -> None:
    """Print the table, and write down what the options `json` and `markdown` name."""
    print(table)
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")
    if options.markdown:
        Path(options.markdown).write_text(table + "\n")


# --- one process a measurement ---------------------------------------------------------------------------------


def cold(command: list[str], env: dict[str, str] | None = None, rest_seconds: float = 0) -> dict[str, float]:
    """Medians over runs of one command, the first of which only warms the disk. `rest_seconds`: between them."""
    one(command, env)
    runs = []
    for _ in range(COLD_RUNS):
        time.sleep(rest_seconds)
        runs.append(one(command, env))
    return medians(runs)


# A process's peak memory is counted from its parent's size on: a small parent measures, not this one.
MEASURE = """
import json, os, sys, time
began = time.perf_counter()
pid = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), time.perf_counter() - began,
                  used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]), file=sys.stderr)
"""


def one(command: list[str], env: dict[str, str] | None = None) -> dict[str, float]:
    """CPU and wall seconds of a command, and its peak memory in MB."""
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", MEASURE, *command], env=env, capture_output=True, check=True
    )
    code, wall, cpu, peak = json.loads(run.stderr.splitlines()[-1])
    if code:
        raise SystemExit(f"{command} ended with {code}: {run.stderr.decode()}")
    return {"cpu_s": cpu, "wall_s": wall, "peak_mb": peak}


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(run[key] for run in runs), 4) for key in runs[0]}


def floors() -> dict[str, object]:
    return {
        "python -I -S -c pass": cold([sys.executable, "-I", "-S", "-c", "pass"]),
        "python -c pass": cold([sys.executable, "-c", "pass"]),
        "import numpy": cold([sys.executable, "-c", "import numpy"]),
        "import typer": cold([sys.executable, "-c", "import typer"]),
    }


def start() -> dict[str, object]:
    return {"mesh --help": cold([mesh_command(), "--help"])}


def mesh_command() -> str:
    return str(Path(sys.executable).parent / "mesh")


# --- a vault of one size -----------------------------------------------------------------------------------------


def at_size(folder: Path, size: int) -> dict[str, object]:
    home = folder / "home"
    env = {k: v for k, v in os.environ.items() if not k.startswith("MESH_")} | {"MESH_HOME": str(home)}
    os.environ.pop("MESH_HOME", None)
    contents = texts(size)
    write_vault(home, contents)
    found: dict[str, object] = {}
    with Mesh(home=home, agent_id="bench") as mesh:
        found["bulk"] = bulk(mesh, contents)
        found["disk MB"] = round(mesh.workspace.cache.size_on_disk() / 1e6, 1)
        found["refresh, nothing changed, by a scan"] = repeated(lambda: scan(mesh), 10)
        found["recall in process"] = warm_recall(mesh)
        found["refresh, nothing changed, watched"] = repeated(mesh.workspace.refresh, 30)
        found["bare X @ q, ms"] = bare_product(mesh)
        found["learn in process, per s"] = learn_rate(mesh)
    asked = iter(questions(200, seed=9))
    found["mesh recall, cold"] = cold([mesh_command(), "recall", next(asked)], env)
    found |= warm(env, next(asked))
    new = [f"Just learned: {text}" for text in texts(COLD_RUNS, seed=77)]
    found["mesh learn, cold"] = medians([one([mesh_command(), "learn", text], env) for text in new])
    return found


def warm(env: dict[str, str], question: str) -> dict[str, object]:
    """The same with `mesh watch --background`: with a rest between them, as people and agents ask, and without.

    The CPU seconds are those of the command itself, not of the server that works for it; the wall time is of both.
    """
    if os.name != "posix":
        return {}
    subprocess.run([mesh_command(), "watch", "--background"], env=env, check=True, capture_output=True)
    try:
        return {
            "mesh recall, warm": cold([mesh_command(), "recall", question], env, rest_seconds=1.0),
            "mesh recall, warm, one after the other": cold([mesh_command(), "recall", question], env),
        }
    finally:
        subprocess.run([mesh_command(), "watch", "--stop"], env=env, check=True, capture_output=True)


def write_vault(home: Path, contents: list[str]) -> None:
    """The files, as Mesh writes them, without waiting for the disk."""
    from mesh.codec import render

    shared = home / "shared"
    shared.mkdir(parents=True)
    home.chmod(0o700)
    for text in contents:
        memory = Memory(id=new_id(), content=text, agent="bench")
        (shared / f"{memory.id}.md").write_bytes(render(memory))


def bulk(mesh: Mesh, contents: list[str]) -> dict[str, float]:
    """Indexing from nothing: files a second by words, then texts a second by meaning."""
    began = time.perf_counter()
    mesh.workspace.refresh()
    lexical = time.perf_counter() - began
    found = {"files/s by words": round(len(contents) / lexical)}
    if len(contents) <= REAL_VECTORS_UP_TO:
        began, cpu = time.perf_counter(), time.process_time()
        mesh.reindex()
        found["texts/s embedded"] = round(len(contents) / (time.perf_counter() - began), 1)
        found["texts/s embedded, per CPU s"] = round(len(contents) / (time.process_time() - cpu), 1)
    else:
        random_vectors(mesh, contents)
    found["peak MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return found


def random_vectors(mesh: Mesh, contents: list[str]) -> None:
    """Give every text a random unit vector, in the places where real ones would be."""
    import numpy as np

    workspace = mesh.workspace
    embedder = workspace.embedder
    assert embedder is not None
    matrix, made = workspace.cache.matrix(embedder), np.random.default_rng(0)
    rows = workspace.cache.manifest.db.execute("SELECT file_id, text_digest FROM files").fetchall()
    length = {sha256(text.encode()): len(text) for text in contents}
    for start in range(0, len(rows), 10_000):
        part = rows[start : start + 10_000]
        vectors = made.standard_normal((len(part), embedder.dimension), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        with workspace.cache.manifest.transaction() as db:
            matrix.append({digest: vector for (_, digest), vector in zip(part, vectors, strict=True)})
            db.executemany(
                "INSERT INTO passages VALUES (?, ?, 0, 0, ?, ?)",
                [(matrix.model, file_id, length[digest], digest) for file_id, digest in part],
            )
    with workspace.cache.manifest.transaction() as db:
        db.execute("DELETE FROM waiting WHERE model = ?", (matrix.model,))


def scan(mesh: Mesh) -> None:
    """A refresh as a cold process does it."""
    workspace = mesh.workspace
    Refresh(workspace.vault, workspace.namespace, workspace.cache).run()


def warm_recall(mesh: Mesh) -> dict[str, float]:
    asked = iter(questions(WARM_RUNS + 10))
    for _ in range(10):
        mesh.recall(next(asked))
    return repeated(lambda: mesh.recall(next(asked)), WARM_RUNS)


def repeated(action: Callable[[], object], runs: int) -> dict[str, float]:
    wall, cpu = [], []
    for _ in range(runs):
        began, used = time.perf_counter(), time.process_time()
        action()
        wall.append((time.perf_counter() - began) * 1000)
        cpu.append((time.process_time() - used) * 1000)
    return {
        "p50_ms": round(statistics.median(wall), 2),
        "p95_ms": round(sorted(wall)[int(0.95 * (len(wall) - 1))], 2),
        "cpu_ms": round(statistics.median(cpu), 2),
    }


def bare_product(mesh: Mesh) -> float:
    """The floor of an exact search: the matrix times one vector."""
    embedder = mesh.workspace.embedder
    assert embedder is not None
    rows = mesh.workspace.cache.matrix(embedder).rows()
    question = embedder.embed_questions(["a question"])[0]
    return repeated(lambda: rows @ question, 20)["p50_ms"]


def learn_rate(mesh: Mesh) -> float:
    """Learned, embedded, on disk and recallable, per second."""
    new = [f"Learned: {text}" for text in texts(120, seed=5)]
    for text in new[:20]:
        mesh.learn(text)
    began = time.perf_counter()
    for text in new[20:]:
        mesh.learn(text)
    return round(100 / (time.perf_counter() - began), 1)


# --- the table ---------------------------------------------------------------------------------------------------


def as_markdown(figures: dict[str, dict[str, object]]) -> str:
    lines = ["| What | Figure |", "|---|---|"]
    for group, values in figures.items():
        for name, value in values.items():
            what = name if group in {"floors", "start"} else f"{name}, at {group}"
            lines.append(f"| {what} | {_said(value)} |")
    return "\n".join(lines)


def _said(value: object) -> str:
    if not isinstance(value, dict):
        return str(value)
    if "cpu_s" in value:
        return f"{value['cpu_s']:.3f} s CPU, {value['wall_s']:.3f} s, {value['peak_mb']:.0f} MB"
    if "p50_ms" in value:
        return f"p50 {value['p50_ms']} ms, p95 {value['p95_ms']} ms, CPU {value['cpu_ms']} ms"
    return ", ".join(f"{name} {number}" for name, number in value.items())


if __name__ == "__main__":
    main()
