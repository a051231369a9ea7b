"""A repository as Mesh uses it: exact commits, no programs but git, no surprises from configuration or environment."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from datetime import UTC, datetime

import pytest

from mesh.errors import GitFailed, InvalidInput, RemoteMoved
from mesh.git import head
from mesh.git.objects import Objects
from mesh.git.remotes import checked_branch, checked_url, default_branch, fetch, push, remember, seen
from mesh.git.repository import Person, Repository
from mesh.git.running import Git
from mesh.settings import git_environment

WHEN = datetime(2026, 1, 31, 12, tzinfo=UTC)
ANN, MESH = Person("ann", "ann@example.org"), Person("mesh", "mesh@example.org")
BY = {"author": ANN, "committer": MESH, "when": WHEN}


def git(folder, *arguments, **options):
    """git as a person uses it."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def notes(tmp_path) -> Repository:
    folder = tmp_path / "notes"
    folder.mkdir()
    return Repository.create(folder)


@pytest.fixture
def remote(tmp_path) -> str:
    git(tmp_path, "init", "-q", "--bare", "--initial-branch=main", "remote.git")
    return str(tmp_path / "remote.git")


def clone_of(remote, folder) -> Repository:
    folder.mkdir()
    made = Repository.create(folder)
    if found := fetch(made, remote, "main"):
        made.move("main", found, None)
    return made


def files(repository, commit="refs/heads/main"):
    with repository.blobs() as blobs:
        return {entry.path.decode(): blobs.read(entry.id, 1 << 20) for entry in repository.entries(commit)}


# --- commits ---------------------------------------------------------------------------------------------------


def test_a_commit_holds_the_given_bytes_and_nothing_else(notes):
    """Whatever lies in the folder; line ends, other encodings and odd names as they are."""
    (notes.folder / "other.md").write_text("not named, not committed")
    given = {"a.md": b"one\r\ntwo\n", "team/caf\u00e9 \u5bc6 b.md": b"\xff\xfe", 'q"uote\\d.md': b"", "empty.md": b""}
    commit = notes.commit(given, "Two notes\n\nby ann", **BY)
    assert files(notes) == given and head(notes.folder) == commit
    said = git(notes.folder, "log", "-1", "--format=%an|%ae|%cn|%at|%s|%b")
    assert said == f"ann|ann@example.org|mesh|{int(WHEN.timestamp())}|Two notes|by ann"
    assert git(notes.folder, "fsck", "--strict") == ""


def test_a_commit_changes_and_removes_named_paths_only(notes):
    """The others stay in the tree; a commit that changes nothing is none."""
    first = notes.commit({"a.md": b"a", "b.md": b"b", "team/c.md": b"c"}, "one", **BY)
    second = notes.commit({"a.md": b"A", "team/c.md": None}, "two", **BY)
    assert files(notes) == {"a.md": b"A", "b.md": b"b"} and notes.is_ancestor(first, second)
    assert notes.commit({"a.md": b"A", "gone.md": None}, "three", **BY) is None
    assert notes.commit_of("refs/heads/main") == second and not notes.is_ancestor(second, first)


def test_people_who_use_git_there_see_a_clean_folder(notes):
    """The index follows for what was committed, and what they have staged stays staged."""
    for name in ("a.md", "b.md"):
        (notes.folder / name).write_bytes(b"text\n")
    git(notes.folder, "add", "b.md")
    notes.commit({"a.md": b"text\n"}, "one", **BY)
    assert git(notes.folder, "status", "--porcelain") == "A  b.md"


def test_a_merged_tree_is_made_off_the_work_tree(notes):
    """Two parents; neither the folder nor the index nor a branch changes until it is said so."""
    base = notes.commit({"a.md": b"a"}, "base", **BY)
    (notes.folder / "a.md").write_bytes(b"a")
    [blob] = notes.write_blobs([b"theirs"])
    theirs = notes.commit_tree(notes.tree(base, {"b.md": blob}), [base], "theirs", **BY)
    [mine] = notes.write_blobs([b"mine"])
    ours = notes.commit_tree(notes.tree(base, {"a.md": mine}), [base], "ours", **BY)
    assert notes.merge_bases(ours, theirs) == [base]
    merged = notes.commit_tree(notes.tree(ours, {"b.md": blob}), [ours, theirs], "merge", **BY)
    assert files(notes, merged) == {"a.md": b"mine", "b.md": b"theirs"}
    assert notes.commit_of("refs/heads/main") == base and git(notes.folder, "status", "--porcelain") == ""
    assert sorted(path.name for path in notes.folder.iterdir()) == [".git", "a.md"]
    assert not list(notes.git.git_dir.glob("mesh-index-*"))


