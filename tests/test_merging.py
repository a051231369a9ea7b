"""Trees of three clones: what becomes of each file, and that all clones end with the same tree and nothing lost.

By default 40 histories a property. `MESH_MERGES=20000` sets another number, for a night.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter

import pytest
from histories import ANYTHING, FOLLOWED, World, histories, words
from hypothesis import HealthCheck, given, settings

from mesh import codec
from mesh.merging import Note, changes, plan
from mesh.placing import folded
from mesh.rivals import rival

EXAMPLES = int(os.environ.get("MESH_MERGES", "40"))
often = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


def memory(own, text="One", *keys):
    return "".join(f"{line}\n" for line in ["---", *([f"id: {own}"] if own else []), *keys, "---", text]).encode()


A, B = memory("aaaa1111"), memory("bbbb2222", "Two")
A2, A3 = memory("aaaa1111", "Uno"), memory("aaaa1111", "Eins")


def read(blob):
    raise AssertionError(f"{blob} is read")


def merged(base, ours, theirs):
    """The merged tree and the notes; it must be the same the other way round, and stay when it is merged again."""
    done, other = plan(base, ours, theirs, read), plan(base, theirs, ours, read)
    assert done.tree == other.tree
    return done


def tree_of(base, ours, theirs):
    return merged(base, ours, theirs).tree


# --- one situation each ----------------------------------------------------------------------------------------------

LOCAL = "team/a.md"
OLD = rival("aaaa1111", "a.md", min(A2, A3, key=lambda data: data))

CASES = {
    "nothing": ({"a.md": A}, {"a.md": A}, {"a.md": A}, {"a.md": A}),
    "added on both sides": ({}, {"a.md": A}, {"b.md": B}, {"a.md": A, "b.md": B}),
    "deleted on one side": ({"a.md": A, "b.md": B}, {"b.md": B}, {"a.md": A, "b.md": B}, {"b.md": B}),
    "deleted here, edited there": ({"a.md": A}, {}, {"a.md": A2}, {"a.md": A2}),
    "deleted here, renamed there": ({"a.md": A}, {}, {"b.md": A}, {"b.md": A}),
    "renamed here, edited there": ({"a.md": A}, {LOCAL: A}, {"a.md": A2}, {LOCAL: A2}),
    "renamed on both sides": ({"a.md": A}, {"c.md": A}, {"b.md": A2}, {"b.md": A2}),
    "names exchanged here, edited there": (
        {"a.md": A, "b.md": B}, {"a.md": B, "b.md": A}, {"a.md": A2, "b.md": B}, {"a.md": B, "b.md": A2},
    ),
    "a name reused for another memory": (
        {"a.md": A}, {"a.md": B, "old.md": A}, {"a.md": A2}, {"a.md": B, "old.md": A2},
    ),
    "one name, two memories": ({}, {"a.md": A}, {"a.md": B}, {"a.md": A, "a--bbbb2222.md": B}),
    "one name, and it was there": (
        {"a.md": B}, {"a.md": B, "c.md": A}, {"a.md": A, "b.md": B}, {"a.md": A, "b.md": B},
    ),
    "names that differ in case": ({}, {"x/A.md": A}, {"X/a.md": B}, {"x/A.md": A, "X/a--bbbb2222.md": B}),
    "names that differ in composition": (
        {}, {"\u00e9.md": A}, {"e\u0301.md": B}, {"\u00e9.md": A, "e\u0301--bbbb2222.md": B},
    ),
    "twins that were there stay": (
        {"a.md": A, "A.md": B}, {"a.md": A2, "A.md": B}, {"a.md": A, "A.md": B, "c.md": b"c"},
        {"a.md": A2, "A.md": B, "c.md": b"c"},
    ),
    "a file and a folder of one name": (
        {}, {"a.md": A}, {"a.md/b.md": B}, {"a--aaaa1111.md": A, "a.md/b.md": B},
    ),
    "the same text learned twice": (
        {}, {"a.md": memory("aaaa1111", "One", "tags: [a]")}, {"b.md": memory("bbbb2222", "One", "tags: [b]")},
        {"a.md": memory("aaaa1111", "One", "tags: [a, b]")},
    ),
    "the same text with another title is another memory": (
        {}, {"a.md": memory("aaaa1111", "One", "title: T")}, {"b.md": memory("bbbb2222", "One", "title: U")},
        {"a.md": memory("aaaa1111", "One", "title: T"), "b.md": memory("bbbb2222", "One", "title: U")},
    ),
    "a duplicate that is edited elsewhere stays": (
        {"b.md": memory("bbbb2222")}, {"a.md": A}, {"b.md": memory("bbbb2222", "Dos")},
        {"a.md": A, "b.md": memory("bbbb2222", "Dos")},
    ),
    "without an id, edited here": ({"a.md": b"x"}, {"a.md": b"y"}, {"a.md": b"x"}, {"a.md": b"y"}),
    "without an id, renamed here, edited there": (
        {"a.md": b"x\ny\n"}, {"b.md": b"x\ny\n"}, {"a.md": b"x\nz\n"}, {"b.md": b"x\nz\n"},
    ),
    "given an id here, edited there": (
        {"a.md": b"x\n"}, {"a.md": b"---\nid: aaaa1111\n---\nx\n"}, {"a.md": b"y\n"},
        {"a.md": b"---\nid: aaaa1111\n---\ny\n"},
    ),
    "without an id, its name reused for one with an id": (
        {"a.md": b"x\ny\n"}, {"a.md": B, "c.md": b"x\ny\n"}, {"a.md": b"x\nz\n"}, {"a.md": B, "c.md": b"x\nz\n"},
    ),
    "without an id, its name reused for another without": (
        {"a.md": b"x\ny\n"}, {"a.md": b"w", "c.md": b"x\ny\n"}, {"a.md": b"x\nz\n"}, {"a.md": b"w", "c.md": b"x\nz\n"},
    ),
    "one id in two files": (
        {"a.md": A}, {"a.md": A, "b.md": A2}, {"a.md": A3}, {"a.md": A3, "b.md": A2},
    ),
    "no memory, changed on one side": ({"a.txt": b"x"}, {"a.txt": b"y"}, {"a.txt": b"x"}, {"a.txt": b"y"}),
    "no memory, moved here, changed there": ({"a.txt": b"x"}, {"b.txt": b"x"}, {"a.txt": b"y"}, {"b.txt": b"y"}),
    "a conflict that one side has settled": (
        {"a.md": A, OLD.path: OLD.data}, {"a.md": A}, {"a.md": A, OLD.path: OLD.data}, {"a.md": A},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_becomes_of_the_files_of_two_clones(case):
    base, ours, theirs, expected = CASES[case]
    assert tree_of(base, ours, theirs) == expected


def test_a_conflict_is_two_files_and_a_note_and_the_same_on_every_clone():
    """The rival says whose it is, also where that memory has been renamed meanwhile."""
    done = merged({"a.md": A}, {"b.md": A2}, {"a.md": A3})
    (path, data), *_ = [(path, data) for path, data in done.tree.items() if path != "b.md"]
    assert done.tree["b.md"] == min(A2, A3) and done.notes == (Note("conflict", "b.md", path),)
    assert (path, data) == rival("aaaa1111", "b.md", max(A2, A3))[1:]
    assert tree_of({"a.md": A}, done.tree, {"a.md": A3}) == done.tree


def test_what_a_rival_has_become_since_is_not_made_again():
    """Both clones made it, one has edited it."""
    both = merged({"a.md": A}, {"a.md": A2}, {"a.md": A3}).tree
    path = next(path for path in both if "rival" in path)
    edited = {**both, path: both[path].replace(b"---\nE", b"---\nNow: E").replace(b"---\nU", b"---\nNow: U")}
    assert edited != both and tree_of(both, edited, {**both, "b.md": B}) == {**edited, "b.md": B}
    assert tree_of({"a.md": A}, edited, {"a.md": max(A2, A3)}) == edited


def test_a_file_that_cannot_be_read_is_taken_as_it_is_and_said():
    """And if the other side changed it too, that one is the memory, and the broken one lies beside it."""
    broken = A + b"<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n"
    done = merged({"a.md": A}, {"a.md": A}, {"a.md": broken})
    assert (done.tree, done.notes) == ({"a.md": broken}, (Note("broken", "a.md", side="theirs"),))
    done = merged({"a.md": A}, {"a.md": A2}, {"a.md": broken})
    aside = f"a.rival-{hashlib.sha256(broken).hexdigest()[:12]}.md"
    assert (done.tree, done.notes) == ({"a.md": A2, aside: broken}, (Note("broken", "a.md", aside, "theirs"),))


def test_what_is_no_memory_and_was_changed_on_both_sides_is_kept_twice():
    done = merged({"x.png": b"0"}, {"x.png": b"1"}, {"x.png": b"2"})
    aside = f"x.rival-{hashlib.sha256(b'2').hexdigest()[:12]}.png"
    assert (done.tree, done.notes) == ({"x.png": b"1", aside: b"2"}, (Note("conflict", "x.png", aside),))


def test_what_was_decided_is_said():
    """A note for each file that is not simply one side's."""
    base = {"kept.md": A, "moved.md": B}
    ours = {"kept.md": A2, "x.md": B, "dup.md": memory("cccc3333", "Dup"), "name.md": memory("dddd4444", "D")}
    theirs = {"y.md": B, "dup2.md": memory("eeee5555", "Dup"), "name.md": memory("ffff6666", "F")}
    assert {*merged(base, ours, theirs).notes} == {
        Note("kept", "kept.md", side="ours"),
        Note("moved", "x.md", "y.md"),
        Note("duplicate", "dup.md", "dup2.md"),
        Note("renamed", "name--ffff6666.md", "name.md"),
    }


