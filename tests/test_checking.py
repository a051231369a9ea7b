"""`mesh check`: what a pull request would bring in, in a plain clone, without a home."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from clones import TOKEN, git
from hashing import bytes_below

import mesh as library
from mesh.errors import InvalidInput

MESH = Path(sys.executable).parent / "mesh"
DOCS = Path(__file__).parent.parent / "docs" / "CI.md"
pytestmark = pytest.mark.usefixtures("home", "without_model")
LIMIT, OTHER_LIMIT = "The API rate limit is 100 requests/min", "The API rate limit is 250 requests/min"


@pytest.fixture
def clone(tmp_path):
    """A repository with memories in `notes/`, and a branch "topic" that is checked out."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main", "clone")
    folder = tmp_path / "clone"
    for path, text in {
        "notes/limit.md": f"---\nid: aaaa1111\nagent: ana\n---\n{LIMIT}\n",
        "notes/lamp.md": "The lamp in the hall is lit\n",
        "notes/old.md": "---\ntags: [broken\n---\nSince ever\n",
        "src/main.py": "print('hello')\n",
    }.items():
        put(folder, path, text)
    commit(folder)
    git(folder, "switch", "--quiet", "--create", "topic")
    return folder


def put(folder: Path, path: str, text: str) -> None:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=x")


def checked(folder: Path, *options: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [MESH, "check", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"MESH_HOME": "/no/home"},
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_what_must_not_be_merged_is_told_with_its_place(clone):
    """Of what is new or changed only: what the base has already is not this branch's."""
    put(clone, "notes/new.md", "---\nid: bbbb1111\n---\nThe door is green\n")
    assert library.check_proposal(clone / "notes", "main")["problems"] == []
    put(clone, "notes/own.md", "---\nagent: ana\nlocal_only: true\n---\nMine\n")
    put(clone, "notes/marks.md", "One\n<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n")
    put(clone, "notes/bad.md", "---\ntags: [a\n---\nBad\n")
    put(clone, "notes/key.md", f"Line\n{TOKEN}\n")
    put(clone, "notes/aux.md", "A name that Windows keeps for itself\n")
    put(clone, "notes/twin.md", "---\nid: aaaa1111\n---\nAnother\n")
    put(clone, "notes/.gitattributes", "* merge=union\n")
    row = library.check_proposal(clone / "notes", "main")
    told = {(one["path"], one["line"], one["serious"]) for one in row["problems"]}
    assert told == {
        ("notes/own.md", 3, True),
        ("notes/marks.md", 2, True),
        ("notes/bad.md", 2, True),
        ("notes/key.md", 2, True),
        ("notes/aux.md", 0, True),
        ("notes/twin.md", 0, True),
        ("notes/.gitattributes", 0, False),
    }
    assert TOKEN not in json.dumps(row)


def test_a_contradiction_is_a_warning_unless_it_is_strict(clone):
    """Exit 0, or 1; the same for the files and for the commit that has them."""
    put(clone, "notes/other.md", f"---\nid: bbbb1111\nagent: bob\n---\n{OTHER_LIMIT}\n")
    row = json.loads(checked(clone, "notes", "--base", "main", "--json").stdout)
    assert row["new"] == ["notes/other.md"] and row["compared_by"] == "words" and row["head"] is None
    assert [(one["path"], one["yours"]["path"]) for one in row["contradicts"]] == [("notes/other.md", "notes/limit.md")]
    commit(clone)
    git(clone, "switch", "--quiet", "main")
    of_head = json.loads(checked(clone, "notes", "--base", "main", "--head", "topic", "--json").stdout)
    assert (of_head["new"], of_head["contradicts"]) == (row["new"], row["contradicts"])
    said = checked(clone, "notes", "--base", "main", "--head", "topic", "--strict", code=1)
    assert '"250 requests", not "100 requests"' in said.stdout and "aaaa1111 by ana" in said.stdout
    assert "there is no model" in said.stderr


def test_a_long_list_is_cut_for_people_and_whole_for_programs(clone):
    """Twenty of each kind, then how many more; names of any kind steer no terminal."""
    for number in range(25):
        put(clone, f"notes/{number}.md", f"The API rate limit is {number + 200} requests/min\n")
    put(clone, "notes/evil\x1b[31m.md", f"{OTHER_LIMIT}\n")
    told = checked(clone, "notes", "--base", "main", code=1).stdout
    assert "1 error; 25 contradict yours" in told and told.count("aaaa1111 by ana") == 20
    assert "contradicts yours: and 5 more" in told and "\x1b" not in told
    row = json.loads(checked(clone, "notes", "--base", "main", "--json", code=1).stdout)
    assert len(row["contradicts"]) == 25


def test_only_what_the_branch_changed_counts_where_the_base_went_on(clone):
    """It is compared with the base as it is now; what the branch deletes or replaces is not contradicted by it."""
    put(clone, "notes/limit.md", f"---\nid: aaaa1111\nagent: ana\n---\n{OTHER_LIMIT}\n")
    commit(clone)
    git(clone, "switch", "--quiet", "main")
    put(clone, "notes/later.md", "The API rate limit is 400 requests/min\n")
    commit(clone)
    git(clone, "switch", "--quiet", "topic")
    row = library.check_proposal(clone, "main")
    assert (row["new"], row["changed"], row["gone"]) == ([], ["notes/limit.md"], [])
    assert [one["yours_says"] for one in row["contradicts"]] == ["400 requests"]


def test_nothing_is_written(clone, home):
    """Neither to the repository nor to the home; not even where a cache is kept."""
    put(clone, "notes/other.md", f"{OTHER_LIMIT}\n")
    before = (
        bytes_below(clone),
        git(clone, "status", "--porcelain"),
        sorted(path.name for path in (clone / ".git").iterdir()),
    )
    cache = clone.parent / "cache"
    rows = [library.check_proposal(clone, "main", cache=cache) for _ in range(2)]
    assert rows[0] == rows[1] and rows[0]["contradicts"]
    assert before == (
        bytes_below(clone),
        git(clone, "status", "--porcelain"),
        sorted(p.name for p in (clone / ".git").iterdir()),
    )
    assert not list(home.iterdir())


@pytest.mark.parametrize("place", ["clone/notes", "mine"])
def test_a_cache_lies_in_a_folder_of_its_own(clone, place):
    """Not in the repository, where it would be taken for memories, and not where somebody has files."""
    put(clone.parent, "mine/file", "x")
    with pytest.raises(InvalidInput):
        library.check_proposal(clone, "main", cache=clone.parent / place)


def test_wrong_usage_is_one_line(clone, tmp_path):
    """No such commit, no repository, nothing to compare with: exit 2."""
    for folder, options in ((clone, ["--base", "nope"]), (tmp_path, ["--base", "main"]), (clone, [])):
        said = checked(folder, *options, code=2)
        assert said.stdout == "" and len(said.stderr.splitlines()) == 1, said.stderr


def test_a_linked_work_tree_is_a_clone_too(clone):
    """Its `.git` is a file."""
    git(clone, "worktree", "add", "--quiet", "../linked", "-b", "other")
    put(clone.parent / "linked", "notes/more.md", "---\nlocal_only: true\n---\nMine\n")
    row = library.check_proposal(clone.parent / "linked", "main")
    assert row["new"] == ["notes/more.md"] and [one["line"] for one in row["problems"]] == [2]


def test_ignored_files_are_not_proposed(clone):
    """A build folder full of Markdown is nobody's memory."""
    put(clone, ".gitignore", "build/\n")
    put(clone, "build/readme.md", f"{OTHER_LIMIT}\n")
    assert library.check_proposal(clone, "main")["new"] == []


# --- docs/CI.md ------------------------------------------------------------------------------------------------------


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)


