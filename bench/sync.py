"""What sharing costs, beside plain git on the same files: a sync, a merge of two clones, recall of a commit.

    taskset -c 0 python bench/sync.py [--sizes 1000,10000] [--json FILE] [--markdown FILE]

Two clones of one bare repository on disk. No model: embedding is not part of a sync, and `recall --at` embeds nothing
of the past. Every command is a process of its own; its CPU seconds are with all that it starts. The git processes of a
sync are those that Mesh itself starts, counted in a run of its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from corpus import texts
from run import cold, mesh_command, one, tell, write_vault
from watchers import files_of, git

CHANGED, SAME = 1_000, 50  # memories that each side changes; of these, in two ways
QUESTION = "billing worker and the Lisbon database replica"
Figures = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what it costs to share a namespace.")
    parser.add_argument("--sizes", default="1000,10000")
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    options = parser.parse_args()
    figures: Figures = {"floors": floors()}
    for size in map(int, options.sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="mesh-bench-") as folder:
            figures[f"{size:,}"] = at_size(Path(folder), size)
            print(f"{size:,} done", file=sys.stderr, flush=True)
    tell(figures, as_markdown(figures), options)


def floors() -> Figures:
    return {
        "python -c pass": cold([sys.executable, "-c", "pass"]),
        "git --version": cold([GIT[0], "--version"]),
    }


def at_size(place: Path, size: int) -> Figures:
    ann, bob, remote = place / "ann", place / "bob", place / "remote.git"
    write_vault(ann, texts(size))
    git(place, "init", "-q", "--bare", "-b", "main", str(remote))
    found: Figures = {"share": mesh(ann, "share", "shared", str(remote))}
    found["clone"] = mesh(bob, "clone", str(remote), "shared")
    found |= nothing_to_do(ann)
    found |= both_changed(place, ann, bob, min(CHANGED, size // 2))
    found |= past(ann)
    return found


# --- what is measured --------------------------------------------------------------------------------------------


def nothing_to_do(home: Path) -> Figures:
    sync = [mesh_command(), "sync", "shared"]
    return {
        "sync, nothing to do": cold(sync, env_of(home)),
        "git fetch": cold([*GIT, "-C", str(home / "shared"), "fetch", "-q", "origin"], env_of(home)),
        "git status": cold([*GIT, "-C", str(home / "shared"), "status", "--porcelain"], env_of(home)),
        "git processes of a sync": git_processes(home),
    }


def both_changed(place: Path, ann: Path, bob: Path, count: int) -> Figures:
    """Ann syncs, Bob syncs, Ann syncs: then both have the same. And git alone with copies of the same."""
    same = min(SAME, count)
    names = [file.name for file in files_of(ann)]
    ours, theirs = names[:count], names[count - same : 2 * count - same]
    for home, some, word in ((ann, ours, "Ann"), (bob, theirs, "Bob")):
        for name in some:
            with (home / "shared" / name).open("a") as file:
                file.write(f"{word} says so.\n")
    by_git = merged_by_git(place, ann, bob)
    runs = {who: mesh(home, "sync", "shared") for who, home in (("ann", ann), ("bob", bob), ("ann again", ann))}
    same_bytes = all(file.read_bytes() == (bob / "shared" / file.name).read_bytes() for file in files_of(ann))
    if not same_bytes or len(files_of(ann)) != len(files_of(bob)):
        raise SystemExit("the clones did not come to the same")
    return {
        "both changed, converged": summed(runs.values()),
        "both changed, each sync": runs,
        "the same by git": by_git,
    }


def merged_by_git(place: Path, ann: Path, bob: Path) -> Figures:
    """Commit, push, fetch and merge of the same changes by git; of what both changed it takes one side's."""
    remote = place / "by-git.git"
    shutil.copytree(place / "remote.git", remote)
    steps = []
    for home in (ann, bob):
        folder = place / f"{home.name}-by-git"
        shutil.copytree(home / "shared", folder)
        git(folder, "remote", "set-url", "origin", str(remote))
        (folder / ".git/info/attributes").unlink()  # git alone: without our merge driver and hooks
        shutil.rmtree(folder / ".git/hooks")
        do = [["add", "-A"], ["commit", "-q", "-m", "changes"], ["fetch", "-q", "origin"]]
        do += [["merge", "-q", "-X", "ours", "-m", "merge", "origin/main"], ["push", "-q", "origin", "main"]]
        steps += [one([*GIT, "-C", str(folder), *step], env_of(home)) for step in do]
    folder = place / "ann-by-git"
    last = (["fetch", "-q", "origin"], ["merge", "-q", "origin/main"])
    steps += [one([*GIT, "-C", str(folder), *step], env_of(ann)) for step in last]
    return summed(steps)


def past(home: Path) -> Figures:
    """Recall in the first commit with all memories, while the cache of today is there."""
    said = subprocess.run(
        [*GIT, "-C", str(home / "shared"), "rev-list", "--first-parent", "HEAD"], capture_output=True, text=True
    )
    commit = said.stdout.split()[-2]
    one([mesh_command(), "recall", "-N", "shared", QUESTION], env_of(home))
    ask = [mesh_command(), "recall", "-N", "shared", "--at", commit, QUESTION]
    return {"recall --at, first": one(ask, env_of(home)), "recall --at, after": cold(ask, env_of(home))}


# --- processes ---------------------------------------------------------------------------------------------------

GIT = (
    shutil.which("git") or "git",
    "-c",
    "user.name=bench",
    "-c",
    "user.email=bench@example.invalid",
    "-c",
    "gc.auto=0",
)

COUNTED = """
import json, sys
count = [0]
sys.addaudithook(lambda event, _: count.__setitem__(0, count[0] + (event == "subprocess.Popen")))
from mesh import Mesh
with Mesh(namespace="shared") as mesh:
    mesh.sync()
print(json.dumps(count[0]))
"""


def git_processes(home: Path) -> int:
    run = subprocess.run([sys.executable, "-c", COUNTED], env=env_of(home), capture_output=True, text=True, check=True)
    return int(run.stdout)


def mesh(home: Path, *arguments: str) -> dict[str, float]:
    return one([mesh_command(), *arguments], env_of(home))


def env_of(home: Path) -> dict[str, str]:
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("MESH_", "GIT_", "PYTHON"))}
    return plain | {"MESH_HOME": str(home), "MESH_MODEL_PATH": str(home / "no-model"), "GIT_CONFIG_GLOBAL": os.devnull}


def summed(runs: Any) -> dict[str, float]:
    runs = list(runs)
    return {key: round(sum(run[key] for run in runs), 3) for key in ("cpu_s", "wall_s")} | {
        "peak_mb": round(max(run["peak_mb"] for run in runs), 1)
    }


# --- a table -----------------------------------------------------------------------------------------------------

ROWS = (
    "share",
    "clone",
    "sync, nothing to do",
    "git fetch",
    "git status",
    "git processes of a sync",
    "both changed, converged",
    "the same by git",
    "recall --at, first",
    "recall --at, after",
)


def as_markdown(figures: Figures) -> str:
    sizes = [name for name in figures if name != "floors"]
    lines = ["| What | " + " | ".join(sizes) + " |", "|---" * (len(sizes) + 1) + "|"]
    for row in ROWS:
        lines.append(f"| {row} | " + " | ".join(cell(figures[size][row]) for size in sizes) + " |")
    return "\n".join(lines)


def cell(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['cpu_s']:.3f} s CPU, {value['wall_s']:.3f} s, {value['peak_mb']:.0f} MB"
    return str(value)


if __name__ == "__main__":
    main()
