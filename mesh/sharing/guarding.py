"""What the hooks of a repository ask: whether that may be committed, whether this may be pushed.

They see what git sees, and not the folder: the index of this one commit, and the objects of this one push.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ..errors import GitFailed, InvalidInput
from ..git.running import Git
from ..memory import Problem
from ..settings import named_by_git
from .leaks import allowed_here, in_text
from .leaves import text_of
from .outgoing import MOST_TOLD, found, leaking, sized

_SUBMODULE = b"160000"
_LIST_BYTES = 1 << 30
_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def repository_here(folder: Path) -> Git:
    """The repository that git runs a hook for: it stands in the top folder then. Raises `GitFailed`."""
    place = folder / named_by_git().get("GIT_DIR", ".git")
    if place.is_file():  # a work tree of its own, or a submodule
        place = folder / place.read_text("utf-8").removeprefix("gitdir:").strip()
    if not (place / "HEAD").exists():
        raise GitFailed("there is no repository", place=str(folder), remedy="Go to the top folder of one")
    return Git(place.absolute(), folder.absolute())


# --- what is staged ------------------------------------------------------------------------------------------------


def staged(folder: Path) -> list[Problem]:
    """Why what is to be committed in `folder` may not be; [] if it may. Raises `GitFailed`."""
    git, named = repository_here(folder), named_by_git()
    # Of `git commit -a` and `git commit PATH` this is not the usual one.
    env = {"GIT_INDEX_FILE": str(folder.absolute() / named["GIT_INDEX_FILE"])} if "GIT_INDEX_FILE" in named else {}
    blobs = _new_blobs(git, env)
    return [why for _, why in islice(leaking(git, list(sized(git, blobs))), MOST_TOLD)] if blobs else []


def _new_blobs(git: Git, env: dict[str, str]) -> dict[str, str]:
    """The blobs of the index that no parent of the commit has at that path, with the first of their paths."""
    parents = git.run("rev-parse", "--verify", "--quiet", "HEAD", accepted=(0, 1)).decode().split()
    merged = git.git_dir / "MERGE_HEAD"
    parents += merged.read_text("ascii").split() if parents and merged.exists() else []
    new = set.intersection(*(_changed(git, env, parent) for parent in parents)) if parents else _all(git, env)
    return {blob: path for path, blob in sorted(new, reverse=True)}


def _all(git: Git, env: dict[str, str]) -> set[tuple[str, str]]:
    """Path and blob of every file in the index."""
    said = git.run("ls-files", "--stage", "-z", env=env, limit=_LIST_BYTES).split(b"\0")[:-1]
    lines = [(line.split(b" ", 2), line.partition(b"\t")[2]) for line in said]
    return {(text_of(path), about[1].decode()) for about, path in lines if about[0] != _SUBMODULE}


def _changed(git: Git, env: dict[str, str], parent: str) -> set[tuple[str, str]]:
    """Path and blob of every file in the index that a commit has not, or has otherwise."""
    how = ("--cached", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff")
    words = git.run("diff-index", *how, parent, "--", env=env, limit=_LIST_BYTES).split(b"\0")[:-1]
    lines = [(about.split(b" "), path) for about, path in zip(words[::2], words[1::2], strict=True)]
    there = [(about, path) for about, path in lines if about[1] not in (_SUBMODULE, b"000000")]
    return {(text_of(path), about[3].decode()) for about, path in there if about[3].strip(b"0")}


# --- what is pushed ------------------------------------------------------------------------------------------------


def pushed(folder: Path, remote: str, lines: str) -> list[Problem]:
    """Why what is to be pushed may not be; [] if it may. Raises `GitFailed`, `InvalidInput`.

    `lines`: what git writes to a pre-push hook: `<local ref> <local id> <remote ref> <remote id>`, and no id but zeros
    for what is not there.
    """
    git = repository_here(folder)
    refs = [_ref(line) for line in lines.splitlines() if line.strip()]
    tips = sorted({ref.ours for ref in refs if ref.ours})
    if not tips:
        return []
    there = _known_here(git, {ref.theirs for ref in refs if ref.theirs})
    allowed = allowed_here(git)
    problems = [one for ref in refs if ref.ours for one in in_text(f"the name {ref.name}", ref.name, allowed)]
    known = there if all(ref.theirs in there for ref in refs) else there | _followed(git, remote, refs)
    return problems + found(git, tips, sorted(known))


class _Ref(NamedTuple):
    """A ref of the remote, and what it is and is to be: "" for nothing."""

    name: str
    ours: str
    theirs: str


def _ref(line: str) -> _Ref:
    words = line.split(" ")
    if len(words) != 4 or not (_ID.fullmatch(words[1]) and _ID.fullmatch(words[3])):
        raise InvalidInput("git said something that is not understood", place="pre-push", remedy="Update Mesh, or git")
    return _Ref(words[2], *(name if name.strip("0") else "" for name in (words[1], words[3])))


def _known_here(git: Git, names: Collection[str]) -> set[str]:
    """Those of a remote's objects that are here as well: to what they have, nothing is added."""
    said = git.run("cat-file", "--batch-check", given="".join(f"{name}\n" for name in sorted(names)).encode())
    return {line.split(" ")[0] for line in said.decode().splitlines() if not line.endswith(" missing")}


def _followed(git: Git, remote: str, refs: Sequence[_Ref]) -> set[str]:
    """What the remote's branches were when git last looked: it has these commits.

    Nothing, if one of the refs tells otherwise: then that was another remote, or it has lost what it had.
    """
    prefix = f"refs/remotes/{remote}/"
    said = git.run("for-each-ref", "--format=%(objectname) %(refname)", prefix).decode("utf-8", "replace")
    branches = {name: commit for commit, name in (line.split(" ", 1) for line in said.splitlines())}
    names = {ref.name.replace("refs/heads/", prefix, 1): ref for ref in refs}
    if any(name in branches and not ref.theirs for name, ref in names.items()):
        return set()
    return set(branches.values())
