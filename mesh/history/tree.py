"""The memories of a commit, read as a vault is read: nothing is checked out, and nothing can be written."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from .. import codec
from ..errors import InvalidInput, VaultUnavailable
from ..file_reader import FileReader
from ..git import reading
from ..git.objects import Objects
from ..memory import Memory
from ..refresh import Refresh
from ..scan import Snapshot, Stamp
from ..trash import Trashed
from ..vault import Vault
from .past import Past


class TreeVault(Vault):
    """The namespace of a commit, under the same paths. `tree`: the id of what the commit holds."""

    def __init__(self, home: Path, past: Past, commit: str) -> None:
        super().__init__(home)
        self.tree = past.repository.tree_of(commit)
        self._past, self._blobs = past, Objects(past.repository.git)
        self._listed: dict[str, tuple[str, int]] | None = None

    def close(self) -> None:
        self._blobs.close()

    @property
    def listed(self) -> dict[str, tuple[str, int]]:
        """The path of every memory in the home: its blob and its size in bytes."""
        if self._listed is None:
            found = reading.memories_of(self._past.repository.git, self.tree)
            self._listed = {self._past.in_home(path): about for path, about in found.items()}
        return self._listed

    def scan(self, namespace: str) -> Snapshot:
        return Snapshot({path: _stamp(*about) for path, about in self.listed.items()})

    def stamp(self, path: str) -> Stamp | None:
        about = self.listed.get(path)
        return _stamp(*about) if about else None

    def bytes_of(self, path: str) -> bytes:
        blob = self._listed[path][0] if self._listed and path in self._listed else ""
        return self._blobs.beginning(
            blob or f"{self.tree}:{self._past.in_repository(path)}",
            codec.MAX_FILE_BYTES + 1,
        )

    # --- writing -------------------------------------------------------------------------------------------------

    def writing(self, namespace: str) -> NoReturn:
        raise _unchangeable()

    def prepare(self, namespace: str) -> None:
        raise _unchangeable()

    def add(self, namespace: str, memory: Memory) -> str:
        raise _unchangeable()

    def rewrite(self, namespace: str, path: str, base: bytes, data: bytes) -> None:
        raise _unchangeable()

    def discard(self, namespace: str, path: str, base: bytes | None = None) -> Trashed:
        raise _unchangeable()


def _unchangeable() -> InvalidInput:
    return InvalidInput("what was in a commit cannot be changed", place="at", remedy="Change the memories of today")


def _stamp(blob: str, size: int) -> Stamp:
    """What stands for a file's stamp: the same for the same bytes. No time, since a commit keeps none of a file."""
    return size, 0, int(blob[:15], 16), int(blob[15:30], 16)


class _TreeReader(FileReader):
    """Reads from a commit; nothing changes there, so all of it is settled."""

    _vault: Vault

    def _bytes(self) -> TreeVault:
        if not isinstance(self._vault, TreeVault):
            raise VaultUnavailable("it is no commit", place=str(self._vault.home))
        return self._vault

    def read(self, path: str) -> bytes | None:
        try:
            return self._bytes().bytes_of(path)
        except FileNotFoundError:  # a repository that lacks objects
            return None

    def stamp(self, path: str) -> Stamp | None:
        return self._bytes().stamp(path)

    def is_settled(self, stamp: Stamp) -> bool:
        return True


class TreeRefresh(Refresh):
    """A refresh against a commit's memories."""

    reader = _TreeReader
