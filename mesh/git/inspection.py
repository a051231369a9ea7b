"""Look at a fetched tree before anything of it comes in: what is acceptable, and why the rest is not.

A tree is **refused** as a whole for what no honest git makes (a path that leads out, `.git` in any disguise, the same
path twice), for more entries than a vault has, and for memories beyond all measure together. Else each entry is

accepted    a Markdown file that can be a memory here and reads as one: the only thing that sync writes
carried     a file that is no memory (a picture, a licence, a hidden file): it stays in commits, and is never written
left out    a Markdown file that may not come in, or another entry that is worth a warning; also carried, and reported

Nothing is executed, and nothing is written. What is left out does not stop the rest; what was here under that path
stays as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from .. import codec
from ..errors import MalformedMemory
from ..memory import Memory, Problem
from ..scan import is_memory
from . import names
from .objects import Entry, Objects

MAX_ENTRIES = 200_000
MAX_MEMORY_BYTES = 1 << 30  # of all memories together that are new here
MAX_SETTINGS_BYTES = 64 << 10

_FILES = {"100644", "100664", "100755"}
_OTHER_MODES = {
    "120000": ("a symbolic link, which is not followed", "Commit the file itself"),
    "160000": ("another repository (a submodule), which is not fetched", "Commit its files, or remove it"),
}
_ATTRIBUTES = re.compile(
    rb"merge=(?!mesh\b)\S*|\bfilter|\bident\b|working-tree-encoding|\bdiff=|\beol=|\bcrlf\b|export-subst|\[attr\]"
)
_PATTERN_THAT_HIDES = re.compile(rb"(?m)^(?!#|!)\s*(?:\*\s*$|\*\*?/?\*?\.md|/?\*|.*\.md\b|\*\.\*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A memory that may come in. `memory`: None for one that is here already, with the same bytes."""

    entry: Entry
    path: str
    memory: Memory | None


@dataclass(slots=True)
class Inspection:
    """What may come in, what is left out and why, and why nothing may, if so."""

    accepted: dict[str, Accepted] = field(default_factory=dict)
    carried: list[Entry] = field(default_factory=list)
    left_out: list[Problem] = field(default_factory=list)
    refused: list[Problem] = field(default_factory=list)

    def leave_out(self, entry: Entry, cause: str, remedy: str) -> None:
        self.left_out.append(Problem(shown(entry.path), 0, "", cause, remedy))
        self.carried.append(entry)


def inspect(entries: Iterable[Entry], blobs: Objects, here: Mapping[str, str] | None = None) -> Inspection:
    """Look at all entries of a tree. `here`: the blobs, by path, that are in our own tree: not looked at again."""
    found, here = Inspection(), here or {}
    listed = _counted(entries, found)
    if not found.refused:
        _refuse_impossible(listed, found)
    if found.refused:
        return found
    unfit = {entry.path: why for entry in listed if (why := names.unfit(entry.path))}
    twins = _twins([entry for entry in listed if entry.path not in unfit], here)
    bare = _bare_repositories(listed)
    memories: list[Entry] = []
    for folder in sorted(bare):
        cause = "a repository of its own, as data: git may run what it says"
        found.left_out.append(Problem(shown(folder), 0, "", cause, "Remove that folder"))
    for entry in listed:
        if bare.intersection(_above(entry.path)):
            found.carried.append(entry)
        elif reason := _reason(entry, unfit, twins):
            found.leave_out(entry, *reason)
        elif is_memory(entry.path.decode("utf-8", "surrogateescape")):
            memories.append(entry)
        elif reason := _settings(entry, blobs):
            found.leave_out(entry, *reason)
        else:
            found.carried.append(entry)
    _read(memories, blobs, here, found)
    return found


def shown(path: bytes) -> str:
    """A path for people: what cannot be shown is escaped."""
    text = path.decode("utf-8", "backslashreplace")
    cut = text if len(text) <= 200 else text[:197] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


# --- the whole tree --------------------------------------------------------------------------------------------


def _counted(entries: Iterable[Entry], found: Inspection) -> list[Entry]:
    listed: list[Entry] = []
    for entry in entries:
        if len(listed) == MAX_ENTRIES:
            _refuse(found, b"", f"it has more than {MAX_ENTRIES:,} entries", "Split it into several namespaces")
            return []
        listed.append(entry)
    return listed


def _refuse_impossible(listed: list[Entry], found: Inspection) -> None:
    for entry in listed:
        if why := names.impossible(entry.path):
            _refuse(found, entry.path, why, "No git makes this by itself: ask whoever pushed it")
    for path, count in Counter(entry.path for entry in listed).items():
        if count > 1:
            _refuse(found, path, "it stands in its tree twice", "The repository is damaged, or made to deceive")


