"""The cache of one namespace, opened: its manifest and its matrices. Opens damaged ones by making them again."""

from __future__ import annotations

import contextlib
import errno
import logging
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..errors import VaultUnavailable
from ..files import failures_reported
from ..locks import locked
from .damage import CacheDamaged, CacheReadOnly, translated
from .lexicon import Lexicon
from .manifest import Manifest
from .vectors import Matrix

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..embedding.protocol import Embedder

log = logging.getLogger("mesh")
T = TypeVar("T")


class Cache:
    """Not thread-safe; its owner takes turns."""

    def __init__(self, home: Path, namespace: str, roots: tuple[str, ...]) -> None:
        self.namespace = namespace
        self._roots = [home / root for root in roots]
        self.folder = home / ".cache" / namespace
        self._lock = home / ".locks" / "cache" / f"{namespace}.lock"
        # Held while texts are embedded, a batch at a time: so no two processes embed the same.
        self.embedding_lock = home / ".locks" / "embed" / f"{namespace}.lock"
        # Held while many files are taken in, so that no two processes read the same.
        self.indexing_lock = home / ".locks" / "index" / f"{namespace}.lock"
        self._manifest: Manifest | None = None
        self._identity: tuple[int, int] | None = None
        self._was_nothing = False
        self._running = False
        self._matrices: dict[str, Matrix] = {}
        self._lexicon: Lexicon | None = None
        # Vectors made a moment ago for texts that are about to be indexed, by the model's key and the text's digest.
        self.fresh_vectors: dict[tuple[str, bytes], NDArray[np.float32]] = {}

    @property
    def manifest(self) -> Manifest:
        if self._manifest is None:
            with failures_reported(str(self.folder)):
                self._manifest, self._identity = self._opened()
        return self._manifest

    @property
    def identity(self) -> tuple[int, int] | None:
        """Device and inode of the manifest that is open; None if it is none on disk."""
        return self._identity if self._manifest is not None else None

    @property
    def writable(self) -> bool:
        return self.manifest.writable

    def matrix(self, embedder: Embedder) -> Matrix:
        """The vectors of an embedder's space."""
        if embedder.key not in self._matrices:
            self._matrices[embedder.key] = Matrix(self.folder, self.manifest, embedder.key, embedder.dimension)
        return self._matrices[embedder.key]

    @property
    def lexicon(self) -> Lexicon:
        """The lexical index."""
        if self._lexicon is None or self._lexicon.manifest is not self.manifest:
            self._lexicon = Lexicon(self.manifest)
        return self._lexicon

    def close(self) -> None:
        if self._manifest is not None:
            self._manifest.close()
        self._manifest, self._lexicon, self._matrices = None, None, {}

    def give_back(self) -> None:
        """Give memory back, after much was read: pages that SQLite keeps, and what the C library holds for later."""
        import ctypes  # lazily: it costs a command 2 ms

        if self._manifest is not None:
            self._manifest.db.execute("PRAGMA shrink_memory")
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None:
            trim(0)

    def run(self, action: Callable[[], T]) -> T:
        """Do something with the cache; if it turns out to be damaged, make it again and do all of it once more.

        The same if the namespace was moved away meanwhile, and its cache with it. So `action` begins with whatever
        refresh it needs. A run inside a run is part of the outer one.
        """
        if self._running:
            return action()
        self._running = True
        try:
            self._reopen_if_replaced()
            try:
                return self._tried(action)
            except VaultUnavailable:
                if not self._reopen_if_replaced():
                    raise
                return self._tried(action)
        except sqlite3.OperationalError as error:
            raise VaultUnavailable(str(error), place=str(self.folder), remedy="Try again in a moment") from error
        finally:
            self._running = False

    def _tried(self, action: Callable[[], T]) -> T:
        try:
            with translated():
                return action()
        except CacheDamaged as damage:
            self.discard(str(damage))
        except CacheReadOnly as refusal:
            log.warning("the cache of %r cannot be written, so a copy in memory is used: %s", self.namespace, refusal)
            self.close()
            self._manifest = Manifest.open_copy(self.folder / "manifest.db")
        with translated():
            return action()

    def _reopen_if_replaced(self) -> bool:
        """Another process may have made the cache, or made it again: what is open here would then be nobody's."""
        if self._manifest is None:
            return False
        replaced = self._identity != self._identity_on_disk() or (self._was_nothing and self._is_something())
        if replaced:
            self.close()
        return replaced

    def _identity_on_disk(self) -> tuple[int, int] | None:
        try:
            found = (self.folder / "manifest.db").stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def discard(self, reason: str) -> None:
        """Delete the cache, saying why. The files of the vault are not touched."""
        log.warning("the cache of %r is made again: %s", self.namespace, reason)
        if self._manifest is not None and not self._manifest.writable:
            self.close()
            return
        self.close()
        with failures_reported(str(self.folder)), locked(self._lock):
            for path in self.folder.glob("*"):
                if path.name.startswith(("manifest.db", "vectors")):
                    path.unlink(missing_ok=True)

    def _opened(self) -> tuple[Manifest, tuple[int, int] | None]:
        """The manifest, and which file it is: one that is moved away in this very moment is not taken for another's."""
        while True:
            before = self._identity_on_disk()
            manifest = self._open()
            if not manifest.writable or (before and before == self._identity_on_disk()):
                return manifest, before
            manifest.close()  # it was just made, or replaced: now it is there to be looked at first

    def _open(self) -> Manifest:
        path = self.folder / "manifest.db"
        self._was_nothing = not self._is_something()
        if self._was_nothing:
            return Manifest.open_copy(path)  # nothing is there yet: to look at it must not make folders
        try:
            self.folder.parent.mkdir(mode=0o700, exist_ok=True)
            self.folder.mkdir(mode=0o700, exist_ok=True)
            return Manifest.open(path)
        except CacheDamaged as damage:
            self.discard(str(damage))
            return Manifest.open(path)
        except (CacheReadOnly, PermissionError):
            return Manifest.open_copy(path)
        except OSError as error:
            if error.errno not in {errno.EROFS, errno.ENOSPC, errno.EDQUOT}:
                raise
            return Manifest.open_copy(path)

    def _is_something(self) -> bool:
        return any(folder.is_dir() for folder in [*self._roots, self.folder])

    def size_on_disk(self) -> int:
        """Bytes that the cache takes."""
        total = 0
        for path in self.folder.glob("*"):
            with contextlib.suppress(OSError):
                total += path.stat().st_blocks * 512 if hasattr(path.stat(), "st_blocks") else path.stat().st_size
        return total
