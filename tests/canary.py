"""Random histories in which each clone also has what is local_only, and every way by which it could come out.

What is local_only holds the mark of its clone in its text, title, tags, author and name; nothing else holds it.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from clones import Clone, git
from shared_files import files
from shared_histories import BY_HAND, STEPS, History

import mesh as library
from mesh import remedies
from mesh.errors import MeshError

MARK = "qzxmark"
LAMP = "lamp"  # in a memory that all share: what is looked at must hold it, or the silence means nothing
MESH = Path(sys.executable).with_name("mesh")
# What it is, what must not be in it, what is in it, and what has to be, if anything has.
Looked = tuple[str, str, bytes, str]
LOCAL_STEPS = {
    "learn_local": 6, "learn_of_the_same": 2, "write_local_by_hand": 3, "make_local_by_hand": 4, "break_local": 2,
    "move_local": 2, "move_all_local": 1, "undo": 1,
}  # fmt: skip


class Canaries(History):
    """`said`: all that was logged. `by_hand`: names of files that people made local_only in the shared folder."""

    weights = STEPS | LOCAL_STEPS
    by_hand = BY_HAND | LOCAL_STEPS.keys()

    def __init__(self, folder: Path, seed: int, clones: int = 2) -> None:
        self.began, self.said, self.paths = datetime.now(UTC), list[str](), set[str]()
        self._log = _Log(self.said)
        logging.getLogger().addHandler(self._log)
        self._level = logging.getLogger("mesh").level
        logging.getLogger("mesh").setLevel(logging.DEBUG)
        super().__init__(folder, seed, clones)

    def close(self) -> None:
        logging.getLogger().removeHandler(self._log)
        logging.getLogger("mesh").setLevel(self._level)
        super().close()

    def mark(self, clone: Clone) -> str:
        return f"{MARK}{clone.home.name}{self.random.randrange(10**9)}"

    def remember(self, path: str) -> str:
        """A path that the owner of a clone may be told, and nobody else."""
        self.paths.add(path)
        return path

    # --- what is local -----------------------------------------------------------------------------------------------

    def learn_local(self, clone: Clone) -> None:
        mark = self.mark(clone)
        text = f"{mark} says that the door has code {self.random.randrange(100)}"
        mesh = clone.mesh.acting_as(mark)
        mesh.learn(text, local_only=True, title=self.random.choice(["", mark.upper()]), tags=[mark])

    def learn_of_the_same(self, clone: Clone) -> None:
        """What could be taken for the same, or for the contrary, of what is local."""
        for text in ("says that the door has code 7", "The bird says that the door has code 8"):
            clone.mesh.learn(f"{text} {self.word()}")

    def write_local_by_hand(self, clone: Clone) -> None:
        """In the shared folder, and never committed."""
        mark = self.mark(clone)
        name = self.remember(f"{mark}.md")
        (clone.folder / name).write_text(_local(mark))

    def make_local_by_hand(self, clone: Clone) -> None:
        """What others have, or was not committed yet, gets another text that they must not see."""
        if file := self.file(clone):
            data, mark = file.read_text("utf-8", "replace"), self.mark(clone)
            own = re.search(r"^id: .*\n", data, re.MULTILINE)
            file.write_text(_local(mark, own[0] if own else ""))
            if self.random.random() < 0.5:
                file.rename(file.with_name(self.remember(f"{mark}.md")))

    def break_local(self, clone: Clone) -> None:
        """It cannot be read, and speaks of local_only."""
        mark = self.mark(clone)
        file = (self.random.random() < 0.5 and self.file(clone)) or clone.folder / self.remember(f"{mark}.md")
        file.write_text(_local(mark, f"evidence: [{mark}\n"))

    def move_local(self, clone: Clone) -> None:
        """By hand, to where it cannot be shared."""
        if file := self.file(clone):
            target = clone.home / "_local" / "notes" / f"{self.mark(clone)}.md"
            target.parent.mkdir(parents=True, exist_ok=True)
            file.rename(target)
            target.write_text(f"{target.read_text('utf-8', 'replace')}\n{self.mark(clone)}\n")

    def move_all_local(self, clone: Clone) -> None:
        """As `mesh doctor --fix local` does."""
        clone.mesh.refresh()
        with suppress(MeshError):
            remedies.fix(clone.mesh.workspace, "local")

    def undo(self, clone: Clone) -> None:
        with suppress(MeshError):  # git is at work, or there is nothing to undo
            clone.mesh.undo(self.random.choice(["claude", "bob"]), self.began)

    def commit(self, clone: Clone) -> None:
        """A person commits with git what they mean to share."""
        with suppress(AssertionError):
            for path in files(clone):
                if b"local_only" not in (clone.folder / path).read_bytes():
                    git(clone.folder, "add", path)
            git(clone.folder, "commit", "--quiet", "-m", "By hand")

    def settle(self) -> None:
        for _ in range(3):
            for clone in self.clones:
                self.sync(clone)
        assert len(set(self.heads())) == 1, self.heads()

    # --- every way out -----------------------------------------------------------------------------------------------

    def channels(self) -> Iterator[Looked]:
        """Told of one of the clones, stored at all of them."""
        yield "remote: objects (files, trees, commits, authors)", MARK, objects(self.remote), LAMP
        yield "remote: refs, packed refs, logs, settings", MARK, raw(self.remote), "main"
        yield "remote: messages and authors", MARK, people(self.remote), "claude|ann"
        yield "a plain clone of it", MARK, raw(self._cloned()), LAMP
        for clone in self.clones:
            yield from self._stored_at(clone)
        yield from self._told_by(self.random.choice(self.clones))
        yield "log messages, debugging ones too", MARK, "\n".join(self.said).encode(), ""

    def _cloned(self) -> Path:
        git(self.folder, "clone", "--quiet", str(self.remote), "afterwards")
        return self.folder / "afterwards"

    def _stored_at(self, clone: Clone) -> Iterator[Looked]:
        name, repository = clone.home.name, clone.folder / ".git"
        yield f"{name}'s .git: objects, also those that nothing names", MARK, objects(repository), LAMP
        yield f"{name}'s .git: index, settings, logs, refs, leftovers", MARK, raw(repository), "the-lamp"
        yield f"{name}'s .git: refs/mesh and their trees", MARK, notes(clone.folder), "refs/mesh/seen"
        for other in self.clones:
            if other is not clone:
                mark = f"{MARK}{other.home.name}"
                yield (
                    f"{name}'s home, with work tree, trash and cache: of {other.home.name}",
                    mark,
                    raw(clone.home),
                    LAMP,
                )

    def _told_by(self, clone: Clone) -> Iterator[Looked]:
        name = clone.home.name
        for kind in ("json", "jsonl", "markdown", "tar.gz"):
            data, row = exported(clone, kind)
            yield f"{name}: export as {kind}", MARK, data + self.without_paths(repr(row)), LAMP
        for what, do in VERBS.items():
            said = self.without_paths(repr(do(clone.mesh)))
            yield f"{name}: {what}", MARK, said, "" if "differs" in what else LAMP
        report = clone.mesh.sync()
        yield f"{name}: sync's report", MARK, self.without_paths(json.dumps(report)), "notes"
        for arguments in (["sync"], ["log", "--json"], ["diff"], ["conflicts"]):
            said = told(clone, *arguments)
            yield f"{name}: mesh {' '.join(arguments)}, with stderr", MARK, self.without_paths(said), ""
        yield (
            f"{name}: a push that is refused",
            MARK,
            self.without_paths(refused(clone, self.mark(clone))),
            "local_only",
        )

    def without_paths(self, text: str) -> bytes:
        for path in self.paths:
            text = text.replace(path.removesuffix(".md"), "")
        return text.encode()


def shared_rows(mesh):
    return mesh.inspect(None, include_local=False)


VERBS: dict[str, Callable] = {
    "context": lambda mesh: (mesh.context(), mesh.context("the lamp, the door, and code 7", 50)),
    "the log": lambda mesh: mesh.log(),
    "what differs from the first commit": lambda mesh: mesh.diff(mesh.log()[-1]["commit"], "HEAD"),
    "blame of what is shared": lambda mesh: [mesh.blame(row["path"]) for row in shared_rows(mesh)],
    "what it was at the last commit": lambda mesh: mesh.at("HEAD").inspect(None) + mesh.at("HEAD").recall("the lamp"),
    "what an undo would do": lambda mesh: (mesh.undo("claude", "1h", dry_run=True), LAMP),
    "inspect, without what is local": shared_rows,
}


class _Log(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(f"{record.getMessage()} {record.exc_info or ''}")


def _local(mark: str, more: str = "") -> str:
    return f"---\n{more}title: {mark}\nagent: {mark}\ntags: [{mark}]\nlocal_only: true\n---\n{mark} says it\n{mark}\n"


def objects(repository: Path) -> bytes:
    command = ["git", f"--git-dir={repository}", "cat-file", "--batch-all-objects", "--batch"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def raw(folder: Path) -> bytes:
    """The names and bytes of all files below; read by another process, since to close a database drops its locks."""
    return subprocess.run(["tar", "-cf", "-", "-C", folder, "."], capture_output=True, check=False).stdout


def people(repository: Path) -> bytes:
    return git(repository, "log", "--all", "--format=%an %ae %cn %ce %B %N").encode()


def notes(folder: Path) -> bytes:
    said = git(folder, "for-each-ref")
    names = re.findall(r"refs/mesh/\S+", said)
    return (
        said + "".join(git(folder, "show", "--raw", name) + git(folder, "ls-tree", "-r", name) for name in names)
    ).encode()


def exported(clone: Clone, kind: str) -> tuple[bytes, dict]:
    """The file or folder, and what whoever exports is told."""
    suffix = {"markdown": "", "tar.gz": ".tar.gz"}.get(kind, f".{kind}")
    target = clone.home.with_name(f"{clone.home.name}-export{suffix}")
    row = library.export_namespace("notes", target, home=clone.home, format=kind)
    del row["path"]
    if kind == "tar.gz":
        said = subprocess.run(["tar", "-xzOf", target], capture_output=True, check=True).stdout
        listed = subprocess.run(["tar", "-tvzf", target], capture_output=True, check=True).stdout
        return said + listed, row
    return raw(target) if target.is_dir() else target.read_bytes(), row


def told(clone: Clone, *arguments: str) -> str:
    """All that a command says, on both streams."""
    env = os.environ | {"MESH_HOME": str(clone.home), "MESH_NAMESPACE": "notes"}
    done = subprocess.run([MESH, *arguments], capture_output=True, text=True, env=env, check=False)
    assert "Traceback" not in done.stderr and done.returncode in (0, 1), done.stderr
    return done.stdout + done.stderr


def refused(clone: Clone, mark: str) -> str:
    """What is said when somebody committed what is local_only with git; the commit is taken back."""
    file = clone.folder / "by-mistake.md"
    file.write_text(_local(mark))
    git(clone.folder, "add", file.name)
    git(clone.folder, "commit", "--quiet", "--no-verify", "-m", "By mistake", "--", file.name)
    try:
        clone.mesh.sync()
    except MeshError as error:
        return str(error)
    finally:
        git(clone.folder, "reset", "--quiet", "--soft", "HEAD~1")
        git(clone.folder, "reset", "--quiet", "--", file.name)
        file.unlink()
    raise AssertionError("it was pushed")
