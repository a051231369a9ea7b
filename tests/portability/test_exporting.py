"""What leaves a namespace, and what never does."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hashing import bytes_below, wordsonly, write

from mesh import export_namespace
from mesh.errors import InvalidInput, MeshError, UnknownNamespace, VaultUnavailable
from mesh.portability.exporting import KINDS, export, exported, kind_of
from mesh.portability.shareable import Shareable

TARGETS = {"json": "out.json", "jsonl": "out.jsonl", "markdown": "out", "tar.gz": "out.tar.gz"}
CANARY = "CANARY-7f3a"


@pytest.fixture
def mesh(home):
    with wordsonly(home) as opened:
        yield opened


@pytest.fixture
def three(mesh, home):
    """Three memories, of which Mesh wrote one, and one is nested."""
    mesh.learn("The lamp is lit", tags=["light"], ttl_days=30)
    write(home, "shared/team/b.md", "---\n# mine\nid: bbbb0000\naliases: [bee]\n---\r\nThe door is shut\r\n")
    write(home, "shared/plain.md", "No front matter\n")
    return mesh


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.json", "json"),
        ("A.JSON", "json"),
        ("a.jsonl", "jsonl"),
        ("a.ndjson", "jsonl"),
        ("a.tar.gz", "tar.gz"),
        ("a.b.tgz", "tar.gz"),
        ("folder", "markdown"),
        ("a.json/", "markdown"),
        ("a.md", "markdown"),
    ],
)
def test_the_name_says_what_it_becomes(name, kind, tmp_path, monkeypatch):
    """A folder that is there wins over its ending."""
    assert kind_of(name) == kind
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert kind_of(name) == "markdown"


def test_json_has_the_published_keys(three, tmp_path):
    """Those of the peer, then those that only Mesh has; the counts are those of what is in it."""
    told = export(three.workspace, tmp_path / "out.json", "json")
    found = json.loads((tmp_path / "out.json").read_bytes())
    assert [*found] == [
        *("mesh_version", "written_by", "exported_at", "namespace", "memory_count", "skipped_local_only"),
        "memories",
    ]
    assert (found["namespace"], found["memory_count"], found["skipped_local_only"]) == ("shared", 3, 0)
    assert told == {key: found[key] for key in [*found][:-1]} | {
        "format": "json",
        "path": str(tmp_path / "out.json"),
        "refused": [],
    }
    plain, nested, lamp = found["memories"]
    assert (lamp["content"], lamp["tags"], lamp["source_agent"]) == ("The lamp is lit", ["light"], "tester")
    assert (lamp["ttl_days"], lamp["decay_start_at"]) == (30.0, lamp["created_at"])
    assert {lamp["local_only"], lamp["access_count"], lamp["embedding"]} == {False, None}
    assert (plain["id"], plain["created_at"]) == (three.get("shared/plain.md")["id"], None)
    assert (nested["path"], nested["extra"]) == ("team/b.md", {"aliases": ["bee"]})
    assert exported(three.workspace)["memories"] == found["memories"]


@pytest.mark.parametrize(
    ("front_matter", "decay_start", "ttl_days"),
    [
        ("created: 2026-01-01\nexpires: 2026-01-11", "2026-01-01T00:00:00Z", 10),
        ("created: 2026-01-01\nupdated: 2026-01-06\nexpires: 2026-01-11", "2026-01-06T00:00:00Z", 5),
        ("expires: 2026-01-11", "2026-01-10T00:00:00Z", 1),
        ("created: 2026-02-01\nexpires: 2026-01-11", "2026-01-10T00:00:00Z", 1),
        ("created: 2026-01-01", None, None),
    ],
)
def test_an_expiry_is_told_as_the_peer_counts_it(mesh, home, front_matter, decay_start, ttl_days):
    """In days from when it begins to fade; what only ends fades within its last day."""
    write(home, "shared/a.md", f"---\nid: aaaa0000\n{front_matter}\n---\ntext\n")
    (found,) = exported(mesh.workspace)["memories"]
    assert (found["decay_start_at"], found["ttl_days"]) == (decay_start, ttl_days)


def test_json_lines_say_first_what_they_are(three, tmp_path):
    """Then a memory a line, the same as in JSON."""
    export(three.workspace, tmp_path / "out.jsonl", "jsonl")
    first, *rest = (json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines())
    assert (first["mesh_version"], first["namespace"], first["memory_count"]) == ("0.3", "shared", 3)
    assert rest == exported(three.workspace)["memories"]


def test_markdown_leaves_byte_for_byte(three, home, tmp_path):
    """Under its path in the namespace, and with its time."""
    os.utime(home / "shared/plain.md", (1_000_000_000, 1_000_000_000))
    export(three.workspace, tmp_path / "out", "markdown")
    assert bytes_below(tmp_path / "out") == bytes_below(home / "shared")
    assert (tmp_path / "out/plain.md").stat().st_mtime == 1_000_000_000
    assert not list(tmp_path.glob(".mesh-*"))


def test_an_archive_says_nothing_of_who_made_it_or_when(three, home, tmp_path):
    """Two exports of the same memories are the same bytes."""
    for name in ("one.tar.gz", "two.tar.gz"):
        export(three.workspace, tmp_path / name, "tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "one.tar.gz") as tar:
        members = tar.getmembers()
        held = {one.name: tar.extractfile(one).read() for one in members}
    assert held == bytes_below(home / "shared")
    assert [one.name for one in members] == sorted(held)
    assert {(one.uid, one.gid, one.uname, one.gname, one.mode) for one in members} == {(0, 0, "", "", 0o600)}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_local_leaves_in_no_export(three, home, tmp_path, kind):
    """Neither text nor title, tag, author, source nor file name; not even what may be local, as it cannot be read."""
    three.learn(f"{CANARY} text", local_only=True, tags=[CANARY], title=CANARY, source=CANARY)
    front = f"agent: {CANARY}\ntitle: {CANARY}\ntags: [{CANARY}]"
    write(home, f"shared/{CANARY}-flag.md", f"---\nlocal_only: true\n{front}\n---\n{CANARY}\n")
    write(home, f"shared/{CANARY}-unsure.md", f"---\nlocal_only: perhaps\n{front}\n---\n{CANARY}\n")
    write(home, f"shared/{CANARY}/broken.md", f"---\nlocal_only: true\n{front}]\n---\n{CANARY}\n")
    write(home, f"shared/{CANARY}/merge.md", f"<<<<<<< a\n{CANARY}\n=======\nb\n>>>>>>> c\n")
    write(home, f"_local/shared/{CANARY}/broken.md", f"---\nid: [\n---\n{CANARY}\n")
    target = tmp_path / TARGETS[kind]
    told = export(three.workspace, target, kind)
    assert (told["memory_count"], told["skipped_local_only"], len(told["refused"])) == (3, 4, 2)
    if kind == "markdown":
        left = "".join(f"{name} {data!r}" for name, data in bytes_below(target).items())
    elif kind == "tar.gz":
        left = gzip.decompress(target.read_bytes()).decode()
    else:
        left = target.read_text()
    assert "The door is shut" in left
    assert CANARY not in left
    if kind != "markdown":
        stream = io.BytesIO()
        export(three.workspace, stream, kind)
        assert CANARY.encode() not in stream.getvalue()
    assert CANARY not in json.dumps(exported(three.workspace))
    assert CANARY not in json.dumps(export_namespace(home=home))


def test_what_cannot_be_understood_stays_and_is_named(three, home, tmp_path):
    """With place, cause and remedy; the rest leaves."""
    write(home, "shared/broken.md", "---\nid: [a\n---\ntext\n")
    write(home, "shared/empty.md", "---\ntitle: only\n---\n")
    (home / "shared/link.md").symlink_to(home / "shared/plain.md")
    told = export(three.workspace, tmp_path / "out.json", "json")
    assert told["memory_count"] == 3
    assert [one["place"] for one in told["refused"]] == ["shared/broken.md", "shared/empty.md"]
    assert all(one["cause"] and one["remedy"] for one in told["refused"])


def test_the_count_is_of_what_is_in_it_also_if_files_change_meanwhile(three, home):
    """What goes away after the scan, or becomes local, is not counted."""
    shareable = Shareable(three.workspace.vault, "shared")
    found = iter(shareable)
    assert next(found).path == "plain.md"
    write(home, "shared/team/b.md", "---\nlocal_only: true\n---\nmine now\n")
    next((home / "shared").glob("the-lamp*")).unlink()
    assert list(found) == []
    assert (shareable.count, shareable.local_only, shareable.refused) == (1, 1, [])


@pytest.mark.skipif(os.name != "posix", reason="modes as POSIX has them")
def test_an_export_is_for_its_owner_only(three, tmp_path):
    """Also where it replaces a file that was open to all."""
    for kind, name in TARGETS.items():
        if kind != "markdown":
            (tmp_path / name).write_text("old")
            (tmp_path / name).chmod(0o644)
        export(three.workspace, tmp_path / name, kind)
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == (0o700 if kind == "markdown" else 0o600)


def test_a_link_in_the_place_of_the_target_is_replaced_not_followed(three, tmp_path):
    """Whoever planted it does not choose what is overwritten."""
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "out.json").symlink_to(tmp_path / "precious")
    export(three.workspace, tmp_path / "out.json", "json")
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "out.json").is_symlink()


@pytest.mark.parametrize(
    ("target", "kind", "said"),
    [
        ("no/such/out.json", "json", r"out\.json: there is no folder .*no/such\. Make it first"),
        ("no/such/out", "markdown", "there is no folder"),
        ("full", "markdown", "the folder is not empty"),
        ("full", "json", "it is a folder"),
        ("full/file", "markdown", "something that is no folder is there"),
        ("home/shared/out", "markdown", "it lies inside the home"),
        ("out.xml", "xml", "format: 'xml' is not known. Use one of: json, jsonl, markdown, tar.gz"),
    ],
)
def test_a_target_that_cannot_be_is_one_clear_error(three, tmp_path, target, kind, said):
    """Nothing is written."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("x")
    before = bytes_below(tmp_path)
    with pytest.raises(InvalidInput, match=said):
        export(three.workspace, tmp_path / target, kind)
    assert bytes_below(tmp_path) == before
    assert not list(tmp_path.rglob(".mesh-*.tmp"))


