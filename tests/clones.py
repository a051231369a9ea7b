"""Homes that share the namespace "notes" by way of a bare repository on disk, each a person's.

Fixtures: `remote`, `ann` who shared it, `bob` who cloned it. A test module that wants them imports them by name.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hashing import bytes_below

import mesh as library
from mesh import Mesh

TOKEN = "ghp_" + "".join("A1b2C3d4E5f6G7h8I9j0"[n % 20] for n in (3, 7, 1, 12, 9, 4, 0, 17, 2, 8, 11, 6) * 3)

CALLS = {"subprocess.Popen", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "open"}


def git(folder: Path, *arguments: str) -> str:
    env = os.environ | {"HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    env |= {f"GIT_{who}_{what}": "p@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Clone:
    """One person's home, with the namespace "notes"."""

    def __init__(self, home: Path) -> None:
        self.home, self.folder = home, home / "notes"
        self.mesh = Mesh("notes", home.name, home)

    def learn(self, text: str, **options) -> str:
        return self.mesh.learn(text, **options)["memory_id"]

    def sync(self, *accept: str):
        report = self.mesh.sync(accept=accept)
        self.is_clean(allowed=[one["path"] for one in report["kept_back"]])
        return report

    def texts(self) -> set[str]:
        return {row["content"] for row in self.mesh.inspect(None, include_local=False)}

    def files(self) -> dict[str, bytes]:
        return {path: data for path, data in bytes_below(self.folder).items() if path.endswith(".md")}

    def is_clean(self, allowed=()):
        """git sees nothing changed, nothing damaged, and nothing of ours is left behind."""
        said = [line for line in git(self.folder, "status", "--porcelain").splitlines() if line[3:] not in allowed]
        assert said == []
        assert "error" not in git(self.folder, "fsck", "--full", "--strict")
        assert git(self.folder, "for-each-ref", "refs/mesh/applying") == ""


@pytest.fixture
def remote(tmp_path):
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    return tmp_path / "remote.git"


@pytest.fixture
def ann(tmp_path, remote):
    found = Clone(tmp_path / "ann")
    found.lamp = found.learn("The lamp in the hall is lit", title="Lamp")
    library.share_namespace("notes", str(remote), home=found.home)
    return found


def joins(ann: Clone, remote: Path, name: str) -> Clone:
    library.clone_namespace(str(remote), "notes", home=ann.home.with_name(name))
    return Clone(ann.home.with_name(name))


@pytest.fixture
def bob(ann, remote):
    return joins(ann, remote, "bob")


def settle(*clones: Clone) -> None:
    for _ in range(2):
        for clone in clones:
            clone.sync()
    assert all(clone.files() == clones[0].files() for clone in clones)


def everything_in(remote: Path) -> str:
    names = [line.split()[0] for line in git(remote, "rev-list", "--objects", "--all").splitlines()]
    return "".join(git(remote, "cat-file", "-p", name) + name for name in names)


def killed_at(step: int, act) -> bool:
    """Kill a child that acts before its `step`th call of git or change of a file. False if it was done before that."""
    if not (child := os.fork()):
        left = [step]

        def hook(event, arguments):
            writes = event != "open" or (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR))
            if event in CALLS and writes:
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
