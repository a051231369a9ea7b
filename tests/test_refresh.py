"""The cache equals the files, whatever people do to the files and whatever happens to the cache."""

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
from hashing import HashEmbedder, bytes_below, hashed, wordsonly, write

from mesh import doctor
from mesh.doctor import examine
from mesh.errors import VaultUnavailable
from mesh.index.cache import Cache
from mesh.refresh import Refresh
from mesh.remedies import fix
from mesh.vault import Vault, roots

TESTS = Path(__file__).parent


@pytest.fixture
def mesh(home):
    """A `Mesh` on `home` with the fast embedder: here only the machinery is tested."""
    with hashed(home) as opened:
        yield opened


def paths(mesh, question="walrus", **options):
    """The paths of the memories that share a word with the question, sorted."""
    return sorted(row["path"] for row in mesh.recall(question, 50, **options) if row["matched_words"])


def settle():
    """Wait until what was written so far has an old stamp."""
    time.sleep(0.06)


# --- what people do to files -------------------------------------------------------------------------------------


def test_a_new_file_is_found_at_once(home, mesh):
    """A recall sees every file that was there when it began."""
    assert paths(mesh) == []
    write(home, "shared/a.md", "the walrus")
    assert paths(mesh) == ["shared/a.md"]


def test_a_hand_edit_is_seen_at_once(home, mesh):
    """What was written over is not found any more, what stands there now is."""
    write(home, "shared/a.md", "the walrus")
    assert paths(mesh) == ["shared/a.md"]
    write(home, "shared/a.md", "the octopus")
    assert paths(mesh) == [] and paths(mesh, "octopus") == ["shared/a.md"]
    assert mesh.recall("octopus")[0]["content"] == "the octopus"


def test_an_edit_through_a_temporary_name_is_seen(home, mesh):
    """Editors save by rename: the new file has the old name and another inode."""
    write(home, "shared/a.md", "the walrus")
    settle()
    paths(mesh)
    write(home, "shared/.a.md.swp", "the octopus").replace(home / "shared/a.md")
    assert paths(mesh, "octopus") == ["shared/a.md"]


def test_a_renamed_file_is_the_same_memory(home, mesh):
    """Its id stays, its old path is gone, and nothing is embedded again."""
    learned = mesh.learn("the walrus sleeps")
    settle()
    paths(mesh)
    count = len(mesh.workspace.embedder.embedded)
    (home / learned["path"]).rename(home / "shared/renamed.md")
    row = mesh.recall("the walrus sleeps")[0]
    assert row["path"] == "shared/renamed.md" and row["id"] == learned["memory_id"]
    assert mesh.workspace.embedder.embedded[count:] == ["the walrus sleeps"], "the question alone"


def test_a_file_moved_to_a_folder_is_found_there(home, mesh):
    """Nested folders are part of the namespace, and their names are searchable."""
    write(home, "shared/a.md", "the walrus")
    paths(mesh)
    (home / "shared/deep/er").mkdir(parents=True)
    (home / "shared/a.md").rename(home / "shared/deep/er/a.md")
    assert paths(mesh) == paths(mesh, "deep") == ["shared/deep/er/a.md"]


def test_a_renamed_folder_takes_its_files_along(home, mesh):
    """Every file below has its new path, none its old one."""
    for name in "abc":
        write(home, f"shared/one/{name}.md", f"the walrus {name}")
    paths(mesh)
    (home / "shared/one").rename(home / "shared/two")
    assert paths(mesh) == [f"shared/two/{name}.md" for name in "abc"]


def test_a_deleted_file_is_never_served(home, mesh):
    """Gone is gone at the next recall."""
    write(home, "shared/a.md", "the walrus")
    write(home, "shared/b.md", "the walrus again")
    paths(mesh)
    (home / "shared/a.md").unlink()
    assert paths(mesh) == ["shared/b.md"]


def test_a_file_that_is_deleted_as_soon_as_it_was_learned_is_gone(home, mesh):
    """The folder looks as it did at the last scan, but the cache does not."""
    (home / "shared").mkdir()
    assert mesh.count() == 0
    (home / mesh.learn("The walrus sleeps at dawn")["path"]).unlink()
    assert mesh.count() == 0


def test_a_deleted_folder_is_gone_with_all_its_files(home, mesh):
    """A folder inside the namespace may be deleted like a file."""
    write(home, "shared/one/a.md", "the walrus")
    write(home, "shared/b.md", "the walrus again")
    paths(mesh)
    shutil.rmtree(home / "shared/one")
    assert paths(mesh) == ["shared/b.md"]


def test_a_copy_is_a_memory_of_its_own(home, mesh):
    """Both are known; that they share an id is for `mesh doctor` to say."""
    path = mesh.learn("the walrus")["path"]
    shutil.copy2(home / path, home / "shared/copy.md")
    assert {row["path"] for row in mesh.inspect()} == {path, "shared/copy.md"}
    assert sum(finding.kind == "ids" for finding in doctor.examine(mesh.workspace)) == 1


