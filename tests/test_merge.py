"""One memory in three versions: what each rule makes of it, and that no order and no repetition changes the result.

By default 60 examples a property. `MESH_MERGES=20000` sets another number, for a night.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from versions import LINES, texts, three_versions

from mesh import codec, line_merge
from mesh.memory import iso
from mesh.merge import marked, merge, sides, version
from mesh.rivals import conflicts, rival, rival_of, settled

EXAMPLES = int(os.environ.get("MESH_MERGES", "60"))
often = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])

BODY = "One\ntwo\nthree\n"


def memory(*keys, body=BODY, own="aaaa1111"):
    return "".join(f"{line}\n" for line in ["---", f"id: {own}", *keys, "---"]).encode() + body.encode()


def both_ways(base, ours, theirs):
    """The merge, which must not depend on who is who."""
    result, other = merge(base, ours, theirs), merge(base, theirs, ours)
    assert (result.data, result.rival, result.kept) == (other.data, other.rival, other.kept)
    return result


# --- rules, one example each: base, ours, theirs, result (None: a conflict) ------------------------------------------

RULES = {
    "tags: what either added, without what either removed": (
        ["tags: [a, b, c]"], ["tags: [b, c, e]"], ["tags: [a, b, d]"], ["tags: [b, d, e]"],
    ),
    "tags: a string stays a string": (["tags: a"], ["tags: a, b"], ["tags: a, c"], ["tags: a, b, c"]),
    "tags: none is left": (["tags: [a]", "mine: 1"], ["tags: []", "mine: 1"], ["mine: 1"], ["mine: 1"]),
    "fields of both sides": (
        ["type: fact", "agent: ann", "title: T"],
        ["type: error", "agent: ann", "title: T"],
        ["type: fact", "agent: ann", "title: U"],
        ["type: error", "agent: ann", "title: U"],
    ),
    "a key dropped by one side": (["title: T", "mine: 1"], ["mine: 1"], ["title: T", "mine: 2"], ["mine: 2"]),
    "created: the earlier": (
        ["created: 2026-03-01"], ["created: 2026-02-01"], ["created: 2026-01-31T23:00-02:00"], ["created: 2026-02-01"],
    ),
    "updated: the later": (
        ["updated: 2026-01-01"], ["updated: 2026-02-01"], ["updated: 2026-02-02"], ["updated: 2026-02-02"],
    ),
    "updated: one side lost it": (["updated: 2026-01-01"], [], ["updated: 2026-02-02"], ["updated: 2026-02-02"]),
    "expires: the earlier": (
        ["expires: 2027-01-01"], ["expires: 2028-01-01"], ["expires: 2029-01-01"], ["expires: 2028-01-01"],
    ),
    "confidence: the lower": (["confidence: 0.5"], ["confidence: 0.9"], ["confidence: 0.7"], ["confidence: 0.7"]),
    "confidence: none is certain": (["confidence: 0.5"], [], ["confidence: 0.7"], ["confidence: 0.7"]),
    "agent: who changed it last": (
        ["agent: ann", "updated: 2026-01-01"],
        ["agent: bob", "updated: 2026-01-03"],
        ["agent: eve", "updated: 2026-01-02"],
        ["agent: bob", "updated: 2026-01-03"],
    ),
    "supersedes: a set": (
        ["supersedes: cccc"], ["supersedes: [cccc, dddd]"], ["supersedes: eeee"], ["supersedes: [dddd, eeee]"],
    ),
    "evidence: a set": ([], ["evidence: a book"], ["evidence: a film"], ['evidence: [a book, a film]']),
    "local_only: if either says so": (["local_only: no"], ["local_only: true"], [], ["local_only: true"]),
    "type: no rule": (["type: fact"], ["type: error"], ["type: result"], None),
    "title: no rule": ([], ["title: T"], ["title: U"], None),
    "source: no rule": ([], ["source: a"], ["source: b"], None),
    "allow_secrets: a set": (
        ["allow_secrets: [aaaaaaaaaaaa]"],
        ["allow_secrets: [aaaaaaaaaaaa, bbbbbbbbbbbb, bbbbbbbbbbbb]"],
        ["allow_secrets: [cccccccccccc]"],
        ["allow_secrets: [bbbbbbbbbbbb, cccccccccccc]"],
    ),
    "allow_secrets: in another form, which allows nothing": (
        [], ["allow_secrets: aaaaaaaaaaaa"], ["allow_secrets: [bbbbbbbbbbbb]"], None,
    ),
    "one's own list of words: a set": (["aliases: [a]"], ["aliases: [a, b]"], ["aliases: [c]"], ["aliases: [b, c]"]),
    "one's own word: no rule": (["mine: 1"], ["mine: 2"], ["mine: 3"], None),
    "one's own mapping: no rule": (["mine: 1"], ["mine: {a: 1}"], ["mine: {a: 2}"], None),
    "not understood by one: no rule": (["created: 2026-01-01"], ["created: soon"], ["created: 2026-01-02"], None),
    "not understood, changed by one": (
        ["created: soon", "mine: 1"], ["created: now", "mine: 1"], ["created: soon", "mine: 2"],
        ["created: now", "mine: 2"],
    ),
    "comments of both": (
        ["# top", "type: fact", "agent: ann", "mine: 1"],
        ["# Top", "type: fact", "agent: ann", "mine: 1  # why"],
        ["# top", "type: fact", "# who", "agent: ann", "mine: 1"],
        ["# Top", "type: fact", "# who", "agent: ann", "mine: 1  # why"],
    ),
    "comments of one, values of both": (
        ["tags: [a] # mine", "mine: '1'"],
        ["tags: [a, b] # mine", "mine: '1'"],
        ["tags: [a, c] # mine", "mine: '2'"],
        ["tags: [a, b, c] # mine", "mine: '2'"],
    ),
    "an order changed by one": (
        ["type: fact", "agent: ann", "mine: 1", "title: T"],
        ["agent: ann", "type: fact", "mine: 1", "title: T"],
        ["type: fact", "agent: ann", "mine: 1", "title: U"],
        ["agent: ann", "type: fact", "mine: 1", "title: U"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", RULES)
def test_a_key_that_both_sides_changed_has_a_rule(case):
    """Both versions whole where there is none."""
    base, ours, theirs, expected = (keys if keys is None else memory(*keys) for keys in RULES[case])
    result = both_ways(base, ours, theirs)
    if expected is None:
        assert {result.data, result.rival} == {ours, theirs}
    else:
        assert (result.data, result.rival) == (expected, None)


def test_a_version_that_only_one_side_changed_is_taken_byte_for_byte():
    """Even one that nothing else would write so, or that is deleted."""
    odd = b"---\r\n{id: aaaa1111}\n---\n\n\nx  "
    for changed in (odd, b"", b"\xff\0", b"<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n", None):
        assert both_ways(memory(), changed, memory()).data == changed
        assert both_ways(memory(), changed, changed).data == changed


def test_a_change_outlives_a_deletion_and_this_is_said():
    """Deleted on one side, edited on the other."""
    result = both_ways(memory(), None, memory("mine: 1"))
    assert result.data == memory("mine: 1") and result.kept


def test_ids_that_both_sides_gave_become_the_older_one_but_two_memories_stay_two():
    """As when `mesh doctor --fix` ran on both clones; and as when another memory was put in one's place."""
    plain = b"---\nmine: 1\n---\nx\n"
    result = both_ways(plain, b"---\nid: bbbb\nmine: 1\n---\nx\n", b"---\nid: aaaa\nmine: 1\n---\nx\n")
    assert result.data == b"---\nid: aaaa\nmine: 1\n---\nx\n"
    ours, theirs = memory("mine: 1"), memory("mine: 2", own="bbbb2222")
    assert {*vars_of(both_ways(memory(), ours, theirs))} == {ours, theirs}