def _refuse(found: Inspection, path: bytes, cause: str, remedy: str) -> None:
    found.refused.append(Problem(shown(path) or "the tree", 0, "", cause, remedy))


# --- one entry -------------------------------------------------------------------------------------------------

Reason = tuple[str, str]


def _reason(entry: Entry, unfit: Mapping[bytes, str], twins: set[bytes]) -> Reason | None:
    """Why an entry is left out, before its bytes are looked at."""
    if entry.mode not in _FILES:
        return _OTHER_MODES.get(
            entry.mode, (f"of a kind that Mesh does not know ({entry.mode})", "Commit a plain file")
        )
    if entry.path in unfit:
        return unfit[entry.path], "Rename it"
    if entry.path in twins:
        return "another file differs from it only in case or in the way its letters are encoded", "Rename one of them"
    return None


def _twins(listed: Iterable[Entry], here: Mapping[str, str]) -> set[bytes]:
    """Paths that some file system takes for one, in whole or in a folder; not those that are here already."""
    spelled: dict[str, set[bytes]] = {}
    for entry in listed:
        for place in (*_above(entry.path), entry.path):
            spelled.setdefault(names.folded(place.decode("utf-8", "replace")), set()).add(place)
    several = set().union(*(places for places in spelled.values() if len(places) > 1))
    ours = {path.encode() for path in here}
    known = ours | {folder for path in ours for folder in _above(path)}
    return {
        entry.path
        for entry in listed
        if any(place in several and place not in known for place in (*_above(entry.path), entry.path))
    }


def _bare_repositories(listed: Iterable[Entry]) -> set[bytes]:
    """Folders with what makes a bare repository: HEAD, objects and refs."""
    there: dict[bytes, set[bytes]] = {}
    for entry in listed:
        parts = entry.path.split(b"/")
        for depth in range(len(parts)):
            if parts[depth].lower() in (b"head", b"objects", b"refs", b"config"):
                there.setdefault(b"/".join(parts[:depth]), set()).add(parts[depth].lower())
    return {folder for folder, has in there.items() if folder and {b"head", b"objects"} <= has and len(has) > 2}


def _above(path: bytes) -> Iterator[bytes]:
    """The folders that a path lies in, the outermost first."""
    parts = path.split(b"/")
    return (b"/".join(parts[:depth]) for depth in range(1, len(parts)))


def _settings(entry: Entry, blobs: Objects) -> Reason | None:
    """What is wrong with a file that tells git what to do. None of them is obeyed by Mesh: people are warned."""
    name = entry.path.rpartition(b"/")[2].lower()
    if name == b".gitmodules":
        return "it asks git to fetch other repositories, which Mesh never does", "Remove it"
    if name not in (b".gitattributes", b".gitignore"):
        return None
    if entry.size > MAX_SETTINGS_BYTES:
        return f"it has more than {MAX_SETTINGS_BYTES:,} bytes", "Shorten it"
    text = blobs.read(entry.id, MAX_SETTINGS_BYTES)
    if name == b".gitattributes" and (match := _ATTRIBUTES.search(text)):
        return f"it makes git change or merge files in its own way ({shown(match[0])})", "Remove that line"
    if name == b".gitignore" and _PATTERN_THAT_HIDES.search(text):
        return "it hides memories from people who commit with git", "Remove the line that matches .md files"
    return None


# --- memories --------------------------------------------------------------------------------------------------


def _read(memories: Iterable[Entry], blobs: Objects, here: Mapping[str, str], found: Inspection) -> None:
    total = 0
    for entry in memories:
        path = entry.path.decode("utf-8")
        if here.get(path) == entry.id:
            found.accepted[path] = Accepted(entry, path, None)
            continue
        if entry.size > codec.MAX_FILE_BYTES:
            found.leave_out(entry, f"larger than {codec.MAX_FILE_BYTES:,} bytes", "Split it into several memories")
            continue
        total += entry.size
        if total > MAX_MEMORY_BYTES:
            _refuse(
                found,
                b"",
                f"its memories have more than {MAX_MEMORY_BYTES:,} bytes",
                "Split it into several namespaces",
            )
            return
        try:
            memory = codec.read(blobs.read(entry.id, codec.MAX_FILE_BYTES), path)
        except MalformedMemory as error:
            found.left_out.append(Problem(path, error.line, "", error.reason, error.remedy))
            found.carried.append(entry)
            continue
        if memory.local_only:
            found.leave_out(
                entry, "it says local_only, and was shared all the same", "Remove it there; it is in git's history"
            )
        else:
            found.accepted[path] = Accepted(entry, path, memory)
