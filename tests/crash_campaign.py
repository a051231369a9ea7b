"""Kill a writer at every system call with which it changes something, and look at what the next command finds.

    python -m tests.crash_campaign [scenario ...] [--jobs 2] [--every 1]

A child process gets ready, strace attaches to it, and only then does it act: so strace counts from there, and the
pair (system call, k) names one point in time. Needs strace, and the right to trace.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mesh import Mesh, codec
from mesh.doctor import examine

SYSCALLS = (
    "write,pwrite64,fsync,fdatasync,link,linkat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,openat,"
    "fchmod,ftruncate,flock,close"
).split(",")
SCENARIOS = ("first", "learn", "local", "supersede", "update", "forget", "restore")
OTHER, OLD, NEW = "The badger sleeps at noon", "The walrus sleeps at dawn", "The ocelot sleeps at dusk"
WORDS = {OTHER: "badger", OLD: "walrus", NEW: "ocelot"}

_ACTS = f"""
def act(mesh, scenario):
    if scenario in ("first", "learn"):
        mesh.learn({NEW!r})
    elif scenario == "local":
        mesh.learn({NEW!r}, local_only=True)
    elif scenario == "supersede":
        mesh.learn({NEW!r}, supersedes=mesh.recall("walrus")[0]["id"])
    elif scenario == "update":
        mesh.update(mesh.recall("walrus")[0]["id"], {NEW!r})
    elif scenario == "forget":
        mesh.forget(mesh.recall("walrus")[0]["id"])
    elif scenario == "restore":
        mesh.restore(mesh.trashed()[0]["id"])
"""
_CHILD = f"""
import os, sys, tempfile
from mesh import Mesh
{_ACTS}
with tempfile.TemporaryDirectory() as elsewhere, Mesh(home=elsewhere) as mesh:  # so that every module is loaded
    memory_id = mesh.learn({OLD!r})["memory_id"]
    act(mesh, "update")
    mesh.forget(memory_id)
    act(mesh, "restore")
os.write(1, b"ready\\n")
os.read(0, 1)
with Mesh(home=sys.argv[1], agent_id="child") as mesh:
    act(mesh, sys.argv[2])
    os.write(1, b"done\\n")
"""


class CannotTrace(Exception):
    """strace is missing or may not attach."""


@dataclass(frozen=True)
class Point:
    """Where a child is killed: on entering its `k`th `syscall` since it was told to act."""

    scenario: str
    syscall: str
    k: int

    def __str__(self) -> str:
        return f"{self.scenario}-{self.syscall}-{self.k}"


@dataclass(frozen=True)
class Verdict:
    """What became of one kill. `broken`: how it broke the law, if it did."""

    acknowledged: bool = False
    applied: bool = False
    left_temporary: bool = False
    broken: str = ""


# --- a home, and a child that changes it -----------------------------------------------------------------------


def prepare(home: Path, scenario: str) -> None:
    """The home before the act: two memories, of which `restore` has one in the trash; for `first` there is none."""
    if scenario == "first":
        return
    home.mkdir(mode=0o700, parents=True)
    with Mesh(home=home, agent_id="before") as mesh:
        mesh.learn(OTHER)
        memory_id = mesh.learn(OLD)["memory_id"]
        if scenario == "restore":
            mesh.forget(memory_id)


def run(home: Path, scenario: str, strace: list[str]) -> bool:
    """Let a child act on `home` under strace. Whether it acknowledged. Raises `CannotTrace`."""
    if not shutil.which("strace"):
        raise CannotTrace("strace is not installed (apt-get install strace)")
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(home), scenario],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    tracer = None
    try:
        if child.stdout.readline() != b"ready\n":
            raise AssertionError(f"the child did not get ready: {child.stderr.read().decode()}")
        tracer = subprocess.Popen(["strace", "-f", *strace, "-p", str(child.pid)], stderr=subprocess.PIPE, text=True)
        if "attached" not in (said := tracer.stderr.readline()):
            raise CannotTrace(said.strip())
        output, errors = child.communicate(b"!")
        if child.returncode not in (0, -9):
            raise AssertionError(f"the child failed: {errors.decode()}")
        return b"done\n" in output
    finally:
        child.kill()
        child.communicate()
        if tracer:
            tracer.communicate()


def points(scenario: str) -> list[Point]:
    """Every point of a scenario, counted in a run that nobody disturbs. Raises `CannotTrace`."""
    with tempfile.TemporaryDirectory() as folder:
        home, log = Path(folder) / "home", Path(folder) / "trace"
        prepare(home, scenario)
        acknowledged = run(home, scenario, ["-o", str(log), "-e", f"trace={','.join(SYSCALLS)}"])
        check(home, scenario, acknowledged)
        assert acknowledged
        calls = Counter(line.split(None, 1)[1].split("(", 1)[0] for line in log.read_text().splitlines() if "(" in line)
    return [Point(scenario, name, k) for name in SYSCALLS for k in range(1, calls[name] + 1)]


def kill_at(point: Point, home: Path) -> bool:
    """Kill a child at a point. Whether it had acknowledged by then."""
    inject = f"inject={point.syscall}:signal=KILL:when={point.k}"
    return run(home, point.scenario, ["-o", os.devnull, "-e", f"trace={point.syscall}", "-e", inject])


# --- the law ----------------------------------------------------------------------------------------------------


def check(home: Path, scenario: str, acknowledged: bool) -> bool:
    """Hold what is there against the law; whether the act has taken place. Raises `AssertionError`."""
    with Mesh(home=home, agent_id="after") as mesh:
        living = _living(mesh)
        trashed = [codec.read(path.read_bytes(), "x.md").content for path in _files(home / ".trash")]
        applied = _check_texts(scenario, acknowledged, living, trashed)
        _check_cache(mesh, living)
        _check_next(mesh, scenario, applied)
        _check_cache(mesh, _living(mesh))
    return applied


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*.md") if not any(part.startswith(".mesh-") for part in path.parts)]


def _living(mesh: Mesh) -> Counter:
    """Every text in the namespace's files. Each file is whole, and temporaries are no memories."""
    home = mesh.workspace.vault.home
    paths = [path for root in ("shared", "_local/shared") for path in _files(home / root)]
    rows = mesh.inspect(limit=100)
    assert sorted(row["path"] for row in rows) == sorted(path.relative_to(home).as_posix() for path in paths)
    assert not mesh.problems(), mesh.problems()
    for path in paths:
        memory = codec.read(path.read_bytes(), "shared/x.md")
        assert memory.content in WORDS and memory.agent in {"before", "child", "after"}, path.read_bytes()
        assert memory.id[:12] in path.name and memory.created, path.read_bytes()
    return Counter(row["content"] for row in rows)


