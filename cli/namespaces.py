"""`mesh namespaces`, which is also `mesh-namespaces`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .group import new_app
from .options import Json, Yes, confirmed
from .output import Row, age, counted, note, one_line, print_json, styled


class _ListsByDefault(TyperGroup):
    """Without a verb of its own it lists."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        is_list = not args or (args[0].startswith("-") and args[0] not in {"-h", "--help"})
        return super().parse_args(ctx, ["list", *args] if is_list else args)


app = new_app(
    help="List, make, rename, delete and bring back namespaces.\n\nWithout a command: list.", cls=_ListsByDefault
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The namespace.")]


@app.command("list")
def list_namespaces(
    trash: Annotated[bool, typer.Option("--trash", help="Those that were deleted, the latest first.")] = False,
    as_json: Json = False,
) -> None:
    """List them, and how much is in each.

    Each line is a name, how many memories it has, how many of these are local only, and when the last one changed.
    """
    from mesh.namespaces import deleted, listed
    from mesh.settings import Settings

    settings = Settings.from_environment()
    rows = deleted(settings) if trash else listed(settings)
    if as_json:
        print_json(rows)
        return
    for line in _columns([_deleted_cells(row) if trash else _cells(row) for row in rows]):
        print(line)
    if not rows:
        note("no namespace is in the trash" if trash else 'there is none yet. Learn something: mesh learn "..."')


@app.command()
def stats(namespace: Name, as_json: Json = False) -> None:
    """Say what is in one, counted."""
    from mesh.namespaces import stats as counted_of
    from mesh.settings import Settings

    row = counted_of(Settings.from_environment(), namespace)
    if as_json:
        print_json(row)
        return
    for said, value in _facts(row):
        if value:
            print(f"{said:<11} {one_line(str(value))}")


@app.command()
def create(namespace: Name, as_json: Json = False) -> None:
    """Make an empty one. To learn something in one that does not exist makes it as well."""
    from mesh import namespaces
    from mesh.settings import Settings

    settings = Settings.from_environment()
    name = namespaces.create(settings, namespace)
    _done({"namespace": name, "path": str(settings.home / name)}, "created", str(settings.home / name), as_json)


@app.command()
def delete(namespace: Name, yes: Yes = False, as_json: Json = False) -> None:
    """Move one to the trash. It is kept there for 30 days. On a terminal it asks first."""
    from mesh import namespaces
    from mesh.settings import Settings

    settings = Settings.from_environment()
    if sys.stdin.isatty() and not yes:
        found = namespaces.stats(settings, namespace)
        if not confirmed(f"Delete {found['namespace']!r} with {_memories(found)}?", yes):
            note("nothing was deleted")
            raise typer.Exit(1)
    row = _counted(namespace, namespaces.delete(settings, namespace))
    _done(row, "deleted", _memories(row), as_json)
    if not as_json:
        note(f"to bring it back: mesh namespaces restore {row['namespace']}")


@app.command()
def rename(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The name it has.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The name it gets; none may have it.")],
    as_json: Json = False,
) -> None:
    """Give one another name.

    Its local memories, its cache and its trash go along, or nothing does.
    """
    from mesh import namespaces
    from mesh.settings import Settings

    row = _counted(new, namespaces.rename(Settings.from_environment(), old, new))
    _done(row, "renamed", _memories(row), as_json)


@app.command()
def restore(namespace: Name, as_json: Json = False) -> None:
    """Bring back a deleted one: of several of a name the last. See them with: mesh namespaces list --trash"""
    from mesh import namespaces
    from mesh.settings import Settings

    row = _counted(namespace, namespaces.restore(Settings.from_environment(), namespace))
    _done(row, "restored", _memories(row), as_json)


def _counted(namespace: str, memories: int) -> Row:
    from mesh.inputs import namespace as folded

    return {"namespace": folded(namespace), "memory_count": memories}


def _done(row: Row, what: str, about: str, as_json: bool) -> None:
    if as_json:
        print_json(row)
    else:
        print(f"{row['namespace']}\t{what}\t{one_line(about)}")


# --- what a person reads -------------------------------------------------------------------------------------------


def _memories(row: Row) -> str:
    return counted(row["memory_count"], "memory", "memories")


def _cells(row: Row) -> list[str]:
    if row["problem"]:
        return [row["namespace"], styled(one_line(row["problem"]), "red")]
    local = f"{row['local_only_count']:,} local only" if row["local_only_count"] else ""
    return [row["namespace"], f"{row['memory_count']:,}", local, age(row["last_updated"])]


def _deleted_cells(row: Row) -> list[str]:
    return [row["namespace"], f"deleted {row['deleted_at']}"]


def _columns(rows: list[list[str]]) -> list[str]:
    """Aligned: the names left, in the second column numbers right. A row of two cells is a name and a sentence."""
    whole = [row for row in rows if len(row) > 2]
    name = max((len(row[0]) for row in rows), default=0)
    number, local = (max((len(row[i]) for row in whole), default=0) for i in (1, 2))
    lines = []
    for row in rows:
        line = styled(f"{row[0]:<{name}}", "bold") + "  "
        if len(row) == 2:
            lines.append(line + row[1])
            continue
        memories = "memory  " if row[1] == "1" else "memories"
        gap = f"  {row[2]:<{local}}" if local else ""
        lines.append(f"{line}{row[1]:>{number}} {memories}{gap}  {styled(row[3], 'dim')}".rstrip())
    return lines


def _facts(row: Row) -> list[tuple[str, object]]:
    """What `stats` says, in order; nothing where there is nothing to say."""
    local = f", {row['local_only_count']:,} of them local only" if row["local_only_count"] else ""
    return [
        ("namespace", row["namespace"]),
        ("holds", _memories(row) + local),
        ("types", _shares(row["type_breakdown"])),
        ("agents", _shares(row["agents"])),
        ("tags", _shares(row["tags"])),
        ("confidence", "" if row["avg_confidence"] is None else f"{row['avg_confidence']:g} on average"),
        ("oldest", row["oldest_memory"]),
        ("newest", row["newest_memory"]),
        ("stale", row["stale_count"]),
        ("problems", row["problems"] and f"{counted(row['problems'], 'file')} (mesh doctor -N {row['namespace']})"),
        ("trash", row["trash"]),
        ("path", row["path"]),
        ("git", row["git_head"]),
    ]


def _shares(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counts.items())
