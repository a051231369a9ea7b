"""`mesh log`, `mesh diff`, `mesh blame`, `mesh bisect`, `mesh undo`."""

from __future__ import annotations

import difflib
import sys
from typing import Annotated

import typer

from .looking import Name
from .options import Agent, Json, Namespace, Since, Until, Yes, confirmed, opened, words_or_stdin
from .output import Row, about, counted, first_line, indented, note, one_line, print_json, print_json_lines, styled

_SHORT = 12  # characters of a commit's id
_ADDED, _REMOVED = "green", "red"
_COLOURS = {"learned": _ADDED, "forgot": _REMOVED, "updated": "yellow", "moved": "cyan"}


def log(
    memory_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Only of this memory, also of one that is gone.")
    ] = None,
    n: Annotated[int | None, typer.Option("-n", "--count", metavar="N", help="At most so many.")] = None,
    agent: Agent = None,
    since: Since = None,
    until: Until = None,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Say what happened to memories, the latest first.

    A line a change: when, who, what happened, the id, the first words. Memories are followed over renames. Who did it
    is the memory's agent where the commit brought that name in, else the commit's author. With --json a line is an
    object.
    """
    with opened(namespace) as mesh:
        rows = mesh.log(memory_id, source_agent=agent, since=since, until=until, limit=n)
    if as_json:
        print_json_lines(rows)
    else:
        for row in rows:
            print(_change(row))


def _change(row: Row) -> str:
    happened = styled(f"{row['happened']:<8}", _COLOURS[row["happened"]])
    moved = f"  ({one_line(row['was'])} -> {one_line(row['path'])})" if row["was"] else ""
    words = first_line(row["first_words"], 80) if row["readable"] else f"{one_line(row['path'])}, which is not readable"
    when = row["when"].replace("T", " ").removesuffix("Z")
    return f"{when}  {one_line(row['who']):<14}  {happened} {styled(one_line(row['id']), 'cyan')}  {words}{moved}"


def diff(
    old: Annotated[str | None, typer.Argument(metavar="[REV]", help="From here. [default: the last commit]")] = None,
    new: Annotated[str | None, typer.Argument(metavar="[REV]", help="To here. [default: the files now]")] = None,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Say which memories differ, and how: from one commit or time to another, or to the files as they are now.

    What is local_only is in no commit, and left out.
    """
    with opened(namespace) as mesh:
        rows = mesh.diff(old, new)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        _print_difference(row)
    if not rows:
        note("nothing differs")


def _print_difference(row: Row) -> None:
    words = first_line(row["first_words"], 80) if row["readable"] else "which is not readable"
    print(f"{styled(row['happened'], _COLOURS[row['happened']])} {styled(one_line(row['id']), 'cyan')}  {words}")
    if row["was"]:
        print(f"   {one_line(row['was'])} -> {one_line(row['path'])}")
    if row["happened"] != "updated":
        return
    for key, (was, now) in row["fields"].items():
        print(f"   {key}: {_said(was)} -> {_said(now)}")
    before, after = ((row[key] or "").split("\n") for key in ("content_before", "content_after"))
    for line in difflib.ndiff(before, after):
        if line[0] in "+-":
            print(styled(f"   {one_line(line)}", _ADDED if line[0] == "+" else _REMOVED))


