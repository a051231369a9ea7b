"""The same repository without some blobs, made beside it: no commit, ref, reflog, stash or index of it has them.

What nothing leads to is not taken along, nor is what git keeps for a while: messages and conflicts it remembers.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ..errors import GitFailed
from ..git.objects import Objects
from ..git.remotes import FETCHED, SEEN
from ..git.repository import Person, Repository
from ..git.rewriting import Pack, Rewriting
from ..git.running import Git
from . import record
from .target import Target
from .wording import Wording

_CARRIED = ("HEAD", "config", "config.worktree", "description", "hooks", "info", "mesh-clone", "index")
_SECONDS = 3600.0
_LINE = re.compile(rb"([0-9a-f]+) ([0-9a-f]+) (.*)\Z", re.DOTALL)


@dataclass(slots=True)
class Built:
    """What is different. `commits`: those that touched the memory. `renamed`: all that have another name now."""

    paths: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    refs: list[str] = field(default_factory=list)
    signatures: int = 0


@dataclass(frozen=True, slots=True)
class Ref:
    name: str
    object: str
    kind: str
    leads_to: str  # of a symbolic one


def rewritten(repository: Repository, target: Target, wording: Wording, pack: Path | None = None) -> Rewriting:
    """All commits of a repository without the target; written into a new `pack`, unless it is only asked."""
    length = len(next(iter(target.blobs), "")) or 40
    said = repository.git.run("rev-list", "--topo-order", "--reverse", "--all", "--reflog", limit=1 << 30)
    with Objects(repository.git) as store:
        found = Rewriting(store, target.blobs, wording.without, Pack(pack, length) if pack else None)
        for commit in said.decode("ascii").split():
            found.commit(commit)
        for ref in refs(repository):
            found.new(ref.object, ref.kind)
    return found


def told(repository: Repository, found: Rewriting) -> Built:
    """What of it is different."""
    renamed = {old: new for old, new in found.commits.items() if old != new}
    changed = [ref.name for ref in refs(repository) if found.new(ref.object, ref.kind) != ref.object]
    paths = sorted(path.decode("utf-8", "surrogateescape") for path in found.paths)
    return Built(paths, found.touched, renamed, changed, found.signatures)


def refs(repository: Repository) -> list[Ref]:
    form = "--format=%(refname)%00%(objectname)%00%(objecttype)%00%(symref)"
    lines = repository.git.run("for-each-ref", form, limit=1 << 30).decode("utf-8", "surrogateescape").splitlines()
    return [Ref(*line.split("\0")) for line in lines]


def build(
    repository: Repository,
    target: Target,
    wording: Wording,
    place: Path,
    *,
    branch: str,
    person: Person,
    announced: bool,
    purge: str,
) -> Built:
    """Make it at `place`. `announced`: whether a commit says what went. Raises `GitFailed`, `OSError`."""
    old, git = repository.git.git_dir, Git(place, repository.folder)
    _carry(old, place)
    pack = place / "objects" / "pack" / "pack-mesh.pack"
    found = rewritten(repository, target, wording, pack)
    assert found.pack
    if found.pack.close():
        git.run("index-pack", str(pack), seconds=_SECONDS)
    else:
        pack.unlink()
    _write_refs(repository, git, found)
    _drop_from_index(git, target)
    shutil.rmtree(place / "logs", ignore_errors=True)
    _write_logs(old / "logs", place / "logs", found, wording)
    if announced and (head := git.run("rev-parse", "--verify", "--quiet", "HEAD", accepted=(0, 1)).decode().strip()):
        _announce(git, head, branch, target, person)
    # -f: what was written whole, as the new trees are, would stay whole.
    git.run("repack", "-a", "-d", "-f", "-q", "--no-write-bitmap-index", seconds=_SECONDS)
    (place / "objects" / "info" / "alternates").unlink()
    _write_record(old, place, repository, found, target, purge)
    _prove(git, target)
    return told(repository, found)


def _carry(old: Path, place: Path) -> None:
    place.mkdir(mode=0o700)
    for name in (*_CARRIED, *(one.name for one in old.glob("sharedindex.*"))):
        if (old / name).is_dir():
            shutil.copytree(old / name, place / name, symlinks=True)
        elif (old / name).exists():
            shutil.copy2(old / name, place / name)
    for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags"):
        (place / folder).mkdir(parents=True)
    (place / "objects" / "info" / "alternates").write_text(f"{(old / 'objects').absolute()}\n")


def _write_refs(repository: Repository, git: Git, found: Rewriting) -> None:
    lines = list[str]()
    for ref in refs(repository):
        new = found.new(ref.object, ref.kind)
        if new and not ref.leads_to:
            lines.append(f"create {ref.name} {new}\n")
    git.run("update-ref", "--stdin", given="".join(lines).encode("utf-8", "surrogateescape"))
    for ref in refs(repository):
        if ref.leads_to:
            git.run("symbolic-ref", ref.name, ref.leads_to)


def _drop_from_index(git: Git, target: Target) -> None:
    """What else is staged, and what git knows of the files, stays."""
    if not (git.git_dir / "index").exists():
        return
    gone = list[bytes]()
    for line in git.run("ls-files", "--stage", "-z").split(b"\0")[:-1]:
        about, _, path = line.partition(b"\t")
        if about.split()[1].decode() in target.blobs:
            gone.append(path + b"\0")
    git.run("update-index", "--no-split-index", "--clear-resolve-undo")
    git.run("update-index", "--force-remove", "-z", "--stdin", given=b"".join(gone))
    for shared_part in git.git_dir.glob("sharedindex.*"):
        shared_part.unlink()


def _write_logs(old: Path, new: Path, found: Rewriting, wording: Wording) -> None:
    for path in sorted(old.rglob("*")) if old.is_dir() else ():
        if path.is_file():
            lines = (_log_line(line, found, wording) for line in path.read_bytes().splitlines(keepends=True))
            (new / path.relative_to(old)).parent.mkdir(parents=True, exist_ok=True)
            (new / path.relative_to(old)).write_bytes(b"".join(lines))


def _log_line(line: bytes, found: Rewriting, wording: Wording) -> bytes:
    """A line of a reflog with new names; "" for one of a commit that was not there any more."""
    match = _LINE.match(line)
    if not match:
        return b""
    was, now = (match[number].decode() for number in (1, 2))
    if now.strip("0") and now not in found.commits:
        return b""
    was, now = found.commits.get(was, "0" * len(was)), found.commits.get(now, now)
    about, tab, message = match[3].partition(b"\t")
    return f"{was} {now} ".encode() + about + tab + wording.without(message)


def _announce(git: Git, head: str, branch: str, target: Target, person: Person) -> None:
    """A last commit, which changes no file: it tells other clones what went."""
    now = datetime.now(UTC)
    env = person.variables("AUTHOR", now) | person.variables("COMMITTER", now)
    text = record.message(target.name, target.blobs).encode("utf-8", "surrogateescape")
    commit = git.run("commit-tree", f"{head}^{{tree}}", "-p", head, "-F", "-", given=text, env=env).decode().strip()
    git.run("update-ref", "-m", "mesh: purge", f"refs/heads/{branch}", commit, head, env=env)


def _write_record(old: Path, place: Path, repository: Repository, found: Rewriting, target: Target, purge: str) -> None:
    noted = record.Record.of(old)
    noted.add(target.name, target.blobs)
    noted.purge = purge
    at_remote = {ref.name: ref.object for ref in refs(repository)}
    for prefix in (SEEN, FETCHED):  # the first is what the remote has, if both are there
        for name, commit in at_remote.items():
            if name.startswith(prefix) and found.commits[commit] != commit:
                noted.had.setdefault(name.removeprefix(prefix), commit)
    noted.write(place)


def _prove(git: Git, target: Target) -> None:
    """Raise `GitFailed` unless all is there, and nothing of what is to go."""
    git.run("fsck", "--full", "--no-dangling", "--no-progress", seconds=_SECONDS)
    names = "".join(f"{one}\n" for one in target.blobs).encode()
    said = git.run("cat-file", "--batch-check", given=names).decode()
    if any(not line.endswith(" missing") for line in said.splitlines()):
        raise GitFailed("what is to go is still in the new repository; the old one was left as it is")
