"""Memory files: added, changed and thrown away without a text ever being lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mesh import Mesh, codec
from mesh.errors import EditConflict, MeshError, UnknownNamespace, VaultUnavailable
from mesh.files import sha256
from mesh.memory import Memory, new_id
from mesh.vault import Vault, roots

pytestmark = pytest.mark.usefixtures("without_model")
posix_only = pytest.mark.skipif(os.name != "posix", reason="modes and links as POSIX has them")

OLD, NEW = b"---\nid: mine\n---\nThe old text\n", b"---\nid: mine\n---\nThe new text\n"


@pytest.fixture
def vault(home):
    return Vault(home)


def hand_write(home, path, data=OLD):
    file = home / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def everything_below(home):
    """All bytes of all files that are not the cache's or a lock."""
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and path.relative_to(home).parts[0] not in {".cache", ".locks"}
    }


# --- namespaces ----------------------------------------------------------------------------------------------


def test_namespaces_are_the_real_folders_with_proper_names(home, vault, tmp_path):
    """Shared or local, sorted, each once; no hidden folder, no link, no file, no reserved name."""
    for folder in ("beta", "alpha", "_local/alpha", "_local/only-local", ".git", "con", "Upper", "_other"):
        (home / folder).mkdir(parents=True)
    (home / "linked").symlink_to(tmp_path)
    (home / "file").write_text("")
    assert vault.namespaces() == ["alpha", "beta", "only-local"]


def test_a_home_that_does_not_exist_has_no_namespaces(tmp_path):
    """And looking does not make it."""
    assert Vault(tmp_path / "home").namespaces() == []
    assert not (tmp_path / "home").exists()


def test_a_misspelt_namespace_is_told_the_closest(home, vault):
    """The error names what may have been meant."""
    (home / "project").mkdir()
    vault.require("project")
    with pytest.raises(UnknownNamespace, match="Did you mean 'project'"):
        vault.require("projekt")
    with pytest.raises(UnknownNamespace, match="There are: project"):
        vault.require("zzz")


# --- adding --------------------------------------------------------------------------------------------------


def test_a_new_file_is_named_by_slug_and_id_and_never_replaces(home, vault):
    """When the name is taken it takes more of the id, and when all are taken a time."""
    memory = Memory(id=new_id(), content="Deploys happen on Tuesday")
    paths = [vault.add("shared", memory) for _ in range(8)]
    assert paths[0] == f"shared/deploys-happen-on-tuesday--{memory.id[:12]}.md"
    assert paths[4] == f"shared/deploys-happen-on-tuesday--{memory.id}.md"
    assert all(".copy-" in path for path in paths[5:])
    assert len(set(paths)) == 8 == len(vault.scan("shared").files)
    assert len({(home / path).read_bytes() for path in paths}) == 1


def test_a_local_memory_never_lies_in_the_shared_folder(home, vault):
    """`local_only` decides the root."""
    path = vault.add("shared", Memory(id=new_id(), content="text", local_only=True))
    assert path.startswith("_local/shared/")
    assert not (home / "shared").exists()


@posix_only
@pytest.mark.parametrize("first", ["learn", "recall"])
def test_a_home_is_for_its_owner_only(tmp_path, first):
    """Nothing in it has a mode that lets others in, under an ordinary umask."""
    before = os.umask(0o022)
    try:
        with Mesh(home=tmp_path / "home") as mesh:
            if first == "recall":
                mesh.recall("anything")
            memory_id = mesh.learn("text")["memory_id"]
            mesh.learn("local text", local_only=True)
            mesh.update(memory_id, "other text")
            mesh.forget(memory_id)
    finally:
        os.umask(before)
    made = [tmp_path / "home", *(tmp_path / "home").rglob("*")]
    assert [str(path) for path in made if path.stat().st_mode & 0o077] == []


