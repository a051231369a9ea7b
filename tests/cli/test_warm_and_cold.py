"""Each verb does the same through the command server: output, exit code and files, byte for byte."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mesh_cli.thin import STAY_HERE
from mesh_cli.verbs import ALIASES, VERBS
from warmed import MESH, THIN, done, environment, serving

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="there is a command server on Linux only"),
    pytest.mark.cold("has servers of its own"),
]

SEED = {
    "shared/limit.md": "---\nid: aaaa1111bbbb2222\ntags: [api]\nagent: mina\ncreated: 2026-01-31\n---\nLimit: 100\n",
    "shared/lamp.md": "---\nid: cccc1111dddd2222\ncreated: 2026-02-01\n---\nThe lamp is lit\n\nBy the keeper, at six\n",
    "shared/plain.md": "A plain note on lamps and limits\n",
    "shared/bad.md": "---\ntags: [unclosed\n---\nNobody can read this\n",
    "_local/shared/own.md": "---\nid: eeee1111ffff2222\nlocal_only: true\ncreated: 2026-02-03\n---\nThe door is blue\n",
    "other/one.md": "---\nid: bbbb3333bbbb4444\ncreated: 2026-02-03\n---\nAnother namespace\n",
}
QUESTIONS = '{"question": "who lit the lamp?", "relevant": ["cccc1111dddd2222"]}\n'
EXPORT = '{"id": "dddd9999dddd9999", "content": "Taken in", "created_at": "2026-01-01T00:00:00"}\n'

CASES = [
    ("learn", "A new text"), ("learn", "-"), ("learn", "The limit is 200", "--json"), ("learn", "The lamp", "-t", "no"),
    ("learn", "Käse 第二行", "--tag", "x", "--local-only"), ("learn",), ("add", "By another name"),
    ("recall", "lamp"), ("recall", "who lit the lamp?", "--json", "--nearest"), ("recall", "lamp", "--explain"),
    ("recall", "xyzzy"), ("recall", "-"), ("recall", ""), ("recall", "lamp", "-N", "no-such"), ("ask", "limit"),
    ("list",), ("list", "--json"), ("list", "--trash"), ("list", "-n", "0"),
    ("show", "aaaa"), ("show", "cccc", "--raw"), ("show", "cccc", "--path"), ("show", "zzzz"), ("show", "a"),
    ("inspect",), ("inspect", "aaaa", "--json"), ("status",), ("status", "--json"), ("status", "-N", "other"),
    ("update", "aaaa", "The limit is 300"), ("update", "aaaa"), ("update", "cccc", "-", "--json"),
    ("forget", "cccc"), ("forget", "aaaa", "cccc", "--json"), ("forget", "zzzz"), ("restore", "cccc"),
    ("conflicts",), ("conflicts", "--json"), ("resolve", "aaaa", "--ours"), ("resolve", "aaaa"),
    ("log",), ("diff",), ("blame", "aaaa"), ("bisect", "lamp", "--good", "2026-01-01"), ("undo", "--agent", "mina"),
    ("export", "-"), ("export", "OUT.json"), ("export", "OUT", "--namespace", "other"), ("export",),
    ("import", "IN.jsonl"), ("import", "IN.jsonl", "--dry-run", "--json"), ("import", "-"), ("import", "no-such.json"),
    ("namespaces",), ("namespaces", "list", "--json"), ("namespaces", "stats", "shared"), ("namespaces", "create", "n"),
    ("namespaces", "rename", "other", "third"), ("namespaces", "delete", "other", "--yes"), ("namespaces", "delete"),
    ("link", "FOLDER", "linked"), ("link", "no-such"), ("link", "--list", "--json"), ("link",), ("unlink", "shared"),
    ("reindex",), ("reindex", "--all"), ("doctor",), ("doctor", "--json"), ("doctor", "--fix", "ids"),
    ("check",), ("check", "--base", "HEAD"), ("check", "-N", "shared", "--base", "HEAD", "--json"),
    ("eval", "QUESTIONS.jsonl"), ("eval", "no-such.jsonl"), ("model", "status"), ("model", "forget", "no-such"),
    ("model", "use"), ("completion", "bash"), ("completion", "tcsh"),
    ("no-such-verb",), ("--no-such-option",), ("list", "--no-such"), ("recal", "lamp"),
    ("recall", "--help"), ("namespaces", "-h"), ("namespaces", "rename", "--help"),
]  # fmt: skip
PROGRAMS = [("mesh-namespaces", "list"), ("mesh-export", "-"), ("mesh-import", "IN.jsonl"), ("mesh-import", "--help")]
ON_A_TERMINAL = [
    ("recall", "lamp"), ("recall", "xyzzy"), ("list",), ("show", "cccc"), ("inspect", "aaaa"), ("status",),
    ("learn", "A new text"), ("reindex", "--all"), ("doctor",), ("namespaces",), ("recall", "lamp", "--no-such"),
]  # fmt: skip


def test_every_verb_is_among_these():
    """Or stays in its own process."""
    assert {case[0] for case in CASES} >= {*VERBS, *ALIASES} - STAY_HERE


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A home, to be filled anew for each command, and a folder to be in, with a command server."""
    folder = tmp_path_factory.mktemp("served")
    home = folder / "home"
    home.mkdir(mode=0o700)
    (folder / "here").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESH_HOME", str(home))
        patch.setenv("MESH_MODEL_PATH", str(folder / "no-model"))
        with serving(home):
            yield folder


