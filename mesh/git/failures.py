"""What git said when it failed, in one line, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import GitFailed, RemoteMoved


class TooMuchSaid(GitFailed):
    """git wrote more than it was allowed to."""


_REMEDIES = (
    ("could not read Username|Authentication failed|Permission denied|terminal prompts disabled|host key verification"
     "|HTTP (?:401|403)", "Try it once with git itself, which asks for a password or a key, then again"),
    (r"\.lock'?: File exists|Another git process",
     "Another git is at work there: wait, and try again; if none is, remove the .lock file"),
    ("not found|does not appear to be a git repository|does not exist", "Check the address of the remote"),
    ("resolve host|unable to access|Connection|timed out|network", "Check the network, and try again"),
    ("fsck|bad object|corrupt", "Ask whoever keeps the remote; nothing of it came in"),
    ("file size limit|File too large|write error", "It sends more than Mesh takes in at once; free space, or use git"),
)  # fmt: skip
_MOVED = re.compile(r"non-fast-forward|\[rejected\]|fetch first|stale info|cannot lock ref|failed to update ref")


def failure(arguments: Sequence[str], said: str, place: Path) -> GitFailed:
    """The error for what git said: its reason, what to do, and whether the remote only moved."""
    reason = _reason(said) or "it ended without a reason"
    if arguments[0] == "push" and _MOVED.search(said):
        return RemoteMoved("somebody else pushed in the meantime", place=str(place), remedy="Sync again")
    return failed(arguments, reason, place, said)


def failed(arguments: Sequence[str], reason: str, place: Path, said: str = "") -> GitFailed:
    """The error for a reason that is known."""
    remedy = next((remedy for pattern, remedy in _REMEDIES if re.search(pattern, said, re.IGNORECASE)), "")
    return GitFailed(f"git {arguments[0]}: {reason}", place=str(place), remedy=remedy)


def _reason(said: str) -> str:
    """The line that tells most, without prefixes, control characters, and whatever a URL has before its host."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", said) if line.strip()]
    told = [line for line in lines if re.match(r"(?:remote: )?(?:error|fatal): ", line)] or lines[-1:]
    line = told[0] if told else ""
    if "Could not read from remote repository" in line and lines.index(line):
        line = lines[lines.index(line) - 1]
    line = re.sub(r"^(?:remote: )?(?:error|fatal): ", "", line)
    line = re.sub(r"://[^/\s@]*@", "://", line)
    return "".join(c for c in line if c.isprintable())[:300].rstrip(".")