def test_only_files_that_differ_are_read():
    """Of 10,000, those that either side changed; an attachment never, unless both did."""
    base = {f"{n}.md": f"same {n}" for n in range(10_000)} | {"1.md": "a", "x.png": "picture"}
    blobs = {"a": A, "a2": A2}
    asked = []

    def read(blob):
        asked.append(blob)
        return blobs[blob]

    ours, theirs = {**base, "1.md": "a2"}, {**base, "x.png": "another picture"}
    done = plan(base, ours, theirs, read)
    assert done.tree == {**base, "1.md": "a2", "x.png": "another picture"} and sorted(asked) == ["a", "a2"]
    assert changes(ours, done.tree) == [("x.png", "another picture")]
    assert changes({"a": "1", "b": "2"}, {"b": "3", "c": "1"}) == [("b", "3"), ("c", "1"), ("a", None)]


def test_a_base_that_was_made_up_proves_no_deletion_and_no_change_of_a_path():
    """Several merge bases, none of which has the file: then no side can have seen it and dropped it."""
    made = {"r.md": B, "x.md": b"x"}
    assert plan(made, made, {}, read, [{}, {}]).tree == made
    assert plan(made, {"r.md": B}, {"r.md": memory("bbbb2222", "Dos")}, read, [{}, {}]).tree["r.md"] != B
    assert plan({"a.md": A2}, {"a.md": A2}, {}, read, [{"a.md": A}, {}]).tree == {"a.md": A2}
    both = plan(made, {"x.md": b"x"}, {"x.md": b"y"}, read, [{}, {}]).tree
    assert both["x.md"] == b"x" and sum(b"y" in data for data in both.values()) == 1
    assert plan(made, {"x.md": b"x"}, {"x.md": b"y"}, read, [{"x.md": b"x"}, {}]).tree == {"x.md": b"y"}