def test_two_files_that_swap_names_are_told_apart(home, mesh):
    """Same sizes, same times, other inodes: each name has its new text."""
    write(home, "shared/a.md", "the walrus")
    write(home, "shared/b.md", "an octopus")
    for name in "ab":
        os.utime(home / f"shared/{name}.md", ns=(10**18, 10**18 + 1))
    settle()
    assert paths(mesh) == ["shared/a.md"]
    (home / "shared/a.md").rename(home / "shared/c.tmp")
    (home / "shared/b.md").rename(home / "shared/a.md")
    (home / "shared/c.tmp").rename(home / "shared/b.md")
    assert paths(mesh) == ["shared/b.md"] and paths(mesh, "octopus") == ["shared/a.md"]


@pytest.mark.parametrize("wait", [False, True], ids=["at once", "later"])
def test_a_rewrite_of_the_same_size_and_time_is_seen(home, mesh, wait):
    """`os.utime` puts the old time back: ctime, or the hash of a racy file, shows the edit."""
    path = write(home, "shared/a.md", "the walrus")
    if wait:
        settle()
    assert paths(mesh) == ["shared/a.md"]
    times = path.stat()
    with path.open("r+b") as file:
        file.write(b"the badger")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_size == times.st_size and path.stat().st_mtime_ns == times.st_mtime_ns
    assert paths(mesh) == [] and paths(mesh, "badger") == ["shared/a.md"]


def test_many_rewrites_within_a_tick_are_all_seen(home, mesh):
    """Write, ask, write, ask, as fast as it goes: never yesterday's answer."""
    path = home / "shared/a.md"
    for i in range(40):
        write(home, "shared/a.md", f"walrus number{i:03}")
        assert mesh.recall("walrus")[0]["content"] == f"walrus number{i:03}"
    assert path.read_text() == "walrus number039"


@pytest.mark.parametrize("years", [-30, 30])
def test_a_file_with_a_time_from_another_year_is_seen(home, mesh, years):
    """Neither an old nor a future mtime hides an edit."""
    for text in ("walrus", "badger", "marmot"):
        path = write(home, "shared/a.md", f"the {text}")
        os.utime(path, (time.time() + years * 31_557_600,) * 2)
        assert paths(mesh, text) == ["shared/a.md"]


def test_a_touch_changes_nothing(home, mesh):
    """A new time and the old bytes: no change, and no embedding."""
    path = write(home, "shared/a.md", "the walrus")
    paths(mesh)
    os.utime(path, (1, 1))
    results = mesh.recall("the walrus")
    assert results.receipt.changed == 0 and results[0]["path"] == "shared/a.md"


def test_a_file_emptied_and_then_written_is_the_same_memory(home, mesh):
    """An empty file is reported and not recalled; when its text comes, it is found again."""
    path = write(home, "shared/a.md", "the walrus")
    paths(mesh)
    path.write_bytes(b"")
    results = mesh.recall("walrus")
    assert list(results) == [] and results.receipt.problems == 1 and path.exists()
    path.write_bytes(b"the walrus is back")
    assert paths(mesh) == ["shared/a.md"] and mesh.problems() == []


