"""The files of `tests/corpus/`: what a reader makes of each, and that an edit touches nothing else.

`cases.toml` says what `docs/FORMAT.md` demands; where the two disagree, FORMAT.md is right.
"""

import base64
import hashlib
import re
import tomllib
import unicodedata
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from mesh.codec import read, revise
from mesh.errors import MalformedMemory
from mesh.front_matter.parse import FrontMatterError, parse_strict, parse_yaml
from mesh.memory import Memory

CORPUS = Path(__file__).parent / "corpus"
CASES = tomllib.loads((CORPUS / "cases.toml").read_text(encoding="utf-8"))["case"]
SERVED = [case for case in CASES if "refused" not in case]
REFUSED = [case for case in CASES if "refused" in case]

TIMES = ("created", "updated", "expires")
LISTS = ("tags", "supersedes", "evidence")
DEFAULTS = {
    "type": "fact",
    "tags": (),
    "agent": "",
    "created": None,
    "updated": None,
    "confidence": 1.0,
    "expires": None,
    "supersedes": (),
    "source": "",
    "evidence": (),
    "local_only": False,
    "title": "",
}
NEW_VALUES = {
    "id": "new-id.1",
    "type": "process",
    "tags": ["alpha", "beta gamma"],
    "agent": "tester",
    "created": "2001-02-03T04:05:06Z",
    "updated": "2001-02-03T04:05:07Z",
    "confidence": "0.625",
    "expires": "2001-02-03T04:05:08Z",
    "supersedes": ["aaaa", "bbbb"],
    "source": "yes: no # maybe",
    "evidence": ["#1", "a, b"],
    "local_only": "true",
    "title": '- "it\'s" [here',
}
# Front matter in a form that hardly anyone writes: one flow mapping, the long form of a key, all keys indented, a
# document that ends before its fence. No line of it belongs to one key alone, or none can follow.
MAY_REFUSE_EDITS = {"flow-front-matter.md", "explicit-key.md", "indented-mapping.md", "dots-before-fence.md"}


def name(case):
    return case["file"]


def bytes_of(case):
    return (CORPUS / case["file"]).read_bytes()


def path_of(case):
    return case.get("path", f"shared/{case['file']}")


def memory_of(case):
    return read(bytes_of(case), path_of(case))


each_case = pytest.mark.parametrize("case", CASES, ids=name)
each_served = pytest.mark.parametrize("case", SERVED, ids=name)
each_refused = pytest.mark.parametrize("case", REFUSED, ids=name)


# --- the corpus itself -------------------------------------------------------------------------------------


def test_the_corpus_and_its_table_name_the_same_files():
    """Every file has one case, every case a file, and there are enough of them."""
    names = [case["file"] for case in CASES]
    assert sorted(names) == sorted(file.name for file in CORPUS.glob("*.md"))
    assert len(names) >= 60


def test_git_leaves_the_bytes_of_the_corpus_alone():
    """A checkout that converted line ends would make half of the cases void."""
    assert "* -text" in (CORPUS / ".gitattributes").read_text().splitlines()
    assert bytes_of({"file": "crlf.md"}).count(b"\r\n") > 10
    assert bytes_of({"file": "bom.md"}).startswith(b"\xef\xbb\xbf")


# --- reading -----------------------------------------------------------------------------------------------


def derived_id(path):
    """FORMAT.md 5, said a second time: RFC 4648's alphabet mapped to Crockford's."""
    digest = hashlib.sha256(unicodedata.normalize("NFC", path).encode()).digest()
    crockford = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789abcdefghjkmnpqrstvwxyz")
    return "x" + base64.b32encode(digest).decode()[:15].translate(crockford)


def wanted_value(case, key):
    value = case.get(key, DEFAULTS[key])
    if key in TIMES and value:
        return datetime.fromisoformat(value).astimezone(UTC)
    return tuple(value) if key in LISTS else value


@each_served
def test_a_file_reads_as_its_case_says(case):
    """Fields that the case does not name have their default."""
    memory = memory_of(case)
    if "content_start" in case:
        assert memory.content.startswith(case["content_start"])
    else:
        assert memory.content == case["content"]
    keys = [key for key in DEFAULTS if not (key == "tags" and "tags_set" in case)]
    assert {key: getattr(memory, key) for key in keys} == {key: wanted_value(case, key) for key in keys}
    assert set(memory.tags) == set(case.get("tags_set", memory.tags))
    assert dict(memory.extra) == case.get("extra", {})
    assert memory.path == path_of(case)


