"""One process keeps a namespace's cache equal to its files; others rely on it instead of looking at every file.

    .locks/watch/<namespace>.lock  flocked by the holder of the lease, free when it dies; it says who that is
    .locks/watch/_cookies/         a question: an empty file, made by who asks, and the holder's answer in it

The holder watches the home, this folder included, with one inotify instance: when it sees a cookie, it has been told
of all earlier changes. It takes them into the manifest, then writes into the cookie which manifest that was, and how
far that had come. No answer within 50 ms, or one about another manifest: whoever asked scans.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from .locks import is_held, taken

PROTOCOL = 1  # what an answer promises; who speaks another one is not asked
ANSWER_SECONDS = 0.05
WATCHING, POLLING = "inotify", "polling"  # only the first can answer
_LOOK_SECONDS = 0.0005
_FOLDER = Path(".locks") / "watch"
COOKIES = ".locks/watch/_cookies"
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease. `since`: seconds since 1970. `how`: `WATCHING` or `POLLING`. `program`: its name."""

    pid: int
    since: float
    how: str
    program: str
    protocol: int = PROTOCOL


class Answer(NamedTuple):
    """What a holder vouches for: the manifest of this device and inode, from this generation on."""

    device: int
    inode: int
    generation: int


class Lease:
    """A lease that this process holds until `release`."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path, self._fd = path, fd

    @classmethod
    def take(cls, home: Path, namespace: str, holder: Holder) -> Lease | None:
        """None if another process holds it. Raises `OSError` where it cannot be taken."""
        path = home / _FOLDER / f"{namespace}.lock"
        fd = taken(path)
        if fd is None:
            return None
        lease = cls(path, fd)
        try:
            (home / COOKIES).mkdir(mode=0o700, exist_ok=True)
            lease.describe(holder)
        except BaseException:
            lease.release()
            raise
        return lease

    def describe(self, holder: Holder) -> None:
        """Say who holds it, and how."""
        data = json.dumps(asdict(holder)).encode()
        os.pwrite(self._fd, data + b"\n", 0)
        os.ftruncate(self._fd, len(data) + 1)

    @property
    def valid(self) -> bool:
        """Whether others find this lease, and can ask: not if the home was moved away, or `.locks` removed."""
        try:
            found = os.path.samestat(os.fstat(self._fd), self._path.stat())
            return found and (self._path.parent / Path(COOKIES).name).is_dir()
        except OSError:
            return False

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def holder_of(home: Path, namespace: str) -> Holder | None:
    """Who holds the lease of a namespace; None if nobody does, or it cannot be told."""
    try:
        fd = os.open(home / _FOLDER / f"{namespace}.lock", os.O_RDONLY | _NOFOLLOW)
    except OSError:
        return None
    try:
        return Holder(**json.loads(os.pread(fd, 4096, 0))) if is_held(fd) else None
    except (OSError, ValueError, TypeError):  # it is just being written, or by another version
        return None
    finally:
        os.close(fd)


# --- asking ----------------------------------------------------------------------------------------------------------


def asked(home: Path, namespace: str) -> Answer | None:
    """What the holder vouches for, from this moment on; None if there is none, or it does not answer in time."""
    with _cookie(home, namespace) as fd:
        deadline, pause = time.monotonic() + ANSWER_SECONDS, _LOOK_SECONDS
        while fd is not None:
            if data := os.pread(fd, 200, 0):
                return _parsed(data)
            if time.monotonic() > deadline:
                break
            time.sleep(pause)
            pause *= 1.2
    return None


@contextlib.contextmanager
def _cookie(home: Path, namespace: str) -> Iterator[int | None]:
    """An empty file that the holder sees; None if it cannot be made."""
    path = home / COOKIES / f"{namespace}~{os.getpid()}-{os.urandom(6).hex()}"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o600)
    except OSError:
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)
        with contextlib.suppress(OSError):
            path.unlink()


def _parsed(data: bytes) -> Answer | None:
    try:
        return Answer(*map(int, data.split())) if data.endswith(b"\n") else None
    except (ValueError, TypeError):
        return None


def is_about_leases(path: str) -> bool:
    """Whether a path, relative to the home, is a lock file of this module, or a folder above it or the cookies'."""
    return path in {".locks", _FOLDER.as_posix(), COOKIES} or path.startswith(f"{_FOLDER.as_posix()}/")


# --- answering -------------------------------------------------------------------------------------------------------


def namespace_of_cookie(path: str) -> str | None:
    """The namespace that a cookie asks about; None if the path, relative to the home, is no cookie's."""
    folder, _, name = path.rpartition("/")
    namespace, mark, _ = name.partition("~")
    return namespace if folder == COOKIES and mark else None


def answer(home: Path, cookie: str, answer: Answer) -> None:
    """Write an answer into a cookie, if whoever asked still waits."""
    with contextlib.suppress(OSError):
        fd = os.open(home / cookie, os.O_WRONLY | _NOFOLLOW)
        try:
            os.write(fd, f"{answer.device} {answer.inode} {answer.generation}\n".encode())
        finally:
            os.close(fd)


def sweep(home: Path, namespace: str) -> None:
    """Remove the cookies that those who were killed while they asked have left; none of them is an answer."""
    with contextlib.suppress(OSError):
        for path in (home / COOKIES).glob(f"{namespace}~*"):
            path.unlink(missing_ok=True)
