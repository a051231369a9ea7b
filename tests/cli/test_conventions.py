"""What every verb has in common."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mesh_cli.verbs import ALIASES, VERBS

MESH = Path(sys.executable).parent / "mesh"
ESCAPE = "\x1b"
EVIL = (
    "red \x1b[31m, bell \x07, title \x1b]0;owned\x07, c1 \x9b2J, del \x7f, back \x08\x08, over\rwrite, bidi \u202e end"
)
STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


# --- help ------------------------------------------------------------------------------------------------------


def test_help_lists_every_verb_with_its_summary(run):
    """`-h`, `--help` and no argument at all say the same, on stdout."""
    ran = run("--help")
    assert (ran.code, ran.err) == (0, "")
    for name, verb in VERBS.items():
        assert f"  {name:<12}{verb.summary}\n" in ran.out
    assert run("-h").out == run().out == ran.out
    assert max(map(len, ran.lines)) <= 80


@pytest.mark.parametrize("name", [*VERBS, *ALIASES])
def test_every_verb_has_help_that_begins_with_its_summary(run, name):
    """`-h` and `--help` are the same, exit 0, on stdout."""
    ran = run(name, "--help")
    assert (ran.code, ran.err) == (0, "")
    summary = VERBS[ALIASES.get(name, name)].summary
    flat = " ".join(ran.out.split())
    assert ran.out.startswith(f"Usage: mesh {name}")
    assert f" {summary}. " in flat
    assert run(name, "-h").out == ran.out


def test_bare_help_imports_nothing_heavy():
    """Neither numpy nor torch nor typer, nor what they bring."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", MESH, "--help"], capture_output=True, text=True, check=True
    )
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "mesh_cli" in loaded
    assert not loaded & {"numpy", "torch", "typer", "click", "rich", "yaml", "sqlite3", "asyncio", "watchdog", "mcp"}


def test_version_is_one_line(run):
    """`-V` and `--version`."""
    ran = run("--version")
    assert (ran.code, ran.err) == (0, "")
    assert re.fullmatch(r"mesh \d+\.\d+\.\d+\S*\n", ran.out)
    assert run("-V").out == ran.out


# --- streams, exit codes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["learn", "One more text", "--json"], dict),
        (["learn", "The lamp is lit", "--json"], dict),
        (["recall", "lamp", "--json"], dict),
        (["list", "--json"], None),
        (["list", "--trash", "--json"], None),
        (["show", "aaaa", "--json"], dict),
        (["inspect", "--json"], list),
        (["inspect", "aaaa", "--json"], dict),
        (["status", "--json"], dict),
        (["update", "aaaa", "Another", "--json"], dict),
        (["forget", "aaaa", "--json"], list),
        (["restore", "dddd", "--json"], dict),
        (["reindex", "--json"], dict),
        (["doctor", "--json"], dict),
        (["model", "status", "--json"], dict),
        (["namespaces", "--json"], list),
        (["namespaces", "list", "--json"], list),
        (["namespaces", "stats", "shared", "--json"], dict),
        (["namespaces", "create", "another", "--json"], dict),
        (["namespaces", "rename", "shared", "another", "--json"], dict),
        (["namespaces", "delete", "shared", "--json"], dict),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_json_parses_everywhere_and_stands_alone_on_stdout(run, home, write, arguments, kind):
    """Also with what is not ASCII and what is not printable in it."""
    write("a.md", f"---\nid: aaaa0000\n---\nThe lamp is lit {EVIL} äöü 灯 \u2028\n")
    write("shared-trash.md", "gone", namespace=".trash/shared/20260101T000000.000000Z-dddd0000/shared")
    ran = run(*arguments)
    assert (ran.code, ran.err) == (0, "")
    values = [json.loads(ran.out)] if kind else [json.loads(line) for line in ran.out.split("\n")[:-1]]
    assert values
    assert all(isinstance(value, kind or dict) for value in values)


