"""One holder at a time, threads and processes alike, and no lock outlives its holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mesh.errors import LockTimeout
from mesh.locks import locked

_COUNT = """
import sys
from pathlib import Path
from mesh.locks import locked
lock, counter = map(Path, sys.argv[1:])
for _ in range(50):
    with locked(lock):
        counter.write_text(str(int(counter.read_text()) + 1))
"""

_HOLD = """
import sys, time
from pathlib import Path
from mesh.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def lock(tmp_path):
    return tmp_path / ".locks" / "shared.lock"


@pytest.fixture
def holder(lock):
    """A process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", _HOLD, lock], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_lock_excludes_processes(tmp_path, lock):
    """Four processes that read, add one and write lose no step."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    arguments = [sys.executable, "-c", _COUNT, lock, counter]
    assert [process.wait() for process in [subprocess.Popen(arguments) for _ in range(4)]] == [0] * 4
    assert counter.read_text() == "200"


def test_a_lock_excludes_threads(lock):
    """Two threads of one process are never inside at once."""
    inside = []

    def enter(_):
        with locked(lock):
            inside.append(threading.get_ident())
            assert len(inside) == 1
            inside.remove(threading.get_ident())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(400)))
    assert not inside


def test_who_waits_too_long_is_told(lock, holder):
    """`LockTimeout` names the file and the time, and the block is not entered."""
    with pytest.raises(LockTimeout, match=r"shared\.lock.*0\.05 s"), locked(lock, timeout_seconds=0.05):
        pytest.fail("entered a lock that another process holds")


def test_kill_9_frees_the_lock(lock, holder):
    """The kernel takes the lock from a dead holder: the next one needs no repair."""
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with locked(lock, timeout_seconds=10):
        pass


def test_an_exception_frees_the_lock(lock):
    """However the block ends, the next one may enter."""
    with pytest.raises(ZeroDivisionError), locked(lock):
        raise ZeroDivisionError
    with locked(lock, timeout_seconds=0.05):
        pass


def test_the_lock_file_is_never_unlinked(lock):
    """The same file, by its inode, serves every holder: two of them can never hold two different locks."""
    seen = set()
    for _ in range(5):
        with locked(lock):
            seen.add(lock.stat().st_ino)
        seen.add(lock.stat().st_ino)
    assert len(seen) == 1


@pytest.mark.skipif(os.name != "posix", reason="modes as POSIX has them")
def test_the_lock_is_for_the_owner_only(lock):
    """Nobody else may open a lock, and so hold it."""
    with locked(lock):
        pass
    assert oct(lock.stat().st_mode & 0o777) == "0o600"
    assert oct(lock.parent.stat().st_mode & 0o777) == "0o700"


def test_locks_of_two_names_do_not_meet(lock):
    """Who holds one namespace does not stop another."""
    with locked(lock), locked(lock.with_name("other.lock"), timeout_seconds=0.05):
        pass


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="this system follows every link")
def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path, lock):
    """It may lead to anything; holders write into their locks."""
    lock.parent.mkdir()
    lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError), locked(lock):
        pass
    assert not (tmp_path / "elsewhere").exists()
