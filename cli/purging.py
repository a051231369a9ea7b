"""`mesh forget ID --purge-history`: what it asks, and what it says."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

import typer

from mesh.errors import InvalidInput

from .options import opened
from .output import Row, counted, note, one_line, print_json

_SHOWN = 10


def purge(names: Sequence[str], *, push: bool, dry_run: bool, yes: bool, namespace: str | None, as_json: bool) -> None:
    """Take one memory out of files, trash, cache and history."""
    if len(names) != 1:
        raise InvalidInput("one memory is purged at a time", place="forget", remedy="Give one id, all of it")
    if not (yes or dry_run or sys.stdin.isatty()):
        raise InvalidInput("nobody is there to ask", place="forget", remedy="Look with --dry-run, then say --yes")
    with opened(namespace) as mesh:
        if dry_run or not yes:
            row = mesh.purge(names[0], dry_run=True)
            _tell(row, "would go")
        if not (dry_run or yes):
            _ask(row["id"])
        if not dry_run:
            row = mesh.purge(names[0], push=push)
    if as_json:
        print_json(row)
    if not dry_run:
        _tell(row, "gone")
        _tell_what_stays(row)


def _ask(memory_id: str) -> None:
    """Raise `typer.Exit` unless the person types the id."""
    print("This cannot be undone but from the backup. Type the id to purge it: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() != memory_id.lower():
        note("nothing was purged")
        raise typer.Exit(1)


def _tell(row: Row, what: str) -> None:
    shown = [one_line(ref) for ref in row["refs"] if not ref.startswith("refs/mesh/")]
    commits, names = len(row["commits"]), ", ".join(shown[:_SHOWN])
    if row["files"] or not row["pushed"]:
        note(f"{what}: {counted(len(row['files']), 'file')} in the folder and the trash")
    for path in row["files"][:_SHOWN]:
        note(f"   {one_line(path)}")
    if row["versions"]:
        note(f"{what}: {counted(row['versions'], 'version')} in {counted(commits, 'commit')} that changed it")
        renamed = counted(row["renamed"], "commit gets", "commits get") if row["dry_run"] else ""
        done = renamed or counted(row["renamed"], "commit has", "commits have")
        note(f"{done} another name, and so {names or 'no branch'}")
    if row["signatures"]:
        note(f"{counted(row['signatures'], 'signature')} of these commits and tags cannot be kept")
    for path in row["elsewhere"]:
        note(f"the same text is also in {one_line(path)}, which stays")


def _tell_what_stays(row: Row) -> None:
    if row["backup"]:
        folder = shlex.quote(row["backup"])
        note(f"what was there before is in {folder}, with how to bring it back; when you are sure: rm -rf {folder}")
    if not row["remote"]:
        return
    place, branch = shlex.quote(row["namespace"]), row["branch"]
    if row["remote_has_it"] and not row["pushed"]:
        note(f"the remote still has it: mesh forget {shlex.quote(row['id'])} --purge-history --push --yes -N {place}")
        lease = f"--force-with-lease={branch}:{row['had']}"
        note(f"or with git, in that folder: git push {lease} origin {branch}")
    if row["pushed"]:
        note(f"the remote's branch {branch} is the one without it now")
    for ref in row["also_at_remote"]:
        note(f"the remote also has it in {one_line(ref)}: delete or replace that")
    note("what others have cannot be called back: clones, forks, and what the forge keeps of pull requests and caches.")
    note("A secret in it is known by now: replace it where it is used. In other clones: mesh sync --accept rewritten")