def test_a_save_that_empties_first_is_waited_for(home, mesh):
    """VS Code truncates, then writes: a recall between the two sees the new text, not an empty memory."""
    write(home, "shared/a.md", "the walrus")
    paths(mesh)
    editor = f"""
    import time
    with open({str(home / "shared/a.md")!r}, "wb") as file:
        print(flush=True)
        time.sleep(0.03)
        file.write(b"the badger")
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(editor)], stdout=subprocess.PIPE) as saving:
        saving.stdout.readline()
        found = mesh.recall("badger")
    assert [row["content"] for row in found] == ["the badger"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"---\ntags: [a\n---\nthe walrus\n", "unclosed list"),
        (b"---\nid: abcd\nid: efgh\n---\nthe walrus\n", "duplicate key"),
        (b"the walrus \xff\n", "not UTF-8"),
        (b"the walrus\0\n", "NUL"),
        (b"<<<<<<< a\nthe walrus\n=======\nb\n>>>>>>> c\n", "merge conflict"),
        (b"the walrus\n" * 100_000, "too large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_malformed_file_is_reported_and_repaired(home, mesh, text, why):
    """It is not recalled, it is a problem with place and remedy, the others answer, and a repair brings it back."""
    write(home, "shared/a.md", "the walrus")
    write(home, "shared/b.md", "another walrus")
    paths(mesh)
    path = write(home, "shared/a.md", text)
    assert paths(mesh) == ["shared/b.md"], why
    problem = mesh.problems()[0]
    assert problem.path == "shared/a.md" and problem.cause and problem.remedy
    assert path.read_bytes() == text
    write(home, "shared/a.md", "the walrus")
    assert paths(mesh) == ["shared/a.md", "shared/b.md"] and mesh.problems() == []


def test_other_line_ends_are_the_same_text(home, mesh):
    """CRLF and a byte order mark change the bytes, not the memory."""
    write(home, "shared/a.md", "---\ntags: [sea]\n---\nthe walrus\nsleeps\n")
    paths(mesh)
    count = len(mesh.workspace.embedder.embedded)
    write(home, "shared/a.md", b"\xef\xbb\xbf---\r\ntags: [sea]\r\n---\r\nthe walrus\r\nsleeps\r\n")
    assert paths(mesh, tags=["sea"]) == ["shared/a.md"]
    assert mesh.recall("walrus")[0]["content"] == "the walrus\nsleeps"
    assert set(mesh.workspace.embedder.embedded[count:]) == {"walrus"}


def test_a_changed_author_of_a_source_is_embedded(home, mesh):
    """In a conversation the author is part of what is embedded, so another author gives another vector."""
    write(home, "shared/b.md", "---\nagent: heron\nsource: a talk\n---\nfishes\n")
    write(home, "shared/a.md", "---\nagent: walrus\nsource: a talk\n---\nsleeps\n")
    mesh.recall("walrus")
    write(home, "shared/a.md", "---\nagent: octopus\nsource: a talk\n---\nsleeps\n")
    assert mesh.recall("octopus: sleeps")[0]["similarity"] == pytest.approx(1, abs=1e-5)


def test_a_changed_title_is_embedded(home, mesh):
    """The title is part of what is embedded, so another title gives another vector."""
    write(home, "shared/a.md", "---\ntitle: walrus\n---\nsleeps\n")
    write(home, "shared/b.md", "another memory")
    mesh.recall("walrus")
    write(home, "shared/a.md", "---\ntitle: octopus\n---\nsleeps\n")
    found = {row["path"]: row["similarity"] for row in mesh.recall("octopus\nsleeps")}
    assert found["shared/a.md"] == pytest.approx(1, abs=1e-5)


def test_hidden_files_links_and_temporaries_are_no_memories(home, mesh, tmp_path):
    """What FORMAT.md, section 2, leaves out is left out."""
    outside = write(tmp_path, "outside.md", "the walrus outside")
    for name in (".hidden.md", ".git/a.md", "a.md~", "#a.md#", "a.txt", "4913"):
        write(home, f"shared/{name}", "the walrus")
    (home / "shared/link.md").symlink_to(outside)
    (home / "shared/folder").symlink_to(tmp_path)
    os.mkfifo(home / "shared/pipe.md")
    write(home, "shared/folder.md/real.MD", "the walrus")
    assert paths(mesh) == ["shared/folder.md/real.MD"]


def test_a_link_in_the_place_of_the_namespace_is_not_followed(home, mesh, tmp_path):
    """FORMAT.md, section 1: a namespace's folder must be a real folder."""
    write(tmp_path, "elsewhere/a.md", "the walrus")
    (home / "shared").symlink_to(tmp_path / "elsewhere")
    with contextlib.suppress(VaultUnavailable):
        assert paths(mesh) == []


def test_a_name_that_is_not_unicode_stops_nothing(home, mesh):
    """Such a file cannot be named, so it is no memory; the others are."""
    write(home, "shared/a.md", "the walrus")
    with open(os.fsencode(home) + b"/shared/b\xff.md", "wb") as file:
        file.write(b"the walrus")
    os.mkdir(os.fsencode(home) + b"/shared/d\xfe")
    with open(os.fsencode(home) + b"/shared/d\xfe/c.md", "wb") as file:
        file.write(b"the walrus")
    assert paths(mesh) == ["shared/a.md"]
    assert list(doctor.examine(mesh.workspace)) is not None


def test_a_name_that_is_not_unicode_is_reported(home, mesh):
    """No file is left out in silence."""
    write(home, "shared/a.md", "the walrus")
    with open(os.fsencode(home) + b"/shared/b\xff.md", "wb") as file:
        file.write(b"the walrus")
    said = [str(finding) for finding in doctor.examine(mesh.workspace)] + list(mesh.refresh().unreadable)
    assert any("shared/b" in one for one in said)


def test_names_of_any_alphabet_are_memories(home, mesh):
    """Spaces, emoji, CJK, decomposed letters, and 200 characters."""
    names = ["with space.md", "📌 note.md", "会議.md", "cafe\u0301.md", "x" * 200 + ".md"]
    for name in names:
        write(home, f"shared/{name}", f"the walrus of {len(name)} letters")
    assert paths(mesh) == sorted(f"shared/{name}" for name in names)


# --- folders that are missing are not empty ------------------------------------------------------------------------


def cached(home):
    with sqlite3.connect(home / ".cache/shared/manifest.db") as db:
        return {path for (path,) in db.execute("SELECT path FROM files")}


def test_a_missing_namespace_folder_is_refused_and_the_cache_kept(home, mesh):
    """An unmounted disk deletes nothing: recall refuses, says what to do, and goes on when it is back."""
    write(home, "shared/a.md", "the walrus")
    assert paths(mesh) == ["shared/a.md"]
    (home / "shared").rename(home / "away")
    for _ in range(2):
        with pytest.raises(VaultUnavailable, match=r"missing.*Mount"):
            mesh.recall("walrus")
    assert cached(home) == {"shared/a.md"}
    (home / "away").rename(home / "shared")
    assert paths(mesh) == ["shared/a.md"]


def test_nothing_is_learned_into_a_missing_namespace_folder(home, mesh):
    """Writing under an empty mount point would hide the text and count the others as deleted."""
    write(home, "shared/a.md", "the walrus")
    paths(mesh)
    (home / "shared").rename(home / "away")
    with pytest.raises(VaultUnavailable):
        mesh.learn("an octopus")


