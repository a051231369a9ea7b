"""What arrived by a sync and is not in the folder, since it cannot be read: the version before stays there."""

from __future__ import annotations

from pathlib import Path

from .. import codec
from ..errors import GitFailed, MalformedMemory
from ..memory import Problem
from .leaves import Listed, may_be_written
from .repository import Shared


def unreadable(home: Path, namespace: str) -> list[Problem]:
    """A problem for each file of which a newer version cannot be read; none without a repository. Raises `GitFailed`.

    What is in the folder is recalled as ever, so nothing but this tells that it is no longer the last word.
    """
    if not (home / namespace / ".git").exists():
        return []
    shared = Shared.open(home, namespace)
    commit = shared.repository.commit_of("HEAD")
    head = Listed.of(shared.repository, commit).leaves
    found = []
    with shared.repository.blobs() as blobs:
        for path in sorted(shared.held(head)):
            if path not in head or not may_be_written(path, head[path]):
                continue
            try:
                codec.read(blobs.read(head[path].blob, codec.MAX_FILE_BYTES), path)
            except MalformedMemory as error:
                cause = f"a newer version arrived that cannot be read (line {error.line}: {error.reason})"
            except GitFailed:
                cause = f"a newer version arrived that is larger than {codec.MAX_FILE_BYTES:,} bytes, or is missing"
            else:
                continue
            found.append(Problem(f"{namespace}/{path}", 0, "", cause, "Have it mended where it was made, and sync"))
    return found
