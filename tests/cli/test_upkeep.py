"""`mesh status`, `mesh reindex`, `mesh doctor`, `mesh model`."""

from __future__ import annotations

import re

import pytest

MANY = 500  # more than three batches


@pytest.mark.parametrize(
    "verb",
    [
        *(["status"], ["status", "--json"], ["doctor"], ["list"], ["list", "--trash"], ["recall", "anything"]),
        *(["show", "abcd"], ["inspect"], ["forget", "abcd", "-y"], ["restore", "abcd"], ["update", "abcd", "text"]),
        *(["edit", "abcd"], ["reindex"], ["model", "status"], ["recall", "x", "-N", "no-such"]),
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.cold("where there is no home, nothing serves it")
def test_a_home_that_does_not_exist_is_not_made_by_looking(home, run, verb):
    """Nothing at all is created, and nothing crashes."""
    home.rmdir()
    assert run(*verb).code in (0, 1)
    assert not home.exists()


def test_status_says_what_is_here(home, run, write):
    """Home, namespaces, counts, problems and trash; the same as JSON."""
    write("a.md", "---\nid: aaaa0000\n---\nOne\n")
    write("b.md", "Two\n", namespace="other")
    write("_local.md", "Three\n", namespace="_local/shared")
    write("bad.md", b"\xff")
    out = run("status").out
    assert str(home) in out and "other, shared" in out
    found = run("status", "--json").json()
    assert (found["home"], found["namespaces"], found["namespace"]) == (str(home), ["other", "shared"], "shared")
    assert (found["memories"], found["local_only"], found["problems"], found["trash"]) == (2, 1, 1, 0)
    run("forget", "aaaa")
    found = run("status", "--json").json()
    assert (found["memories"], found["trash"]) == (1, 1)


def test_status_is_in_columns_on_a_terminal_as_well(run, terminal, write):
    """Colour takes no room: the same lines as in a pipe."""
    write("a.md", "One\n")
    run("status")
    assert terminal("status").plain == run("status").out


def test_many_new_files_get_a_bar_whoever_takes_them_in(terminal, run, write, without_model):
    """Also for a recall, on a terminal: how many, how fast, how long. A second question has nothing to take in."""
    for number in range(1000):
        write(f"{number}.md", f"Lamp {number} hangs over table {number % 7}\n")
    shown = terminal("recall", "lamp 7").plain
    assert re.search(r"█░* 500/1,000 files  \d+/s  \d+ s left", shown) and "█ 1,000/1,000 files" in shown
    assert "/1,000 files" not in terminal("recall", "lamp 8").plain


@pytest.mark.model
def test_reindex_can_be_interrupted_and_goes_on_where_it_was(run, terminal, write):
    """Ctrl-C on a terminal exits with 130 in a line; what was embedded stays; a second run deals with the rest."""
    for number in range(MANY):
        write(f"{number}.md", f"Lamp {number} hangs over table {number % 7} in room {number % 31}\n")
    session = terminal("reindex", type_after=[("/s ", b"\x03")])  # the bar, after a batch
    assert session.code == 130
    assert session.plain.rstrip().endswith("mesh: interrupted")
    rest = run("status", "--json").json()["pending"]
    assert 0 < rest < MANY
    session = terminal("reindex")
    assert session.code == 0
    assert f"{rest:,}/{rest:,} memories" in session.plain
    assert f"{MANY} files indexed" in session.plain
    assert run("status", "--json").json()["pending"] == 0


def test_reindex_draws_no_bar_into_a_pipe(run, write):
    """One line on stdout, nothing on stderr; JSON is a receipt."""
    write("a.md", "One\n")
    ran = run("reindex")
    assert re.fullmatch(r"1 files? indexed.*\n", ran.out)
    assert ran.err == ""
    assert run("reindex", "--json").json()["scanned"] == 1


def test_reindex_all_makes_the_cache_again(home, run, write):
    """Whatever was in it, and the answers are the same."""
    write("a.md", "The lamp is lit\n")
    before = run("recall", "lamp", "--json").json()["results"]
    assert run("reindex", "--all").code == 0
    assert run("recall", "lamp", "--json").json()["results"] == before


@pytest.mark.parametrize("name", ["manifest.db", "vectors.npy"])
def test_a_damaged_cache_is_made_again_and_said_once(home, run, write, name):
    """The answer comes all the same; the next one is quiet."""
    write("a.md", "The lamp is lit\n")
    run("recall", "lamp")
    damaged = next((home / ".cache" / "shared").glob(f"{name.partition('.')[0]}*{name.partition('.')[2]}"))
    damaged.write_bytes(b"garbage" * 999)
    ran = run("recall", "lamp")
    assert (ran.code, "The lamp is lit" in ran.out) == (0, True)
    assert "made again" in ran.said
    assert run("recall", "lamp").err == ""


def test_doctor_is_content_with_a_good_home(run, home, write):
    """Exit 0, nothing on stdout."""
    write("a.md", "One\n")
    ran = run("doctor")
    assert (ran.code, ran.out) == (0, "")
    assert "all is well" in ran.said


def test_doctor_names_what_is_wrong_and_mends_only_what_is_named(home, run, write, untouched):
    """Exit 1 and a line each on stdout; --fix does one thing; the rest stays."""
    home.chmod(0o755)
    write("a.md", "---\nid: same-id\n---\nOne\n")
    write("b.md", "---\nid: same-id\n---\nTwo\n")
    write("c.md", "---\nid: cccc0000\nlocal_only: true\n---\nThree\n")
    before = untouched()
    ran = run("doctor", "--json")
    assert (ran.code, ran.json()["healthy"]) == (1, False)
    assert {one["kind"] for one in ran.json()["findings"]} == {"modes", "ids", "local"}
    assert untouched() == before
    assert run("doctor", "--fix", "ids").code == 1
    assert sorted(run("list", "--json").out.count(one) for one in ('"same-id"',)) == [1]
    assert run("doctor", "--fix", "local", "--fix", "modes").code == 0
    assert (home / "_local/shared/c.md").is_file()
    assert not (home / "shared/c.md").exists()
    assert home.stat().st_mode & 0o777 == 0o700


def test_doctor_knows_its_remedies(run, home, untouched):
    """One that is not there is wrong usage."""
    (home / "shared").mkdir()
    ran = run("doctor", "--fix", "everything")
    assert (ran.code, ran.out) == (2, "")
    assert "cache" in ran.said and "modes" in ran.said


@pytest.mark.model
def test_model_status_tells_where_the_model_is(run):
    """As lines and as JSON."""
    ran = run("model", "status")
    assert (ran.code, ran.err) == (0, "")
    found = run("model", "status", "--json").json()
    assert found["folder"] in ran.out and found["source"] in ran.out


def test_model_status_without_a_model_is_an_error_with_the_remedy(run, tmp_path):
    """Exit 1, one line."""
    ran = run("model", "status", env={"MESH_MODEL_PATH": str(tmp_path)})
    assert (ran.code, ran.out) == (1, "")
    assert "MESH_MODEL_PATH" in ran.said


def test_a_pull_asks_no_network_that_is_switched_off(run, untouched):
    """`MESH_OFFLINE=1` is an error that names it."""
    before = untouched()
    ran = run("model", "pull", env={"MESH_OFFLINE": "1"})
    assert ran.code != 0
    assert "MESH_OFFLINE" in ran.said
    assert untouched() == before