@each_served
def test_an_id_is_the_files_own_or_derived_from_its_path(case):
    """No file without a valid id gets another than the one that FORMAT.md computes."""
    memory = memory_of(case)
    if "id_folded" in case:
        assert memory.id.lower() == case["id_folded"]
    else:
        assert memory.id == case.get("id", derived_id(path_of(case)))
    assert memory.derived_id == ("id" not in case and "id_folded" not in case)


@each_served
def test_a_problem_names_its_key_and_line(case):
    """The problems of a file are those of its case, no more and no fewer."""
    found = sorted(memory_of(case).problems, key=lambda problem: problem.line)
    wanted = case.get("problems", [])
    assert len(found) == len(wanted), found
    for problem, expected in zip(found, wanted, strict=True):
        assert problem.path == path_of(case)
        assert problem.cause
        assert problem.remedy
        assert problem.key == expected.get("key", problem.key)
        assert problem.line == expected.get("line", problem.line)


@each_refused
def test_a_refused_file_says_where_and_why(case):
    """Path, line, cause and remedy are the error's data."""
    with pytest.raises(MalformedMemory) as raised:
        memory_of(case)
    error, expected = raised.value, case["refused"]
    assert error.path == path_of(case)
    assert error.line == expected.get("line", error.line)
    assert 1 <= error.line <= bytes_of(case).count(b"\n") + 1
    assert expected.get("reason_has", "") in error.reason
    assert error.remedy


@each_refused
def test_a_refused_file_cannot_be_revised(case):
    """Not even its content: nobody knows what else would change."""
    with pytest.raises(MalformedMemory):
        revise(bytes_of(case), path_of(case), {"type": "error"}, content="Other.")


@each_case
def test_both_parsers_agree_on_every_header(case):
    """Where the fast parser does not decline, it finds the values and lines that YAML finds."""
    header = header_of(bytes_of(case))
    fast = outcome(parse_strict, header)
    assert fast is None or fast == outcome(parse_yaml, header)


def header_of(data):
    """The lines between the fences as the parsers get them; all of the text where there are no fences."""
    text = data.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n")
    fenced = re.match(r"---[ \t]*\n((?:.*\n)*?)---[ \t]*(?:\n|\Z)", text)
    return fenced[1] if fenced else text


def outcome(parser, header):
    try:
        return parser(header)
    except FrontMatterError:
        return "refused"


# --- revising ----------------------------------------------------------------------------------------------


def taken_apart(data):
    """A served file as `bom`, `opening`, `header` (lines with their ends), `closing`, `body`; for tests only."""
    bom = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b""
    lines = re.findall(rb"[^\n]*\n|[^\n]+", data[len(bom) :])
    fences = [number for number, line in enumerate(lines) if re.fullmatch(rb"---[ \t]*\r?\n?", line)]
    if len(fences) < 2 or fences[0] != 0:
        return SimpleNamespace(bom=bom, opening=b"", header=[], closing=b"", body=b"".join(lines))
    end = fences[1]
    return SimpleNamespace(
        bom=bom, opening=lines[0], header=lines[1:end], closing=lines[end], body=b"".join(lines[end + 1 :])
    )


def lines_around(parts, key):
    """The header's lines before, of and after `key`: it owns those from its own to the next key's."""
    header = b"".join(parts.header).decode().replace("\r\n", "\n")
    starts = parse_yaml(header).lines
    start = starts.get(key, len(parts.header))
    end = min((line for line in starts.values() if line > start), default=len(parts.header))
    return parts.header[:start], parts.header[start:end], parts.header[end:]


def is_comment_or_blank(line):
    return not line.strip() or line.lstrip().startswith(b"#")


def comment_lines(parts):
    return [line for line in parts.header if line.lstrip().startswith(b"#")]