def test_a_branch_moves_only_from_where_it_was_seen(notes):
    """Whoever committed in between is not overwritten."""
    first = notes.commit({"a.md": b"a"}, "one", **BY)
    second = notes.commit({"a.md": b"b"}, "two", **BY)
    with pytest.raises(GitFailed):
        notes.move("main", first, first)
    assert notes.commit_of("refs/heads/main") == second


def test_while_another_git_is_at_work_it_says_so(notes):
    """By what lies there; a commit ends with git's reason and a remedy, and can be repeated."""
    assert notes.under_way() == ""
    lock = notes.git.git_dir / "index.lock"
    lock.touch()
    assert notes.under_way() == "a git command"
    with pytest.raises(GitFailed, match=r"another git command is under way.*index\.lock"):
        notes.commit({"a.md": b"a"}, "one", **BY)
    lock.unlink()
    (notes.git.git_dir / "MERGE_HEAD").touch()
    assert notes.under_way() == "a merge"


def test_many_blobs_are_written_and_read_by_one_process_each(notes):
    """A thousand of them, some large, in the order given."""
    texts = [b"%d\n" % n * (n % 50) for n in range(1000)] + [b"x" * 3_000_000]
    ids = notes.write_blobs(texts)
    with notes.blobs() as blobs:
        assert [blobs.read(name, 4_000_000) for name in ids] == texts
        with pytest.raises(GitFailed, match="at most 10 bytes"):
            blobs.read(ids[-1], 10)
        assert blobs.read(ids[7], 1000) == texts[7]  # another process, as the first was in the middle of it
        with pytest.raises(GitFailed, match="missing"):
            blobs.read("1" * 40, 10)


def test_a_path_that_leads_out_is_no_path(notes):
    """git itself refuses it, and nothing is committed."""
    for path in ("../evil.md", ".git/config", "/etc/evil.md", "a/../../evil.md"):
        with pytest.raises(GitFailed):
            notes.commit({path: b"x"}, "evil", **BY)
    assert notes.commit_of("refs/heads/main") is None


def test_an_authors_name_cannot_become_another_header(notes):
    """Nor an address."""
    odd = Person("ann <x>\nparent 1\x00", "\n>")
    notes.commit({"a.md": b"a"}, "one", author=odd, committer=odd, when=WHEN)
    assert git(notes.folder, "log", "-1", "--format=%an|%ae|%P") == "ann xparent 1|unknown|"


