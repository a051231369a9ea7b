"""Sync a namespace that is a folder of a larger repository: commit what changed in it, and nothing else.

Branch, remote, merges and pushes are the project's own. So is what a person staged, and what the project ignores or has
git change on the way in (line ends, filters): that is theirs to commit. The index is changed before the branch: if all
ends in between, the memories are staged, and the next sync commits them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import links
from ..errors import GitFailed, InvalidInput
from ..git import enclosing
from ..git.enclosing import Part
from ..git.objects import blob_name
from ..git.trees import Leaf, Leaves, Sets, index_info
from ..memory import Problem
from .committing import by_author, store
from .folder import Edit, edits
from .leaves import Listed, may_be_written, paths_given, text_of
from .report import Report
from .repository import Index, Shared

_CHANGED_BY_GIT = ("filter", "ident", "working-tree-encoding")


@dataclass(slots=True)
class ProjectReport(Report):
    """`project`: the top of its repository. `committed`: paths in the namespace."""

    project: str = ""
    committed: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return Report.as_dict(self) | {"project": self.project, "committed": self.committed}


class InProject(Shared):
    """A namespace and the part of a project's repository that it is."""

    def __init__(self, home: Path, namespace: str, part: Part) -> None:
        super().__init__(home, namespace, part)
        self.prefix = part.prefix

    @property
    def place(self) -> str:
        return str(self.repository.folder)

    def index(self) -> Index:
        """What is staged of the folder."""
        said = self.git.run("ls-files", "--stage", "-t", "-z", "--", self.prefix.rstrip("/"))
        leaves, skipped = Leaves(), set[str]()
        for line in said.split(b"\0")[:-1]:
            about, _, raw = line.partition(b"\t")
            tag, mode, blob, _ = about.decode("ascii").split()
            path = text_of(raw).removeprefix(self.prefix)
            leaves[path] = Leaf(mode, blob)
            if tag in "Ss":
                skipped.add(path)
        return Index(leaves, skipped)


def found(home: Path, namespace: str) -> InProject | None:
    """The project that a namespace is a folder of; None if it is none, or the repository is the namespace's own."""
    part = enclosing.project(home, namespace)
    return InProject(home, namespace, part) if part else None


def refuse(home: Path, namespace: str) -> None:
    """Raise `InvalidInput` for a namespace that is a folder of a project: there is nothing else to share it by."""
    if part := enclosing.project(home, namespace):
        raise InvalidInput(
            f"it lies in the repository {part.folder}, and is shared as that is",
            place=namespace,
            remedy=f"Commit what is learned with: mesh sync {namespace}; to push it is the project's own work",
        )


def commit(shared: InProject) -> ProjectReport:
    """Commit what changed, to the branch that is checked out. Raises `GitFailed`."""
    links.require(shared.home, shared.namespace)
    shared.refuse_work_of_others()
    report = ProjectReport(shared.namespace, project=shared.place)
    head, index = shared.head, shared.index()
    leaves = Listed.of(shared.repository, head).leaves
    # A sparse checkout leaves files out that nobody deleted.
    there = {path: leaf for path, leaf in leaves.items() if may_be_written(path, leaf) and path not in index.skipped}
    seen = edits(shared, leaves, there, index)
    going, back = _fit(shared, seen.going, there)
    report.kept_back = seen.back + back
    report.commit = _committed(shared, head, going, index) if going else head
    report.committed = sorted(one.path for one in going)
    return report


def _committed(shared: InProject, head: str | None, going: list[Edit], index: Index) -> str:
    store(shared, going)
    new = by_author(shared, head, [replace(one, path=f"{shared.prefix}{one.path}") for one in going])
    assert new is not None  # there is something to commit
    sets = {one.path: one.leaf for one in going}
    _stage(shared, sets)
    try:
        shared.repository.move(shared.branch, new, head)
    except GitFailed:  # somebody committed in this moment
        _stage(shared, {path: index.leaves.get(path) for path in sets})
        raise
    return new


def _stage(shared: InProject, sets: Sets) -> None:
    like = next((leaf.blob for leaf in sets.values() if leaf), shared.head or "")
    theirs = {f"{shared.prefix}{path}": leaf for path, leaf in sets.items()}
    shared.git.run("update-index", "-z", "--index-info", given=index_info(theirs, like))


# --- what git itself would commit otherwise --------------------------------------------------------------------------


def _fit(shared: InProject, going: list[Edit], there: Leaves) -> tuple[list[Edit], list[Problem]]:
    """What is committed as it is, and what is left to git: ignored, filtered, or with line ends that git changes."""
    ignored = _ignored(shared, [one.path for one in going if one.is_new])
    changed = _changed_by_git(shared, [one for one in going if one.data is not None])
    fit, back = list[Edit](), list[Problem]()
    for one in going:
        was = there.get(one.path)
        if one.path in ignored:
            cause, remedy = "the project ignores it (.gitignore)", "To commit it all the same: git add --force"
        elif one.path not in changed:
            fit.append(one)
            continue
        elif was and one.data and blob_name(one.data.replace(b"\r\n", b"\n"), was.blob) == was.blob:
            continue  # git sees no change either
        else:
            cause, remedy = "the project has git change it on the way in (.gitattributes)", "Commit it with git"
        back.append(Problem(one.path, 0, "", cause, remedy))
    return fit, back


def _ignored(shared: InProject, paths: Iterable[str]) -> set[str]:
    given = paths_given(f"{shared.prefix}{path}" for path in paths)
    if not given:
        return set()
    env = {"GIT_LITERAL_PATHSPECS": "0"}  # it knows none
    said = shared.git.run("check-ignore", "-z", "--stdin", given=given, env=env, accepted=(0, 1))
    return {text_of(path).removeprefix(shared.prefix) for path in said.split(b"\0")[:-1]}


def _changed_by_git(shared: InProject, going: list[Edit]) -> set[str]:
    """Paths whose bytes git would not take as they are."""
    given = paths_given(f"{shared.prefix}{one.path}" for one in going)
    if not given:
        return set()
    crlf = {one.path for one in going if b"\r\n" in (one.data or b"")}
    said = shared.git.run("check-attr", "-z", "--stdin", "text", "eol", *_CHANGED_BY_GIT, given=given)
    words = [text_of(word) for word in said.split(b"\0")[:-1]]
    found = set[str]()
    for name, key, value in zip(words[::3], words[1::3], words[2::3], strict=True):
        path = name.removeprefix(shared.prefix)
        if value not in {"unspecified", "unset"} and (key in _CHANGED_BY_GIT or path in crlf):
            found.add(path)
    return found
