"""`mesh namespaces`, which is also `mesh-namespaces`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).parent / "mesh-namespaces"


@pytest.fixture
def two(write):
    """Namespaces `alpha`, with two memories, one of them local, and `beta`, with one."""
    write("a.md", "---\nid: aaaa0000\ntags: [api]\nagent: alice\n---\nThe lamp is lit\n", namespace="alpha")
    write("b.md", "---\nid: bbbb0000\n---\nThe door is shut\n", namespace="_local/alpha")
    write("c.md", "---\nid: cccc0000\n---\nThe walrus sleeps\n", namespace="beta")


def test_alone_it_lists_in_columns(run, terminal, two, write):
    """Name, memories, local ones, age; the same on a terminal, in colour."""
    write("x.md", "one\n", namespace="a-longer-name")
    ran = run("namespaces")
    assert (ran.code, ran.err) == (0, "")
    assert ran.lines == [
        "a-longer-name  1 memory                  today",
        "alpha          2 memories  1 local only  today",
        "beta           1 memory                  today",
    ]
    assert run("namespaces", "list").out == ran.out
    assert terminal("namespaces").plain == ran.out
    assert "\x1b" in terminal("namespaces").screen


def test_the_list_as_json_is_an_array(run, two):
    """Also of nothing."""
    rows = run("namespaces", "list", "--json").json()
    assert [(row["namespace"], row["memory_count"], row["local_only_count"]) for row in rows] == [
        ("alpha", 2, 1),
        ("beta", 1, 0),
    ]
    assert all(
        set(row) == {"namespace", "memory_count", "local_only_count", "last_updated", "path", "problem"} for row in rows
    )
    assert run("namespaces", "--json").json() == rows
    assert run("namespaces", "list", "--trash", "--json").json() == []


@pytest.mark.parametrize(
    "verb", ["list", "list --json", "list --trash", "stats none", "delete none -y", "restore none"]
)
@pytest.mark.cold("where there is no home, nothing serves it")
def test_a_home_that_does_not_exist_is_not_made_by_looking(home, run, verb):
    """A list of nothing is no error; a namespace that is not there is."""
    home.rmdir()
    assert run("namespaces", *verb.split()).code == (0 if verb.startswith("list") else 1)
    assert not home.exists()


def test_a_namespace_that_cannot_be_read_stops_no_other(home, run, two, tmp_path):
    """Its line says why."""
    (home / "linked").symlink_to(tmp_path)
    ran = run("namespaces")
    assert (ran.code, len(ran.lines)) == (0, 3)
    assert "linked" in ran.lines[2] and "a symbolic link, which is not followed" in ran.lines[2]
    assert run("namespaces", "--json").json()[2]["memory_count"] is None


def test_stats_say_what_is_in_one(home, run, two):
    """In lines, and as JSON with the keys of `namespace_stats`; also of an empty one."""
    out = run("namespaces", "stats", "Alpha").out
    for said in (
        "alpha",
        "2 memories, 1 of them local only",
        "fact 2",
        "alice 1, unknown 1",
        "api 1",
        str(home / "alpha"),
    ):
        assert said in out
    found = run("namespaces", "stats", "alpha", "--json").json()
    assert (found["memory_count"], found["exportable_count"], found["type_breakdown"]) == (2, 1, {"fact": 2})
    run("namespaces", "create", "empty")
    assert "0 memories" in run("namespaces", "stats", "empty").out
    assert run("namespaces", "stats", "empty", "--json").json()["newest_memory"] is None


def test_what_a_memory_says_does_not_steer_the_terminal(terminal, write):
    """Neither through an author nor through a tag."""
    write("a.md", '---\nagent: "\\x1b[31mred"\ntags: ["\\x1b]0;owned\\x07"]\n---\ntext\n')
    for verb in (["stats", "shared"], ["stats", "shared", "--json"], ["stats", "\x1b[31m"]):
        assert "\x1b" not in terminal("namespaces", *verb, env={"NO_COLOR": "1"}).screen


@pytest.mark.parametrize("verb", ["stats alpah", "delete alpah -y", "rename alpah new"])
def test_a_namespace_that_is_not_there_suggests_the_closest(run, two, untouched, verb):
    """Exit 1, one line, nothing changed."""
    before = untouched()
    ran = run("namespaces", *verb.split())
    assert (ran.code, ran.out) == (1, "")
    assert "there is no namespace 'alpah'. Did you mean 'alpha'?" in ran.said
    assert untouched() == before


@pytest.mark.parametrize(
    ("verb", "code", "said"),
    [
        (["create", "alpha"], 2, "there is a namespace 'alpha' already"),
        (["create", "../x"], 2, "is not a name for a namespace"),
        (["rename", "alpha", "beta"], 2, "there is a namespace 'beta' already"),
        (["rename", "alpha", "ALPHA"], 2, "is its name already"),
        (["rename", "alpha"], 2, "Missing argument 'NEW'. See: mesh namespaces rename --help"),
        (["restore", "alpha"], 1, "there is no namespace 'alpha' in the trash"),
        (["stats"], 2, "Missing argument"),
        (["lst"], 2, "Did you mean 'list'? See: mesh namespaces --help"),
        (["--nonsense"], 2, "No such option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_line(run, two, untouched, verb, code, said):
    """And changes nothing."""
    before = untouched()
    ran = run("namespaces", *verb)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.said
    assert untouched() == before


def test_a_namespace_comes_goes_and_comes_back(run, two):
    """Each verb says in a line what became of it, and how to undo it."""
    assert run("namespaces", "create", "Gamma").out.startswith("gamma\tcreated\t")
    assert run("namespaces", "rename", "alpha", "Omega").out == "omega\trenamed\t2 memories\n"
    assert run("show", "aaaa", "-N", "omega").out == "The lamp is lit\n"
    assert run("show", "aaaa", "-N", "alpha").code == 1
    ran = run("namespaces", "delete", "omega")
    assert ran.out == "omega\tdeleted\t2 memories\n"
    assert ran.said == "mesh: to bring it back: mesh namespaces restore omega"
    assert run("namespaces", "--trash").out.startswith("omega  deleted 20")
    assert run("namespaces", "restore", "omega").out == "omega\trestored\t2 memories\n"
    assert run("show", "bbbb", "-N", "omega").out == "The door is shut\n"
    assert "no namespace is in the trash" in run("namespaces", "--trash").said


def test_the_same_as_json(run, two):
    """The name as it is now, and how many memories."""
    assert run("namespaces", "create", "New", "--json").json()["namespace"] == "new"
    for verb in (["rename", "alpha", "Omega"], ["delete", "omega"], ["restore", "omega"]):
        ran = run("namespaces", *verb, "--json")
        assert (ran.code, ran.err) == (0, "")
        assert ran.json() == {"namespace": "omega", "memory_count": 2}


def test_delete_asks_on_a_terminal_and_no_means_no(home, terminal, two):
    """It says how much would go; return and n leave everything, exit 1; y deletes, and --yes does not ask."""
    for answer in (b"n\n", b"\n", b"\x04"):
        session = terminal("namespaces", "delete", "alpha", type_after=[("[y/N]", answer)])
        assert (session.code, (home / "alpha").exists()) == (1, True)
        assert "Delete 'alpha' with 2 memories?" in session.plain
        assert "nothing was deleted" in session.plain
    assert terminal("namespaces", "delete", "alpha", type_after=[("[y/N]", b"y\n")]).code == 0
    assert not (home / "alpha").exists() and not (home / "_local/alpha").exists()
    session = terminal("namespaces", "delete", "beta", "--yes")
    assert (session.code, "[y/N]" in session.plain, (home / "beta").exists()) == (0, False, False)


def test_a_name_that_nobody_has_is_not_asked_about(terminal, two):
    """The error comes at once."""
    session = terminal("namespaces", "delete", "gamma")
    assert (session.code, "[y/N]" in session.plain) == (1, False)


# --- mesh-namespaces -----------------------------------------------------------------------------------------------


def entry(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("verb", ["", "list", "--json", "stats alpha", "stats none", "list --trash", "restore none"])
def test_mesh_namespaces_is_the_same_command(run, two, verb):
    """The same output and exit code."""
    ran, done = run("namespaces", *verb.split()), entry(*verb.split())
    assert (done.returncode, done.stdout, done.stderr) == (ran.code, ran.out, ran.err)


def test_mesh_namespaces_calls_itself_by_its_name(run, home):
    """In its help, and where it names it."""
    done = entry("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run("namespaces", "--help").out.replace("mesh namespaces", "mesh-namespaces")
    assert done.stdout.startswith("Usage: mesh-namespaces ")
    assert "Usage: mesh-namespaces rename" in entry("rename", "--help").stdout
    assert entry("rename", "a").stderr == "mesh: Missing argument 'NEW'. See: mesh-namespaces rename --help\n"
    assert entry("--version").stdout == run("--version").out


def test_the_published_lines_work(home, run, two):
    """`mesh-namespaces list|stats NS|delete NS|rename OLD NEW`."""
    assert "alpha" in entry("list").stdout
    assert "2 memories" in entry("stats", "alpha").stdout
    assert entry("rename", "alpha", "gamma").returncode == 0
    assert entry("delete", "gamma").returncode == 0
    assert [path.name for path in home.iterdir() if path.name[0] not in "._"] == ["beta"]


@pytest.mark.parametrize("verb", ["", "list --json", "list --trash", "stats alpha"])
def test_to_look_never_loads_numpy(two, verb):
    """Nor anything else that is heavy."""
    code = f"""
import sys
from mesh_cli.main import namespaces
sys.argv = ["mesh-namespaces", *{verb!r}.split()]
try:
    namespaces()
except SystemExit as end:
    assert not end.code
    print("loaded:", *sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "mesh" in loaded
    assert not loaded & {"numpy", "yaml", "torch", "mcp", "flask", "watchdog", "rich", "pydantic", "asyncio"}


def test_what_was_interrupted_is_finished_and_said_once(home, run, two):
    """On stderr, by whatever verb comes next."""
    inode = (home / "alpha").stat().st_ino
    (home / ".locks").mkdir(exist_ok=True)
    moves = {"namespaces": ["alpha", "omega"], "moves": [["alpha", "omega", inode]]}
    (home / ".locks/_moves.json").write_text(json.dumps(moves))
    ran = run("show", "aaaa", "-N", "omega")
    assert (ran.code, ran.out) == (0, "The lamp is lit\n")
    assert ran.said == "mesh: an interrupted move of folders is finished: alpha is now omega"
    assert run("show", "aaaa", "-N", "omega").err == ""
