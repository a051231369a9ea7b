"""Namespaces shared through git, with real clones and remotes on disk."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hashing import bytes_below, write

import mesh as library
from mesh import Mesh
from mesh.errors import GitFailed, InvalidInput, MayNotLeave, NotFound, RemoteRefused

pytestmark = pytest.mark.usefixtures("without_model")
TOKEN = "ghp_" + "".join("A1b2C3d4E5f6G7h8I9j0"[n % 20] for n in (3, 7, 1, 12, 9, 4, 0, 17, 2, 8, 11, 6) * 3)


def git(folder: Path, *arguments: str) -> str:
    env = os.environ | {"HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    env |= {f"GIT_{who}_{what}": "p@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Clone:
    """One person's home, with the namespace "notes"."""

    def __init__(self, home: Path) -> None:
        self.home, self.folder = home, home / "notes"
        self.mesh = Mesh("notes", home.name, home)

    def learn(self, text: str, **options) -> str:
        return self.mesh.learn(text, **options)["memory_id"]

    def sync(self, *accept: str):
        report = self.mesh.sync(accept=accept)
        self.is_clean(allowed=[one["path"] for one in report["kept_back"]])
        return report

    def texts(self) -> set[str]:
        return {row["content"] for row in self.mesh.inspect(None, include_local=False)}

    def files(self) -> dict[str, bytes]:
        return {path: data for path, data in bytes_below(self.folder).items() if path.endswith(".md")}

    def is_clean(self, allowed=()):
        """git sees nothing changed, nothing damaged, and nothing of ours is left behind."""
        said = [line for line in git(self.folder, "status", "--porcelain").splitlines() if line[3:] not in allowed]
        assert said == []
        assert "error" not in git(self.folder, "fsck", "--full", "--strict")
        assert git(self.folder, "for-each-ref", "refs/mesh/applying") == ""


@pytest.fixture
def remote(tmp_path):
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    return tmp_path / "remote.git"


@pytest.fixture
def ann(tmp_path, remote):
    found = Clone(tmp_path / "ann")
    found.lamp = found.learn("The lamp in the hall is lit", title="Lamp")
    library.share_namespace("notes", str(remote), home=found.home)
    return found


def joins(ann: Clone, remote: Path, name: str) -> Clone:
    library.clone_namespace(str(remote), "notes", home=ann.home.with_name(name))
    return Clone(ann.home.with_name(name))


@pytest.fixture
def bob(ann, remote):
    return joins(ann, remote, "bob")


def settle(*clones: Clone) -> None:
    for _ in range(2):
        for clone in clones:
            clone.sync()
    assert all(clone.files() == clones[0].files() for clone in clones)


# --- two clones ----------------------------------------------------------------------------------------------------


def test_what_one_learns_the_other_recalls(ann, bob):
    """After a sync on each side; the report says what came and went."""
    bob.learn("The door is green")
    assert len(bob.sync()["pushed"]) == 1
    report = ann.sync()
    assert len(report["new"]) == 1 and ann.mesh.recall("green door")[0]["content"] == "The door is green"
    assert ann.files() == bob.files()


def test_nothing_to_do_is_nothing_done(ann):
    """No commit, no file."""
    before = git(ann.folder, "rev-parse", "HEAD")
    report = ann.sync()
    assert not (report["pushed"] or report["new"] or report["changed"] or report["gone"])
    assert git(ann.folder, "rev-parse", "HEAD") == before


def test_each_author_has_a_commit_of_their_own(ann, remote):
    """So that `git log` tells who learned what."""
    ann.learn("One")
    ann.mesh.acting_as("carl").learn("Two")
    ann.mesh.acting_as("carl").learn("Three")
    ann.sync()
    said = git(remote, "log", "--format=%an: %s", "-2").splitlines()
    assert said == ["carl: 2 memories by carl: 2 new", "ann: learn: One"]


def test_edits_of_different_lines_and_keys_are_merged(ann, bob):
    """No conflict, and both have both."""
    ann.mesh.update(ann.lamp, tags=["hall"])
    bob.mesh.update(ann.lamp, confidence=0.5)
    settle(ann, bob)
    row = bob.mesh.get(ann.lamp)
    assert (row["tags"], row["confidence"]) == (["hall"], 0.5) and bob.mesh.conflicts() == []


