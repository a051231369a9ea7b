"""Call git: hardened, bounded, and with its reason in one line when it fails.

What is kept of the user's own configuration: who they are, their helpers for passwords, keys, proxies and
certificates. What is not: hooks, file system monitors, filters, attributes, submodules, editors, pagers, prompts, and
every transport but five. A call ends when it has run too long, or when a transfer has said nothing for a while; a
large fetch that goes on may take as long as it takes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from ..errors import GitFailed
from ..settings import git_environment
from .failures import TooMuchSaid, failed, failure

SECONDS = 300.0  # for a call that talks to nobody
QUIET_SECONDS = 180.0  # for one that does, since it last said anything
MAX_OUTPUT = 64 << 20
MAX_PACK = 2 << 30  # a file that a transfer may write, where the system can hold it to that

_TRANSPORTS = "file:git:http:https:ssh"
_NOWHERE = os.devnull
_OPTIONS = {
    "safe.bareRepository": "explicit",  # a repository that lies in a folder as data is never entered
    "core.hooksPath": _NOWHERE,
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "core.symlinks": "false",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.attributesFile": _NOWHERE,
    "core.autocrlf": "false",
    "core.quotePath": "false",
    "core.bigFileThreshold": "16m",  # what is larger is streamed, not held in memory
    "core.alternateRefsCommand": "true",
    "core.filesRefLockTimeout": "5000",  # ms that it waits for another git that changes the same ref
    "core.packedRefsTimeout": "5000",
    "protocol.version": "2",
    "protocol.ext.allow": "never",
    "transfer.fsckObjects": "true",
    "fetch.fsckObjects": "true",
    "transfer.bundleURI": "false",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    "push.recurseSubmodules": "no",
    "push.gpgSign": "false",
    "commit.gpgSign": "false",
    "log.showSignature": "false",
    "gc.autoDetach": "false",
    "maintenance.autoDetach": "false",
    "i18n.commitEncoding": "utf-8",
    "i18n.logOutputEncoding": "utf-8",
    "http.lowSpeedLimit": "100",
    "http.lowSpeedTime": "120",
    "color.ui": "false",
    "core.pager": "cat",
    # Old repositories have these, and none of them does harm.
    "fetch.fsck.zeroPaddedFilemode": "warn",
    "fetch.fsck.badTimezone": "warn",
    "fetch.fsck.missingSpaceBeforeEmail": "warn",
    "fetch.fsck.missingSpaceBeforeDate": "warn",
}
_VARIABLES = {
    "LC_ALL": "C",
    "GIT_ALLOW_PROTOCOL": _TRANSPORTS,
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GCM_INTERACTIVE": "never",
    "GIT_EDITOR": "false",
    "GIT_PAGER": "cat",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_LITERAL_PATHSPECS": "1",
}


_turn = threading.Lock()
_started: weakref.WeakSet[subprocess.Popen[bytes]] = weakref.WeakSet()  # guarded, as is the next, by `_turn`
_over = False


class Git:
    """git on one repository, which is named to it and never looked for."""

    def __init__(self, git_dir: Path, work_tree: Path | None = None) -> None:
        self.git_dir, self.work_tree = git_dir, work_tree

    def run(
        self,
        *arguments: str,
        given: bytes = b"",
        env: Mapping[str, str] | None = None,
        accepted: Sequence[int] = (0,),
        limit: int = MAX_OUTPUT,
        seconds: float = SECONDS,
    ) -> bytes:
        """What git writes, at most `limit` bytes, when it is given `given`. Raises `GitFailed`."""
        with tempfile.TemporaryFile() as said:
            process = self.start(*arguments, env=env, stderr=said)
            with _ended(process), _limited_to(process, seconds) as late:
                out = _exchanged(process, given, limit)
                code = process.wait() if out is not None else -1
            if late.is_set():
                raise failed(arguments, f"it did not end within {seconds:g} s", self.git_dir)
            if out is None:
                raise TooMuchSaid(f"git {arguments[0]}: it said more than {limit:,} bytes", place=str(self.git_dir))
            if code not in accepted:
                raise failure(arguments, _text_of(said), self.git_dir, code)
            return out

    def transfer(self, *arguments: str, quiet_seconds: float = QUIET_SECONDS, max_pack: int = MAX_PACK) -> str:
        """Talk to a remote; give what git says on both streams. It is ended when it says nothing for a while."""
        with tempfile.TemporaryFile() as said:
            process = self.start(*arguments, stderr=said, stdout=said)
            with _ended(process):
                _hold_to(process, max_pack)
                quiet = _wait_while_it_speaks(process, said, quiet_seconds)
            if quiet:
                raise failed(arguments, f"the remote said nothing for {quiet_seconds:g} s", self.git_dir)
            if process.returncode:
                raise failure(arguments, _text_of(said), self.git_dir, process.returncode)
            return _text_of(said)

    def start(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stderr: IO[bytes] | int = subprocess.DEVNULL,
        stdout: IO[bytes] | int = subprocess.PIPE,
    ) -> subprocess.Popen[bytes]:
        """A git process with the options and the environment of all of them, in a session of its own: no terminal."""
        options = [part for key, value in _OPTIONS.items() for part in ("-c", f"{key}={value}")]
        places = {"GIT_DIR": str(self.git_dir)}
        if self.work_tree:
            places["GIT_WORK_TREE"] = str(self.work_tree)
        with _turn:
            if _over:
                raise GitFailed("this process is ending", place=str(self.git_dir))
            try:
                process = subprocess.Popen(
                    ["git", "--no-pager", *options, *arguments],
                    stdin=subprocess.PIPE if stdout == subprocess.PIPE else subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    cwd=self.work_tree or self.git_dir,
                    env=git_environment() | _VARIABLES | places | dict(env or {}),
                    start_new_session=True,
                )
            except FileNotFoundError as error:
                raise GitFailed("there is no program git, or no such folder", place=str(self.git_dir)) from error
            _started.add(process)
            return process


# --- bounds ----------------------------------------------------------------------------------------------------


def _exchanged(process: subprocess.Popen[bytes], given: bytes, limit: int) -> bytes | None:
    """What it writes while it is given something to read; None if that is more than `limit`."""
    assert process.stdin and process.stdout
    feeder = threading.Thread(target=_feed, args=(process.stdin, given), daemon=True)
    feeder.start()
    out = process.stdout.read(limit + 1)
    feeder_may_go_on = len(out) <= limit
    if feeder_may_go_on:
        feeder.join()
    return out if feeder_may_go_on else None


def _feed(stdin: IO[bytes], given: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, ValueError), stdin:  # it ended early: its exit code says why
        stdin.write(given)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whatever happens, the process and those it started are gone afterwards, and its pipes closed."""
    try:
        yield
    finally:
        end(process)
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError, ValueError):
                if stream:
                    stream.close()