def _check_texts(scenario: str, acknowledged: bool, living: Counter, trashed: list[str]) -> bool:
    if scenario != "first":
        assert living[OTHER] == 1, "a memory that nobody touched is gone"
    assert max(living.values(), default=0) <= 1, f"twice: {living}"
    if scenario in ("first", "learn", "local"):
        applied = living[NEW] == 1
    elif scenario == "supersede":
        assert living[OLD] or OLD in trashed, "the superseded text is lost"
        assert living[NEW] or living[OLD], "the old one is gone and the new one is not there"
        applied = bool(living[NEW] and not living[OLD])
    elif scenario == "update":
        assert living[OLD] + living[NEW] == 1, living
        assert living[OLD] or OLD in trashed, "the replaced text is lost"
        applied = living[NEW] == 1
    elif scenario == "forget":
        assert living[OLD] or OLD in trashed, "the forgotten text is lost"
        applied = not living[OLD]
    else:
        assert living[OLD] or OLD in trashed, "the text in the trash is lost"
        applied = living[OLD] == 1
    assert applied or not acknowledged, "acknowledged, and not there"
    return applied


def _check_cache(mesh: Mesh, living: Counter) -> None:
    """A recall finds what is there and nothing else, and every byte of the cache is in order."""
    for text, word in WORDS.items():
        assert [row["content"] for row in mesh.recall(word)] == [text] * living[text]
    findings = [str(one) for one in examine(mesh.workspace) if one.serious and one.kind != "model"]
    assert not findings, findings


def _check_next(mesh: Mesh, scenario: str, applied: bool) -> None:
    """The next command works by itself: the same act again, or what a user would do."""
    if scenario in ("first", "learn", "local"):
        again = mesh.learn(NEW, local_only=scenario == "local")
        assert again["status"] == ("deduplicated" if applied else "stored"), again
    elif scenario == "supersede":
        mesh.forget(mesh.learn(NEW)["memory_id"])
    elif scenario == "update":
        row = mesh.recall("ocelot" if applied else "walrus")[0]
        assert mesh.update(row["id"], NEW, tags=["again"])["content"] == NEW
    elif scenario == "forget":
        if not applied:
            mesh.forget(mesh.recall("walrus")[0]["id"])
        mesh.restore(mesh.trashed()[0]["id"])
        assert len(mesh.recall("walrus")) == 1
    elif scenario == "restore":
        if not applied:
            mesh.restore(mesh.trashed()[0]["id"])
        assert len(mesh.recall("walrus")) == 1


def judge(point: Point, folder: Path) -> Verdict:
    """Prepare, kill, check."""
    home = folder / str(point)
    try:
        prepare(home, point.scenario)
        acknowledged = kill_at(point, home)
        left = any(home.rglob(".mesh-*.tmp"))
        return Verdict(acknowledged, check(home, point.scenario, acknowledged), left)
    except CannotTrace:
        raise
    except Exception as error:  # noqa: BLE001 - whatever goes wrong after a kill is what we are looking for
        return Verdict(broken=f"{point}: {type(error).__name__}: {error}")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="*", default=SCENARIOS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="only every Nth point")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    os.environ["MESH_MODEL_PATH"] = "/no-model-in-this-campaign"
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(arguments.jobs) as pool:
        chosen = [point for scenario in arguments.scenario for point in points(scenario)][:: arguments.every]
        verdicts = list(pool.map(lambda point: judge(point, Path(folder)), chosen))
    broken = [verdict.broken for verdict in verdicts if verdict.broken]
    print(f"{len(chosen)} kills: {dict(Counter(point.scenario for point in chosen))}")
    for what in ("acknowledged", "applied", "left_temporary"):
        print(f"{sum(getattr(one, what) for one in verdicts)} {what}")
    print(f"{len(broken)} broke the law", *broken, sep="\n  ")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
