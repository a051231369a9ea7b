"""The repository of a namespace: commits of given files, made from bytes and not from what lies in a folder.

Nothing is ever added by looking for it: whoever commits names each path and hands over its bytes. Trees are made in an
index of their own, off the work tree; a branch moves only from where it was seen to be.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..errors import GitFailed
from . import names
from .heads import common_dir
from .objects import Entry, Objects, entries
from .running import Git
from .trees import FILE, Leaf, Sets, index_info, write_tree

_ON_BRANCH = "ref: refs/heads/"
_UNDER_WAY = {
    "index.lock": "a git command",
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "BISECT_LOG": "a bisect",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
}
OWN_SETTINGS = ("merge.mesh.driver",)  # what Mesh itself puts into a repository's settings, and never runs
# Settings of one repository that make git run programs or lead it elsewhere. core.hooksPath is none of them: teams set
# it (husky does), and every call of ours overrides it.
_RUNS_PROGRAMS = re.compile(
    r"core\.(?:fsmonitor|sshcommand|gitproxy|editor|pager|askpass|alternaterefscommand|worktree)"
    r"|include(?:if)?\..*|filter\..*|diff\..*\.(?:command|textconv)|diff\.external|merge\..*\.driver|credential\..*"
    r"|remote\..*\.(?:uploadpack|receivepack|vcs|proxy)|url\..*|protocol\..*|uploadpack\..*|gpg\..*|alias\..*|pager\..*"
    r"|submodule\..*|http\..*|extensions\.(?:worktreeconfig|partialclone)|sequence\.editor|.*\.promisor"
)


@dataclass(frozen=True, slots=True)
class Person:
    """Who wrote or committed something, as git keeps it."""

    name: str
    email: str

    def variables(self, role: str, when: datetime) -> dict[str, str]:
        """For `role` AUTHOR or COMMITTER."""
        plain = {"NAME": _plain(self.name) or "unknown", "EMAIL": _plain(self.email) or "unknown"}
        return {f"GIT_{role}_{key}": value for key, value in plain.items()} | {
            f"GIT_{role}_DATE": f"{int(when.timestamp())} +0000"
        }


class Repository:
    """A repository whose work tree is a folder. Open one with `create` or `open`.

    `prefix`: what its paths begin with in the whole repository, if it is a part of one (`enclosing`).
    """

    prefix = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git = Git(folder / ".git", folder)
        self.remembered: dict[str, object] = {}  # of commits, by their ids: for whoever reads them again and again
        self._config: tuple[tuple[int, ...], dict[str, str]] | None = None

    @classmethod
    def create(cls, folder: Path, branch: str = "main") -> Repository:
        """A new one, without anything from templates. Raises `GitFailed` if there is one: it is not taken over."""
        if os.path.lexists(folder / ".git"):
            raise GitFailed(
                "there is a .git already, which Mesh has not made", place=str(folder), remedy="Move it away"
            )
        made = cls(folder)
        made.git.run("init", "--quiet", "--template=", f"--initial-branch={branch}", env={"GIT_WORK_TREE": str(folder)})
        return made

    @classmethod
    def open(cls, folder: Path, *, own: Sequence[str] = OWN_SETTINGS, trusted: bool = False) -> Repository:
        """The one that is there. Raises `GitFailed` if it is not a plain one, or its settings run programs.

        `own`: settings that Mesh made. `trusted`: whether a person said that all of them are theirs.
        """
        place = folder / ".git"
        if place.is_symlink() or not place.is_dir():
            what = "no repository" if not os.path.lexists(place) else "a .git that leads elsewhere"
            raise GitFailed(f"there is {what}", place=str(folder), remedy="Share it first, or use a plain clone")
        found = cls(folder)
        foreign = (
            [] if trusted else [name for name in found.settings() if name not in own and _RUNS_PROGRAMS.fullmatch(name)]
        )
        if foreign:
            raise GitFailed(
                f"its own settings may run programs or lead elsewhere ({', '.join(foreign[:5])})",
                place=str(place / "config"),
                remedy="Look at them; remove what is not yours, or move it to your own configuration",
            )
        return found

    def settings(self) -> list[str]:
        """The names of the settings that are this repository's own, in lower case."""
        return list(self.config())

    def config(self) -> dict[str, str]:
        """The repository's own settings; of one that is there more than once the last. Read again when it changed."""
        there = (common_dir(self.git.git_dir) / "config").stat()
        stamp = there.st_size, there.st_mtime_ns, there.st_ctime_ns, there.st_ino
        if self._config is None or self._config[0] != stamp:
            said = self.git.run("config", "--local", "--no-includes", "--list", "-z").decode("utf-8", "replace")
            pairs = [line.partition("\n") for line in said.split("\0")[:-1]]
            self._config = stamp, {name.lower(): value for name, _, value in pairs}
        return self._config[1]

    def person(self, otherwise: str) -> Person:
        """Who works here, as git knows them; of nobody that it knows `otherwise` is the name."""
        said = self.git.run("config", "--get-regexp", r"^user\.(name|email)$", accepted=(0, 1))
        found = dict(line.split(" ", 1) for line in said.decode("utf-8", "replace").splitlines() if " " in line)
        email = found.get("user.email", "")
        name = found.get("user.name") or email.partition("@")[0] or otherwise
        return Person(name, email or f"{otherwise}@localhost")

    def under_way(self) -> str:
        """What git is doing here just now, or a person has begun with it: "a merge"; "" for nothing."""
        return next((what for name, what in _UNDER_WAY.items() if (self.git.git_dir / name).exists()), "")

    # --- names and history -----------------------------------------------------------------------------------

    def branch(self) -> str:
        """The branch that is checked out. Raises `GitFailed` if none is."""
        with suppress(OSError, UnicodeDecodeError):
            said = (self.git.git_dir / "HEAD").read_text("utf-8")
            if said.startswith(_ON_BRANCH) and said.endswith("\n") and ".invalid" not in said:  # not a reftable's
                return said.removeprefix(_ON_BRANCH).rstrip("\n")
        return self.git.run("symbolic-ref", "--short", "HEAD").decode().strip()

    def commit_of(self, name: str) -> str | None:
        """The commit that a name stands for."""
        said = self.git.run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", accepted=(0, 1, 128)
        )
        return said.decode().strip() or None

    def refs(self, *names: str) -> dict[str, str]:
        """The commits of those of these refs that there are. Raises `GitFailed` where such a commit is missing."""
        said = self.git.run("for-each-ref", "--format=%(objecttype) %(objectname) %(refname)", *names)
        found = [line.split(" ", 2) for line in said.decode("utf-8", "surrogateescape").splitlines()]
        return {name: commit for kind, commit, name in found if kind == "commit" and name in names}

    def is_ancestor(self, older: str, newer: str) -> bool:
        return self.git.run("rev-list", "--max-count=1", older, f"^{newer}", "--") == b""

    def merge_bases(self, one: str, other: str) -> list[str]:
        """The best common ancestors; none for two histories that have nothing in common."""
        return self.git.run("merge-base", "--all", one, other, accepted=(0, 1)).decode().split()

    def entries(self, commit: str) -> Iterator[Entry]:
        return entries(self.git, commit)

    def tree_of(self, commit: str) -> str:
        return self.git.run("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}").decode().strip()

    def blobs(self) -> Objects:
        """A context manager that reads blobs."""
        return Objects(self.git)

    # --- commits ---------------------------------------------------------------------------------------------

    def write_blobs(self, texts: Sequence[bytes]) -> list[str]:
        """Put bytes into the repository, all of them by one process, unchanged by any filter; their ids."""
        if not texts:
            return []
        commands = [
            b"blob\nmark :%d\ndata %d\n%s\nget-mark :%d\n" % (n, len(text), text, n) for n, text in enumerate(texts, 1)
        ]
        said = self.git.run("fast-import", "--quiet", "--done", given=b"".join(commands) + b"done\n")
        ids = said.decode("ascii").split()
        if len(ids) != len(texts):
            raise GitFailed("git did not take all of the blobs", place=str(self.git.git_dir))
        return ids

    def tree(self, base: str | None, changes: Mapping[str, str | None]) -> str:
        """The tree of a commit or tree with some paths set to blobs, or, for None, removed; off the work tree."""
        for path in changes:
            if why := names.impossible(path.encode("utf-8", "surrogateescape")):
                raise GitFailed(why, place=path)  # git itself would only leave it out
        return write_tree(self.git, base, _as_files(changes))

    def commit_tree(
        self, tree: str, parents: Sequence[str], message: str, *, author: Person, committer: Person, when: datetime
    ) -> str:
        """A commit of a tree, on no branch yet."""
        env = author.variables("AUTHOR", when) | committer.variables("COMMITTER", when)
        above = [part for parent in parents for part in ("-p", parent)]
        text = message.replace("\0", "").encode("utf-8", "replace")
        return self.git.run("commit-tree", tree, *above, "-F", "-", given=text, env=env).decode().strip()

    def move(self, branch: str, new: str, old: str | None) -> None:
        """Let a branch be `new`, if it is still `old` (None: if there is none). Raises `GitFailed`."""
        self.git.run("update-ref", "-m", "mesh", f"refs/heads/{branch}", new, old or "")

    def commit(
        self, files: Mapping[str, bytes | None], message: str, *, author: Person, committer: Person, when: datetime
    ) -> str | None:
        """Commit these files, and nothing else, to the branch that is checked out; None if that changes nothing.

        The index follows for these paths, so that to people who use git here they are neither staged nor changed.
        """
        branch = self.branch()
        old = self.commit_of(f"refs/heads/{branch}")
        written = dict(
            zip((path for path, data in files.items() if data is not None), self._written(files), strict=True)
        )
        changes = {path: written.get(path) for path in files}
        tree = self.tree(old, changes)
        if old and tree == self.git.run("rev-parse", f"{old}^{{tree}}").decode().strip():
            return None
        new = self.commit_tree(tree, [old] if old else [], message, author=author, committer=committer, when=when)
        self.follow(changes)  # before the branch: killed in between, it is staged, and to be committed again
        self.move(branch, new, old)
        return new

    def _written(self, files: Mapping[str, bytes | None]) -> list[str]:
        return self.write_blobs([data for data in files.values() if data is not None])

    def follow(self, changes: Mapping[str, str | None]) -> None:
        """Let the index have these blobs. Raises `GitFailed` while another git holds it."""
        given = index_info(_as_files(changes), self.commit_of("HEAD") or "")
        self.git.run("update-index", "-z", "--index-info", given=given)

    def check(self) -> None:
        """Raise `GitFailed` if anything in the repository is damaged."""
        self.git.run("fsck", "--full", "--strict", "--no-dangling", "--no-progress")


def _as_files(changes: Mapping[str, str | None]) -> Sets:
    return {path: Leaf(FILE, blob) if blob else None for path, blob in changes.items()}


def _plain(text: str) -> str:
    """Without what would end a name or an address in a commit."""
    return "".join(c for c in text if c.isprintable() and c not in "<>").strip()
