"""Merge two commits: the pure merge of memories, and all other entries by their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..codec import MAX_FILE_BYTES
from ..git.objects import Objects
from ..git.repository import Repository
from ..git.trees import FILE, Leaf, Leaves, write_tree
from ..items import Blob, Tree
from ..merging import Note, base_of, changes, plan
from ..rivals import beside
from ..scan import is_memory
from .leaves import Listed
from .repository import Shared

_FILES = {FILE, "100664", "100755"}


@dataclass(frozen=True, slots=True)
class Joined:
    """What of ours is to change, so that it is the merge; and what people are told."""

    sets: dict[str, Leaf | None]
    notes: tuple[Note, ...]


def merge_commit(shared: Shared, ours: str, theirs: str) -> tuple[str, tuple[Note, ...]]:
    """The merge of two commits, on no branch yet."""
    repository = shared.repository
    ancestors = repository.merge_bases(ours, theirs)
    ours_tree, theirs_tree = Listed.of(repository, ours), Listed.of(repository, theirs)
    bases = [Listed.of(repository, one).leaves for one in ancestors]
    done = joined(repository, bases, ours_tree.leaves, theirs_tree.leaves, ancestors)
    tree = write_tree(repository.git, ours, done.sets)
    text = f"Merge {shared.branch}"  # not of where: an address may tell of this machine
    when, person = datetime.now(UTC), shared.person
    return repository.commit_tree(tree, [ours, theirs], text, author=person, committer=person, when=when), done.notes


def joined(
    repository: Repository, bases: Sequence[Leaves], ours: Leaves, theirs: Leaves, commits: Sequence[str] = ()
) -> Joined:
    """Merge two trees. `bases`: of all merge bases, which `commits` names; or one tree that they come from."""
    with repository.blobs() as blobs:
        return _joined(repository, blobs, bases, ours, theirs, commits)


def _joined(
    repository: Repository,
    blobs: Objects,
    bases: Sequence[Leaves],
    ours: Leaves,
    theirs: Leaves,
    commits: Sequence[str],
) -> Joined:
    plain = _Plain(repository, blobs)
    plain.look(*bases, ours, theirs)
    olds = [plain.of(base) for base in bases]
    old: Tree = olds[0] if olds else {}
    if len(commits) > 1:
        old = base_of(_History(repository, plain), commits, plain.read)
    mine = plain.of(ours)
    done = plan(old, mine, plain.of(theirs), plain.read, olds if len(olds) > 1 else [])
    sets = _named(repository, changes(mine, done.tree), ours)
    for path, leaf in _others(plain, bases[0] if bases else {}, ours, theirs).items():
        sets.setdefault(path, leaf)
    return Joined(sets, done.notes)


class _Plain:
    """Which entries are files that the merge of memories may read: no links, and no memory beyond all size."""

    def __init__(self, repository: Repository, blobs: Objects) -> None:
        self._repository, self._blobs, self._large = repository, blobs, set[str]()
        self._known: set[str] = set()

    def read(self, blob: str) -> bytes:
        return self._blobs.read(blob, 64 * MAX_FILE_BYTES)

    def look(self, *trees: Leaves) -> None:
        """Learn which blobs are too large. Only those in which the trees differ are asked for."""
        first = trees[0] if trees else {}
        names = {leaf.blob for tree in trees for path, leaf in tree.items() if first.get(path) != leaf or tree is first}
        if len(trees) > 1:
            names -= {leaf.blob for path, leaf in first.items() if all(tree.get(path) == leaf for tree in trees)}
        asked = sorted(names - self._known)
        self._known |= names
        if not asked:
            return
        given = "".join(f"{name}\n" for name in asked).encode()
        said = self._repository.git.run("cat-file", "--batch-check=%(objectname) %(objectsize)", given=given)
        for line in said.decode("ascii", "replace").splitlines():
            name, _, size = line.partition(" ")
            if size.isdigit() and int(size) > MAX_FILE_BYTES:
                self._large.add(name)

    def is_plain(self, path: str, leaf: Leaf) -> bool:
        return leaf.mode in _FILES and not (is_memory(path) and leaf.blob in self._large)

    def of(self, tree: Leaves) -> dict[str, Blob]:
        return {path: leaf.blob for path, leaf in tree.items() if self.is_plain(path, leaf)}


class _History:
    """What `base_of` asks."""

    def __init__(self, repository: Repository, plain: _Plain) -> None:
        self._repository, self._plain = repository, plain

    def merge_bases(self, commit: str, *others: str) -> Sequence[str]:
        said = self._repository.git.run("merge-base", "--all", commit, *others, accepted=(0, 1))
        return said.decode().split()

    def tree(self, commit: str) -> Tree:
        leaves = Listed.of(self._repository, commit).leaves
        self._plain.look(leaves)
        return self._plain.of(leaves)


def _named(repository: Repository, some: Sequence[tuple[str, Blob | None]], ours: Leaves) -> dict[str, Leaf | None]:
    """Changes with the names of their blobs, which are written where a merge made them."""
    made = list(dict.fromkeys(blob for _, blob in some if isinstance(blob, bytes)))
    names: dict[Blob, str] = dict(zip(made, repository.write_blobs(made), strict=True))

    def leaf(path: str, blob: Blob) -> Leaf:
        name = names[blob] if isinstance(blob, bytes) else blob
        return Leaf(ours[path].mode if path in ours and ours[path].mode in _FILES else FILE, name)

    return {path: None if blob is None else leaf(path, blob) for path, blob in some}


def _others(plain: _Plain, base: Leaves, ours: Leaves, theirs: Leaves) -> dict[str, Leaf | None]:
    """Entries that are no files to merge: the side that changed them has its way; where both did, both stay."""
    sets: dict[str, Leaf | None] = {}
    for path in sorted({*ours, *theirs}):
        one, other, old = ours.get(path), theirs.get(path), base.get(path)
        if one == other or all(leaf is None or plain.is_plain(path, leaf) for leaf in (one, other)):
            continue
        if one == old:
            sets[path] = other
        elif other is not None and other != old:
            keep, aside = (one, other) if one is None or one <= other else (other, one)
            sets[path] = keep or aside
            if keep and aside:
                sets[beside(path, f".rival-{aside.blob[:12]}")] = aside
    return sets
