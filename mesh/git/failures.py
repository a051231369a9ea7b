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
    ("Another git process", "Another git is at work there: wait, or end it, and try again"),
    ("not found|does not appear to be a git repository|does not exist", "Check the address of the remote"),
    ("resolve host|unable to access|Connection|timed out|network", "Check the network, and try again"),
    ("fsck|bad object|corrupt", "Ask whoever keeps the remote; nothing of it came in"),
    ("file size limit|File too large|write error", "It sends more than Mesh takes in at once; free space, or use git"),
)  # fmt: skip
_MOVED = re.compile(r"non-fast-forward|\[rejected\]|fetch first|stale info|cannot lock ref|failed to update ref")


_LOCKED = re.compile(r"Unable to create '([^'\n]+\.lock)': File exists")


def failure(arguments: Sequence[str], said: str, place: Path, code: int = 1) -> GitFailed:
    """The error for what git said: its reason, what to do, and whether the remote only moved. `code`: its exit code."""
    reason = _reason(said) or (f"it was killed (signal {-code})" if code < 0 else "it ended without a reason")
    if match := _LOCKED.search(said):
        return _locked(arguments, match[1], place)
    if arguments[0] == "push" and _MOVED.search(said):
        return RemoteMoved("somebody else pushed in the meantime", place=str(place), remedy="Sync again")
    return failed(arguments, reason, place, said)


def _locked(arguments: Sequence[str], file: str, place: Path) -> GitFailed:
    """The error for a file that keeps git out, here or, for a push that came so far, at the remote."""
    shown = "".join(c for c in file if c.isprintable())[:300]
    if arguments[0] == "push" and not file.startswith(f"{place}/"):
        moved = RemoteMoved(
            f"somebody else pushes just now, or was killed while they did: the remote has {shown}",
            place=str(place),
            remedy="Sync again; if it stays, whoever keeps the remote removes that file when no git runs there",
        )
        moved.is_held = True
        return moved
    return GitFailed(
        f"git {arguments[0]}: another git command is under way, or was killed",
        place=str(place),
        remedy=f"Wait for it; if none is running, remove {shown}",
    )


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
