"""What became of memories, as plain dictionaries."""

from __future__ import annotations

from datetime import datetime

from .history.blaming import Blamed
from .history.changes import Change, Version
from .history.comparing import Difference
from .memory import iso
from .rows import Row


def change_row(change: Change) -> Row:
    """One change of one memory by one commit. `was`: its path before, if that was another one."""
    return _about(change.before, change.after) | {
        "when": iso(change.commit.when),
        "who": change.who,
        "author": change.commit.author,
        "happened": change.happened,
        "commit": change.commit.id,
        "subject": change.commit.subject,
    }


def difference_row(difference: Difference) -> Row:
    """One memory that differs; `content_before` and `content_after` are None where there is none that can be read."""
    before, after = (one.memory if one else None for one in (difference.before, difference.after))
    return _about(difference.before, difference.after) | {
        "happened": difference.happened,
        "fields": {key: [_plain(was), _plain(now)] for key, (was, now) in difference.fields.items()},
        "content_before": before.content if before else None,
        "content_after": after.content if after else None,
    }


def blamed_row(line: Blamed) -> Row:
    return {
        "line": line.number,
        "who": line.who,
        "when": iso(line.when) if line.when else None,
        "commit": line.commit,
        "text": line.text,
    }


def _about(before: Version | None, after: Version | None) -> Row:
    latest = after or before
    assert latest
    memory = latest.memory
    return {
        "id": latest.id,
        "path": latest.path,
        "was": before.path if before and after and before.path != after.path else None,
        "first_words": (memory.title or memory.content.lstrip("# ")).partition("\n")[0][:120] if memory else "",
        "readable": memory is not None,
    }


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return iso(value)
    return list(value) if isinstance(value, tuple) else value
