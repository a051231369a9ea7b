"""`mesh doctor`: finds what is wrong without touching a file, and mends one named thing at a time."""

import os
import shutil
import sqlite3

import pytest
from hashing import bytes_below, hashed, wordsonly, write

from mesh import doctor, remedies


@pytest.fixture
def mesh(home):
    with hashed(home) as opened:
        yield opened


def found(mesh, kind=None):
    return [one for one in doctor.examine(mesh.workspace) if kind in (None, one.kind)]


def test_a_sound_home_has_no_findings(home, mesh):
    """Nothing to say about what is right."""
    mesh.learn("the walrus")
    write(home, "shared/by hand.md", "an octopus")
    assert found(mesh) == []


def test_looking_changes_no_file(home, mesh):
    """Whatever is wrong: every byte of the vault is as it was."""
    write(home, "shared/a.md", "---\nid: same-id\n---\na")
    write(home, "shared/b.md", "---\nid: same-id\n---\nb")
    write(home, "shared/c.md", "---\nlocal_only: true\n---\nc")
    write(home, "shared/d.md", b"\xff")
    before = bytes_below(home)
    assert {one.kind for one in found(mesh)} == {"ids", "local", "file"}
    assert bytes_below(home) == before


@pytest.mark.parametrize(
    ("text", "line", "serious"),
    [
        (b"---\nid: abcd\nid: efgh\n---\nwalrus", 3, True),
        (b"walrus\n\xff", 2, True),
        (b"", 0, True),
        (b"---\ncreated: yesterday\n---\nwalrus", 2, False),
        (b"---\nid: ok-id\nconfidence: high\n---\nwalrus", 3, False),
    ],
)
def test_a_bad_file_is_shown_with_place_cause_and_remedy(home, mesh, text, line, serious):
    """Serious if it is not served, else a remark."""
    write(home, "shared/a.md", text)
    (finding,) = found(mesh, "file")
    assert finding.place == (f"shared/a.md:{line}" if line else "shared/a.md")
    assert finding.cause and finding.remedy and finding.serious is serious and not finding.fixable
    assert str(finding) == f"{finding.place}: {finding.cause}. {finding.remedy}"


@pytest.mark.parametrize(
    "name",
    [
        "a.sync-conflict-20260101-120000-ABC.md",
        "a.conflict-20260101T120000.000000Z.md",
        "a (conflicted copy 1).md",
        "a.orig.md",
    ],
)
def test_second_copies_are_shown(home, mesh, name):
    """What Syncthing, Dropbox, git and Mesh itself leave beside a file."""
    write(home, f"shared/{name}", "walrus")
    (finding,) = found(mesh, "copy")
    assert finding.place == f"shared/{name}" and not finding.serious


def test_two_files_of_one_id_are_shown_and_told_apart(home, mesh):
    """The first keeps its id; each other gets a new one, and nothing else of it changes."""
    for name in "abc":
        write(home, f"shared/{name}.md", f"---\n# mine\nid: same-id\n---\n{name} walrus\n")
    assert [one.place for one in found(mesh, "ids")] == ["shared/b.md", "shared/c.md"]
    assert len(remedies.fix(mesh.workspace, "ids")) == 2
    assert found(mesh) == [] and mesh.get("same-id")["path"] == "shared/a.md"
    text = (home / "shared/b.md").read_text()
    assert text.startswith("---\n# mine\nid: ") and text.endswith("\n---\nb walrus\n") and "updated" not in text


def test_ids_that_differ_in_case_only_are_one_id(home, mesh):
    """FORMAT.md, section 5: ids compare without regard to case."""
    write(home, "shared/a.md", "---\nid: same-id\n---\na")
    write(home, "shared/b.md", "---\nid: SAME-ID\n---\nb")
    assert len(found(mesh, "ids")) == 1


def test_files_without_an_id_are_no_doubles(home, mesh):
    """A derived id is each file's own, also for the same text."""
    write(home, "shared/a.md", "walrus")
    write(home, "shared/b.md", "walrus")
    assert found(mesh) == []


def test_a_local_memory_in_a_shared_place_is_moved_out_of_it(home, mesh):
    """Bytes and folders as they were; found as before."""
    text = "---\nid: mine-1\nlocal_only: true\n---\nwalrus\n"
    write(home, "shared/deep/a.md", text)
    assert [one.place for one in found(mesh, "local")] == ["shared/deep/a.md"]
    remedies.fix(mesh.workspace, "local")
    assert not (home / "shared/deep/a.md").exists()
    assert (home / "_local/shared/deep/a.md").read_text() == text
    assert found(mesh) == [] and mesh.recall("walrus")[0]["path"] == "_local/shared/deep/a.md"


