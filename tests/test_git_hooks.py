"""The hooks that sharing puts into a repository, run by real git; and what a push of `mesh sync` looks at."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from clones import TOKEN, Clone, everything_in, git, joins
from hashing import write
from mesh_cli.verbs import PLUMBING, help_text

import mesh as library
from mesh.errors import MayNotLeave
from mesh.git.running import Git
from mesh.sharing import hooks, leaks
from mesh.sharing.hook_texts import ASIDE, MARK

pytestmark = [
    pytest.mark.usefixtures("without_model"),
    pytest.mark.skipif(os.name == "nt", reason="runs shell scripts of its own"),
]
SECRET = f"The token is {TOKEN}\n"
LOCAL = "---\nlocal_only: true\n---\nThe canary\n"
ZEROS = "0" * 40


def ran(folder: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    """The exit code of git and what it said, with the hooks as people have them."""
    names = {f"GIT_{who}_{what}": "p@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = os.environ | names | {"HOME": str(folder.parent), "GIT_CONFIG_NOSYSTEM": "1"} | variables
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, env=env)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A home and its remote, to be copied."""
    folder = tmp_path_factory.mktemp("shared")
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESH_MODEL_PATH", str(folder / "no-model"))
        ann = Clone(folder / "ann")
        ann.learn("The lamp in the hall is lit", title="Lamp")
        library.share_namespace("notes", str(folder / "remote.git"), home=ann.home)
    return folder


@pytest.fixture
def ann(shared, tmp_path):
    shutil.copytree(shared, tmp_path, dirs_exist_ok=True)
    found = Clone(tmp_path / "ann")
    git(found.folder, "remote", "set-url", "origin", str(tmp_path / "remote.git"))
    git(found.folder, "update-index", "-q", "--refresh")
    found.lamp = found.mesh.inspect(None)[0]["id"]
    return found


@pytest.fixture
def remote(ann):
    return ann.home.with_name("remote.git")


def commit(clone: Clone, name: str, text: str, *options: str, message: str = "x") -> str:
    """A commit that no hook looked at."""
    write(clone.home, f"notes/{name}", text)
    git(clone.folder, "add", name)
    git(clone.folder, "commit", "--quiet", "--no-verify", "-m", message, *options)
    return git(clone.folder, "rev-parse", "HEAD").strip()


def script(place: Path, text: str) -> None:
    place.parent.mkdir(exist_ok=True)
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)


def trees(clone: Clone) -> str:
    return git(clone.folder, "log", "--format=%T")


# --- what is committed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "said"), [(SECRET, "GitHub token"), (LOCAL, "local_only")])
def test_what_must_not_leave_is_not_committed(ann, text, said):
    """However it is staged; place, cause and remedy are told, and not the secret. What is honest goes."""
    before = trees(ann)
    write(ann.home, "notes/leak.md", text)
    git(ann.folder, "add", "leak.md")
    write(ann.home, "notes/leak.md", "The folder has another version than the index\n")
    code, out = ran(ann.folder, "commit", "-m", "x")
    assert code == 1 and "leak.md" in out and said in out and "nothing was committed" in out and TOKEN not in out
    write(ann.home, "notes/leak.md", text)
    assert ran(ann.folder, "commit", "-m", "x", "leak.md")[0] == 1
    git(ann.folder, "rm", "--quiet", "--cached", "leak.md")
    file = ann.mesh.file_of(ann.lamp)
    good = file.read_bytes()
    file.write_bytes(good + text.removeprefix("---\nlocal_only: true\n---\n").encode())
    assert ran(ann.folder, "commit", "-am", "x")[0] == (1 if text == SECRET else 0)
    file.write_bytes(good + b"and green\n")
    assert ran(ann.folder, "commit", "-am", "y")[0] == 0 and trees(ann) != before


def test_the_index_of_this_commit_is_what_counts(ann):
    """`git commit PATH` leaves alone what is staged besides, and so does the hook."""
    write(ann.home, "notes/leak.md", SECRET)
    write(ann.home, "notes/door.md", "The door is green\n")
    git(ann.folder, "add", "leak.md", "door.md")
    assert ran(ann.folder, "commit", "-m", "x", "door.md")[0] == 0
    assert ran(ann.folder, "commit", "-m", "x")[0] == 1