def vars_of(result):
    return result.data, result.rival


# --- text ----------------------------------------------------------------------------------------------------------


def test_lines_that_the_sides_changed_apart_are_merged_and_others_are_a_conflict():
    """A conflict is two whole files: the one that was changed later stays the memory."""
    ours, theirs = memory("updated: 2026-01-02", body="Eins\ntwo\nthree\n"), memory(body="One\ntwo\ndrei\n")
    assert both_ways(memory(), ours, theirs).data == memory("updated: 2026-01-02", body="Eins\ntwo\ndrei\n")
    theirs = memory("tags: [a]", body="Uno\ntwo\nthree\n")
    assert vars_of(both_ways(memory(), ours, theirs)) == (ours, theirs)


def test_line_ends_a_byte_order_mark_and_the_end_of_the_file_are_merged_apart_from_the_lines():
    """One side converted the file, the other edited it."""
    base, edited = memory(), memory("mine: 1", body="One\ntwo\ndrei\n")
    converted = b"\xef\xbb\xbf" + memory("type: error", body="One\ntwo\nthree").replace(b"\n", b"\r\n")
    expected = memory("mine: 1", "type: error", body="One\ntwo\ndrei").replace(b"\n", b"\r\n")
    result = both_ways(base, converted, edited).data
    assert sorted(result.removeprefix(b"\xef\xbb\xbf").splitlines(True)) == sorted(expected.splitlines(True))
    assert result.startswith(b"\xef\xbb\xbf---\r\n") and result.endswith(b"drei")


