"""Vectors in the background, in small batches, for what a keeper has taken into the index by words already.

Processes take turns at it batch by batch, so no text is embedded twice. The model goes from memory when nothing was
to be embedded for some minutes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from . import embed, embedding
from .current import CurrentModel
from .errors import LockTimeout, MeshError
from .index.cache import Cache
from .moves import settle
from .settings import Settings
from .vault import Vault, roots

if TYPE_CHECKING:
    from .embedding.protocol import Embedder

log = logging.getLogger("mesh")

BATCH = 16  # memories
COMPACTED_AFTER = 1024  # memories
TURN_SECONDS = 5.0  # to wait for another process that embeds
IDLE_SECONDS = 600.0
_STOP_SECONDS = 5.0

# (namespace, memories embedded just now, memories that still wait); at the beginning 0 were embedded
Progress = Callable[[str, int, int], None]


class _Ended(Exception):
    """The process ends."""


class CatchingUp:
    """One thread, from `start` to `stop`. With `keeps_model` the model stays: the process needs it anyway."""

    def __init__(self, settings: Settings, progress: Progress | None = None, *, keeps_model: bool = False) -> None:
        self._settings, self._progress = settings, progress
        self._idle_seconds = None if keeps_model else IDLE_SECONDS
        self._news = threading.Condition()
        self._noted: set[str] = set()
        self._model_noted = False
        self._ended = False
        self._current: CurrentModel | None = None
        self._loaded = False
        self._thread = threading.Thread(target=self._run, name="mesh-vectors", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What was embedded so far is kept."""
        with self._news:
            self._ended = True
            self._news.notify_all()
        self._thread.join(_STOP_SECONDS)

    def note(self, namespace: str) -> None:
        """Something in this namespace waits to be embedded."""
        with self._news:
            self._noted.add(namespace)
            self._news.notify_all()

    def note_model(self) -> None:
        """Another model may have been chosen."""
        with self._news:
            self._model_noted = True
            self._news.notify_all()

    def _run(self) -> None:
        with suppress(_Ended):
            while (namespaces := self._wait()) is not None:
                for namespace in namespaces:
                    self._catch_up(namespace)
        self._forget_model()

    def _wait(self) -> list[str] | None:
        """The namespaces that were noted; None at the end."""
        with self._news:
            timeout = self._idle_seconds if self._loaded else None
            if not self._news.wait_for(lambda: self._ended or self._noted or self._model_noted, timeout):
                self._forget_model()
                return []
            if self._ended:
                return None
            noted, self._noted = sorted(self._noted), set()
            model_noted, self._model_noted = self._model_noted, False
        if model_noted and self._current:
            self._current.embedder()
        return noted

    def _catch_up(self, namespace: str) -> None:
        self._current = self._current or CurrentModel(self._settings)
        embedder = self._current.embedder()
        self._loaded = embedder is not None
        if embedder is None:
            return
        vault = Vault(self._settings.home)
        cache = Cache(self._settings.home, namespace, roots(namespace))
        try:
            settle(self._settings.home)
            cache.run(lambda: self._embed(vault, cache, embedder))
        except LockTimeout:
            self.note(namespace)  # another process embeds for long: later, if anything is left then
        except (MeshError, OSError) as error:
            log.warning("not embedded: %s", error)
        except _Ended:
            raise
        except Exception:  # of a library that runs models: what comes later may be embedded all the same
            log.exception("not embedded: %s", namespace)
        finally:
            cache.close()

    def _embed(self, vault: Vault, cache: Cache, embedder: Embedder) -> None:
        if not cache.writable:
            return
        left, since_compacted = embed.pending(cache, embedder), 0

        def told(count: int) -> None:
            nonlocal left, since_compacted
            left, since_compacted = max(0, left - count), since_compacted + count
            if self._progress:
                self._progress(cache.namespace, count, left)
            if self._ended:
                raise _Ended
            if since_compacted > COMPACTED_AFTER:  # where changes never cease, there is no end to wait for
                since_compacted = 0
                embed.compact(cache, embedder)

        if left:
            told(0)
            embed.embed_pending(vault, cache, embedder, told, batch=BATCH, patience_seconds=TURN_SECONDS)
        embed.compact(cache, embedder)

    def _forget_model(self) -> None:
        current, self._current, self._loaded = self._current, None, False
        if current:
            current.close()
            if self._idle_seconds is not None:
                embedding.let_go()