def test_a_secret_is_allowed_by_its_fingerprint(ann):
    """In a memory's front matter, or by a setting of the clone for all else; then it is pushed and synced, too."""
    write(ann.home, "notes/leak.md", SECRET)
    write(ann.home, "notes/key.txt", f"\n{SECRET}")
    git(ann.folder, "add", "leak.md", "key.txt")
    out = ran(ann.folder, "commit", "-m", "x")[1]
    assert "key.txt:2" in out and "leak.md:1" in out
    name = out.partition("allow_secrets: [")[2][:12]
    assert f"git config --add {leaks.ALLOW_SETTING} {name}" in out
    write(ann.home, "notes/leak.md", f"---\nallow_secrets: [{name}]\n---\n{SECRET}")
    git(ann.folder, "add", "leak.md")
    assert "leak.md" not in ran(ann.folder, "commit", "-m", "x")[1]
    git(ann.folder, "config", "--add", leaks.ALLOW_SETTING, name)
    assert ran(ann.folder, "commit", "-m", TOKEN)[0] == 0
    ann.sync()


def test_the_first_commit_of_all_is_looked_at(ann, tmp_path):
    """There is no HEAD to compare with."""
    git(tmp_path, "init", "--quiet", "new")
    hooks.keep(Git(tmp_path / "new/.git", tmp_path / "new"))
    (tmp_path / "new/a.md").write_text(SECRET)
    git(tmp_path / "new", "add", "a.md")
    assert ran(tmp_path / "new", "commit", "-m", "x")[0] == 1


def test_what_others_have_already_does_not_stop_a_merge(ann):
    """A conflict that a person settles is committed, whatever came from the other side."""
    git(ann.folder, "branch", "other")
    commit(ann, "door.md", "The door is green\n")
    git(ann.folder, "switch", "--quiet", "other")
    commit(ann, "leak.md", SECRET)
    commit(ann, "door.md", "The door is red\n")
    git(ann.folder, "switch", "--quiet", "main")
    assert ran(ann.folder, "merge", "other")[0] == 1
    write(ann.home, "notes/door.md", "The door is brown\n")
    git(ann.folder, "add", "door.md")
    assert ran(ann.folder, "commit", "-m", "x")[0] == 0
    assert ran(ann.folder, "push", "origin", "main")[0] == 1


