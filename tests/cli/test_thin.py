"""What a command decides before it asks the command server."""

from __future__ import annotations

import ast
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mesh_cli import surroundings, thin, wire

from mesh.settings import Settings

FOLDERS = st.sampled_from(["", " ", "/srv/mesh", "relative/mesh", "../up", "~/mesh", "~", "/with space/mesh", "/käse"])


@given(named=FOLDERS, moved=FOLDERS, user=st.sampled_from(["", "/home/mina", "/root"]))
def test_the_home_is_the_one_of_the_settings(named, moved, user):
    """They read the same variables in the same way, though `thin` may not import them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("MESH_HOME", named), ("MESH_DIR", moved), ("HOME", user), ("USERPROFILE", "")):
            patch.setenv(name, value)
        assert Path(thin.home()) == Settings.from_environment().home


@pytest.mark.parametrize(
    ("command", "here"),
    [
        ("recall lamp", False),
        ("", True),
        ("--help", True),
        ("--version", True),
        ("help", True),
        ("recall --help", False),
        ("mcp", True),
        ("watch --status", True),
        ("edit 01kb", True),
        ("learn -e", True),
        ("learn --edit", True),
        ("learn -je text", True),
        ("add --ed", True),
        ("learn the --title edit", False),
        ("resolve 01kb --edit", True),
        ("resolve 01kb --ours", False),
        ("sync --watch", True),
        ("share notes", True),
        ("conflicts", False),
        ("import /dev/fd/63", True),
        ("import /proc/self/fd/0", True),
        ("import --any=/dev/stdin", True),
        ("forget 01kb", False),
        ("recall -", False),
    ],
)
def test_what_needs_this_very_process_stays_in_it(command, here):
    """Editors, servers, files by descriptor; and help, which is there at once."""
    assert thin.stays(None, command.split()) is here


@pytest.mark.parametrize(
    ("command", "here"),
    [("forget 01kb", True), ("namespaces delete old", True), ("recall -", True), ("namespaces", False)],
)
def test_who_may_read_the_keyboard_stays_on_a_terminal(command, here, monkeypatch):
    """A worker has another controlling terminal, or none."""
    master, slave = os.openpty()
    before = os.dup(0)
    try:
        os.dup2(slave, 0)
        assert thin.stays(None, command.split()) is here
    finally:
        os.dup2(before, 0)
        for descriptor in (before, master, slave):
            os.close(descriptor)


def test_a_command_without_standard_streams_stays(monkeypatch):
    """`mesh list >&-`: there is nothing to pass on."""
    monkeypatch.setattr(sys, "stdout", None)
    assert thin.stays(None, ["list"])


def test_a_request_arrives_as_it_was_sent(monkeypatch):
    """Every argument and variable, whatever bytes they are made of."""
    monkeypatch.setattr(sys, "argv", ["/bin/mesh", "learn", "", "Käse\n", "bytes \udcff"])
    monkeypatch.setenv("ODD", "a=b\nc \udcfe")
    request = surroundings.Request.parsed(thin._request("learn"))
    assert (request.verb, request.arguments) == ("learn", sys.argv)
    assert request.environment == dict(os.environ)
    assert surroundings.Request.parsed(thin._request("")).verb is None


def test_what_every_command_pays_for_imports_nothing():
    """Outside of functions: only `os`, `sys`, and `io`, which Python has loaded already."""
    for module in (thin, wire):
        tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
        names = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
        assert names <= {"os", "sys", "io"}


def test_rights_are_those_of_the_process():
    """Two looks at the same process agree."""
    if sys.platform != "linux":
        pytest.skip("only Linux tells")
    assert wire.own_rights() == wire.own_rights()
    assert any(line.startswith("CapEff:") for line in wire.own_rights())


def test_an_interruption_is_not_lost_when_nobody_takes_the_command():
    """It went to the worker, which then declined: it happens here."""
    with subprocess.Popen(["sleep", "60"]) as worker:
        take_back = thin._pass_signals_on(worker.pid)
        os.kill(os.getpid(), signal.SIGINT)
        assert worker.wait(20) == -signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            take_back()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("size", [0, 1, 65532, 65533, 1_000_000])
def test_a_frame_arrives_whole(size):
    """However much of it comes at once."""
    here, there = socket.socketpair()
    with here, there, ThreadPoolExecutor(1) as pool:
        sent = pool.submit(wire.send, here, b"x" * size)
        assert wire.received(there, there.recv(min(size, 70_000) + 1)) == b"x" * size
        sent.result()


def test_half_a_frame_is_none():
    """Nor is one that is longer than any request."""
    here, there = socket.socketpair()
    with here, there:
        here.sendall(b"\0\0\0\5abcd")
        here.close()
        with pytest.raises(EOFError):
            wire.received(there)
        with pytest.raises(OSError):
            wire.received(there, b"\xff\xff\xff\xff")