def filled(folder: Path) -> None:
    """As if nothing had ever been done here; old enough that nothing depends on how young it is."""
    of_the_server = {".locks", ".cache", "_rehearsal", "_serve.log"}
    for path in [*(folder / "home").iterdir(), *(folder / "home/.cache").iterdir(), folder / "here"]:
        if path.name in of_the_server:
            continue
        if path.is_file() or path.is_symlink():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)
    for path, text in SEED.items():
        file = folder / "home" / path
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "here/FOLDER").mkdir(parents=True)
    (folder / "here/QUESTIONS.jsonl").write_text(QUESTIONS)
    (folder / "here/IN.jsonl").write_text(EXPORT)
    for path in folder.rglob("*.md*"):
        os.utime(path, (1_767_225_600, 1_767_225_600))


def normal(text: str) -> str:
    """Without what differs from run to run: new ids, times, what the cache takes, and how long something took."""
    text = re.sub(r"01[0-9a-z]{10,14}", "<id>", text)
    text = re.sub(r"\d{4}-?\d\d-?\d\dT\d\d:?\d\d:?\d\d[.\d]*(Z|\+00:00)?", "<time>", text)
    text = re.sub(r"(cache +|cache_bytes\": )[\d.]+( [kM]?B)?", r"\1<size>", text)
    return re.sub(r"\d+(\.\d+)? ?(s|ms|/s)\b", "<duration>", text)


def files(folder: Path) -> dict[str, str]:
    """What stands in every file, caches and locks aside, with its mode."""
    return {
        normal(str(path.relative_to(folder))): f"{path.lstat().st_mode:o} {normal(path.read_text('utf-8', 'replace'))}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {".cache", ".locks"} & set(path.parts)
    }


def both(folder: Path, *arguments: str, program: str = "mesh"):
    """What a command does cold, and what it does warm."""
    found = []
    for warm in (False, True):
        filled(folder)
        env = None if warm else {"MESH_COMMAND_SERVER": "0"}
        stdin = EXPORT.encode() if "import" in (*arguments, program[5:]) else b"The lamp, from a pipe"
        ran = done(*arguments, warm=warm, stdin=stdin, env=env, program=program, cwd=folder / "here")
        found.append((ran.code, normal(ran.out), normal(ran.err), files(folder)))
    return found


@pytest.mark.parametrize("arguments", CASES, ids=" ".join)
def test_a_verb_does_the_same_warm(served, arguments):
    """Through pipes."""
    cold, warm = both(served, *arguments)
    assert warm == cold


@pytest.mark.parametrize("arguments", PROGRAMS, ids=" ".join)
def test_a_program_named_after_a_verb_does_the_same_warm(served, arguments):
    """`mesh-export` and the like."""
    program, *rest = arguments
    cold, warm = both(served, *rest, program=program)
    assert warm == cold


@pytest.mark.parametrize("arguments", ON_A_TERMINAL, ids=" ".join)
def test_a_verb_looks_the_same_on_a_terminal(served, terminal, monkeypatch, arguments):
    """Colours, width, and what only a terminal gets to see."""
    monkeypatch.setenv("MESH_HOME", str(served / "home"))
    shown = []
    for warm in (False, True):
        filled(served)
        session = terminal(*arguments, env=None if warm else {"MESH_COMMAND_SERVER": "0"}, prefix=THIN)
        lines = session.screen.splitlines(keepends=True)
        assert any("| typer" in line for line in lines) is not warm
        shown.append((session.code, normal("".join(one for one in lines if not one.startswith("import time:")))))
    assert shown[1] == shown[0]


def test_completion_is_the_same_warm(served):
    """Of verbs, and of options."""
    for words in ("mesh ", "mesh re", "mesh learn --t"):
        env = {"_MESH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        cold = done(warm=False, env=env | {"MESH_COMMAND_SERVER": "0"})
        warm = done(warm=True, env=env)
        assert (warm.code, warm.out, warm.err) == (cold.code, cold.out, cold.err) and cold.out


def test_whoever_stops_reading_ends_a_command_the_same_way(served):
    """`mesh export - | head -c 1`, with more than a pipe holds."""
    ended = []
    for warm in ("1", "0"):
        filled(served)
        for number in range(60):
            (served / f"home/shared/{number}.md").write_text("many words " * 5_000)
        with subprocess.Popen(
            [MESH, "export", "-"],
            env=environment({"MESH_COMMAND_SERVER": warm}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout and process.stderr
            process.stdout.read(1)
            process.stdout.close()
            ended.append((process.wait(60), process.stderr.read()))
    assert ended[0] == ended[1]
