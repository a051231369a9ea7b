"""How a command and the command server's workers speak to each other.

    worker   a frame: what it is (`identity`), NUL, its process id
    client   a frame: the request, with descriptors: standard input, output and error, the current folder
    worker   EXITED and the exit code, or NOT_ME: run it yourself; or, from the server, KILLED and the signal

A worker is told what to do only after it said what it is, and begins only when it was told everything. So a client
knows that nothing was done if it gives up before its request has gone out as a whole; and after that, that it must
not do anything itself unless it hears NOT_ME.

Each looks at the other first. A worker must never be able to do what its client could not, for that may run in a
sandbox or a container; and a client must not hand its environment and its terminal to somebody in one.

Imports as little as `thin`.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

SOCKET = "serve.sock"
ANSWER_SECONDS = 1.0  # a server that does not greet in this time is stopped, or has too much to do
EXITED, KILLED, NOT_ME = b"e", b"k", b"n"
PATH_BYTES = 100  # of a socket's address; systems allow 104 or 108 with the zero at the end
_RIGHTS = ("Uid:", "Gid:", "Groups:", "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:", "Seccomp")
# Landlock shows nowhere, but needs this: among those that may gain no rights, nobody knows who is alike.
CONFINED = "NoNewPrivs:\t1"
_SPACES = ("mnt", "user", "pid", "net", "ipc", "uts")
_SO_PEERPIDFD = 77  # which Python has no name for
MOST_BYTES = 1 << 24  # of a frame; systems allow less to arguments and environment


def connected(folder: str) -> "socket":
    """A connection to the server whose socket lies in `folder`.

    Raises `OSError`: there is none, or none that may be told what this process is told, and given its terminal.
    """
    import _socket

    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.settimeout(ANSWER_SECONDS)
    try:
        at_address(folder, connection.connect)
        _, about = other_end(connection)
        try:
            if not alike(about, own_rights()):
                raise PermissionError
        finally:
            os.close(about)
    except OSError:
        connection.close()
        raise
    return connection


def at_address(folder: str, act: "Callable[[str], None]") -> None:
    """Bind or connect to the socket in `folder`, by a way around the limit of an address's length."""
    address = os.path.join(folder, SOCKET)
    if len(os.fsencode(address)) <= PATH_BYTES:
        act(address)
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        act(f"/proc/self/fd/{opened}/{SOCKET}")
    finally:
        os.close(opened)


def send(connection: "socket", data: bytes, descriptors: tuple[int, ...] = ()) -> None:
    """Send a frame. Raises `OSError`: the other end has not got all of it."""
    import _socket

    if len(data) > MOST_BYTES:
        raise OSError
    data = len(data).to_bytes(4, "big") + data
    if descriptors:
        rights = b"".join(one.to_bytes(4, sys.byteorder) for one in descriptors)  # the first bytes take them along
        data = data[connection.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)]) :]
    if data:  # to send nothing fails as well if the other end has finished and gone
        connection.sendall(data)


def received(connection: "socket", first: bytes = b"") -> bytes:
    """The frame that comes, of which `first` came already. Raises `OSError`, `EOFError`: it is not whole."""
    data = bytearray(first)
    while (missing := _missing(data)) > 0:
        more = connection.recv(min(missing, 65536))
        if not more:
            raise EOFError
        data += more
    return bytes(data[4:])


def _missing(data: bytes | bytearray) -> int:
    """How many bytes of a frame are still to come, or of what tells its length. Raises `OSError`."""
    if len(data) < 4:
        return 4 - len(data)
    length = int.from_bytes(data[:4], "big")
    if length > MOST_BYTES:
        raise OSError
    return 4 + length - len(data)


def identity() -> bytes:
    """Whoever has the same is the same program: its place, Python, its options, and where modules are looked for."""
    parts = [
        __file__,
        sys.version,
        sys.prefix,
        sys.base_prefix,
        *map(str, sys.flags),
        sys.getfilesystemencoding(),
        sys.getfilesystemencodeerrors(),
        *sys.path[1:],  # the first is where the script lies
    ]
    return os.fsencode("\n".join(parts))


def greeted(connection: "socket") -> int:
    """The process that greets, if it is what this one would be; 0 if it is not."""
    try:
        greeting, _, pid = received(connection).rpartition(b"\0")
    except EOFError:  # its files are no longer those it runs
        return 0
    return int(pid) if greeting == identity() else 0


# --- who is at the other end -----------------------------------------------------------------------------------------


def other_end(connection: "socket") -> tuple[int, int]:
    """The process that connected, or listens: its id, and its folder in /proc, opened.

    The folder stays that of this process, should the id ever be another's. Raises `OSError` if the process has ended
    (whoever has its end of the connection now is unknown), or is not this user's.
    """
    import _socket

    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    pid, user = (int.from_bytes(credentials[at : at + 4], sys.byteorder) for at in (0, 4))
    if user != os.geteuid():
        raise PermissionError
    about = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    if not _still_runs(connection):
        os.close(about)
        raise ProcessLookupError
    return pid, about


def _still_runs(connection: "socket") -> bool:
    """Whether the process at the other end does; yes, where the kernel (before 6.5) does not tell."""
    import _socket
    import errno

    try:
        held = connection.getsockopt(_socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError as error:
        return error.errno == errno.ENOPROTOOPT
    folder = os.open("/proc/self/fdinfo", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return "\nPid:\t-1\n" not in _read(folder, str(held))
    finally:
        os.close(folder)
        os.close(held)


def alike(about: int, own: list[str]) -> bool:
    """Whether another process may do and see what this one may, as far as that can be told."""
    return rights(about) == own and CONFINED not in own


def rights(about: int) -> list[str]:
    """All that says what a process may do and see; `about`: its folder in /proc. Raises `OSError`."""
    found = [line for line in _read(about, "status").splitlines() if line.startswith(_RIGHTS)]
    found += [os.readlink(f"ns/{space}", dir_fd=about) for space in _SPACES]
    root = os.stat("root", dir_fd=about)
    found.append(f"{root.st_dev}:{root.st_ino}")
    try:
        found.append(_read(about, "attr/current"))
    except OSError:
        pass  # there is no security module, or it has nothing to say
    return found


def own_rights() -> list[str]:
    about = os.open("/proc/self", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return rights(about)
    finally:
        os.close(about)


def _read(folder: int, name: str) -> str:
    file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        return os.read(file, 65536).decode("utf-8", "replace")
    finally:
        os.close(file)