@posix_only
@pytest.mark.parametrize("linked", ["shared", "_local", ".trash", "shared/sub"])
def test_no_write_goes_through_a_linked_folder(home, vault, tmp_path, linked):
    """`VaultUnavailable` says that links are not followed; what the link leads to is untouched."""
    outside = tmp_path / "outside"
    for place in ("", "shared", "sub"):
        hand_write(outside / place, "a.md", OLD)
    before = everything_below(outside)
    (home / "shared").mkdir() if "/" in linked or linked == ".trash" else None
    (home / linked).symlink_to(outside)
    acts = {
        "shared": lambda: vault.add("shared", Memory(id=new_id(), content="text")),
        "_local": lambda: vault.add("shared", Memory(id=new_id(), content="text", local_only=True)),
        ".trash": lambda: vault.rewrite("shared", "shared/real.md", sha256(OLD), NEW),
        "shared/sub": lambda: vault.rewrite("shared", "shared/sub/a.md", sha256(OLD), NEW),
    }
    if linked == ".trash":
        hand_write(home, "shared/real.md")
    with pytest.raises(VaultUnavailable):
        acts[linked]()
    assert everything_below(outside) == before
    if linked == ".trash":
        assert (home / "shared/real.md").read_bytes() == OLD


@posix_only
@pytest.mark.parametrize("linked", ["shared", "shared/sub", "_local"])
def test_no_read_goes_through_a_linked_folder(home, vault, tmp_path, linked):
    """A link that was swapped in between scan and read must not lead a recall outside the home."""
    hand_write(tmp_path, "outside/a.md", b"secret of somebody else\n")
    (home / linked).parent.mkdir(exist_ok=True)
    (home / linked).symlink_to(tmp_path / "outside")
    with pytest.raises(MeshError):
        vault.read(f"{linked}/a.md")


# --- changing ------------------------------------------------------------------------------------------------


def test_a_rewrite_keeps_the_old_text(home, vault):
    """The new text is in the file, the old one in the trash, and nothing else is anywhere."""
    hand_write(home, "shared/a.md")
    vault.rewrite("shared", "shared/a.md", sha256(OLD), NEW)
    files = everything_below(home)
    assert files.pop("shared/a.md") == NEW
    assert list(files.values()) == [OLD]


@pytest.mark.parametrize("act", ["rewrite", "discard", "update"])
def test_an_edit_conflict_writes_nothing(home, vault, mesh, act):
    """A file that is not what was read stays, and nothing goes to the trash."""
    hand_write(home, "shared/a.md")
    _, base = vault.read("shared/a.md")
    hand_write(home, "shared/a.md", b"---\nid: mine\n---\nAn edit by hand\n")
    before = everything_below(home)
    acts = {
        "rewrite": lambda: vault.rewrite("shared", "shared/a.md", base, NEW),
        "discard": lambda: vault.discard("shared", "shared/a.md", base),
        "update": lambda: _update_based_on(mesh, base),
    }
    with pytest.raises(EditConflict) as caught:
        acts[act]()
    assert caught.value.kept_as is None
    after = everything_below(home)
    after.pop(".gitignore", None)
    assert after == before


def _update_based_on(mesh, base):
    from mesh import change

    change.update(mesh.workspace, "mine", {}, "The new text", base=("shared/a.md", base))


def test_a_file_that_is_gone_is_not_made_again(home, vault):
    """A change of a deleted file is an error, and it stays deleted."""
    hand_write(home, "shared/a.md").unlink()
    with pytest.raises(VaultUnavailable, match=r"shared/a\.md: no such file"):
        vault.rewrite("shared", "shared/a.md", sha256(OLD), NEW)
    assert everything_below(home) == {}


# Saves as vim and most editors do: a new file, put in place of the old one. It exchanges the two names and keeps what
# it displaced, so that a text that is nowhere was lost by Mesh.
_EDITOR = """
import os, sys
from mesh.renames import exchange_names
folder, kept = os.open(sys.argv[1], os.O_RDONLY), sys.argv[2]
number = 0
while True:
    number += 1
    name = f".editor-{number}"
    with open(os.path.join(sys.argv[1], name), "w") as file:
        file.write(f"text {number} of the editor\\n")
    with open(os.path.join(kept, "written"), "a") as log:
        log.write(f"text {number} of the editor\\n")
    if not exchange_names(folder, name, "a.md"):
        sys.exit("no exchange")
    os.rename(os.path.join(sys.argv[1], name), os.path.join(kept, f"displaced-{number}"))
    if number == 1:
        print("ready", flush=True)
"""


