"""Memories as people and agents write and edit them, for Hypothesis: small alphabets, so that edits meet."""

from __future__ import annotations

from hypothesis import strategies as st

LINES = ["", "The limit is 100", "The limit is 200", "Ask Ann", "# Deploy", "- one", "- two", "=======", "---"]
BODIES = st.lists(st.sampled_from(LINES), max_size=7)
TAGS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=3)
TIMES = ["2026-01-01", "2026-01-01T00:00:00Z", "2026-02-01T12:00:00Z", "2026-03-01 08:00+02:00", "yesterday", "~"]
HEADER_LINES = st.one_of(
    st.sampled_from(["# a comment", "  # indented", "", "# why"]),
    TAGS.map(lambda tags: f"tags: [{', '.join(tags)}]"),
    TAGS.map(lambda tags: f"tags: {', '.join(tags)}"),
    TAGS.filter(bool).map(lambda tags: "tags:\n" + "\n".join(f"  - {tag}" for tag in tags)),
    TAGS.map(lambda tags: f"aliases: [{', '.join(tags)}]"),
    TAGS.map(lambda tags: f"allow_secrets: [{', '.join(3 * f'{tag}{tag}{tag}{tag}' for tag in tags)}]"),
    st.builds("{}: {}".format, st.sampled_from(["created", "updated", "expires"]), st.sampled_from(TIMES)),
    st.builds("confidence: {}".format, st.sampled_from(["0.5", "0.50", "0.9", "1", "2"])),
    st.builds("{}: {}".format, st.sampled_from(["type", "agent", "title"]), st.sampled_from(["fact", "error", "'x'"])),
    st.builds("supersedes: {}".format, st.sampled_from(["cccc", "dddd", "[cccc, dddd]", "[eeee]"])),
    st.builds("local_only: {}".format, st.sampled_from(["true", "false", "maybe"])),
    st.builds("mine: {}".format, st.sampled_from(["1", "1.10", "NO", "{a: 1}", "[x, x]", "", "[{a: b}]"])),
)


@st.composite
def texts(draw, *, broken=False, own=None):
    """A file: lines of front matter, if it has any, and of text; line ends, byte order mark, end. `own`: its id."""
    keys = draw(st.lists(HEADER_LINES, max_size=6, unique_by=lambda line: line.partition(":")[0]))
    own = own or draw(st.sampled_from(["aaaa1111", "aaaa1111", "aaaa1111", "bbbb2222", ""]))
    header = [f"id: {own}", *keys] if own else draw(st.sampled_from([keys, None]))
    return _looks(draw, header, draw(BODIES), broken)


def _looks(draw, header, body, broken):
    front = "" if header is None else "".join(f"{line}\n" for line in ["---", *header, "---"])
    text = front + "\n".join(body) + draw(st.sampled_from(["\n", "\n", "\n", "", "\n\n"]))
    if draw(st.integers(0, 7)) == 0:
        text = text.replace("\n", "\r\n")
    if draw(st.integers(0, 15)) == 0:
        text = "\ufeff" + text
    if broken and draw(st.integers(0, 5)) == 0:
        return draw(
            st.sampled_from([b"---\ntags: [a\n---\nx\n", b"\xff", b"<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n", b""])
        )
    return text.encode()


@st.composite
def edits(draw, data):
    """A file, edited: some of its lines changed, dropped, doubled or added to, in front matter and below it."""
    lines = data.decode(errors="replace").split("\n")
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        fences = [n for n, line in enumerate(lines) if line.startswith("---")]
        inside = len(fences) > 1 and fences[0] == 0 < at < fences[1]
        new = draw(HEADER_LINES if inside else st.sampled_from(LINES))
        if lines[at].startswith("---") and len(lines) > at + 1:
            continue
        lines[at : at + draw(st.integers(0, 1))] = draw(st.sampled_from([[new], [new], []]))
        lines = lines or [""]
    return "\n".join(lines).encode()


@st.composite
def three_versions(draw):
    """What a memory was, and what two sides made of it."""
    base = draw(texts(broken=True))
    sides = [draw(st.one_of(edits(base), edits(base), edits(base), texts(broken=True), st.none())) for _ in range(2)]
    return draw(st.sampled_from([base, base, base, base, None])), *sides