def test_an_empty_folder_is_taken(three, home, tmp_path):
    """Made beforehand, as some do."""
    (tmp_path / "out").mkdir()
    export(three.workspace, tmp_path / "out", "markdown")
    assert bytes_below(tmp_path / "out") == bytes_below(home / "shared")


def test_a_namespace_that_is_not_there_is_no_empty_export(mesh, home, tmp_path):
    """Neither a wrong name nor a folder that went missing, which may be a disk that is not mounted."""
    with pytest.raises(UnknownNamespace):
        export(mesh.workspace, tmp_path / "out.json", "json")
    mesh.learn("a")
    mesh.learn("b", local_only=True)
    mesh.count()
    (home / "shared").rename(home / "elsewhere")
    with pytest.raises(VaultUnavailable, match="the folder is missing"):
        export(mesh.workspace, tmp_path / "out.json", "json")
    assert not (tmp_path / "out.json").exists()


def test_a_stream_gets_all_of_it_and_stays_open(three):
    """It need not be one that can be sought in."""
    read, written = os.pipe()
    with open(read, "rb") as source:
        with open(written, "wb") as stream:
            told = export(three.workspace, stream, "json")
            assert not stream.closed
        found = json.load(source)
    assert (told["path"], found["memory_count"], len(found["memories"])) == (None, 3, 3)
    with pytest.raises(InvalidInput, match="a folder cannot go there"):
        export(three.workspace, io.BytesIO(), "markdown")


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is a device of Linux")
def test_a_device_is_written_to_and_not_replaced(three):
    """Not even where it is full."""
    with pytest.raises(VaultUnavailable, match=r"/dev/full: no space left on device"):
        export(three.workspace, Path("/dev/full"), "json")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on a file's size as Linux has it")
