"""The repository of a namespace: which one, what may be done with it now, and what Mesh keeps in it for itself."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from .. import links
from ..errors import GitFailed, NotFound
from ..git.lock_files import wait_for_others
from ..git.remotes import checked_branch, checked_url
from ..git.repository import Person, Repository
from ..git.trees import Leaf, Leaves, Sets, index_info, write_tree
from ..vault import Vault
from .leaks import allowed_here
from .leaves import Listed, differing, paths_given

NOTE = "refs/mesh/applying"
HELD = "refs/mesh/held"  # its tree is what is on disk, its parent the commit that this belongs to
PATIENCE_SECONDS = 5.0  # for a git command of somebody else, or of a sync that was killed
_LEFTOVER_SECONDS = 3600.0
_EXCLUDED = "# What Mesh writes for a moment.\n.mesh-*.tmp\n"


class Note(NamedTuple):
    """A branch that is on its way from one commit to another."""

    old: str | None
    new: str
    on_disk: Leaves


class Index(NamedTuple):
    leaves: Leaves
    skipped: set[str]  # paths of which git does not look into the folder


class Shared:
    """A namespace's folder and its repository."""

    def __init__(self, home: Path, namespace: str, repository: Repository) -> None:
        self.home, self.namespace, self.repository = home, namespace, repository
        self.vault, self.git = Vault(home), repository.git

    @classmethod
    def open(cls, home: Path, namespace: str) -> Shared:
        """Raises `UnknownNamespace`, `NotFound` if it is not shared, `GitFailed` if it is not to be touched."""
        Vault(home).require(namespace)
        folder = links.place(home, namespace)
        if not (folder / ".git").exists():
            raise NotFound(f"the namespace {namespace!r} is not shared", remedy=f"Share it: mesh share {namespace} URL")
        return cls(home, namespace, Repository.open(folder))

    # --- settings --------------------------------------------------------------------------------------------------

    def setting(self, name: str) -> str:
        return self.repository.config().get(name, "").strip()

    @cached_property
    def allowed(self) -> frozenset[str]:
        """Fingerprints of what a person said is no secret, in this clone."""
        return allowed_here(self.git)

    @cached_property
    def url(self) -> str:
        """The remote's address; "" without one."""
        url = self.setting("remote.origin.url")
        return checked_url(url) if url else ""

    def connect(self, url: str, branch: str) -> None:
        """Let `origin` be the remote, for Mesh and for people who use git here."""
        self.git.run("config", "--local", "remote.origin.url", checked_url(url))
        self.git.run("config", "--local", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
        self.git.run("config", "--local", f"branch.{branch}.remote", "origin")
        self.git.run("config", "--local", f"branch.{branch}.merge", f"refs/heads/{branch}")
        self.git.run("config", "--local", "mesh.branch", branch)
        self.__dict__.pop("url", None)
        exclude = self.git.git_dir / "info" / "exclude"
        exclude.parent.mkdir(exist_ok=True)
        if not exclude.exists():
            exclude.write_text(_EXCLUDED)

    @cached_property
    def branch(self) -> str:
        """The branch that is checked out, and shared. Raises `GitFailed` for any other."""
        try:
            branch = self.repository.branch()
        except GitFailed as error:
            raise GitFailed(
                "no branch is checked out (a detached HEAD)", place=self.place, remedy="Run there: git switch main"
            ) from error
        shared = self.setting("mesh.branch")
        if shared and shared != branch:
            raise GitFailed(
                f"the branch {branch!r} is checked out, and {shared!r} is shared",
                place=self.place,
                remedy=f"Run there: git switch {shared}; or share this one: git config mesh.branch {branch}",
            )
        return checked_branch(branch)

    @property
    def place(self) -> str:
        return str(self.home / self.namespace)

    @cached_property
    def person(self) -> Person:
        """Whoever syncs, as git knows them."""
        return self.repository.person("mesh")

    # --- what is going on --------------------------------------------------------------------------------------------

    def refuse_work_of_others(self) -> None:
        """Raise `GitFailed` while a person's merge, rebase or git command is under way; a short one is waited for."""
        what = self.repository.under_way()
        if what and what != "a git command":
            raise GitFailed(f"{what} is under way here", place=self.place, remedy="Finish or abort it, and sync again")
        wait_for_others(self.git.git_dir, self.branch, PATIENCE_SECONDS)
        self._sweep()

    def _sweep(self) -> None:
        """Remove what a killed sync left behind."""
        for path in self.git.git_dir.glob("mesh-index-*"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _LEFTOVER_SECONDS:
                    path.unlink()

    @property
    def branch_ref(self) -> str:
        return f"refs/heads/{self.branch}"

    @property
    def head(self) -> str | None:
        return self.repository.commit_of(self.branch_ref)

    def commits(self, *refs: str) -> list[str | None]:
        """What some refs are now, by one process. Raises `GitFailed` if what one of them names is not there."""
        found = self.repository.refs(*refs)
        return [found.get(ref) for ref in refs]

    # --- what is on disk ---------------------------------------------------------------------------------------------

    def held(self, head: Leaves) -> dict[str, Leaf | None]:
        """Paths that are not on disk as HEAD has them, and what is there instead."""
        commit = self.repository.commit_of(HELD)
        if not commit:
            return {}
        disk, of = Listed.of(self.repository, commit).leaves, Listed.of(self.repository, f"{commit}^").leaves
        return {path: disk.get(path) for path in differing(disk, of) if head.get(path) == of.get(path)}

    def hold(self, commit: str, leaves: Leaves, on_disk: Leaves) -> None:
        """Note, durably, where the folder differs from a commit."""
        sets = {path: on_disk.get(path) for path in differing(leaves, on_disk)}
        if not sets:
            self.git.run("update-ref", "-d", HELD)
            return
        self.git.run("update-ref", HELD, self.noted(commit, sets, [commit]))

    def noted(self, base: str | None, sets: Sets, parents: Iterable[str]) -> str:
        """A commit that is on no branch, to remember a tree by."""
        tree, when = write_tree(self.git, base, sets), datetime.now(UTC)
        mesh = Person("mesh", "mesh@localhost")
        return self.repository.commit_tree(
            tree, list(parents), "What is on disk", author=mesh, committer=mesh, when=when
        )

    def write_note(self, old: str | None, new: str, on_disk: Leaves) -> None:
        before = Listed.of(self.repository, old).leaves
        sets = {path: on_disk.get(path) for path in differing(before, on_disk)}
        self.git.run("update-ref", NOTE, self.noted(old, sets, [old, new] if old else [new]))

    def read_note(self) -> Note | None:
        commit = self.repository.commit_of(NOTE)
        if not commit:
            return None
        parents = self.git.run("rev-parse", f"{commit}^@").decode().split()
        return Note(parents[0] if len(parents) > 1 else None, parents[-1], Listed.of(self.repository, commit).leaves)

    def drop_note(self) -> None:
        self.git.run("update-ref", "-d", NOTE)

    # --- the index ---------------------------------------------------------------------------------------------------

    def index(self) -> Index:
        leaves: Leaves = {}
        skipped: set[str] = set()
        for line in self.git.run("ls-files", "--stage", "-t", "-z").split(b"\0")[:-1]:
            about, _, raw = line.partition(b"\t")
            tag, mode, blob, _ = about.decode("ascii").split()
            path = raw.decode("utf-8", "surrogateescape")
            leaves[path] = Leaf(mode, blob)
            if tag in "Ss":
                skipped.add(path)
        return Index(leaves, skipped)

    def follow(self, old: Leaves, new: Leaves, on_disk: Leaves) -> None:
        """Let the index be as a commit is, but for what a person staged; git then sees nothing changed."""
        index = self.index()
        sets = {path: new.get(path) for path in differing(old, new) if index.leaves.get(path) == old.get(path)}
        sets = {path: leaf for path, leaf in sets.items() if index.leaves.get(path) != leaf}
        if sets:
            like = next((leaf.blob for leaf in new.values()), "")
            self._update_index("-z", "--index-info", given=index_info(sets, like))
        there = {path for path in {*index.leaves, *new} if path not in sets or sets[path]}
        wanted = {path for path in there if path in new and on_disk.get(path) != new[path]}
        had = {path for path in index.skipped if path not in sets}
        if wanted - had:
            self._update_index("--skip-worktree", "-z", "--stdin", given=paths_given(sorted(wanted - had)))
        if stale := sorted(path for path in had - wanted if path in new and path in on_disk):
            self._update_index("--no-skip-worktree", "-z", "--stdin", given=paths_given(stale))
        if sets or wanted != had:
            self._update_index("-q", "--refresh", accepted=(0, 1))

    def _update_index(self, *arguments: str, given: bytes = b"", accepted: Sequence[int] = (0,)) -> None:
        """git itself does not wait for another one that has the index."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.git.run("update-index", *arguments, given=given, accepted=accepted)
                return
            except GitFailed as error:
                if "index.lock" not in error.remedy or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
