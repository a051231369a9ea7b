"""A day's worth of changes in minutes, while a keeper runs: does it grow, and is it right in the end?

    python -m tests.soak [--events 20000] [--memories 500] [--stopped-seconds 0] [--without-model]

A process keeps a home. This one edits, renames, deletes and makes memories and folders in it, the way editors, git and
agents do, asks now and then from another process, and writes down what the keeper takes: memory, descriptors, threads,
bytes of the cache and rows of the matrix. With `--stopped-seconds` the keeper is then stopped for so long, while more
happens than the kernel's queue holds. Ends with 1 if something grew that should not, or an answer was wrong.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from mesh import Mesh
from mesh.index.cache import Cache
from mesh.refresh import Refresh
from mesh.vault import Vault, roots
from tests.keeping import KeeperProcess, until

SAMPLES = 12
_WORDS = [f"word{number}" for number in range(2000)]
_ASK = "import sys; from mesh import Mesh; print(Mesh(home=sys.argv[1]).count())"


class Sample(NamedTuple):
    """What the keeper takes at one moment."""

    events: int
    memory_kib: int
    descriptors: int
    threads: int
    cache_kib: int
    rows: int
    live: int


class Life:
    """What happens in a vault. `next` does one thing."""

    def __init__(self, vault: Path, memories: int, seed: int) -> None:
        self._vault, self._memories, self._random = vault, memories, random.Random(seed)
        self._number = 0

    def begin(self) -> None:
        for _ in range(self._memories):
            self._make()

    def next(self) -> None:
        files = [path for path in self._vault.rglob("*.md") if not path.name.startswith(".")]
        weights = {self._edit: 60, self._save_by_renaming: 20, self._rename: 5, self._delete: 5, self._move_folder: 2}
        act = self._random.choices(list(weights), list(weights.values()))[0]
        act(self._random.choice(files))
        if len(files) < self._memories:
            self._make()

    def _text(self) -> str:
        self._number += 1
        return f"{' '.join(self._random.choices(_WORDS, k=12))} number {self._number}\n"

    def _make(self) -> None:
        folder, text = self._vault / f"folder{self._random.randrange(20)}", self._text()
        folder.mkdir(exist_ok=True)
        (folder / f"note{self._number}.md").write_text(text)

    def _edit(self, path: Path) -> None:
        path.write_text(self._text())

    def _save_by_renaming(self, path: Path) -> None:
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(self._text())
        temporary.replace(path)

    def _rename(self, path: Path) -> None:
        self._number += 1
        path.rename(path.with_name(f"renamed{self._number}.md"))

    def _delete(self, path: Path) -> None:
        path.unlink()

    def _move_folder(self, path: Path) -> None:
        if path.parent != self._vault:
            away = path.parent.with_name(f"away{self._number}")
            path.parent.rename(away)
            away.rename(path.parent)


def stopped(keeper: KeeperProcess, life: Life, seconds: float) -> list[str]:
    """Stop the keeper for so long, and let more happen than the kernel keeps for it; what is wrong afterwards."""
    limit, happened = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text()), 0
    keeper.send(signal.SIGSTOP)
    until_then = time.monotonic() + seconds
    while time.monotonic() < until_then:
        life.next()
        happened += 1
    for number in range(limit // 2 + 1):  # so that it has overflowed, however slow this machine is
        beside = keeper.home / "shared" / f"beside{number % 700}.txt"
        beside.touch()
        beside.unlink()
    keeper.send(signal.SIGCONT)
    failures = checked(keeper.home, f"{happened} changes while it was stopped for {seconds:.0f} s")
    print(f"stopped for {seconds:.0f} s: {happened} changes; the queue of {limit} events overflowed")
    until(lambda: not wrong(keeper.home))
    return failures


def checked(home: Path, when: str) -> list[str]:
    """What a cold process finds otherwise than it is."""
    there = sum(1 for _ in (home / "shared").rglob("[!.]*.md"))
    return [] if (found := asked(home)) == there else [f"after {when}: {found} memories found, there are {there}"]


def sample(home: Path, pid: int, events: int) -> Sample:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    cache = Cache(home, "shared", roots("shared"))
    try:
        rows = cache.manifest.db.execute("SELECT coalesce(sum(used), 0) FROM matrices").fetchone()[0]
        live = cache.manifest.db.execute("SELECT count(DISTINCT text_digest) FROM passages").fetchone()[0]
        size = cache.size_on_disk() // 1024
    finally:
        cache.close()
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))
    return Sample(events, int(status["VmRSS"].split()[0]), descriptors, int(status["Threads"]), size, rows, live)


def waiting(home: Path) -> int:
    """How many memories are still to be embedded; 0 without a model."""
    cache = Cache(home, "shared", roots("shared"))
    try:
        return int(cache.manifest.db.execute("SELECT count(*) FROM waiting").fetchone()[0])
    finally:
        cache.close()


def asked(home: Path) -> int:
    """How many memories a cold process finds."""
    done = subprocess.run([sys.executable, "-c", _ASK, home], capture_output=True, text=True, check=True)
    return int(done.stdout)


def wrong(home: Path) -> list[str]:
    """What the cache, without a scan of its own, says otherwise than the files do."""
    cache = Cache(home, "shared", roots("shared"))
    try:
        return Refresh(Vault(home), "shared", cache).wrong_rows()
    finally:
        cache.close()


def grown(samples: list[Sample]) -> list[str]:
    """What grew between the first third and the end beyond what is live."""
    first, last = samples[len(samples) // 3], samples[-1]
    found = []
    if last.memory_kib > first.memory_kib * 1.15 + 8192:
        found.append(f"memory: {first.memory_kib} -> {last.memory_kib} KiB")
    if last.descriptors > first.descriptors + 4 or last.threads > first.threads + 2:
        found.append(f"descriptors or threads: {first} -> {last}")
    if last.rows > 2 * last.live + 1024 + 512:
        found.append(f"rows of the matrix: {last.rows}, of which live {last.live}")
    if last.cache_kib > first.cache_kib * 2 + 8192:
        found.append(f"cache: {first.cache_kib} -> {last.cache_kib} KiB")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--memories", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stopped-seconds", type=float, default=0)
    parser.add_argument("--without-model", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mesh-soak-"))
    if options.without_model:
        os.environ["MESH_MODEL_PATH"] = str(folder / "none")
    try:
        return run(folder / "home", options.events, options.memories, options.seed, options.stopped_seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(home: Path, events: int, memories: int, seed: int, stopped_seconds: float) -> int:
    (home / "shared").mkdir(parents=True)
    home.chmod(0o700)
    life, samples, failures = Life(home / "shared", memories, seed), list[Sample](), list[str]()
    life.begin()
    began = time.monotonic()
    with KeeperProcess(home) as keeper:
        print("\t".join(Sample._fields))
        for number in range(1, events + 1):
            life.next()
            time.sleep(0.002)
            if number % (events // SAMPLES) == 0:
                failures += checked(home, f"{number} events")
                until(lambda: not waiting(home), seconds=600)
                samples.append(sample(home, keeper.pid, number))
                print("\t".join(map(str, samples[-1])), flush=True)
        if stopped_seconds:
            failures += stopped(keeper, life, stopped_seconds)
        until(lambda: not wrong(home))
        with Mesh(home=home) as mesh:
            until(lambda: mesh.pending() == 0, seconds=600)
    failures += grown(samples)
    said = "; ".join(failures) or "nothing grew, all is right"
    print(f"{events} events in {time.monotonic() - began:.0f} s; {said}")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
