"""The changes that a feed tells are just those that lead from one look to the next."""

from hypothesis import given
from hypothesis import strategies as st

from mesh.differences import MOST, RESET, Change, Known, compare, filled, gone, shared

IDS = [f"id-{letter}" for letter in "abcdefg"]
PATHS = [f"shared/{letter}.md" for letter in "abcdefg"]
files = st.dictionaries(
    st.sampled_from(PATHS),
    st.builds(
        Known,
        stamp=st.tuples(*[st.integers(0, 1)] * 4),
        settled=st.booleans(),
        digest=st.sampled_from([b"1", b"2"]),
        id=st.sampled_from(IDS),
        local_only=st.booleans(),
    ),
)


def known(memory_id, digest=b"1", *, stamp=(1, 1, 1, 1), local_only=False):
    return Known(stamp, True, digest, memory_id, local_only)


def applied(ids, changes):
    """What somebody who follows the events holds in the end: the id of each path."""
    ids = dict(ids)
    for one in changes:
        if one.kind == "removed":
            assert ids[one.path] == one.id
            del ids[one.path]
        elif one.kind == "added":
            assert one.path not in ids
            ids[one.path] = one.id
        elif ids.get(one.path) != one.id:  # it came from another path
            old = [path for path, other in ids.items() if other == one.id]
            assert len(old) <= 1, "nobody can tell which of them it was"
            ids = {path: other for path, other in ids.items() if other != one.id} | {one.path: one.id}
    return ids


def ids(files):
    return {path: one.id for path, one in files.items()}


@given(files, files)
def test_who_applies_the_changes_to_the_old_look_has_the_new_one(before, after):
    """Whatever was edited, moved, swapped, copied or removed, and for both audiences."""
    assert applied(ids(before), compare(before, after)) == ids(after)
    assert applied(ids(shared(before)), compare(shared(before), shared(after))) == ids(shared(after))


@given(files, files)
def test_what_did_not_change_is_not_told(before, after):
    """A file is told of only if its bytes, its path or its audience are others."""
    told = {one.path for one in compare(before, after)}
    same = {path for path in before if path in after and before[path][2:] == after[path][2:]}
    assert not told & same
    assert compare(before, before) == []


@given(files, files)
def test_those_who_may_not_hear_of_local_only_hear_nothing_of_it(before, after):
    """Not its id, not its path; but one that turns local_only is removed for them."""
    for one in compare(shared(before), shared(after)):
        local = (before if one.kind == "removed" else after)[one.path].local_only
        assert not local and not one.local_only


@given(files, files)
def test_what_is_gone_is_neither_there_nor_elsewhere(before, after):
    """A moved file need not be waited for, and its id says that it was moved."""
    came = {one.id for path, one in after.items() if path not in before}
    for path in gone(before, after):
        assert path in before and path not in after and before[path].id not in came
    assert {path for path in before if path not in after and before[path].id not in came} == gone(before, after)


def test_a_touch_is_no_change():
    """Another stamp, the same bytes."""
    assert compare({"a.md": known("aaaa")}, {"a.md": known("aaaa", stamp=(2, 2, 2, 2))}) == []


def test_a_renamed_and_edited_file_is_one_change():
    """Its id makes it the same memory, in whatever case somebody wrote it."""
    assert compare({"a.md": known("aaaa")}, {"b.md": known("AAAA", b"2")}) == [Change("changed", "AAAA", "b.md")]


def test_a_file_with_another_id_is_another_memory():
    """One is removed, one is added, at the same path."""
    changes = compare({"a.md": known("aaaa")}, {"a.md": known("bbbb")})
    assert changes == [Change("removed", "aaaa", "a.md"), Change("added", "bbbb", "a.md")]


def test_too_many_changes_are_a_reset():
    """More than anybody would want to hear one by one."""
    many = {f"{number}.md": known(f"id-{number}") for number in range(MOST + 1)}
    assert compare({}, many) == [RESET]
    assert len(compare({}, dict(list(many.items())[:MOST]))) == MOST


def test_a_file_that_changed_before_it_was_read_is_a_reset():
    """Nobody knows what it was; one that is as it was listed is no change."""
    listed = {"a.md": Known((1, 1, 1, 1), False, b"", "", False)}
    assert compare(filled(listed, {}), {}) == [RESET]
    assert compare(filled(listed, {"a.md": known("aaaa", stamp=(2, 1, 1, 1))}), {"a.md": known("aaaa")}) == [RESET]
    assert compare(filled(listed, {"a.md": known("aaaa")}), {"a.md": known("aaaa")}) == []
