"""Spans of time as calendar and clock show them. Pure."""

from __future__ import annotations

import math
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

YEARS = range(1971, 2101)  # some systems know no local time before


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` to just before `end`, without time zone. None: open on that side."""

    start: datetime | None
    end: datetime | None

    @property
    def is_open(self) -> bool:
        return self.start is None or self.end is None

    @property
    def is_usable(self) -> bool:
        """Whether it is not empty, and every system can say when it is."""
        known = [end for end in (self.start, self.end) if end]
        return bool(known) and all(end.year in YEARS for end in known) and (self.is_open or known[0] < known[1])

    def holds(self, other: Span) -> bool:
        """Whether all of another span is within this one."""
        (start, end), (first, last) = self.utc(), other.utc()
        return start <= first and last <= end

    def local(self) -> tuple[float, float]:
        """As seconds since the epoch, by the clocks of this machine's time zone."""
        start, end = self.start, self.end
        return start.timestamp() if start else -math.inf, end.timestamp() if end else math.inf

    def utc(self) -> tuple[float, float]:
        """The same by those of UTC."""
        start, end = (moment and moment.replace(tzinfo=UTC) for moment in (self.start, self.end))
        return Span(start, end).local()


def floor(moment: datetime, unit: str) -> datetime:
    """When the hour, day, week (on Monday), month, quarter or year of a moment began."""
    if unit == "hour":
        return moment.replace(minute=0, second=0, microsecond=0)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match unit:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "year":
            return day.replace(month=1, day=1)
    return day


def shifted(moment: datetime, unit: str, count: int) -> datetime:
    """So many units later; in a month that has no such day, on its last. Raises `ValueError` beyond all calendars."""
    if unit in {"hour", "day", "week"}:
        return moment + timedelta(**{f"{unit}s": count})
    months = moment.year * 12 + moment.month - 1 + count * {"month": 1, "quarter": 3, "year": 12}[unit]
    year, month = months // 12, months % 12 + 1
    return moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))


def units(now: datetime, unit: str, first: int, last: int) -> Span:
    """The calendar's units from the `first` to the `last`, counted from the present one: -1 is that before."""
    present = floor(now, unit)
    return Span(shifted(present, unit, first), shifted(present, unit, last + 1))


def days(year: int, month: int, first: int, last: int) -> Span | None:
    """From one day of a month to another; None if there are no such days."""
    try:
        span = Span(datetime(year, month, first), datetime(year, month, last) + timedelta(days=1))
    except ValueError:
        return None
    return span if first <= last else None


def whole_month(year: int, month: int) -> Span:
    return Span(start := datetime(year, month, 1), shifted(start, "month", 1))


def third(span: Span, place: int) -> Span:
    """The first (0), second or last third of a closed span, in whole days."""
    if span.start is None or span.end is None:
        return span
    share = timedelta(days=(span.end - span.start).days // 3)
    return Span(span.start + place * share, span.end if place == 2 else span.start + (place + 1) * share)
