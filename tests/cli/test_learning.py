"""`mesh learn`: what is said to it stands in a file, and what became of it stands on stdout."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta

from mesh import codec

RATE = "The API rate limit is 100 requests/min"


def learned(home, ran):
    """The memory that a `mesh learn` told of, read from its file."""
    assert ran.code == 0, ran.err
    memory_id, _, path = ran.out.rstrip("\n").split("\t")
    memory = codec.read((home / path).read_bytes(), path)
    assert memory.id == memory_id
    return memory


def test_learn_writes_a_file_and_prints_id_status_and_path(home, run):
    """One line, TAB between its parts, nothing on stderr; the file lies where it says."""
    ran = run("learn", RATE)
    assert re.fullmatch(r"[0-9a-z]{16}\tstored\tshared/the-api-rate-limit-is-100-[^\t]*\.md\n", ran.out)
    assert ran.err == ""
    memory = learned(home, ran)
    assert (memory.content, memory.type, memory.agent, memory.tags) == (RATE, "fact", "agent", ())


def test_every_option_of_learn_stands_in_the_file(home, run):
    """Type, tags, confidence, days to live, title, source and author."""
    ran = run(
        *("learn", "Call", "the", "pager", "-t", "instruction", "--tag", "ops", "--tag", "#night"),
        *("--confidence", "0.5", "--ttl", "30", "--title", "Pager", "--source", "wiki", "--agent", "mina"),
    )  # fmt: skip
    memory = learned(home, ran)
    assert (memory.content, memory.type, memory.tags) == ("Call the pager", "instruction", ("ops", "night"))
    assert (memory.confidence, memory.title, memory.source, memory.agent) == (0.5, "Pager", "wiki", "mina")
    assert memory.expires is not None
    assert abs(memory.expires - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=5)


def test_learn_reads_standard_input_for_a_hyphen_and_for_no_argument(home, run):
    """As UTF-8, whatever the locale says, line ends and all."""
    text = "Der Käse liegt im Kühlschrank\n第二行\n"
    for arguments, ending in ((("-",), b"eins"), ((), b"zwei")):
        ran = run("learn", *arguments, stdin=text.encode() + ending, env={"LC_ALL": "C", "PYTHONUTF8": "0"})
        assert learned(home, ran).content == text + ending.decode()


def test_the_very_same_text_is_stored_once(home, run, untouched):
    """The second time says so, names the memory that is there and writes nothing."""
    first = run("learn", RATE).out.split("\t")[0]
    before = untouched()
    again = run("learn", RATE + "\n\n", "--json")
    assert (again.json()["status"], again.json()["memory_id"]) == ("deduplicated", first)
    assert untouched() == before


def test_a_text_that_differs_in_a_number_is_stored_and_the_other_is_named(run):
    """On stdout what was stored, on stderr whom it contradicts; as JSON in `conflict`."""
    first = run("learn", RATE).out.split("\t")[0]
    second = run("learn", RATE.replace("100", "250"))
    assert second.out.split("\t")[1] == "stored_with_conflict"
    assert first in second.err and RATE in second.err and "number" in second.err
    third = run("learn", RATE.replace("100", "400"), "--json")
    assert third.json()["status"] == "stored_with_conflict"
    assert "requests/min" in third.json()["conflict"]["existing_content"]
    assert third.err == ""


def test_what_is_superseded_goes_to_the_trash(home, run):
    """By a beginning of its id; the new file names the old one, recall gives only the new text."""
    first = run("learn", RATE)
    old_id, _, old_path = first.out.strip().split("\t")
    new = learned(home, run("learn", "The API rate limit is 250 requests/min", "--supersedes", old_id[:12]))
    assert new.supersedes == (old_id,)
    assert not (home / old_path).exists()
    assert run("list", "--trash").out.startswith(f"{old_id}\t")
    assert [row["content"] for row in run("recall", "rate limit", "--json").json()["results"]] == [new.content]


def test_a_local_only_memory_lies_outside_every_shared_folder(home, run):
    """Under `_local`, and the shell still recalls it and says that it is local."""
    ran = run("learn", "The staging password hint is in my notebook", "--local-only")
    assert ran.out.split("\t")[2].startswith("_local/shared/")
    assert not (home / "shared").exists() or not list((home / "shared").rglob("*.md"))
    assert "local only" in run("recall", "password hint").out


def test_the_author_and_the_namespace_come_from_the_environment(home, run):
    """`MESH_AGENT_ID` and `MESH_NAMESPACE`; options are stronger."""
    env = {"MESH_AGENT_ID": "coding-agent", "MESH_NAMESPACE": "my-project"}
    memory = learned(home, run("learn", "Tests run on every push", env=env))
    assert (memory.agent, memory.path.split("/")[0]) == ("coding-agent", "my-project")
    memory = learned(home, run("learn", "Tests run twice a day", "-a", "mina", "-N", "other", env=env))
    assert (memory.agent, memory.path.split("/")[0]) == ("mina", "other")


def test_add_is_another_name_for_learn(home, run):
    """Scripts of the earlier tool keep working."""
    assert learned(home, run("add", RATE)).content == RATE


def test_a_text_that_begins_with_a_hyphen_can_be_learned(home, run):
    """After `--`, as everywhere."""
    assert learned(home, run("learn", "--", "--force is never used here")).content == "--force is never used here"


def test_a_new_home_is_its_owner_s_only(home, run):
    """0700 for the folders, 0600 for the memories, also when the umask is open."""
    target = home / "deep" / "er"
    old = os.umask(0)
    try:
        ran = run("learn", RATE, env={"MESH_HOME": str(target)})
    finally:
        os.umask(old)
    assert target.stat().st_mode & 0o077 == 0
    assert (target / ran.out.strip().split("\t")[2]).stat().st_mode & 0o077 == 0
