"""`mesh list`, `mesh show`, `mesh inspect`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

FULL = (
    "---\r\n# a comment\r\nid: 01kb2x7m9q4dk2wc\r\ntitle: Limits\r\ntype: decision\r\ntags: [api, 'limits']\r\n"
    "agent: mina\r\ncreated: 2026-01-31T10:00:00Z\r\nconfidence: 0.8\r\nmine: 1.10\r\n---\r\n"
    "The API rate limit is 100 requests/min\r\n"
)


def test_list_prints_id_tab_and_first_line_youngest_first(run, write):
    """One memory a line, whatever the text holds; a title stands for the text."""
    write("a.md", "---\nid: older001\ncreated: 2025-01-01\n---\nFirst line\twith a tab\nsecond line\n")
    write("b.md", "---\nid: newer001\ncreated: 2026-01-01\n---\n\n  The younger one  \n")
    write("c.md", FULL)
    assert run("list").lines == [
        "01kb2x7m9q4dk2wc\tLimits",
        "newer001\tThe younger one",
        "older001\tFirst line with a tab",
    ]
    assert run("list", "-n", "1").lines == ["01kb2x7m9q4dk2wc\tLimits"]


def test_list_feeds_cut_and_show(home, run, write):
    """`mesh list | cut -f1 | xargs -n1 mesh show` prints every text."""
    for number in range(3):
        write(f"{number}.md", f"Memory {number}\n")
    ids = [line.partition("\t")[0] for line in run("list").lines]
    mesh = f"{sys.executable.rpartition('/')[0]}/mesh"
    shown = subprocess.run(
        f'"{mesh}" list | cut -f1 | xargs -n1 "{mesh}" show', shell=True, capture_output=True, check=True, text=True
    )
    assert (sorted(shown.stdout.splitlines()), shown.stderr) == (["Memory 0", "Memory 1", "Memory 2"], "")
    assert len(set(ids)) == 3


def test_list_as_json_is_one_object_a_line(run, write):
    """JSON Lines: a text with line ends stays on its line."""
    write("a.md", FULL)
    write("b.md", "one\ntwo\u2028three\n")
    rows = [json.loads(line) for line in run("list", "--json").out.removesuffix("\n").split("\n")]
    assert {row["content"] for row in rows} == {"The API rate limit is 100 requests/min", "one\ntwo\u2028three"}
    assert rows[0].keys() == rows[1].keys()


def test_list_filters_by_type_tag_author_and_time(run, write):
    """The same words as recall takes."""
    write("a.md", FULL)
    write("b.md", "---\nid: bbbb0000\nagent: oskar\ntags: [api]\ncreated: 2026-05-01\n---\nAnother\n")
    for options, expected in {
        ("--type", "decision"): ["01kb2x7m9q4dk2wc"],
        ("--tag", "api"): ["bbbb0000", "01kb2x7m9q4dk2wc"],
        ("--tag", "api", "--tag", "limits"): ["01kb2x7m9q4dk2wc"],
        ("--agent", "oskar"): ["bbbb0000"],
        ("--since", "2026-02-01"): ["bbbb0000"],
        ("--until", "2026-02-01"): ["01kb2x7m9q4dk2wc"],
    }.items():
        assert [line.partition("\t")[0] for line in run("list", *options).lines] == expected, options


@pytest.mark.parametrize(
    "data", [FULL.encode(), b"\xef\xbb\xbfwith a BOM, no final newline", b"\xff not text \x1b[31m\n"]
)
def test_show_raw_is_the_file_byte_for_byte(run, write, data):
    """CRLF, BOM, no final newline, even what is no text at all."""
    write("it.md", data)
    assert run("show", "--raw", "shared/it.md").raw == data


def test_show_prints_the_text_and_nothing_else_when_piped(run, write):
    """Without front matter; under its title, if it has one."""
    write("a.md", FULL)
    write("b.md", "Plain text\n\nof two paragraphs\n")
    assert run("show", "01kb").out == "Limits\nThe API rate limit is 100 requests/min\n"
    assert run("show", "b.md").out == "Plain text\n\nof two paragraphs\n"


def test_a_memory_is_named_by_id_beginning_or_path(home, run, write):
    """Four characters are enough, case does not matter, and a path counts from the home, the namespace or the root."""
    file = write("team/a.md", FULL)
    names = ["01kb2x7m9q4dk2wc", "01kb", "01KB2X", "shared/team/a.md", "team/a.md", file]
    assert {run("show", name, "--path").out for name in names} == {f"{file}\n"}


def test_show_as_json_is_the_row_of_list(run, write):
    """One memory looks the same everywhere."""
    write("a.md", FULL)
    row = run("show", "01kb", "--json").json()
    assert row == json.loads(run("list", "--json").out) == run("inspect", "01kb", "--json").json()
    assert run("inspect", "--json").json() == [row]
    assert (row["title"], row["memory_type"], row["tags"]) == ("Limits", "decision", ["api", "limits"])


def test_inspect_says_all_that_is_known(run, write):
    """Every key that is set, and where the file is."""
    write("a.md", FULL)
    out = run("inspect", "01kb").out
    for part in ("01kb2x7m9q4dk2wc", "shared/a.md", "Limits", "decision", "api, limits", "mina", "2026-01-31", "0.8"):
        assert part in out
    assert "mina" in run("inspect").out


def test_looking_never_changes_a_file(run, write, untouched):
    """Neither bytes nor names nor folders, after every verb that only looks."""
    write("a.md", FULL)
    write("sub/b.md", "plain\r\n")
    write("c.md", b"\xff\x00broken")
    before = untouched()
    for verb in ("list", "show 01kb", "inspect", "status", "recall plain", "doctor", "reindex"):
        assert run(*verb.split()).code in (0, 1), verb
    assert untouched() == before


def test_list_of_an_empty_namespace_is_empty(home, run):
    """The folder is there and holds nothing: no line, no error."""
    (home / "shared").mkdir()
    ran = run("list")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_what_is_no_plain_memory_is_marked_by_recall_list_and_show(run, home, write):
    """A file with conflict markers, and two versions that could not be merged."""
    files = {
        "deploy.md": "---\nid: deploy-01\n---\nDeploy on Tuesday\n",
        "limit.md": "---\nid: limit-01\nagent: ana\n---\nThe limit is 100\n",
        "limit.rival-r00.md": "---\nid: r0000000\nrival_of: limit-01\nagent: bob\n---\nThe limit is 200\n",
    }
    for name, text in files.items():
        write(name, text)
    person = ["-c", "user.name=Ana", "-c", "user.email=ana@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], [*person, "commit", "-qm", "all"]):
        subprocess.run(["git", *arguments], cwd=home / "shared", check=True)
    write("deploy.md", "<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n")
    listed = dict(line.split("\t", 1) for line in run("list").lines)
    assert listed["deploy-01"] == "Deploy on Tuesday\t⚠ last good version"
    assert listed["limit-01"] == "The limit is 100\t⚠ disputed" and listed["r0000000"].endswith("\t⚠ disputed")
    shown = run("show", "deploy-01")
    assert shown.out == "Deploy on Tuesday\n" and "⚠ last good version (commit " in shown.err
    assert "disputed: another version by bob, r0000000" in run("show", "limit-01").err
    found = run("recall", "when to deploy on tuesday").out
    assert "⚠ last good version" in found and "shared/deploy.md:1: an unresolved merge conflict" in found
    assert "shared/deploy.md:1: an unresolved merge conflict; it is served as commit" in run("conflicts").err
    assert "1 of them served as they were last good" in run("status").out
    refused = run("forget", "deploy-01", "--yes")
    assert refused.code == 1 and "shared/deploy.md:1: an unresolved merge conflict. Choose a side" in refused.err
