"""A memory that is purged is in no byte below the home but in the backup, and nothing else is lost."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest
from clones import Clone, git, joins
from hashing import hashed
from test_sharing_kills import EVERY, killed_at

import mesh as library
from mesh.errors import GitFailed, InvalidInput, MayNotLeave, RemoteRefused, UnknownMemory

pytestmark = pytest.mark.usefixtures("without_model")
CANARY = "zebra7canary4quagga"
SECRET = f"The staging phrase is {CANARY}"


def traces(home: Path, canary: str = CANARY) -> list[str]:
    """Where the canary is: in raw bytes of any file, and in any object of any repository, but for backups."""
    found = []
    for path in home.rglob("*"):
        if ".backup" in path.relative_to(home).parts:
            continue
        if canary in path.name or (path.is_file() and canary.encode() in path.read_bytes()):
            found.append(str(path.relative_to(home)))
        if path.name == "HEAD" and (path.parent / "objects").is_dir():
            found += [f"{path.parent.name}: {one}" for one in objects(path.parent) if canary.encode() in one]
    return found


def objects(git_dir: Path) -> list[bytes]:
    how = ["git", f"--git-dir={git_dir}", "cat-file", "--batch-all-objects", "--batch"]
    return subprocess.run(how, capture_output=True, check=True).stdout.split(b"\n")


def log(clone: Clone, *what: str) -> list[str]:
    return git(clone.folder, "log", "--all", "--date-order", "--format=%an|%ae|%at|%ct|%s", *what).splitlines()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """ann learned a secret, changed it, moved its file and synced in between; others worked after it, bob has it."""
    folder = tmp_path_factory.mktemp("world")
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    ann, remote = Clone(folder / "ann"), folder / "remote.git"
    lamp = ann.learn("The lamp in the hall is lit", title="Lamp")
    library.share_namespace("notes", str(remote), home=ann.home)
    secret = ann.learn(SECRET, title=f"The phrase {CANARY}")
    ann.sync()
    ann.mesh.update(secret, f"{SECRET}, and again {CANARY}")
    ann.sync()
    file = ann.mesh.file_of(secret)
    (ann.folder / "deep").mkdir()
    file.rename(ann.folder / "deep" / f"{CANARY}.md")
    ann.learn("The door is green")
    ann.mesh.acting_as("carl").learn("The window is open")
    ann.sync()
    joins(ann, remote, "bob").mesh.close()
    ann.mesh.close()
    return folder, lamp, secret


@pytest.fixture
def copied(world, tmp_path):
    """The same, to be changed."""
    return lambda: restored(world[0], tmp_path)


def restored(world: Path, place: Path) -> Path:
    for name in ("ann", "bob", "remote.git"):
        shutil.rmtree(place / name, ignore_errors=True)
        shutil.copytree(world / name, place / name, symlinks=True)
    for name in ("ann", "bob"):
        config = place / name / "notes/.git/config"
        config.write_text(config.read_text().replace(str(world), str(place)))
    return place


@pytest.fixture
def leaked(world, copied):
    ann = Clone(copied() / "ann")
    ann.lamp, ann.secret = world[1:]
    yield ann
    ann.mesh.close()


@pytest.fixture
def remote(leaked):
    return leaked.home.with_name("remote.git")


@pytest.fixture
def bob(leaked):
    return Clone(leaked.home.with_name("bob"))


# --- one clone -----------------------------------------------------------------------------------------------------


def test_a_purged_memory_is_nowhere_but_in_the_backup(leaked):
    """Files, trash, cache, commits under every name, reflogs, stash, tags, index: and git finds nothing damaged."""
    git(leaked.folder, "tag", "-a", "old", "-m", f"with {CANARY}")
    git(leaked.folder, "branch", "aside", "HEAD~1")
    (leaked.folder / "deep" / f"{CANARY}.md").write_bytes(leaked.mesh.file_of(leaked.secret).read_bytes() + b"stash\n")
    git(leaked.folder, "stash", "--quiet")
    leaked.mesh.recall("the staging phrase")
    assert traces(leaked.home)
    row = leaked.mesh.purge(leaked.secret)
    assert traces(leaked.home) == []
    assert {"refs/heads/main", "refs/heads/aside", "refs/tags/old", "refs/stash"} <= set(row["refs"])
    assert row["versions"] >= 3 and len(row["paths"]) == 2 and row["elsewhere"] == []
    leaked.is_clean()
    assert leaked.texts() == {"The lamp in the hall is lit", "The door is green", "The window is open"}
    with pytest.raises(UnknownMemory):
        leaked.mesh.get(leaked.secret)


def test_all_other_commits_stay_as_they_were(leaked):
    """Who, when, what; only words that told of the memory are gone from messages, and what changed it is empty now."""
    before, files = log(leaked, "--invert-grep", f"--grep={CANARY}"), leaked.files()
    leaked.mesh.purge(leaked.secret)
    after = log(leaked)
    assert after[0].endswith("|purge: a memory")
    assert set(before) < set(after) and len(after) == len(before) + 4
    assert any(line.endswith("|learn: (purged)") for line in after)
    assert leaked.files() == {path: data for path, data in files.items() if CANARY not in path}
    assert log(leaked, "--max-parents=0") == [line for line in before if line.endswith("Share notes")]


def test_a_dry_run_says_what_would_go_and_does_nothing(leaked):
    """The same figures as the purge itself."""
    before = git(leaked.folder, "for-each-ref"), leaked.files()
    dry = leaked.mesh.purge(leaked.secret, dry_run=True)
    assert (git(leaked.folder, "for-each-ref"), leaked.files()) == before
    assert not (leaked.home / ".backup").exists() and dry["backup"] is None
    done = leaked.mesh.purge(leaked.secret)
    same = ("id", "versions", "paths", "commits", "renamed", "refs")
    assert {key: dry[key] for key in same} == {key: done[key] for key in same}
    assert sorted(dry["files"]) == sorted(done["files"])


def test_the_backup_brings_all_of_it_back(leaked):
    """As its README says; it is for its owner alone."""
    files, commits = leaked.files(), log(leaked)
    backup = Path(leaked.mesh.purge(leaked.secret)["backup"])
    assert backup.stat().st_mode & 0o077 == 0 and (leaked.home / ".backup/.gitignore").read_text() == "*\n"
    steps = [line.strip() for line in (backup / "README.txt").read_text().splitlines() if line.startswith("    ")]
    assert steps[-1] == "mesh reindex -N notes"
    for step in steps[:-1]:
        subprocess.run(step, shell=True, check=True, cwd=leaked.home)
    assert (leaked.files(), log(leaked)) == (files, commits)
    leaked.is_clean()
    assert leaked.mesh.get(leaked.secret)["content"].startswith(SECRET)


def test_without_a_repository_files_trash_and_cache_are_purged(home):
    """Vectors of what stays are not made again."""
    with hashed(home, "plain") as mesh:
        secret = mesh.learn(SECRET)["memory_id"]
        mesh.learn("The lamp is lit")
        mesh.update(secret, f"{CANARY} once more")
        mesh.recall("lamp")
        embedder = mesh.workspace.embedder
        embedder.embedded.clear()
        row = mesh.purge(secret)
        assert traces(home) == [] and row["versions"] == 0 and len(row["files"]) == 2
        assert [one["content"] for one in mesh.recall("lamp")] == ["The lamp is lit"]
        assert "The lamp is lit" not in embedder.embedded and mesh.pending() == 0


def test_a_memory_without_an_id_is_purged_by_its_path(leaked):
    """Also from before it was moved there."""
    (leaked.folder / "plain.md").write_text(f"No front matter, {CANARY}\n")
    leaked.sync()
    (leaked.folder / "plain.md").rename(leaked.folder / "moved.md")
    leaked.sync()
    leaked.mesh.purge(leaked.secret)
    leaked.mesh.purge("moved.md")
    assert traces(leaked.home) == []
    leaked.is_clean()


def test_a_memory_that_was_forgotten_long_ago_is_purged(leaked):
    """From the history and the trash, by its whole id."""
    leaked.mesh.forget(leaked.secret)
    leaked.sync()
    with pytest.raises(UnknownMemory):
        leaked.mesh.purge(leaked.secret[:10])
    leaked.mesh.purge(leaked.secret)
    assert traces(leaked.home) == []


def test_the_rival_of_a_purged_memory_goes_with_it(leaked, bob):
    """It is another version of it."""
    ann, secret = leaked, leaked.secret
    ann.mesh.update(secret, SECRET)
    bob.mesh.update(secret, f"Not {SECRET}")
    ann.sync()
    bob.sync()
    assert len(ann.sync()["conflicts"]) == 1
    ann.mesh.purge(secret)
    assert traces(ann.home) == [] and ann.mesh.conflicts() == []


def test_other_memories_with_the_same_text_are_named_and_stay(leaked):
    """In this namespace, and in others."""
    with hashed(leaked.home, "other") as other:
        other.learn(f"Copied: {CANARY}")
    copy = leaked.learn(f"I noted {CANARY}, too")
    row = leaked.mesh.purge(leaked.secret)
    assert {path.split("/")[0] for path in row["elsewhere"]} == {"other", "notes"}
    assert leaked.mesh.get(copy)


def test_work_that_is_staged_or_not_committed_stays(leaked):
    """In the index and in the folder."""
    staged = leaked.folder / "staged.md"
    staged.write_text("One\n")
    git(leaked.folder, "add", "staged.md")
    staged.write_text("Two\n")
    lamp = leaked.mesh.file_of(leaked.lamp)
    lamp.write_bytes(lamp.read_bytes() + b"by hand\n")
    leaked.mesh.purge(leaked.secret)
    assert git(leaked.folder, "show", ":staged.md") == "One\n" and staged.read_text() == "Two\n"
    assert git(leaked.folder, "status", "--porcelain").splitlines() == [f" M {lamp.name}", "AM staged.md"]


def test_a_signature_of_what_changed_is_dropped_and_told(leaked):
    """It would be wrong."""
    head = git(leaked.folder, "cat-file", "commit", "HEAD")
    signed = head.replace(
        "\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\n\n", 1
    )
    how = ["git", "-C", str(leaked.folder), "hash-object", "-t", "commit", "-w", "--stdin"]
    name = subprocess.run(how, input=signed, capture_output=True, text=True, check=True).stdout.strip()
    git(leaked.folder, "update-ref", "refs/heads/main", name)
    assert leaked.mesh.purge(leaked.secret)["signatures"] == 1
    assert "gpgsig" not in git(leaked.folder, "cat-file", "commit", "HEAD~1")


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["merge", "worktree", "shallow", "alternates", "replaced", "detached"])
def test_a_repository_that_is_not_whole_or_at_rest_is_refused(leaked, what):
    """Before anything was touched."""
    dot = leaked.folder / ".git"
    if what == "merge":
        (dot / "MERGE_HEAD").write_text(git(leaked.folder, "rev-parse", "HEAD"))
    elif what == "worktree":
        git(leaked.folder, "worktree", "add", "--quiet", "--detach", str(leaked.home.parent / "more"))
    elif what == "shallow":
        (dot / "shallow").write_text(git(leaked.folder, "rev-parse", "HEAD"))
    elif what == "alternates":
        (dot / "objects/info").mkdir(exist_ok=True)
        (dot / "objects/info/alternates").write_text(f"{leaked.home.parent / 'remote.git/objects'}\n")
    elif what == "replaced":
        git(leaked.folder, "replace", "HEAD", "HEAD~1")
    else:
        git(leaked.folder, "checkout", "--quiet", "--detach")
    before = leaked.files()
    with pytest.raises(GitFailed) as refused:
        leaked.mesh.purge(leaked.secret)
    assert refused.value.remedy and leaked.files() == before and not (leaked.home / ".backup").exists()


def test_the_history_of_a_larger_project_is_not_rewritten(home):
    """Where the namespace is a folder of it."""
    with hashed(home, "part") as mesh:
        secret = mesh.learn(SECRET)["memory_id"]
        git(home, "init", "--quiet")
        assert mesh.purge(secret, dry_run=True)["files"]  # nobody committed it there
        git(home, "add", "part")
        with pytest.raises(GitFailed, match="part of the repository"):
            mesh.purge(secret)
        assert mesh.get(secret)


# --- others --------------------------------------------------------------------------------------------------------


def test_a_purge_is_pushed_over_what_the_remote_has(leaked, remote):
    """When it is asked for; until then a sync does not fetch it again."""
    assert leaked.mesh.purge(leaked.secret)["remote_has_it"]
    with pytest.raises(RemoteRefused, match="still has what was purged"):
        leaked.mesh.sync()
    assert traces(leaked.home) == []
    row = leaked.mesh.purge(leaked.secret, push=True)
    assert row["pushed"] and not row["remote_has_it"] and row["also_at_remote"] == []
    assert git(remote, "rev-parse", "main") == git(leaked.folder, "rev-parse", "main")
    git(remote, "gc", "--quiet", "--prune=now")
    assert not any(CANARY.encode() in one for one in objects(remote))
    leaked.sync()
    assert traces(leaked.home) == []


def test_another_clone_takes_a_purge_over_and_keeps_its_own_work(leaked, bob, remote):
    """What it has not pushed, also; the purged memory is gone from it, and does not come back from it."""
    bob.learn("Bob was here")
    bob.mesh.update(leaked.lamp, tags=["hall"])
    leaked.mesh.purge(leaked.secret, push=True)
    with pytest.raises(RemoteRefused, match="was purged from it"):
        bob.mesh.sync()
    assert bob.mesh.get(leaked.secret)
    report = bob.sync("rewritten")
    assert [one["id"] for one in report["purged"]] == [leaked.secret] and traces(bob.home) == []
    leaked.sync()
    assert leaked.files() == bob.files() and traces(leaked.home) == []
    assert "Bob was here" in leaked.texts() and leaked.mesh.get(leaked.lamp)["tags"] == ["hall"]
    assert git(leaked.folder, "rev-parse", "main") == git(bob.folder, "rev-parse", "main")
    main = git(leaked.folder, "log", "--format=%s", "main").splitlines()
    assert sum(line == "learn: (purged)" for line in main) == 1  # one history, not two


def test_what_others_pushed_meanwhile_comes_in_without_it(leaked, bob, remote):
    """The push is not forced over their work."""
    leaked.mesh.purge(leaked.secret)
    bob.learn("Bob was first")
    bob.sync()
    leaked.mesh.purge(leaked.secret, push=True)
    assert "Bob was first" in leaked.texts() and traces(leaked.home) == []
    assert git(remote, "rev-parse", "main") == git(leaked.folder, "rev-parse", "main")
    bob.sync("rewritten")
    assert traces(bob.home) == [] and bob.files() == leaked.files()


def test_who_merges_the_old_history_back_with_git_is_noticed(leaked, bob, remote):
    """Our sync does not take it in, and does not push it."""
    leaked.mesh.purge(leaked.secret, push=True)
    git(bob.folder, "fetch", "--quiet", str(remote), "main")
    git(bob.folder, "merge", "--quiet", "--no-edit", "FETCH_HEAD")
    git(bob.folder, "push", "--quiet", str(remote), "main")
    with pytest.raises(RemoteRefused, match="still has what was purged"):
        leaked.mesh.sync()
    assert traces(leaked.home) == []
    leaked.mesh.purge(leaked.secret, push=True)
    assert traces(leaked.home) == []
    git(remote, "gc", "--quiet", "--prune=now")
    assert not any(CANARY.encode() in one for one in objects(remote))


def test_what_was_purged_is_not_pushed_by_hand_either(leaked):
    """A commit of a person that brings it back stays here."""
    old = Path(leaked.mesh.purge(leaked.secret, push=True)["backup"]) / "git"
    git(leaked.folder, "fetch", "--quiet", str(old), "main")
    git(leaked.folder, "merge", "--quiet", "-s", "ours", "--no-edit", "FETCH_HEAD")
    with pytest.raises((MayNotLeave, RemoteRefused)):
        leaked.mesh.sync()


def test_a_purge_of_what_was_never_pushed_needs_no_force(leaked, bob):
    """The remote's history goes on."""
    ann, other = leaked, "quokka5canary6numbat"
    secret = ann.learn(f"The other phrase is {other}")
    git(ann.folder, "add", ".")
    git(ann.folder, "commit", "--quiet", "-m", f"learn: The other phrase is {other}")
    row = ann.mesh.purge(secret)
    assert row["versions"] == 1 and not row["remote_has_it"] and traces(ann.home, other) == []
    ann.sync()
    bob.sync()
    assert bob.files() == ann.files() and traces(bob.home, other) == []


