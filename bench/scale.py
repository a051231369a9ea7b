"""What recall costs at 10,000, 100,000 and 1,000,000 memories, and what it takes to index them:

    taskset -c 0 python bench/scale.py [--sizes 10000,100000,1000000] [--json FILE] [--markdown FILE] [--keep FOLDER]

The texts are generated (see zipf.py), and so are the vectors, since a model needs hours for a million texts; what the
model takes for a question is measured apart. Everything else is as in use: files on disk, indexed by the library,
recall in a process that watches the home, as a server does. A million takes some 25 minutes and 9 GB of disk.
Each step runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

from run import tell

QUESTIONS = 200
COMPARED = 100  # questions whose nearest are compared with those of an exact search
NEW = 60  # memories learned
A_FOLDER = 2000  # files
Figures = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure recall and indexing from 10,000 to 1,000,000 memories.")
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    parser.add_argument("--keep", metavar="FOLDER", help="make the homes here, and do not delete them")
    parser.add_argument("--step", nargs=3, metavar=("NAME", "HOME", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        name, home, size = options.step
        print(json.dumps(STEPS[name](Path(home), int(size))))
        return
    figures = {"question": step("model", Path(), 0)}
    for size in map(int, options.sizes.split(",")):
        figures[f"{size:,}"] = at_size(size, options.keep)
    tell(figures, as_markdown(figures), options)


def at_size(size: int, keep: str | None) -> Figures:
    folder = Path(keep or tempfile.mkdtemp(prefix="mesh-scale-"))
    home, found = folder / f"home-{size}", {}
    for name in ("write", "index", "embed", "first", "recall", "learn"):
        if name == "write" and home.exists():
            continue
        found[name] = step(name, home, size)
        print(f"{size:,}: {name}: {found[name]}", file=sys.stderr, flush=True)
    if not keep:
        shutil.rmtree(folder)
    return found


def step(name: str, home: Path, size: int) -> Figures:
    command = [sys.executable, __file__, "--step", name, str(home), str(size)]
    env = {key: value for key, value in os.environ.items() if not key.startswith("MESH_")}
    done = subprocess.run(command, env=env | {"MESH_HOME": str(home)}, stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


# --- the steps, each in a process of its own ---------------------------------------------------------------------


def write(home: Path, size: int) -> Figures:
    """The files, as Mesh writes them, without waiting for the disk."""
    from zipf import memories

    from mesh.codec import render

    home.mkdir(mode=0o700, parents=True)
    for number, memory in enumerate(memories(size)):
        folder = home / "shared" / f"f{number // A_FOLDER:04}"
        if number % A_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"{memory.id}--{memory.id}.md").write_bytes(render(memory))
    return {}


def opened(home: Path) -> Any:
    from zipf import Sums

    from mesh import Mesh

    return Mesh(home=home, agent_id="bench", embedder=Sums())


def index(home: Path, size: int) -> Figures:
    """By words, from nothing."""
    shutil.rmtree(home / ".cache", ignore_errors=True)
    with opened(home) as mesh:
        took = seconds(mesh.workspace.refresh)
        batches = mesh.workspace.cache.manifest.db.execute("SELECT count(*) FROM batches").fetchone()[0]
        return {"files/s": round(size / took), "batches": batches, "peak MB": peak_mb()}


def embed(home: Path, size: int) -> Figures:
    """By meaning, with vectors that cost next to nothing: what is measured is all but the model."""
    with opened(home) as mesh:
        took = seconds(mesh.reindex)
        folder = mesh.workspace.cache.folder
        disk = {path.name: round(path.stat().st_size / 1e6, 1) for path in sorted(folder.glob("*")) if path.is_file()}
        return {"texts/s": round(size / took), "peak MB": peak_mb(), "disk MB": disk}


def first(home: Path, size: int) -> Figures:
    """The first question of a process: it looks at every file."""
    from zipf import questions

    (asked,) = questions(1, size, seed=3)
    with opened(home) as mesh:
        mesh.workspace.embedder.embed([asked])
        scan = seconds(mesh.workspace.refresh)
        return {"scan ms": ms(scan), "rest ms": ms(seconds(lambda: mesh.recall(asked))), "peak MB": peak_mb()}


def recall(home: Path, size: int) -> Figures:
    from zipf import questions

    with opened(home) as mesh:
        mesh.workspace.watch()
        asked = questions(QUESTIONS + 20, size)
        for question in asked[:20]:
            mesh.recall(question)
        rest = asked[20:]
        found = {"recall": timed(mesh.recall, rest)}
        found["with a word that all have"] = timed(lambda one: mesh.recall(f"{one} talk"), rest[:50])
        found["of one author"] = timed(lambda one: mesh.recall(one, source_agent="emil"), rest[:50])
        found["of one tag"] = timed(lambda one: mesh.recall(one, tags=["s7"]), rest[:50])
        found["by words"] = timed(lambda one: by_words(mesh, one), rest)
        found["by meaning"] = timed(lambda one: by_meaning(mesh, one, 50), rest)
        found["peak MB"], found["own MB"] = peak_mb(), memory_mb("RssAnon")
        return found | compared_with_exact(mesh, rest[:COMPARED])


def by_words(mesh: Any, asked: str) -> dict[int, float]:
    from mesh.index.lexical import Matches
    from mesh.index.question import Question

    cache = mesh.workspace.cache
    with cache.manifest.reading():
        return Matches(cache.lexicon, Question.read(asked)).best(50, "", ())


def by_meaning(mesh: Any, asked: str, limit: int) -> Any:
    from mesh.index.nearest import Nearest

    cache, embedder = mesh.workspace.cache, mesh.workspace.embedder
    with cache.manifest.reading():
        return Nearest(cache.manifest, cache.matrix(embedder), embedder.embed([asked])[0]).best(limit, "", ())


def compared_with_exact(mesh: Any, asked: list[str]) -> Figures:
    """Of the exactly nearest 10 and 50, how many a search finds; and how long the exact product takes."""
    import numpy as np

    embedder = mesh.workspace.embedder
    rows, found, times = mesh.workspace.cache.matrix(embedder).rows(), dict[int, list[float]](), []
    for question in asked:
        vector, began = embedder.embed([question])[0], time.perf_counter()
        cosines = rows @ vector
        times.append(time.perf_counter() - began)
        near = [one.cosine for one in by_meaning(mesh, question, 50).values()]
        for k in (10, 50):
            least = np.partition(cosines, -k)[-k] - 1e-6
            found.setdefault(k, []).append(sum(cosine >= least for cosine in near[:k]) / k)
    shares = {f"found of the nearest {k}": round(statistics.mean(shares), 4) for k, shares in found.items()}
    return shares | {"exact product ms": ms(statistics.median(times))}


def learn(home: Path, size: int) -> Figures:
    """Learned and asked for in turn, in a process that watches."""
    from zipf import questions, texts

    def new_ones(count: int, seed: int) -> list[str]:
        return [text for text, _ in texts(count, seed)]

    new, asked = new_ones(NEW, seed=77), questions(50, size, seed=5)
    with opened(home) as mesh:
        mesh.workspace.watch()
        mesh.recall(asked[0])
        ids = list[str]()

        def learn_and_forget_later(text: str) -> None:
            ids.append(mesh.learn(text)["memory_id"])

        for text in new[:10]:
            learn_and_forget_later(text)
        found = {"learn": timed(learn_and_forget_later, new[10:])}
        after = iter(new_ones(50, seed=78))
        found["learn and recall"] = timed(lambda one: (learn_and_forget_later(next(after)), mesh.recall(one)), asked)
        for one in ids:
            mesh.forget(one)
        return found


def model(home: Path, size: int) -> Figures:
    """What the real model takes for a question."""
    from zipf import questions

    from mesh import Mesh

    with Mesh(home=home / "none") as mesh:
        embedder = mesh.workspace.embedder
        if embedder is None:
            raise SystemExit("There is no embedding model here. Get it: mesh model pull")
        asked = questions(60, 10_000)
        embedder.embed(asked[:1])
        return {"embedding": timed(lambda one: embedder.embed([one]), asked)}


STEPS: dict[str, Callable[[Path, int], Figures]] = {
    "write": write, "index": index, "embed": embed, "first": first, "recall": recall, "learn": learn, "model": model,
}  # fmt: skip


# --- measuring ---------------------------------------------------------------------------------------------------


def seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def ms(number: float) -> float:
    return round(number * 1000, 2)


def timed(action: Callable[[str], object], each: Iterable[str]) -> Figures:
    wall, cpu = [], []
    for one in each:
        used = time.process_time()
        wall.append(seconds(lambda one=one: action(one)))
        cpu.append(time.process_time() - used)
    return {"p50": ms(statistics.median(wall)), "p95": ms(p95(wall)), "cpu": ms(statistics.median(cpu))}


def p95(took: list[float]) -> float:
    return sorted(took)[int(0.95 * (len(took) - 1))]


def peak_mb() -> int:
    """The largest this process ever was in memory, pages of mapped files included."""
    return memory_mb("VmHWM")


def memory_mb(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return round(int(status.split(f"{name}:")[1].split()[0]) / 1024)


def as_markdown(figures: Figures) -> str:
    sizes = [key for key in figures if key != "question"]
    rows: dict[str, list[str]] = {}
    for size in sizes:
        for group, values in figures[size].items():
            for name, value in values.items():
                rows.setdefault(f"{group}: {name}", []).append(_said(value))
    lines = [f"| What | {' | '.join(sizes)} |", f"|---|{'---|' * len(sizes)}"]
    lines += [f"| {name} | {' | '.join(values)} |" for name, values in rows.items()]
    return "\n".join([f"Embedding a question: {_said(figures['question']['embedding'])}\n", *lines])


def _said(value: object) -> str:
    if isinstance(value, dict) and "p50" in value:
        return f"p50 {value['p50']} ms, p95 {value['p95']} ms, CPU {value['cpu']} ms"
    return ", ".join(f"{key} {one}" for key, one in value.items()) if isinstance(value, dict) else str(value)


if __name__ == "__main__":
    main()