def test_a_namespace_that_never_was_is_empty(home, mesh):
    """Nothing is missing where nothing has been."""
    results = mesh.recall("walrus")
    assert list(results) == [] and results.receipt.scanned == 0


def test_an_emptied_folder_is_empty(home, mesh):
    """On the same device, no files means that they were deleted."""
    write(home, "shared/a.md", "the walrus")
    paths(mesh)
    (home / "shared/a.md").unlink()
    assert paths(mesh) == [] and cached(home) == set()


@pytest.fixture
def mounted(home):
    """Mounts an empty disk over a folder of the home, as long as the test runs."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("mounting needs root")
    points = []

    def mount(path):
        done = subprocess.run(["mount", "-t", "tmpfs", "none", str(home / path)], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"cannot mount here: {done.stderr.decode().strip()}")
        points.append(home / path)

    yield mount
    for point in points:
        subprocess.run(["umount", "-l", str(point)], check=True)


def test_an_empty_folder_on_another_device_is_refused(home, mesh, mounted):
    """An empty mount point is a disk that is not there."""
    write(home, "shared/a.md", "the walrus")
    settle()
    paths(mesh)
    mesh.close()
    mounted("shared")
    with hashed(home) as again, pytest.raises(VaultUnavailable, match="another device"):
        again.recall("walrus")
    assert cached(home) == {"shared/a.md"}


def test_an_empty_folder_on_another_device_is_refused_beside_local_memories(home, mesh, mounted):
    """What lies in `_local/` says nothing of the disk that is not there."""
    write(home, "shared/a.md", "the walrus")
    write(home, "_local/shared/b.md", "the walrus at home")
    settle()
    paths(mesh)
    mesh.close()
    mounted("shared")
    with hashed(home) as again, pytest.raises(VaultUnavailable, match="another device"):
        again.recall("walrus")


def test_the_remedy_for_an_empty_disk_is_one(home, mesh, mounted):
    """What the refusal says to run is what works."""
    write(home, "shared/a.md", "the walrus")
    settle()
    paths(mesh)
    mesh.close()
    mounted("shared")
    with hashed(home) as again:
        with pytest.raises(VaultUnavailable) as refused:
            again.recall("walrus")
        with pytest.raises(VaultUnavailable):
            again.reindex()
        assert again.reindex(from_nothing=True).scanned == 0
        assert "mesh reindex --all" in refused.value.remedy


AS_NOBODY = """
import os, sys, json
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from hashing import hashed, write
if os.geteuid() == 0:
    # Load every module there is to load while they can be read, then become somebody to whom modes apply.
    write(Path(sys.argv[3]), "shared/a.md", "walrus")
    with hashed(Path(sys.argv[3])) as mesh:
        mesh.learn("octopus")
        mesh.recall("walrus of last week")  # a time, too: what reads it is loaded when there may be one
        mesh.workspace.watch()  # to which slow scans lead
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
home = Path(sys.argv[1])
def paths(mesh, question="walrus"):
    return sorted(row["path"] for row in mesh.recall(question, 50) if row["matched_words"])
"""


@pytest.fixture
def as_nobody(tmp_path):
    """Runs a script, with a home of its own, as a user to whom modes apply."""
    if not hasattr(os, "geteuid"):
        pytest.skip("no modes on this system")
    with tempfile.TemporaryDirectory(prefix="mesh-nobody-", ignore_cleanup_errors=True) as folder:
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)

        def run(script):
            done = subprocess.run(
                [sys.executable, "-c", AS_NOBODY + textwrap.dedent(script), folder, str(TESTS), str(tmp_path / "warm")],
                capture_output=True,
                text=True,
                env=os.environ | {"HOME": folder, "MESH_HOME": folder},
                check=False,
            )
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        yield run


def test_a_file_that_cannot_be_read_is_not_deleted(as_nobody):
    """It is in the receipt, the others answer, and it is back when its mode is."""
    found = as_nobody("""
    write(home, "shared/a.md", "the walrus")
    write(home, "shared/b.md", "another walrus")
    with hashed(home) as mesh:
        before = paths(mesh)
        os.chmod(home / "shared/a.md", 0)
        during, receipt = paths(mesh), mesh.refresh()
        with hashed(home) as other:
            elsewhere = paths(other)
        os.chmod(home / "shared/a.md", 0o600)
        after = paths(mesh)
    print(json.dumps([before, during, receipt.unreadable, elsewhere, after]))
    """)
    both = ["shared/a.md", "shared/b.md"]
    assert found == [both, ["shared/b.md"], ["shared/a.md"], ["shared/b.md"], both]


def test_a_receipt_without_local_memories_does_not_name_them(as_nobody):
    """A path is made of the text's first line: it must not leave this machine."""
    found = as_nobody("""
    write(home, "shared/b.md", "the walrus")
    with hashed(home) as mesh:
        path = mesh.learn("the safe is 4711", local_only=True)["path"]
        os.chmod(home / path, 0)
        receipt = mesh.recall("walrus", include_local=False).receipt
    print(json.dumps(receipt.as_dict()))
    """)
    assert "safe" not in json.dumps(found)