def test_a_save_that_lands_within_a_rewrite_is_never_lost(home, vault, tmp_path):
    """Every text that was ever in the file is in it, in the trash, in a conflict copy, or where the editor put it."""
    file = hand_write(home, "shared/a.md", b"text 0 of mesh\n")
    kept = tmp_path / "kept"
    kept.mkdir()
    editor = subprocess.Popen(
        [sys.executable, "-c", _EDITOR, file.parent, kept],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    conflicts = applied = 0
    written = {"text 0 of mesh\n"}
    try:
        if editor.stdout.readline() != "ready\n":
            pytest.skip(f"the editor could not run: {editor.stderr.read()}")
        for number in range(1, 1001):
            text = f"text {number} of mesh\n"
            try:
                base = sha256(file.read_bytes())
                with vault.writing("shared"):
                    vault.rewrite("shared", "shared/a.md", base, text.encode())
                written.add(text)
                applied += 1
            except EditConflict as conflict:
                if conflict.kept_as:
                    written.add(text)
                    conflicts += 1
            if conflicts >= 8 and applied >= 8:
                break
    finally:
        editor.send_signal(signal.SIGKILL)
        editor.wait()
        editor.stdout.close()
        editor.stderr.close()
    written |= set((kept / "written").read_text().splitlines(keepends=True)[:-1])
    there = {path.read_text() for root in (home, kept) for path in root.rglob("*") if path.is_file() and _is_text(path)}
    assert written <= there, f"lost {len(written - there)} of {len(written)}"
    assert applied or conflicts


def _is_text(path):
    return ".cache" not in path.parts and path.name != "written"


def test_a_conflict_copy_is_a_memory_that_is_served_and_flagged(home, mesh):
    """Both texts can be recalled, and `mesh doctor` names the copy."""
    from mesh.doctor import examine

    hand_write(home, "shared/a.md")
    hand_write(home, "shared/a.conflict-20260101T000000.000000Z.md", b"The text of an editor\n")
    assert {row["content"] for row in mesh.recall("text")} == {"The old text", "The text of an editor"}
    assert [finding.place for finding in examine(mesh.workspace) if finding.kind == "copy"] == [
        "shared/a.conflict-20260101T000000.000000Z.md"
    ]


# --- windows that are too small to meet by chance: strace holds the door open ---------------------------------

_ACT = """
import sys
from pathlib import Path
from mesh.files import sha256
from mesh.vault import Vault
home, act, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
vault = Vault(home)
base = sha256((home / "shared" / name).read_bytes())
with vault.writing("shared"):
    if act == "rewrite":
        vault.rewrite("shared", f"shared/{name}", base, b"The new text\\n")
    else:
        vault.discard("shared", f"shared/{name}", base)
"""
SAVED = b"What a person saved within the last moment\n"


def run_slowly(home, act, delayed, during, name="a.md", killed=None):
    """Run `act` in a process that waits before each system call `delayed`, and dies of its third call of `killed`.

    `during` is called meanwhile.
    """
    if not shutil.which("strace"):
        pytest.skip("strace is not installed (apt-get install strace)")
    (home / ".gitignore").touch()  # so that making it is none of the calls that are counted
    inject = ["-e", f"inject={delayed}:delay_enter=500000"]
    if killed:
        inject += ["-e", f"inject={killed}:signal=KILL:when=3"]
    traced = f"{delayed},{killed}" if killed else delayed
    command = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={traced}", *inject]
    arguments = [sys.executable, "-c", _ACT, str(home), act, name]
    process = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True)
    during(process)
    error = process.communicate()[1]
    if "strace:" in error:
        pytest.skip(f"strace cannot trace here: {error.splitlines()[0]}")
    return process.returncode, error


def when_there(pattern, act):
    """Do `act` as soon as a file appears."""

    def wait(process):
        while process.poll() is None:
            if list(Path(pattern[0]).glob(pattern[1])):
                act()
                return
            time.sleep(0.005)

    return wait


