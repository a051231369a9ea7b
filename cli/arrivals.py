"""What a pull report and `mesh check` say of memories that contradict or repeat others."""

from __future__ import annotations

from collections.abc import Iterator

from .output import Row, counted, first_line, note, one_line, styled

MOST_SHOWN = 20  # of each kind; --json has all
_TITLE = 60


def summary(row: Row) -> list[str]:
    """`1 contradicts yours`, `2 duplicate yours`: of memories, each of which may do so to several."""
    said = []
    for key, one, several in (
        ("contradicts", "contradicts yours", "contradict yours"),
        ("duplicates", "duplicates yours", "duplicate yours"),
    ):
        if many := len({one["path"] for one in row[key]}):
            said.append(f"{many:,} {one if many == 1 else several}")
    return said


def print_arrivals(row: Row) -> None:
    """Below the summary, three lines for each pair: how near, and in what they differ; both memories."""
    for key, what, colour in (
        ("contradicts", "contradicts yours", "red"),
        ("duplicates", "duplicates yours", "yellow"),
    ):
        rows = row[key]
        for one in rows[:MOST_SHOWN]:
            near = "" if one["similarity"] is None else f" ({one['similarity']:.2f})"
            print(f"  {styled(what, colour)}{near}: {_why(one)}")
            print(f"    {_side(one)}\n    {_side(one['yours'])}")
        if len(rows) > MOST_SHOWN:
            print(f"  {styled(what, colour)}: and {len(rows) - MOST_SHOWN:,} more")
    for line in what_was_not_compared(row):
        note(line)


def _why(one: Row) -> str:
    if "difference" in one:
        return difference(one)
    return {"text": "the same text", "words": "the same words", "meaning": "the same in other words"}[one["same"]]


def difference(one: Row) -> str:
    """The words in which two memories differ."""
    said = [f'"{first_line(one[key], _TITLE)}"' if one[key] else "nothing" for key in ("says", "yours_says")]
    return f"{said[0]}, not {said[1]}" if one["says"] else f"{said[1]} is missing"


def _side(one: Row) -> str:
    """`01kb2x7m9q4d by ana  deploy-day.md  We deploy on Tuesdays`."""
    by = f" by {one_line(one['agent'])}" if one["agent"] else ""
    local = " (local only)" if one["local_only"] else ""
    return (
        f"{styled(one_line(one['id']), 'cyan')}{by}  {one_line(one['path'])}{local}  {first_line(one['title'], _TITLE)}"
    )


def what_was_not_compared(row: Row) -> Iterator[str]:
    if row["compared_by"] == "words":
        yield "there is no model, so what is new was compared by words, not by meaning. Get it: mesh model pull"
    if row["not_compared"]:
        many = counted(row["not_compared"], "memory", "memories")
        yield f"{many} compared by the text only, since not embedded yet: mesh reindex"
