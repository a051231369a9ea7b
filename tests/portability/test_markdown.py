"""Folders, files and archives of Markdown, as people and other programs keep them."""

from __future__ import annotations

import io
import os
import tarfile

import pytest

from mesh.errors import InvalidInput, MeshError
from mesh.memory import Problem
from mesh.portability import archive, markdown
from mesh.portability.record import Record

BASIC_MEMORY = b"""---
title: Coffee Brewing Methods
type: note
permalink: coffee/coffee-brewing-methods
tags:
- coffee
---

# Coffee Brewing Methods

- [method] Pour over gives more clarity #brewing
"""


@pytest.fixture
def vault(tmp_path):
    """An Obsidian vault, with what such a folder has besides notes."""
    folder = tmp_path / "vault"
    for name, data in {
        "b.md": b"---\nid: bbbb0000\naliases: [bee]\n---\nThe second\n",
        "a/deep/one.MD": b"plain\r\n",
        ".obsidian/app.md": b"hidden",
        ".trash/old.md": b"hidden",
        ".hidden.md": b"hidden",
        "#b.md#": b"an editor's own",
        "images/x.png": b"\x89PNG",
        "coffee.md": BASIC_MEMORY,
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def test_a_vault_gives_every_note_under_its_name(vault, caplog):
    """In the order of the names, its bytes with it; hidden ones are none, and other files are counted."""
    found = list(markdown.read_folder(vault))
    assert [(one.name, one.place) for one in found] == [(name, name) for name in ("a/deep/one.MD", "b.md", "coffee.md")]
    assert [one.memory.content for one in found][:2] == ["plain", "The second"]
    assert [one.memory.id for one in found] == ["", "bbbb0000", ""]
    assert found[2].data == BASIC_MEMORY
    assert found[2].memory.extra == {"permalink": "coffee/coffee-brewing-methods"}
    assert "left out what is not Markdown: 1 file" in caplog.text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"---\nid: [a\n---\nx", "not valid YAML"),
        (b"a\0b", "NUL"),
        (b"\xff\xfe", "not valid UTF-8"),
        (b"<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs\n", "merge conflict"),
        (b"---\ntitle: only\n---\n\n", "no text"),
        (b"x" * 1_100_000, "larger than 1,048,576 bytes"),
    ],
)
def test_a_note_that_cannot_be_understood_is_a_problem(vault, data, said):
    """With its place; the others are read."""
    (vault / "aa.md").write_bytes(data)
    found = list(markdown.read_folder(vault))
    (problem,) = (one for one in found if isinstance(one, Problem))
    assert problem.path == "aa.md"
    assert said in problem.cause
    assert len(found) == 4


def test_a_link_is_not_followed(vault, tmp_path):
    """Neither to a file nor to a folder: it could lead anywhere, or in a circle."""
    (tmp_path / "secret.md").write_text("elsewhere")
    (vault / "c.md").symlink_to(tmp_path / "secret.md")
    (vault / "d").symlink_to(vault, target_is_directory=True)
    problems = [one for one in markdown.read_folder(vault) if isinstance(one, Problem)]
    assert [(one.path, "symbolic link" in one.cause) for one in problems] == [("c.md", True), ("d", True)]


def test_a_folder_without_markdown_is_an_error(tmp_path):
    """Most likely it is the wrong one."""
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(InvalidInput, match="it holds no Markdown files"):
        list(markdown.read_folder(tmp_path))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become another user and back")
def test_what_cannot_be_read_is_said(vault, tmp_path):
    """A folder inside is a problem, the folder itself an error."""
    for folder in (*vault.parents, vault):
        if folder.name.startswith("pytest-") or any(one.name.startswith("pytest-") for one in folder.parents):
            folder.chmod(0o755)
    (vault / "a").chmod(0o000)
    os.seteuid(65534)
    try:
        problems = [one for one in markdown.read_folder(vault) if isinstance(one, Problem)]
        assert [(one.path, one.cause) for one in problems] == [("a", "it cannot be read (permission denied)")]
        with pytest.raises(MeshError, match=r"vault.a: permission denied\. Check who owns it"):
            list(markdown.read_folder(vault / "a"))
    finally:
        os.seteuid(0)


def test_what_lies_below_a_local_folder_is_local(vault):
    """Whatever its front matter says: FORMAT.md, section 1."""
    (vault / "_local" / "shared").mkdir(parents=True)
    (vault / "_local" / "shared" / "x.md").write_text("mine")
    found = {one.name: one.memory.local_only for one in markdown.read_folder(vault)}
    assert found == {"_local/shared/x.md": True, "a/deep/one.MD": False, "b.md": False, "coffee.md": False}
    (only,) = markdown.read_folder(vault / "_local" / "shared")
    assert only.memory.local_only
    (only,) = markdown.read_file(vault / "_local" / "shared" / "x.md")
    assert only.memory.local_only