def save(file):
    """As an editor does: a new file, renamed over the old one."""
    other = file.with_name("editor-temporary")
    other.write_bytes(SAVED)
    other.replace(file)


def test_a_save_between_read_and_exchange_is_kept_beside(home):
    """The file has the new text, the trash the old one, and the conflict copy what the person saved."""
    file = hand_write(home, "shared/a.md", b"The old text\n")
    during = when_there((home / "shared", ".mesh-*.tmp"), lambda: save(file))
    status, error = run_slowly(home, "rewrite", "renameat2", during)
    assert status == 1 and "EditConflict" in error
    assert file.read_bytes() == b"The new text\n"
    (copy,) = (home / "shared").glob("a.conflict-*.md")
    assert copy.read_bytes() == SAVED
    assert sorted(set(everything_below(home).values()) - {b""}) == sorted([b"The new text\n", b"The old text\n", SAVED])


@pytest.mark.parametrize("case", ["killed before the copy is there", "no name is free that is short enough"])
def test_a_displaced_save_survives_whatever_happens_next(home, case):
    """The file that was displaced itself becomes the conflict copy: there is no moment without it."""
    killed = "write" if case.startswith("killed") else None  # of the trash's copy, the new text, the conflict copy
    name = "a.md" if killed else "n" * 240 + ".md"
    file = hand_write(home, f"shared/{name}", b"The old text\n")
    during = when_there((home / "shared", ".mesh-*.tmp"), lambda: save(file))
    run_slowly(home, "rewrite", "renameat2", during, name, killed)
    assert SAVED in everything_below(home).values()


def test_a_save_while_a_memory_is_thrown_away_is_never_lost(home):
    """It stays where it was saved, or lies in the trash."""
    file = hand_write(home, "shared/a.md", b"The old text\n")
    during = when_there((home / ".trash", "**/a.md"), lambda: save(file))
    run_slowly(home, "discard", "unlinkat", during)
    assert SAVED in everything_below(home).values()


@posix_only
def test_an_editor_that_writes_in_place_loses_nothing(home, vault):
    """VS Code opens a file and then writes it: what arrives after an exchange must be found somewhere."""
    file = hand_write(home, "shared/a.md", b"The old text\n")
    with file.open("r+b") as editor:
        with vault.writing("shared"):
            vault.rewrite("shared", "shared/a.md", sha256(b"The old text\n"), NEW)
        editor.write(SAVED)
    assert SAVED in everything_below(home).values()


def test_throwing_away_keeps_what_an_editor_is_writing(home, vault):
    """The file itself moves to the trash, so that what is still being written to it arrives there."""
    file = hand_write(home, "shared/a.md", b"The old text\n")
    with file.open("r+b") as editor:
        with vault.writing("shared"):
            vault.discard("shared", "shared/a.md", sha256(b"The old text\n"))
        editor.write(SAVED)
    assert SAVED in everything_below(home).values()


# --- reading -------------------------------------------------------------------------------------------------


def test_reading_changes_nothing(home, mesh):
    """Indexing and recalling leave every file byte for byte and second for second as it was."""
    hand_write(home, "shared/a.md", b"\xef\xbb\xbf---\r\nid: 1.10\r\n---\r\nText\r\n")
    hand_write(home, "shared/bad.md", b"---\nid: [\n---\n")
    hand_write(home, "shared/empty.md", b"")
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in (home / "shared").iterdir()}
    mesh.recall("text")
    mesh.problems()
    mesh.reindex(from_nothing=True)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in (home / "shared").iterdir()} == before


def test_a_file_too_large_is_not_read_whole(home, vault):
    """It is refused by its first megabyte."""
    hand_write(home, "shared/a.md", b"x" * (3 << 20))
    assert len(vault.bytes_of("shared/a.md")) == codec.MAX_FILE_BYTES + 1
    with pytest.raises(MeshError, match="larger than"):
        vault.read("shared/a.md")


def test_a_namespace_has_two_roots():
    """What may be shared, and what may not; in this order, which `add` relies on."""
    assert roots("shared") == ("shared", "_local/shared")
