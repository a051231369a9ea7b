"""Which memories may answer, as a condition on the manifest's `files`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from .. import inputs
from ..memory import STALE_BELOW
from .manifest import SERVED

# Memory.effective_confidence, for SQLite.
_EFFECTIVE = """(CASE WHEN expires IS NULL THEN confidence WHEN :now >= expires THEN 0.0
    WHEN fades_from IS NULL OR fades_from >= expires OR :now <= fades_from THEN confidence
    ELSE confidence * (expires - :now) / (expires - fades_from) END)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a recall or a list is narrowed to. `local`: whether memories that never leave this machine may answer."""

    type: str | None = None
    tags: tuple[str, ...] = ()  # all of them
    agent: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    min_confidence: float = 0.0
    include_stale: bool = True
    local: bool = True
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def checked(
        cls,
        *,
        now: datetime,
        memory_type: str | None = None,
        tags: Iterable[str] | None = None,
        source_agent: str | None = None,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        min_confidence: float = 0.0,
        include_stale: bool = True,
        include_local: bool = True,
    ) -> Filters:
        """Filters as a caller says them. Raises `InvalidInput`."""
        return cls(
            type=inputs.memory_type(memory_type) if memory_type else None,
            tags=inputs.tags(tags),
            agent=inputs.agent(source_agent) if source_agent else None,
            since=inputs.moment(since, "since", now),
            until=inputs.moment(until, "until", now),
            min_confidence=inputs.fraction(min_confidence, "min_confidence"),
            include_stale=include_stale,
            local=include_local,
            now=now,
        )

    def where(self) -> tuple[str, list[object]]:
        """`(condition, values)` over the table `files`."""
        conditions, values = [f"state = {SERVED}"], list[object]()

        def narrow(condition: str, *more: object) -> None:
            conditions.append(condition)
            values.extend(more)

        if self.type:
            narrow("type = ?", self.type)
        for tag in self.tags:
            narrow("instr(tags, ?) > 0", f"\n{tag.casefold()}\n")
        if self.agent:
            narrow("agent = ?", self.agent)
        if self.since:
            narrow("born >= ?", self.since.timestamp())
        if self.until:
            narrow("born < ?", self.until.timestamp())
        if not self.local:
            narrow("local_only = 0")
        now = str(self.now.timestamp())
        if self.min_confidence > 0:
            narrow(f"{_EFFECTIVE.replace(':now', now)} >= ?", self.min_confidence)
        if not self.include_stale:
            narrow(f"(expires IS NULL OR {_EFFECTIVE.replace(':now', now)} >= ?)", STALE_BELOW)
        return " AND ".join(conditions), values

    @property
    def admits_all(self) -> bool:
        """Whether every memory that is served may answer."""
        return self == Filters(now=self.now)