def test_a_single_file_is_a_memory(vault):
    """Under its own name."""
    (found,) = markdown.read_file(vault / "b.md")
    assert (found.name, found.memory.id, found.memory.content) == ("b.md", "bbbb0000", "The second")


# --- archives ------------------------------------------------------------------------------------------------


def member(name, data=b"text\n", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def packed(path, *members, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz", "w"])
def test_an_archive_gives_its_notes(tmp_path, caplog, mode):
    """Compressed in any way; folders, hidden and other files are none of them."""
    path = packed(
        tmp_path / "x.tar",
        member("./vault", b"", type=tarfile.DIRTYPE),
        member("./vault/b.md", BASIC_MEMORY),
        member("vault/.obsidian/a.md"),
        member("vault/._b.md"),
        member("vault/x.png"),
        member("ü/" + "long " * 40 + ".md"),
        mode=mode,
    )
    assert archive.looks_like(path.read_bytes()[:512])
    first, second = archive.read(path)
    assert (first.name, first.data, first.place) == ("vault/b.md", BASIC_MEMORY, "x.tar: vault/b.md")
    assert second.name.startswith("ü/long long")
    assert "x.tar: left out what is not Markdown: 1 file" in caplog.text


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (member("../evil.md"), "leads out of the archive"),
        (member("a/../../evil.md"), "leads out of the archive"),
        (member("/etc/evil.md"), "leads out of the archive"),
        (member("a//evil.md"), "leads out of the archive"),
        (member("link.md", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "a link or a device"),
        (member("hard.md", b"", type=tarfile.LNKTYPE, linkname="good.md"), "a link or a device"),
        (member("pipe.md", b"", type=tarfile.FIFOTYPE), "a link or a device"),
        (member("disk.md", b"", type=tarfile.BLKTYPE, devmajor=8), "a link or a device"),
        (member("large.md", b"x" * 1_100_000), "larger than 1,048,576 bytes"),
        (member("bad.md", b"---\nid: [a\n---\n"), "not valid YAML"),
        (member("b\udcff.md"), "is no text"),
    ],
    ids=lambda value: value[0].name.encode("ascii", "replace").decode() if isinstance(value, tuple) else "",
)
def test_a_member_that_is_no_plain_note_is_a_problem(tmp_path, bad, said):
    """Nothing is unpacked, nothing outside is named, and the rest is read."""
    path = packed(tmp_path / "x.tar.gz", member("first.md"), bad, member("good.md"))
    found = list(archive.read(path))
    assert [one.name for one in found if isinstance(one, Record)] == ["first.md", "good.md"]
    (problem,) = (one for one in found if isinstance(one, Problem))
    assert said in problem.cause
    assert problem.path.startswith("x.tar.gz: ")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["x.tar.gz"]


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz", "w"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_an_archive_that_is_cut_off_gives_what_stands_before(tmp_path, mode, kept):
    """Then one error that says so."""
    notes = [member(f"{number:03}.md", os.urandom(3000).hex().encode()) for number in range(50)]
    data = packed(tmp_path / "x.tar", *notes, mode=mode).read_bytes()
    if mode == "w":
        data = data.rstrip(b"\0")
    (tmp_path / "cut.tar").write_bytes(data[: int(len(data) * kept)])
    found = []
    with pytest.raises(MeshError, match=r"cut\.tar: .*(ends too early|damaged)"):
        for one in archive.read(tmp_path / "cut.tar"):
            found.append(one.name)
    assert found == [f"{number:03}.md" for number in range(len(found))]
    assert len(found) < 50


def test_an_archive_that_is_damaged_in_the_middle_is_not_taken_for_its_end(tmp_path):
    """tarfile itself stops there without a word."""
    data = bytearray(packed(tmp_path / "x.tar", *(member(f"{n}.md") for n in range(6)), mode="w").read_bytes())
    data[3 * 1024 + 150] ^= 0x40  # the checksum of the fourth header
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(MeshError, match="damaged"):
        list(archive.read(tmp_path / "x.tar"))


def test_a_header_that_claims_to_be_huge_is_refused(tmp_path):
    """tarfile would read it into memory, however large it says it is."""
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    (tmp_path / "x.tar").write_bytes(info.tobuf() + bytes(4096))
    with pytest.raises(MeshError, match=r"no tar archive, or is damaged"):
        list(archive.read(tmp_path / "x.tar"))


def test_what_is_no_archive_is_said(tmp_path):
    """Also where it is compressed as one."""
    import gzip

    path = tmp_path / "x.json.gz"
    path.write_bytes(gzip.compress(b'{"memories": []}' * 100))
    with pytest.raises(MeshError, match=r"x\.json\.gz: it is no tar archive"):
        list(archive.read(path))
    path = packed(tmp_path / "empty.tar.gz", member("x.txt"))
    with pytest.raises(InvalidInput, match=r"empty\.tar\.gz: it holds no Markdown files"):
        list(archive.read(path))
