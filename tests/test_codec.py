"""What a revision does to the bytes of a file, and that what is written is what is read."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mesh.codec import read, render, revise
from mesh.errors import MeshError
from mesh.memory import TYPES, Memory, normalised

PATH = "shared/team/x.md"


def revised(data, changes=None, content=None):
    return revise(data, PATH, changes or {}, content)


# --- before and after, byte for byte -------------------------------------------------------------------------

KEYS_BEFORE_AND_AFTER = {
    "a new key goes to the end": (
        b"---\ntype: fact\nmine: 1\n---\nBody.\n",
        {"agent": "bob"},
        b"---\ntype: fact\nmine: 1\nagent: bob\n---\nBody.\n",
    ),
    "a removed key takes its line along": (
        b"---\ntype: fact\nagent: bob\nmine: 1\n---\nBody.\n",
        {"agent": None},
        b"---\ntype: fact\nmine: 1\n---\nBody.\n",
    ),
    "the last key leaves empty front matter": (
        b"---\nagent: bob\n---\nBody.\n",
        {"agent": None},
        b"---\n---\nBody.\n",
    ),
    "the comment behind a value stays": (
        b"---\ntype: fact  # for now\n---\nBody.\n",
        {"type": "decision"},
        b"---\ntype: decision  # for now\n---\nBody.\n",
    ),
    "comments in lines of their own stay": (
        b"---\n# top\ntype: fact\n  # indented\n\n# middle\nagent: a\n# end\n---\nBody.\n",
        {"type": "decision", "agent": "b"},
        b"---\n# top\ntype: decision\n  # indented\n\n# middle\nagent: b\n# end\n---\nBody.\n",
    ),
    "a trailing comment stays above an indented one": (
        b"---\ntype: fact # for now\n  # or ever\nagent: a\n---\nBody.\n",
        {"type": "decision"},
        b"---\ntype: decision # for now\n  # or ever\nagent: a\n---\nBody.\n",
    ),
    "double quotes stay": (
        b'---\ntitle: "Old"\n---\nBody.\n',
        {"title": "New"},
        b'---\ntitle: "New"\n---\nBody.\n',
    ),
    "single quotes stay, with their comment": (
        b"---\ntitle: 'Old' # mine\n---\nBody.\n",
        {"title": "New"},
        b"---\ntitle: 'New' # mine\n---\nBody.\n",
    ),
    "quotes inside double quotes are escaped": (
        b'---\ntitle: "Old"\n---\nBody.\n',
        {"title": 'a "b" \\ c'},
        b'---\ntitle: "a \\"b\\" \\\\ c"\n---\nBody.\n',
    ),
    "a hash inside quotes is no comment": (
        b'---\ntitle: "a # b" # c\n---\nBody.\n',
        {"title": "d"},
        b'---\ntitle: "d" # c\n---\nBody.\n',
    ),
    "the spaces behind the colon stay": (
        b"---\ntype:   fact\ntitle:  'x'\n---\nBody.\n",
        {"type": "error"},
        b"---\ntype:   error\ntitle:  'x'\n---\nBody.\n",
    ),
    "a key without a value gets one": (
        b"---\ntitle:\nagent: # who\n---\nBody.\n",
        {"title": "New"},
        b"---\ntitle: New\nagent: # who\n---\nBody.\n",
    ),
    "the comment behind a missing value stays": (
        b"---\nagent: # who\n---\nBody.\n",
        {"agent": "bob"},
        b"---\nagent: bob # who\n---\nBody.\n",
    ),
    "a quoted key stays quoted": (
        b'---\n"type": fact\n---\nBody.\n',
        {"type": "error"},
        b'---\n"type": error\n---\nBody.\n',
    ),
    "CRLF stays": (
        b"---\r\ntype: fact # x\r\n---\r\nBody.\r\n",
        {"type": "error", "agent": "bob"},
        b"---\r\ntype: error # x\r\nagent: bob\r\n---\r\nBody.\r\n",
    ),
    "line ends that differ stay different": (
        b"---\r\ntype: fact\n# same\r\n# same\nagent: a\r\n---\nBody.\r\n",
        {"agent": "b"},
        b"---\r\ntype: fact\n# same\r\n# same\nagent: b\r\n---\nBody.\r\n",
    ),
    "a changed line keeps its own line end": (
        b"---\ntype: fact\r\nagent: a\n---\nBody.\n",
        {"type": "error"},
        b"---\ntype: error\r\nagent: a\n---\nBody.\n",
    ),
    "the byte order mark stays first": (
        b"\xef\xbb\xbf---\ntype: fact\n---\nBody.\n",
        {"type": "error"},
        b"\xef\xbb\xbf---\ntype: error\n---\nBody.\n",
    ),
    "blanks behind the fences stay": (
        b"--- \t\ntype: fact\n---  \nBody.\n",
        {"type": "error"},
        b"--- \t\ntype: error\n---  \nBody.\n",
    ),
    "a fence that ends the file stays": (
        b"---\ntype: fact\n---",
        {"agent": "bob"},
        b"---\ntype: fact\nagent: bob\n---",
    ),
    "a tag is added to a flow list": (
        b"---\ntags: [a, 'b c', \"d\"] # why\n---\nBody.\n",
        {"tags": ["a", "b c", "d", "e"]},
        b"---\ntags: [a, 'b c', \"d\", e] # why\n---\nBody.\n",
    ),
    "a tag is taken from a flow list": (
        b"---\ntags: [a, 'b c', \"d\"] # why\n---\nBody.\n",
        {"tags": ["a", "d"]},
        b'---\ntags: [a, "d"] # why\n---\nBody.\n',
    ),
    "an item with a comma stays whole": (
        b"---\nevidence: ['a, b', \"c\", d]\n---\nBody.\n",
        {"evidence": ["a, b", "c", "e"]},
        b"---\nevidence: ['a, b', \"c\", e]\n---\nBody.\n",
    ),
    "a tag is added to an indented block list": (
        b"---\ntags:\n    - a # first\n    # between\n    - 'b'\ntype: fact\n---\nBody.\n",
        {"tags": ["a", "b", "c"]},
        b"---\ntags:\n    - a # first\n    # between\n    - 'b'\n    - c\ntype: fact\n---\nBody.\n",
    ),
    "a tag is added to a block list at the margin": (
        b"---\ntags:\n- a\n-  b\n---\nBody.\n",
        {"tags": ["a", "b", "c"]},
        b"---\ntags:\n- a\n-  b\n- c\n---\nBody.\n",
    ),
    "a tag is taken from a block list": (
        b'---\ntags: # mine\n  - a\n  - b # gone\n  - "c" # stays\n---\nBody.\n',
        {"tags": ["a", "c"]},
        b'---\ntags: # mine\n  - a\n  - "c" # stays\n---\nBody.\n',
    ),
    "a block list in CRLF grows in CRLF": (
        b"---\r\ntags:\r\n  - a\r\n---\r\nBody.\r\n",
        {"tags": ["a", "b"]},
        b"---\r\ntags:\r\n  - a\r\n  - b\r\n---\r\nBody.\r\n",
    ),
    "tags set to what they were change nothing": (
        b"---\ntags: [ a,b , 'c' ]\n---\nBody.\n",
        {"tags": ["a", "b", "c"]},
        b"---\ntags: [ a,b , 'c' ]\n---\nBody.\n",
    ),
    "tags with commas that stay the same change nothing": (
        b"---\ntags: a,b , c\n---\nBody.\n",
        {"tags": ["a", "b", "c"]},
        b"---\ntags: a,b , c\n---\nBody.\n",
    ),
    "tags with hashes that stay the same change nothing": (
        b"---\ntags: ['#a', b]\n---\nBody.\n",
        {"tags": ["a", "b"]},
        b"---\ntags: ['#a', b]\n---\nBody.\n",
    ),
    "a note without front matter gets some before its body": (
        b"\n# Title\n\nText",
        {"type": "error", "tags": ["a", "b"]},
        b"---\ntype: error\ntags: [a, b]\n---\n\n# Title\n\nText",
    ),
    "a note in CRLF gets front matter in CRLF": (
        b"# Title\r\n\r\nText\r\n",
        {"type": "error"},
        b"---\r\ntype: error\r\n---\r\n# Title\r\n\r\nText\r\n",
    ),
    "new front matter comes behind the byte order mark": (
        b"\xef\xbb\xbf# Title\n",
        {"type": "error"},
        b"\xef\xbb\xbf---\ntype: error\n---\n# Title\n",
    ),
    "a thematic break becomes body": (
        b"---\n\nText\n",
        {"type": "error"},
        b"---\ntype: error\n---\n---\n\nText\n",
    ),
    "empty front matter is filled": (
        b"---\n---\nBody.\n",
        {"type": "error"},
        b"---\ntype: error\n---\nBody.\n",
    ),
    "structures of the user's stay": (
        b"---\nmap: {a: 1,  b: [x,y]}\ntype: fact\nblock:\n   deep:\n   - 'x'\n---\nBody.\n",
        {"type": "error"},
        b"---\nmap: {a: 1,  b: [x,y]}\ntype: error\nblock:\n   deep:\n   - 'x'\n---\nBody.\n",
    ),
    "a value of several lines gives way to one": (
        b"---\ntitle: >-\n  old\n  title\n# next\nagent: a\n---\nBody.\n",
        {"title": "New"},
        b"---\ntitle: New\n# next\nagent: a\n---\nBody.\n",
    ),
    "hyphens inside a block are no fence": (
        b"---\nnote: |\n  ---\n  x\ntype: fact\n---\nBody.\n",
        {"type": "error"},
        b"---\nnote: |\n  ---\n  x\ntype: error\n---\nBody.\n",
    ),
    "the same value changes nothing": (
        b"---\ntype:   'fact'   # x\n---\nBody.\n",
        {"type": "fact"},
        b"---\ntype:   'fact'   # x\n---\nBody.\n",
    ),
    "an absent key is not removed": (
        b"---\ntype: fact\n---\nBody.\n",
        {"agent": None},
        b"---\ntype: fact\n---\nBody.\n",
    ),
    "removing from a note without front matter adds none": (
        b"Body.\n",
        {"agent": None, "tags": None},
        b"Body.\n",
    ),
}


@pytest.mark.parametrize("law", KEYS_BEFORE_AND_AFTER)
def test_a_changed_key_changes_these_bytes(law):
    """Each pair is a law of FORMAT.md 7: a change touches only the lines it must."""
    before, changes, after = KEYS_BEFORE_AND_AFTER[law]
    assert revised(before, changes) == after


CONTENT_BEFORE_AND_AFTER = {
    "the front matter stays": (
        b"---\ntype:  'fact' # x\n---\nOld.\n",
        "New.",
        b"---\ntype:  'fact' # x\n---\nNew.\n",
    ),
    "blank lines behind the fence stay": (
        b"---\ntype: fact\n---\n\n \nOld.\n",
        "New.\n\nMore.",
        b"---\ntype: fact\n---\n\n \nNew.\n\nMore.\n",
    ),
    "blank lines at the top of a plain note stay": (
        b"\n\nOld.\n",
        "New.",
        b"\n\nNew.\n",
    ),
    "a missing final newline stays missing": (
        b"---\ntype: fact\n---\n\nOld.",
        "New.",
        b"---\ntype: fact\n---\n\nNew.",
    ),
    "a final newline in the new content adds none": (
        b"Old.",
        "New.\n",
        b"New.",
    ),
    "CRLF stays": (
        b"---\r\ntype: fact\r\n---\r\n\r\nOld.\r\n",
        "New.\n\nMore.",
        b"---\r\ntype: fact\r\n---\r\n\r\nNew.\r\n\r\nMore.\r\n",
    ),
    "CRLF stays in a plain note": (
        b"Old.\r\nOlder.\r\n",
        "New.\nNewer.",
        b"New.\r\nNewer.\r\n",
    ),
    "CRLF in new content becomes the file's LF": (
        b"Old.\n",
        "New.\r\nMore.",
        b"New.\nMore.\n",
    ),
    "the byte order mark stays": (
        b"\xef\xbb\xbfOld.\n",
        "New.",
        b"\xef\xbb\xbfNew.\n",
    ),
    "the indentation of the first line is content": (
        b"---\ntype: fact\n---\nOld.\n",
        "    code\nmore",
        b"---\ntype: fact\n---\n    code\nmore\n",
    ),
    "an empty body gets a line": (
        b"---\ntype: fact\n---\n",
        "New.",
        b"---\ntype: fact\n---\nNew.\n",
    ),
    "the same content changes nothing": (
        b"---\ntype: fact\n---\n\n\nOld.\r\nOlder.  \n\n\n",
        "Old.\nOlder.",
        b"---\ntype: fact\n---\n\n\nOld.\r\nOlder.  \n\n\n",
    ),
}


@pytest.mark.parametrize("law", CONTENT_BEFORE_AND_AFTER)
def test_new_content_changes_these_bytes(law):
    """Only the text itself: not what stands before it, not how the file ends."""
    before, content, after = CONTENT_BEFORE_AND_AFTER[law]
    assert revised(before, content=content) == after


def test_keys_and_content_change_together():
    """One revision, one file."""
    after = revised(b"---\ntype: fact # x\n---\n\nOld.\n", {"type": "error"}, content="New.")
    assert after == b"---\ntype: error # x\n---\n\nNew.\n"


def test_tags_with_commas_stay_one_string():
    """A tag joins the others in the way they are written."""
    after = revised(b"---\ntags: a, b # mine\ntype: fact\n---\nBody.\n", {"tags": ["a", "b", "c"]})
    assert after == b"---\ntags: a, b, c # mine\ntype: fact\n---\nBody.\n"


def test_content_behind_a_fence_without_newline_starts_a_line():
    """Front matter that ends the file must not swallow the text that follows."""
    after = revised(b"---\ntype: decision\n---", content="New.")
    memory = read(after, PATH)
    assert (memory.type, memory.content) == ("decision", "New.")
    assert after.startswith(b"---\ntype: decision\n---\n")


@pytest.mark.parametrize("old", ['"a\n  # b"', '"a\n# b"', "'a\n\n  # b'", "|\n  a\n  # b", ">\n  # b", "\n  # c\n  a"])
def test_no_line_of_an_old_value_stays_behind(old):
    """What looks like a comment inside quotes or a block is part of the value, and goes with it."""
    before = f"---\ntype: error\ntitle: {old}\nagent: x\n---\nBody.\n".encode()
    assert revised(before, {"title": None}) == b"---\ntype: error\nagent: x\n---\nBody.\n"
    after = revised(before, {"title": "New"})
    assert b"# b" not in after
    assert read(after, PATH).title == "New"


# --- what is set is what is read -------------------------------------------------------------------------------

# One value each, with two spaces or a line end between them.
VISIBLE = r"""
yes: no  #x  - a  [x  {x}  a #b  a:  &a  *a  !a  | a  > a  @a  `a`  %a  ? a  NO  1.10  12:30  0x10  true  2026-01-31
it's  say "hi"  back\slash  'quoted'  "quoted"  ---  --- a  ...  <<  =  ,  a, b  ]  -  🚀
"""
NEEDS_QUOTES = [
    *re.split("  |\n", VISIBLE.strip()),
    "",
    "two\nlines",
    "a\n---\nb",
    "x\r\ny",
    "tab\there",
    "x\u0007",
]
NEEDS_QUOTES += ["x\u2028y", "x\u0085y", "x\u00a0y", "\ufeffx"]
BEFORE = [
    b"Body.\n",
    b"---\ntype: decision\n---\nBody.\n",
    b"---\ntitle: old # c\n---\nBody.\n",
    b'---\ntitle: "old"\n---\nBody.\n',
    b"---\ntitle: 'old' # c\r\n---\r\nBody.\r\n",
    b"---\ntitle: |\n  old\n---\nBody.\n",
    b"---\ntitle:\n---\nBody.\n",
]


@pytest.mark.parametrize("value", NEEDS_QUOTES)
def test_a_value_that_needs_quotes_is_read_as_it_was_set(value):
    """Whatever stood there before, and however it was quoted."""
    for before in BEFORE:
        memory = read(revised(before, {"title": value}), PATH)
        assert memory.title == value
        assert memory.content == "Body."
        assert not memory.problems


@pytest.mark.parametrize("value", [" leading", "trailing ", "\tx", "x\n", "\u2028x", "x\u0085", "\u00a0x"])
def test_white_space_around_a_value_is_read_as_it_was_set(value):
    """A scalar is the characters that stand there; quotes keep those that YAML would drop."""
    for before in BEFORE:
        assert read(revised(before, {"title": value}), PATH).title == value


LIST_BEFORE = [
    b"Body.\n",
    b"---\nevidence: old\n---\nBody.\n",
    b"---\nevidence: [old, 'b'] # c\n---\nBody.\n",
    b"---\nevidence: []\n---\nBody.\n",
    b"---\nevidence:\n- old\n- 'b'\n---\nBody.\n",
    b"---\nevidence:\n  - old # c\n  - b\n---\nBody.\n",
    b"---\nevidence: [old,\n  'b']\n---\nBody.\n",
]


@pytest.mark.parametrize("value", [value for value in NEEDS_QUOTES if value])
def test_an_item_that_needs_quotes_is_read_as_it_was_set(value):
    """In new lists and in those that exist, in both forms."""
    for before in LIST_BEFORE:
        for items in ([value], ["b", value], ["old", "b", value]):
            memory = read(revised(before, {"evidence": items}), PATH)
            assert memory.evidence == tuple(items)
            assert memory.content == "Body."


@pytest.mark.parametrize("before", LIST_BEFORE)
@pytest.mark.parametrize("items", ["b old", "new old", "old new b", "b", "b new old", "old old"])
def test_a_list_is_read_in_the_order_it_was_set(before, items):
    """Also where that is not the order of the lines that are there."""
    assert read(revised(before, {"evidence": items.split()}), PATH).evidence == tuple(items.split())


TEXT = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
WORDS = st.text(TEXT, max_size=30).map(str.strip)
NOT_NOTHING = WORDS.filter(lambda text: text not in ("", "~", "null"))
CONTENTS = st.text(TEXT, max_size=80).filter(lambda text: normalised(text) == text)
BLOCK = "note: |\n  block\n  ---"
PIECES = [
    "# comment",
    "",
    "  # indented",
    "mine: x # y",
    BLOCK,
    "type: fact # t",
    "title: 'a' # b",
    'title: "a"',
]
PIECES += [
    "title: >\n  a\n  b",
    "tags: [a, 'b', c] # d",
    "tags:\n- a # x\n- 'b'",
    "tags:\n  - a\n\n  # y\n  - b",
]
PIECES += ["tags: a, b", "evidence: x", "confidence: 0.5", "größe: 3", '"agent": bob']
HEADERS = st.lists(
    st.sampled_from(PIECES),
    max_size=6,
    unique_by=lambda piece: piece.partition(":")[0].strip('"') if piece[:1].isalnum() else piece,
)
CHANGES = st.dictionaries(st.sampled_from(["title", "agent", "source"]), st.none() | NOT_NOTHING, max_size=2)
LIST_CHANGES = st.dictionaries(
    st.sampled_from(["tags", "evidence"]),
    st.none() | st.lists(st.sampled_from(["a", "b", "c", "d e", "f, g", "'h'"]), min_size=1, max_size=4, unique=True),
)


@given(HEADERS, CHANGES, LIST_CHANGES, st.sampled_from([b"\n", b"\r\n"]))
@example(["title: 'a' # b"], {"title": "it's\n\nx"}, {}, b"\r\n")
def test_a_revision_gives_what_was_asked_and_only_once(header, changes, lists, newline):
    """The values read back, the lines of other keys stay, and the same revision again changes nothing."""
    assume(not {BLOCK, "  # indented"} <= {*header})  # that comment would become text of the block
    text = "".join(line + "\n" for line in header)
    before = f"---\n{text}---\n\nBody.\n".encode().replace(b"\n", newline)
    wanted = {**changes, **lists}
    once = revised(before, wanted)
    memory = read(once, PATH)
    for key, value in changes.items():
        assert getattr(memory, key) == (value or "")
    for key, value in lists.items():
        assert getattr(memory, key) == tuple(value or ())
    assert memory.extra == read(before, PATH).extra
    assert once.endswith(newline + b"---" + newline * 2 + b"Body." + newline)
    for line in (
        b"mine: x # y",
        b"# comment",
        "größe: 3".encode(),
        b"note: |" + newline + b"  block" + newline,
    ):
        assert once.count(line) == before.count(line)
    assert revised(once, wanted) == once


@given(CONTENTS, st.sampled_from(BEFORE))
@example("---\ntype: error\n---\nText", b"Body.\n")
@example("---\ntype: error", b"Body.\n")
@example("---", b"Body.")
@example("<<<<<<< a\n=======\n>>>>>>> b", b"Body.\n")
@example("\ufeffx", b"Body.\n")
@example("a\rb", b"Body.\r\n")
@example("a\r", b"Body.\r\n")
@example("\r\x0c", b"Body.\r\n")
def test_new_content_is_read_as_it_was_given_or_refused(content, before):
    """Text that would be taken for front matter or a merge must not reach the file unnoticed."""
    try:
        after = revised(before, content=content)
    except MeshError:
        return
    memory, old = read(after, PATH), read(before, PATH)
    assert memory.content == normalised(content)
    assert (memory.type, memory.title, memory.extra) == (old.type, old.title, old.extra)


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_text_that_is_no_text_is_refused(text):
    """A NUL or half a surrogate would make a file that no reader takes."""
    for changes, content in (({"title": text}, None), ({}, text)):
        try:
            after = revised(b"---\ntype: fact\n---\nBody.\n", changes, content)
        except MeshError:
            continue
        assert text in (read(after, PATH).title, read(after, PATH).content)


# --- new files -------------------------------------------------------------------------------------------------

IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{3,63}", fullmatch=True)
TIMES = st.none() | st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0))
TAGS = NOT_NOTHING.map(lambda text: text.lstrip("#").strip()).filter(lambda tag: tag not in ("", "~", "null"))
ITEMS = st.lists(NOT_NOTHING, max_size=4).map(tuple)
LINES = WORDS.filter(lambda text: text not in ("~", "null"))
MEMORIES = st.builds(
    Memory,
    id=IDS,
    content=CONTENTS.filter(bool),
    path=st.just(PATH),
    type=st.sampled_from(TYPES),
    tags=st.lists(TAGS, max_size=4, unique=True).map(tuple),
    agent=LINES,
    created=TIMES,
    updated=TIMES,
    confidence=st.integers(0, 1000).map(lambda thousandths: thousandths / 1000),
    expires=TIMES,
    supersedes=ITEMS,
    source=LINES,
    evidence=ITEMS,
    title=LINES,
    local_only=st.booleans(),
)


@given(MEMORIES)
@example(Memory(id="abcd", content="x", path=PATH, title="x\u2028y"))
@example(Memory(id="0123", content="---\ntype: error\n---", path=PATH, agent="a\r\nb"))
def test_what_is_rendered_is_what_is_read(memory):
    """Every field of every valid memory survives the way through a file."""
    assert read(render(memory), PATH) == memory


@given(MEMORIES)
def test_a_rendered_file_is_edited_like_any_other(memory):
    """A revision without changes, and one that sets what is there, leave it alone."""
    data = render(memory)
    assert revised(data) == data
    assert revised(data, {"id": memory.id}, content=memory.content) == data


FULL = Memory(
    id="01jd9k2m3n4p5q6r",
    content="# Deploys\n\nThey go through the queue.",
    path=PATH,
    type="decision",
    tags=("deploy", "on call"),
    agent="claude",
    created=datetime(2026, 1, 31, 10, 20, 30, tzinfo=UTC),
    updated=datetime(2026, 2, 1, tzinfo=UTC),
    confidence=0.75,
    expires=datetime(2027, 1, 31, tzinfo=UTC),
    supersedes=("older-note", "oldest"),
    source="https://example.test/a#b",
    evidence=("commit 1a2b3c", "a, b"),
    local_only=True,
    title="Deploys: the queue",
)


def test_a_new_file_looks_like_this():
    """Keys in their order, times in UTC to the second, quotes only where they are needed."""
    assert render(FULL).decode() == (
        "---\n"
        "id: 01jd9k2m3n4p5q6r\n"
        "type: decision\n"
        "tags: [deploy, on call]\n"
        "agent: claude\n"
        "created: 2026-01-31T10:20:30Z\n"
        "updated: 2026-02-01T00:00:00Z\n"
        "confidence: 0.75\n"
        "expires: 2027-01-31T00:00:00Z\n"
        "supersedes: [older-note, oldest]\n"
        "source: https://example.test/a#b\n"
        'evidence: [commit 1a2b3c, "a, b"]\n'
        "local_only: true\n"
        'title: "Deploys: the queue"\n'
        "---\n"
        "# Deploys\n\nThey go through the queue.\n"
    )


def test_a_new_file_holds_no_defaults():
    """Only the id is always there."""
    text = render(Memory(id="01jd9k2m3n4p5q6r", content="Text.", path=PATH)).decode()
    head, _, body = text.removeprefix("---\n").partition("---\n")
    assert head == "id: 01jd9k2m3n4p5q6r\n"
    assert body.strip() == "Text."


@pytest.mark.parametrize("title", "NO 1.10 2026-01-31 12:30 yes 0x10 ~x null on 1e3 off".split())
def test_a_new_file_says_the_same_to_a_yaml_reader_with_types(title):
    """Obsidian and its like must see the string too: what they would take for something else is quoted."""
    yaml = pytest.importorskip("yaml")
    data = render(Memory(id="0123", content="Text.", path=PATH, title=title, tags=(title,)))
    header = data.decode().split("---\n")[1]
    assert yaml.safe_load(header) == {"id": "0123", "title": title, "tags": [title]}