def end_all() -> None:
    """End every git of this process, with what it started, and start none from now on: for one about to end itself."""
    global _over
    with _turn:
        _over = True
        for process in _started:
            end(process, 1.0)


def end(process: subprocess.Popen[bytes], seconds: float = 5.0) -> None:
    """Ask a process to end, so that it removes its locks, and insist if it does not."""
    for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, number)
            else:
                process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)


@contextlib.contextmanager
def _limited_to(process: subprocess.Popen[bytes], seconds: float) -> Iterator[threading.Event]:
    """End the process when its time is over; the event that is given tells."""
    late = threading.Event()

    def stop() -> None:
        late.set()
        end(process)

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def _wait_while_it_speaks(process: subprocess.Popen[bytes], said: IO[bytes], quiet_seconds: float) -> bool:
    """Wait for the end. True if it was silent for too long, whatever it may still do."""
    size, waited, step = 0, 0.0, 0.01
    while True:
        try:
            process.wait(step)
            return False
        except subprocess.TimeoutExpired:
            now = os.fstat(said.fileno()).st_size
            waited = 0.0 if now != size else waited + step
            size, step = now, min(1.0, step * 1.5)
            if waited >= quiet_seconds:
                return True


def _hold_to(process: subprocess.Popen[bytes], size: int) -> None:
    """No file that it writes, nor any process that it starts from now on, becomes larger: a pack, above all."""
    try:
        import resource

        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
    except (ImportError, AttributeError, OSError):
        return  # not on this system


def _text_of(said: IO[bytes]) -> str:
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - 65_536))
    data: bytes = said.read()
    return data.decode("utf-8", "replace")
