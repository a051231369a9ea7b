"""A file that cannot be read stays as it is, and its last good version is served in its place, and labelled."""

from __future__ import annotations

import shutil
import subprocess
import time

import pytest
from hashing import HashEmbedder, hashed, write
from mesh_servers.mcp_answers import lean

from mesh import doctor, share_namespace
from mesh.errors import MalformedMemory, UnknownMemory
from mesh.git import last_good

GOOD = "---\nid: deploy-01\ntags: [ops]\n---\nDeploy on Tuesday\n"
MARKERS = b"---\nid: deploy-01\n---\n<<<<<<< HEAD\nDeploy on Monday\n=======\nDeploy on Friday\n>>>>>>> theirs\n"
BROKEN_KEYS = b"---\nid: deploy-01\ntags: [ops\n---\nDeploy never\n"
PATH = "shared/deploy.md"


class Repository:
    """A person's git in the namespace `shared`."""

    def __init__(self, home, folder="shared"):
        self.home, self.folder = home, home / folder
        self.folder.mkdir(exist_ok=True)
        self.seconds = 0
        self("init", "-q", "-b", "main")

    def __call__(self, *arguments, accepted=(0,)):
        self.seconds += 100
        at = f"{1_750_000_000 + self.seconds} +0000"
        settings = ("-c", "user.name=Ana", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
        env = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(self.home), "GIT_CONFIG_NOSYSTEM": "1"}
        env |= {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
        done = subprocess.run(
            ["git", *settings, *arguments], cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode in accepted, done.stderr
        return done.stdout.strip()

    def commit(self, path=PATH, text=GOOD):
        """Write a file and commit all there is. Gives the commit."""
        write(self.home, path, text)
        self("add", "-A")
        self("commit", "-qm", "more")
        return self("rev-parse", "HEAD")


@pytest.fixture
def git(home):
    return Repository(home)


@pytest.fixture
def mesh(home):
    with hashed(home) as opened:
        yield opened


def asked_git(monkeypatch):
    """How often git was asked for good versions, and for which."""
    calls, real = [], last_good.last_good
    monkeypatch.setattr(last_good, "last_good", lambda *given: calls.append(given[-1]) or real(*given))
    return calls


def only(rows):
    (row,) = rows
    return row


# --- what is served ----------------------------------------------------------------------------------------------


def test_a_broken_file_is_served_as_head_has_it_and_says_so(mesh, git):
    """By recall, list and get alike; the file keeps its bytes, and is a problem as ever."""
    commit = git.commit()
    file = write(mesh.workspace.vault.home, PATH, MARKERS)
    for row in (only(mesh.recall("deploy on tuesday")), only(mesh.inspect()), mesh.get("deploy-01"), mesh.get(PATH)):
        assert row["content"] == "Deploy on Tuesday" and row["tags"] == ["ops"]
        told = row["quarantined"]
        assert (told["path"], told["line"], told["commit"]) == (PATH, 4, commit)
        assert "merge conflict" in told["cause"] and told["remedy"]
        assert f"last good version (commit {commit[:7]}, " in only(row["notices"])
    assert file.read_bytes() == MARKERS
    assert only(mesh.problems()).line == 4 and mesh.count() == 1


@pytest.mark.parametrize("path", [PATH, 'shared/Ünder way/:(top) "a" [b]*?.md'])
def test_a_file_that_was_committed_broken_is_served_as_of_the_commit_before(mesh, git, path):
    """Also where several broken versions were committed one after the other; whatever it is called."""
    good = git.commit(path)
    git.commit(path, MARKERS)
    git.commit(path, BROKEN_KEYS)
    git.commit("shared/other.md", "Something else\n")
    row = mesh.get(path)
    assert row["content"] == "Deploy on Tuesday" and row["quarantined"]["commit"] == good


def test_of_a_merge_the_side_counts_from_which_the_broken_version_came(mesh, git):
    """A newer version that the merge did not take is nobody's last good one."""
    git.commit()
    git("switch", "-qc", "side")
    taken = git.commit(text=GOOD.replace("Tuesday", "Thursday"))
    git("switch", "-qc", "dropped", "HEAD~1")
    git.commit(text=GOOD.replace("Tuesday", "Sunday"))
    git("switch", "-q", "side")
    git("merge", "-q", "-s", "ours", "dropped")
    git.commit(text=MARKERS)
    git("switch", "-q", "main")
    git.commit("shared/other.md", "Something else\n")
    git("merge", "-q", "side")
    row = mesh.get(PATH)
    assert row["content"] == "Deploy on Thursday" and row["quarantined"]["commit"] == taken


def test_in_a_stopped_merge_ours_is_served(mesh, git):
    """What `git pull` leaves behind; also under a new name, which HEAD does not have."""
    git.commit(text=GOOD + "one\ntwo\nthree\nfour\n")
    git("switch", "-qc", "theirs")
    git("mv", "deploy.md", "moved.md")
    git.commit("shared/moved.md", GOOD.replace("Tuesday", "Friday") + "one\ntwo\nthree\nfour\n")
    git("switch", "-q", "main")
    git.commit(text=GOOD.replace("Tuesday", "Monday") + "one\ntwo\nthree\nfour\n")
    git("merge", "theirs", accepted=(1,))
    row = only(mesh.inspect())
    assert row["path"] == "shared/moved.md" and row["content"].startswith("Deploy on Monday")
    git("merge", "--abort")
    assert only(mesh.inspect())["quarantined"] is None


def test_a_mended_file_is_a_plain_memory_at_once(mesh, git):
    """And one that breaks again is served anew."""
    git.commit()
    write(mesh.workspace.vault.home, PATH, MARKERS)
    assert mesh.get(PATH)["quarantined"]
    write(mesh.workspace.vault.home, PATH, GOOD.replace("Tuesday", "Sunday"))
    row = mesh.get(PATH)
    assert (row["content"], row["quarantined"], row["notices"]) == ("Deploy on Sunday", None, [])
    write(mesh.workspace.vault.home, PATH, BROKEN_KEYS)
    assert mesh.get(PATH)["content"] == "Deploy on Tuesday"


def test_when_head_moves_the_good_version_follows(mesh, git):
    """Though the broken file itself did not change."""
    git.commit()
    git("switch", "-qc", "older")
    git("switch", "-q", "main")
    git.commit(text=GOOD.replace("Tuesday", "Sunday"))
    write(mesh.workspace.vault.home, PATH, MARKERS)
    assert mesh.get(PATH)["content"] == "Deploy on Sunday"
    git("symbolic-ref", "HEAD", "refs/heads/older")
    assert mesh.get(PATH)["content"] == "Deploy on Tuesday"
    assert only(mesh.recall("tuesday"))["matched_words"] == ["tuesday"]


def test_what_no_commit_has_is_reported_and_not_served(mesh, git):
    """A new file, and one that was deleted in the meantime: there is nothing that would hold still."""
    git.commit()
    git("rm", "-q", "deploy.md")
    git("commit", "-qm", "gone")
    write(mesh.workspace.vault.home, PATH, MARKERS)
    write(mesh.workspace.vault.home, "shared/new.md", BROKEN_KEYS)
    assert mesh.inspect() == [] and len(mesh.problems()) == 2


def test_without_git_it_is_as_ever(mesh, home):
    """Reported, and not served."""
    write(home, PATH, MARKERS)
    assert mesh.inspect() == [] and len(mesh.problems()) == 1
    with pytest.raises(MalformedMemory):
        mesh.get(PATH)


# --- what it costs -----------------------------------------------------------------------------------------------


def test_git_is_asked_once_for_all_and_not_again(mesh, git, monkeypatch):
    """Until a broken file or HEAD is another; and a good version is not embedded twice."""
    home, calls = mesh.workspace.vault.home, asked_git(monkeypatch)
    for number in range(3):
        git.commit(f"shared/{number}.md", f"The number {number}\n")
    assert mesh.refresh().pending == 0 and calls == []
    embedder: HashEmbedder = mesh.workspace.embedder
    embedder.embedded.clear()
    for number in range(3):
        write(home, f"shared/{number}.md", MARKERS)
    for _ in range(3):
        assert mesh.refresh().pending == 0 and mesh.count() == 3
    assert [sorted(paths) for paths in calls] == [["0.md", "1.md", "2.md"]] and embedder.embedded == []
    write(home, "shared/1.md", BROKEN_KEYS)
    assert mesh.count() == 3 and calls[1:] == [["1.md"]]
    with hashed(home) as other:
        assert other.count() == 3 and len(calls) == 2
    git.commit("shared/4.md", "Another\n")
    assert mesh.count() == 4 and len(calls) == 3


def test_to_quarantine_a_file_does_not_void_the_scan_that_found_it(mesh, git):
    """So the next refresh compares no file."""
    git.commit()
    write(mesh.workspace.vault.home, PATH, MARKERS)
    time.sleep(0.06)  # stamps are trusted from then on
    mesh.refresh()
    manifest = mesh.workspace.cache.manifest
    generation = manifest.generation()
    assert mesh.count() == 1 and manifest.get("scan") and manifest.generation() == generation


# --- who may see it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [MARKERS.replace(b"id: d", b"local_only: true\nid: d"), b"l\0ocal_only: true\n" * 2])
def test_what_speaks_of_local_only_is_served_on_this_machine_alone(mesh, git, text):
    """What is not understood must not be shared, even if the commit has it."""
    git.commit()
    write(mesh.workspace.vault.home, PATH, text)
    assert only(mesh.inspect())["local_only"]
    assert mesh.inspect(include_local=False) == [] and not mesh.recall("deploy", include_local=False)
    with pytest.raises(UnknownMemory):
        mesh.get("deploy-01", include_local=False)
    assert not [one for one in doctor.examine(mesh.workspace) if one.kind == "local"]


@pytest.mark.parametrize("what", ["settings", "elsewhere", "objects", "head"])
def test_a_hostile_or_broken_repository_serves_nothing_and_says_why(mesh, git, what, tmp_path, caplog):
    """No program of its settings runs, and recall goes on with everything else."""
    git.commit()
    git.commit("shared/other.md", "Something else\n")
    dot_git = git.folder / ".git"
    if what == "settings":
        git("config", "core.fsmonitor", f"touch {tmp_path}/ran")
    elif what == "elsewhere":
        dot_git.rename(tmp_path / "elsewhere")
        dot_git.write_text(f"gitdir: {tmp_path}/elsewhere\n")
    elif what == "objects":
        shutil.rmtree(dot_git / "objects")
    else:
        (dot_git / "HEAD").write_bytes(b"\xff\xfe")
    write(mesh.workspace.vault.home, PATH, MARKERS)
    assert only(mesh.inspect())["content"] == "Something else"
    assert not (tmp_path / "ran").exists()
    assert "is not known" in caplog.text
    assert any("cannot be served" in one.cause for one in doctor.examine(mesh.workspace))


# --- writing -------------------------------------------------------------------------------------------------------


def test_a_quarantined_memory_is_not_written_to(mesh, git):
    """Update, forget and supersede say where and why; to clear the namespace leaves the file."""
    git.commit()
    file = write(mesh.workspace.vault.home, PATH, MARKERS)
    for verb in (
        lambda: mesh.update("deploy-01", "Deploy now"),
        lambda: mesh.update("deploy-01", tags=["x"]),
        lambda: mesh.forget("deploy-01"),
        lambda: mesh.learn("Deploy now", supersedes="deploy-01"),
    ):
        with pytest.raises(MalformedMemory, match=r"shared/deploy.md:4: an unresolved merge conflict\. Choose a side"):
            verb()
    assert mesh.clear() == 0 and file.read_bytes() == MARKERS
    assert mesh.learn("Deploy on Tuesday")["status"] == "stored"  # a text that only history has is not there to stay


def test_doctor_and_status_tell_of_it(mesh, git):
    """As an error, with what is served instead; and its cache is as it should be."""
    commit = git.commit()
    write(mesh.workspace.vault.home, PATH, MARKERS)
    found = [one for one in doctor.examine(mesh.workspace) if one.kind in ("file", "cache", "ids")]
    assert only(found).serious and commit[:7] in only(found).cause and only(found).place == f"{PATH}:4"
    assert mesh.status()["quarantined"] == [PATH] and mesh.status()["memories"] == 1


def test_what_a_sync_did_not_write_is_told_by_doctor_until_it_is_mended(mesh, git, tmp_path):
    """What was here before stays, and is no last good version: its file can be read."""
    git("init", "-q", "--bare", "-b", "main", str(tmp_path / "remote.git"))
    git.commit()
    share_namespace("shared", str(tmp_path / "remote.git"), home=mesh.workspace.vault.home)
    git("clone", "-q", str(tmp_path / "remote.git"), str(tmp_path / "other"))
    other = Repository(tmp_path, "other")
    for text, told in ((MARKERS, ["shared/deploy.md"]), (GOOD.replace("Tuesday", "Sunday"), [])):
        other.commit("other/deploy.md", text)
        other("push", "-q", "origin", "HEAD:main")
        mesh.sync()
        assert [one.place for one in doctor.examine(mesh.workspace) if one.kind == "arrived"] == told
        row = mesh.get(PATH)
        assert row["quarantined"] is None and row["content"] == f"Deploy on {'Tuesday' if told else 'Sunday'}"


def test_answers_for_agents_say_so(mesh, git):
    """In their labels, in their data and in a prompt's text, in every format."""
    git.commit()
    write(mesh.workspace.vault.home, PATH, MARKERS)
    sent = lean(mesh.get("deploy-01"))
    assert sent["quarantined"]["line"] == 4 and "last good version" in only(sent["labels"])
    for style in ("markdown", "plain", "xml", "json"):
        assert "last good version" in mesh.context("deploy on tuesday", format=style)["context"]


def test_recall_at_a_commit_serves_what_that_commit_has(mesh, git):
    """Not what is good today."""
    broken = git.commit(text=MARKERS)
    git.commit()
    write(mesh.workspace.vault.home, PATH, MARKERS)
    assert mesh.count() == 1
    with mesh.at(broken) as past:
        assert past.count() == 0
