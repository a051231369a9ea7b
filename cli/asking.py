"""`mesh recall`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .options import Agent, Json, Namespace, Since, Tags, Type, Until, opened, words_or_stdin
from .output import Row, about, indented, note, one_line, print_json, styled

if TYPE_CHECKING:
    from mesh.workspace import Receipt

NOTHING_FOUND = 3


def recall(
    query: Annotated[list[str] | None, typer.Argument(help="The question; - reads standard input.")] = None,
    n: Annotated[int, typer.Option("-n", "--count", metavar="N", help="How many at most.")] = 5,
    memory_type: Type = None,
    tag: Tags = None,
    agent: Agent = None,
    since: Since = None,
    until: Until = None,
    min_similarity: Annotated[float, typer.Option(metavar="0..1", help="Only at least this near in meaning.")] = 0.0,
    explain: Annotated[bool, typer.Option("--explain", help="Show how each score comes about.")] = False,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Find memories.

    The files are looked at as they are now: an edit saved a moment ago counts. Exits with 3 if nothing was found.
    """
    with opened(namespace) as mesh:
        results = mesh.recall(
            words_or_stdin(query),
            n=n,
            min_similarity=min_similarity,
            memory_type=memory_type,
            tags=tag,
            source_agent=agent,
            since=since,
            until=until,
        )
    receipt = results.receipt
    assert receipt is not None
    if as_json:
        print_json({"results": list(results), "receipt": receipt.as_dict()})
    else:
        for number, row in enumerate(results, 1):
            _print_hit(number, row, explain)
        _print_receipt(receipt, explain)
    if not results:
        if not as_json:
            note(f"nothing found among {receipt.scanned:,} memories")
        raise typer.Exit(NOTHING_FOUND)


def _print_hit(number: int, row: Row, explain: bool) -> None:
    whole = row["content"] if len(row["content"]) <= 600 else row["passage"]
    text = indented(f"{row['title']}\n{whole}" if row["title"] else whole)
    print(styled(f"{number}.", "cyan", "bold") + text[len(f"{number}.") :])
    similarity = "" if row["similarity"] is None else f"{row['similarity']:.2f} · "
    print(styled(f"   {similarity}{about(row)}", "dim"))
    print(styled(f"   {row['id']}  {one_line(row['path'])}", "dim"))
    if explain:
        print(styled(f"   {_arithmetic(row)}", "yellow"))


def _arithmetic(row: Row) -> str:
    cosine = "none" if row["similarity"] is None else f"{row['similarity']:.3f}"
    words = ", ".join(row["matched_words"]) or "none"
    return (
        f"score {row['score']:+.2f} = meaning {row['meaning_part']:+.2f} (cosine {cosine})"
        f" + words {row['words_part']:+.2f} (BM25 {row['bm25']:.2f}; matched: {words})"
    )


def _print_receipt(receipt: Receipt, explain: bool) -> None:
    if receipt.pending:
        note(f"{receipt.pending:,} memories are not embedded yet and were found by words only. Run: mesh reindex")
    if receipt.unreadable:
        note(f"{len(receipt.unreadable)} files could not be read, such as {receipt.unreadable[0]}. Run: mesh doctor")
    if explain:
        note(
            f"{receipt.scanned:,} files looked at, {receipt.changed:,} had changed, {receipt.problems:,} with problems;"
            f" model: {receipt.model or 'none, by words only'}"
        )