@pytest.mark.parametrize(("how", "expected"), [("ours", 1), ("theirs", 1), ("both", 2)])
def test_a_conflict_keeps_both_until_somebody_settles_it(ann, bob, how, expected):
    """Both texts are on both sides; what one decides goes to the other."""
    ann.mesh.update(ann.lamp, "The lamp is broken")
    bob.mesh.update(ann.lamp, "The lamp is dark")
    ann.sync()
    assert len(bob.sync()["conflicts"]) == 1 and len(ann.sync()["conflicts"]) == 1
    (row,) = ann.mesh.conflicts()
    assert row["id"] == ann.lamp and ann.texts() == {"The lamp is broken", "The lamp is dark"} == bob.texts()
    kept = {"ours": ann.mesh.get(ann.lamp), "theirs": ann.mesh.get(row["rival_id"])}
    ann.mesh.resolve(ann.lamp, how)
    settle(ann, bob)
    assert bob.mesh.conflicts() == [] and len(bob.texts()) == expected
    if how != "both":
        assert bob.mesh.get(ann.lamp)["content"] == kept[how]["content"]


def test_a_conflict_can_be_settled_with_other_text(ann, bob):
    """A whole file takes the memory's place."""
    ann.mesh.update(ann.lamp, "The lamp is broken")
    bob.mesh.update(ann.lamp, "The lamp is dark")
    settle(ann, bob)
    file = ann.mesh.file_of(ann.lamp)
    text = file.read_bytes().replace(b"is broken", b"is gone").replace(b"is dark", b"is gone")
    ann.mesh.resolve(ann.lamp, text=text)
    settle(ann, bob)
    assert bob.texts() == {"The lamp is gone"}
    with pytest.raises(NotFound):
        ann.mesh.resolve(ann.lamp)


def test_what_is_forgotten_goes_to_the_trash_of_others(ann, bob):
    """They can bring it back."""
    ann.learn("The door is green")
    settle(ann, bob)
    ann.mesh.forget(ann.lamp)
    ann.sync()
    assert len(bob.sync()["gone"]) == 1 and bob.texts() == {"The door is green"}
    bob.mesh.restore(ann.lamp)
    settle(ann, bob)
    assert len(ann.texts()) == 2


def test_what_one_forgets_and_another_changes_stays(ann, bob):
    """And this is said."""
    ann.learn("The door is green")
    settle(ann, bob)
    ann.mesh.forget(ann.lamp)
    bob.mesh.update(ann.lamp, "The lamp is dark")
    ann.sync()
    assert [note["kind"] for note in bob.sync()["notes"]] == ["kept"]
    settle(ann, bob)
    assert ann.texts() == {"The lamp is dark", "The door is green"}


def test_three_clones_come_to_the_same(ann, bob, remote):
    """Whoever syncs first."""
    carl = joins(ann, remote, "carl")
    for clone in (ann, bob, carl):
        clone.learn(f"{clone.home.name} was here")
        clone.mesh.update(ann.lamp, f"The lamp, says {clone.home.name}")
    settle(carl, ann, bob)
    assert len(ann.texts()) == 6 and len(ann.mesh.conflicts()) == 2


# --- what stays here -----------------------------------------------------------------------------------------------


def everything_in(remote: Path) -> str:
    names = [line.split()[0] for line in git(remote, "rev-list", "--objects", "--all").splitlines()]
    return "".join(git(remote, "cat-file", "-p", name) + name for name in names)


def test_what_is_local_only_never_leaves(ann, remote):
    """Neither from its own folder, nor from the shared one, where somebody may put it by hand."""
    ann.learn("The canary sings at four", local_only=True)
    write(ann.home, "notes/canary.md", "---\nlocal_only: true\n---\nThe canary sings at five\n")
    report = ann.sync()
    assert [one["path"] for one in report["kept_back"]] == ["canary.md"]
    assert "canary" not in everything_in(remote)


def test_a_secret_stays_back_and_the_rest_goes(ann, remote):
    """It is named, with line and remedy, without being told."""
    write(ann.home, "notes/key.md", f"The token is {TOKEN}\n")
    ann.learn("The door is green")
    (problem,) = ann.sync()["kept_back"]
    assert (problem["path"], problem["line"]) == ("key.md", 1) and TOKEN not in str(problem)
    assert "door is green" in everything_in(remote) and TOKEN not in everything_in(remote)


