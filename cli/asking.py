"""`mesh recall`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mesh import lease
from mesh.context import said_again

from .options import Agent, At, Json, Namespace, Since, Tags, Type, Until, opened, words_or_stdin
from .output import Row, about, counted, first_line, indented, note, one_line, print_json, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesh.api import Mesh
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
    nearest: Annotated[
        bool, typer.Option("--nearest", help="Show the nearest also where none seems to answer.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show how each score comes about.")] = False,
    at: At = None,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Find memories.

    The files are looked at as they are now: an edit saved a moment ago counts. Exits with 3 if nothing was found, or
    nothing that seems to answer.
    """
    with opened(namespace, at=at) as mesh:
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
    shown = list(results) if results.answered or nearest else []
    if as_json:
        print_json({"results": shown, "answered": results.answered, "receipt": receipt.as_dict()})
    else:
        for number, row in enumerate(shown, 1):
            _print_hit(number, row, explain)
        _print_receipt(receipt, explain, _on_pending(mesh, past=at is not None))
        if not results.answered:
            note(_unanswered(results, mesh.namespace, receipt, nearest))
    if not shown:
        raise typer.Exit(NOTHING_FOUND)


def _unanswered(results: Sequence[Row], namespace: str, receipt: Receipt, shown: bool) -> str:
    """Why nothing is shown, or what to think of what is `shown`."""
    if not results:
        return f"nothing found among {receipt.scanned:,} memories"
    if shown:
        return f"none of these seems to answer; they are what namespace {namespace} has nearest to the question"
    first = max(results, key=lambda row: row["similarity"] or 0.0)
    said = f'{first["similarity"]:.2f}, "{first_line(first["title"] or first["content"], 60)}"'
    return f"nothing in namespace {namespace} seems to answer this; the nearest is {said}. To see it: --nearest"


def _print_hit(number: int, row: Row, explain: bool) -> None:
    whole = row["content"] if len(row["content"]) <= 600 else row["passage"]
    text = indented(f"{row['title']}\n{whole}" if row["title"] else whole)
    print(styled(f"{number}.", "cyan", "bold") + text[len(f"{number}.") :])
    similarity = "" if row["similarity"] is None else f"{row['similarity']:.2f} · "
    print(styled(f"   {similarity}{about(row)}", "dim"))
    print(styled(f"   {row['id']}  {one_line(row['path'])}", "dim"))
    for said in row["notices"]:
        print(styled(f"   ⚠ {one_line(said)}", "yellow"))
    if row["same_as"]:
        print(styled(f"   {one_line(said_again(row['same_as']))}", "dim"))
    if explain:
        print(styled(f"   {_arithmetic(row)}", "yellow"))


def _arithmetic(row: Row) -> str:
    cosine = "none" if row["similarity"] is None else f"{row['similarity']:.3f}"
    words = ", ".join(row["matched_words"]) or "none"
    beside = f" + neighbours {row['neighbours_part']:+.2f}" if row["neighbours_part"] else ""
    beside += f" + time {row['time_part']:+.2f}" if row["time_part"] else ""
    judged = "" if row["rerank_score"] is None else f"; by the reranker {row['rerank_score']:+.3f}"
    return (
        f"score {row['score']:+.2f} = meaning {row['meaning_part']:+.2f} (cosine {cosine})"
        f" + words {row['words_part']:+.2f} (BM25 {row['bm25']:.2f}; matched: {words}){beside}{judged}"
    )


def _on_pending(mesh: Mesh, *, past: bool) -> str:
    """What becomes of memories that have no vector."""
    if past:
        return "Their texts were never embedded here"
    keeper = lease.holder_of(mesh.workspace.vault.home, mesh.namespace)
    return f"Process {keeper.pid} is at it" if keeper else "Run: mesh reindex"


def _print_receipt(receipt: Receipt, explain: bool, on_pending: str) -> None:
    if receipt.unheld:
        note(f"no memory holds {one_line(_quoted(receipt.unheld))} word for word; these hold some of it")
    if receipt.unindexed:
        note(f"{counted(receipt.unindexed, 'file')} not looked at: another process is just indexing them. Ask again")
    if receipt.pending:
        note(f"{receipt.pending:,} memories are not embedded and were found by words only. {on_pending}")
    if receipt.unreadable:
        note(f"{len(receipt.unreadable)} files could not be read, such as {receipt.unreadable[0]}. Run: mesh doctor")
    if explain:
        note(
            f"{receipt.scanned:,} files looked at, {receipt.changed:,} had changed, {receipt.problems:,} with problems;"
            f" model: {receipt.model or 'none, by words only'}{_reranked(receipt)}"
        )


def _quoted(phrases: Sequence[str]) -> str:
    return " and ".join(f'"{phrase}"' for phrase in phrases)


def _reranked(receipt: Receipt) -> str:
    if not (by := receipt.reranked):
        return ""
    return f"; reranker: {one_line(by.name)}, {counted(by.passages, 'passage', 'passages')} in {by.milliseconds:,} ms"
