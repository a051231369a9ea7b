"""A `mesh watch` to measure, what a process takes, and a vault that is a git repository of two branches."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corpus import texts
from run import mesh_command

from mesh.codec import render
from mesh.memory import Memory, new_id

_GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@example.invalid", "-c", "gc.auto=0")


@contextmanager
def watching(home: Path) -> Iterator[int]:
    """A `mesh watch` that has looked at everything; its process id."""
    process = subprocess.Popen([mesh_command(), "watch"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        while line := process.stderr.readline():
            if "watching" in line:
                break
        time.sleep(1.0)
        yield process.pid
    finally:
        process.terminate()
        process.communicate(timeout=60)


def memory(pid: int, what: str) -> float:
    """MB, from the kernel's account of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def two_branches(home: Path) -> None:
    """`main`, as the vault is, and `other`, in which every second file says something else."""
    folder = home / "shared"
    files = files_of(home)
    with files[-1].open("a") as file:
        file.write("lastofmain\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "main")
    git(folder, "checkout", "-q", "-b", "other")
    others = files[1::2]
    for path, text in zip(others, texts(len(others), seed=8), strict=True):
        last = "\nlastofother" if path == others[-1] else ""
        path.write_bytes(render(Memory(id=new_id(), content=f"Other: {text}{last}", agent="bench")))
    git(folder, "commit", "-q", "-a", "-m", "other")
    git(folder, "checkout", "-q", "main")


def files_of(home: Path) -> list[Path]:
    return sorted((home / "shared").rglob("*.md"))


def git(folder: Path, *arguments: str) -> None:
    env = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run([*_GIT, *arguments], cwd=folder, env=env, check=True, capture_output=True)
