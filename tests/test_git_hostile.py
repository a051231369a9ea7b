"""Foreign repositories that mean harm: fetched and looked at, with nothing run, nothing written, and a reason."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime

import pytest
from hashing import bytes_below
from hostile import CASES, FOLDER, LAMP, Forge, build

from mesh.errors import GitFailed, RemoteRefused
from mesh.git import history
from mesh.git.history import Relation
from mesh.git.inspection import inspect
from mesh.git.objects import Objects, entries
from mesh.git.remotes import fetch
from mesh.git.repository import Person, Repository
from mesh.git.running import Git

PEOPLE = {"author": Person("ann", "a@x"), "committer": Person("mesh", "m@x"), "when": datetime(2026, 1, 31, tzinfo=UTC)}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with everything in it: the forge with all cases, our vault, and what lies beside it."""
    folder = tmp_path_factory.mktemp("world")
    forge = Forge(folder / "forge.git", folder / "CANARY")
    commits = build(forge)
    (folder / "home" / "notes").mkdir(parents=True)
    (folder / "home" / "notes" / "lamp.md").write_bytes(LAMP)
    (folder / "elsewhere.txt").write_text("untouched")
    return folder, forge, commits, Repository.create(folder / "home" / "notes")


def looked_at(git: Git, commit: str):
    """What is found in a commit; a tree that cannot even be listed counts as refused."""
    with Objects(git) as blobs:
        try:
            found = inspect(entries(git, commit, limit=32 << 20), blobs)
        except (GitFailed, RemoteRefused) as error:
            return {}, {}, [str(error)]
    left_out = {one.path: one.cause for one in found.left_out}
    assert all(
        one.remedy and one.cause.isprintable() and one.path.isprintable() for one in found.left_out + found.refused
    )
    return found.accepted, left_out, [f"{one.path}: {one.cause}" for one in found.refused]


def test_there_are_enough_of_them():
    """At least forty."""
    assert len(CASES) >= 70


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_repository_is_fetched_and_looked_at_without_harm(world, name):
    """git refuses it on the way with a reason, or the inspection tells of each path why it does not come in."""
    folder, forge, commits, ours = world
    case = CASES[name]
    if case.fetch:
        with pytest.raises(GitFailed) as raised:
            fetch(ours, str(forge.path), name)
        assert re.search(case.fetch, str(raised.value)) and str(raised.value).isprintable()
        assert ours.commit_of(f"refs/mesh/fetched/{name}") is None
    else:
        assert fetch(ours, str(forge.path), name) == commits[name]
    git = Git(forge.path) if case.fetch else ours.git  # what git would let pass some day is seen all the same
    accepted, left_out, refused = looked_at(git, commits[name])
    assert bool(refused) == bool(case.refused) and all(re.search(case.refused, one) for one in refused)
    assert left_out.keys() == case.left_out.keys()
    assert all(re.search(cause, left_out[path]) for path, cause in case.left_out.items()), left_out
    assert ("lamp.md" in accepted) == case.honest
    assert not forge.canary.exists() and (folder / "elsewhere.txt").read_text() == "untouched"
    assert bytes_below(folder / "home") == {"notes/lamp.md": LAMP}
    assert sorted(path.name for path in folder.iterdir()) == ["elsewhere.txt", "forge.git", "home"]


def test_what_is_here_already_stays_when_a_twin_comes(world):
    """Only the newcomer is left out, so that nobody can push a memory away by a name that looks like its own."""
    _, forge, commits, _ = world
    git = Git(forge.path)
    with Objects(git) as blobs:
        found = inspect(entries(git, commits["case-twins"]), blobs, {"lamp.md": forge.blob(LAMP)})
    assert list(found.accepted) == ["lamp.md"] and [one.path for one in found.left_out] == ["Lamp.md"]


def test_what_is_left_out_stays_in_commits(world):
    """Mesh does not remove from a shared repository what others put there."""
    _, forge, commits, _ = world
    git = Git(forge.path)
    listed = list(entries(git, commits["case-twins"]))
    with Objects(git) as blobs:
        found = inspect(listed, blobs)
    assert {entry.path for entry in found.carried} | {one.entry.path for one in found.accepted.values()} == {
        entry.path for entry in listed
    }


# --- histories -------------------------------------------------------------------------------------------------


