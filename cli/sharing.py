"""`mesh share`, `mesh clone`, `mesh conflicts`, `mesh resolve`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mesh.errors import InvalidInput

from .arrivals import print_arrivals, summary
from .learning import run_editor
from .looking import Name
from .options import Json, Namespace, opened
from .output import Row, age, counted, note, one_line, print_json, styled, visible

Url = Annotated[
    str | None, typer.Argument(metavar="URL", help="https://host/team/notes.git, git@host:team/notes.git or /path.")
]
Accept = Annotated[
    list[str] | None,
    typer.Option(
        "--accept", metavar="WHAT", help="Go on with a remote that was rewritten, is unrelated or gone, or purged here."
    ),
]


def share(
    namespace: Annotated[str, typer.Argument(metavar="NS", help="The namespace.")],
    url: Url = None,
    accept: Accept = None,
    hooks: Annotated[
        bool | None,
        typer.Option("--hooks/--no-hooks", help="Hold git's own commands there to the same rules.  [default: hooks]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Its folder becomes a git repository, connected to URL, and is synced.

    What is local_only, and what looks like a secret, stays on this machine. Without URL it is only committed.
    """
    from mesh.functions import share_namespace

    _told([share_namespace(namespace, url or "", accept=accept or (), hooks=hooks)], as_json)


def clone(
    url: Annotated[str, typer.Argument(metavar="URL", help="What somebody shares.")],
    namespace: Annotated[str | None, typer.Argument(metavar="NS", help="[default: how URL ends]")] = None,
    as_json: Json = False,
) -> None:
    """What may not come in is named, and not written."""
    from mesh.functions import clone_namespace

    _told([clone_namespace(url, namespace or "")], as_json)


def conflicts(namespace: Namespace = None, as_json: Json = False) -> None:
    """Each with whose texts they are, since when, and how they differ."""
    with opened(namespace) as mesh:
        rows, broken = mesh.conflicts(), [] if as_json else mesh.quarantined()
    if as_json:
        print_json(rows)
        return
    for row in rows:
        print(styled(f"{row['id'] or row['name']}\t{one_line(row['path'] or 'gone')}", "bold"))
        for side, prefix in (("ours", ""), ("theirs", "rival_")):
            who = [visible(row[f"{prefix}agent"]), age(row[f"{prefix}since"])]
            print(f"  {side}: {', '.join(filter(None, who)) or 'unknown'}  {one_line(row[f'{prefix}path'] or '')}")
        for line in row["diff"][2:]:
            print("    " + styled(one_line(line), {"-": "red", "+": "green"}.get(line[:1], "dim")))
    for one in broken:
        note(
            f"{one['path']}:{one['line']}: {one['cause']}; it is served as commit {one['commit'][:7]} has it."
            f" {one['remedy']}: mesh edit {one['path']}"
        )
    if rows:
        note("to settle one: mesh resolve ID --ours, --theirs, --both or --edit")
    elif not broken:
        note("there are no conflicts")


def resolve(
    memory_id: Name,
    ours: Annotated[bool, typer.Option("--ours", help="Keep the memory as it stands.")] = False,
    theirs: Annotated[bool, typer.Option("--theirs", help="Take its rival in its place.")] = False,
    both: Annotated[bool, typer.Option("--both", help="Keep both, as two memories.")] = False,
    edit: Annotated[bool, typer.Option("--edit", help="Open both in your editor.")] = False,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """What goes is kept in the trash. The next sync tells the others."""
    chosen = [name for name, is_on in (("ours", ours), ("theirs", theirs), ("both", both), ("edit", edit)) if is_on]
    if len(chosen) != 1:
        raise InvalidInput(
            "it can be settled in one way", place="resolve", remedy="Say --ours, --theirs, --both or --edit"
        )
    with opened(namespace) as mesh:
        row = mesh.resolve(memory_id, text=_edited(mesh, memory_id)) if edit else mesh.resolve(memory_id, chosen[0])
    if as_json:
        print_json(row)
    else:
        print(f"{row['id']}\tresolved\t{one_line(row['path'])}")


def _edited(mesh: Any, memory_id: str) -> bytes:
    """Both texts, as a person leaves them."""
    import tempfile
    from pathlib import Path

    from mesh.sharing.settling import both_sides, is_undecided

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "both.md"
        file.write_bytes(both_sides(mesh.workspace, memory_id))
        run_editor(file)
        text = file.read_bytes()
    if is_undecided(text):
        raise InvalidInput("there are conflict markers left; nothing was changed", place="resolve", remedy="Edit again")
    return text


# --- what a person reads -------------------------------------------------------------------------------------------


def _told(rows: list[Row], as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        print_syncs(rows)


def print_syncs(rows: list[Row]) -> None:
    for row in rows:
        if "error" in row:
            note(f"{row['namespace']}: {row['message']}")
            continue
        print(f"{styled(row['namespace'], 'bold')}\t{_summary(row)}")
        print_arrivals(row)
        for one in row["purged"]:
            note(f"purged, as others did: {one['id']}; what was there before: {one['backup']}. Delete that when sure")
        for what, key in (("not committed", "kept_back"), ("not written", "left_out")):
            for one in row[key]:
                place = f"{one['path']}:{one['line']}" if one["line"] else one["path"]
                note(f"{what}: {place}: {one['cause']}. {one['remedy']}")
        for one in row["notes"]:
            if line := _LINES.get(one["kind"]):
                note(line.format(**one))


_LINES = {
    "kept": "{path}: deleted on one side, changed on the other: it stays",
    "renamed": "{path}: another file has its name, {other}",
    "broken": "{path}: it arrived in a form that cannot be read, and is not written",
}


def _summary(row: Row) -> str:
    """`pushed 3, received 5: 4 new, 1 changed; 1 conflict: mesh conflicts`."""
    if "project" in row:
        push = f"to push is the project's own work: git -C {one_line(row['project'])} push"
        return f"committed {len(row['committed'])}; {push}" if row["committed"] else "nothing new"
    received = {name: len(row[name]) for name in ("new", "changed", "gone")}
    parts = [f"pushed {len(row['pushed'])}"] if row["pushed"] else []
    if total := sum(received.values()):
        said = ", ".join(f"{number} {name}" for name, number in received.items() if number)
        parts.append(f"received {total}: {said}")
    text = ", ".join(parts) or ("nothing new" if row["remote"] else "committed; there is no remote yet")
    text = "; ".join([text, *filter(None, [", ".join(summary(row))])])
    many = len(row["conflicts"])
    return f"{text}; {counted(many, 'conflict')}: mesh conflicts -N {row['namespace']}" if many else text
