"""Whatever is said to `mesh`: one clear line, exit 1 or 2, nothing written, never a traceback."""

from __future__ import annotations

import os
import re
import shutil

import pytest

LINE = re.compile(r"mesh: \S.*\. \S.*")  # place, cause, and after a full stop the remedy
LAMP = "---\nid: aaaa1111\n---\nThe lamp is lit\n"
FAILED, WRONG = 1, 2


@pytest.fixture
def refused(run, untouched):
    """`refused(code, "learn", ...)` runs it, holds it against the law and gives the line."""

    def check(code, *arguments, **how):
        before = untouched()
        ran = run(*arguments, **how)
        assert (ran.code, ran.out) == (code, ""), ran
        assert LINE.fullmatch(ran.said), ran.said
        assert untouched() == before
        return ran.said

    return check


@pytest.fixture
def lamp(write):
    return write("lamp.md", LAMP)


# --- texts -------------------------------------------------------------------------------------------------------

TEXTS = {
    "empty": (b"", "empty"),
    "white space": (b" \n\t\r\n \n", "empty"),
    "65,537 bytes": (b"x" * 65_537, "65,537"),
    "65,538 bytes in fewer characters": ("ä".encode() * 32_769, "65,538"),
    "NUL": (b"a\0b", "NUL"),
    "no UTF-8": (b"caf\xe9", ""),
    "a lone surrogate": (b"\xed\xa0\x80", ""),
    "conflict markers": (b"<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs\n", "conflict"),
}


@pytest.mark.parametrize(("text", "cause"), TEXTS.values(), ids=TEXTS)
def test_a_text_that_cannot_be_a_memory_is_refused(refused, lamp, text, cause):
    """By learn and by update, from standard input."""
    for verb in (("learn", "-"), ("update", "aaaa", "-")):
        said = refused(WRONG, *verb, stdin=text)
        assert "content" in said and cause in said


def test_an_argument_that_is_no_text_is_refused(refused, lamp):
    """The bytes of another encoding on the command line."""
    for arguments in (("learn", b"caf\xe9"), ("recall", b"\xff"), ("learn", "x", "--title", b"\xff")):
        refused(WRONG, *arguments)


@pytest.mark.parametrize(
    "arguments", [("show", b"\xff" * 4), ("forget", b"caf\xe9", "-y"), ("list", "--agent", b"\xff")], ids=repr
)
def test_a_name_that_is_no_text_is_refused(refused, lamp, arguments):
    """An id or an author in bytes of another encoding."""
    refused(WRONG, *arguments)


def test_64_kib_are_not_too_much(run, home):
    """The limit itself is allowed."""
    assert run("learn", "-", stdin=b"x" * 65_536, env={"MESH_MODEL_PATH": "/nowhere"}).code == 0


QUERIES = {"empty": b"", "white space": b" \n ", "a megabyte": b"why? " * 200_000, "no UTF-8": b"\xff", "NUL": b"a\0"}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_that_cannot_be_asked_is_refused(refused, lamp, query):
    """Empty, a megabyte, no text."""
    assert "query" in refused(WRONG, "recall", "-", stdin=query)


# --- values ------------------------------------------------------------------------------------------------------

VALUES = [
    ("type", "learn", "x", "--type", "nonsense"),
    ("type", "update", "aaaa", "--type", "nonsense"),
    ("type", "recall", "x", "--type", "nonsense"),
    ("confidence", "learn", "x", "--confidence", "2"),
    ("confidence", "learn", "x", "--confidence", "-0.1"),
    ("confidence", "learn", "x", "--confidence", "nan"),
    ("confidence", "learn", "x", "--confidence", "abc"),
    ("confidence", "update", "aaaa", "--confidence", "inf"),
    ("ttl", "learn", "x", "--ttl", "-1"),
    ("ttl", "learn", "x", "--ttl", "0"),
    ("ttl", "learn", "x", "--ttl", "inf"),
    ("ttl", "update", "aaaa", "--ttl", "1e9"),
    ("title", "learn", "x", "--title", "two\nlines"),
    ("title", "update", "aaaa", "--title", "x" * 200),
    ("source", "learn", "x", "--source", "\x1b[31m"),
    ("tag", "learn", "x", "--tag", "a,b"),
    ("tag", "learn", "x", *(word for number in range(33) for word in ("--tag", str(number)))),
    ("agent", "learn", "x", "--agent", ""),
    ("id", "learn", "x", "--supersedes", "a b"),
    ("n", "recall", "x", "-n", "0"),
    ("n", "recall", "x", "-n", "-1"),
    ("n", "recall", "x", "-n", "1000000000"),
    ("n", "recall", "x", "-n", "many"),
    ("similarity", "recall", "x", "--min-similarity", "7"),
    ("since", "recall", "x", "--since", "nonsense"),
    ("until", "recall", "x", "--until", "2026-13-01"),
    ("since", "list", "--since", "99999d ago and more"),
    ("namespace", "learn", "x", "-N", "../x"),
    ("namespace", "learn", "x", "-N", "CON"),
    ("namespace", "learn", "x", "-N", ""),
    ("namespace", "learn", "x", "-N", "n" * 300),
    ("namespace", "list", "-N", "/etc"),
    ("namespace", "recall", "x", "-N", ".trash"),
    ("namespace", "status", "-N", "_local"),
    ("n", "list", "-n", "0"),
    ("n", "list", "-n", "-5"),
    ("n", "inspect", "-n", "-1"),
    ("type", "list", "--type", "nonsense"),
]


