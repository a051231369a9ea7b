"""Rules for agents in `CLAUDE.md`, `AGENTS.md` and the like, taken apart into memories."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh import inputs
from mesh.errors import InvalidInput, MeshError
from mesh.memory import Problem
from mesh.portability import bullets

CLAUDE_MD = """\
---
description: how we work
---
# Payments service

This file tells agents how to work here.

@docs/style.md

<!-- Maintained by hand.
- not a rule
-->

## Build

Before every commit:

1. Run `make lint`
2. Run the tests:
   ```bash
   # all of them
   pytest -q

   - not a rule either
   ```
   and never skip one
   - `-x` stops early
     * deeper still

   It takes a minute.

```sh
- this is code
make all
```

### Names ###
* Snake case
  for functions
* Nouns for
classes

Style
-----
Plain words only.

See the guide.
"""


def of(text):
    return [piece.text for piece in bullets.pieces(text)]


def read(tmp_path, text, name="CLAUDE.md"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(bullets.read(path))


def test_a_file_of_rules_becomes_a_memory_a_rule(tmp_path):
    """With all that hangs on a rule; a section without bullets is one memory; comments and imports are none."""
    assert [found.memory.content for found in read(tmp_path, CLAUDE_MD)] == [
        "This file tells agents how to work here.",
        "Run `make lint`",
        "Run the tests:\n```bash\n# all of them\npytest -q\n\n- not a rule either\n```\nand never skip one\n"
        "- `-x` stops early\n  * deeper still\n\nIt takes a minute.",
        "```sh\n- this is code\nmake all\n```",
        "Snake case\nfor functions",
        "Nouns for\nclasses",
        "Plain words only.\n\nSee the guide.",
    ]


def test_a_rule_says_where_it_stood(tmp_path):
    """The headings above it, and the line that introduces the list, are its source; a section's heading its title."""
    found = [one.memory for one in read(tmp_path, CLAUDE_MD)]
    assert [memory.source for memory in found] == [
        "CLAUDE.md › Payments service",
        "CLAUDE.md › Payments service › Build › Before every commit",
        "CLAUDE.md › Payments service › Build › Before every commit",
        "CLAUDE.md › Payments service › Build",
        "CLAUDE.md › Payments service › Build › Names",
        "CLAUDE.md › Payments service › Build › Names",
        "CLAUDE.md › Payments service › Style",
    ]
    assert [memory.title for memory in found] == ["Payments service", "", "", "Build", "", "", "Style"]
    assert {memory.type for memory in found} == {"instruction"}


