"""The merge driver that sharing puts into a repository, run by real git on real branches."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from clones import Clone, git, joins
from hashing import write
from test_git_hooks import ran

import mesh as library
from mesh import codec
from mesh.git.running import Git
from mesh.merge import sides
from mesh.sharing import hooks
from mesh.sharing.driving import drive

pytestmark = [
    pytest.mark.usefixtures("without_model"),
    pytest.mark.skipif(os.name == "nt", reason="runs shell scripts"),
]


def memory(*keys: str, body: str = "One\n\nTwo\n", own: str = "aaaa1111") -> str:
    return "\n".join(["---", f"id: {own}", *keys, "---", body])


@pytest.fixture
def folder(tmp_path) -> Path:
    """A repository with the driver."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main", "notes")
    hooks.keep(Git(tmp_path / "notes/.git", tmp_path / "notes"))
    return tmp_path / "notes"


Files = dict[str, str | bytes]


def branches(folder: Path, base: Files, ours: Files, theirs: Files) -> None:
    """Commit `base`, and two branches on it: `main`, which is checked out, and `other`."""
    for files, switch in ((base, ()), (theirs, ("-c", "other")), (ours, ("main",))):
        if switch:
            git(folder, "switch", "--quiet", *switch)
        for name, text in files.items():
            write(folder, name, text)
            git(folder, "add", name)
        git(folder, "commit", "--quiet", "--no-verify", "--allow-empty", "-m", "x")


BASE = memory("tags: [a]", "created: 2026-01-01")
OURS = memory("tags: [a, b]", "created: 2026-01-01", "confidence: 0.5")
THEIRS = memory("tags: [a, c]", "created: 2026-01-01", body="One\n\nThree\n")
BOTH = memory("tags: [a, b, c]", "created: 2026-01-01", "confidence: 0.5", body="One\n\nThree\n").encode()


@pytest.mark.parametrize("command", ["merge", "rebase", "cherry-pick", "pull --no-rebase ."])
def test_git_merges_memories_key_by_key(folder, command):
    """Where lines alone would conflict; with whatever command, also in a folder, with spaces and quotes in its name."""
    names = ("a.md", "team/it's a note.md")
    branches(folder, *(dict.fromkeys(names, text) for text in (BASE, OURS, THEIRS)))
    code, out = ran(folder, *command.split(), "other", GIT_EDITOR="true")
    assert code == 0, out
    assert [(folder / name).read_bytes() for name in names] == [BOTH, BOTH]


def test_what_is_known_to_both_without_a_base_is_merged(folder):
    """Both sides added the file: git gives an empty base."""
    branches(
        folder, {}, {"a.md": OURS.replace("Two", "Three")}, {"a.md": THEIRS.replace("tags: [a, c]", "tags: [a, b]")}
    )
    assert ran(folder, "merge", "other")[0] == 0
    assert b"confidence: 0.5" in (folder / "a.md").read_bytes()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (memory(body="Uno\n\nTwo\n"), memory(body="Eins\n\nTwo\n")),
        (memory("title: Mine"), memory("title: Its")),
        (memory("x: 1", "mine: {a: 1}"), memory("mine: {a: 2}", "x: 1")),
    ],
)
def test_a_conflict_is_left_to_git_with_both_sides_whole(folder, ours, theirs):
    """In markers, never without: and Mesh refuses the file until somebody has decided."""
    branches(folder, {"a.md": memory()}, {"a.md": ours}, {"a.md": theirs})
    code, out = ran(folder, "merge", "other")
    assert code == 1 and "CONFLICT" in out
    assert git(folder, "status", "--porcelain") == "UU a.md\n"
    found = sides((folder / "a.md").read_bytes())
    assert found and [codec.read(one, "a.md") for one in found] == [
        codec.read(t.encode(), "a.md") for t in (ours, theirs)
    ]


