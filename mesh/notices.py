"""What a reader must be told before relying on a memory, in words: for every surface."""

from __future__ import annotations

from datetime import UTC, datetime

from .memory import LastGood, Memory, Version
from .rivals import rival_of


def of(memory: Memory, now: datetime) -> list[str]:
    """One line each; none for most memories."""
    found = [_last_good(memory.last_good, now)] if memory.last_good else []
    if memory.versions:
        found.append(_disputed(memory.versions))
    elif name := rival_of(memory):
        found.append(f"disputed: a rival of {name}, which is gone or not told of here; mesh conflicts")
    return [" ".join(one.split()) for one in found]  # paths and names may hold anything


def _last_good(one: LastGood, now: datetime) -> str:
    from_when = f"commit {one.commit[:7]}, {_ago(one.when, now)}"
    return f"last good version ({from_when}); the file cannot be read: {one.problem}"


def _disputed(others: tuple[Version, ...]) -> str:
    """`disputed: another version by ana, 01kb2x7m9q4dk2wc; mesh conflicts`."""
    told = [f"by {one.agent}, {one.id}" if one.agent else one.id for one in others]
    if len(told) == 1:
        return f"disputed: another version {told[0] if others[0].agent else f'is {told[0]}'}; mesh conflicts"
    return f"disputed: {len(told)} other versions: {' and '.join(told)}; mesh conflicts"


def _ago(when: datetime, now: datetime) -> str:
    days = (now.astimezone(UTC).date() - when.astimezone(UTC).date()).days
    return "today" if days <= 0 else f"{days:,} day{'s' * (days > 1)} ago"