def test_a_place_names_the_line(tmp_path):
    assert [one.place for one in read(tmp_path, "# T\n\n- one\n- two\n\ntext\n\n## U\n\n\nmore\n")] == [
        "CLAUDE.md:3",
        "CLAUDE.md:4",
        "CLAUDE.md:6",
        "CLAUDE.md:11",
    ]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("- a\n+ b\n* c\n1. d\n2) e", ["a", "b", "c", "d", "e"]),
        ("- a\n\n- b", ["a", "b"]),
        ("  - a\n  - b\n- c", ["a", "b", "c"]),
        ("- a\n - b", ["a", "b"]),
        ("-\ta\n\t- nested\n\t\t- deeper", ["a\n  - nested\n      - deeper"]),
        ("1. a\n  - nested", ["a\n- nested"]),
        ("- a\n\n  second paragraph\n\noutside", ["a\n\nsecond paragraph", "outside"]),
        ("- a\n```\ncode\n```\n- b", ["a\n```\ncode\n```", "b"]),
        ("- a\n\n```\n- code\n```", ["a", "```\n- code\n```"]),
        ("- a\n  ## not a heading of the file\n- b", ["a\n## not a heading of the file", "b"]),
        ("- a\n# heading\n- b", ["a", "b"]),
        ("- [ ] a task\n- [x] done", ["[ ] a task", "[x] done"]),
        ("- \n-\n- a", ["a"]),
        ("-\n  below its mark", ["below its mark"]),
        ("- @docs/a.md\n- see @docs/a.md\n@~/b.md\n", ["see @docs/a.md\n@~/b.md"]),
        ("@ada decides\n\n@ada", ["@ada decides\n\n@ada"]),
        ("**bold** start\n-5 degrees\n1.5 metres", ["**bold** start\n-5 degrees\n1.5 metres"]),
        ("* * *\n- - -\n***\n___", []),
        ("a\n\n---\n\nb", ["a", "b"]),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ["| a | b |\n|---|---|\n| 1 | 2 |"]),
        ("~~~\n- code\n```\n~~~~\n- a", ["~~~\n- code\n```\n~~~~", "a"]),
        ("```never closed\n- a\n- b", ["```never closed", "a", "b"]),
        ("<!-- one line --> kept\n- a", [" kept", "a"]),
        ("<!-- a --><!-- b -->\n- a", ["a"]),
        ("- a\n  <!-- hidden -->\n  b", ["a\nb"]),
        ("- write `<!-- x -->` there\n", ["write `<!-- x -->` there"]),
        ("```\n<!-- code -->\n```", ["```\n<!-- code -->\n```"]),
        ("<!-- never closed\n- a", ["<!-- never closed", "a"]),
        ("---\nnever closed\n- a", ["never closed", "a"]),
        ("---\n- in: front matter\n---\n- a", ["a"]),
        ("", []),
        ("\n\n", []),
        ("# only a heading", []),
    ],
)
def test_the_text_is_cut_where_people_would(text, pieces):
    assert of(text) == pieces


@pytest.mark.parametrize(
    ("text", "trail"),
    [
        ("# A\n## B\n### C\n## D\n- x", ("A", "D")),
        ("### C\n# A\n- x", ("A",)),
        ("A\n===\nB\n---\n- x", ("A", "B")),
        ("# `code` and *stress* #\n- x", ("code and stress",)),
        ("# C#\n- x", ("C#",)),
        ("# snake_case __init__\n- x", ("snake_case init",)),
        ("#hashtag\n\n- x", ()),
        ("# A\n\n**When you review:**\n- x", ("A", "When you review")),
        ("# A\n\nA sentence that is no label, since it has far more words than those have:\n- x", ("A",)),
        ("Lead:\n- a\n\ntext\n- x", ()),
        ("Lead:\n- a\n\n# A\n- x", ("A",)),
        ("Lead:\n\n- a\n\n- x", ("Lead",)),
    ],
)
def test_the_trail_leads_to_the_last_rule(text, trail):
    """Headings by their level, with or without marks, and a short lead-in."""
    assert list(bullets.pieces(text))[-1].trail == trail


def test_a_long_lead_in_is_a_memory_of_its_own():
    lead = "The following holds for every service that takes part in the payment of an invoice:"
    assert of(f"{lead}\n- x") == [lead, "x"]


def test_a_lead_in_after_a_paragraph_takes_only_itself():
    assert of("Be careful.\n\nAlways:\n- x") == ["Be careful.", "x"]


def test_a_long_trail_loses_its_middle(tmp_path):
    """The file and the nearest heading say most."""
    text = f"# {'outer ' * 12}\n## {'middle ' * 10}\n### nearest\n- x"
    (found,) = read(tmp_path, text)
    assert found.memory.source == f"CLAUDE.md › {('middle ' * 10).strip()} › nearest"
    assert len(found.memory.source) <= inputs.MAX_WORD


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path):
    plain = read(tmp_path, CLAUDE_MD)
    assert read(tmp_path, b"\xef\xbb\xbf" + CLAUDE_MD.replace("\n", "\r\n").encode()) == plain


