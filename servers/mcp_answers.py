"""What a tool answers: a text to read, marked as reference data, and the same as lean data; short enough to be read.

Clients that get data drop the text beside it, so the text stands in the data; and what is much longer than a context
is put into a file by some, with the beginning for the model. So a long memory is cut where it answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from mesh.context import NOTICE, render

Row = dict[str, Any]
Build = Callable[[Sequence[Row]], Row]

MOST_CHARACTERS = 30_000  # of one answer as it is sent: its data, and its text once more
SHARES = (9_000, 4_000, 2_000, 1_000, 500, 250, 120)  # characters that each memory may have
MOST_UNREADABLE = 5  # are named
_OPTIONAL = (
    *("title", "created_at", "updated_at", "expires_at", "source", "evidence", "supersedes", "same_as", "cut"),
    *("quarantined", "rival_of", "rivals"),
)


def fitted(rows: Sequence[Row], build: Build) -> Row:
    """What `build` makes of the rows, each cut to the largest share at which all of it fits, else of fewer rows."""
    for share in SHARES:
        answer = build([cut(row, share) for row in rows])
        if _size(answer) <= MOST_CHARACTERS:
            return answer
    return fitted(rows[: len(rows) * 4 // 5], build) if len(rows) > 1 else answer


def _size(answer: Row) -> int:
    return len(json.dumps(answer, ensure_ascii=False)) + len(json.dumps(answer["text"], ensure_ascii=False))


def cut(row: Row, share: int) -> Row:
    """The row with at most that many characters of its content, from where its passage begins."""
    content = row["content"]
    if len(content) <= share:
        return row
    start = max(0, min(content.find(row.get("passage", "")), len(content) - share))
    return part(row, start, start + share)


def part(row: Row, start: int, stop: int) -> Row:
    """The row with these characters of its content, marked as a part."""
    content = row["content"]
    stop = min(stop, len(content))
    before, after = "[...] " if start else "", " [...]" if stop < len(content) else ""
    said = f"characters {start:,} to {stop:,} of {len(content):,}"
    return row | {"content": f"{before}{content[start:stop]}{after}", "cut": said}


def lean(row: Row) -> Row:
    """What a client is sent of a memory."""
    kept = {key: row[key] for key in ("id", "content", "memory_type", "tags", "source_agent")}
    kept |= {key: row[key] for key in _OPTIONAL if row.get(key)}
    if row["effective_confidence"] != 1:
        kept["confidence"] = row["effective_confidence"]
    if said := labels(row):
        kept["labels"] = said
    kept |= {key: row[key] for key in ("similarity", "score") if key in row}
    return kept | {"path": row["path"]}


def labels(row: Row) -> list[str]:
    """What a reader should know before relying on a memory."""
    said = ["stale"] if row["is_stale"] else []
    if row.get("superseded_by"):
        said.append(f"superseded by {row['superseded_by']}")
    if row["local_only"]:
        said.append("local only")
    return [*said, *row["notices"]]


def text_of(rows: Sequence[Row], namespace: str, *notes: str, say_what_is_cut: bool = True) -> str:
    """The rows as Markdown, marked as reference data, and what there is to note about them."""
    shortened = [row["id"] for row in rows if "cut" in row]
    if shortened and say_what_is_cut:
        notes = (*notes, f"Cut, marked [...]: {', '.join(shortened)}. mesh_inspect with the memory_id gives all of it.")
    return "\n".join([render(rows, "markdown", namespace)[0], *filter(None, notes)]).rstrip() + "\n"


def quoted(text: str) -> str:
    """Somebody else's text within a text of ours."""
    lines = "\n".join(f"> {line}".rstrip() for line in text.splitlines())
    return f"_{NOTICE}_\n\n{lines}"


def lean_receipt(receipt: Row) -> Row:
    """The receipt, with a few of the files that cannot be read."""
    return receipt | {"unreadable": receipt["unreadable"][:MOST_UNREADABLE]}


def unanswered(results: Sequence[Row], namespace: str) -> str:
    """What is said instead of memories that do not seem to answer."""
    nearest = max(row["similarity"] or 0.0 for row in results)
    return (
        f"Nothing in namespace {namespace} seems to answer this: the nearest of its memories has a similarity of "
        f"{nearest:.2f}, and few of the words. With `nearest` you get what is nearest all the same."
    )


def how_found(results: Sequence[Row], receipt: Row) -> str:
    """How near the results are, and what their order does not rest on."""
    if receipt["lexical_only"]:
        return "Found by words only: there is no embedding model here."
    near = ", ".join("unknown" if row["similarity"] is None else f"{row['similarity']:.2f}" for row in results)
    pending, unheld = receipt["pending"], receipt["unheld"]
    loosely = f" None holds {' and '.join(map(quoted, unheld))} word for word." if unheld else ""
    later = f" {pending:,} more are not embedded yet." if pending else ""
    later += f" {receipt['unindexed']:,} more files are just being indexed: ask again." if receipt["unindexed"] else ""
    return f"Similarity, in this order: {near}.{loosely}{later}"
