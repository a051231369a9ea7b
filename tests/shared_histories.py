"""Random histories of clones that share a namespace, by real syncs, plain git, forges, and kills; each from a seed.

Every edit writes a word that no other edit writes, so it can be told of each word whether it is still there, whether
somebody took it out on purpose, and whether it can be had back.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from clones import Clone, git, killed_at
from shared_files import Plain, files, in_commit, readable, stored, words

import mesh as library
from mesh import Mesh
from mesh.errors import MeshError, RemoteMoved

SYSCALLS = "openat,write,fsync,rename,renameat,link,unlink,mkdir,execve,close"
_SYNC = "import sys; from mesh import Mesh; Mesh('notes', 'ann', sys.argv[1]).sync()"


class History:
    """Some clones, and a plain clone of somebody who has no Mesh.

    `acknowledged`: words that ever stood in a file after an edit. `on_purpose`: those that somebody took out.
    `kept_by_mesh`: of these, what was taken out by a verb of Mesh the last time, so it can be had back.
    """

    @property
    def weights(self) -> dict[str, int]:
        return STEPS

    @property
    def by_hand(self) -> set[str]:
        return BY_HAND

    def __init__(self, folder: Path, seed: int, clones: int = 2, strace: bool = False) -> None:
        self.random, self.folder, self.strace = random.Random(seed), folder, strace
        self.number = 0
        self.acknowledged: set[str] = set()
        self.on_purpose: set[str] = set()
        self.kept_by_mesh: set[str] = set()
        self.steps: list[str] = []
        self.remote, self.plain = folder / "remote.git", folder / "plain"
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
        first = Clone(folder / "ann")
        first.lamp = first.learn("The lamp is always here")
        library.share_namespace("notes", str(self.remote), home=first.home)
        self.clones = [first]
        for name in ("bob", "carl")[: clones - 1]:
            library.clone_namespace(str(self.remote), "notes", home=folder / name)
            self.clones.append(Clone(folder / name))
        git(folder, "clone", "--quiet", str(self.remote), "plain")

    def close(self) -> None:
        for clone in self.clones:
            clone.mesh.close()

    # --- a history ---------------------------------------------------------------------------------------------------

    def go(self, steps: int) -> None:
        for _ in range(steps):
            name = self.random.choices(list(self.weights), list(self.weights.values()))[0]
            clone = self.random.choice(self.clones)
            self.steps.append(f"{clone.home.name} {name}")
            before = files(clone)
            getattr(self, name)(clone)
            if name not in SYNCS:
                self.note(before, files(clone), by_hand=name in self.by_hand)

    def note(self, before: dict[str, bytes], after: dict[str, bytes], *, by_hand: bool) -> None:
        self.acknowledged |= set(words(after))
        gone = set(words(before) - words(after))
        self.on_purpose |= gone
        if by_hand:
            self.kept_by_mesh -= gone
        else:
            self.kept_by_mesh |= gone

    def word(self) -> str:
        self.number += 1
        return f"w{self.number}x"

    def memory(self, clone: Clone) -> dict | None:
        """One of a clone's memories, but for the lamp."""
        found = [one for one in clone.mesh.inspect(None) if "lamp" not in one["content"]]
        return self.random.choice(sorted(found, key=lambda one: one["path"])) if found else None

    def file(self, clone: Clone) -> Path | None:
        found = [one for one, data in sorted(files(clone).items()) if b"lamp" not in data]
        return clone.folder / self.random.choice(found) if found else None

    # --- what is done with Mesh --------------------------------------------------------------------------------------

    def learn(self, clone: Clone) -> None:
        title = self.random.choice(["", "", "Door", f"Door {self.word()}"])
        agent = self.random.choice([clone.home.name, "claude"])
        clone.mesh.acting_as(agent).learn(f"{self.word()} first\nmiddle\nmiddle\n{self.word()} last", title=title)

    def update(self, clone: Clone) -> None:
        if one := self.memory(clone):
            lines = one["content"].split("\n")
            lines[self.random.choice([0, -1])] = f"{self.word()} changed"
            with suppress(MeshError):  # a file of two ids, or with broken front matter, is named by nobody
                clone.mesh.update(one["path"], "\n".join(lines))

    def retag(self, clone: Clone) -> None:
        if one := self.memory(clone):
            with suppress(MeshError):
                clone.mesh.update(one["path"], tags=[*one["tags"], self.word()])

    def forget(self, clone: Clone) -> None:
        if one := self.memory(clone):
            with suppress(MeshError):
                clone.mesh.forget(one["path"])

    def restore(self, clone: Clone) -> None:
        if rows := clone.mesh.trashed():
            with suppress(MeshError):  # its place is taken
                clone.mesh.restore(self.random.choice(rows)["id"])

    def resolve(self, clone: Clone) -> None:
        for row in clone.mesh.conflicts()[:1]:
            with suppress(MeshError):
                clone.mesh.resolve(row["rival_id"], self.random.choice(["ours", "theirs", "both"]))

    # --- what people do ----------------------------------------------------------------------------------------------

    def edit(self, clone: Clone) -> None:
        if file := self.file(clone):
            lines = file.read_bytes().split(b"\n")
            lines[self.random.choice([-2, -1])] = f"{self.word()} by hand".encode()
            file.write_bytes(b"\n".join(lines))

    def write(self, clone: Clone) -> None:
        (clone.folder / "team").mkdir(exist_ok=True)
        name = self.random.choice(["plan.md", "team/plan.md", "Plan.md", f"{self.word()}.md"])
        (clone.folder / name).write_text(f"{self.word()} first\nmiddle\n{self.word()} last\n")

    def rename(self, clone: Clone) -> None:
        if file := self.file(clone):
            target = clone.folder / self.random.choice(["moved.md", "team/moved.md", f"m{self.random.random()}.md"])
            target.parent.mkdir(exist_ok=True)
            if not target.exists():
                file.rename(target)

    def delete(self, clone: Clone) -> None:
        if file := self.file(clone):
            file.unlink()

    def commit(self, clone: Clone) -> None:
        with suppress(AssertionError):  # nothing to commit
            git(clone.folder, "add", "--all", ".")
            git(clone.folder, "commit", "--quiet", "-m", "By hand")

    def forge(self, _: Clone) -> None:
        """Somebody without Mesh pulls, edits, commits and pushes: with git's own merge, conflict markers and all."""
        one = Plain(self.plain)
        before = files(one)
        self.random.choice([self.edit, self.write, self.rename, self.delete])(one)
        after = files(one)
        self.on_purpose |= set(words(before) - words(after))
        self.commit(one)
        with suppress(AssertionError):
            git(self.plain, "fetch", "--quiet")
            try:
                git(self.plain, "merge", "--quiet", "--no-edit", "origin/main")
            except AssertionError:
                if self.random.random() < 0.5:
                    git(self.plain, "merge", "--abort")
                    return
                self.commit(one)  # whatever git left there
            git(self.plain, "push", "--quiet", "origin", "HEAD:main")
            self.acknowledged |= set(words(after))  # before that nobody else has it

    # --- syncs -------------------------------------------------------------------------------------------------------

    def sync(self, clone: Clone) -> None:
        clone.mesh.sync()
        self.is_sound(clone)

    def sync_killed(self, clone: Clone) -> None:
        killed_at(self.random.randrange(1, 120), clone.mesh.sync)

    def sync_killed_in_a_system_call(self, clone: Clone) -> None:
        """Mesh or a git of its own: whoever makes the call."""
        if not self.strace:
            return self.sync_killed(clone)
        call, number = self.random.choice(SYSCALLS.split(",")), self.random.randrange(1, 400)
        tracing = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}"]
        command = [*tracing, "-e", f"inject={call}:signal=KILL:when={number}", sys.executable, "-c", _SYNC]
        subprocess.run([*command, str(clone.home)], capture_output=True, check=False)
        return None

    def sync_together(self, clone: Clone) -> None:
        """All clones at once, one of them twice."""
        children = [_child(one.mesh) for one in (*self.clones, clone)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in children]
        assert not any(codes), codes
        for one in self.clones:
            self.is_sound(one)

    # --- what must hold ----------------------------------------------------------------------------------------------

    def is_sound(self, clone: Clone) -> None:
        for folder in (clone.folder, self.remote):
            said = git(folder, "fsck", "--full", "--strict", "--no-dangling")
            assert "error" not in said and "missing" not in said, said
        assert git(clone.folder, "for-each-ref", "refs/mesh/applying") == ""

    def settle(self) -> None:
        """Sync until nothing moves any more; then all must be the same, and another sync do nothing."""
        for _ in range(8):
            before = self.heads()
            for clone in self.clones:
                self.sync_at_last(clone)
            if self.heads() == before and len(set(before)) == 1:
                break
        assert len(set(self.heads())) == 1, self.heads()
        for clone in self.clones:
            report = clone.mesh.sync()
            assert not any(report[name] for name in ("pushed", "new", "changed", "gone", "kept_back")), report
        assert self.heads() == before

    def sync_at_last(self, clone: Clone) -> None:
        """As `mesh sync` says how, where a git that was killed left its locks."""
        try:
            self.sync(clone)
        except MeshError as error:
            assert self.strace and "lock" in str(error), error
            for lock in clone.folder.glob(".git/**/*.lock"):
                lock.unlink()
            self.sync(clone)

    def heads(self) -> list[str]:
        return [git(one, "rev-parse", "refs/heads/main") for one in (self.remote, *(one.folder for one in self.clones))]

    def judge(self) -> None:
        """All folders hold what the commit has, byte for byte; nothing that nobody took out is gone from it."""
        tree = in_commit(self.remote)
        accepted = {path for path in tree if path in readable(self.clones[0])}
        for clone in self.clones:
            there = files(clone)
            assert {path: there.get(path) for path in accepted} == {path: tree[path] for path in accepted}
            assert set(there) <= set(tree), set(there) - set(tree)
        lost = self.acknowledged - self.on_purpose - set(words(tree))
        assert not lost, lost
        everything = "".join(stored(one) for one in (self.remote, *(clone.home for clone in self.clones)))
        destroyed = {word for word in self.kept_by_mesh if word not in everything}
        assert not destroyed, destroyed