def test_a_bad_rule_is_a_problem_and_the_rest_is_read(tmp_path):
    """Bytes that are no UTF-8, or too much text."""
    first, bad, long, last = read(tmp_path, b"- one\n- \xff\n- " + b"x" * 70_000 + b"\n- four\n")
    assert (first.memory.content, last.memory.content) == ("one", "four")
    assert isinstance(bad, Problem) and str(bad).startswith("CLAUDE.md:2: its content cannot be kept")
    assert isinstance(long, Problem) and str(long).startswith("CLAUDE.md:3: its content cannot be kept")


@pytest.mark.parametrize("data", [b"\0", "- a".encode("utf-16"), b"x" * (1 << 20) + b"x"])
def test_what_is_no_such_file_is_one_clear_error(tmp_path, data):
    with pytest.raises(InvalidInput, match=r"^AGENTS\.md: it is "):
        read(tmp_path, data, "AGENTS.md")


def test_a_file_that_is_not_there_is_one_clear_error(tmp_path):
    with pytest.raises(MeshError, match="no such file"):
        list(bullets.read(tmp_path / "CLAUDE.md"))


@pytest.mark.parametrize(
    "text",
    [
        *["<!--\n" * 50_000, "```a\n" * 50_000, "<!-- a -->" * 50_000, "# a" + " " * 200_000 + "b"],
        *["- " * 200_000 + "x", "@" + "." * 200_000 + " x", "# " + "_" * 200_000 + "a", "-\t" * 100_000],
    ],
)
def test_no_text_takes_for_ever(text):
    """Work grows with the length of the text, whatever it is: squared, each of these would take hours."""
    assert len(of(text)) <= 1


# --- laws ----------------------------------------------------------------------------------------------------

words = st.text("abc xyz.:`*_@#>[](){}éß☂\\/|~-+1", min_size=1, max_size=30)
rows = words | st.sampled_from(
    ["# H", "## H", "Title", "===", "---", "***", "```", "~~~", "text", "", "", "<!--", "-->"]
)
marks = st.sampled_from(["- ", "* ", "+ ", "1. ", "12) ", "-\t", "-"])
lines = st.builds(
    lambda indent, mark, row: indent + mark + row,
    st.sampled_from(["", "", " ", "  ", "    ", "\t"]),
    st.just("") | marks,
    rows,
)


@given(st.lists(lines, max_size=30).map("\n".join))
def test_nothing_is_said_that_does_not_stand_there(text):
    """Every word of a piece is one of the file, and no text raises."""
    known = set(text.split())
    for piece in bullets.pieces(text):
        assert piece.text.strip()
        for word in piece.text.split():
            assert word in known or any(other.endswith(word) for other in known)


item_rows = st.text("abc xyz.`é☂()", min_size=1, max_size=30).filter(
    lambda row: row.strip() and not row.strip().startswith("```")
)
item = st.tuples(
    item_rows, st.lists(st.tuples(st.integers(2, 8), st.sampled_from(["", "- ", "1. ", "# "]), item_rows), max_size=6)
)


@given(st.lists(item, min_size=1, max_size=8), st.sampled_from(["\n", "\n\n"]))
def test_no_line_of_an_item_is_lost(items, between):
    """What stands further in than a bullet is in its memory, each line in its order, with or without blank lines."""
    text = between.join(
        between.join([f"- {first}", *(" " * indent + mark + row for indent, mark, row in below)])
        for first, below in items
    )
    expected = [[first, *(mark + row for _, mark, row in below)] for first, below in items]
    kept = [[row.strip() for row in piece.split("\n") if row.strip()] for piece in of(text)]
    assert kept == [[row.strip() for row in rows if row.strip()] for rows in expected]


@given(st.lists(words.filter(lambda row: re.match(r"\w", row)), min_size=1, max_size=10))
def test_prose_is_kept_as_it_is(rows):
    """A section without bullets is one memory, word for word."""
    text = "\n\n".join(row.strip() for row in rows)
    assert of(f"# Heading\n\n{text}\n") == [text] or any(re.match(r"\d{1,9}[.)](\s|$)", row) for row in rows)
