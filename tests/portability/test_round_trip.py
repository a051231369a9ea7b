"""Out of one home and into another: everything that a file can say arrives."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hashing import bytes_below, wordsonly, write
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from mesh import codec
from mesh.errors import MeshError
from mesh.memory import TYPES, Memory, iso
from mesh.portability.exporting import KINDS, export
from mesh.portability.importing import import_source

TARGETS = {"json": "out.json", "jsonl": "out.jsonl", "markdown": "out", "tar.gz": "out.tar.gz"}

characters = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
texts = st.text(characters, max_size=40)
words = texts | st.sampled_from(
    ["null", "~", "NO", "1.10", "a: b", "# no", "- no", '"', "'", "\n", "a\nb", "\x85", "é"]
)
times = st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
values = st.recursive(words, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3))
names = st.lists(st.text("abc é-", min_size=1, max_size=8).map(str.strip).filter(bool), min_size=1, max_size=3)
memories = st.builds(
    Memory,
    id=st.text("abcXYZ019._-", min_size=3, max_size=40).map(lambda text: "i" + text),
    content=st.text(characters, min_size=1, max_size=200),
    type=st.sampled_from(TYPES),
    tags=st.lists(words, max_size=4).map(tuple),
    agent=words,
    created=times,
    updated=times,
    confidence=st.integers(0, 10_000).map(lambda number: number / 10_000),
    expires=times,
    supersedes=st.lists(words, max_size=2).map(tuple),
    source=words,
    evidence=st.lists(words, max_size=3).map(tuple),
    title=words,
    extra=st.dictionaries(st.text("abc k:", min_size=1, max_size=9).map(lambda key: f"x{key}"), values, max_size=3),
)


def as_read(memory: Memory, path: str) -> tuple[bytes, Memory]:
    """A file for `memory`, and what a reader makes of that; nothing that no file can say."""
    try:
        data, found = codec.render_and_read(memory, path)
    except MeshError:
        assume(False)
    assume(found.content and not found.problems and not found.derived_id)
    return data, found


def said(memory: Memory) -> dict[str, object]:
    """All that must survive; a time that only the id tells counts as said."""
    keys = codec.known_values(memory) | {"extra": dict(memory.extra), "content": memory.content}
    return keys | {"created": iso(memory.born) if memory.born else None}


def in_home(home: Path, namespace: str = "shared") -> dict[str, dict[str, object]]:
    found = wordsonly(home, namespace)
    read = (found.workspace.vault.read(row["path"])[0] for row in found.inspect(None))
    return {memory.id.lower(): said(memory) for memory in read}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(several=st.lists(st.tuples(memories, names), min_size=1, max_size=5))
@example([(Memory("i-am-none", "---\nid: other\n---\ntext"), ["a"]), (Memory("i-bom", "\ufefftext"), ["b"])])
@example([(Memory("i-null", "says nothing", evidence=("Null",), supersedes=("~",)), ["a"])])
@example([(Memory("i-old", "ends", expires=datetime(2020, 1, 1, tzinfo=UTC)), ["a"])])
def test_what_a_file_says_arrives(kind, several):
    """Id, author, times, type, tags, confidence, expiry, title, source, evidence, supersedes, own keys, path."""
    with tempfile.TemporaryDirectory() as scratch:
        here, there, out = Path(scratch, "here"), Path(scratch, "there"), Path(scratch, TARGETS[kind])
        expected: dict[str, dict[str, object]] = {}
        files = {}
        for memory, name in several:
            path = f"shared/{'/'.join(name)}.md"
            data, found = as_read(memory, path)
            if found.id.lower() in expected or found.content in {one["content"] for one in expected.values()}:
                continue
            if path.lower() in map(str.lower, files):
                continue
            expected[found.id.lower()], files[path] = said(found), data
            write(here, path, data)
        told = export(wordsonly(here).workspace, out, kind)
        assert (told["memory_count"], told["refused"]) == (len(files), [])
        first = import_source(wordsonly(there).workspace, out)
        assert (first.written, first.skipped, first.errors) == (len(files), 0, 0), first.problems
        assert in_home(there) == expected
        assert set(bytes_below(there)) == set(files)
        if kind in ("markdown", "tar.gz"):
            assert bytes_below(there) == files
        again = import_source(wordsonly(there).workspace, out)
        assert (again.written, again.skipped, again.errors) == (0, len(files), 0)
        back = import_source(wordsonly(here).workspace, out)
        assert (back.written, back.skipped, back.errors) == (0, len(files), 0)
