"""When a namespace is to be synced: after a while, and soon after something changed here.

Times are seconds of one clock, handed in.
"""

from __future__ import annotations

import math
import random

SETTLED_SECONDS = 30.0  # so long after the last change; less where the interval is short
REST_SECONDS = 60.0  # from the end of one sync to the next, likewise
LONGEST_SECONDS = 1800.0  # between two attempts at what cannot be reached
JITTER = 0.1  # of the interval, either way: a team does not come at once


class Pace:
    """Of one namespace. The first sync is due at once."""

    def __init__(self, every_seconds: float, now: float) -> None:
        self.every_seconds = every_seconds
        self._again_at = self._not_before = now
        self._changed_at = math.inf  # inf: nothing did
        self._failures = 0

    def changed(self, now: float) -> None:
        """Something that may leave was changed here."""
        self._changed_at = now

    def due_at(self) -> float:
        """Changes do not hurry what has just failed: it is tried again when its time has come."""
        if self._failures:
            return self._again_at
        settled_at = self._changed_at + min(SETTLED_SECONDS, self.every_seconds / 10)
        return min(self._again_at, max(settled_at, self._not_before))

    def begun(self) -> None:
        self._changed_at = math.inf

    def ended(self, now: float, *, reached: bool) -> None:
        """A sync is over. `reached`: False if the remote could not be; that is tried ever less often."""
        self._failures = 0 if reached else self._failures + 1
        longest = max(self.every_seconds, LONGEST_SECONDS)
        self._wait(now, min(self.every_seconds * 2.0 ** min(self._failures, 30), longest))

    def postponed(self, now: float) -> None:
        """Another process is at it."""
        self._wait(now, self._rest)

    @property
    def _rest(self) -> float:
        return min(REST_SECONDS, self.every_seconds / 5)

    def _wait(self, now: float, seconds: float) -> None:
        self._again_at = now + seconds * random.uniform(1 - JITTER, 1 + JITTER)
        self._not_before = now + self._rest
