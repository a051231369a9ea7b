"""The files by which git commands keep others from what they are changing, and what is left of one that was killed.

git says nowhere whose such a file is, and a person's git may hold one for as long as an editor is open. So none is ever
removed, but those of Mesh's own refs: only a sync changes these, and one at a time. There git itself, when it packs
refs, holds them for a moment only.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..errors import GitFailed

OWN = "refs/mesh"
STALE_SECONDS = 10.0  # after which nobody holds a ref of Mesh's own any more


def wait_for_others(git_dir: Path, branch: str, patience_seconds: float) -> None:
    """Wait until nobody holds what a sync changes. The caller is the only sync. Raises `GitFailed`."""
    deadline = time.monotonic() + patience_seconds
    while held := next(_held(git_dir, branch), None):
        if time.monotonic() > deadline:
            since = _age(held)
            raise GitFailed(
                f"a git command is under way, or was killed: its {held.name} is there since {since:.0f} s",
                place=str(git_dir.parent),
                remedy=f"Wait for it; if none is running, remove {held}",
            )
        time.sleep(0.05)


def _held(git_dir: Path, branch: str) -> Iterator[Path]:
    for name in ("index", "HEAD", "packed-refs", f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"):
        if (path := git_dir / f"{name}.lock").exists():
            yield path
    for path in (git_dir / OWN).rglob("*.lock"):  # no ref may be called so
        if _age(path) > STALE_SECONDS:
            path.unlink(missing_ok=True)
        else:
            yield path


def _age(path: Path) -> float:
    with suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime
    return 0.0
