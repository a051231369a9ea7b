"""`mesh export` and `mesh import`, as a shell runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
CANARY = "CANARY-7f3a"


@pytest.fixture
def vault(write):
    """Two memories that may leave, and one that may not."""
    write("a.md", "---\nid: aaaa0000\ntags: [api]\nagent: alice\n---\nThe lamp is lit\n")
    write("team/b.md", "---\nid: bbbb0000\n---\nThe door is shut\n")
    write("c.md", f"---\nid: cccc0000\n---\n{CANARY}\n", namespace="_local/shared")


@pytest.fixture
def backup(tmp_path):
    """An export of the peer with three memories, one of them bad."""
    path = tmp_path / "backup.json"
    rows = [
        {"id": "one1", "content": "The first fact\nand more"},
        {"id": "two2", "content": ""},
        {"id": "three3", "content": "The third fact"},
    ]
    path.write_text(json.dumps({"mesh_version": "0.8.3", "namespace": "team", "memories": rows}))
    return path


@pytest.mark.parametrize("name", ["out.json", "out.jsonl", "out.tar.gz", "out"])
def test_there_and_back_again(run, vault, tmp_path, name):
    """One line each; into another namespace, twice, and nothing local on the way."""
    ran = run("export", name, cwd=tmp_path)
    assert (ran.code, ran.out, ran.err) == (0, f"{name}\t2 memories of shared, without 1 local only\n", "")
    ran = run("import", tmp_path / name, "-N", "copy")
    assert (ran.code, ran.out, ran.err) == (0, "2 memories imported into copy\n", "")
    ran = run("import", tmp_path / name, "-N", "copy")
    assert (ran.code, ran.out, ran.err) == (0, "0 memories imported into copy; 2 here already\n", "")
    rows = [json.loads(line) for line in run("list", "-N", "copy", "--json").lines]
    assert {row["id"]: row["path"] for row in rows} == {"aaaa0000": "copy/a.md", "bbbb0000": "copy/team/b.md"}


def test_the_published_commands_work(run, home, vault, tmp_path):
    """`mesh-export backup.json --namespace shared`, `mesh-import backup.json --namespace shared [--dry-run]`."""
    for command, said in {
        "mesh-export backup.json --namespace shared": "backup.json\t2 memories of shared, without 1 local only\n",
        "mesh-import backup.json --namespace copy --dry-run": (
            "would write\taaaa0000\tbackup.json: memory 1\tThe lamp is lit\n"
            "would write\tbbbb0000\tbackup.json: memory 2\tThe door is shut\n"
            "2 memories would be imported into copy\n"
        ),
        "mesh-import backup.json --namespace copy": "2 memories imported into copy\n",
    }.items():
        program, *arguments = command.split()
        done = subprocess.run([BIN / program, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
    done = subprocess.run([BIN / "mesh-import", "--help"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Usage: mesh-import [OPTIONS] {SOURCE}")


def test_a_dash_is_standard_output_and_input(run, vault):
    """Data on stdout, the rest on stderr; no file is left anywhere."""
    ran = run("export", "-")
    assert (ran.code, ran.said) == (0, "mesh: 2 memories of shared, without 1 local only")
    assert json.loads(ran.out)["memory_count"] == 2
    assert run("import", "-", "-N", "copy", stdin=ran.raw).out == "2 memories imported into copy\n"
    lines = run("export", "-", "--format", "jsonl")
    assert len(lines.lines) == 3
    assert run("export", "-", "--json").code == 2
    assert run("export", "-", "--format", "markdown").code == 2


def test_the_format_can_be_said(run, vault, tmp_path):
    """Whatever the name is."""
    assert run("export", "x", "-f", "tar.gz", cwd=tmp_path).code == 0
    with tarfile.open(tmp_path / "x") as tar:
        assert tar.getnames() == ["a.md", "team/b.md"]
    assert "Use one of: json, jsonl, markdown, tar.gz" in run("export", "y", "-f", "xml", cwd=tmp_path).said


def test_what_stayed_behind_is_named_and_the_exit_code_tells(run, vault, write, tmp_path):
    """A file that cannot be understood could be local, so it does not leave."""
    write("broken.md", f"---\nid: [\n---\n{CANARY}\n")
    ran = run("export", tmp_path / "x.json")
    assert ran.code == 1
    assert "2 memories of shared" in ran.out
    first, last = ran.err.splitlines()
    assert first.startswith("mesh: shared/broken.md: not valid YAML")
    assert last == "mesh: 1 file that cannot be understood stayed here"
    assert CANARY not in (tmp_path / "x.json").read_text()


def test_bad_records_are_one_line_each_and_the_exit_code_tells(run, backup):
    """Also in a dry run; the good ones are imported, into the namespace that the file names."""
    bad = "mesh: backup.json: memory 2: its content cannot be kept (it is empty). Write what should be remembered"
    ran = run("import", backup, "--dry-run")
    assert (ran.code, ran.said) == (1, bad)
    assert ran.lines == [
        "would write\tone1\tbackup.json: memory 1\tThe first fact",
        "would write\tthree3\tbackup.json: memory 3\tThe third fact",
        "2 memories would be imported into team; 1 refused",
    ]
    ran = run("import", backup)
    assert (ran.code, ran.said) == (1, bad)
    assert ran.out == "2 memories imported into team; 1 refused\n"


def test_only_the_first_problems_are_shown(run, tmp_path):
    """The rest is counted."""
    path = tmp_path / "x.json"
    path.write_text(json.dumps([{"content": "fine"}, *({"content": n} for n in range(30))]))
    lines = run("import", path).err.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "mesh: and 10 more"


def test_what_differs_is_kept_or_replaced(run, backup):
    """As it is asked for; the old text can be had back."""
    run("import", backup)
    run("update", "one1", "Edited here", "-N", "team")
    assert run("import", backup, "--dry-run").lines[:2] == [
        "differs\tone1\tbackup.json: memory 1\tThe first fact",
        "has it\tthree3\tbackup.json: memory 3\tThe third fact",
    ]
    assert run("import", backup).out == (
        "0 memories imported into team; 1 here already; 1 different here and kept so (see --replace); 1 refused\n"
    )
    assert run("import", backup, "--replace", "-n").lines[0].startswith("would replace\tone1\t")
    assert run("import", backup, "--overwrite").out.startswith("1 memory imported into team (1 replaced); 1 here")
    assert "The first fact" in run("show", "one1", "-N", "team").out
    run("restore", "one1", "-N", "team")
    assert run("show", "one1", "-N", "team").out == "Edited here\n"
    assert "overwrite" not in run("import", "--help").out


def test_json_says_what_became_of_it(run, vault, backup, tmp_path):
    """The peer's keys, and more."""
    told = run("import", backup, "--json").json()
    assert (told["imported"], told["skipped"], told["errors"], told["namespace"]) == (2, 0, 1, "team")
    assert told["problems"][0]["place"] == "backup.json: memory 2"
    assert run("import", backup, "--json", "--dry-run").json()["would_import"] == 0
    told = run("export", tmp_path / "x.json", "--json").json()
    assert (told["memory_count"], told["skipped_local_only"], told["format"]) == (2, 1, "json")