# --- no programs, no surprises ---------------------------------------------------------------------------------


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A file that every trap would make: hooks, filters, monitors, aliases, prompts, in all places there are."""
    canary = tmp_path / "CANARY"
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {canary}\n")
    trap.chmod(0o755)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    names = "pre-commit post-commit pre-push reference-transaction post-checkout post-index-change fsmonitor-watchman"
    for name in [*names.split(), "post-merge", "pre-receive", "post-rewrite", "update"]:
        shutil.copy(trap, hooks / name)
    user = tmp_path / "user.gitconfig"
    user.write_text(
        f"[core]\nhooksPath = {hooks}\nfsmonitor = {trap}\npager = {trap}\neditor = {trap}\n"
        f"attributesFile = {hooks}/att\n"
        f'[filter "evil"]\nclean = {trap}\nsmudge = {trap}\nrequired = true\n[alias]\nfetch = !{trap}\n'
        f"[init]\ntemplateDir = {tmp_path}/template\n[commit]\ngpgSign = true\n[gpg]\nprogram = {trap}\n"
        f'[push]\ngpgSign = if-asked\n[diff]\nexternal = {trap}\n[protocol "ext"]\nallow = always\n'
    )
    (hooks / "att").write_text("* filter=evil merge=union\n")
    shutil.copytree(hooks, tmp_path / "template" / "hooks")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(user))
    for name in ("GIT_ASKPASS", "SSH_ASKPASS", "GIT_EDITOR", "GIT_PAGER", "GIT_EXTERNAL_DIFF", "GIT_PROXY_COMMAND"):
        monkeypatch.setenv(name, str(trap))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "elsewhere.index"))
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "elsewhere.trace"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(trap))
    return canary


def test_nothing_of_the_users_git_runs_or_leads_elsewhere(tmp_path, canary):
    """Hooks, templates, filters, monitors, signatures, prompts, and variables that name other repositories."""
    subprocess.run(
        ["git", "init", "-q", "--bare", "--template=", "--initial-branch=main", str(tmp_path / "remote.git")],
        check=True,
        env=git_environment({"PATH": os.environ["PATH"]}),
    )
    remote = str(tmp_path / "remote.git")
    (tmp_path / "notes").mkdir()
    notes = Repository.create(tmp_path / "notes")
    assert not (notes.git.git_dir / "hooks").exists()
    commit = notes.commit({"a.md": b"a\r\n", ".gitattributes": b"* filter=evil text\n"}, "one", **BY)
    push(notes, remote, commit, "main")
    assert files(notes)["a.md"] == b"a\r\n" and fetch(notes, remote, "main") == commit
    assert default_branch(notes, remote) == "main"
    notes.check()
    assert not canary.exists() and not list(tmp_path.glob("elsewhere*"))


def test_hooks_of_a_remote_on_this_disk_do_not_run(tmp_path, remote, notes):
    """They would run as whoever pushes: a disk that is handed around is no server. Nor do settings of it."""
    canary = tmp_path / "CANARY"
    hooks = tmp_path / "remote.git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("pre-receive", "update", "post-receive", "post-update", "reference-transaction", "push-to-checkout"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {canary}\n")
        (hooks / name).chmod(0o755)
    git(tmp_path, "init", "-q", "--bare", "alternate.git")
    (tmp_path / "remote.git/objects/info/alternates").write_text(f"{tmp_path}/alternate.git/objects\n")
    for setting in ("core.alternateRefsCommand", "core.fsmonitor", "uploadpack.packObjectsHook", "core.sshCommand"):
        git(remote, "config", setting, f"touch {canary};")
    push(notes, remote, notes.commit({"a.md": b"a"}, "one", **BY), "main")
    push(notes, f"file://{remote}", notes.commit({"a.md": b"b"}, "two", **BY), "main")
    assert fetch(notes, remote, "main") == notes.commit_of("main") and default_branch(notes, remote) == "main"
    assert not canary.exists()


def test_a_git_folder_that_is_there_is_not_taken_over(tmp_path):
    """Nor one that is a link or leads elsewhere; and its settings may not run programs unless a person says so."""
    folder = tmp_path / "notes"
    git(tmp_path, "init", "-q", str(folder))
    with pytest.raises(GitFailed, match=r"there is a \.git already"):
        Repository.create(folder)
    assert Repository.open(folder).branch()
    for setting in ("core.fsmonitor", "core.sshCommand", "filter.x.clean", "include.path", "url.ext::x.insteadOf"):
        git(folder, "config", setting, "touch CANARY")
        with pytest.raises(GitFailed, match="may run programs") as raised:
            Repository.open(folder)
        assert setting.lower() in str(raised.value)
        assert Repository.open(folder, trusted=True).settings()
        assert Repository.open(folder, own=[setting.lower()])
        git(folder, "config", "--unset", setting)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / ".git").symlink_to(folder / ".git")
    (tmp_path / "worktree").mkdir()
    (tmp_path / "worktree" / ".git").write_text(f"gitdir: {folder}/.git\n")
    for name in ("linked", "worktree"):
        with pytest.raises(GitFailed, match="leads elsewhere"):
            Repository.open(tmp_path / name)
    with pytest.raises(GitFailed, match="there is no repository"):
        Repository.open(tmp_path)


def test_only_variables_that_reach_a_remote_are_handed_on():
    """Keys, proxies and certificates; not what names repositories, programs or further settings."""
    kept = {"GIT_SSH_COMMAND": "ssh -i key", "GIT_SSL_CAINFO": "x", "HTTPS_PROXY": "y", "HOME": "/h", "PATH": "/bin"}
    dropped = dict.fromkeys(("GIT_DIR", "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS", "GIT_EXEC_PATH", "GIT_TRACE"), "x")
    assert git_environment(kept | dropped) == kept


# --- remotes ---------------------------------------------------------------------------------------------------

GOOD = (
    *("https://example.org/team/notes.git", "ssh://git@example.org:2222/team/notes", "git@example.org:team/notes.git"),
    *("example.org:notes", "/srv/git/notes.git", "file:///srv/git/notes.git", "http://127.0.0.1:8080/notes"),
    *("git://127.0.0.1/notes", "C:\\git\\notes", "[::1]:notes", " https://example.org/x "),
)
BAD = (
    *("", "  ", "ext::sh -c 'touch CANARY'", "ext::touch% CANARY", "fd::17", "foo::https://example.org/x", "::x"),
    *("--upload-pack=touch CANARY", "-u", "ssh://-oProxyCommand=touch/x", "-oProxyCommand=touch:x", "git@-evil:x"),
    *(
        "ssh://git@host/-x",
        "host:-x",
        "host:--upload-pack=x",
        "ftp://example.org/x",
        "javascript://x/y",
        "s3://bucket/x",
    ),
    *(
        "https://user:hunter2@example.org/x",
        "https:///x",
        "https://example.org/x\n[core]",
        "a\x1b[2Jb:c",
        "notes",
        "../notes",
    ),
    *("./notes", "~/notes", "ssh://a:b@example.org/x", "https://example.org"),
)


@pytest.mark.parametrize("url", GOOD)
def test_addresses_that_people_use_are_accepted(url):
    """Without the white space around them."""
    assert checked_url(url) == url.strip()


@pytest.mark.parametrize("url", BAD)
def test_an_address_that_git_would_read_as_something_else_is_refused(url, notes, tmp_path):
    """Programs, options, passwords, and what means different places to different people; before git sees it."""
    with pytest.raises(InvalidInput) as raised:
        checked_url(url)
    assert "hunter2" not in str(raised.value) and raised.value.remedy
    with pytest.raises(InvalidInput):
        fetch(notes, url, "main")
    assert not list(tmp_path.rglob("CANARY"))


@pytest.mark.parametrize(
    "name", ["-x", "a..b", "a b", "a:b", "x.lock", "/a", "a/", "", "@{x", "a\nb", "a^", ".a", "a/.b"]
)
def test_a_branch_is_a_plain_name(name):
    """What git would take for options, ranges or refspecs is none."""
    with pytest.raises(InvalidInput):
        checked_branch(name)
    assert checked_branch("team/main-2") == "team/main-2"


def test_what_one_clone_pushes_another_fetches(tmp_path, remote):
    """An empty remote has no branch; a late push is told apart from a failed one, and nothing of the first is lost."""
    one = clone_of(remote, tmp_path / "one")
    assert fetch(one, remote, "main") is None and default_branch(one, remote) in (None, "main")
    first = one.commit({"a.md": b"a"}, "one", **BY)
    push(one, remote, first, "main")
    other = clone_of(remote, tmp_path / "other")
    assert files(other) == {"a.md": b"a"} and default_branch(other, remote) == "main"
    push(other, remote, other.commit({"b.md": b"b"}, "other", **BY), "main")
    with pytest.raises(RemoteMoved, match="somebody else pushed"):
        push(one, remote, one.commit({"c.md": b"c"}, "late", **BY), "main")
    assert fetch(one, remote, "main") == other.commit_of("refs/heads/main")
    assert one.commit_of("refs/heads/main") != one.commit_of("refs/mesh/fetched/main")
    assert git(one.folder, "fsck", "--strict", "--no-dangling") == ""


def test_a_git_daemon_is_a_remote_like_any_other(tmp_path, remote):
    """Pushed to and fetched from over a socket."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = ["--reuseaddr", "--listen=127.0.0.1", f"--port={port}", "--export-all", f"--base-path={tmp_path}"]
    command = ["git", "daemon", *place, "--enable=receive-pack"]
    daemon = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            if daemon.poll() is not None:
                pytest.skip("git daemon is not installed here")
            time.sleep(0.1)
        url = f"git://127.0.0.1:{port}/remote.git"
        one = clone_of(url, tmp_path / "one")
        push(one, url, one.commit({"a.md": b"a"}, "one", **BY), "main")
        assert files(clone_of(url, tmp_path / "two")) == {"a.md": b"a"} and default_branch(one, url) == "main"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(daemon.pid, signal.SIGTERM)
        daemon.communicate()