def test_a_local_memory_is_never_moved_over_another(home, mesh):
    """The place is taken: it stays, and that is said."""
    write(home, "shared/a.md", "---\nlocal_only: true\n---\nwalrus\n")
    write(home, "_local/shared/a.md", "octopus")
    (said,) = remedies.fix(mesh.workspace, "local")
    assert "not moved" in said
    assert (home / "_local/shared/a.md").read_text() == "octopus" and (home / "shared/a.md").exists()


def test_links_are_shown(home, mesh, tmp_path):
    """A link is not followed, so what it names is not recalled."""
    write(home, "shared/a.md", "walrus")
    (home / "shared/link.md").symlink_to(write(tmp_path, "b.md", "octopus"))
    (finding,) = found(mesh, "link")
    assert finding.place == "shared/link.md" and not finding.serious


def test_a_home_that_others_can_look_into_is_shown_and_closed(home, mesh):
    """Mode 0700."""
    if os.name != "posix":
        pytest.skip("no modes on this system")
    mesh.learn("the walrus")
    home.chmod(0o755)
    (finding,) = found(mesh, "modes")
    assert "0755" in finding.cause
    remedies.fix(mesh.workspace, "modes")
    assert home.stat().st_mode & 0o777 == 0o700 and found(mesh) == []


def test_a_missing_model_is_a_finding(home):
    """Recall by words only is worth knowing."""
    with wordsonly(home) as mesh:
        mesh.learn("the walrus")
        (finding,) = found(mesh)
        assert finding.kind == "model" and "mesh model pull" in finding.remedy


def spoil_vectors(folder):
    """Flip a bit that no recall of today looks at; the file keeps its times."""
    path = folder / "vectors.npy"
    times = path.stat()
    with path.open("r+b") as file:
        file.seek(128 + 40)
        byte = file.read(1)[0]
        file.seek(128 + 40)
        file.write(bytes([byte ^ 8]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def spoil(statement):
    def act(folder):
        with sqlite3.connect(folder / "manifest.db") as db:
            assert db.execute(statement).rowcount
        db.close()

    return act


SPOILT = {
    "a vector": spoil_vectors,
    "a term of another name": spoil("UPDATE postings SET term = 'squid' WHERE term = 'octopu'"),
    "a term that is missing": spoil("DELETE FROM postings WHERE term = 'octopu'"),
    "a weight": spoil("UPDATE postings SET data = CAST(substr(data, 1, 4) || x'09' AS BLOB) WHERE term = 'octopu'"),
    "a posting that is text": spoil("UPDATE postings SET data = 'text' WHERE term = 'octopu'"),
    "a length": spoil("UPDATE batches SET lengths = x'07000000'"),
    "a file that is not there": spoil("DELETE FROM files WHERE path LIKE '%octopus%'"),
    "a file that is there and dropped": spoil("INSERT INTO dropped (file_id) SELECT max(file_id) FROM files"),
    "a batch that is missing": spoil("DELETE FROM batches WHERE batch = 1"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_damage_that_a_recall_may_miss_is_found_and_mended(home, mesh, what):
    """Doctor looks at every byte of the cache."""
    for text in ("the walrus", "an octopus"):
        mesh.learn(text)
    mesh.recall("walrus")
    mesh.close()
    SPOILT[what](home / ".cache/shared")
    (finding,) = found(mesh)
    assert finding.kind == "cache" and finding.fixable
    remedies.fix(mesh.workspace, "cache")
    assert found(mesh) == [] and mesh.recall("the walrus")[0]["content"] == "the walrus"


def test_what_an_interrupted_write_left_is_shown_and_cleared_away(home, mesh):
    """A temporary whose text is elsewhere goes; one that holds a text of its own becomes a memory."""
    path = mesh.learn("the walrus")["path"]
    double = write(home, "shared/.mesh-0123456789abcdef.tmp", (home / path).read_bytes())
    only = write(home, "shared/.mesh-fedcba9876543210.tmp", "an octopus that nobody else remembers")
    for one in (double, only):
        os.utime(one, (1, 1))
    assert len(found(mesh, "leftovers")) == 2
    remedies.fix(mesh.workspace, "leftovers")
    assert found(mesh) == [] and not double.exists() and not only.exists()
    assert mesh.recall("octopus", 1)[0]["content"] == "an octopus that nobody else remembers" and mesh.count() == 2


def test_there_is_no_remedy_for_what_has_none(mesh):
    """Only named remedies, only known names."""
    with pytest.raises(KeyError):
        remedies.fix(mesh.workspace, "everything")


def test_every_fixable_kind_has_a_remedy():
    """What a finding promises is there."""
    assert set(remedies.REMEDIES) == {"cache", "ids", "leftovers", "local", "modes"}


def test_examining_an_empty_home_is_fine(home):
    """Nothing there, nothing wrong."""
    shutil.rmtree(home, ignore_errors=True)
    with hashed(home) as mesh:
        assert found(mesh) == []