def test_a_truncated_file_is_imported_up_to_its_end(run, backup, tmp_path):
    """Then one error; with nothing to import, only that."""
    cut = tmp_path / "cut.json"
    cut.write_bytes(backup.read_bytes()[:-30])
    ran = run("import", cut)
    assert (ran.code, ran.out) == (1, "1 memory imported into team; 1 refused\n")
    assert ran.err.splitlines()[-1].startswith("mesh: cut.json: it ends too early, after byte ")
    cut.write_bytes(backup.read_bytes()[:60])
    ran = run("import", cut)
    assert (ran.code, ran.out) == (1, "")
    assert ran.said.startswith("mesh: cut.json: it ends too early")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("x.json", b'{"mesh_encrypted_export": true, "payload": ""}', "it is an encrypted export"),
        ("x.json", b"hello", "it is not JSON. Mesh imports an export of Mesh"),
        ("x.bin", b"\0\1", "it is nothing that Mesh can import"),
        ("x.tar.gz", b"\x1f\x8b\x08\0\0", "ends too early, or is damaged"),
        ("mesh_x.db", b"SQLite format 3\0" + b"\0" * 200, "mesh_x.db: "),
        ("empty.md", b"", "it is empty"),
    ],
)
def test_what_cannot_be_imported_is_one_line(run, home, tmp_path, name, data, said):
    """Nothing is made in the home."""
    (tmp_path / name).write_bytes(data)
    ran = run("import", tmp_path / name)
    assert ran.code in (1, 2)
    assert ran.out == ""
    assert said in ran.said
    assert not (home / "shared").exists()