def _said(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    return one_line(text) or "none"


def blame(memory_id: Name, namespace: Namespace = None, as_json: Json = False) -> None:
    """Say who wrote each line of a memory's file, when, and in which commit."""
    with opened(namespace) as mesh:
        rows = mesh.blame(memory_id)
    if as_json:
        print_json(rows)
        return
    wide = max([len(one_line(row["who"])) for row in rows] + [len("not committed")])
    for row in rows:
        when = (row["when"] or "").replace("T", " ").removesuffix("Z")
        who = one_line(row["who"]) if row["commit"] else "not committed"
        commit = (row["commit"] or "")[:_SHORT]
        print(f"{styled(f'{commit:<{_SHORT}}', 'dim')}  {when:<19}  {who:<{wide}}  {one_line(row['text'])}")


def bisect(
    query: Annotated[list[str] | None, typer.Argument(help="The question; - reads standard input.")] = None,
    good: Annotated[str, typer.Option("--good", metavar="REV|TIME", help="When the answer was another one.")] = "",
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Find the commit that taught the answer that recall has first now.

    Recall is asked at commits between --good and the last one, by halves. What is local_only does not count.
    """
    if not good:
        raise typer.BadParameter(
            "it is needed: a commit or a time at which the answer was another one", param_hint="--good"
        )
    with opened(namespace) as mesh:
        row = mesh.bisect(words_or_stdin(query), good)
    if as_json:
        print_json(row)
        return
    memory = row["memory"]
    print(indented(f"{memory['title']}\n{memory['content']}" if memory["title"] else memory["content"]))
    print(styled(f"   {about(memory)}\n   {memory['id']}  {one_line(memory['path'])}", "dim"))
    print(f"the first answer since {row['commit'][:_SHORT]}, {row['when']}, {one_line(row['author'])}:")
    print(f"   {one_line(row['subject'])}")
    if row["change"]:
        print(f"it was {row['change']['happened']} there by {one_line(row['change']['who'])}")
    else:
        _print_why(row)
    if row["instead_of"]:
        before = row["instead_of"]
        print(f"before: {before['id']}  {first_line(before['title'] or before['content'], 80)}")


def _print_why(row: Row) -> None:
    """That commit did not touch the memory: who wrote it, and what the commit did."""
    if wrote := row["wrote"]:
        print(
            f"it did not change there; {one_line(wrote['who'])} wrote it in {wrote['commit'][:_SHORT]}, {wrote['when']}"
        )
    for change in row["others"][:10]:
        print(f"   {change['happened']} there: {one_line(change['id'])}  {first_line(change['first_words'], 80)}")


def undo(
    agent: Annotated[str, typer.Option("--agent", "-a", metavar="NAME", help="Whose changes.")],
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="From then on: 2026-01-31, 3d, yesterday.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be undone.")] = False,
    yes: Yes = False,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Undo all that an agent changed since some time, byte for byte, as a new commit of yours.

    Where others changed the same memory afterwards only the agent's part is taken out; where that cannot be told
    apart, the memory is left and shown. What is replaced goes to the trash. On a terminal it asks first.
    """
    with opened(namespace) as mesh:
        asks = sys.stdin.isatty() and not yes and not dry_run
        row = mesh.undo(agent, since, dry_run=True) if asks or dry_run else None
        if asks and row:
            _print_undone(row, would=True)
            if not row["memories"] or not confirmed("Undo this?", yes):
                note("nothing was undone")
                raise typer.Exit(1)
        if not dry_run:
            row = mesh.undo(agent, since)
    assert row
    if as_json:
        print_json(row)
    else:
        _print_undone(row, would=dry_run)
    _print_rest(row, agent)


def _print_undone(row: Row, *, would: bool) -> None:
    for one in row["memories"]:
        reason = f" ({one['reason']})" if one["reason"] else ""
        print(f"{one_line(one['id'])}\t{one['happens']}{reason}\t{first_line(one['first_words'], 80)}")
    left = sum(one["happens"] == "left" for one in row["memories"])
    done = counted(len(row["memories"]) - left, "memory", "memories")
    if would:
        note(f"{done} would be undone{f', {left} left' if left else ''}")
    elif row["commit"]:
        note(f"{done} undone in {row['commit'][:_SHORT]}{f', {left} left' if left else ''}; old files are in the trash")


def _print_rest(row: Row, agent: str) -> None:
    if not row["memories"]:
        note(f"no commit since then has changes of {agent}")
    if row["uncommitted"]:
        many = counted(len(row["uncommitted"]), "memory", "memories")
        note(f"{many} of {agent} not committed yet, left as they are: {', '.join(row['uncommitted'][:5])}")
    if row["local_only"]:
        note(
            f"{counted(row['local_only'], 'local_only memory', 'local_only memories')} of {agent} not in git: untouched"
        )
