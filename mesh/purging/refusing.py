"""When a repository is not to be made anew: what it has elsewhere, or shares with something, would be lost or left."""

from __future__ import annotations

from pathlib import Path

from ..errors import GitFailed
from ..git.repository import Repository
from ..git.running import Git

_CARRIED_ELSEWHERE = {
    "shallow": ("it is a shallow clone, so most of its history is elsewhere", "Run there: git fetch --unshallow"),
    "info/grafts": ("its history is patched with grafts", "Make it real, or remove .git/info/grafts"),
    "objects/info/alternates": (
        "its objects lie in another repository (alternates)",
        "Run there: git repack -a -d, and remove .git/objects/info/alternates",
    ),
    "worktrees": ("it has other worktrees", "Remove them: git worktree list, git worktree remove, git worktree prune"),
    "modules": ("it has submodules", "Remove them, and .git/modules"),
    "lfs": ("files of it lie in git-lfs", "Take it out with git filter-repo"),
    "annex": ("files of it lie in git-annex", "Take it out with git filter-repo"),
}
_REFS = {
    "refs/replace/": ("objects of it are replaced (git replace)", "Delete them: git replace -d"),
    "refs/notes/": ("it has git notes, which name commits", "Delete them: git update-ref -d refs/notes/commits"),
}


def refuse_what_is_elsewhere(repository: Repository) -> None:
    """Raise `GitFailed` for a repository that is not whole, or that other folders work with."""
    place = str(repository.folder)
    for name, (cause, remedy) in _CARRIED_ELSEWHERE.items():
        found = repository.git.git_dir / name
        if found.is_file() or (found.is_dir() and any(found.iterdir())):
            raise GitFailed(cause, place=place, remedy=f"{remedy}. Then again")
    if any((repository.git.git_dir / "objects/pack").glob("*.promisor")):
        raise GitFailed("it is a partial clone", place=place, remedy="Clone it anew without --filter. Then again")
    for prefix, (cause, remedy) in _REFS.items():
        if repository.git.run("for-each-ref", "--count=1", prefix):
            raise GitFailed(cause, place=place, remedy=f"{remedy}. Then again")


def refuse_what_is_not_ours(home: Path, namespace: str) -> None:
    """Raise `GitFailed` where the history is that of a larger project: only its people may rewrite it."""
    folder = home / namespace
    own = folder / ".git"
    if own.is_symlink() or own.is_file():
        raise GitFailed("its .git leads elsewhere", place=str(folder), remedy="Use a plain clone; or git filter-repo")
    if folder.is_symlink() and own.exists():
        raise GitFailed(
            f"it is linked from {folder.resolve()}, whose history is not only Mesh's",
            place=str(folder),
            remedy="Move that folder into the home; or take it out there with git filter-repo",
        )
    if not own.exists() and (top := _tracked_by(folder.resolve())):
        raise GitFailed(
            f"it is part of the repository {top}, whose history is not only Mesh's",
            place=str(folder),
            remedy="Take it out there with git filter-repo; mesh forget moves it to the trash",
        )


def _tracked_by(folder: Path) -> Path | None:
    """The repository above a folder that has something of it in its history, if there is one."""
    for top in folder.parents:
        git = top / ".git"
        if not git.exists():
            continue
        if not git.is_dir():
            return top
        below = folder.relative_to(top).as_posix()
        said = Git(git, top).run("rev-list", "--all", "--max-count=1", "--", below)
        in_index = Git(git, top).run("ls-files", "--", below)
        if said or in_index:
            return top
    return None
