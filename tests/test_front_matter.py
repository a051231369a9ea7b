"""The two parsers of front matter agree, and nothing but their own errors leaves them."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mesh.codec import read, revise
from mesh.errors import MalformedMemory
from mesh.front_matter.parse import FrontMatterError, parse_strict, parse_yaml
from mesh.memory import Memory

PATH = "shared/x.md"

KEYS = st.sampled_from(
    [
        "id",
        "type",
        "tags",
        "title",
        "a",
        "b-c",
        "_d",
        "größe",
        "my key",
        '"type"',
        "'a'",
        "1",
        "<<",
        "url:x",
        "true",
    ]
)
# One value or item each, with two spaces or a line end between them.
VISIBLE = r"""
x  two words  NO  1.10  ~  12:30  a:b  C#  it's  say "hi"  é  日本  🚀  - x  -x  -  ?  ? x  a?  : x  x:  x: y  #x
x #y  x#y  # [y]  #  [  ]  [x  x]  {x  x}  &a  &a x  *a  !x  ! x  !!str x  |  >  |-  @x  `x`  %x  %YAML 1.2  ...
---  --- x  '  "  'x  "x  x'  ''  ""  'it''s'  "a\n"  "a\  'a' b  'a'#b  'a' #b  a\  =  <<  ,  a, b  []  [ ]  [a]
[a, b]  [a,b]  [a,,b]  [a, b] #c  [a]#c  [a] b  ['a, b', c]  [a, [b]]  [a: b]  [a:b]  [#a]  [a #b]  [a#b]  [a b]
[-a]  [a?]  [?a]  [a'b]  ['a''b']  ['a'b]  [~]  [&a]  [a, ]  [, a]  {}  {a: b}  {a: b, a: c}  [*a]  [!a]  [@a]
[a|b]  [=]
"""
INVISIBLE = [
    "x\u3000y",
    "\u3000",
    "\u1680",
    "x\u3000#y",
    "\u00a0",
    "x\u00a0y",
    "x\u2028y",
    "x\u0085y",
    "x\u200by",
]
INVISIBLE += ["\ufeffx", "x\ty", "\tx", "x\t", "\t#x", "x\rtype: y", "x\x0cy", "x\x07y", "\ue000", "\ufffe"]
WORDS = st.sampled_from(re.split("  |\n", VISIBLE.strip()) + INVISIBLE)
BLANKS = st.sampled_from(["", " ", "  ", "    ", "\t", " \t", "\u3000"])
USUAL_BLANKS = st.sampled_from(["", "", "", " ", "  "])
LINES = st.one_of(
    st.builds("{}: {}".format, KEYS, WORDS),
    st.builds("{}{}:{}{}{}".format, USUAL_BLANKS, KEYS, BLANKS, WORDS, USUAL_BLANKS),
    st.builds("{}:{}".format, KEYS, USUAL_BLANKS),
    st.builds("{}- {}".format, USUAL_BLANKS, WORDS),
    st.builds("{}-{}{}".format, BLANKS, BLANKS, WORDS),
    st.builds("{}#{}".format, BLANKS, WORDS),
    st.builds("{}{}".format, BLANKS, WORDS),
)
HEADERS = st.lists(LINES, max_size=8).map(lambda lines: "".join(line + "\n" for line in lines))
FLAT_LINES = st.one_of(
    st.builds("{}: {}".format, st.text("abcdef", min_size=1, max_size=3), WORDS),
    st.builds("{}:".format, st.text("ghi", min_size=1, max_size=3)),
    st.builds("{}- {}".format, st.sampled_from(["", "  "]), WORDS),
    st.sampled_from(["# comment", "", "  # indented", "k: # [c]"]),
)
FLAT_HEADERS = st.lists(FLAT_LINES, max_size=6).map(lambda lines: "".join(line + "\n" for line in lines))
INDICATORS = st.text(alphabet="ab:-#,[]{}'\"\\&*!|>%@`~?=<. \t\n", max_size=60)


def outcome(parser, header):
    """What a parser makes of a header; every refusal is like another."""
    try:
        return parser(header)
    except FrontMatterError as error:
        assert error.line >= 0
        assert error.reason
        return "refused"


def assert_they_agree(header):
    fast = outcome(parse_strict, header)
    assert fast is None or fast == outcome(parse_yaml, header)


@given(HEADERS)
def test_the_parsers_agree_on_mixed_headers(header):
    """The fast parser declines, or finds the values and lines that YAML finds."""
    assert_they_agree(header)


@given(FLAT_HEADERS)
@example("a: # [x]\n")
@example("a: # [x]\n- b\n")
@example("a:\n-  b\n  \n- c\n")
@example("a: b\n\u3000\n")
def test_the_parsers_agree_on_flat_headers(header):
    """The nearer a header is to what the fast parser knows, the more often it must be right."""
    assert_they_agree(header)


@given(INDICATORS)
def test_the_parsers_agree_on_indicators(header):
    """Nothing but YAML's own characters, in any order."""
    assert_they_agree(header)


@given(st.text(max_size=80))
def test_the_parsers_agree_on_any_text(header):
    """Any text at all, surrogates and controls included."""
    assert_they_agree(header)


BLOCKS = [
    *range(0, 0x3100, 0x100),
    0xD700,
    0xE000,
    0xFD00,
    0xFE00,
    0xFF00,
    0x10000,
    0x1F600,
    0x1FF00,
    0x10FF00,
]


@pytest.mark.parametrize("block", BLOCKS, ids=hex)
def test_the_parsers_agree_on_every_character(block):
    """At the start of a value, inside it, at its end, in a list, in quotes, in a key, alone in a line."""
    places = ["a: {}x\n", "a: x{}y\n", "a: x{}\n", "a: [{}]\n", "a: [x{}y, z]\n", "a: '{}'\n", 'a: "x{}y"\n']
    places += [
        "a{}: x\n",
        "{}a: x\n",
        "a: x\n{}\n",
        "a:\n- {}\n- x\n",
        "a:\n- x{}y\n",
        "a: x #{}\n",
        "a: x{}#y\n",
    ]
    for code in range(block, block + 0x100):
        for place in places:
            assert_they_agree(place.replace("{}", chr(code)))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "type: decision\n",
        "tags: [a, 'b c', \"d\"]\n",
        "tags:\n- a\n- b\ntitle: x # comment\n",
        "tags:\n  - a\n\n  # between\n  - 'b'\n",
        "# first\ncreated: 2026-01-31T10:20:30Z\nconfidence: 0.5\nlocal_only: false\n",
        "source: https://x.test/y#z\ntitle: 'a: b'\nagent:\n",
    ],
)
def test_the_fast_parser_takes_usual_headers(header):
    """It would be of no use if it declined them."""
    fast = parse_strict(header)
    assert fast is not None
    assert fast == parse_yaml(header)


