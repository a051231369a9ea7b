"""A shared namespace beside people who use git in it."""

from __future__ import annotations

import pytest
from clones import ann, bob, everything_in, git, remote, settle  # noqa: F401
from hashing import write

from mesh.errors import GitFailed

pytestmark = pytest.mark.usefixtures("without_model")


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


def test_what_lies_where_editors_keep_theirs_is_no_memory(ann, bob):
    """No recall looks there; so it is neither written nor taken for deleted."""
    (bob.folder / "#old#").mkdir()
    (bob.folder / "#old#" / "draft.md").write_text("A draft\n")
    git(bob.folder, "add", "-f", "#old#/draft.md")
    git(bob.folder, "commit", "--quiet", "-m", "Keep a draft")
    git(bob.folder, "push", "--quiet", "origin", "HEAD")
    for _ in range(2):
        ann.sync()
        assert git(ann.folder, "show", "HEAD:#old#/draft.md") == "A draft\n"
    assert not (ann.folder / "#old#").exists()