def test_names_that_were_never_side_by_side_are_told_apart():
    """Each was in one of two merge bases, but no tree had both."""
    ours, theirs = {"a.md": A2}, {"A.md": memory("bbbb2222", "Dos")}
    merged = plan({}, ours, theirs, read, [{"a.md": A}, {"A.md": B}]).tree
    assert merged == {"a.md": A2, "A--bbbb2222.md": theirs["A.md"]}


# --- histories -------------------------------------------------------------------------------------------------------


def checked(world, merge, *, again):
    """What holds of every merge; `again`: also that it does nothing more when it is repeated with either side."""
    if merge is None:
        return
    (base, ours, theirs, ancestors), files = merge
    assert world.bytes_of(world.planned(base, theirs, ours, ancestors).tree) == files
    for side in (ours, theirs) if again else ():
        assert world.bytes_of(world.planned(base, files, side, ancestors).tree) == files
    there = words(world.bytes_of(ours)) | words(world.bytes_of(theirs))
    assert there - words(files) <= world.on_purpose
    assert not [path for path in files if any(path.startswith(f"{other}/") for other in files)]
    twins, before = Counter(map(folded, files)), [Counter(map(folded, side)) for side in (ours, theirs)]
    assert all(count <= max(1, *(side[path] for side in before)) for path, count in twins.items())


def lived(world, steps, *, again):
    """Let the clones do their steps, then merge with each other until all hold the same tree."""
    for clone, step in steps:
        if step[0] == "merge":
            checked(world, world.merge(clone, world.fetched(clone, step[1])), again=again)
        else:
            world.edit(clone, step)
    last = [world.files(clone) for clone in range(world.clones)]
    for _ in range(4):
        heads = list(world.heads)  # all fetch, then all merge
        for clone in range(world.clones):
            for other in range(1, world.clones):
                merge = world.merge(clone, heads[(clone + other) % world.clones])
                checked(world, merge, again=again)
        if all(world.files(clone) == world.files(0) for clone in range(world.clones)):
            break
    else:
        pytest.fail("the clones do not come to the same tree")
    assert set().union(*map(words, last)) - words(world.files(0)) <= world.on_purpose
    return world.files(0)


@often
@given(histories(2, FOLLOWED))
def test_two_clones_end_with_the_same_files_and_nothing_is_lost(steps):
    """Whoever merges, when and how often, also what was fetched long ago."""
    lived(World(2), steps, again=True)


@often
@given(histories(3, FOLLOWED, most=24))
def test_three_clones_that_merge_through_each_other_end_with_the_same_files(steps):
    """Also where several commits are the nearest that two clones share."""
    files = lived(World(3), steps, again=True)
    for path, data in files.items():
        codec.read(data, path)


@often
@given(histories(3, ANYTHING, most=24))
def test_whatever_people_do_to_files_nothing_is_lost(steps):
    """Also ids that are given, taken away or copied, files that cannot be read, and attachments."""
    lived(World(3), steps, again=False)
