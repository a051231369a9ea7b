"""What it takes to be always fresh: with a watcher, cold, when nothing changed, and when a branch is checked out.

    taskset -c 0 python bench/watch.py [--sizes 10000,100000] [--idle-seconds 60] [--json FILE] [--markdown FILE]

The watcher is a `mesh watch` of its own; who asks is another process. Questions are asked in words and without a model,
but for the idle watcher, which has one loaded. Vectors are random, as in run.py. Each step runs in a process of its
own, so that its peak memory is its own. 100,000 memories take about ten minutes and 3 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from corpus import texts
from run import random_vectors, repeated, scan, tell, write_vault
from watchers import cpu_seconds, files_of, git, memory, two_branches, watching

from mesh import Mesh
from mesh.index.cache import Cache
from mesh.refresh import Refresh
from mesh.vault import Vault, roots

RUNS = 40
EDITS = 12
Figures = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what it takes to be always fresh.")
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--idle-seconds", type=float, default=60.0)
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    parser.add_argument("--step", nargs=3, metavar=("NAME", "HOME", "VALUE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        name, home, value = options.step
        logging.disable(logging.WARNING)  # that there is no model
        print(json.dumps(STEPS[name](Path(home), float(value))))
        return
    figures = {f"{size:,}": at_size(size, options.idle_seconds) for size in map(int, options.sizes.split(","))}
    tell(figures, as_markdown(figures), options)


def at_size(size: int, idle_seconds: float) -> Figures:
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as folder:
        home, found = Path(folder) / "home", {}
        write_vault(home, texts(size))
        (home / "shared").rename(home / "all")
        (home / "shared").mkdir()
        (home / "all").rename(home / "shared" / "all")
        for name in STEPS:
            found[name] = step(name, home, idle_seconds)
            print(f"{size:,}: {name}: {found[name]}", file=sys.stderr, flush=True)
        return found


def step(name: str, home: Path, value: float) -> Figures:
    env = {key: value for key, value in os.environ.items() if not key.startswith("MESH_")} | {"MESH_HOME": str(home)}
    if name not in {"vectors", "idle"}:
        env["MESH_MODEL_PATH"] = str(home / ".none")
    command = [sys.executable, __file__, "--step", name, str(home), str(value)]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


# --- the steps, each in a process of its own -------------------------------------------------------------------------


def index(home: Path, _: float) -> Figures:
    """By words, from nothing."""
    with Mesh(home=home) as mesh:
        began = time.process_time()
        count = mesh.workspace.refresh()[0]
        took = time.process_time() - began
    return {"CPU s": took, "files per CPU s": count / took, "peak MB": memory(os.getpid(), "VmHWM")}


def vectors(home: Path, _: float) -> Figures:
    """So that nothing is to be embedded."""
    with Mesh(home=home) as mesh:
        random_vectors(mesh, texts(mesh.count()))
    return {}


def unchanged(home: Path, _: float) -> Figures:
    with Mesh(home=home) as mesh:
        mesh.workspace.refresh()
        return {"cpu_ms": repeated(lambda: scan(mesh), 15)["cpu_ms"]}


def own_watch(home: Path, _: float) -> Figures:
    with Mesh(home=home) as mesh:
        mesh.workspace.refresh()
        mesh.workspace.watch()
        mesh.workspace.refresh()
        return repeated(mesh.workspace.refresh, RUNS)


def by_lease(home: Path, _: float) -> Figures:
    """A process that asks the watcher each time. A scan takes longer, so what is slow was one."""
    with watching(home), Mesh(home=home) as mesh:
        mesh.workspace.refresh()
        return repeated(mesh.workspace.refresh, RUNS)


def edit(home: Path, _: float) -> Figures:
    """From the moment a file is saved to the end of a recall that finds it, cold and while somebody watches."""
    cold = repeated(_edits(home, "cold", lambda asked: _asked_anew(home, asked)), EDITS)
    with watching(home), Mesh(home=home) as mesh:
        mesh.workspace.refresh()
        watched = repeated(_edits(home, "watched", lambda asked: mesh.recall(asked, 1)), EDITS)
        return {"cold": cold, "watched": watched, "unasked": unasked(home)}


def _edits(home: Path, word: str, ask: Callable[[str], Any]) -> Callable[[], None]:
    files = iter(files_of(home))

    def one() -> None:
        path = next(files)
        with path.open("a") as file:
            file.write(f"{word}{path.stem}\n")
        (row,) = ask(f"{word}{path.stem}")
        assert f"{word}{path.stem}" in row["content"]

    return one


def _asked_anew(home: Path, asked: str) -> Any:
    with Mesh(home=home) as mesh:
        return mesh.recall(asked, 1)


def unasked(home: Path) -> Figures:
    """From the moment a file is saved until the watcher, whom nobody asks, has it in the index."""
    path = files_of(home)[-1]
    cache = Cache(home, "shared", roots("shared"))

    def one() -> None:
        time.sleep(0.2)
        before = cache.manifest.generation()
        one.began = time.perf_counter()  # type: ignore[attr-defined]
        path.write_text(path.read_text() + "again\n")
        while cache.manifest.generation() == before:
            time.sleep(0.001)
        took.append(1000 * (time.perf_counter() - one.began))  # type: ignore[attr-defined]

    took: list[float] = []
    for _ in range(EDITS):
        one()
    cache.close()
    return {"p50_ms": sorted(took)[len(took) // 2], "p95_ms": sorted(took)[int(0.95 * len(took))]}


def idle(home: Path, seconds: float) -> Figures:
    """The watcher after it embedded a memory, for a minute."""
    with watching(home) as pid:
        peak = memory(pid, "VmHWM")
        (home / "shared" / "new.md").write_text("The last thing that happens for a minute.\n")
        time.sleep(10)
        before = cpu_seconds(pid)
        time.sleep(seconds)
        used = cpu_seconds(pid) - before
        found = {"CPU s": used, "percent": 100 * used / seconds, "peak MB": peak}
        return found | {"MB": memory(pid, "VmRSS"), "of it its own MB": memory(pid, "RssAnon")}


def cold_checkout(home: Path, _: float) -> Figures:
    """Half of the files differ; the next question finds them."""
    two_branches(home)
    with Mesh(home=home) as mesh:
        mesh.workspace.refresh()
    git(home / "shared", "checkout", "-q", "other")
    return _next_question(home, "lastofother")


def checkout(home: Path, _: float) -> Figures:
    """The same while somebody watches: after the end of the checkout, until nothing is missing."""
    return _watched(home, "lastofmain", lambda: git(home / "shared", "checkout", "-q", "main"))


def cold_rename(home: Path, _: float) -> Figures:
    """Of the folder that all files are in."""
    (home / "shared" / "all").rename(home / "shared" / "everything")
    return _next_question(home, "lastofmain everything")


def rename(home: Path, _: float) -> Figures:
    return _watched(home, "wherever", lambda: (home / "shared" / "everything").rename(home / "shared" / "wherever"))


def right(home: Path, _: float) -> Figures:
    """Ends the run if the index is not what the files are."""
    cache = Cache(home, "shared", roots("shared"))
    wrong = Refresh(Vault(home), "shared", cache).wrong_rows()
    assert not wrong, wrong[:10]
    return {"rows": cache.manifest.count_all()}


def _next_question(home: Path, asked: str) -> Figures:
    with Mesh(home=home) as mesh:
        began = time.perf_counter(), time.process_time()
        assert mesh.recall(asked, 1).receipt.changed
        found = {"found after s": time.perf_counter() - began[0], "CPU s": time.process_time() - began[1]}
    return found | {"peak MB": memory(os.getpid(), "VmHWM")}


def _watched(home: Path, asked: str, act: Callable[[], object]) -> Figures:
    """From the end of an act to the first answer that rests on it, and to one that misses nothing."""
    with watching(home) as pid:
        before = cpu_seconds(pid)
        act()
        began, first = time.perf_counter(), None
        while True:
            with Mesh(home=home) as mesh:
                found = mesh.recall(asked, 1)
            if any(asked in row["content"] + row["path"] for row in found):
                first = first or time.perf_counter() - began
                if not found.receipt.unindexed:
                    break
        took = {"found after s": first, "all after s": time.perf_counter() - began}
        return took | {"CPU s": cpu_seconds(pid) - before, "peak MB": memory(pid, "VmHWM")}


STEPS = {
    "index": index,
    "vectors": vectors,
    "unchanged": unchanged,
    "own watch": own_watch,
    "lease": by_lease,
    "edit": edit,
    "idle": idle,
    "cold checkout": cold_checkout,
    "checkout": checkout,
    "cold rename": cold_rename,
    "rename": rename,
    "right": right,
}


# --- the table -------------------------------------------------------------------------------------------------------


def as_markdown(figures: dict[str, Figures]) -> str:
    lines = [f"| What | {' | '.join(figures)} |", f"|---|{'---|' * len(figures)}"]
    for said, show in ROWS.items():
        lines.append(f"| {said} | {' | '.join(show(found) for found in figures.values())} |")
    return "\n".join(lines)


def _ms(found: Figures) -> str:
    return f"{found['p50_ms']:.1f} ms, its CPU {found['cpu_ms']:.1f} ms"


def _s(found: Figures) -> str:
    return f"{found['found after s']:.1f} s, {found['CPU s']:.1f} s CPU, {found['peak MB']:.0f} MB"


def _idle(found: Figures) -> str:
    return f"{found['percent']:.2f}% CPU, {found['MB']:.0f} MB, of it its own {found['of it its own MB']:.0f} MB"


ROWS = {
    "refresh, nothing changed, in a process that watches": lambda f: _ms(f["own watch"]),
    "the same through the lease of `mesh watch`": lambda f: _ms(f["lease"]),
    "the same cold: a scan, CPU": lambda f: f"{f['unchanged']['cpu_ms']:.0f} ms",
    "an edit to the end of a recall that finds it, watched": lambda f: _ms(f["edit"]["watched"]),
    "the same cold": lambda f: _ms(f["edit"]["cold"]),
    "an edit until the watcher has it, unasked": lambda f: f"{f['edit']['unasked']['p50_ms']:.0f} ms",
    "indexing by words from nothing": lambda f: f"{f['index']['CPU s']:.1f} s CPU, {f['index']['peak MB']:.0f} MB",
    "checkout of half of the files to the next answer, cold": lambda f: _s(f["cold checkout"]),
    "the same watched": lambda f: _s(f["checkout"]),
    "rename of the folder of all files, cold": lambda f: _s(f["cold rename"]),
    "the same, watched": lambda f: _s(f["rename"]),
    "idle watcher with its model loaded": lambda f: _idle(f["idle"]),
}


if __name__ == "__main__":
    main()
