"""The decision of a refresh, without a disk: what is looked at again, and what is done about it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.index.plan import COARSE_TICK_NS, FINE_TICK_NS, Known, Plan, Planning, differing, is_settled
from mesh.scan import Snapshot

SECOND = 1_000_000_000
NOW = 1_800_000_000 * SECOND + 7
OLD = NOW - 60 * SECOND + 123_456
STAMP = (10, OLD, OLD, 1)
A, B, C = (letter * 32 for letter in (b"a", b"b", b"c"))


def known(stamp=STAMP, digest=A, settled=True):
    return Known(stamp, settled, digest)


def decide(files, before, disk, unreadable=(), at_once=99):
    """A refresh over `files` (path -> stamp), `disk` (path -> digest) read where one is suspect, some at once."""
    snapshot = Snapshot(files=dict(files), unreadable=dict.fromkeys(unreadable, "no"))
    known, looked_at = differing(snapshot, before.items())
    planning, done = Planning(snapshot, known), Plan()
    for start in range(0, len(looked_at), at_once):
        some = looked_at[start : start + at_once]
        done.extend(planning.of(some, {path: disk[path] for path in some if path in disk}))
    done.extend(planning.rest())
    return done, looked_at


def as_sets(done):
    """A plan as {action: what it is done to}, the empty ones left out."""
    fields = {name: getattr(done, name) for name in Plan.__dataclass_fields__}
    return {name: set(value) for name, value in fields.items() if value}


# --- what must be read -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("why", "before", "stamp", "read"),
    [
        ("unchanged", known(), STAMP, False),
        ("never seen", None, STAMP, True),
        ("another size", known(), (11, OLD, OLD, 1), True),
        ("another mtime", known(), (10, OLD + 1, OLD, 1), True),
        ("a time set back", known(), (10, OLD - SECOND, OLD, 1), True),
        ("same size and mtime, another ctime", known(), (10, OLD, OLD + 1, 1), True),
        ("another inode: replaced by rename", known(), (10, OLD, OLD, 2), True),
        ("racy: hashed when its stamp was young", known(settled=False), STAMP, True),
        ("could not be read last time", known(digest=None), STAMP, True),
    ],
)
def test_a_file_is_read_again_unless_its_old_stamp_is_the_same(why, before, stamp, read):
    """Only a file whose settled stamp is exactly the known one, and which was read, is taken as unchanged."""
    snapshot = Snapshot(files={"ns/a.md": stamp})
    assert differing(snapshot, [("ns/a.md", before)] if before else [])[1] == (["ns/a.md"] if read else []), why


@pytest.mark.parametrize(
    ("why", "mtime", "ctime", "settled"),
    [
        ("a minute old", OLD, OLD, True),
        ("written now", NOW, NOW, False),
        ("one fine tick old", NOW - FINE_TICK_NS, OLD, False),
        ("a little more than a fine tick", NOW - FINE_TICK_NS - 1, OLD, True),
        ("old text, moved here just now", OLD, NOW - 1, False),
        ("from the future", NOW + 3600 * SECOND + 1, OLD, False),
        ("changed in the future", OLD, NOW + 3600 * SECOND, False),
        ("a whole second, one second ago", (NOW // SECOND - 1) * SECOND, OLD, False),
        ("a whole second, three seconds ago", (NOW // SECOND - 3) * SECOND, OLD, True),
        ("1970", 0, OLD, True),
    ],
)
def test_a_stamp_is_settled_once_a_later_write_must_give_another(why, mtime, ctime, settled):
    """A stamp is trusted only when it is older than a tick of the clock that made it, and not from the future."""
    assert is_settled((10, mtime, ctime, 1), NOW) is settled, why


@given(st.integers(0, 2 * NOW), st.integers(0, 2 * NOW), st.integers(0, 2 * NOW))
def test_a_settled_stamp_stays_settled(mtime, ctime, later):
    """Time only ever settles a stamp."""
    stamp = (1, mtime, ctime, 1)
    if is_settled(stamp, NOW):
        assert is_settled(stamp, NOW + later)
        assert max(mtime, ctime) < NOW
    assert not (mtime % SECOND == 0 and is_settled(stamp, mtime + COARSE_TICK_NS))


# --- what is done ------------------------------------------------------------------------------------------------

NEW = (10, OLD + 5, OLD + 5, 2)
TABLE = [
    ("nothing happened", {"n/a.md": STAMP}, {"n/a.md": known()}, {"n/a.md": A}, {}),
    ("a new file", {"n/a.md": STAMP}, {}, {"n/a.md": A}, {"added": {"n/a.md"}}),
    ("an edit", {"n/a.md": NEW}, {"n/a.md": known()}, {"n/a.md": B}, {"changed": {"n/a.md"}}),
    (
        "an edit of the same size and mtime",
        {"n/a.md": (10, OLD, OLD + 9, 1)},
        {"n/a.md": known()},
        {"n/a.md": B},
        {"changed": {"n/a.md"}},
    ),
    (
        "a racy edit that left the same stamp",
        {"n/a.md": STAMP},
        {"n/a.md": known(settled=False)},
        {"n/a.md": B},
        {"changed": {"n/a.md"}},
    ),
    ("a touch", {"n/a.md": NEW}, {"n/a.md": known()}, {"n/a.md": A}, {"restamped": {"n/a.md"}}),
    ("a deletion", {}, {"n/a.md": known()}, {}, {"gone": {"n/a.md"}}),
    ("a rename", {"n/b.md": STAMP}, {"n/a.md": known()}, {"n/b.md": A}, {"moved": {("n/a.md", "n/b.md")}}),
    (
        "a copy",
        {"n/a.md": STAMP, "n/b.md": NEW},
        {"n/a.md": known()},
        {"n/b.md": A},
        {"added": {"n/b.md"}},
    ),
    (
        "a rename and an edit at once",
        {"n/b.md": NEW},
        {"n/a.md": known()},
        {"n/b.md": B},
        {"added": {"n/b.md"}, "gone": {"n/a.md"}},
    ),
    (
        "two names swapped",
        {"n/a.md": (10, OLD, NOW, 2), "n/b.md": (10, OLD, NOW, 1)},
        {"n/a.md": known(), "n/b.md": known((10, OLD, OLD, 2), B)},
        {"n/a.md": B, "n/b.md": A},
        {"changed": {"n/a.md", "n/b.md"}},
    ),
    ("a file that cannot be read", {"n/a.md": NEW}, {"n/a.md": known()}, {"n/a.md": None}, {"unreadable": {"n/a.md"}}),
    ("a new file that cannot be read", {"n/a.md": NEW}, {}, {"n/a.md": None}, {"unreadable": {"n/a.md"}}),
    (
        "a file that can be read again",
        {"n/a.md": STAMP},
        {"n/a.md": known(digest=None)},
        {"n/a.md": A},
        {"changed": {"n/a.md"}},
    ),
    ("deleted between scan and read", {"n/a.md": NEW}, {"n/a.md": known()}, {}, {"gone": {"n/a.md"}}),
    ("new, and deleted between scan and read", {"n/a.md": NEW}, {}, {}, {}),
    (
        "renamed between scan and read of another",
        {"n/a.md": NEW, "n/b.md": STAMP},
        {"n/a.md": known()},
        {"n/b.md": A},
        {"moved": {("n/a.md", "n/b.md")}},
    ),
]


@pytest.mark.parametrize(("files", "before", "disk", "done"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_each_thing_that_can_happen_to_a_file_has_its_action(files, before, disk, done):
    """The table of everything that people and programs do to files, and what a refresh makes of it."""
    result, _ = decide(files, before, disk)
    assert as_sets(result) == done
    assert bool(result) is bool(done)


def test_two_renamed_twins_are_two_moves():
    """Files of the same bytes are paired one to one, whichever with whichever."""
    before = {"n/a.md": known(), "n/b.md": known()}
    result, _ = decide({"n/c.md": STAMP, "n/d.md": STAMP}, before, {"n/c.md": A, "n/d.md": A})
    assert {old for old, _ in result.moved} == {"n/a.md", "n/b.md"}
    assert {new for _, new in result.moved} == {"n/c.md", "n/d.md"}
    assert not result.added and not result.gone


def test_one_file_copied_twice_and_deleted_is_one_move_and_one_new_file():
    """A file that is gone becomes one of its copies, never both."""
    result, _ = decide({"n/c.md": STAMP, "n/d.md": STAMP}, {"n/a.md": known()}, {"n/c.md": A, "n/d.md": A})
    assert len(result.moved) == 1 and len(result.added) == 1 and not result.gone


def test_what_lies_in_a_folder_that_cannot_be_listed_is_not_gone():
    """An unreadable folder hides its files; it does not delete them, nor those of a folder with a longer name."""
    before = {"n/deep/a.md": known(), "n/deep/er/b.md": known(digest=B), "n/deeper/c.md": known(digest=C)}
    result, _ = decide({}, before, {}, unreadable=["n/deep/"])
    assert as_sets(result) == {"unreadable": {"n/deep/a.md", "n/deep/er/b.md"}, "gone": {"n/deeper/c.md"}}


def test_a_hidden_file_is_never_the_source_of_a_move():
    """A new file with the bytes of one in an unreadable folder is a new file: the other may still be there."""
    result, _ = decide({"n/b.md": STAMP}, {"n/deep/a.md": known()}, {"n/b.md": A}, unreadable=["n/deep/"])
    assert as_sets(result) == {"unreadable": {"n/deep/a.md"}, "added": {"n/b.md"}}


PATHS = st.sampled_from([f"n/{folder}{name}.md" for folder in ("", "s/", "s/t/") for name in "abc"])
STAMPS = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.integers(0, 2))
DIGESTS = st.sampled_from([A, B, C, None])


@given(
    st.dictionaries(PATHS, STAMPS),
    st.dictionaries(PATHS, st.builds(Known, STAMPS, st.booleans(), DIGESTS)),
    st.dictionaries(PATHS, DIGESTS),
    st.sets(st.sampled_from(["n/s/", "n/s/t/"])),
    st.integers(1, 9),
)
def test_a_plan_partitions_the_paths(files, before, disk, unreadable, at_once):
    """Every path stands in one action at most, every action is justified, and what follows is the new truth."""
    files = {path: stamp for path, stamp in files.items() if not path.startswith(tuple(unreadable) or ("\0",))}
    result, looked_at = decide(files, before, disk, unreadable, at_once)
    olds, news = [old for old, _ in result.moved], [new for _, new in result.moved]
    stands = [
        *result.added, *result.changed, *result.gone, *result.unreadable, *result.restamped, *olds, *news,
    ]  # fmt: skip
    assert len(stands) == len(set(stands))

    there = {path for path in files if path not in looked_at or path in disk}
    hidden = {path for path in before if path not in files and path.startswith(tuple(unreadable) or ("\0",))}
    assert (set(before) - set(result.gone) - set(olds)) | set(result.added) | set(news) | set(
        result.unreadable
    ) == there | hidden
    for path in set(files) - set(stands):
        assert path not in looked_at or path not in disk, "an unchanged file stands in no action"
    for old, new in result.moved:
        assert before[old].digest == disk[new] and new not in before
    for path in result.restamped:
        assert before[path].digest == disk[path]