@pytest.mark.parametrize("kind", KINDS)
def test_a_write_that_fails_leaves_what_was_there(mesh, home, tmp_path, kind):
    """The old file stays whole, and nothing half-written beside it."""
    for number in range(20):
        write(home, f"shared/{number}.md", os.urandom(2000).hex())
    target = tmp_path / TARGETS[kind]
    if kind != "markdown":
        target.write_text("old")
    code = f"""
        import resource, signal
        from pathlib import Path
        from mesh import Mesh, MeshError
        from mesh.portability.exporting import export
        mesh = Mesh("shared", "tester", {str(home)!r})
        mesh.workspace.refresh()
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
        try:
            export(mesh.workspace, Path({str(target)!r}), {kind!r})
        except MeshError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout == f"{target}: file too large. Check the disk and the folder\n"
    assert not list(tmp_path.rglob(".mesh-*"))
    assert not target.exists() if kind == "markdown" else target.read_text() == "old"


def test_python_gives_the_export_or_writes_it(three, home, tmp_path):
    """`export_namespace`: without a path all of it as a dictionary, with one the same keys without the memories."""
    whole = export_namespace("shared", home=home)
    told = export_namespace("shared", tmp_path / "x.json", home=home)
    assert json.loads((tmp_path / "x.json").read_bytes())["memories"] == whole["memories"]
    assert {key: told[key] for key in ("namespace", "memory_count")} == {"namespace": "shared", "memory_count": 3}
    assert export_namespace("shared", tmp_path / "x.json", home=home, format="jsonl")["format"] == "jsonl"
    with pytest.raises(MeshError):
        export_namespace("elsewhere", home=home)
    assert exported(three.workspace)["exported_at"][:4] == str(datetime.now(UTC).year)