@pytest.mark.parametrize(
    "header",
    [
        "type: fact\ntype: fact\n",
        "a: &x 1\n",
        "a: *x\n",
        "a: !x y\n",
        "<<: {a: b}\n",
        "a: {<<: b}\n",
        "%YAML 1.1\n---\na: b\n",
        "a: b\n---\nc: d\n",
        "- a\n",
        "text\n",
        "? [a]\n: b\n",
        "a: " + "[" * 9 + "]" * 9 + "\n",
        "a: {b: {c: {d: {e: {f: {g: {h: {i: {j: k}}}}}}}}}\n",
    ],
)
def test_what_the_format_forbids_is_refused(header):
    """By the slow parser with an error; the fast one must leave it alone."""
    assert parse_strict(header) is None
    with pytest.raises(FrontMatterError):
        parse_yaml(header)


def note(header):
    return f"---\n{header}---\nBody.\n".encode()


# 369 bytes that cost PyYAML 13.8 s: each line merges the one before several times.
MERGE_BOMB = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 4)}]}}\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    "header",
    [
        MERGE_BOMB,
        "a: &a [x]\n" + "".join(f"b{n}: [*a, *a, *a]\n" for n in range(500)),
        "a: " + "[" * 20_000 + "]" * 20_000 + "\n",
        "a: " + "[" * 60_000 + "\n",
        "a: " + "{b: " * 10_000 + "\n",
        "- " * 30_000 + "x\n",
        "? " * 30_000 + "x\n",
        "a:\n" + "".join(" " * depth + "b:\n" for depth in range(1, 300)),
        "a: " + "x" * 70_000 + "\n",
        "".join(f"k{n}: x\n" for n in range(20_000)),
    ],
    ids=["merge", "alias", "lists", "open-lists", "maps", "sequences", "complex", "blocks", "long", "many"],
)
def test_a_bomb_is_refused(header):
    """Before it is built, not after."""
    with pytest.raises(MalformedMemory):
        read(note(header), PATH)


def assert_read_or_refused(data):
    try:
        memory = read(data, PATH)
    except MalformedMemory as error:
        assert error.path == PATH
        assert error.line >= 1
        return None
    assert isinstance(memory, Memory)
    return memory


@given(st.binary(max_size=200))
def test_any_bytes_are_a_memory_or_refused(data):
    """No other outcome exists."""
    assert_read_or_refused(data)


@given(st.text(max_size=100).filter(lambda text: text.isprintable()))
def test_any_printable_text_is_a_memory(text):
    """Prose is never refused for what it says, and its words are its content."""
    memory = assert_read_or_refused(text.encode())
    assert memory is not None
    assert memory.content == text.rstrip().removeprefix("\ufeff")


@given(st.one_of(HEADERS, FLAT_HEADERS, INDICATORS), st.sampled_from(["\n", "\r\n"]), st.booleans())
@example("\rtype: fact\n", "\n", False)
@example("a: x\rtype: fact\n", "\n", False)
@example("a: 'x\u2028\n  y'\ntype: fact\n", "\n", False)
def test_hostile_front_matter_is_read_or_refused_and_revised_or_left(header, newline, bom):
    """An edit gives the value that was asked for and keeps the rest, or raises `MalformedMemory`."""
    data = ("\ufeff" * bom + f"---\n{header}---\nBody.\n".replace("\n", newline)).encode("utf-8", "surrogatepass")
    memory = assert_read_or_refused(data)
    if memory is None:
        return
    assert revise(data, PATH, {}) == data
    for change in (
        {"type": "process"},
        {"type": None},
        {"tags": ["x", "z"]},
        {"title": "a: b"},
        {"tags": None},
    ):
        try:
            after = revise(data, PATH, change)
        except MalformedMemory:
            continue
        changed = read(after, PATH)
        assert changed.content == memory.content
        assert changed.extra == memory.extra
        for key in {"id", "type", "tags", "title"} - set(change):
            assert getattr(changed, key) == getattr(memory, key)
        assert changed.type == change.get("type", memory.type) or change == {"type": None}
        assert changed.tags == tuple(change.get("tags", memory.tags) or ())
        assert changed.title == change.get("title", memory.title)