def test_a_side_that_cannot_be_read_is_never_rewritten():
    """The good one is the memory, the other stands beside it as it is."""
    good, broken = memory("mine: 1"), memory(body="<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n")
    result = merge(memory(), good, broken)
    assert (*vars_of(result), result.broken) == (good, broken, "theirs")
    assert merge(memory(), broken, good).broken == "ours"
    assert merge(memory(), broken, broken + b"x").broken == "both"
    assert merge(broken, good, memory(body="Uno\n")).rival is not None  # a base that cannot be read is none


def test_what_would_look_like_a_conflict_in_git_is_not_written():
    """Lines that are markers only together."""
    base = memory(body="a\nb\nc\nd\ne\n")
    ours, theirs = memory(body="<<<<<<< a\nb\nc\nd\n>>>>>>> e\n"), memory(body="a\nb\n=======\nd\ne\n")
    assert {*vars_of(both_ways(base, ours, theirs))} == {ours, theirs}


# --- properties ------------------------------------------------------------------------------------------------------


WITH_BOM = b"\xef\xbb\xbf---\nid: aaaa1111\n---\n"


@often
@given(three_versions())
@example((WITH_BOM + b"\n", b"\n" + WITH_BOM + b"\n", WITH_BOM))  # front matter that becomes text
def test_a_merge_is_the_same_whoever_does_it_and_does_nothing_more_when_it_is_repeated(versions):
    """Byte for byte."""
    base, ours, theirs = versions
    result = both_ways(base, ours, theirs)
    for side in (ours, theirs):
        if result.data is not None and side is not None:
            again = merge(base, result.data, side)
            assert again.data == result.data and again.rival in (None, result.rival)


@often
@given(three_versions())
@example((b"", b"The limit is 100\n", b"\xef\xbb\xbf\r\n"))  # a byte order mark that comes before the other side's line
def test_every_line_that_a_side_wrote_is_in_the_memory_or_its_rival(versions):
    """And every tag; and a text that cannot be read is there as it is."""
    base, ours, theirs = versions
    result = both_ways(base, ours, theirs)
    assume(ours is not None and theirs is not None)
    there = b"\n".join(filter(None, vars_of(result)))
    for side in (ours, theirs):
        if side == base or side in vars_of(result):
            continue
        new, old = codec.read(side, ""), version(base)
        lines, tags = ({*old.memory.content.split("\n")}, {*old.memory.tags}) if old else (set(), set())
        assert {*new.content.split("\n")} - lines <= {*re.sub("[\r\ufeff]", "", there.decode()).split("\n")}
        assert {*new.tags} - tags <= {*codec.read(result.data, "").tags}


KEYS = {
    "tags": st.sets(st.sampled_from("abcd")).map(sorted),
    "allow_secrets": st.sets(st.sampled_from("abcd")).map(sorted),
    "created": st.none() | st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"]),
    "confidence": st.sampled_from(["0.2", "0.4", "0.6", "1"]),
    "title": st.none() | st.sampled_from(["T", "U", "V"]),
}
KEYS["updated"] = KEYS["expires"] = KEYS["created"]


def expected_of(key, old, one, other):
    """A rule, in other words than those of the code; "conflict" where there is none."""
    if key in ("tags", "allow_secrets"):
        return sorted(tag for tag in "abcd" if (tag in one) + (tag in other) + (tag not in old) >= 2)
    if len({old, one, other}) < 3:
        return one if other in (one, old) else other
    if key == "title":
        return "conflict"
    if key == "confidence":
        return min(one, other)
    times = sorted(filter(None, (one, other)))
    return times[-1] if key == "updated" else times[0]


