"""Clones of one namespace that edit, merge each other in any order and say what they did on purpose, for Hypothesis.

Every edit writes a word that no other edit writes. A word that a clone had may be missing later only if a clone that
had it took it out: so nothing is lost that nobody deleted.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import count

from hypothesis import strategies as st

from mesh.merging import base_of, plan

PATHS = ["a.md", "A.md", "b.md", "b.md/c.md", "d/e.md", "é.md", "e\u0301.md"]
IDS = ["aaaa1111", "bbbb2222", "cccc3333", "dddd4444"]
WORD = re.compile(rb"\b(?:w[0-9x-z]+|same \d)\b")


def _steps(*choices):
    return st.one_of(st.tuples(*map(st.sampled_from, choice)) for choice in choices)


WHICH = range(10)
MERGE = (["merge"], WHICH, [""])
FOLLOWED = _steps(  # memories that have ids, so that each can be followed
    (["add"], PATHS, IDS),
    (["add the same"], PATHS, range(3)),
    (["first", "last", "tag", "untag", "title", "date", "delete"], WHICH, [""]),
    (["rename"], WHICH, PATHS),
    MERGE,
    MERGE,
)
ANYTHING = FOLLOWED | _steps(
    (["add"], [*PATHS, "notes.txt"], [""]),
    (["break", "give an id", "take the id"], WHICH, [""]),
    (["copy"], WHICH, PATHS),
)


def histories(clones, steps, most=14):
    return st.lists(st.tuples(st.integers(0, clones - 1), steps), max_size=most)


@dataclass
class World:
    """Clones that share what they commit. `heads`: each clone's last commit. `on_purpose`: words somebody removed."""

    clones: int
    blobs: dict[str, bytes] = field(default_factory=dict)
    trees: list[dict[str, str]] = field(default_factory=lambda: [{}])
    parents: list[tuple[int, ...]] = field(default_factory=lambda: [()])
    on_purpose: set[bytes] = field(default_factory=set)
    numbers: count = field(default_factory=count)

    def __post_init__(self):
        self.heads = [0] * self.clones
        self.past = [[] for _ in self.heads]
        self.commit(0, {f"{name}.md": _memory(f"{name}{name}{name}{name}1111", f"w{name}") for name in "xyz"})
        self.heads = [self.heads[0]] * self.clones
        self.past = [[head] for head in self.heads]

    # --- what `base_of` asks ---------------------------------------------------------------------------------------

    def merge_bases(self, commit, *others):
        common = self._ancestors(commit) & set().union(*map(self._ancestors, others))
        return [f"{one:04}" for one in sorted(common) if not any(one in self._ancestors(x) - {x} for x in common)]

    def tree(self, commit):
        return self.trees[int(commit)]

    def _ancestors(self, commit):
        found, pending = set(), [int(commit)]
        while pending:
            if (one := pending.pop()) not in found:
                found.add(one)
                pending += self.parents[one]
        return found

    # --- what clones do --------------------------------------------------------------------------------------------

    def bytes_of(self, tree):
        return {path: self.read(blob) for path, blob in tree.items()}

    def read(self, blob):
        return blob if isinstance(blob, bytes) else self.blobs[blob]

    def files(self, clone):
        return self.bytes_of(self.trees[self.heads[clone]])

    def commit(self, clone, files, *others):
        names = {path: hashlib.sha1(data).hexdigest() for path, data in files.items()}
        self.blobs |= {names[path]: data for path, data in files.items()}
        self.trees.append(names)
        self.parents.append((self.heads[clone], *others))
        self._goes_to(clone, len(self.trees) - 1)

    def _goes_to(self, clone, head):
        self.heads[clone] = head
        self.past[clone].append(head)

    def fetched(self, clone, number):
        """A head that another clone has or had: what was fetched before is merged later, too."""
        past = self.past[(clone + 1 + number % (self.clones - 1)) % self.clones]
        return past[-1 - number // 3 % len(past)]

    def edit(self, clone, step):
        """One step of a person, an agent or git; what cannot be done there is left out."""
        before = self.files(clone)
        after = dict(before)
        EDITS[step[0]](after, *step[1:], f"w{next(self.numbers)}")
        if after != before:
            self.on_purpose |= {*(counted(before) - counted(after))}  # also one of several copies
            self.commit(clone, after)

    def merge(self, clone, other):
        """Merge another clone's head, as `mesh sync` does. Returns base, ours, theirs and the merge, if it took one."""
        ours, theirs = self.heads[clone], other
        bases = self.merge_bases(ours, theirs)
        if f"{theirs:04}" in bases:
            return None
        if f"{ours:04}" in bases:
            self._goes_to(clone, theirs)
            return None
        base, ancestors = base_of(self, bases, self.read), [self.tree(one) for one in bases] if len(bases) > 1 else []
        arguments = base, self.trees[ours], self.trees[theirs], ancestors
        files = self.bytes_of(self.planned(*arguments).tree)
        self.commit(clone, files, theirs)
        return arguments, files

    def planned(self, base, ours, theirs, ancestors):
        return plan(base, ours, theirs, self.read, ancestors)


def words(files):
    return {*counted(files)}


def counted(files):
    return Counter(word for data in files.values() for word in WORD.findall(data))


# --- the steps: each changes `files`, a folder's bytes by path ------------------------------------------------------


def _fits(files, path):
    """Whether a folder can have this file: no file is a folder."""
    return not any(path.startswith(f"{one}/") or one.startswith(f"{path}/") for one in files)


def _memory(own, word):
    return (f"---\nid: {own}\ntags: [all]\n---\n" if own else "").encode() + f"{word}\nmiddle\nlast\n".encode()


def _add(files, path, own, word):
    there = own and any(own.encode() in data for data in files.values())
    if path not in files and _fits(files, path) and not there:
        files[path] = _memory(own, word)


def _add_the_same(files, path, text, word):
    own = "same" + hashlib.sha1(word.encode()).hexdigest()[:8]
    if path not in files and _fits(files, path):
        files[path] = f"---\nid: {own}\ntags: [{own[:6]}]\n---\nThe same {text}\n".encode()


def _on_one(change):
    def step(files, number, argument, word):
        if files:
            change(files, sorted(files)[number % len(files)], argument, word)

    return step


def _line(files, path, at, word):
    """Replace a line of the body: the first or the last."""
    head, fence, body = files[path].rpartition(b"---\n")
    lines = body.splitlines() or [b""]
    lines[at] = word.encode()
    files[path] = head + fence + b"\n".join(lines) + b"\n"


def _keyed(files, path, key, value):
    """Set a key of front matter, or drop it."""
    data = files[path]
    if not path.endswith(".md"):
        return
    if not data.startswith(b"---\n"):
        data = b"---\n---\n" + data
    opening, front, body = data.partition(b"---\n")[1], *data.removeprefix(b"---\n").split(b"---\n", 1)
    lines = [line for line in front.splitlines() if not line.startswith(key.encode() + b":")]
    lines += [f"{key}: {value}".encode()] if value else []
    files[path] = opening + b"".join(line + b"\n" for line in lines) + b"---\n" + body


def _move(files, path, to, word):
    if (
        to not in files
        and _fits({one: 0 for one in files if one != path}, to)
        and path.endswith(".md") == to.endswith(".md")
    ):
        files[to] = files.pop(path)


def _copy(files, path, to, word):
    if to not in files and _fits(files, to):
        files[to] = files[path]


EDITS = {
    "add": _add,
    "add the same": _add_the_same,
    "first": _on_one(lambda files, path, _, word: _line(files, path, 0, word)),
    "last": _on_one(lambda files, path, _, word: _line(files, path, -1, word)),
    "tag": _on_one(lambda files, path, _, word: _keyed(files, path, "tags", f"[{word}]")),
    "untag": _on_one(lambda files, path, _, word: _keyed(files, path, "tags", "")),
    "title": _on_one(lambda files, path, _, word: _keyed(files, path, "title", word)),
    "date": _on_one(
        lambda files, path, _, word: _keyed(files, path, "updated", f"2026-01-01T00:00:{int(word[1:]):02}Z")
    ),
    "break": _on_one(
        lambda files, path, _, word: files.update(
            {path: files[path] + f"<<<<<<< {word}\n=======\n>>>>>>> x\n".encode()}
        )
    ),
    "rename": _on_one(_move),
    "copy": _on_one(_copy),
    "delete": _on_one(lambda files, path, _, word: files.pop(path)),
    "give an id": _on_one(lambda files, path, _, word: _keyed(files, path, "id", f"given{word}")),
    "take the id": _on_one(lambda files, path, _, word: _keyed(files, path, "id", "")),
}