def test_a_folder_that_cannot_be_listed_hides_its_files_only(as_nobody):
    """What is in it counts as unreadable, not as deleted, and is found again without being embedded again."""
    found = as_nobody("""
    write(home, "shared/deep/a.md", "the walrus")
    write(home, "shared/b.md", "another walrus")
    with hashed(home) as mesh:
        before = paths(mesh)
        os.chmod(home / "shared/deep", 0)
        during, receipt = paths(mesh), mesh.refresh()
        os.chmod(home / "shared/deep", 0o700)
        count = len(mesh.workspace.embedder.embedded)
        after = paths(mesh)
    print(json.dumps([before, during, receipt.unreadable, after, mesh.workspace.embedder.embedded[count:]]))
    """)
    both = ["shared/b.md", "shared/deep/a.md"]
    assert found == [both, ["shared/b.md"], ["shared/deep/a.md"], both, ["walrus"]]


def test_a_home_that_cannot_be_written_still_answers(as_nobody):
    """Recall works from a copy of the cache in memory, sees edits, and leaves no trace."""
    found = as_nobody("""
    write(home, "shared/a.md", "the walrus")
    write(home, "shared/b.md", "the octopus")
    with hashed(home) as mesh:
        mesh.recall("walrus")
    write(home, "shared/b.md", "another walrus")
    folders = [home, home / ".cache", home / ".cache/shared", home / ".locks"]
    for file in (home / ".cache/shared").iterdir():
        file.chmod(0o400)
    for folder in folders:
        if folder.exists():
            folder.chmod(0o500)
    try:
        with hashed(home) as mesh:
            print(json.dumps([paths(mesh), paths(mesh, "octopus")]))
    finally:
        for folder in folders:
            if folder.exists():
                folder.chmod(0o700)
    """)
    assert found == [["shared/a.md", "shared/b.md"], []]


# --- a vault in git ------------------------------------------------------------------------------------------------


def test_indexing_a_committed_vault_of_a_thousand_files_leaves_it_clean(home, tmp_path):
    """recall, reindex and doctor write nothing below the namespace: git sees no change, and no byte differs."""
    rng = random.Random(1)
    for i in range(1000):
        front = rng.choice(
            ["", "---\ntags: [a, b]\n---\n", f"---\r\nid: made-by-hand-{i}\r\n---\r\n", "---\nx: [\n---\n"]
        )
        end = rng.choice(["", "\n", "\r\n", "\n\n\n"])
        write(home, f"shared/{i % 10}/{i}.md", f"{front}walrus number {i}{end}")
    git = ["git", "-C", str(home / "shared"), "-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.autocrlf=false"]
    quiet = {"check": True, "capture_output": True}
    subprocess.run([*git, "init", "-q"], **quiet)
    subprocess.run([*git, "add", "-A"], **quiet)
    subprocess.run([*git, "commit", "-qm", "all"], **quiet)
    before = bytes_below(home)
    with hashed(home) as mesh:
        assert mesh.recall("walrus").receipt.scanned == 1000
        mesh.reindex()
        assert mesh.recall("walrus").receipt.pending == 0
        mesh.reindex(from_nothing=True)
        doctor.examine(mesh.workspace)
        head = mesh.refresh().git_head
    assert subprocess.run([*git, "status", "--porcelain"], **quiet).stdout == b""
    assert subprocess.run([*git, "rev-parse", "HEAD"], **quiet).stdout.decode().strip() == head
    assert bytes_below(home) == before


def test_a_great_many_new_files_are_found_by_their_words_first(home, mesh):
    """A first index answers from words, and says how many memories it has not embedded."""
    for i in range(300):
        write(home, f"shared/{i}.md", f"walrus number{i}")
    results = mesh.recall("number123 walrus")
    assert results[0]["path"] == "shared/123.md" and results.receipt.pending == 300
    assert mesh.reindex().pending == 0
    results = mesh.recall("number123 walrus")
    assert results[0]["path"] == "shared/123.md" and results[0]["similarity"] == pytest.approx(1, abs=1e-5)


# --- several at once -----------------------------------------------------------------------------------------------


class Interrupted(Refresh):
    """A refresh that another process overtakes between its comparison and its first write."""

    def meanwhile(self):
        """What the other one does."""

    def _act(self, found, done):
        self.meanwhile()
        super()._act(found, done)


class LateVault(Vault):
    """A vault whose scan was taken a while ago: its process was suspended since."""

    snapshot = None

    def scan(self, namespace):
        if self.snapshot is None:
            self.snapshot = super().scan(namespace)
        return self.snapshot


def test_two_refreshes_at_once_never_lose_a_file(home):
    """A slow refresh that saw less may set the cache back, but the next recall must notice."""
    write(home, "shared/a.md", "the octopus")
    slow_vault, slow_cache = LateVault(home), Cache(home, "shared", roots("shared"))
    slow_vault.scan("shared")  # it looks, and is suspended
    write(home, "shared/b.md", "the walrus")
    with wordsonly(home) as mesh:
        assert paths(mesh) == ["shared/b.md"]
    settle()
    cache = Cache(home, "shared", roots("shared"))
    fast = Interrupted(Vault(home), "shared", cache)
    fast.meanwhile = Refresh(slow_vault, "shared", slow_cache).run
    fast.run()
    cache.close()
    slow_cache.close()
    with wordsonly(home) as mesh:
        assert paths(mesh) == ["shared/b.md"]


