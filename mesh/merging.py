"""Two trees of files and what they come from: the tree that has the changes of both. Pure; docs/MERGING.md says how.

Only files that differ between the trees are read. `plan(base, ours, theirs)` and `plan(base, theirs, ours)` give the
same tree, so two clones that merge the same commits hold the same files. Nothing goes that nobody deleted: an item is
missing from the result only if a side deleted what the other did not change, or if its very text is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

from .items import Blob, Files, Identities, Item, Items, Reader, Tree
from .merge import Side, merge
from .placing import placed
from .rivals import beside, rival, rival_of
from .scan import is_memory

Kind = Literal["merged", "conflict", "kept", "moved", "renamed", "duplicate", "broken"]


class Note(NamedTuple):
    """Something that a person is told of the file at `path`.

    merged     both sides changed it, and it has the changes of both
    conflict   both sides changed it; `other` is its rival's path
    kept       it is as `side` changed it; the other side had deleted it
    moved      both sides moved it; `other` is the other path
    renamed    another file has its name, `other`
    duplicate  both sides learned this text; `other` is the path of the one that went
    broken     `side` has it in a form that cannot be read; `other`: the path of that, if it can be read here
    """

    kind: Kind
    path: str
    other: str = ""
    side: Side = ""


@dataclass(frozen=True, slots=True)
class Plan:
    tree: dict[str, Blob]
    notes: tuple[Note, ...]


class Change(NamedTuple):
    """A path that is to hold another blob; None: that is to be deleted."""

    path: str
    blob: Blob | None


def changes(before: Tree, after: Tree) -> list[Change]:
    """What leads from one tree to another: first what is written, then what is deleted."""
    written = [Change(path, blob) for path, blob in after.items() if before.get(path) != blob]
    return [*written, *(Change(path, None) for path in before if path not in after)]


def plan(base: Tree, ours: Tree, theirs: Tree, read: Reader, ancestors: Sequence[Tree] = ()) -> Plan:
    """The merge of two trees. `read` gives the bytes that a blob names.

    `ancestors`: where there are several merge bases, all of them; `base` is then the merge of these, see `base_of`.
    """
    olds = [base, *ancestors]
    paths = {path for old in olds for side in (ours, theirs) for path in _differing(old, side)}
    files = Files(read)
    *old_items, our_items, their_items = Identities(files, paths, [*olds, ours, theirs]).items()
    seen = {key for items in old_items[1:] or old_items for key in items}
    merging = _Merging(files, old_items, our_items, their_items, seen)
    merging.decide()
    others = {path: blob for path, blob in ours.items() if path not in paths}
    return merging.placed(others)


def _differing(one: Tree, other: Tree) -> Iterator[str]:
    yield from (path for path, blob in one.items() if other.get(path) != blob)
    yield from (path for path in other if path not in one)


@dataclass
class _Merging:
    """The items of all trees by their keys, and what becomes of them. `seen`: keys that both sides once had."""

    files: Files
    olds: Sequence[Items]
    ours: Items
    theirs: Items
    seen: set[str]
    result: Items = field(default_factory=dict)
    apart: dict[str, Blob] = field(default_factory=dict)  # what of an item could not be merged
    notes: list[Note] = field(default_factory=list)  # their paths are keys, until all paths are known

    def decide(self) -> None:
        for key in sorted({*self.ours, *self.theirs}):
            one, other = self.ours.get(key), self.theirs.get(key)
            if one and other:
                self.result[key] = self._both(key, one, other)
            elif item := one or other:
                self._alone(key, item, "ours" if one else "theirs")
        self._fold_duplicates()
        self._note_broken()

    def placed(self, others: Tree) -> Plan:
        """Every item at its final path. `others`: the files that are the same in all trees."""
        wanted = {key: item.path for key, item in self.result.items()}
        settled = {key: item.path for key, item in self.olds[0].items()}
        paths = placed(wanted, settled, others)
        renamed = [Note("renamed", paths[key], path) for key, path in wanted.items() if paths[key] != path]
        asides = {key: self._aside(paths[key], self.result[key], blob) for key, blob in self.apart.items()}
        for key, item in asides.values():
            self.result.setdefault(key, item)  # it may be there, and have been edited since
        paths = placed({**{key: item.path for key, item in asides.values()}, **paths}, paths, others)
        others_of = {key: paths[aside] for key, (aside, _) in asides.items()}
        notes = [
            note._replace(path=paths[note.path], other=others_of.get(note.path, note.other)) for note in self.notes
        ]
        tree = {paths[key]: item.blob for key, item in self.result.items()}
        return Plan({**others, **tree}, (*notes, *renamed))

    # --- one item ------------------------------------------------------------------------------------------------

    def _alone(self, key: str, item: Item, side: Side) -> None:
        """An item that one side has: the other deleted it, or never had it."""
        olds = [old.get(key) for old in self.olds[1:] or self.olds]  # what both really had, not what a base made up
        if key in self.seen and any(
            old and item.path == old.path and self.files.same(item.blob, old.blob) for old in olds
        ):
            return
        self.result[key] = item
        if key in self.seen:
            self.notes.append(Note("kept", key, side=side))

    def _old(self, key: str) -> Item | None:
        """What both sides started from. Of a made-up base, what goes by its path counts only if it was really there:
        in each side's history something else may have had that path."""
        made, real = self.olds[0].get(key), [old[key] for old in self.olds[1:] if key in old]
        if made and self.olds[1:] and not key.startswith("id:"):
            return made if any(self.files.same(made.blob, old.blob) for old in real) else None
        return made

    def _both(self, key: str, one: Item, other: Item) -> Item:
        path = self._path(key, one, other)
        old = self._old(key)
        if self.files.same(one.blob, other.blob) or (old and self.files.same(other.blob, old.blob)):
            return Item(path, one.blob)
        if old and self.files.same(one.blob, old.blob):
            return Item(path, other.blob)
        base = self.files.data(old.blob) if old else None
        memories = is_memory(one.path) and is_memory(other.path)
        return Item(path, self._memory(key, base, one.blob, other.blob) if memories else self._apart(key, one, other))

    def _path(self, key: str, one: Item, other: Item) -> str:
        """Where it is: where the side that moved it has it; where both moved it, the path that comes first."""
        before = {old[key].path for old in self.olds if key in old}
        if one.path != other.path and (one.path in before) == (other.path in before):
            self.notes.append(Note("moved", key, max(one.path, other.path)))
            return min(one.path, other.path)
        return other.path if one.path in before else one.path

    def _memory(self, key: str, base: bytes | None, one: Blob, other: Blob) -> Blob:
        """What a memory that both sides changed becomes; what cannot be part of it goes to `apart`."""
        blobs = {self.files.data(blob): blob for blob in (one, other)}
        done = merge(base, self.files.data(one), self.files.data(other))
        assert done.data is not None  # neither side deleted it
        if done.rival is not None:
            self.apart[key] = blobs[done.rival]
        kind: Kind = "broken" if done.broken else "merged" if done.rival is None else "conflict"
        self.notes.append(Note(kind, key, side=done.broken))
        return blobs.get(done.data, done.data)

    def _apart(self, key: str, one: Item, other: Item) -> Blob:
        """Both sides changed what is no memory: both stay."""
        first, self.apart[key] = sorted((one.blob, other.blob), key=self.files.data)
        self.notes.append(Note("conflict", key))
        return first

    def _aside(self, path: str, item: Item, blob: Blob) -> tuple[str, Item]:
        """What is kept beside the item at `path`, and its key: a rival; or a file as it is, if it is no memory."""
        data = self.files.data(blob)
        if self.files.version(Item(path, blob)):
            its = rival(self.files.own_id(item) or path, path, data)
            return f"id:{its.id}", Item(its.path, its.data)
        aside = beside(path, f".rival-{hashlib.sha256(data).hexdigest()[:12]}")
        return f"path:{aside}", Item(aside, blob)

    def _note_broken(self) -> None:
        """Files that arrived as they are, and cannot be read."""
        for key, item in self.result.items():
            if is_memory(item.path) and self.files.version(item) is None and key not in self.apart:
                having = [
                    key in side and self.files.same(side[key].blob, item.blob) for side in (self.ours, self.theirs)
                ]
                self.notes.append(
                    Note("broken", key, side="both" if all(having) else "ours" if having[0] else "theirs")
                )

    # --- the same text twice -------------------------------------------------------------------------------------

    def _fold_duplicates(self) -> None:
        """What both sides learned is one memory: the one with the older id, if nothing else in them is contrary."""
        ours, theirs = self._learned(self.ours, self.theirs), self._learned(self.theirs, self.ours)
        for text in sorted(ours.keys() & theirs.keys()):
            if len(ours[text]) == len(theirs[text]) == 1:
                self._fold(*sorted((*ours[text], *theirs[text])))

    def _learned(self, side: Items, other: Items) -> dict[str, list[str]]:
        """The keys of memories that only one side has, and that are new, by their text."""
        found: dict[str, list[str]] = {}
        new = [key for key in side if key.startswith("id:") and not any(key in items for items in (other, *self.olds))]
        for key in new:
            memory = version.memory if (version := self.files.version(side[key])) else None
            if memory and memory.content and not rival_of(memory) and memory.id.lower() not in self._disputed:
                found.setdefault(memory.content, []).append(key)
        return found

    @cached_property
    def _disputed(self) -> set[str]:
        """The ids of memories that have rivals."""
        versions = [self.files.version(item) for item in self.result.values()]
        return {rival_of(one.memory).lower() for one in versions if one}

    def _fold(self, key: str, newer: str) -> None:
        kept, gone = self.result[key], self.result[newer]
        done = merge(None, *(self.files.data(item.blob) for item in (kept, gone)))
        if done.rival is None and done.data is not None:
            same = done.data == self.files.data(kept.blob)
            self.result[key] = Item(kept.path, kept.blob if same else done.data)
            del self.result[newer]
            self.notes.append(Note("duplicate", key, gone.path))


# --- several merge bases ---------------------------------------------------------------------------------------


class History(Protocol):
    """What `base_of` asks git."""

    def merge_bases(self, commit: str, *others: str) -> Sequence[str]:
        """The best common ancestors of a commit and a merge of the others: `git merge-base --all`."""

    def tree(self, commit: str) -> Tree: ...


def base_of(history: History, commits: Sequence[str], read: Reader) -> Tree:
    """The tree to merge from, where `commits` are all merge bases: their own merge, made as any other.

    Git's `recursive` does the same. Without any (histories that share nothing) it is empty.
    """
    commits = sorted(commits)
    tree = history.tree(commits[0]) if commits else {}
    for number, commit in enumerate(commits[1:], 1):
        before = history.merge_bases(commit, *commits[:number])
        ancestors = [history.tree(one) for one in before] if len(before) > 1 else []
        tree = plan(base_of(history, before, read), tree, history.tree(commit), read, ancestors).tree
    return tree
