"""What was purged from a repository: names of memories and of blobs, never what they held.

It is kept in `.git/mesh-purged.json`, and the commit that ends a purge has it in its message, for other clones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..files import Folder

FILE = "mesh-purged.json"
_MEMORY = re.compile(r"(?m)^Mesh-Purged: (.{1,300})$")
_BLOB = re.compile(r"(?m)^Mesh-Purged-Blob: ([0-9a-f]{40}|[0-9a-f]{64})$")


@dataclass(slots=True)
class Record:
    """`memories`: the blobs of each. `had`: of a branch, what the remote had before a purge that it was not given yet.

    `purge`: the name of the purge that made this repository.
    """

    memories: dict[str, list[str]] = field(default_factory=dict)
    had: dict[str, str] = field(default_factory=dict)
    purge: str = ""

    @property
    def blobs(self) -> set[str]:
        return {blob for some in self.memories.values() for blob in some}

    def add(self, memory: str, blobs: Iterable[str]) -> None:
        self.memories[memory] = sorted({*self.memories.get(memory, []), *blobs})

    @classmethod
    def of(cls, git_dir: Path) -> Record:
        """What is recorded; an empty one where nothing is, or nothing that can be read."""
        try:
            found = json.loads((git_dir / FILE).read_bytes())
            memories = {str(name): [str(one) for one in blobs] for name, blobs in found["memories"].items()}
            had = {str(branch): str(commit) for branch, commit in found["had"].items()}
            return cls(memories, had, str(found["purge"]))
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            return cls()

    def write(self, git_dir: Path) -> None:
        data = json.dumps({"memories": self.memories, "had": self.had, "purge": self.purge}).encode()
        with Folder.open(git_dir) as folder:
            if folder.exists(FILE):
                if old := folder.exchange(FILE, data):
                    folder.remove(old)
            else:
                folder.create(FILE, data)


def message(memory: str, blobs: Iterable[str]) -> str:
    """Of the commit that ends a purge."""
    lines = [f"Mesh-Purged: {memory}", *(f"Mesh-Purged-Blob: {one}" for one in sorted(blobs))]
    told = "It is in no commit any more. In other clones: mesh sync --accept rewritten"
    return f"purge: a memory\n\n{told}\n\n" + "\n".join(lines) + "\n"


def told_in(text: str) -> dict[str, set[str]]:
    """The memories that the messages of some commits say were purged, and their blobs."""
    found: dict[str, set[str]] = {}
    for part in re.split(r"(?m)^(?=Mesh-Purged: )", text):
        if (match := _MEMORY.match(part)) and match[1].isprintable():
            found.setdefault(match[1], set()).update(_BLOB.findall(part))
    return found