def test_the_workflow_in_the_documentation_is_what_the_forge_reads():
    """It parses, has the whole history, and calls `mesh check` with options that exist."""
    import yaml

    (text,) = blocks("yaml")
    workflow = yaml.load(text, yaml.BaseLoader)
    steps = workflow["jobs"]["check"]["steps"]
    assert workflow["on"]["pull_request"]["paths"] == ["notes/**"]
    assert next(one for one in steps if "checkout" in one.get("uses", ""))["with"]["fetch-depth"] == "0"
    (run,) = [one["run"] for one in steps if "mesh check" in one.get("run", "")]
    known = subprocess.run([MESH, "check", "--help"], capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"--\w+", run)) <= set(re.findall(r"--\w+", known))


def test_the_shell_steps_of_the_documentation_run(clone, tmp_path):
    """With a remote of its own; it fails for a problem, and passes without."""
    git(tmp_path, "clone", "--quiet", "--bare", "clone", "origin.git")
    git(clone, "remote", "add", "origin", str(tmp_path / "origin.git"))
    (script,) = blocks("sh")
    env = os.environ | {"MESH_HOME": "/no/home", "HOME": str(tmp_path), "PATH": f"{MESH.parent}:{os.environ['PATH']}"}
    for text, code in (("The door is green\n", 0), ("---\nlocal_only: true\n---\nMine\n", 1)):
        put(clone, "notes/new.md", text)
        done = subprocess.run(["sh", "-e"], input=script, cwd=clone, env=env, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr


def test_annotations_name_file_and_line_and_cannot_be_broken_out_of(clone):
    """A name with a comma or a new line stays one property of one annotation."""
    put(clone, "notes/a,b%\n::error::x.md", "---\nlocal_only: true\n---\nMine\n")
    put(clone, "notes/other.md", f"{OTHER_LIMIT}\n")
    said = checked(clone, "notes", "--base", "main", "--format", "github", code=1).stdout.splitlines()
    assert all(re.fullmatch(r"::(error|warning) file=[^,:\s]+(,line=\d+)?::.+", line) for line in said), said
    assert any("contradicts notes/limit.md" in line for line in said)
