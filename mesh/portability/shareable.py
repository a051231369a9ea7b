"""What of a namespace may leave this machine, met one memory at a time.

Everything is read from the files as they are at that moment. What is `local_only` is only counted. A file that cannot
be understood could be local, so it stays here as well; it is named among the `refused`, which are for the person who
exports and no part of what is exported.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .. import codec
from ..errors import MalformedMemory
from ..memory import Memory, Problem
from ..vault import Vault, roots

_UNREADABLE = "Check who owns it and its mode"


class Shared(NamedTuple):
    """A memory that may leave: its path below the namespace's folder, its file's bytes and time."""

    path: str
    memory: Memory
    data: bytes
    mtime_ns: int


class Shareable:
    """To be gone through once; the counts are those of what was met so far."""

    def __init__(self, vault: Vault, namespace: str) -> None:
        self._vault, self.namespace = vault, namespace
        self.count = 0
        self.local_only = 0
        self.refused: list[Problem] = []

    def __iter__(self) -> Iterator[Shared]:
        snapshot = self._vault.scan(self.namespace)
        shared, local = (f"{root}/" for root in roots(self.namespace))
        for path, stamp in sorted(snapshot.files.items()):
            if path.startswith(local):
                self.local_only += 1
            elif found := self._read(path):
                self.count += 1
                yield Shared(path.removeprefix(shared), *found, stamp[1])
        for path, cause in snapshot.unreadable.items():
            if path.startswith(shared):
                self._refuse(path, 0, cause, _UNREADABLE)

    def _read(self, path: str) -> tuple[Memory, bytes] | None:
        """A memory and its file, None for what stays here."""
        try:
            data = self._vault.bytes_of(path)
            memory = codec.read(data, path)
        except (FileNotFoundError, NotADirectoryError):
            pass  # it went away since the scan
        except OSError as error:
            self._refuse(path, 0, f"it cannot be read ({error.strerror or error})", _UNREADABLE)
        except MalformedMemory as error:
            self._refuse(path, error.line, error.reason, error.remedy)
        else:
            if memory.local_only:
                self.local_only += 1
            elif not memory.content:
                self._refuse(path, 0, "holds no text", "Write its content, or delete the file")
            else:
                return memory, data
        return None

    def _refuse(self, path: str, line: int, cause: str, remedy: str) -> None:
        self.refused.append(Problem(path, line, "", cause, remedy))
