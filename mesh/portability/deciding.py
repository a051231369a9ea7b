"""What becomes of a record, decided without touching a disk."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from enum import StrEnum

from .. import codec, secrets
from ..errors import InvalidInput, MalformedMemory
from ..front_matter.edit import Change
from ..memory import DEFAULT_TYPE, ID_FORM, TYPES, Memory, derived_id, iso, normalised, plain_tag
from ..vault import roots
from .markdown import SUFFIX, is_hidden
from .record import Record

MAX_PATH = 1000
MAX_PART_BYTES = 255
_NOT_IN_NAMES = re.compile(r'[\\:*?"<>|]' if os.name == "nt" else r"\\")


class Outcome(StrEnum):
    WRITE = "write"
    REPLACE = "replace"  # the memory with its id gives way
    PRESENT = "present"  # it is here already, as it is
    SAME_TEXT = "same text"  # another memory has this very text
    DIFFERS = "differs"  # the memory with its id says something else, and stays
    TWICE = "twice"  # its id stood in the source before


@dataclass(frozen=True, slots=True)
class Wanted:
    """A memory as it is to stand in the vault: what its file's bytes say when they are read."""

    place: str
    memory: Memory
    data: bytes
    folder: str = ""  # below the namespace's folder
    name: str = ""  # the name it should have there, if that is free; "" for any
    is_file: bool = False  # whether the bytes are those of a Markdown file of the source


def wanted(record: Record, namespace: str, kind: str) -> Wanted:
    """The memory that a record of a source of some `kind` becomes. Raises `InvalidInput`, `MalformedMemory`."""
    memory = _identified(_typed(record.memory), record, namespace, kind)
    root = roots(namespace)[memory.local_only]
    path = f"{root}/{record.name or 'new.md'}"
    if record.data is None:
        data, final = _rendered(memory, path)
    else:
        data = _revised(record.data, memory, path)
        final = codec.read(data, path)
    folder, name = _place(record.name)
    return Wanted(record.place, final, data, folder, name, record.data is not None)


def allowing(one: Wanted, names: list[str]) -> Wanted:
    """The same, with these fingerprints in its front matter as no secrets."""
    data = codec.revise(one.data, one.memory.path, {secrets.ALLOW_KEY: names})
    return replace(one, memory=codec.read(data, one.memory.path), data=data)


def decide(one: Wanted, *, here: Memory | None, same_text: bool, seen: bool, replace: bool = False) -> Outcome:
    """`here`: the memory with its id. `same_text`: whether another one has its text. `seen`: see `Outcome.TWICE`."""
    if seen:
        return Outcome.TWICE
    if here is None:
        return Outcome.SAME_TEXT if same_text else Outcome.WRITE
    if says_the_same(one, here):
        return Outcome.PRESENT
    return Outcome.REPLACE if replace else Outcome.DIFFERS


def says_the_same(one: Wanted, here: Memory) -> bool:
    """Whether two memories of one id have the same content and keys.

    What is local here stays so, whatever a source says. Keys of the user's own that a source which is no Markdown file
    does not have are no difference: it may be one that cannot hold them.
    """
    here = _typed(here)
    theirs, ours = _keys(one.memory), _keys(here)
    if here.local_only:
        theirs["local_only"] = ours["local_only"]
    extra = dict(here.extra)
    if not one.is_file:
        extra = {key: value for key, value in extra.items() if key in one.memory.extra}
    return theirs == ours and one.memory.content == here.content and dict(one.memory.extra) == extra


def replacement(one: Wanted, old: bytes, path: str) -> bytes:
    """What a file becomes that gives way: the source's own bytes, or its lines changed where they must."""
    if one.is_file:
        return one.data
    changes: dict[str, Change] = {**codec.known_values(one.memory), **one.memory.extra}
    if path.startswith("_local/"):
        del changes["local_only"]
    try:
        return codec.revise(old, path, changes, one.memory.content)
    except MalformedMemory:
        return one.data


def _keys(memory: Memory) -> dict[str, Change]:
    """The known keys as they are written, but for the id; `created` also where only the id has it."""
    keys = codec.known_values(memory)
    keys["created"] = iso(memory.born) if memory.born else None
    del keys["id"]
    return keys


def _typed(memory: Memory) -> Memory:
    """With a type that Mesh knows; another word is kept as a tag, if it can be one."""
    if memory.type in TYPES:
        return memory
    word = plain_tag(memory.type)
    if word.lower() in TYPES:
        return replace(memory, type=word.lower())
    is_tag = word and word.isprintable() and "," not in word
    tags = tuple(dict.fromkeys([*memory.tags, word])) if is_tag else memory.tags
    return replace(memory, type=DEFAULT_TYPE, tags=tags)


def _identified(memory: Memory, record: Record, namespace: str, kind: str) -> Memory:
    """With its own id, or with one that the next import of the same source arrives at again.

    For a Markdown file that is the id FORMAT.md gives to its path; for other records it follows from the source's own
    id if that has a form which Mesh cannot keep, else from the text.
    """
    if ID_FORM.match(memory.id):
        return memory
    if record.data is not None:
        key = f"{roots(namespace)[memory.local_only]}/{record.name}"
    else:
        key = f"{kind}\n{memory.id or normalised(memory.content)}"
    return replace(memory, id=derived_id(key))


def _rendered(memory: Memory, path: str) -> tuple[bytes, Memory]:
    """A new file, and what it says, which must be what was meant."""
    data, final = codec.render_and_read(memory, path)
    if final.problems:
        raise InvalidInput(final.problems[0].cause, place="", remedy="Correct it in the source")
    return data, final


def _revised(data: bytes, memory: Memory, path: str) -> bytes:
    """The file's bytes with an id, if they have none, and a type that Mesh knows."""
    now = codec.read(data, path)
    changes: dict[str, Change] = {}
    if now.derived_id:
        changes["id"] = memory.id
    if now.type != memory.type:
        changes |= {"type": memory.type if memory.type != DEFAULT_TYPE else None, "tags": list(memory.tags)}
    return codec.revise(data, path, changes) if changes else data


def _place(name: str) -> tuple[str, str]:
    """The folder and the name that a record asks for; nothing if it is not a file's name below a folder."""
    *folders, file = name.split("/")
    plain = all(
        part not in ("", ".", "..")
        and not is_hidden(part)
        and part.isprintable()
        and not _NOT_IN_NAMES.search(part)
        and len(part.encode("utf-8", "replace")) <= MAX_PART_BYTES
        for part in (*folders, file)
    )
    return ("/".join(folders), file) if plain and len(name) <= MAX_PATH and file.lower().endswith(SUFFIX) else ("", "")
