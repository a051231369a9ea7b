"""What people do to a whole vault at once, and kills while it is taken in: is the cache right afterwards, and when?

    python -m tests.bulk_campaign [--files 10000] [--kills 20] [scenario ...]

The vault is a git repository with two branches of which half of the files differ. Each scenario is done cold (the next
question finds it) and while a keeper runs (`mesh watch` has one). Prints a line each: how long the change itself took,
how long after it a question in words found it, the CPU seconds and the peak memory of the process that took it in,
and what is wrong then, if anything is. Vectors are made by a stand-in for the model; `again` counts the texts that
were embedded though they had been before. Ends with 1 if anything was wrong. 100,000 files take half an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mesh.doctor import examine
from mesh.index.cache import Cache
from mesh.refresh import Refresh
from mesh.vault import Vault, roots
from tests.hashing import hashed
from tests.keeping import KeeperProcess

_WORDS = [f"word{number}" for number in range(5000)]
_GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@t.invalid", "-c", "gc.auto=0")
_PER_FOLDER = 5000
_ASK = """
import json, resource, sys
sys.path[:0] = json.loads(sys.argv[3])
from tests.hashing import hashed
with hashed(sys.argv[1]) as mesh:
    found = mesh.recall(sys.argv[2], 50)
used = resource.getrusage(resource.RUSAGE_SELF)
hit = any(sys.argv[2] in row["content"] + row["path"] for row in found)
print(json.dumps([hit and not found.receipt.unindexed, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""
_INDEX = """
import json, sys
sys.path[:0] = json.loads(sys.argv[2])
from tests.hashing import hashed
with hashed(sys.argv[1]) as mesh:
    mesh.reindex()
    print(json.dumps(len(mesh.workspace.embedder.embedded)))
"""


class Taken(NamedTuple):
    """What it took to find a change."""

    act_seconds: float
    found_seconds: float
    cpu_seconds: float
    peak_mb: float


class Vaulted:
    """A home whose namespace `shared` has many files, and what can be done to all of them."""

    def __init__(self, home: Path, files: int) -> None:
        self.home, self.folder, self.files = home, home / "shared", files
        self._random = random.Random(1)
        self._marks = 0

    def make(self) -> None:
        """Two branches: on `main`, the first half of the files is other than on `other`."""
        self.folder.mkdir(parents=True)
        self.home.chmod(0o700)
        for number in range(self.files):
            self._write(number, "main")
        self._commit("main", "init", "-q", "-b", "main")
        self._git("checkout", "-q", "-b", "other")
        for number in range(self.files // 2):
            self._write(number, "other")
        self._commit("other")

    def checkout(self) -> str:
        """The other branch. Gives a word that only its files have."""
        there = self._git("rev-parse", "--abbrev-ref", "HEAD").strip()
        branch = "other" if there == "main" else "main"
        self._git("checkout", "-q", "-f", branch)
        return f"last{branch}"

    def sed(self) -> str:
        """A word in every file, as `sed -i` does it: a new file in the old one's place."""
        mark = self._mark()
        self._run("sh", "-c", f"find . -name '*.md' -print0 | xargs -0 sed -i 's/word1 /{mark} /; $s/$/ {mark}/'")
        return mark

    def move(self) -> str:
        """All of it into another folder."""
        mark = self._mark()
        for path in sorted(self.folder.glob("f*")):
            target = self.folder / f"moved{mark}"
            target.mkdir(exist_ok=True)
            path.rename(target / path.name)
        for path in (self.folder / f"moved{mark}").iterdir():
            path.rename(self.folder / f"f{mark}{path.name[-3:]}")
        (self.folder / f"moved{mark}").rmdir()
        return f"f{mark}000"  # names of folders are searchable

    def rsync(self) -> str:
        """A tenth of the files comes from elsewhere, in another version."""
        mark, elsewhere = self._mark(), self.home.with_name("elsewhere")
        for number, path in enumerate(sorted(self.folder.rglob("*.md"))):
            if number % 10 == 0:
                target = elsewhere / path.relative_to(self.folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(f"{path.read_text().rstrip()} {mark}\n")
        self._run("rsync", "-a", f"{elsewhere}/", f"{self.folder}/")
        shutil.rmtree(elsewhere)
        return mark

    def delete(self) -> str:
        """Every second file goes; a new one comes, so that there is something to be found."""
        mark = self._mark()
        for path in sorted(self.folder.rglob("*.md"))[::2]:
            path.unlink()
        (self.folder / "zz.md").write_text(f"{mark}\n")
        return mark

    def _write(self, number: int, branch: str) -> None:
        folder = self.folder / f"f{number // _PER_FOLDER:03}"
        if number % _PER_FOLDER == 0:
            folder.mkdir(exist_ok=True)
        last = f" last{branch}" if number == self.files // 2 - 1 else ""
        text = " ".join(self._random.choices(_WORDS, k=16))
        (folder / f"n{number:06}.md").write_text(f"---\ntags: [{branch}]\n---\n{text} {branch}{number}{last}\n")

    def _mark(self) -> str:
        self._marks += 1
        return f"mark{self._marks}"

    def _commit(self, message: str, *first: str) -> None:
        if first:
            self._git(*first)
        self._git("add", "-A")
        self._git("commit", "-q", "-m", message)

    def _git(self, *arguments: str) -> str:
        return self._run(*_GIT, *arguments)

    def _run(self, *command: str) -> str:
        environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull}
        return subprocess.run(
            command, cwd=self.folder, env=environment, text=True, check=True, capture_output=True
        ).stdout


# --- what takes it in -----------------------------------------------------------------------------------------------


def cold(vault: Vaulted, act: Callable[[], str]) -> Taken:
    """The next question, in a process of its own."""
    began = time.monotonic()
    mark = act()
    acted = time.monotonic()
    hit, cpu, peak = ask(vault.home, mark)
    if not hit:
        raise AssertionError(f"{mark} is not found")
    return Taken(acted - began, time.monotonic() - acted, cpu, peak)


def watched(vault: Vaulted, act: Callable[[], str]) -> Taken:
    """A keeper, while it happens; found when a question finds it in an index that has all."""
    with KeeperProcess(vault.home) as keeper:
        Path(f"/proc/{keeper.pid}/clear_refs").write_text("5")  # the peak of memory counts from here
        before, began = cpu_of(keeper.pid), time.monotonic()
        mark = act()
        acted = time.monotonic()
        while not ask(vault.home, mark)[0]:
            if time.monotonic() > acted + 600:
                raise AssertionError(f"{mark} is not found")
        found = time.monotonic() - acted
        return Taken(acted - began, found, cpu_of(keeper.pid) - before, memory_of(keeper.pid, "VmHWM"))


def ask(home: Path, mark: str) -> tuple[bool, float, float]:
    done = python(_ASK, home, mark)
    hit, cpu, peak = json.loads(done)
    return hit, cpu, peak


def python(script: str, home: Path, *arguments: str) -> str:
    path = json.dumps([str(Path(__file__).parent.parent), str(Path(__file__).parent)])
    command = [sys.executable, "-c", script, str(home), *arguments, path]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int, what: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


# --- what is right --------------------------------------------------------------------------------------------------


def wrong(home: Path) -> list[str]:
    """What the cache says otherwise than the files do; looked at without a refresh."""
    cache = Cache(home, "shared", roots("shared"))
    try:
        rows = {path for (path,) in cache.manifest.db.execute("SELECT path FROM files")}
        there = Vault(home).scan("shared").files.keys()
        return [*sorted(rows ^ there)[:5], *Refresh(Vault(home), "shared", cache).wrong_rows()[:5]]
    finally:
        cache.close()


def embedded_again(home: Path, texts: set[str]) -> int:
    """Embed what waits, and note which texts it was: how many of them had been embedded before."""
    with hashed(home) as mesh:
        mesh.reindex()
        new = mesh.workspace.embedder.embedded
        again = len(texts.intersection(new)) + len(new) - len(set(new))
        texts.update(new)
        return again


def killed(home: Path, files: int, kills: int) -> tuple[int, list[str]]:
    """Index from nothing, killed again and again: how many texts were embedded in the end, and what is wrong."""
    shutil.rmtree(home / ".cache", ignore_errors=True)
    moments = random.Random(5)
    path = json.dumps([str(Path(__file__).parent.parent), str(Path(__file__).parent)])
    for _ in range(kills):
        child = subprocess.Popen([sys.executable, "-c", _INDEX, str(home), path], stdout=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.2, 0.6 + files / 20_000))
        child.send_signal(signal.SIGKILL)
        child.wait()
    rest = int(python(_INDEX, home))
    with hashed(home) as mesh:
        return rest, [str(one) for one in examine(mesh.workspace) if one.serious and one.kind not in {"model", "modes"}]


# --- the command ----------------------------------------------------------------------------------------------------

SCENARIOS = ("checkout", "sed", "move", "rsync", "delete")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("scenarios", nargs="*", choices=[*SCENARIOS, "kills", []])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    with home_without_model() as home:
        return run(Vaulted(home, options.files), options.scenarios or [*SCENARIOS, "kills"], options.kills)


@contextmanager
def home_without_model() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mesh-bulk-"))
    os.environ["MESH_MODEL_PATH"] = str(folder / "none")
    try:
        yield folder / "home"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(vault: Vaulted, scenarios: list[str], kills: int) -> int:
    vault.make()
    texts, failures = set[str](), 0
    print("what\thow\tact s\tfound s\tCPU s\tpeak MB\tagain\twrong", flush=True)
    failures += report(vault, "index", "cold", cold(vault, lambda: "lastother"), texts)
    for name in [name for name in scenarios if name != "kills"]:
        for how in (cold, watched):
            failures += report(vault, name, how.__name__, how(vault, getattr(vault, name)), texts)
    if "kills" in scenarios:
        rest, found = killed(vault.home, vault.files, kills)
        print(f"{kills} kills, then {rest} texts were left to embed; {'; '.join(found) or 'all is right'}")
        failures += bool(found)
    return bool(failures)


def report(vault: Vaulted, name: str, how: str, taken: Taken, texts: set[str]) -> bool:
    found = wrong(vault.home)
    again = embedded_again(vault.home, texts)
    figures = "\t".join(f"{figure:.1f}" for figure in taken)
    print(f"{name}\t{how}\t{figures}\t{again}\t{', '.join(found) or '-'}", flush=True)
    return bool(found or again)


if __name__ == "__main__":
    sys.exit(main())