@often
@given(st.fixed_dictionaries({key: st.tuples(values, values, values) for key, values in KEYS.items()}))
def test_each_key_follows_its_own_rule_whatever_the_others_do(keys):
    """Against an independent statement of the rules, all keys at once."""

    def written(n):
        lines = [f"{key}: {versions[n]}" for key, versions in keys.items() if versions[n]]
        return memory(*(line.replace("'", "") for line in lines))

    base, ours, theirs = map(written, range(3))
    expected = {key: expected_of(key, *versions) for key, versions in keys.items()}
    result = both_ways(base, ours, theirs)
    assume(ours not in (base, theirs) and theirs != base)
    if "conflict" in expected.values():
        assert {*vars_of(result)} == {ours, theirs}
        return
    made = codec.read(result.data, "")
    found = {
        "tags": sorted(made.tags),
        "allow_secrets": sorted(made.extra.get("allow_secrets", [])),
        "confidence": codec.decimal(made.confidence),
        "title": made.title or None,
        **{key: iso(time) if (time := getattr(made, key)) else None for key in ("created", "updated", "expires")},
    }
    assert found == expected


# --- lines -----------------------------------------------------------------------------------------------------------

TEXTS = st.lists(st.sampled_from(LINES), max_size=8)


@often
@given(TEXTS, TEXTS)
def test_matching_lines_are_equal_and_in_order(old, new):
    pairs = line_merge.matches(old, new)
    assert all(old[a] == new[b] for a, b in pairs)
    assert all(one[0] < two[0] and one[1] < two[1] for one, two in pairwise(pairs))


@often
@given(TEXTS, TEXTS, TEXTS)
def test_chunks_are_the_three_texts_in_pieces(base, one, other):
    chunks = [*line_merge.chunks(base, one, other)]
    joined = [[line for chunk in chunks for line in chunk[side]] for side in range(3)]
    assert joined == [base, one, other]


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
@settings(max_examples=min(EXAMPLES, 40), deadline=None)
@given(st.data())
def test_lines_are_merged_as_git_merges_them(tmp_path_factory, data):
    """Where no line stands twice, so that there is one way to match them: the same text, and the same conflicts."""
    base = [f"line {n}" for n in range(data.draw(st.integers(0, 8)))]
    texts = [base]
    for who in ("ours", "theirs"):
        lines = list(base)
        for n in range(data.draw(st.integers(0, 3))):
            at = data.draw(st.integers(0, len(lines)))
            lines[at : at + data.draw(st.integers(0, 1))] = data.draw(st.sampled_from([[], [f"{who} {n}"]]))
        texts.append(lines)
    folder = tmp_path_factory.mktemp("merge")
    for name, lines in zip(("base", "ours", "theirs"), texts, strict=True):
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    done = subprocess.run(["git", "merge-file", "-p", "ours", "base", "theirs"], cwd=folder, capture_output=True)
    assert line_merge.merged(*texts) == (None if done.returncode else done.stdout.decode().splitlines())


def test_a_long_text_of_the_same_lines_is_merged_in_no_time():
    """Not everything is compared with everything: 20,000 equal lines do not hold a sync up. They are a conflict."""
    same = ["x"] * 10_000 + ["y", "x"] * 5_000
    assert line_merge.merged(same, ["first", *same], same) == ["first", *same]
    assert line_merge.merged(same, ["first", *same], [*same, "last"]) is None
    assert line_merge.merged(same, same[::-1], ["z"] * 20_000) is None


# --- rivals ----------------------------------------------------------------------------------------------------------


def test_a_rival_is_the_other_side_with_an_id_of_its_own():
    """Made by any clone, it is the same, name and all."""
    made = rival("aaaa1111", "team/deploy.md", memory("mine: 1 # why"))
    assert made == rival("aaaa1111", "team/deploy.md", memory("mine: 1 # why"))
    assert made.path == f"team/deploy.rival-{made.id[:12]}.md"
    assert made.data.decode() == f"---\nid: {made.id}\nmine: 1 # why\nrival_of: aaaa1111\n---\n{BODY}"
    read = codec.read(made.data, made.path)
    assert (read.id, rival_of(read)) == (made.id, "aaaa1111")
    assert conflicts([read, codec.read(memory(), "x.md")]) == {"aaaa1111": [read]}