@pytest.mark.parametrize(
    "case",
    VALUES,
    ids=lambda case: " ".join(case[1:]).encode("ascii", "backslashreplace").decode()[:40].replace("\x1b", "ESC"),
)
def test_a_value_that_is_not_acceptable_is_refused_by_name(refused, lamp, case):
    """The line names the option, says what is wrong and what to give; exit 2."""
    place, *arguments = case
    assert place in refused(WRONG, *arguments).lower()


@pytest.mark.parametrize(
    "arguments",
    [
        ["learn", "x", "--no-such"],
        ["recall", "x", "-n"],
        ["show"],
        ["show", "aaaa", "b"],
        ["forget"],
        ["--json", "list"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_too(refused, lamp, arguments):
    """An option that is not there, one without its value, an argument missing or too many: exit 2."""
    assert "help" in refused(WRONG, *arguments) or "-h" in refused(WRONG, *arguments)


# --- names -------------------------------------------------------------------------------------------------------


def test_an_id_that_is_unknown_or_too_short_or_shared_is_refused(refused, write, lamp):
    """Each with what to do instead; the ambiguous one with all that it names."""
    write("other.md", LAMP.replace("aaaa1111", "aaaa2222"))
    for verb in (["show"], ["update", "--title", "x"], ["forget", "-y"], ["edit"], ["inspect"]):
        assert "zzzz" in refused(FAILED, *verb, "zzzz")
        assert "short" in refused(WRONG, *verb, "aaa")
        said = refused(FAILED, *verb, "aaaa")
        assert "aaaa1111" in said and "aaaa2222" in said


def test_a_path_out_of_the_namespace_names_nothing(refused, lamp, home, tmp_path):
    """Neither by dots nor by a link nor by another namespace nor by the machine's root."""
    (tmp_path / "secret.md").write_text("secret")
    (home / "shared" / "link.md").symlink_to(tmp_path / "secret.md")
    (home / "other").mkdir()
    (home / "other" / "o.md").write_text("theirs")
    for path in ("../secret.md", "shared/../../secret.md", tmp_path / "secret.md", "link.md", "other/o.md"):
        refused(FAILED, "show", "--raw", path)
        refused(FAILED, "forget", "-y", path)


# --- places ------------------------------------------------------------------------------------------------------

VERBS_THAT_WRITE = (["learn", "x"], ["update", "aaaa", "x"], ["forget", "aaaa", "-y"])
VERBS_THAT_LOOK = (["list"], ["show", "aaaa"], ["recall", "lamp"], ["inspect"], ["status"])


@pytest.fixture
def unprivileged(home):
    """What to put before a command so that modes hold for it: root may read and write everything otherwise."""
    if not hasattr(os, "geteuid"):
        pytest.skip("modes as POSIX has them")
    if os.geteuid() != 0:
        return ()
    if not shutil.which("setpriv"):
        pytest.skip("root may read every file, and there is no setpriv to give that up")
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")


@pytest.fixture
def read_only_home(home, lamp, unprivileged):
    """A home in which nobody may write, as on a read-only medium."""
    folders = [home, *(path for path in home.rglob("*") if path.is_dir())]
    lamp.chmod(0o400)
    for folder in folders:
        folder.chmod(0o500)
    yield
    for folder in folders:
        folder.chmod(0o700)


def test_a_read_only_home_refuses_what_writes(refused, read_only_home, unprivileged):
    """The folder is named, exit 1."""
    for verb in VERBS_THAT_WRITE:
        assert "denied" in refused(FAILED, *verb, prefix=unprivileged)


def test_a_read_only_home_can_be_looked_at(run, read_only_home, unprivileged, untouched):
    """Answers come from a cache in memory; the recall says that nothing is embedded."""
    before = untouched()
    for verb in VERBS_THAT_LOOK:
        ran = run(*verb, prefix=unprivileged)
        assert ran.code == 0, ran
        assert ran.out
    assert untouched() == before


def test_a_read_only_home_cannot_be_indexed(refused, read_only_home, unprivileged):
    """One line instead of a traceback."""
    refused(FAILED, "reindex", prefix=unprivileged)


def test_an_unreadable_file_is_named_and_the_others_are_served(run, refused, write, lamp, unprivileged):
    """`recall` says which and answers from the rest; `show` of it is one line; it is not taken for deleted."""
    secret = write("secret.md", LAMP.replace("aaaa", "bbbb"))
    run("recall", "lamp")
    secret.chmod(0)
    ran = run("recall", "lamp", prefix=unprivileged)
    assert (ran.code, "aaaa1111" in ran.out) == (0, True)
    assert "shared/secret.md" in ran.said and "doctor" in ran.said
    assert "shared/secret.md" in refused(FAILED, "show", "shared/secret.md", prefix=unprivileged)
    ran = run("doctor", prefix=unprivileged)
    assert (ran.code, "shared/secret.md" in ran.out) == (1, True)
    secret.chmod(0o600)
    assert "bbbb1111" in run("list").out


def test_an_unreadable_folder_is_not_an_empty_one(run, write, lamp, unprivileged):
    """What was known to be in it is not forgotten, and doctor names it."""
    folder = write("team/deep.md", LAMP.replace("aaaa", "bbbb")).parent
    assert run("status", "--json").json()["memories"] == 2
    folder.chmod(0)
    try:
        ran = run("doctor", prefix=unprivileged)
        assert (ran.code, "shared/team" in ran.out) == (1, True)
    finally:
        folder.chmod(0o700)
    assert "bbbb1111" in run("recall", "lamp").out


@pytest.mark.cold("where there is no home, nothing serves it")
@pytest.mark.parametrize("verb", [*VERBS_THAT_WRITE, *VERBS_THAT_LOOK, ["doctor"], ["reindex"]], ids=" ".join)
def test_a_home_that_is_a_file_is_refused(refused, home, verb):
    """Its path is named, exit 1, and the file stays what it is."""
    home.rmdir()
    home.write_text("I am a file")
    assert str(home) in refused(FAILED, *verb)


def test_an_empty_variable_is_an_unset_one(run, lamp, home):
    """`MESH_NAMESPACE=''` is the default namespace; an empty `MESH_HOME` is never the current folder."""
    assert run("list", env={"MESH_NAMESPACE": "", "MESH_MODEL": " ", "MESH_AGENT_ID": ""}).out.startswith("aaaa1111")
    user = home / "user"
    user.mkdir()
    ran = run("status", "--json", env={"MESH_HOME": "", "HOME": str(user)}, cwd=home)
    assert ran.json()["home"] == str(user / ".mesh")


def test_a_bad_variable_is_named(refused, lamp):
    """A namespace or an author that cannot be one, from the environment."""
    assert "namespace" in refused(WRONG, "list", env={"MESH_NAMESPACE": "../x"})
    assert "agent" in refused(WRONG, "learn", "x", env={"MESH_AGENT_ID": "two\nlines"})


def test_a_model_folder_that_is_not_one_leaves_words(run, lamp):
    """`MESH_MODEL_PATH=/nowhere`: one line on stderr that names it, and the answer by words."""
    ran = run("recall", "lamp", env={"MESH_MODEL_PATH": "/nowhere"})
    assert (ran.code, "The lamp is lit" in ran.out) == (0, True)
    assert "/nowhere" in ran.said and "MESH_MODEL_PATH" in ran.said


def test_a_model_that_does_not_exist_leaves_words(run, lamp):
    """`MESH_MODEL=nonsense`, without the network: one line, and the answer by words."""
    ran = run("recall", "lamp", env={"MESH_MODEL": "nonsense", "MESH_OFFLINE": "1"})
    assert (ran.code, "The lamp is lit" in ran.out) == (0, True)
    assert "nonsense" in ran.said


def test_a_symbolic_link_as_namespace_is_not_followed(run, home, tmp_path, untouched):
    """A folder outside the home must not be written to through a link in it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (home / "shared").symlink_to(outside)
    ran = run("learn", "The lamp is lit")
    assert ran.code != 0
    assert ran.said
    assert not list(outside.iterdir())