def test_what_was_seen_of_a_remote_is_kept(tmp_path, remote, notes):
    """Also when it is in no branch any more and git has tidied up."""
    assert seen(notes, "main") is None
    first = notes.commit({"a.md": b"a"}, "one", **BY)
    remember(notes, "main", first)
    git(notes.folder, "update-ref", "-d", "refs/heads/main")
    git(notes.folder, "reflog", "expire", "--expire=now", "--all")
    git(notes.folder, "gc", "--quiet", "--prune=now")
    assert seen(notes, "main") == first and files(notes, first) == {"a.md": b"a"}


def test_a_remote_that_is_not_there_is_told_in_one_line(notes, tmp_path):
    """With git's own reason, whatever language the user has."""
    with pytest.raises(GitFailed) as raised:
        fetch(notes, str(tmp_path / "nowhere.git"), "main")
    assert "git fetch: '" in str(raised.value) and "does not appear to be a git repository" in str(raised.value)
    assert "\n" not in str(raised.value) and raised.value.remedy == "Check the address of the remote"


def test_a_password_is_never_asked_for_nor_told(notes, monkeypatch):
    """A server that wants one: git ends at once, with what to do."""
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Asks(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="notes"')
            self.end_headers()

        def log_message(self, *_):
            """Nothing."""

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    server = HTTPServer(("127.0.0.1", 0), Asks)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(GitFailed, match="Try it once with git itself"):
            fetch(notes, f"http://127.0.0.1:{server.server_port}/notes.git", "main")
    finally:
        server.shutdown()
        server.server_close()


def test_a_remote_that_says_nothing_is_given_up(notes):
    """And the process is gone, with all that it started."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"git://127.0.0.1:{silent.getsockname()[1]}/notes"
        with pytest.raises(GitFailed, match=r"the remote said nothing for 0\.5 s"):
            notes.git.transfer("ls-remote", "--", url, quiet_seconds=0.5)
    said = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=False).stdout
    assert url not in said


def test_a_transfer_is_held_to_a_size(tmp_path, remote, notes):
    """A pack larger than is taken in does not fill the disk."""
    big = clone_of(remote, tmp_path / "big")
    push(big, remote, big.commit({f"{n}.bin": os.urandom(700_000) for n in range(3)}, "big", **BY), "main")
    with pytest.raises(GitFailed):
        notes.git.transfer("fetch", "--progress", "--", remote, "+refs/heads/main:refs/mesh/x", max_pack=1 << 20)
    held = sum(path.stat().st_size for path in notes.git.git_dir.rglob("*") if path.is_file())
    assert held < 4 << 20 and notes.commit_of("refs/mesh/x") is None
    assert fetch(notes, remote, "main")


def test_what_a_call_says_is_bounded_and_so_is_its_time(notes):
    """Neither a listing without an end nor a process without one is waited for."""
    notes.commit({f"{n}.md": b"x" for n in range(200)}, "many", **BY)
    with pytest.raises(GitFailed, match="it said more than 100 bytes"):
        notes.git.run("ls-tree", "-r", "HEAD", limit=100)
    began = time.monotonic()
    with pytest.raises(GitFailed, match=r"it did not end within 0\.3 s"):
        _endless(notes.git)
    assert time.monotonic() - began < 60


def _endless(git: Git) -> bytes:
    """A call that never ends by itself: an object whose text comes from a pipe that nobody writes to."""
    pipe = git.git_dir / "pipe"
    os.mkfifo(pipe)
    return git.run("hash-object", "--no-filters", str(pipe), seconds=0.3)


def test_an_old_branch_is_read_with_its_own_reader(notes):
    """Two readers at once do not disturb each other."""
    notes.commit({"a.md": b"a", "b.md": b"b"}, "one", **BY)
    listed = list(notes.entries("HEAD"))
    with Objects(notes.git) as one, Objects(notes.git) as other:
        assert [reader.read(entry.id, 10) for entry in listed for reader in (one, other)] == [b"a", b"a", b"b", b"b"]
    assert re.fullmatch("[0-9a-f]{40}", listed[0].id) and (listed[0].mode, listed[0].kind, listed[0].size) == (
        "100644",
        "blob",
        1,
    )
