"""Which file of one tree is which file of another.

tree  every file of a namespace: path in its folder -> blob
blob  what names a file's bytes (git's object id), or the bytes themselves, where a merge has made them
key   what an item is known by in all trees: `id:` and its id; or `path:` and its path, for a file without one, for
      what is no memory, and where an id stands in two files, so that neither can be followed
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from .field_merge import Version
from .merge import version
from .scan import is_memory

Blob = str | bytes
Tree = Mapping[str, Blob]
Reader = Callable[[str], bytes]


class Item(NamedTuple):
    path: str
    blob: Blob


Items = dict[str, Item]


class Files:
    """What blobs hold, each read and taken apart once."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._data: dict[Blob, bytes] = {}
        self._versions: dict[Blob, Version | None] = {}

    def data(self, blob: Blob) -> bytes:
        if isinstance(blob, bytes):
            return blob
        if blob not in self._data:
            self._data[blob] = self._read(blob)
        return self._data[blob]

    def version(self, item: Item) -> Version | None:
        """The memory in a file; None for what is none, or cannot be read."""
        if not is_memory(item.path):
            return None
        if item.blob not in self._versions:
            self._versions[item.blob] = version(self.data(item.blob))
        return self._versions[item.blob]

    def same(self, one: Blob, other: Blob) -> bool:
        if isinstance(one, type(other)):
            return one == other
        return self.data(one) == self.data(other)

    def own_id(self, item: Item) -> str:
        """The id in a file, in lower case; "" without one."""
        found = self.version(item)
        return "" if found is None or found.memory.derived_id else found.memory.id.lower()


class Identities:
    """The keys of the items at some paths in several trees. The last two trees are the sides; the others are older."""

    def __init__(self, files: Files, paths: Iterable[str], trees: Sequence[Tree]) -> None:
        self._files = files
        self._trees = [{path: Item(path, tree[path]) for path in sorted(paths) if path in tree} for tree in trees]
        self._ids = [{path: files.own_id(item) for path, item in tree.items()} for tree in self._trees]

    def items(self) -> list[Items]:
        """Each tree's items by their keys."""
        olds = [
            {self._plain_key(path, ids): tree[path] for path in ids}
            for tree, ids in zip(self._trees[:-2], self._ids, strict=False)
        ]
        self._was = {item.path: (key, item) for old in reversed(olds) for key, item in old.items()}
        return [*olds, *(self._side(*pair) for pair in zip(self._trees[-2:], self._ids[-2:], strict=True))]

    @cached_property
    def _repeated(self) -> set[str]:
        """Ids that stand in two files of a tree."""
        counts = [Counter(filter(None, ids.values())) for ids in self._ids]
        return {one for count in counts for one, times in count.items() if times > 1}

    @cached_property
    def _places(self) -> dict[str, set[str]]:
        """All paths that each id has in any tree."""
        places: dict[str, set[str]] = {}
        for ids in self._ids:
            for path, own in ids.items():
                places.setdefault(own, set()).add(path)
        return places

    def _plain_key(self, path: str, ids: Mapping[str, str]) -> str:
        own = ids[path]
        return f"id:{own}" if own and own not in self._repeated else f"path:{path}"

    def _side(self, tree: Items, ids: Mapping[str, str]) -> Items:
        moved = self._moved(tree)
        left = {*moved.values()}
        items: Items = {}
        for path, item in tree.items():
            key = moved.get(path) or self._key(path, ids, left)
            items[f"new path:{path}" if key in items else key] = item  # two files are never one
        return items

    def _moved(self, tree: Items) -> dict[str, str]:
        """New paths of older files without an id, and their keys: only the bytes can tell, if they do clearly."""
        gone: dict[Blob, set[str]] = {}
        for path, (key, item) in self._was.items():
            if key.startswith("path:") and (path not in tree or not self._files.same(tree[path].blob, item.blob)):
                gone.setdefault(self._bytes(item), set()).add(key)
        came: dict[Blob, list[str]] = {}
        for path in tree.keys() - self._was.keys() if gone else ():
            came.setdefault(self._bytes(tree[path]), []).append(path)
        clear = [data for data, paths in came.items() if len(paths) == len(gone.get(data, ())) == 1]
        return {came[data][0]: min(gone[data]) for data in clear}

    def _bytes(self, item: Item) -> Blob:
        """What the same file has in common everywhere; attachments, which a merge never makes, are not read for it."""
        return self._files.data(item.blob) if is_memory(item.path) else item.blob

    def _key(self, path: str, ids: Mapping[str, str], left: set[str]) -> str:
        """The key of a file that nobody moved here, unless its id says so. `left`: the keys of what was moved away."""
        key, (before, _) = self._plain_key(path, ids), self._was.get(path, ("", None))
        own = ids[path]
        if before.startswith("id:") and not own and before.removeprefix("id:") not in ids.values():
            return before  # it lost its id, or cannot be read any more
        if before.startswith("path:") and key.startswith("id:") and self._places[own] == {path} and before not in left:
            return before  # it was given an id
        return f"new {key}" if key in left else key