def without(memory, key):
    """What must stay when `key` changes: all the rest; problems by what they say, not by their line."""
    rest = {field.name: getattr(memory, field.name) for field in fields(Memory)}
    rest["problems"] = {(problem.key, problem.cause) for problem in memory.problems if problem.key != key}
    for name in {key, "derived_id"} if key == "id" else {key}:
        del rest[name]
    return rest


def as_field(key, value):
    if key in TIMES:
        return datetime.fromisoformat(value)
    if key in LISTS:
        return tuple(value)
    return {"confidence": float, "local_only": lambda word: word == "true"}.get(key, str)(value)


@each_served
def test_no_change_is_no_change(case):
    """A revision without changes gives the bytes it got, whatever they were."""
    assert revise(bytes_of(case), path_of(case), {}) == bytes_of(case)


@each_served
def test_the_same_content_is_no_change(case):
    """Content that is already there is not written again."""
    assert revise(bytes_of(case), path_of(case), {}, content=memory_of(case).content) == bytes_of(case)


def revised(data, case, changes):
    """`revise`, or None where the file is one of those that may refuse edits, and does."""
    try:
        return revise(data, path_of(case), changes)
    except MalformedMemory:
        assert case["file"] in MAY_REFUSE_EDITS
        return None


@each_served
def test_setting_a_key_changes_that_key_alone(case):
    """Other keys, content, comments, line ends, mark and final newline stay; or nothing happens at all."""
    before = bytes_of(case)
    for key, value in NEW_VALUES.items():
        if (after := revised(before, case, {key: value})) is None:
            continue
        memory = read(after, path_of(case))
        assert getattr(memory, key) == as_field(key, value)
        assert without(memory, key) == without(memory_of(case), key)
        assert key not in {problem.key for problem in memory.problems}
        assert_frame_is_kept(before, after)
        old, new = taken_apart(before), taken_apart(after)
        (first, _, last), (new_first, _, new_last) = lines_around(old, key), lines_around(new, key)
        assert first + last == new_first + new_last
        assert comment_lines(old) == comment_lines(new)


def assert_frame_is_kept(before, after):
    """Mark, fences, body and line ends are what they were; new fences use the file's own line end."""
    old, new = taken_apart(before), taken_apart(after)
    assert (new.bom, new.body) == (old.bom, old.body)
    if old.opening:
        assert (new.opening, new.closing) == (old.opening, old.closing)
    if b"\r\n" not in before:
        assert b"\r\n" not in after
    elif before.count(b"\r\n") == before.count(b"\n"):
        assert after.count(b"\r\n") == after.count(b"\n")


@each_served
def test_removing_a_key_that_was_set_restores_the_file(case):
    """A key that was absent leaves no trace; new front matter may stay behind, empty."""
    before = bytes_of(case)
    for key in absent_keys(before):
        if (changed := revised(before, case, {key: NEW_VALUES[key]})) is None:
            continue
        after = revise(changed, path_of(case), {key: None})
        assert (after if taken_apart(before).opening else emptied(after)) == before


def absent_keys(data):
    header = b"".join(taken_apart(data).header).decode().replace("\r\n", "\n")
    return [key for key in NEW_VALUES if key not in parse_yaml(header).values]


def emptied(data):
    """Without front matter that says nothing."""
    parts = taken_apart(data)
    return data if parts.header else parts.bom + parts.body


@each_served
def test_removing_an_absent_key_is_no_change(case):
    """There is nothing to remove."""
    before = bytes_of(case)
    for key in absent_keys(before):
        assert revise(before, path_of(case), {key: None}) == before


@each_served
def test_removing_a_key_gives_its_default(case):
    """And leaves the rest of the file alone; comments below the value may stay or go with it."""
    before, path = bytes_of(case), path_of(case)
    for key in NEW_VALUES.keys() - absent_keys(before):
        if (after := revised(before, case, {key: None})) is None:
            continue
        memory = read(after, path)
        default = {**DEFAULTS, "id": derived_id(path), "local_only": path.startswith("_local/")}[key]
        assert getattr(memory, key) == default
        assert without(memory, key) == without(memory_of(case), key)
        assert_frame_is_kept(before, after)
        first, _, last = lines_around(taken_apart(before), key)
        header = taken_apart(after).header
        assert header[: len(first)] == first
        assert header[len(header) - len(last) :] == last
        assert all(map(is_comment_or_blank, header[len(first) : len(header) - len(last)]))