@pytest.mark.parametrize("text", [f"The token is {TOKEN}\n", "---\nlocal_only: true\n---\nThe canary\n"])
def test_a_leak_that_was_committed_with_git_is_not_pushed(ann, bob, remote, text):
    """Also if a later commit took it out; what others did still comes in."""
    write(ann.home, "notes/leak.md", text)
    git(ann.folder, "add", "leak.md")
    git(ann.folder, "commit", "--quiet", "--no-verify", "-m", "Oops")
    git(ann.folder, "rm", "--quiet", "leak.md")
    git(ann.folder, "commit", "--quiet", "-m", "Never mind")
    bob.learn("The door is green")
    bob.sync()
    with pytest.raises(MayNotLeave, match=r"leak\.md.*git rebase"):
        ann.mesh.sync()
    assert "The door is green" in ann.texts()
    assert TOKEN not in everything_in(remote) and "canary" not in everything_in(remote)


def test_a_broken_file_stays_back(ann, bob):
    """Others keep its last good version."""
    file = ann.mesh.file_of(ann.lamp)
    file.write_text("---\ntags: [\n---\nx\n")
    assert [one["path"] for one in ann.sync()["kept_back"]] == [file.name]
    bob.sync()
    assert bob.texts() == {"The lamp in the hall is lit"}


# --- beside people who use git -------------------------------------------------------------------------------------


def test_commits_of_people_are_merged_and_pushed(ann, bob):
    """A plain clone is a namespace."""
    write(ann.home, "notes/window.md", "The window is open\n")
    git(ann.folder, "add", "window.md")
    git(ann.folder, "commit", "--quiet", "-m", "Window")
    bob.learn("The door is green")
    settle(bob, ann)
    assert {"The window is open", "The door is green"} < bob.texts()


def test_other_files_are_carried_and_never_written(ann, bob):
    """They stay in commits; git finds nothing missing; they come and go as people's git says."""
    (ann.folder / "logo.png").write_bytes(b"\x89PNG")
    git(ann.folder, "add", "logo.png")
    git(ann.folder, "commit", "--quiet", "-m", "Logo")
    settle(ann, bob)
    bob.learn("The door is green")
    bob.sync()
    assert "logo.png" in git(bob.folder, "ls-tree", "--name-only", "HEAD") and not (bob.folder / "logo.png").exists()
    assert (ann.folder / "logo.png").exists()


def test_what_a_person_staged_stays_staged(ann, bob):
    """Another version than the folder's is theirs to commit."""
    file = ann.mesh.file_of(ann.lamp)
    good = file.read_bytes()
    file.write_bytes(good.replace(b"lit", b"staged"))
    git(ann.folder, "add", file.name)
    file.write_bytes(good.replace(b"lit", b"edited"))
    (ann.folder / "plan.txt").write_text("a plan")
    git(ann.folder, "add", "plan.txt")
    bob.learn("The door is green")
    bob.sync()
    report = ann.mesh.sync()
    assert [one["path"] for one in report["kept_back"]] == [file.name] and len(report["new"]) == 1
    assert git(ann.folder, "status", "--porcelain").splitlines() == [f"MM {file.name}", "A  plan.txt"]
    assert b"staged" in git(ann.folder, "show", f":{file.name}").encode() and b"edited" in file.read_bytes()


def test_a_persons_merge_is_not_disturbed(ann):
    """Refused, in a line that says what to do."""
    (ann.folder / ".git/MERGE_HEAD").write_text(git(ann.folder, "rev-parse", "HEAD"))
    ann.learn("The door is green")
    before = git(ann.folder, "rev-parse", "HEAD")
    with pytest.raises(GitFailed, match=r"a merge is under way here\. Finish or abort it"):
        ann.mesh.sync()
    assert git(ann.folder, "rev-parse", "HEAD") == before


@pytest.mark.parametrize(("arguments", "reason"), [(["--detach"], "detached HEAD"), (["-c", "other"], "'other'")])
def test_another_branch_is_not_shared_by_accident(ann, arguments, reason):
    """Refused, with the command that leads back."""
    git(ann.folder, "switch", "--quiet", *arguments)
    with pytest.raises(GitFailed, match=f"{reason}.*git switch main"):
        ann.mesh.sync()