def test_a_cache_made_again_by_another_process_is_noticed(home, caplog):
    """`mesh reindex --all` beside a running server: neither harms the other's vectors, and nothing is made twice."""
    for i in range(20):
        write(home, f"shared/{i}.md", f"walrus number{i}")
    with hashed(home) as server:
        server.recall("walrus")
        with hashed(home) as command:
            command.reindex(from_nothing=True)
            caplog.clear()
            for i in range(20, 40):
                server.learn(f"octopus number{i}")
            assert command.recall("octopus number33", 1)[0]["content"] == "octopus number33"
            assert server.recall("octopus number33", 1)[0]["content"] == "octopus number33"
    with hashed(home) as command:
        command.workspace.refresh()
        assert [finding for finding in doctor.examine(command.workspace) if finding.kind == "cache"] == []
    assert [record.message for record in caplog.records] == []


def test_threads_may_share_a_mesh(home, mesh):
    """Eight threads learn and ask through one `Mesh`; nothing is lost and nothing fails."""
    import threading

    failures = []

    def work(number):
        try:
            for i in range(10):
                mesh.learn(f"walrus {number} {i}")
                assert mesh.recall(f"walrus {number} {i}", 1)
                mesh.inspect(5)
                mesh.count()
        except Exception as error:  # noqa: BLE001 - every failure counts
            failures.append(repr(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [] and mesh.count() == 80


def test_threads_may_get_while_others_learn(home):
    """Every verb takes its turn. In a process of its own: two threads in one connection can crash Python."""
    script = f"""
    import sys, threading
    sys.path.insert(0, {str(TESTS)!r})
    from pathlib import Path
    from hashing import hashed
    failures = []
    def repeat(act):
        try:
            for i in range(150):
                act(i)
        except Exception as error:
            failures.append(repr(error))
    with hashed(Path({str(home)!r})) as mesh:
        memory_id = mesh.learn("the octopus")["memory_id"]
        acts = [lambda i, n=n: mesh.learn(f"walrus {{n}} {{i}}") for n in range(2)]
        acts += [lambda _: mesh.get(memory_id)] * 3
        threads = [threading.Thread(target=repeat, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    sys.exit(str(failures) if failures else 0)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_busy_is_waited_for_and_nothing_is_made_again(home, mesh, caplog):
    """Another process writes to the cache for a second: recall waits, answers rightly, and throws nothing away."""
    write(home, "shared/a.md", "the walrus")
    paths(mesh)
    inode = (home / ".cache/shared/manifest.db").stat().st_ino
    holder = f"""
    import sqlite3, time
    db = sqlite3.connect({str(home / ".cache/shared/manifest.db")!r}, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT OR REPLACE INTO meta VALUES ('busy', 1)")
    print(flush=True)
    time.sleep(1)
    db.execute("ROLLBACK")
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(holder)], stdout=subprocess.PIPE) as busy:
        busy.stdout.readline()
        write(home, "shared/b.md", "the walrus too")
        assert paths(mesh) == ["shared/a.md", "shared/b.md"]
        with hashed(home) as other:
            assert paths(other) == ["shared/a.md", "shared/b.md"]
    assert (home / ".cache/shared/manifest.db").stat().st_ino == inode
    assert caplog.records == []


# --- damage to the cache -------------------------------------------------------------------------------------------

QUESTIONS = ("walrus", "octopus garden", "number7 walrus tusk", "deploy")


def answers(mesh):
    return {
        question: [(row["path"], row["content"], row["similarity"], row["bm25"]) for row in mesh.recall(question, 6)]
        for question in QUESTIONS
    }


class Damaged:
    """A vault with a cache that can be spoilt and put back, and what it should answer."""

    def __init__(self, home):
        self.home, self.folder = home, home / ".cache/shared"
        for i in range(24):
            write(
                home,
                f"shared/{i % 3}/{i}.md",
                f"{'walrus' if i % 2 else 'octopus garden'} number{i} {'tusk ' * (i % 5)}",
            )
        write(home, "shared/deploy.md", "---\ntags: [ops]\ntitle: Deploying\n---\nRun the script")
        settle()
        with hashed(home) as mesh:
            mesh.recall("walrus")
            self.answers = answers(mesh)
        with hashed(home, "other") as mesh:
            mesh.learn("a memory of another namespace about a walrus")
            mesh.learn("an octopus of another namespace")
        self.files = bytes_below(home)
        self.kept = home / ".kept"
        shutil.copytree(self.folder, self.kept)

    def restore(self):
        shutil.rmtree(self.folder)
        shutil.copytree(self.kept, self.folder)

    def ask(self, caplog, embedder=None):
        """The answers of a new process, and what it said."""
        caplog.clear()
        with hashed(self.home, embedder=embedder) as mesh:
            found = answers(mesh)
        return found, [record.getMessage() for record in caplog.records if record.name == "mesh"]


@pytest.fixture
def damaged(home):
    return Damaged(home)


def sql(*statements):
    def act(damaged):
        with sqlite3.connect(damaged.folder / "manifest.db") as db:
            for statement in statements:
                db.execute(statement)
        db.close()

    return act


def replaced(name, change):
    """Put other bytes in the place of a file of the cache, as a new file: cutting one in place kills its readers."""

    def act(damaged):
        path = damaged.folder / name
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(change(data))

    return act


def gone(name):
    return lambda damaged: (damaged.folder / name).unlink()


def everything_gone(damaged):
    shutil.rmtree(damaged.folder)


def of_another_namespace(name):
    return lambda damaged: shutil.copy2(damaged.home / ".cache/other" / name, damaged.folder / name)


def of_another_run(damaged):
    import numpy as np

    whole = np.load(damaged.folder / "vectors.npy")
    (damaged.folder / "vectors.npy").unlink()
    np.save(damaged.folder / "vectors.npy", np.roll(whole, 1, axis=0))


SAID = {
    "manifest truncated": replaced("manifest.db", lambda data: data[: len(data) // 2 + 100]),
    "manifest cut to a page": replaced("manifest.db", lambda data: data[:4096]),
    "manifest cut to a few bytes": replaced("manifest.db", lambda data: data[:50]),
    "manifest is garbage": replaced("manifest.db", lambda data: b"\xa5" * len(data)),
    "manifest is text": replaced("manifest.db", lambda data: b"hello\n"),
    "manifest is full of zeros": replaced("manifest.db", lambda data: bytes(len(data))),
    "manifest garbage in the middle": replaced(
        "manifest.db", lambda data: data[:4096] + b"\x5a" * (len(data) - 8192) + data[-4096:]
    ),
    "older schema": sql("PRAGMA user_version = 0"),
    "newer schema": sql("PRAGMA user_version = 99"),
    "no table files": sql("DROP TABLE files"),
    "no table batches": sql("DROP TABLE batches"),
    "no table postings": sql("DROP TABLE postings"),
    "no table dropped": sql("DROP TABLE dropped"),
    "no table meta": sql("DROP TABLE meta"),
    "no table vectors": sql("DROP TABLE vectors"),
    "no table passages": sql("DROP TABLE passages"),
    "no table matrices": sql("DROP TABLE matrices"),
    "no table supersedes": sql("DROP TABLE supersedes"),
    "a column missing": sql("ALTER TABLE files DROP COLUMN confidence"),
    "postings cut short": sql("UPDATE postings SET data = substr(data, 1, length(data) - 1)"),
    "postings empty": sql("UPDATE postings SET data = x''"),
    "postings are garbage": sql("UPDATE postings SET data = randomblob(length(data))"),
    "postings are text": sql("UPDATE postings SET data = 'walrus'"),
    "postings are text that is none": sql("UPDATE postings SET data = CAST(randomblob(40) AS TEXT)"),
    "postings are numbers": sql("UPDATE postings SET data = 7"),
    "lengths cut short": sql("UPDATE batches SET lengths = substr(lengths, 1, length(lengths) - 4)"),
    "batches cut short": sql("UPDATE batches SET files = substr(files, 2), lengths = substr(lengths, 2)"),
    "batches are text": sql("UPDATE batches SET files = 'walrus', lengths = 'walrus'"),
    "batches are garbage": sql("UPDATE batches SET files = randomblob(length(files))"),
    "a column of the postings missing": sql("ALTER TABLE batches DROP COLUMN lengths"),
    "vectors missing": gone("vectors.npy"),
    "vectors truncated": replaced("vectors.npy", lambda data: data[:1000]),
    "vectors empty": replaced("vectors.npy", lambda data: b""),
    "vectors are zeros": replaced("vectors.npy", lambda data: bytes(len(data))),
    "vectors flipped": replaced("vectors.npy", lambda data: data[:200] + bytes([data[200] ^ 4]) + data[201:]),
    "vectors from another run": of_another_run,
    "vectors of another namespace": of_another_namespace("vectors.npy"),
    "another dimension": sql("UPDATE matrices SET dimension = 16"),
    "rows exchanged": sql("UPDATE vectors SET row = row + 1000", "UPDATE vectors SET row = (row - 999) % 25"),
    "more rows than there are": sql("UPDATE matrices SET used = used + 100000"),
}
SILENT = {
    "everything gone": everything_gone,
    "manifest missing": gone("manifest.db"),
    "manifest of zero bytes": replaced("manifest.db", lambda data: b""),
    "only the stamp of the scan gone": sql("DELETE FROM meta"),
    "vectors longer": replaced("vectors.npy", lambda data: data + b"more" * 99),
    "manifest of another namespace": of_another_namespace("manifest.db"),
}


@pytest.mark.parametrize("what", SAID)
def test_a_damaged_cache_is_made_again_and_said_once(damaged, caplog, what):
    """The next recall answers rightly and says once what was wrong; the one after is silent; no file is touched."""
    SAID[what](damaged)
    found, said = damaged.ask(caplog)
    assert found == damaged.answers
    assert len(said) == 1 and "made again" in said[0]
    assert damaged.ask(caplog) == (damaged.answers, [])
    assert bytes_below(damaged.home) == damaged.files


@pytest.mark.parametrize("what", SILENT)
def test_a_cache_that_is_not_there_is_made(damaged, caplog, what):
    """A cache may always be deleted: the next recall answers rightly."""
    SILENT[what](damaged)
    found, said = damaged.ask(caplog)
    assert found == damaged.answers and len(said) <= 1
    assert damaged.ask(caplog) == (damaged.answers, [])
    assert bytes_below(damaged.home) == damaged.files


def test_two_kinds_of_damage_at_once_are_said_at_most_twice(damaged, caplog):
    """However much is wrong, recall answers rightly."""
    SAID["vectors flipped"](damaged)
    SAID["no table supersedes"](damaged)
    found, said = damaged.ask(caplog)
    assert found == damaged.answers and 1 <= len(said) <= 2


VERBS = {
    "learn": ["a new text"],
    "inspect": [],
    "count": [],
    "get": ["shared/0/0.md"],
    "status": [],
    "problems": [],
    "update": ["shared/0/0.md", "another text"],
    "forget": ["shared/0/0.md"],
    "refresh": [],
    "reindex": [],
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "what", ["no table files", "no table batches", "no table passages", "vectors missing", "manifest is garbage"]
)
def test_every_verb_outlives_a_damaged_cache(damaged, verb, what):
    """Not only recall makes the cache again."""
    SAID[what](damaged)
    with hashed(damaged.home) as mesh:
        getattr(mesh, verb)(*VERBS[verb])
        assert mesh.count() == {"learn": 26, "forget": 24}.get(verb, 25)


def flipped(data, at):
    """The bytes with one bit turned over."""
    return data[: at // 8] + bytes([data[at // 8] ^ 1 << at % 8]) + data[at // 8 + 1 :]


@pytest.mark.parametrize("name", ["manifest.db", "vectors.npy"])
def test_a_flipped_bit_never_makes_recall_fail_or_lie(damaged, caplog, name):
    """60 random flips each: recall does not fail, gives the text of the files, and touches none of them."""
    rng = random.Random(name)
    for _ in range(60):
        damaged.restore()
        replaced(name, lambda data: flipped(data, rng.randrange(len(data) * 8)))(damaged)
        found, said = damaged.ask(caplog)
        assert len(said) <= 1
        for rows in found.values():
            for path, content, *_ in rows:
                assert (damaged.home / path).read_text().rstrip().endswith(content)
        if name == "vectors.npy":
            assert found == damaged.answers
    assert bytes_below(damaged.home) == damaged.files


def test_a_flipped_bit_in_a_value_of_the_manifest_is_found_by_the_doctor(damaged):
    """SQLite cannot know that a tag reads otherwise than in the file; the doctor compares, and its remedy mends it."""
    replaced("manifest.db", lambda data: flipped(data, 8 * data.index(b"\nops\n") + 8))(damaged)
    with hashed(damaged.home) as mesh:
        assert "cache" in {finding.kind for finding in examine(mesh.workspace)}
        fix(mesh.workspace, "cache")
        assert "cache" not in {finding.kind for finding in examine(mesh.workspace)}
        assert [row["path"] for row in mesh.recall("run the script", tags=["ops"])] == ["shared/deploy.md"]


def test_a_log_left_by_a_crash_is_taken_in(home, caplog):
    """kill -9 leaves SQLite's write-ahead log: what was acknowledged is found, and nothing is made again."""
    script = f"""
    import os, signal, sys
    sys.path.insert(0, {str(TESTS)!r})
    from pathlib import Path
    from hashing import hashed
    mesh = hashed(Path({str(home)!r}))
    for i in range(5):
        mesh.learn(f"walrus number{{i}}")
    mesh.recall("walrus")
    os.kill(os.getpid(), signal.SIGKILL)
    """
    died = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert died.returncode == -signal.SIGKILL
    assert (home / ".cache/shared/manifest.db-wal").stat().st_size > 0
    with hashed(home) as mesh:
        assert len(paths(mesh)) == 5
        assert mesh.workspace.embedder.embedded == ["walrus"], "the vectors are those of the process that died"
    assert caplog.records == []


def test_a_log_of_another_database_does_no_harm(damaged, caplog):
    """A left-over log that does not belong to the manifest changes no answer."""
    (damaged.folder / "manifest.db-wal").write_bytes(b"\x37\x7f\x06\x82" + os.urandom(40_000))
    found, said = damaged.ask(caplog)
    assert found == damaged.answers and len(said) <= 1


def test_vectors_of_two_models_never_meet(damaged, caplog):
    """Another model has its own matrix, and coming back to the first one embeds nothing again."""
    other = HashEmbedder(key="other", dimension=16)
    found, said = damaged.ask(caplog, other)
    assert said == [] and found != damaged.answers
    shutil.rmtree(damaged.folder)
    assert damaged.ask(caplog, HashEmbedder(key="other", dimension=16)) == (found, [])
    damaged.restore()
    damaged.ask(caplog, other)
    first = HashEmbedder()
    assert damaged.ask(caplog, first) == (damaged.answers, [])
    assert sorted(set(first.embedded)) == sorted(QUESTIONS)


def test_a_cache_without_a_model_says_so(home):
    """Words answer, the receipt says that it was words only, and nothing stands in for meaning."""
    write(home, "shared/a.md", "the walrus")
    with wordsonly(home) as mesh:
        results = mesh.recall("walrus")
    assert results.receipt.lexical_only and results.receipt.model is None and results.receipt.pending == 0
    assert results[0]["similarity"] is None
