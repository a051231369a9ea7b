"""The first thing that every `mesh` does: hand the command to a process that is warm already, if there is one.

Mercurial's chg is the model. A worker of the command server (`command_server`) gets this process's own terminal or
pipes, its folder and its environment, does what was asked, and says how it ended; this process only passes signals on
and ends the same way. Whatever is in the way (no server, a dead one, other code, another environment), the command
is run here, as if there were no such thing.

Every command pays for what is imported here and in `wire`: nothing but what Python has loaded itself, and the two
modules in C below `socket` and `signal`, which themselves cost more than all of this, since they make enumerations.
"""

import os
import sys

from .wire import EXITED, KILLED, NOT_ME, connected, greeted, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable
    from typing import NoReturn

COMPLETE_VARIABLE = "_MESH_COMPLETE"

# These need a terminal of their own, serve for as long as they run, or wait for other machines.
STAY_HERE = frozenset({"clone", "edit", "http", "mcp", "serve", "share", "sync", "watch"})
ASK = frozenset({"forget", "delete"})  # these verbs, and those of a verb, may ask a person something
QUICKER_HERE: tuple[list[str], ...] = ([], ["-h"], ["--help"], ["help"], ["-V"], ["--version"])


def hand_over(verb: str | None) -> bool:
    """Let a worker run this command, and end as it ended. Returns if it is to be run here.

    `verb`: what the program itself is named after. True: there is none, and the user wants one to be started.
    """
    if sys.platform != "linux" or not _is_on("MESH_COMMAND_SERVER", unset=True) or stays(verb, sys.argv[1:]):
        return False
    try:
        connection = connected(os.path.join(home(), ".locks"))
    except OSError:
        return _is_on("MESH_AUTOWATCH", unset=False)
    try:
        worker = greeted(connection)
        if worker:
            _run(connection, worker, verb or "")
    except OSError:
        pass  # before it was told everything: nothing was done
    connection.close()
    return False


def stays(verb: str | None, arguments: list[str]) -> bool:
    """Whether a command must be run here: it needs the keyboard, or files that only this process has open."""
    if verb is None and arguments in QUICKER_HERE:
        return COMPLETE_VARIABLE not in os.environ
    if None in (sys.stdin, sys.stdout, sys.stderr):
        return True
    name = verb or (arguments[0] if arguments else "")
    opens_editor = name in {"learn", "add", "resolve"} and any(_may_say_edit(argument) for argument in arguments)
    reads_keyboard = os.isatty(0) and ("-" in arguments or not ASK.isdisjoint(arguments))
    named_by_descriptor = any("/dev/" in argument or "/proc/" in argument for argument in arguments)
    return name in STAY_HERE or opens_editor or reads_keyboard or named_by_descriptor


def _may_say_edit(argument: str) -> bool:
    """`--edit`, the beginning of it, or `-e` among other letters."""
    return argument.startswith("--e") or (argument[:1] == "-" and argument[:2] != "--" and "e" in argument)


def _is_on(name: str, *, unset: bool) -> bool:
    value = os.environ.get(name, "").strip().lower()
    return value not in {"0", "false", "no", "off"} if value else unset


def home() -> str:
    """The folder that `Settings.from_environment` finds as well."""
    named, moved, user, profile = map(_set, ("MESH_HOME", "MESH_DIR", "HOME", "USERPROFILE"))
    if not (named or moved):
        return os.path.join(user or profile or os.path.expanduser("~"), ".mesh")
    folder = os.path.expanduser(named or moved)
    return folder if os.path.isabs(folder) else os.path.join(os.getcwd(), folder)


def _set(name: str) -> str:
    """An environment variable; a blank one is unset."""
    value = os.environ.get(name, "")
    return value if value.strip() else ""


# --- one command -----------------------------------------------------------------------------------------------------


def _run(connection: "socket", worker: int, verb: str) -> None:
    """Have a worker run the command, and end as it did. Returns, or raises `OSError`, only if it did nothing."""
    folder = os.open(".", getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC)
    take_back = _pass_signals_on(worker)
    try:
        send(connection, _request(verb), (0, 1, 2, folder))
        outcome = _outcome(connection)
        if outcome[:1] != NOT_ME:
            _end_as(outcome)
    finally:
        os.close(folder)
        take_back()


def _outcome(connection: "socket") -> bytes:
    """What becomes of the command, which may take hours. From now on nothing is done twice: lost is lost."""
    connection.settimeout(None)
    try:
        return connection.recv(2)
    except OSError:
        return b""


def _request(verb: str) -> bytes:
    """The verb, how many arguments, the mask of modes, how text is written to the streams, then:
    the arguments with the program's name first, and the environment."""
    umask = os.umask(0o077)
    os.umask(umask)
    streams = [f"{one.encoding} {one.errors}" for one in (sys.stdin, sys.stdout, sys.stderr)]
    head = [verb, str(len(sys.argv)), str(umask), *streams]
    environment = [name + b"=" + value for name, value in os.environb.items()]
    return b"\0".join([*map(os.fsencode, [*head, *sys.argv]), *environment])


def _pass_signals_on(worker: int) -> "Callable[[], None]":
    """From now on an interruption is the worker's, and it stops and goes on with this process.

    What is returned puts everything back; an interruption in between then happens here.
    """
    import _signal  # type: ignore[import-not-found]

    interrupted = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        interrupted = True
        _kill(worker, _signal.SIGINT)

    def stop(*_: object) -> None:
        _kill(worker, _signal.SIGSTOP)  # SIGTSTP means nothing to a process without a terminal
        _signal.signal(_signal.SIGTSTP, _signal.SIG_DFL)
        _kill(os.getpid(), _signal.SIGTSTP)  # and here it goes on after SIGCONT
        _signal.signal(_signal.SIGTSTP, stop)
        _kill(worker, _signal.SIGCONT)

    handlers = {_signal.SIGINT: interrupt, _signal.SIGTSTP: stop}
    before = {number: _signal.getsignal(number) for number in handlers}
    passed_on = [number for number in handlers if before[number] != _signal.SIG_IGN]
    for number in passed_on:
        _signal.signal(number, handlers[number])

    def take_back() -> None:
        for number in passed_on:
            _signal.signal(number, before[number])
        if interrupted:
            raise KeyboardInterrupt

    return take_back


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        pass  # it has just ended


def _end_as(outcome: bytes) -> "NoReturn":
    """End with a worker's exit code, or by the signal that ended it."""
    kind, number = outcome[:1], outcome[-1:]
    if kind == EXITED:
        os._exit(number[0])  # nothing is open here that would have to be closed
    what = f"was ended by signal {number[0]}" if kind == KILLED else "is gone"
    said = f"mesh: the process that worked on this {what}; what it acknowledged is kept. Run it again\n"
    try:
        os.write(2, said.encode())
    except OSError:
        pass  # nobody reads it
    if kind == KILLED:
        import _signal

        if number[0] != _signal.SIGKILL:
            _signal.signal(number[0], _signal.SIG_DFL)
        os.kill(os.getpid(), number[0])
    os._exit(1)