STEPS = {
    "learn": 6, "update": 6, "retag": 3, "forget": 3, "restore": 2, "resolve": 2,
    "edit": 4, "write": 2, "rename": 3, "delete": 2, "commit": 2, "forge": 3,
    "sync": 9, "sync_killed": 2, "sync_killed_in_a_system_call": 2, "sync_together": 2,
}  # fmt: skip
SYNCS = {name for name in STEPS if name.startswith("sync")}
BY_HAND = {"edit", "write", "rename", "delete", "commit", "forge"}


def _child(mesh: Mesh) -> int:
    """A child process that syncs; it exits with 0, also if others were faster each time."""
    if child := os.fork():
        return child
    code = 1
    try:
        signal.alarm(300)
        with suppress(RemoteMoved):  # it says to sync again
            mesh.sync()
        code = 0
    finally:
        os._exit(code)


def run(folder: Path, seed: int, *, clones: int, steps: int, strace: bool = False) -> None:
    """One history, judged. Its steps are told if it breaks a law."""
    history = History(folder, seed, clones, strace and shutil.which("strace") is not None)
    try:
        history.go(steps)
        history.settle()
        history.judge()
    except Exception as error:
        raise AssertionError(f"seed {seed}: {error}\n" + "\n".join(history.steps)) from error
    finally:
        history.close()