def test_the_exit_codes_are_those_that_help_promises(run, write):
    """0 done, 1 it failed, 2 wrong usage, 3 nothing was found."""
    write("a.md", "The lamp is lit\n")
    assert run("recall", "lamp").code == 0
    assert run("show", "no-such-id").code == 1
    assert run("recall", "").code == 2
    assert run("recall", "lamp", "--tag", "none").code == 3


@pytest.mark.parametrize(("typed", "meant"), [("lern", "learn"), ("recal", "recall"), ("stauts", "status")])
def test_a_verb_that_is_not_there_suggests_the_closest(run, typed, meant):
    """One line, exit 2."""
    ran = run(typed)
    assert (ran.code, ran.out) == (2, "")
    assert meant in ran.said


def test_a_namespace_that_is_not_there_suggests_the_closest(run, write, untouched):
    """Exit 1, for every verb that needs one; not an empty answer."""
    write("a.md", "One\n", namespace="my-project")
    before = untouched()
    for verb in (["recall", "x"], ["list"], ["show", "abcd"], ["inspect"], ["forget", "abcd"], ["reindex"]):
        ran = run(*verb, "--namespace", "my-projekt")
        assert (ran.code, ran.out) == (1, "")
        assert "my-project'" in ran.said and "mean" in ran.said
    assert "my-project" in run("list", "-N", "something-else").said
    assert untouched() == before


