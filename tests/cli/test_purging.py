"""`mesh forget ID --purge-history` at a terminal and without one."""

from __future__ import annotations

MEMORY = "---\nid: aaaa0000\n---\nThe phrase is zebra7canary4quagga\n"


def test_to_purge_the_whole_id_is_typed(terminal, write, home):
    """Anything else leaves everything, exit 1; the id takes it out of folder, trash and cache."""
    file = write("a.md", MEMORY)
    for answer in (b"y\n", b"aaaa\n", b"\n"):
        session = terminal("forget", "aaaa0000", "--purge-history", type_after=[("to purge it:", answer)])
        assert (session.code, file.exists()) == (1, True) and "nothing was purged" in session.plain
    session = terminal("forget", "aaaa0000", "--purge-history", type_after=[("to purge it:", b"aaaa0000\n")])
    assert session.code == 0 and "rm -rf" in session.plain
    rest = [path for path in home.rglob("*") if path.is_file() and ".backup" not in path.parts]
    assert not [path for path in rest if b"zebra7canary4quagga" in path.read_bytes()]


def test_without_a_terminal_a_yes_is_needed_and_a_beginning_is_no_id(run, write):
    """Exit 2 and 1; a dry run needs nothing; options of a purge mean nothing without it."""
    file = write("a.md", MEMORY)
    assert run("forget", "aaaa0000", "--purge-history").code == 2
    assert run("forget", "aaaa", "--purge-history", "--yes").code == 1
    assert run("forget", "aaaa0000", "--dry-run").code == 2
    dry = run("forget", "aaaa0000", "--purge-history", "--dry-run")
    assert dry.code == 0 and "would go: 1 file" in dry.err
    assert file.exists()