def test_a_second_work_tree_and_a_program_without_a_path_have_the_same_hooks(ann, tmp_path):
    """The hook finds its repository and its Mesh by itself."""
    git(ann.folder, "worktree", "add", "--quiet", str(tmp_path / "second"), "-b", "second")
    (tmp_path / "second/leak.md").write_text(SECRET)
    git(tmp_path / "second", "add", "leak.md")
    assert "leak.md:1" in ran(tmp_path / "second", "commit", "-m", "x")[1]
    write(ann.home, "notes/leak.md", SECRET)
    git(ann.folder, "add", "leak.md")
    done = subprocess.run(
        [shutil.which("git"), "commit", "-m", "x"],
        cwd=ann.folder,
        env={"PATH": ""} | {f"GIT_{who}_{what}": "p" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "leak.md:1" in done.stderr


# --- what is pushed ------------------------------------------------------------------------------------------------


def test_what_must_not_leave_is_not_pushed(ann, remote):
    """By git or by sync, also if a later commit took it out, and if nobody can read it as a memory."""
    leaks = {
        "leak.md": (SECRET, "leak.md:1"),
        "local.md": (LOCAL, "local.md: it is local_only"),
        "broken.md": (f"---\ntags: [\n---\n{SECRET}", "broken.md:4"),
        "conflict.md": ("<<<<<<< a\n---\nlocal_only: true\n=======\n>>>>>>> b\n", "conflict.md: it is local_only"),
        "a:b.md": (f"\n{SECRET}", "a:b.md:2"),
        "logo.bin": (f"\0\n{SECRET}", "logo.bin:2"),
        "shell.txt": (SECRET.encode("utf-16"), "shell.txt:1"),
        f"{TOKEN}.txt": ("x\n", "its name"),
        "large.txt": (("words of no meaning " * 50 + "\n") * 1100 + SECRET, "large.txt:1101"),
    }
    for name, (text, _) in leaks.items():
        write(ann.home, f"notes/{name}", text)
    git(ann.folder, "add", ".")
    git(ann.folder, "commit", "--quiet", "--no-verify", "-m", "Oops")
    commit = git(ann.folder, "rev-parse", "--short", "HEAD").strip()
    git(ann.folder, "rm", "--quiet", "--", *leaks)
    git(ann.folder, "commit", "--quiet", "--no-verify", "-m", "Never mind")
    code, out = ran(ann.folder, "push")
    assert code == 1 and "nothing was pushed" in out
    assert [said for _, said in leaks.values() if said not in out] == [] and f", in commit {commit}. " in out
    with pytest.raises(MayNotLeave, match="git rebase -i") as refused:
        ann.mesh.sync()
    assert len(refused.value.reasons) == out.count("mesh: ") - 1 >= len(leaks)
    assert TOKEN not in everything_in(remote) and "canary" not in everything_in(remote)
    assert ran(ann.folder, "push", "--no-verify")[0] == 0


def test_words_about_commits_are_looked_at(ann):
    """Messages, authors, tags and names of branches; signatures are random by their nature."""
    commit(ann, "a.md", "One\n", message=f"A word\n\nand then {TOKEN}")
    assert "its message:3" in ran(ann.folder, "push")[1]
    with pytest.raises(MayNotLeave, match="its message:3"):
        ann.mesh.sync()
    for text, code in ((TOKEN, 1), ("AK" + "IAZ7Q2M4K9X1B3V5N8", 0)):
        signed = f"x\n\n-----BEGIN PGP SIGNATURE-----\n\n{text}\n-----END PGP SIGNATURE-----"
        git(ann.folder, "commit", "--quiet", "--amend", "--no-verify", "-m", signed)
        assert ran(ann.folder, "push")[0] == code
    commit(ann, "b.md", "Two\n", f"--author={TOKEN} <a@example.org>")
    assert "its author" in ran(ann.folder, "push")[1]
    git(ann.folder, "commit", "--quiet", "--amend", "--no-verify", "--reset-author", "-m", "x")
    git(ann.folder, "tag", "-a", "v1", "-m", f"At last {TOKEN}")
    assert "the tag" in ran(ann.folder, "push", "origin", "v1")[1]
    assert "the name refs/heads/ghp_" in ran(ann.folder, "push", "origin", f"main:{TOKEN}")[1]
    assert ran(ann.folder, "push")[0] == 0


def test_only_what_goes_is_looked_at(ann, remote):
    """A new branch has what the remote's others have; a deletion sends nothing; a forced push what is new in it."""
    commit(ann, "leak.md", SECRET)
    assert ran(ann.folder, "push", "--no-verify")[0] == 0
    git(ann.folder, "switch", "--quiet", "-c", "topic")
    commit(ann, "a.md", "One\n")
    assert ran(ann.folder, "push", "origin", "topic")[0] == 0
    git(ann.folder, "commit", "--quiet", "--amend", "--no-verify", "-m", "Once more")
    assert ran(ann.folder, "push", "--force", "origin", "topic")[0] == 0
    assert ran(ann.folder, "push", "origin", ":topic")[0] == 0
    git(ann.folder, "switch", "--quiet", "main")
    git(ann.folder.parent, "init", "--quiet", "--bare", "other.git")
    git(ann.folder, "remote", "set-url", "origin", str(ann.folder.parent / "other.git"))
    assert "leak.md" in ran(ann.folder, "push", "origin", "main")[1]


def test_a_remote_that_is_ahead_in_an_unknown_way_does_not_hide_what_goes(ann, remote):
    """Its commit is not here, so nothing can be left out by it."""
    unknown = git(remote, "commit-tree", "main^{tree}", "-p", "main", "-m", "Ahead").strip()
    git(remote, "update-ref", "refs/heads/main", unknown)
    head = commit(ann, "leak.md", SECRET)
    line = f"refs/heads/main {head} refs/heads/main {unknown}\n"
    hook = ann.folder / ".git/hooks/pre-push"
    assert subprocess.run([hook, "origin", str(remote)], cwd=ann.folder, input=line, text=True).returncode == 1
    gone = f"(delete) {ZEROS} refs/heads/main {unknown}\n"
    assert subprocess.run([hook, "origin", str(remote)], cwd=ann.folder, input=gone, text=True).returncode == 0


def test_large_files_are_read_in_little_memory(ann):
    """Lines are counted over all of it; what stands where two pieces meet is told once; long lines are no matter."""
    line = b"words of no meaning here\n"
    pieces = [line * 5000, line * 4990 + b"\nThe token is ghp_", SECRET[17:].encode() + line * 9000, b"x" * 300_000]
    found = list(leaks.in_pieces("big.txt", iter(pieces)))
    assert [one.line for one in found] == [9992]
    halves = SECRET.encode()[:25], SECRET.encode()[25:]
    assert len({one.line for one in leaks.in_pieces("one.json", [b"{" + b"a, " * 90_000 + halves[0], halves[1]])}) == 1


# --- hooks of others, and without Mesh ------------------------------------------------------------------------------


def test_a_hook_that_was_there_runs_as_ever(ann, tmp_path):
    """With its arguments and its input; what it says counts; and it is where it was when ours go."""
    library.share_namespace("notes", hooks=False, home=ann.home)
    places = {name: ann.folder / ".git/hooks" / name for name in ("pre-commit", "pre-push")}
    assert not any(place.exists() for place in places.values())
    log = tmp_path / "log"
    script(places["pre-commit"], f'echo "$0 $#" >>{log}; test ! -e {tmp_path}/stop')
    script(places["pre-push"], f'echo "$1 $2" >>{log}; cat >>{log}; exit 0')
    before = {name: place.read_bytes() for name, place in places.items()}
    ann.mesh.sync()
    assert {name: place.read_bytes() for name, place in places.items()} == before
    library.share_namespace("notes", hooks=True, home=ann.home)
    assert not log.exists() and all(MARK in place.read_text() for place in places.values())
    write(ann.home, "notes/a.md", "One\n")
    git(ann.folder, "add", "a.md")
    assert ran(ann.folder, "commit", "-m", "x")[0] == 0 and ran(ann.folder, "push")[0] == 0
    head, url = git(ann.folder, "rev-parse", "HEAD").strip(), git(ann.folder, "remote", "get-url", "origin").strip()
    first, second, third, *more = log.read_text().splitlines()
    assert (first, second) == (f".git/hooks/pre-commit{ASIDE} 0", f"origin {url}") and not more
    assert third.startswith(f"refs/heads/main {head} refs/heads/main ")
    (tmp_path / "stop").touch()
    assert ran(ann.folder, "commit", "--allow-empty", "-m", "x")[0] == 1
    library.share_namespace("notes", hooks=False, home=ann.home)
    assert {name: place.read_bytes() for name, place in places.items()} == before
    assert not git(ann.folder, "config", "--list", "--local").count("merge.mesh")
    assert not (ann.folder / ".git/info/attributes").exists()


def test_a_sync_puts_right_what_is_missing_or_old_and_writes_nothing_else(ann):
    """A hook that somebody removed, one of an older Mesh, attributes, settings; a person's own lines stay."""
    folder = ann.folder / ".git"
    good = {path: path.read_bytes() for path in (folder / "hooks/pre-commit", folder / "hooks/pre-push")}
    stamps = [path.stat().st_mtime_ns for path in good]
    ann.sync()
    assert [path.stat().st_mtime_ns for path in good] == stamps
    (folder / "hooks/pre-commit").chmod(0o644)
    ann.sync()
    assert os.access(folder / "hooks/pre-commit", os.X_OK)
    (folder / "hooks/pre-commit").unlink()
    (folder / "hooks/pre-push").write_text(f"#!/bin/sh\n{MARK} older\n")
    (folder / "info/attributes").write_text("*.bin -diff\n")
    git(ann.folder, "config", "merge.mesh.driver", "older")
    ann.sync()
    assert {path: path.read_bytes() for path in good} == good
    assert (folder / "info/attributes").read_text().endswith("*.md merge=mesh\n# Mesh: end.\n*.bin -diff\n")
    assert git(ann.folder, "config", "merge.mesh.driver") != "older\n"
    assert sorted(path.name for path in (folder / "hooks").iterdir()) == ["pre-commit", "pre-push"]


def test_a_hook_that_took_the_place_of_ours_is_kept_as_well(ann, tmp_path):
    """Also a second time. The one of pre-commit, which moves ours aside and runs it, is left as it is."""
    place = ann.folder / ".git/hooks/pre-commit"
    for name in ("one", "two"):
        place.unlink()
        script(place, f"touch {tmp_path}/{name}")
        ann.sync()
    assert ran(ann.folder, "commit", "--allow-empty", "-m", "x")[0] == 0
    assert (tmp_path / "one").exists() and (tmp_path / "two").exists()
    place.rename(place.with_name("pre-commit.legacy"))
    script(place, 'exec "${0%/*}/pre-commit.legacy"')
    ann.sync()
    assert MARK not in place.read_text()
    write(ann.home, "notes/leak.md", SECRET)
    git(ann.folder, "add", "leak.md")
    assert ran(ann.folder, "commit", "-m", "x")[0] == 1


def test_hooks_that_lie_elsewhere_are_not_touched(ann, caplog):
    """husky's, say: a person is told which line to add, and with it they work."""
    git(ann.folder, "config", "core.hooksPath", ".husky")
    script(ann.folder / ".husky/pre-commit", "exit 0")
    shutil.rmtree(ann.folder / ".git/hooks")
    ann.mesh.sync()
    assert not caplog.messages and not (ann.folder / ".git/hooks").exists()
    library.share_namespace("notes", home=ann.home)
    assert [said.partition("Add to it: ")[2] for said in caplog.messages] == [
        'mesh git-hook pre-commit "$@"',
        'mesh git-hook pre-push "$@"',
    ]
    script(ann.folder / ".husky/pre-commit", 'mesh git-hook pre-commit "$@"')
    write(ann.home, "notes/leak.md", SECRET)
    git(ann.folder, "add", "leak.md")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    assert "leak.md:1" in ran(ann.folder, "commit", "-m", "x", PATH=path)[1]


def test_without_a_mesh_that_works_git_stops_and_says_how_to_go_on(ann, tmp_path):
    """One that is gone, one that fails; another one that is in PATH helps, if it is a Mesh."""
    for name in ("pre-commit", "pre-push"):
        place = ann.folder / ".git/hooks" / name
        place.write_text(place.read_text().replace(str(Path(sys.executable).with_name("mesh")), "/nowhere/mesh"))
    script(tmp_path / "bin/mesh", "exit 0")
    write(ann.home, "notes/door.md", "The door is green\n")
    git(ann.folder, "add", "door.md")
    base = os.environ["PATH"]
    code, out = ran(ann.folder, "commit", "-m", "x", PATH=f"{tmp_path}/bin:{base}")
    assert (code, out.count("\n")) == (1, 1) and "git commit --no-verify" in out
    assert ran(ann.folder, "commit", "-m", "x", PATH=f"{Path(sys.executable).parent}:{base}")[0] == 0
    assert "git push --no-verify" in ran(ann.folder, "push", PATH=f"{tmp_path}/bin:{base}")[1]
    (ann.folder / ".git/HEAD").replace(tmp_path / "HEAD")
    hook = [ann.folder / ".git/hooks/pre-commit"]
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{base}"}
    done = subprocess.run(hook, cwd=ann.folder, env=env, capture_output=True, text=True)
    assert done.returncode == 1 and "there is no repository" in done.stderr and "--no-verify" in done.stderr


def test_hooks_that_cannot_be_written_do_not_keep_anything_from_being_synced(ann, caplog):
    """It is told. A folder that is a link, to one in commits perhaps, is not written to."""
    shutil.rmtree(ann.folder / ".git/hooks")
    (ann.folder / ".git/hooks").write_text("")
    ann.learn("The door is green")
    assert ann.sync()["pushed"] and "are not as they should be" in caplog.text
    (ann.folder / ".git/hooks").unlink()
    (ann.folder / "tools").mkdir()
    (ann.folder / ".git/hooks").symlink_to("../tools")
    ann.sync()
    assert not [*(ann.folder / "tools").iterdir()]


def test_what_git_runs_is_not_in_the_help(home):
    """But has help of its own, and says what it does not know."""
    mesh = Path(sys.executable).with_name("mesh")
    assert not [name for name in PLUMBING if name in help_text()]
    for words, code, said in ((["--help"], 0, "pre-commit or pre-push"), (["post-merge"], 2, "there is no hook")):
        done = subprocess.run([mesh, "git-hook", *words], capture_output=True, text=True)
        assert done.returncode == code and said in done.stdout + done.stderr


def test_hooks_in_a_circle_end(ann):
    """Whoever lets ours call itself is told."""
    place = ann.folder / ".git/hooks/pre-commit"
    script(place.with_name(place.name + ASIDE), f'exec "{place}"')
    code, out = ran(ann.folder, "commit", "--allow-empty", "-m", "x")
    assert code == 1 and "in a circle" in out


def test_mesh_runs_none_of_them(ann, remote, tmp_path):
    """Neither sync nor undo: what they look at is their own."""
    for name in ("pre-commit", "pre-push", "reference-transaction", "post-commit", "post-index-change"):
        script(ann.folder / ".git/hooks" / (name + ASIDE * name.startswith("pre-")), f"touch {tmp_path}/CANARY")
    git(ann.folder, "config", "merge.mesh.driver", f"touch {tmp_path}/CANARY")
    library.share_namespace("notes", hooks=True, home=ann.home)
    bob = joins(ann, remote, "bob")
    for clone, text in ((bob, "The lamp is dark"), (ann, "The lamp is broken")):
        clone.mesh.update(ann.lamp, text)
        clone.mesh.sync()
    ann.mesh.undo("ann", since="2020-01-01")
    ann.mesh.sync()
    assert not (tmp_path / "CANARY").exists()