def test_a_pipe_that_closes_early_is_no_error(run, write):
    """`mesh list | head -1` prints a line and nothing else."""
    for number in range(300):
        write(f"{number}.md", f"{number} " + "long " * 100 + "\n")
    process = subprocess.Popen([MESH, "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    assert b"\t" in process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.wait(60)
    process.stderr.close()


@pytest.mark.parametrize("verb", ["--help", "--version", "learn --help", "status"])
def test_a_reader_that_is_gone_already_is_no_error_either(home, verb):
    """Nobody reads the pipe any more when the verb begins to print."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([MESH, *verb.split()], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.stderr == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
@pytest.mark.parametrize("verb", [["list"], ["recall", "lamp"], ["--help"]], ids=" ".join)
def test_a_full_disk_behind_stdout_is_one_line(home, write, verb):
    """As for any failure: exit 1, no traceback."""
    write("a.md", "The lamp is lit\n" * 50)
    with open("/dev/full", "wb") as full:
        done = subprocess.run([MESH, *verb], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "space" in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_text_comes_out_whatever_the_encoding_of_stdout(run, write, encoding):
    """As UTF-8 in a pipe: a memory in another script must not be an error in a narrow locale."""
    write("a.md", "Die Lampe 灯 leuchtet\n")
    for verb in (["list"], ["show", "a.md"], ["recall", "Lampe"], ["inspect"], ["list", "--json"]):
        ran = run(*verb, env={"PYTHONIOENCODING": encoding})
        assert (ran.code, "Die Lampe 灯 leuchtet" in ran.out) == (0, True), verb


# --- colour, prompts ---------------------------------------------------------------------------------------------


def test_colour_is_for_terminals_only(run, terminal, write):
    """None in a pipe; some on a terminal; none there with NO_COLOR."""
    write("a.md", "---\nid: aaaa0000\ntitle: Lamp\n---\nThe lamp is lit\n")
    for verb in (["list"], ["recall", "lamp", "--explain"], ["show", "aaaa"], ["inspect"], ["status"]):
        assert ESCAPE not in run(*verb).out
        assert ESCAPE in terminal(*verb).screen
        assert ESCAPE not in terminal(*verb, env={"NO_COLOR": "1"}).screen


def test_forget_asks_on_a_terminal_and_no_means_no(terminal, write):
    """It shows what would go; the answer n leaves everything, exit 1; so does the return key."""
    file = write("a.md", "---\nid: aaaa0000\n---\nThe lamp is lit\n")
    for answer in (b"n\n", b"\n"):
        session = terminal("forget", "aaaa", type_after=[("[y/N]", answer)])
        assert session.code == 1
        assert "The lamp is lit" in session.plain and "nothing was forgotten" in session.plain
        assert file.exists()


def test_forget_asks_on_a_terminal_and_yes_moves_to_the_trash(run, terminal, write):
    """After y the file is gone from its place and listed in the trash."""
    file = write("a.md", "---\nid: aaaa0000\n---\nThe lamp is lit\n")
    session = terminal("forget", "aaaa", type_after=[("[y/N]", b"y\n")])
    assert session.code == 0
    assert not file.exists()
    assert run("list", "--trash").out.startswith("aaaa0000\t")


def test_yes_asks_nothing_on_a_terminal(terminal, write):
    """`--yes` is the answer."""
    file = write("a.md", "---\nid: aaaa0000\n---\nThe lamp is lit\n")
    session = terminal("forget", "aaaa", "--yes")
    assert (session.code, "[y/N]" in session.plain, file.exists()) == (0, False, False)


def test_ctrl_c_at_the_question_leaves_everything(terminal, write):
    """130, as for every interruption, in one line."""
    file = write("a.md", "---\nid: aaaa0000\n---\nThe lamp is lit\n")
    session = terminal("forget", "aaaa", type_after=[("[y/N]", b"\x03")])
    assert session.code == 130
    assert "interrupted" in session.plain
    assert file.exists()


def test_the_end_of_input_at_the_question_means_no(terminal, write):
    """Ctrl-D: nothing is forgotten, exit 1."""
    file = write("a.md", "---\nid: aaaa0000\n---\nThe lamp is lit\n")
    session = terminal("forget", "aaaa", type_after=[("[y/N]", b"\x04")])
    assert session.code == 1
    assert "nothing was forgotten" in session.plain
    assert file.exists()


def test_learn_without_a_text_on_a_terminal_does_not_wait(terminal):
    """It says what is missing instead of reading the keyboard for ever."""
    session = terminal("learn")
    assert session.code == 2
    assert "mesh: content" in session.plain


# --- what a memory must not do to a terminal -----------------------------------------------------------------------


@pytest.fixture
def hostile(write):
    """A memory whose every part holds control characters, as far as files can."""
    quoted = json.dumps(EVIL)[1:-1].replace("\\r", "\\x0d")
    write(
        "evil \x1b[31m.md",
        f'---\nid: aaaa0000\ntitle: "{quoted}"\ntags: ["t{quoted}"]\nagent: "{quoted}"\nsource: "{quoted}"\n'
        f'evidence: ["{quoted}"]\nconfidence: "{quoted}"\n---\nThe lamp is lit\n{EVIL}\n',
    )
    write("bad \x1b[31m\x9b.md", b"---\nid: [\x1b[31m\n---\nlamp\n")
    write("bad2 \x1b[31m.md", b"\xff\xfe lamp")


@pytest.mark.parametrize(
    "verb",
    [
        *(["list"], ["show", "aaaa"], ["inspect"], ["recall", "lamp", "--explain"], ["doctor"], ["status"]),
        *(["list", "--json"], ["show", "aaaa", "--json"], ["recall", "lamp", "--json"], ["doctor", "--json"]),
        *(["update", "aaaa", "--confidence", "0.5"], ["forget", "aaaa", "--yes"], ["edit", "aaaa"]),
        *(["namespaces"], ["namespaces", "stats", "shared"], ["namespaces", "stats", "shared", "--json"]),
        *(["learn", EVIL + " and more"], ["show", "\x1b[31mzzzz"], ["show", "shared/bad \x1b[31m\x9b.md"]),
        *(["recall", "lamp", "--tag", "\x1b[31m"], ["list", "--\x1b[31m"], ["\x1b[31m"], ["list", "-N", "\x1b[31m"]),
    ],
    ids=lambda verb: " ".join(verb).encode("ascii", "backslashreplace").decode()[:40].replace("\x1b", "ESC"),
)  # fmt: skip
def test_no_control_character_of_a_memory_reaches_the_terminal(terminal, hostile, verb):
    """Whatever the verb, and whether it is in the text, a key, a file's name or the command line."""
    session = terminal(*verb, env={"NO_COLOR": "1", "EDITOR": "true"})
    assert not STEERING.findall(session.screen.replace("\r", ""))
    assert "\r" not in session.screen.replace("\r\r\n", "\n")
