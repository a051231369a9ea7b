"""The merge driver, for people who merge with git: memories key by key, and all else as git does it by itself.

A driver can write one file only, so a conflict is left to git in its own markers. docs/MERGING.md, "In a merge driver".
"""

from __future__ import annotations

from pathlib import Path

from ..codec import MAX_FILE_BYTES
from ..errors import GitFailed
from ..git.running import Git
from ..merge import marked, merge, sides, version

_LABELS = ("-L", "ours", "-L", "base", "-L", "theirs")


def drive(base: Path, ours: Path, theirs: Path) -> bool:
    """Merge three files into `ours`. False: there is a conflict, with markers in it if it is text."""
    try:
        done = merged(*(_bytes(file) for file in (base, ours, theirs)))
        if done:
            ours.write_bytes(done[0])
            return done[1]
    except OSError:
        pass  # git's own merge says what is wrong
    return by_lines(base, ours, theirs)


def _bytes(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(MAX_FILE_BYTES + 1)


def merged(base: bytes, ours: bytes, theirs: bytes) -> tuple[bytes, bool] | None:
    """The file to be, and whether it is merged; None if a side is no memory that can be read.

    An empty `base` is none: so git says that both sides added the file.
    """
    if version(ours) is None or version(theirs) is None:
        return None
    done = merge(base or None, ours, theirs)
    if done.rival is None:
        return done.data or b"", True
    text = marked(base or None, ours, theirs)
    return (text if sides(text) else _whole(ours, theirs)), False


def _whole(ours: bytes, theirs: bytes) -> bytes:
    """Both sides whole, with markers around them: for what differs in values and could be merged as lines."""
    one, other = (data if data.endswith(b"\n") else data + b"\n" for data in (ours, theirs))
    return b"<<<<<<< ours\n" + one + b"=======\n" + other + b">>>>>>> theirs\n"


def by_lines(base: Path, ours: Path, theirs: Path) -> bool:
    """git's own merge, as it is without a driver; of what is no text, `ours` stays, and it is a conflict."""
    here = ours.absolute().parent
    files = [str(file.absolute()) for file in (ours, base, theirs)]
    try:
        Git(here / ".git", here).run("merge-file", "--quiet", *_LABELS, *files)
    except GitFailed:  # its exit code is the number of conflicts, or that of an error
        return False
    return True
