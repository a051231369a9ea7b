"""What became of memories, as plain dictionaries."""

from __future__ import annotations

from datetime import UTC, datetime

from .history.bisecting import Taught
from .history.blaming import Blamed
from .history.changes import Change, Version
from .history.comparing import Difference
from .history.undoing import Undoing
from .memory import iso
from .rows import Row, memory_row


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


def taught_row(taught: Taught) -> Row:
    """Since which commit a memory is the first answer, and who wrote what it says."""
    now = datetime.now(UTC)
    return {
        "memory": memory_row(taught.memory, now),
        "commit": taught.commit.id,
        "subject": taught.commit.subject,
        "author": taught.commit.author,
        "when": iso(taught.commit.when),
        "change": change_row(taught.change) if taught.change else None,
        "wrote": change_row(taught.wrote) if taught.wrote else None,
        "others": [change_row(change) for change in taught.others],
        "instead_of": memory_row(taught.instead, now) if taught.instead else None,
        "commits_asked": taught.asked,
    }


def undone_row(undoing: Undoing) -> Row:
    """What was undone, or would be; `commit` is None where nothing was."""
    return {
        "commit": undoing.commit,
        "memories": [
            _about(one.changes[-1].before, one.changes[0].after)
            | {
                "happens": one.happens,
                "reason": one.reason,
                "path": one.step.new_path or one.step.path or one.changes[0].latest.path,
                "was": one.step.path if one.step.new_path and one.step.path != one.step.new_path else None,
                "changes": [change_row(change) for change in one.changes],
            }
            for one in undoing.memories
        ],
        "uncommitted": list(undoing.uncommitted),
        "local_only": undoing.local,
    }


def _about(before: Version | None, after: Version | None) -> Row:
    latest = after or before
    memory = latest.memory if latest else None
    return {
        "id": latest.id if latest else "",
        "path": latest.path if latest else "",
        "was": before.path if before and after and before.path != after.path else None,
        "first_words": (memory.title or memory.content.lstrip("# ")).partition("\n")[0][:120] if memory else "",
        "readable": memory is not None,
    }


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return iso(value)
    return list(value) if isinstance(value, tuple) else value