@pytest.mark.cold("a server has folders in the home")
def test_what_is_not_there_is_one_line(run, home, tmp_path):
    """A file, a folder, a namespace, a folder without Markdown; nothing is written."""
    (tmp_path / "bare").mkdir()
    for arguments, said in {
        ("import", "none.json"): "none.json: there is no such file or folder. Check its name",
        ("import", "bare"): "bare: it holds no Markdown files",
        ("import", ""): "SOURCE: it is empty",
        ("export", ""): "FILE: it is empty",
        ("export", "x.json"): "there is no namespace 'shared'",
        ("export", "no/x.json", "-N", "shared"): "there is no namespace 'shared'",
    }.items():
        ran = run(*arguments, cwd=tmp_path)
        assert ran.code in (1, 2)
        assert said in ran.said
    assert not list(home.iterdir())
    assert [path.name for path in tmp_path.iterdir() if path != home] == ["bare"]


def test_a_full_disk_and_a_missing_folder_are_one_line(run, vault, write, tmp_path):
    """Nothing half-written is left."""
    write("long.md", os.urandom(300).hex())
    assert "there is no folder no. Make it first" in run("export", "no/x.json", cwd=tmp_path).said
    limited = ("prlimit", "--fsize=100", "--") if Path("/usr/bin/prlimit").exists() else None
    if limited is None:
        pytest.skip("there is no prlimit here")
    for name in ("x.json", "x.tar.gz", "x"):
        ran = run("export", name, cwd=tmp_path, prefix=limited)
        assert (ran.code, ran.out, ran.said) == (1, "", f"mesh: {name}: file too large. Check the disk and the folder")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_terminal_shows_how_far_it_is(run, terminal, tmp_path):
    """The records, then what is embedded; nothing of it without a terminal."""
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"content": f"Fact {n} of the lamp"}) + "\n" for n in range(300)))
    session = terminal("import", path)
    assert session.code == 0
    assert "256 records  " in session.plain
    assert "300 records  " in session.plain
    assert "300/300 memories  " in session.plain
    assert "300 memories imported into shared" in session.plain
    assert run("import", path, "-N", "other").err == ""


def test_an_interrupted_import_is_gone_on_with(run, home, tmp_path):
    """Ctrl-C ends it with 130 and no traceback."""
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"content": f"Fact {n} of the lamp"}) + "\n" for n in range(1500)))
    process = subprocess.Popen([BIN / "mesh", "import", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until = time.monotonic() + 60
    while len(list((home / "shared").glob("*.md"))) < 300 and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.decode()) == (130, "mesh: interrupted\n")
    ran = run("import", path, env={"MESH_MODEL_PATH": str(tmp_path)})
    assert "here already" in ran.out
    assert len(list((home / "shared").glob("*.md"))) == 1500
    assert not list((home / "shared").glob(".mesh-*"))


def test_no_character_of_a_source_steers_the_terminal(terminal, tmp_path):
    """Neither of a text nor of a name, a problem or an error."""
    evil = "\x1b[31m\x9b\u202e"
    path = tmp_path / f"{evil}.json"
    path.write_text(json.dumps([{"id": f"a{evil}", "content": evil}, {"content": "x", "created_at": evil}]))
    for arguments in (
        ["import", path, "-n"],
        ["import", path],
        ["import", path, "--json"],
        ["import", f"{path}{evil}"],
    ):
        session = terminal(*arguments, env={"NO_COLOR": "1"})
        assert not {"\x9b", "\u202e"} & set(session.screen)
        assert "\x1b[31m" not in session.screen
    assert os.path.exists(path)