def test_the_command_line_needs_one_whole_id_and_a_yes(leaked, monkeypatch, capsys):
    """Where nobody is there to ask, --yes must be said."""
    from mesh_cli.purging import purge

    monkeypatch.setenv("MESH_HOME", str(leaked.home))
    said = {"push": False, "dry_run": False, "yes": False, "namespace": "notes", "as_json": False}
    with pytest.raises(InvalidInput, match="nobody is there"):
        purge([leaked.secret], **said)
    with pytest.raises(UnknownMemory):
        purge([leaked.secret[:8]], **said | {"yes": True})
    purge([leaked.secret], **said | {"dry_run": True})
    assert "would go: 2 files" in capsys.readouterr().err and traces(leaked.home)
    purge([leaked.secret], **said | {"yes": True})
    told = capsys.readouterr().err
    assert "--force-with-lease=main:" in told and "rm -rf" in told
    shutil.rmtree(leaked.home / ".backup")
    assert traces(leaked.home) == []


# --- kill -9 -------------------------------------------------------------------------------------------------------


def test_a_purge_that_is_killed_at_any_step_is_finished_or_was_not_begun(world, copied):
    """By the same command, or by a sync; the repository is whole at any time, and nothing else is lost."""
    step = 3
    while True:
        ann = Clone(copied() / "ann")
        if not killed_at(step, lambda ann=ann: ann.mesh.purge(world[2])):
            break
        assert "error" not in git(ann.folder, "fsck", "--full", "--strict")
        if step % 2:
            with contextlib.suppress(RemoteRefused):  # it has what was purged: the purge was finished
                ann.mesh.sync()
        ann.mesh.purge(world[2])
        assert traces(ann.home) == [], step
        assert ann.texts() == {"The lamp in the hall is lit", "The door is green", "The window is open"}, step
        ann.is_clean()
        ann.mesh.close()
        step += 3 * EVERY
    assert step > 100
