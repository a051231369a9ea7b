"""A keeper in a process of its own, to be stopped, killed and asked; and ways in which people change files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mesh import Mesh, lease
from mesh.mounts import can_be_relied_upon

_KEEPER = """
import logging, sys, time
from dataclasses import replace
from pathlib import Path
from mesh import catching_up
from mesh.keeper import Keeper
from mesh.settings import Settings
logging.basicConfig()
catching_up.IDLE_SECONDS = float(next((one[5:] for one in sys.argv if one.startswith("idle=")), 600))
settings = replace(Settings.from_environment(), home=Path(sys.argv[1]))
with Keeper(settings, program="test keeper", poll="poll" in sys.argv) as keeper:
    keeper.ready.wait()
    print("ready", flush=True)
    while keeper.alive:
        time.sleep(0.1)
"""


class KeeperProcess:
    """A context manager: the keeper runs and has looked at everything once.

    Arguments: "poll" looks without being told, "idle=3" lets go of the model after so many seconds without use.
    """

    def __init__(self, home: Path, *arguments: str, prefix: tuple[str, ...] = ()) -> None:
        self.home, self._command = home, [*prefix, sys.executable, "-c", _KEEPER, str(home), *arguments]

    def __enter__(self) -> KeeperProcess:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self._process.stdout.readline() != "ready\n":
            self._process.kill()
            pytest.fail(f"no keeper could be started: {self._process.communicate()[1]}")
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGCONT, signal.SIGTERM):
            self._process.send_signal(number)
        self.said = self._process.communicate(timeout=60)[1]

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, number: int) -> None:
        self._process.send_signal(number)


def keeper_or_skip(home: Path) -> None:
    if not can_be_relied_upon(home):
        pytest.skip("what changes in this file system is not told, so nobody holds a lease")


def mounted(*arguments: str | Path) -> None:
    """`mount` with these arguments; skips where that is not allowed."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


def unmounted(place: Path) -> None:
    subprocess.run(["umount", place], check=True)


def with_watches(number: int) -> tuple[str, ...]:
    """A command's prefix: it gets so many inotify watches. Skips where that is not allowed."""
    limited = ("unshare", "-Ur", "sh", "-c", f'echo {number} > /proc/sys/user/max_inotify_watches && exec "$@"', "sh")
    done = subprocess.run([*limited, "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"watches cannot be limited here: {done.stderr.strip()}")
    return limited


def until(condition: Callable[[], object], seconds: float = 60.0) -> object:
    """Wait for what must come; how long it takes is no matter."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
    return found


def holder(home: Path, namespace: str = "shared") -> int | None:
    found = lease.holder_of(home, namespace)
    return found.pid if found else None


def contents(home: Path, question: str = "otter heron badger", namespace: str = "shared") -> list[str]:
    """What a cold recall finds."""
    with Mesh(namespace=namespace, home=home) as mesh:
        return sorted(row["content"] for row in mesh.recall(question, 50))


def _run(*command: str | Path, cwd: Path | None = None) -> None:
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "HOME": str(cwd or "/")}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"


# --- ways to save `text` at `path`, as programs do -------------------------------------------------------------------


def by_vim(path: Path, text: str) -> None:
    """Writes 4913 to see what it may do, renames the old file to `name~`, writes a new one, and removes the old."""
    _vim(path, text, "set writebackup backupskip= backupcopy=auto")


def by_vim_in_place(path: Path, text: str) -> None:
    """Keeps the file, and copies the old text to a backup. Without `backupskip` there is none below /tmp."""
    _vim(path, text, "set writebackup backupskip= backupcopy=yes")


def _vim(path: Path, text: str, how: str) -> None:
    save = f"%delete _ | call setline(1, '{text}') | write! | quit!"
    _run(_tool("vim"), "-u", "NONE", "-i", "NONE", "-es", "--cmd", how, "-c", save, path)


def by_emacs(path: Path, text: str) -> None:
    """Locks by a link `.#name`, saves what is typed in `#name#`, and renames the old file to `name~`."""
    backup = "(setq backup-enable-predicate (lambda (name) t))"  # which makes none below /tmp
    edit = f'(find-file "{path}") (erase-buffer) (insert "{text}\\n") (auto-save-mode 1) (do-auto-save)'
    _run(_tool("emacs"), "--batch", "-Q", "--eval", f"(progn {backup} {edit} (save-buffer))")


def by_sed(path: Path, text: str) -> None:
    """Writes beside it, and renames over it."""
    if not path.exists():
        path.write_text("something\n")
    _run(_tool("sed"), "-i", f"1s/.*/{text}/", path)


def by_rsync(path: Path, text: str) -> None:
    """Writes `.name.XXXXXX`, gives it the source's time, and renames it."""
    source = path.parents[2] / "source.md"
    source.write_text(text + "\n")
    _run(_tool("rsync"), "-a", "--ignore-times", source, path)


def by_git(path: Path, text: str) -> None:
    """A checkout: unlinks, and creates."""
    root, name = path.parent, path.name
    git = (_tool("git"), "-c", "user.name=t", "-c", "user.email=t@t.invalid")
    if not (root / ".git").exists():
        _run(*git, "init", "-q", "-b", "main", "--template=", cwd=root)
        _run(*git, "commit", "-q", "--allow-empty", "-m", "begin", cwd=root)
    _run(*git, "checkout", "-q", "-B", "other", "main", cwd=root)
    path.write_text(text + "\n")
    _run(*git, "add", name, cwd=root)
    _run(*git, "commit", "-q", "-m", text, cwd=root)
    _run(*git, "checkout", "-q", "main", cwd=root)
    _run(*git, "checkout", "-q", "other", cwd=root)


def by_truncating(path: Path, text: str) -> None:
    """As Visual Studio Code does: the file is empty for a moment."""
    with path.open("wb") as file:
        file.flush()
        time.sleep(0.005)
        file.write(text.encode() + b"\n")


def by_truncating_twice(path: Path, text: str) -> None:
    """As Obsidian does: a new note is made under another name, and renamed; what is typed is saved in between."""
    if not path.exists():
        untitled = path.with_name("Untitled.md")
        untitled.touch()
        untitled.rename(path)
    path.write_text(text[: len(text) // 2])
    by_truncating(path, text)


def by_moving_in(path: Path, text: str) -> None:
    """From outside of the home, as a file manager does, and many programs that save safely."""
    source = path.parents[2] / "source.md"
    source.write_text(text + "\n")
    source.replace(path)


def by_vsctmp(path: Path, text: str) -> None:
    """As Visual Studio Code does where it saves atomically."""
    temporary = path.with_name(f"{path.name}.vsctmp")
    temporary.write_text(text + "\n")
    temporary.replace(path)


def by_renaming(path: Path, text: str) -> None:
    """As GTK and Qt programs and Syncthing do, under a name with a dot."""
    temporary = path.with_name(".saving.tmp")
    temporary.write_text(text + "\n")
    temporary.replace(path)


def by_deleting_first(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text + "\n")


SAVES = [
    by_vim, by_vim_in_place, by_emacs, by_sed, by_rsync, by_git, by_truncating, by_truncating_twice, by_moving_in,
    by_vsctmp, by_renaming, by_deleting_first,
]  # fmt: skip


def _tool(name: str) -> str:
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed")
    return found