@each_served
def test_setting_a_key_twice_is_setting_it_once(case):
    """The second revision finds nothing to do."""
    for key, value in NEW_VALUES.items():
        if (once := revised(bytes_of(case), case, {key: value})) is not None:
            assert revise(once, path_of(case), {key: value}) == once


@each_served
def test_all_keys_at_once_read_back(case):
    """Many changes in one revision are the same as each alone."""
    before = bytes_of(case)
    if (after := revised(before, case, NEW_VALUES)) is None:
        return
    memory = read(after, path_of(case))
    assert {key: getattr(memory, key) for key in NEW_VALUES} == {
        key: as_field(key, value) for key, value in NEW_VALUES.items()
    }
    assert (memory.content, memory.extra) == (memory_of(case).content, memory_of(case).extra)
    assert_frame_is_kept(before, after)


@each_served
def test_new_content_leaves_the_front_matter_alone(case):
    """Everything before the body stays byte for byte; so does the presence or absence of a final newline."""
    before, path = bytes_of(case), path_of(case)
    after = revise(before, path, {}, content="# New\n\nOther text.")
    memory = read(after, path)
    kept = replace(memory_of(case), content=memory.content, problems=memory.problems)
    assert memory == kept
    assert memory.content == "# New\n\nOther text."
    old, new = taken_apart(before), taken_apart(after)
    assert (new.bom, new.opening, new.header) == (old.bom, old.opening, old.header)
    assert new.closing.rstrip(b"\r\n") == old.closing.rstrip(b"\r\n")
    if old.body.strip():
        assert after.endswith(b"\n") == before.endswith(b"\n")


# --- files too large for a folder ----------------------------------------------------------------------------


def note_with_header(characters, filler="x"):
    """A note whose front matter, all line ends counted but no fence, has that many characters."""
    return f"---\ntitle: {filler * (characters - 8)}\n---\nBody.\n".encode()


@pytest.mark.parametrize("filler", ["x", "é", "\U0001f680"])
def test_front_matter_of_65536_characters_is_read(filler):
    """The limit counts characters, not bytes."""
    memory = read(note_with_header(65_536, filler), "shared/long.md")
    assert memory.title == filler * 65_528


@pytest.mark.parametrize("filler", ["x", "é", "\U0001f680"])
def test_longer_front_matter_is_refused(filler):
    """One character more, however the last line end is counted."""
    with pytest.raises(MalformedMemory, match="65,536"):
        read(note_with_header(65_538, filler), "shared/long.md")


def test_the_limit_is_the_same_with_crlf():
    """Line ends of two bytes count as one character each, so that git's conversion changes nothing."""
    header = "".join(f"k{number}: {'x' * 20}\n" for number in range(2000))
    header += f"z: {'x' * (65_536 - len(header) - 4)}\n"
    assert len(header) == 65_536
    data = f"---\n{header}---\nBody.\n".encode()
    assert len(read(data, "shared/a.md").extra) == 2001
    assert len(read(data.replace(b"\n", b"\r\n"), "shared/a.md").extra) == 2001


def test_a_file_of_one_mebibyte_is_read():
    """The limit itself is allowed."""
    assert len(read(b"x" * 2**20, "shared/big.md").content) == 2**20


def test_a_larger_file_is_refused():
    """One byte more is too much."""
    with pytest.raises(MalformedMemory) as raised:
        read(b"x" * (2**20 + 1), "shared/big.md")
    assert raised.value.line == 1


def test_a_long_closed_note_with_many_fences_is_read():
    """Half a megabyte of thematic breaks is one memory."""
    data = b"---\ntype: decision\n---\n" + b"x\n---\n" * 80_000
    assert read(data, "shared/breaks.md").type == "decision"


@pytest.mark.parametrize("length", [100, 1000, 1100, 5000])
def test_both_parsers_agree_on_long_keys(length):
    """YAML knows no simple key of more than 1,024 characters."""
    header = "k" * length + ": x\ntype: fact\n"
    fast = outcome(parse_strict, header)
    assert fast is None or fast == outcome(parse_yaml, header)
