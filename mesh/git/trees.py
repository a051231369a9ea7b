"""Trees as paths and what lies there, and new ones, made in an index of their own, off the work tree."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import NamedTuple

from .running import Git

FILE = "100644"


class Leaf(NamedTuple):
    """What a tree has at a path."""

    mode: str
    blob: str


Leaves = dict[str, Leaf]
Sets = Mapping[str, Leaf | None]  # paths and what they are to be; None: nothing


def write_tree(git: Git, base: str | None, sets: Sets) -> str:
    """The tree of a commit or tree with some paths set."""
    index = git.git_dir / f"mesh-index-{secrets.token_hex(8)}"
    env = {"GIT_INDEX_FILE": str(index)}
    try:
        if base:
            git.run("read-tree", base, env=env)
        git.run("update-index", "-z", "--index-info", given=index_info(sets, base or ""), env=env)
        return git.run("write-tree", env=env).decode().strip()
    finally:
        index.unlink(missing_ok=True)


def index_info(sets: Sets, like: str) -> bytes:
    """What `update-index -z --index-info` reads; first what goes, so that a folder may take a file's place.

    `like`: any id there, of the same length as all.
    """
    nothing = "0" * (len(like) or len(next((leaf.blob for leaf in sets.values() if leaf), "0" * 40)))
    ordered = sorted(sets.items(), key=lambda pair: (pair[1] is not None, pair[0]))
    lines = [f"{leaf.mode} {leaf.blob}\t{path}\0" if leaf else f"0 {nothing}\t{path}\0" for path, leaf in ordered]
    return "".join(lines).encode("utf-8", "surrogateescape")