@pytest.fixture
def told(tmp_path):
    """A forge with a history of three commits, and a clone that has seen it: (forge, ours, commits)."""
    forge = Forge(tmp_path / "forge.git", tmp_path / "CANARY")
    commits: list[str] = []
    for number in range(3):
        notes = [entry for n in range(number + 1) for entry in forge.at(b"note-%d.md" % n)]
        commits.append(forge.commit(notes, *commits[-1:]))
    forge.branch("main", commits[-1])
    (tmp_path / "notes").mkdir()
    ours = Repository.create(tmp_path / "notes")
    assert fetch(ours, str(forge.path), "main") == commits[-1]
    ours.move("main", commits[-1], None)
    return forge, ours, commits


def judged(forge, ours, seen, accept=frozenset()):
    fetched = fetch(ours, str(forge.path), "main")
    how = history.relation(ours, ours.commit_of("refs/heads/main"), fetched, seen)
    found = None
    if fetched:
        with ours.blobs() as blobs:
            found = inspect(ours.entries(fetched), blobs)
    history.refuse(str(forge.path), how, found, had=3, accept=accept)
    return how


def test_what_the_remote_adds_is_ahead_and_what_both_add_has_diverged(told):
    """The plain cases, none of which is refused."""
    forge, ours, commits = told
    assert judged(forge, ours, commits[-1]) is Relation.SAME
    more = forge.commit(forge.at(b"more.md"), commits[-1])
    forge.branch("main", more)
    assert judged(forge, ours, commits[-1]) is Relation.AHEAD
    ours.move("main", ours.commit_tree(ours.tree(commits[-1], {}), [commits[-1]], "x", **PEOPLE), commits[-1])
    assert judged(forge, ours, commits[-1]) is Relation.DIVERGED
    ours.move("main", more, ours.commit_of("refs/heads/main"))
    ours.move("main", ours.commit_tree(ours.tree(more, {}), [more], "x", **PEOPLE), more)
    assert judged(forge, ours, commits[-1]) is Relation.BEHIND


def test_a_rewritten_history_is_refused_until_a_person_agrees(told):
    """Also one that still has a common beginning with ours: what was seen there is lost."""
    forge, ours, commits = told
    forge.branch("main", forge.commit(forge.at(b"other.md"), commits[0]))
    with pytest.raises(RemoteRefused, match="nothing was merged: its history was rewritten"):
        judged(forge, ours, commits[-1])
    assert judged(forge, ours, commits[-1], frozenset({Relation.REWRITTEN})) is Relation.REWRITTEN
    assert ours.commit_of("refs/heads/main") == commits[-1]


def test_a_force_push_that_drops_everything_is_refused(told):
    """An empty history in the place of the old one."""
    forge, ours, commits = told
    forge.branch("main", forge.commit([]))
    with pytest.raises(RemoteRefused, match="rewritten"):
        judged(forge, ours, commits[-1])
    assert len(list(ours.entries("refs/heads/main"))) == 3


def test_a_commit_that_removes_every_memory_is_refused(told):
    """Though its history is whole."""
    forge, ours, commits = told
    forge.branch("main", forge.commit(forge.at(b"README"), commits[-1]))
    with pytest.raises(RemoteRefused, match="all of its 3 memories are gone"):
        judged(forge, ours, commits[-1])


def test_a_stranger_and_a_branch_that_is_gone_are_refused(told):
    """Nothing in common; nothing there."""
    forge, ours, commits = told
    forge.branch("main", forge.commit(forge.at(b"stranger.md")))
    with pytest.raises(RemoteRefused, match="nothing in common"):
        judged(forge, ours, None)
    forge.git("update-ref", "-d", "refs/heads/main")
    with pytest.raises(RemoteRefused, match="not there any more"):
        judged(forge, ours, commits[-1])
    assert fetch(ours, str(forge.path), "main") is None


def test_a_damaged_object_is_refused_by_git(told):
    """A commit whose tree is missing never arrives."""
    forge, ours, _ = told
    text = f"tree {'1' * 40}\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nx\n".encode()
    (forge.path / "refs/heads/broken").write_text(forge.put("commit", text) + "\n")
    with pytest.raises(GitFailed):
        fetch(ours, str(forge.path), "broken")
    bad = f"tree {forge.tree([(FOLDER, b'x', '2' * 40)])}\nauthor a\ncommitter a <a> 1 +0000\n\nx\n".encode()
    (forge.path / "refs/heads/broken").write_text(forge.put("commit", bad) + "\n")
    with pytest.raises(GitFailed):
        fetch(ours, str(forge.path), "broken")
    assert subprocess.run(["git", "fsck"], cwd=ours.folder, capture_output=True, check=False).returncode == 0