# --- remotes that lost something -----------------------------------------------------------------------------------


def test_a_force_push_that_drops_everything_takes_nothing_from_us(ann, bob, remote):
    """Ours stay, also when a person agrees to go on with it."""
    bob.sync()
    first = git(remote, "rev-list", "--max-parents=0", "main").strip()
    git(remote, "update-ref", "refs/heads/main", first)
    with pytest.raises(RemoteRefused, match="rewritten"):
        bob.mesh.sync()
    assert bob.texts() == {"The lamp in the hall is lit"}
    bob.sync("rewritten")
    assert bob.texts() == {"The lamp in the hall is lit"}
    assert "Lamp" in git(remote, "log", "--format=%s", "main")


def test_all_memories_gone_is_refused(ann, bob, remote):
    """A commit that deletes all of them is not believed."""
    git(bob.folder, "rm", "--quiet", "-r", ".")
    git(bob.folder, "commit", "--quiet", "-m", "Clean up")
    git(bob.folder, "push", "--quiet", str(remote), "main")
    with pytest.raises(RemoteRefused, match="all of its 1 memories are gone"):
        ann.mesh.sync()
    assert ann.texts() == {"The lamp in the hall is lit"}


def test_unrelated_history_needs_a_word(ann, remote, tmp_path):
    """Both are kept then."""
    other = Clone(tmp_path / "other")
    other.learn("The door is green")
    with pytest.raises(InvalidInput, match="has a history already"):
        library.share_namespace("notes", str(remote), home=other.home)
    library.share_namespace("notes", home=other.home)
    with pytest.raises(RemoteRefused, match="nothing in common"):
        library.share_namespace("notes", str(remote), home=other.home)
    other.sync("unrelated")
    settle(ann, other)
    assert len(ann.texts()) == 2


def test_what_cannot_be_cloned_says_why(tmp_path, remote, ann):
    """An empty remote; a name that is taken; one that is not shared."""
    git(tmp_path, "init", "--quiet", "--bare", "empty.git")
    with pytest.raises(InvalidInput, match="the remote is empty"):
        library.clone_namespace(str(tmp_path / "empty.git"), home=tmp_path / "new")
    with pytest.raises(InvalidInput, match="already"):
        library.clone_namespace(str(remote), "notes", home=ann.home)
    with Mesh("private", home=ann.home) as private:
        private.learn("Mine")
        with pytest.raises(NotFound, match="mesh share private"):
            private.sync()


def test_a_quarantined_file_is_not_reverted(ann, bob):
    """What arrived broken stays in commits, and the last good version in the folder, until somebody edits either."""
    file = bob.mesh.file_of(ann.lamp)
    good = file.read_bytes()
    file.write_text("---\ntags: [\n---\nx\n")
    git(bob.folder, "commit", "--quiet", "-am", "Oops")
    bob.mesh.sync()
    assert [one["path"] for one in ann.sync()["left_out"]] == [file.name]
    ann.learn("The door is green")
    ann.sync()
    assert ann.mesh.file_of(ann.lamp).read_bytes() == good
    assert "tags: [" in git(ann.folder, "show", f"HEAD:{file.name}")
    file.write_bytes(good.replace(b"lit", b"dark"))
    bob.mesh.sync()
    ann.sync()
    assert ann.mesh.get(ann.lamp)["content"] == "The lamp in the hall is dark"


def test_an_edit_of_a_quarantined_file_is_merged(ann, bob):
    """Both stay: ours as the memory, what arrived beside it."""
    file = bob.mesh.file_of(ann.lamp)
    file.write_text("---\ntags: [\n---\nx\n")
    git(bob.folder, "commit", "--quiet", "-am", "Oops")
    bob.mesh.sync()
    ann.sync()
    ann.mesh.update(ann.lamp, "The lamp is dark")
    ann.sync()
    assert ann.texts() == {"The lamp is dark"}
    assert "The lamp is dark" in git(ann.folder, "show", f"HEAD:{file.name}")
    assert "tags: [" in everything_in(ann.folder)
