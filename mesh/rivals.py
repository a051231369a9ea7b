"""A conflict in the files: what of a memory could not be merged lies beside it as a memory of its own, its rival.

The rival is the other side's file, whole, but for two keys: an id of its own, and `rival_of`, which names the memory.
That one key is the whole conflict. So the memory itself is byte for byte what one side wrote; a conflict cannot be half
recorded; both texts are recalled; and whoever deletes either file, with whatever tool, has settled it. Id, name and
bytes hang on the two sides alone, so every clone makes the same rival.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from . import codec
from .errors import MalformedMemory
from .front_matter import split
from .memory import Memory

RIVAL_OF = "rival_of"
NAME_BYTES = 150  # of a name are kept before what is added to it; file systems take 255

_ABOVE = (RIVAL_OF, "id")  # in this order, and no other key: front matter above a whole file

How = Literal["ours", "theirs", "both"]


class Rival(NamedTuple):
    id: str
    path: str
    data: bytes


def rival(name: str, path: str, data: bytes) -> Rival:
    """A file as the rival of the memory at `path`. `name`: that memory's id, or its path if it has none.

    `data` can be read. A rival's own rival is another one of the same memory.
    """
    memory = codec.read(data, path)
    rival_id = "r" + hashlib.sha256(name.encode() + b"\0" + data).hexdigest()[:15]
    keys = {"id": rival_id, RIVAL_OF: rival_of(memory) or name}
    try:
        data = codec.revise(data, path, keys)
    except MalformedMemory:  # its front matter cannot be edited by lines: all of it stands under new front matter
        data = codec.revise(b"---\n---\n", path, {key: keys[key] for key in _ABOVE}) + data
    return Rival(rival_id, beside(path, f".rival-{rival_id[:12]}"), data)


def rival_of(memory: Memory) -> str:
    """The memory that this one is a rival of, as an id or a path in the namespace; "" for any other memory."""
    name = memory.extra.get(RIVAL_OF)
    return name if isinstance(name, str) and name not in codec.NOTHING else ""


def conflicts(memories: Iterable[Memory]) -> dict[str, list[Memory]]:
    """The rivals of each memory that has some, by what names it there."""
    found: dict[str, list[Memory]] = {}
    for memory in memories:
        if name := rival_of(memory):
            found.setdefault(name, []).append(memory)
    return found


def settled(memory: bytes, other: bytes, how: How, path: str = "") -> tuple[bytes, bytes | None]:
    """What the memory's file and its rival's hold when a person has decided; None: that file goes.

    "ours" is the memory as it stands, "theirs" its rival in its place. For other text: "ours", then an edit.
    Raises `MalformedMemory`.
    """
    if how == "ours":
        return memory, None
    if how == "both":
        return memory, codec.revise(other, path, {RIVAL_OF: None})
    document = split(codec.decode(other, path))
    if (*document.fields.values,) == _ABOVE and document.body.lstrip("\ufeff").startswith("---"):
        return document.body.encode(), None  # a whole file under front matter of ours, see `rival`
    was = codec.read(memory, path)
    return codec.revise(other, path, {"id": None if was.derived_id else was.id, RIVAL_OF: None}), None


def beside(path: str, addition: str) -> str:
    """A path in the same folder: the name with something added before its suffix."""
    whole = PurePosixPath(path)
    stem = whole.stem.encode()[:NAME_BYTES].decode(errors="ignore")
    return str(whole.with_name(f"{stem}{addition}{whole.suffix}"))
