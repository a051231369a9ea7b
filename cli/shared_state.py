"""What `mesh status` says of a namespace that is shared."""

from __future__ import annotations

from datetime import UTC, datetime

from .output import Row, age, counted, one_line, styled

_LABEL = "git         "
_BELOW = " " * len(_LABEL)


def print_state(row: Row) -> None:
    """A line of where it goes and when, one of what there is to do, and one for each thing that is in the way."""
    where = f"{row['branch'] or '?'} -> {row['remote']}" if row["remote"] else "no remote yet"
    print(f"{_LABEL}{styled(row['namespace'], 'bold')}  {one_line(where)}, {_synced(row)}")
    if waiting := _waiting(row):
        print(_BELOW + ", ".join(waiting))
    last = row["last_sync"]
    for trouble in filter(None, [row["problem"], last and last["message"]]):
        print(_BELOW + styled("! ", "red") + one_line(trouble))


def _synced(row: Row) -> str:
    last, by = row["last_sync"], row["synced_by"]
    said = "never synced" if last is None else f"{'not synced' if last['error'] else 'synced'} {_ago(last['at'])}"
    return said + (f", every {by['every_seconds']:g} s by process {by['pid']}" if by else "")


def _waiting(row: Row) -> list[str]:
    said = []
    if row["unpushed_commits"]:
        memories = counted(row["unpushed_memories"], "memory", "memories")
        said.append(f"{counted(row['unpushed_commits'], 'commit')} to push ({memories})")
    if row["uncommitted"]:
        said.append(f"{counted(row['uncommitted'], 'change')} to commit")
    if row["kept_back"]:
        said.append(f"{counted(len(row['kept_back']), 'file')} kept back (mesh sync says why)")
    if row["conflicts"]:
        said.append(f"{counted(row['conflicts'], 'conflict')} (mesh conflicts -N {row['namespace']})")
    if row["quarantined"]:
        said.append(f"{counted(row['quarantined'], 'file')} with conflict markers (mesh doctor -N {row['namespace']})")
    if row["hooks"] is False:
        said.append(f"git's hooks are not ours (mesh share {row['namespace']})")
    return said


def _ago(at: str) -> str:
    """`40 s ago`, `5 min ago`, `3 h ago`, `2 days ago`, or the date."""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()
    for unit, length, most in (("s", 1, 100), ("min", 60, 6000), ("h", 3600, 24 * 3600)):
        if 0 <= seconds < most:
            return f"{seconds / length:.0f} {unit} ago"
    return age(at)
