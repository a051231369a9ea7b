"""How the command line refuses a secret, and lets one that is none pass."""

from __future__ import annotations

import json
import re

from secret_corpus import secret_notes

NOTE = next(note for note in secret_notes() if note.kind == "github token" and note.where == "prose")


def test_learn_refuses_a_secret_in_one_line_and_names_the_options(home, run):
    """Exit code 1, nothing on stdout; the option with the name that it prints lets it pass."""
    ran = run("learn", NOTE.text)
    assert (ran.code, ran.out) == (1, "") and ran.err.count("\n") == 1 and NOTE.secret not in ran.err
    assert "content, line 1: it looks like a secret (GitHub token: ghp_…)" in ran.err
    option = re.search(r"\((--allow-secret [0-9a-f]{12})\)", ran.err)[1].split()
    assert "(mesh learn --local-only)" in ran.err
    assert run("learn", NOTE.text, *option).code == 0
    assert run("learn", "--local-only", "And " + NOTE.text).code == 0


def test_update_and_import_refuse_it_as_well(home, run, tmp_path):
    """An import goes on with the other memories, and ends with 1."""
    memory_id = run("learn", "The lamp is lit").out.partition("\t")[0]
    ran = run("update", memory_id, NOTE.text)
    assert ran.code == 1
    option = re.search(r"--allow-secret [0-9a-f]{12}", ran.err)[0].split()
    source = tmp_path / "memory.jsonl"
    source.write_text("".join(json.dumps({"content": text}) + "\n" for text in ("The door is shut", NOTE.text)))
    ran = run("import", str(source))
    assert ran.code == 1 and "1 memory imported" in ran.out and "line 1: it looks like a secret" in ran.err
    assert NOTE.secret not in ran.out + ran.err
    assert run("import", str(source), *option).code == 0
    assert run("update", memory_id, "It is " + NOTE.text, *option).code == 0
