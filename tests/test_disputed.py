"""What two clones could not merge stays two memories, and whoever is shown either is told of the other."""

from __future__ import annotations

import subprocess

import pytest
from hashing import hashed, write

from mesh.errors import MalformedMemory
from mesh.rivals import rival

MEMORY = b"---\nid: limit-0001\nagent: ana\n---\nThe limit is 100\n"
THEIRS = b"---\nid: limit-0001\nagent: bob\n---\nThe limit is 200\n"
OTHER = "---\nid: other-001\n---\nSomething about the limit\n"


@pytest.fixture
def mesh(home):
    with hashed(home) as opened:
        yield opened


def in_conflict(mesh, name="limit-0001", path="limit.md", memory=MEMORY, theirs=THEIRS):
    """Both files, as a merge leaves them. Gives the rival's id."""
    made = rival(name, path, theirs)
    write(mesh.workspace.vault.home, f"shared/{path}", memory)
    write(mesh.workspace.vault.home, f"shared/{made.path}", made.data)
    return made.id


def by_id(rows):
    return {row["id"]: row for row in rows}


def test_both_versions_are_found_and_each_names_the_other(mesh):
    """By recall, list and get, and in a prompt's text."""
    other = in_conflict(mesh)
    write(mesh.workspace.vault.home, "shared/other.md", OTHER)
    one = {"limit-0001": mesh.get("limit-0001"), other: mesh.get(other), "other-001": mesh.get("other-001")}
    for rows in (by_id(mesh.recall("limit")), by_id(mesh.inspect()), one):
        assert (rows["limit-0001"]["rivals"], rows["limit-0001"]["rival_of"]) == ([other], None)
        assert rows["limit-0001"]["notices"] == [f"disputed: another version by bob, {other}; mesh conflicts"]
        assert (rows[other]["rivals"], rows[other]["rival_of"]) == ([], "limit-0001")
        assert rows[other]["notices"] == ["disputed: another version by ana, limit-0001; mesh conflicts"]
        assert (rows["other-001"]["rivals"], rows["other-001"]["notices"]) == ([], [])
    for style in ("markdown", "plain", "xml", "json"):
        assert mesh.context("limit", format=style)["context"].count("disputed: another version by") == 2


def test_a_memory_without_an_id_is_named_by_its_path(mesh):
    """In whatever folder of the namespace it lies, and in whatever case."""
    other = in_conflict(mesh, "Sub/limit.md", "sub/limit.md", b"The limit is 100\n", b"The limit is 200\n")
    memory, its_rival = mesh.get("shared/sub/limit.md"), mesh.get(other)
    assert memory["rivals"] == [other] and memory["id"] in its_rival["notices"][0]


def test_of_several_rivals_all_are_named(mesh):
    """And each of them names the memory alone."""
    others = {in_conflict(mesh), in_conflict(mesh, theirs=THEIRS.replace(b"200", b"300"))}
    row = mesh.get("limit-0001")
    assert {*row["rivals"]} == others and row["notices"][0].startswith("disputed: 2 other versions: by bob, ")
    assert all("another version by ana, limit-0001" in mesh.get(other)["notices"][0] for other in others)


@pytest.mark.parametrize("how", ["ours", "theirs", "both"])
def test_a_conflict_that_was_settled_is_told_no_more(mesh, how):
    """In every way; also by deleting a file."""
    in_conflict(mesh)
    mesh.resolve("limit-0001", how)
    assert all((row["rivals"], row["rival_of"], row["notices"]) == ([], None, []) for row in mesh.inspect())


def test_a_conflict_is_not_settled_while_one_of_its_files_cannot_be_read(mesh):
    """What would be kept or deleted is not what was shown."""
    in_conflict(mesh)
    home = mesh.workspace.vault.home
    for arguments in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *arguments], cwd=home / "shared", check=True)
    write(home, "shared/limit.md", b"\xff")
    assert mesh.get("limit-0001")["quarantined"] and len(mesh.conflicts()) == 1
    for how in ("ours", "theirs", "both"):
        with pytest.raises(MalformedMemory):
            mesh.resolve("limit-0001", how)
    assert len(mesh.conflicts()) == 1


def test_a_rival_whose_memory_was_deleted_says_so(mesh):
    """It is still one until somebody decides."""
    other = in_conflict(mesh)
    mesh.forget("limit-0001")
    assert mesh.get(other)["rival_of"] == "limit-0001" and "is gone" in mesh.get(other)["notices"][0]


def test_what_must_not_leave_is_not_named_to_whom_it_may_not_be_shown(mesh):
    """A rival that says local_only, in an answer for another machine."""
    other = in_conflict(mesh, theirs=THEIRS.replace(b"---\nT", b"local_only: true\n---\nT"))
    assert mesh.get("limit-0001")["rivals"] == [other]
    (row,) = mesh.recall("limit", include_local=False)
    assert (row["id"], row["rivals"], row["notices"]) == ("limit-0001", [], [])
    assert mesh.get("limit-0001", include_local=False)["rivals"] == []


def test_a_cache_that_is_made_again_knows_the_conflicts(mesh):
    """They are in the files."""
    other = in_conflict(mesh)
    mesh.reindex(from_nothing=True)
    assert mesh.get("limit-0001")["rivals"] == [other]
