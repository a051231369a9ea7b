"""A history without some blobs: every commit that had one is made again, all others stay what they are.

The graph keeps its shape: each old commit has one new commit, also where nothing is left of what it changed. Authors,
committers and dates stay; a signature of what changed would be wrong, and goes. The same history without the same
blobs has the same names everywhere, so clones that do this by themselves still have one history.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .objects import Objects

_NUMBERS = {b"commit": 1, b"tree": 2, b"blob": 3, b"tag": 4}  # of kinds, in a pack
_SIGNED = (b"gpgsig", b"gpgsig-sha256", b"mergetag")
_SIGNATURES = (b"-----BEGIN PGP ", b"-----BEGIN SSH SIGNATURE-----", b"-----BEGIN SIGNED MESSAGE-----")
_FOLDER = b"40000"
# A message, its encoding, whether its commit touched what goes, and where that lay then or before.
Reword = Callable[[bytes, str, bool, Iterable[bytes]], bytes]


class Pack:
    """New objects, written one after the other into a pack for `git index-pack`."""

    def __init__(self, path: Path, hexadecimal: int) -> None:
        self._path, self._length, self._count = path, hexadecimal, 0
        self._file = path.open("w+b")
        self._file.write(b"PACK" + (2).to_bytes(4) + bytes(4))

    def add(self, kind: bytes, data: bytes) -> None:
        size = len(data)
        first, size = _NUMBERS[kind] << 4 | size & 15, size >> 4
        head = bytearray()
        while size:
            head.append(first | 128)
            first, size = size & 127, size >> 7
        head.append(first)
        self._file.write(bytes(head) + zlib.compress(data, 1))
        self._count += 1

    def close(self) -> int:
        """Write the number of objects and the checksum; how many there are."""
        self._file.seek(8)
        self._file.write(self._count.to_bytes(4))
        self._file.seek(0)
        digest = _hash(self._length)
        while block := self._file.read(1 << 20):
            digest.update(block)
        self._file.write(digest.digest())
        self._file.close()
        return self._count


def _hash(hexadecimal: int) -> hashlib._Hash:
    return hashlib.sha256() if hexadecimal == 64 else hashlib.sha1(usedforsecurity=False)


@dataclass(slots=True)
class Rewriting:
    """Old names and new ones. `pack`: None to find out only. Commits are given parents first.

    `touched`: commits that changed what goes. `paths`: where it lay.
    """

    store: Objects
    dropped: Collection[str]
    reword: Reword
    pack: Pack | None = None
    commits: dict[str, str] = field(default_factory=dict)
    touched: list[str] = field(default_factory=list)
    signatures: int = 0
    paths: set[bytes] = field(default_factory=set)
    _trees: dict[str, tuple[str, frozenset[tuple[bytes, str]]]] = field(default_factory=dict)
    _lost: dict[str, frozenset[tuple[bytes, str]]] = field(default_factory=dict)  # of each commit
    _tags: dict[str, str | None] = field(default_factory=dict)
    _raw: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        self._raw = tuple(map(bytes.fromhex, self.dropped))

    def new(self, name: str, kind: str) -> str | None:
        """What an object is now; None for one that is gone. A commit was given before."""
        if kind == "commit":
            return self.commits[name]
        if kind == "tree":
            return self.tree(name)[0]
        return self.tag(name) if kind == "tag" else None if name in self.dropped else name

    # --- trees -------------------------------------------------------------------------------------------------------

    def tree(self, name: str) -> tuple[str, frozenset[tuple[bytes, str]]]:
        """The tree without the blobs, and what it lost: names in it and blobs."""
        if name not in self._trees:
            data = self.store.whole(name)[1]
            plain = _FOLDER + b" " not in data and not any(one in data for one in self._raw)
            self._trees[name] = (name, frozenset()) if plain else self._smaller(name, data)
        return self._trees[name]

    def _smaller(self, name: str, data: bytes) -> tuple[str, frozenset[tuple[bytes, str]]]:
        kept, gone = list[bytes](), set[tuple[bytes, str]]()
        for mode, path, blob in _entries(data, len(name) // 2):
            new: str | None = blob
            if mode == _FOLDER:
                new, below = self.tree(blob)
                gone |= {(path + b"/" + rest, one) for rest, one in below}
                new = None if below and not self._has_entries(new) else new
            elif blob in self.dropped:
                gone.add((path, blob))
                new = None
            if new:
                kept.append(mode + b" " + path + b"\0" + bytes.fromhex(new))
        return (self._written(b"tree", b"".join(kept), name) if gone else name), frozenset(gone)

    def _has_entries(self, tree: str) -> bool:
        """Whether a tree has anything in it."""
        return tree != self._name_of(b"tree", b"", len(tree))

    # --- commits and tags --------------------------------------------------------------------------------------------

    def commit(self, name: str) -> None:
        data = self.store.whole(name)[1]
        head, _, message = data.partition(b"\n\n")
        fields = list(_fields(head))
        lost = self.tree(fields[0][1].decode())[1]
        parents = [value.decode() for key, value in fields if key == b"parent"]
        before = [self._lost[one] for one in parents] or [frozenset()]
        touches = any(one != lost for one in before)
        said = next((value.decode("ascii", "replace") for key, value in fields if key == b"encoding"), "utf-8")
        names = {path for some in (lost, *before) for path, _ in some}
        new_message = self.reword(message, said, touches, names)
        changed = [(key, self._field(key, value)) for key, value in fields]
        self._lost[name] = lost
        self.paths |= {path for path, _ in lost}
        if touches:
            self.touched.append(name)
        if changed == fields and new_message == message:
            self.commits[name] = name
            return
        self.signatures += any(key in _SIGNED for key, _ in changed)
        lines = [key + b" " + value for key, value in changed if key not in _SIGNED]
        self.commits[name] = self._written(b"commit", b"\n".join(lines) + b"\n\n" + new_message, name)

    def _field(self, key: bytes, value: bytes) -> bytes:
        if key == b"tree":
            return self.tree(value.decode())[0].encode()
        return self.commits[value.decode()].encode() if key == b"parent" else value

    def tag(self, name: str) -> str | None:
        if name not in self._tags:
            self._tags[name] = self._tag(name, self.store.whole(name)[1])
        return self._tags[name]

    def _tag(self, name: str, data: bytes) -> str | None:
        head, _, message = data.partition(b"\n\n")
        fields = dict(_fields(head))
        new = self.new(fields[b"object"].decode(), fields[b"type"].decode())
        new_message = self.reword(message, "utf-8", False, ())
        if new is None or (new == fields[b"object"].decode() and new_message == message):
            return name if new else None
        end = min([at for mark in _SIGNATURES if (at := new_message.find(mark)) >= 0], default=len(new_message))
        self.signatures += end < len(new_message)
        fields[b"object"] = new.encode()
        lines = [key + b" " + value for key, value in fields.items() if key not in _SIGNED]
        return self._written(b"tag", b"\n".join(lines) + b"\n\n" + new_message[:end], name)

    # --- writing -----------------------------------------------------------------------------------------------------

    def _written(self, kind: bytes, data: bytes, like: str) -> str:
        if self.pack:
            self.pack.add(kind, data)
        return self._name_of(kind, data, len(like))

    @staticmethod
    def _name_of(kind: bytes, data: bytes, hexadecimal: int) -> str:
        digest = _hash(hexadecimal)
        digest.update(b"%s %d\0" % (kind, len(data)))
        digest.update(data)
        return digest.hexdigest()


def _entries(data: bytes, raw_length: int) -> Iterator[tuple[bytes, bytes, str]]:
    """Mode, name and object of each entry of a tree."""
    at = 0
    while at < len(data):
        space = data.index(b" ", at)
        nul = data.index(b"\0", space)
        stop = nul + 1 + raw_length
        yield data[at:space], data[space + 1 : nul], data[nul + 1 : stop].hex()
        at = stop


def _fields(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The fields of a commit or a tag; lines that begin with a space go on with the one before."""
    lines = head.split(b"\n")
    at = 0
    while at < len(lines):
        stop = at + 1
        while stop < len(lines) and lines[stop].startswith(b" "):
            stop += 1
        key, _, value = b"\n".join(lines[at:stop]).partition(b" ")
        yield key, value
        at = stop
