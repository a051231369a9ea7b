"""The embedder that a process uses for a home, and its exchange for another while it goes on answering."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from .embedding import choice, load_model
from .embedding.choice import Model
from .errors import LockTimeout, MeshError, ModelUnavailable
from .settings import Settings

if TYPE_CHECKING:
    from .embedding.protocol import Embedder

log = logging.getLogger("mesh")

SETTLED_SECONDS = 5.0  # a younger process may be a single command, which brings in nothing
TRY_AGAIN_SECONDS = 5.0  # where another process does it: that one may die
_STOP_SECONDS = 5.0


class _Stopped(Exception):
    """The process ends, or another choice was made."""


class CurrentModel:
    """Loads the home's model when it is first asked for, and follows when another one is chosen.

    A thread of its own loads the other model and, where it was announced and nobody else does it, makes its vectors;
    until they are ready the old model answers.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turn = threading.Lock()
        self._began = time.monotonic()
        self._model: Model | None = None
        self._embedder: Embedder | None = None
        self._asked, self._seen = False, tuple[int, ...]()
        self._again_at = float("inf")  # when to look even though the choice is the same
        self._work: threading.Thread | None = None
        self._stop = threading.Event()
        self.problem: ModelUnavailable | None = None  # why it cannot be loaded, if it is here

    def embedder(self) -> Embedder | None:
        """None, said once, if there is no model here, or it cannot be loaded."""
        with self._turn:
            if not self._asked:
                self._asked = True
                self._load()
            elif not self._settings.model and self._has_news():
                self._stop = threading.Event()
                self._work = threading.Thread(target=self._follow, args=(self._stop,), name="mesh-model", daemon=True)
                self._work.start()
            return self._embedder

    def close(self) -> None:
        """End the thread, if there is one; what it has made is kept."""
        self._stop.set()
        if self._work:
            self._work.join(_STOP_SECONDS)

    def _load(self) -> None:
        self._seen = choice.stamp(self._settings.home)
        try:
            chosen = choice.choice_of(self._settings)
            self._model, self._embedder = chosen.used, load_model(chosen.used, self._settings)
            if chosen.coming:
                self._again_at = self._began + SETTLED_SECONDS
        except ModelUnavailable as error:
            self.problem = error
            log.warning("recall goes by words only: %s", error)
            return
        if self._embedder is None:
            log.warning("recall goes by words only: there is no embedding model here. Get it: mesh model pull")

    def _has_news(self) -> bool:
        if self._work and self._work.is_alive():
            return False
        return choice.stamp(self._settings.home) != self._seen or time.monotonic() > self._again_at

    def _follow(self, stop: threading.Event) -> None:
        """Load what is used now, then bring in what is coming, and load that."""
        from . import reembed

        self._again_at = float("inf")
        try:
            while True:
                self._seen = choice.stamp(self._settings.home)
                chosen = choice.choice_of(self._settings)
                if chosen.used != self._model or self._embedder is None:
                    self._embedder, self._model = reembed.loaded(chosen.used, self._settings), chosen.used
                    self.problem = None
                if chosen.coming is None:
                    return
                if time.monotonic() < self._began + SETTLED_SECONDS:
                    self._again_at = self._began + SETTLED_SECONDS
                    return
                self._bring_in(chosen.coming, stop)
        except (_Stopped, LockTimeout):
            self._again_at = time.monotonic() + TRY_AGAIN_SECONDS
        except MeshError as error:
            log.warning("the model that was chosen is not used yet: %s", error)

    def _bring_in(self, model: Model, stop: threading.Event) -> None:
        from . import reembed

        announced = self._seen

        def go_on(_: int) -> None:
            if stop.is_set() or choice.stamp(self._settings.home) != announced:
                raise _Stopped

        reembed.bring_in(self._settings, model, go_on)