BROKEN = "---\ntags: [\n---\nOne\n\nTwo\n"
LATIN = "Grüße\n\nOne\n\nTwo\n".encode("latin-1")


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "expected"),
    [
        (BROKEN, BROKEN.replace("One", "Uno"), BROKEN.replace("Two", "Dos"), b"---\ntags: [\n---\nUno\n\nDos\n"),
        (LATIN, LATIN.replace(b"One", b"Uno"), LATIN.replace(b"Two", b"Dos"), LATIN[:7] + b"Uno\n\nDos\n"),
        (BROKEN, BROKEN.replace("Two", "Uno"), BROKEN.replace("Two", "Dos"), None),
        (b"\0a\n", b"\0b\n", b"\0c\n", b"\0b\n"),
        ("x" * (1 << 20) + "\n\nend\n", "x" * (1 << 20) + "\n\nfin\n", "start\n" + "x" * (1 << 20) + "\n\nend\n", None),
    ],
    ids=["broken", "latin-1", "conflict", "binary", "large"],
)
def test_what_is_no_memory_is_merged_as_git_does_it(folder, base, ours, theirs, expected):
    """Line by line; with its markers for a conflict; and of what is no text, ours stays in a conflict."""
    branches(folder, {"a.md": base}, {"a.md": ours}, {"a.md": theirs})
    code, out = ran(folder, "merge", "other")
    with_driver = code, (folder / "a.md").read_bytes()
    assert "Traceback" not in out
    assert expected is None or with_driver[1] == expected
    ran(folder, "merge", "--abort")
    git(folder, "reset", "--quiet", "--hard", "main")
    git(folder, "config", "merge.mesh.driver", "git merge-file -q -L ours -L base -L theirs %A %O %B")
    assert expected == b"\0b\n" or (ran(folder, "merge", "other")[0], (folder / "a.md").read_bytes()) == with_driver


def test_without_a_mesh_git_merges_as_it_does_by_itself(folder):
    """Nothing is lost, and no conflict is without markers."""
    branches(folder, {"a.md": BASE}, {"a.md": OURS}, {"a.md": THEIRS})
    driver = git(folder, "config", "merge.mesh.driver").strip()
    broken = driver.replace(str(Path(sys.executable).with_name("mesh")), "/nowhere/mesh")
    assert broken != driver
    git(folder, "config", "merge.mesh.driver", broken)
    path = f"{Path(shutil.which('git')).parent}:/bin"
    if shutil.which("mesh", path=path):
        pytest.skip("there is a mesh beside git")
    code, _ = ran(folder, "merge", "other", PATH=path)
    assert code == 1 and sides((folder / "a.md").read_bytes())


def test_files_that_are_not_there_are_a_conflict_and_no_traceback(tmp_path):
    """The exit code says so; what is there stays."""
    (tmp_path / "ours").write_text("mine\n")
    assert drive(tmp_path / "base", tmp_path / "ours", tmp_path / "theirs") is False
    assert (tmp_path / "ours").read_text() == "mine\n"
    mesh = Path(sys.executable).with_name("mesh")
    done = subprocess.run(
        [mesh, "merge-driver", "base", "ours", "theirs"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout + done.stderr) == (20, "")


def test_a_forge_that_merged_without_a_driver_does_no_harm(tmp_path):
    """A plain clone, merged by lines and pushed: everybody's next sync has what it made of it, and nothing is lost."""
    ann, remote = Clone(tmp_path / "ann"), tmp_path / "remote.git"
    ann.lamp = ann.learn("The lamp in the hall is lit", title="Lamp")
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    library.share_namespace("notes", str(remote), home=ann.home)
    bob = joins(ann, remote, "bob")
    forge = remote.with_name("forge")
    git(remote, "clone", "--quiet", str(remote), str(forge))
    bob.learn("The door is green")
    bob.mesh.update(ann.lamp, tags=["hall"])
    bob.mesh.sync()
    (name,) = [path.name for path in forge.glob("lamp--*.md")]
    text = (forge / name).read_text()
    (forge / name).write_text(text + "\nIt is old\n")
    (forge / "window.md").write_text("The window is open\n")
    git(forge, "add", ".")
    git(forge, "commit", "--quiet", "-m", "By plain git")
    assert ran(forge, "pull", "--quiet", "--no-rebase", "--no-edit")[0] == 0 and ran(forge, "push", "--quiet")[0] == 0
    ann.mesh.update(ann.lamp, confidence=0.5)
    for clone in (ann, bob, ann):
        clone.sync()
    assert ann.files() == bob.files()
    row = bob.mesh.get(ann.lamp)
    assert (row["tags"], row["confidence"]) == (["hall"], 0.5) and "It is old" in row["content"]
    assert {"The window is open", "The door is green"} < ann.texts() and not ann.mesh.conflicts()
