"""Addresses of remotes, and what goes to and comes from them."""

from __future__ import annotations

import os
import re

from ..errors import GitFailed, InvalidInput
from .repository import Repository

# Hooks and settings of a repository on this machine's disk would run as whoever pushes to it.
_ON_DISK = f"git -c core.hooksPath={os.devnull} -c core.fsmonitor=false -c core.alternateRefsCommand=true"
SEEN = (
    "refs/mesh/seen/"  # what a remote had when all of it was last merged; kept so that a rewritten history is noticed
)
FETCHED = "refs/mesh/fetched/"  # what a remote has, as it was last fetched; no branch of anybody's
_SCHEMES = ("https", "ssh", "http", "git", "file")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:(?P<user>[^/@]*)@)?(?P<host>[^/]*)(?P<path>/.*)\Z")
_SCP = re.compile(r"(?:(?P<user>[^/:@\s]+)@)?(?P<host>[^/:@\s]+|\[[0-9A-Fa-f:]+\]):(?P<path>(?!:).+)\Z")
_BRANCH = re.compile(r"(?!.*(?:\.\.|//|@\{|\.lock(?:/|\Z)|/\.))(?![./-])[^\x00-\x20\x7f~^:?*\[\\]{1,200}(?<![./])\Z")


def checked_url(url: str) -> str:
    """An address that git may be given. Raises `InvalidInput`.

    Refused is what git or ssh would read as an option or run as a program (`ext::sh -c ...`, `ssh://-oProxyCommand=`),
    what it would read in more than one way, and a password in it, which would stand in files and logs.
    """
    plain = url.strip()
    if not plain or plain.startswith("-") or not plain.isprintable():
        raise _no_url("it is empty, begins with a hyphen, or holds control characters")
    if re.match(r"[A-Za-z0-9+.-]*::", plain):
        raise _no_url("it names a program of its own to talk to the remote")
    if "://" in plain:
        match = _URL.match(plain)
        if not match:
            raise _no_url("it has no path")
        if match["scheme"].lower() not in _SCHEMES:
            raise _no_url(f"{match['scheme'][:20]}:// is not one of {', '.join(_SCHEMES)}")
        if match["scheme"].lower() != "file" and not match["host"]:
            raise _no_url("it has no host")
        if ":" in (match["user"] or ""):
            raise _no_url("it holds a password", "Leave it out, and let a credential helper of git keep it")
        _refuse_options(match)
    elif _is_path(plain):
        return plain
    elif match := _SCP.match(plain):
        _refuse_options(match)
    else:
        raise _no_url("it is neither a URL, nor host:path, nor an absolute path")
    return plain


def _is_path(url: str) -> bool:
    return url.startswith("/") or re.match(r"[A-Za-z]:[\\/]", url) is not None


def _refuse_options(match: re.Match[str]) -> None:
    parts = (match["user"] or "", match["host"], match["path"].lstrip("/~"))
    if any(part.startswith("-") for part in parts):
        raise _no_url("a part of it begins with a hyphen")


def _no_url(
    cause: str, remedy: str = "Give https://host/team/notes.git, git@host:team/notes.git or /path"
) -> InvalidInput:
    return InvalidInput(cause, place="URL", remedy=remedy)


def checked_branch(name: str) -> str:
    """A branch's name that cannot be read as anything else. Raises `InvalidInput`."""
    if not _BRANCH.match(name):
        raise InvalidInput(f"{name[:40]!r} is not a name for a branch", place="branch", remedy="Give one such as main")
    return name


def _program(url: str, name: str) -> str:
    """The option for what answers at the other end. A server decides that itself, and allows no other words."""
    on_disk = url.lower().startswith("file://") or _is_path(url)
    return f"--{name}={_ON_DISK} {name}" if on_disk else f"--{name}=git-{name}"


def default_branch(repository: Repository, url: str) -> str | None:
    """The branch that a remote's HEAD names; None for an empty remote. Raises `GitFailed`."""
    url = checked_url(url)
    said = repository.git.transfer("ls-remote", "--symref", _program(url, "upload-pack"), "--", url, "HEAD")
    match = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", said, re.MULTILINE)
    return checked_branch(match[1]) if match else None


def fetch(repository: Repository, url: str, branch: str) -> str | None:
    """Bring a remote's branch here, onto no branch of ours; its commit, None if the remote has no such branch.

    git checks every object on the way. Raises `GitFailed`.
    """
    url, target = checked_url(url), FETCHED + checked_branch(branch)
    try:
        repository.git.transfer(
            *("fetch", "--progress", "--no-tags", "--no-recurse-submodules"),
            *("--no-write-fetch-head", "--no-auto-maintenance"),
            *(_program(url, "upload-pack"), "--", url, f"+refs/heads/{branch}:{target}"),
        )
    except GitFailed as error:
        if "couldn't find remote ref" in error.cause:
            return None
        raise
    return repository.commit_of(target)


def seen(repository: Repository, branch: str) -> str | None:
    """What a remote's branch was when it was last merged, as `remember` noted it."""
    return repository.commit_of(SEEN + checked_branch(branch))


def remember(repository: Repository, branch: str, commit: str) -> None:
    """Note that everything of a remote's branch, up to this commit, is in ours."""
    repository.git.run("update-ref", SEEN + checked_branch(branch), commit)


def tip_of(repository: Repository, url: str, branch: str) -> str | None:
    """The commit of a remote's branch, without fetching it; None if there is none. Raises `GitFailed`."""
    return refs_of(repository, url, f"refs/heads/{checked_branch(branch)}").get(f"refs/heads/{branch}")


def refs_of(repository: Repository, url: str, *patterns: str) -> dict[str, str]:
    """What a remote has, by ref; a tag stands for its commit. Raises `GitFailed`."""
    url = checked_url(url)
    said = repository.git.transfer("ls-remote", _program(url, "upload-pack"), "--", url, *patterns)
    found = re.findall(r"^([0-9a-f]{40,64})\t(\S+)$", said, re.MULTILINE)
    return {name.removesuffix("^{}"): commit for commit, name in found}


def push(repository: Repository, url: str, commit: str, branch: str, *, lease: str | None = None) -> None:
    """Give a remote a commit as its branch. Raises `RemoteMoved` if that would drop somebody's, `GitFailed`.

    `lease`: what the branch must be now; then it is replaced, whatever of it is dropped.
    """
    url = checked_url(url)
    over = [f"--force-with-lease=refs/heads/{branch}:{lease}"] if lease else []
    repository.git.transfer(
        *("push", "--progress", "--no-verify", "--no-signed", "--no-follow-tags", "--recurse-submodules=no"),
        *over,
        *(_program(url, "receive-pack"), "--", url, f"{commit}:refs/heads/{checked_branch(branch)}"),
    )