def test_the_rival_of_a_rival_is_one_of_the_same_memory():
    first = rival("aaaa1111", "a.md", memory())
    second = rival(first.id, first.path, first.data.replace(b"One", b"Uno"))
    assert rival_of(codec.read(second.data, "")) == "aaaa1111" and second.id != first.id


@often
@given(texts(own="aaaa1111"), texts(own="aaaa1111"))
def test_a_settled_conflict_leaves_what_the_person_chose(ours, theirs):
    """Ours: nothing changed. Theirs: what that side wrote, byte for byte. Both: two memories."""
    other = rival("aaaa1111", "a.md", theirs).data
    assert settled(ours, other, "ours") == (ours, None)
    assert settled(ours, other, "theirs") == (theirs, None)
    kept, second = settled(ours, other, "both")
    assert kept == ours and not rival_of(codec.read(second, ""))
    assert codec.read(second, "").content == codec.read(theirs, "").content


def test_a_rival_whose_front_matter_cannot_be_edited_is_kept_whole_below_new_front_matter():
    odd = b"---\n{id: aaaa1111, tags: [a],\n mine: 1}\n---\nOne\n"
    made = rival("aaaa1111", "a.md", odd)
    assert made.data == f"---\nrival_of: aaaa1111\nid: {made.id}\n---\n".encode() + odd
    assert settled(memory(), made.data, "theirs") == (odd, None)


# --- a merge driver, which can write one file only --------------------------------------------------------------------

DRIVER = """
import sys
from pathlib import Path
from mesh.merge import marked, merge
base, ours, theirs = (Path(name).read_bytes() for name in sys.argv[1:4])
result = merge(base, ours, theirs)
clean = result.rival is None
Path(sys.argv[2]).write_bytes(result.data if clean else marked(base, ours, theirs))
sys.exit(0 if clean else 1)
"""


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_a_merge_driver_of_ten_lines_merges_fields_and_leaves_conflicts_to_git(tmp_path):
    """With real git: what git alone could not merge is merged; what cannot be is in markers, and both sides with it."""

    def git(*arguments):
        name = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", f"merge.mesh.driver={driver} %O %A %B"]
        return subprocess.run(["git", *name, *arguments], cwd=tmp_path, capture_output=True, text=True)

    def commit(text, *to):
        git("checkout", "-q", *to)
        (tmp_path / "a.md").write_bytes(text)
        git("add", "a.md", ".gitattributes")
        assert git("commit", "-qm", "x").returncode == 0

    (tmp_path / "driver.py").write_text(DRIVER)
    driver = f"'{sys.executable}' driver.py"
    (tmp_path / ".gitattributes").write_text("*.md merge=mesh\n")
    git("init", "-q", "-b", "main")
    commit(memory("tags: [a]"))
    commit(memory("tags: [a, b]"), "-b", "other")
    commit(memory("tags: [a, c]"), "main")
    assert git("merge", "-q", "other").returncode == 0
    assert (tmp_path / "a.md").read_bytes() == memory("tags: [a, b, c]")
    commit(memory("tags: [a, b]", body="Uno\n"), "other")
    commit(memory("tags: [a, b, c]", body="Eins\n"), "main")
    assert git("merge", "-q", "other").returncode == 1
    mine, its = sides((tmp_path / "a.md").read_bytes())
    assert b"Eins" in mine and b"Uno" not in mine and b"Uno" in its
    assert codec.read(mine, "").tags and codec.read(its, "").tags


def test_markers_are_taken_apart_again():
    """Also git's own with the base between them, and CRLF; not text that only looks like them."""
    assert sides(marked(None, b"a\nb\n", b"c\n")) == (b"a\nb\n", b"c\n")
    text = b"x\r\n<<<<<<< HEAD\r\na\r\n||||||| 1234\r\nb\r\n=======\r\nc\r\n>>>>>>> t\r\n=======\r\n"
    assert sides(text) == (b"x\r\na\r\n=======\r\n", b"x\r\nc\r\n=======\r\n")
    assert sides(b"Heading\n=======\n") is None and sides(b"<<<<<<< a\nb\n") is None and sides(b"\xff") is None
    assert marked(b"", text, b"y") == text and marked(b"", b"\xff", b"y") == b"\xff"
