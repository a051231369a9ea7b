"""A memory as it is told of: what its file says; where that cannot be read, its last good version; and whether there is
another version of it, in a conflict that nobody has settled.
"""

from __future__ import annotations

from dataclasses import replace

from . import codec
from .errors import MalformedMemory
from .files import failures_reported, sha256
from .index import broken, disputed
from .index.broken import Kept
from .index.manifest import Manifest
from .memory import LastGood, Memory, Problem
from .vault import LOCAL, Vault


def read(vault: Vault, manifest: Manifest, path: str) -> tuple[Memory, bytes]:
    """A memory, and the sha256 of its file. Raises `VaultUnavailable`, `MalformedMemory` if nothing can be served."""
    with failures_reported(path):
        data = vault.bytes_of(path)
    digest = sha256(data)
    try:
        return codec.read(data, path), digest
    except MalformedMemory as error:
        if (good := broken.kept(manifest, path, digest)) is None:
            raise
        problem = Problem(path, error.line, "", error.reason, error.remedy)
        about = LastGood(problem, good.commit, good.when)
        return replace(of_good(good, path), last_good=about), digest


def of_good(good: Kept, path: str) -> Memory:
    """The memory in a good version."""
    memory = codec.read(good.data, path)
    return replace(memory, local_only=True) if good.local else memory


def with_versions(manifest: Manifest, memory: Memory, *, local: bool) -> Memory:
    """The memory with the other versions of it that there are; without `local` those that may be shared."""
    place = memory.path.removeprefix(f"{LOCAL}/").partition("/")[2]
    found = disputed.versions(manifest, place, memory, local=local)
    return replace(memory, versions=found) if found else memory
