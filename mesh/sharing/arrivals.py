"""What of what arrived contradicts, or repeats, a memory that was here before.

Candidates are the memories with the same text, and the nearest ones: by meaning, or without a model by words. Whether
a candidate says the same (`folding`, and `disagreement` for other words) or the contrary is then judged pair by pair.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .. import embed
from ..disagreement import disagreement, says_the_same
from ..errors import LockTimeout
from ..folding import said
from ..index import pairs, superseded
from ..index.filters import Filters
from ..index.lexical import Matches
from ..index.manifest import SERVED
from ..index.question import Question
from ..learn import COMPARED
from ..listing import read
from ..memory import Memory
from ..rivals import rival_of
from ..workspace import Workspace

if TYPE_CHECKING:
    from ..embedding.protocol import Embedder

Row = dict[str, Any]

MIN_COSINE = 0.60  # of two memories that are looked at for a contradiction
SAME_COSINE = 0.83  # of two that say the same in other words, if nothing in them differs that could matter
MOST_EMBEDDED = 500  # memories that a report embeds; where more arrived, the rest is left to the next recalls
MOST_BY_WORDS = 200  # memories that are compared where there is no model
EMBEDDING_SECONDS = 30.0  # to wait for another process that embeds
_AT_ONCE = 500

_Near = tuple[int, int, float | None]  # file, other file, cosine


@dataclass(slots=True)
class Compared:
    """`compared_by`: "meaning", "words" (there is no model), or "" where there was nothing to compare with.

    `not_compared`: how many memories, of what arrived or of what was here, were compared for the same text only.
    """

    contradicts: list[Row] = field(default_factory=list)
    duplicates: list[Row] = field(default_factory=list)
    compared_by: str = ""
    not_compared: int = 0


def compared(workspace: Workspace, arrived: Collection[str], *, most_embedded: int = MOST_EMBEDDED) -> Compared:
    """Compare memories that arrived, by their paths in the home, with all others of the namespace."""
    if not arrived:
        return Compared()
    with workspace.turn:
        return workspace.cache.run(lambda: _compared(workspace, arrived, most_embedded))


def _compared(workspace: Workspace, arrived: Collection[str], most_embedded: int) -> Compared:
    workspace.refresh()
    files = _files(workspace, arrived)
    if not files or len(files) == _count(workspace):
        return Compared()
    embedder = workspace.embedder
    if embedder is None:
        near, left = _near_by_words(workspace, files)
    else:
        near, left = _near_by_meaning(workspace, embedder, files, most_embedded)
    result = Compared(compared_by="words" if embedder is None else "meaning", not_compared=left)
    _judge(workspace, [*_same_text(workspace, files), *near], result)
    return result


def _files(workspace: Workspace, paths: Iterable[str]) -> dict[int, str]:
    """The numbers in the manifest of what is served of some paths."""
    found: dict[int, str] = {}
    for some in _chunks(list(paths)):
        ask = f"SELECT file_id, path FROM files WHERE state = {SERVED} AND path IN ({_marks(some)})"
        found |= workspace.cache.manifest.db.execute(ask, some).fetchall()
    return found


def _count(workspace: Workspace) -> int:
    ask = f"SELECT count(*) FROM files WHERE state = {SERVED}"
    return int(workspace.cache.manifest.db.execute(ask).fetchone()[0])


def _chunks(some: list[Any]) -> Iterator[list[Any]]:
    return (some[start : start + _AT_ONCE] for start in range(0, len(some), _AT_ONCE))


def _marks(some: Collection[object]) -> str:
    return ", ".join("?" * len(some))


# --- candidates ----------------------------------------------------------------------------------------------------


def _same_text(workspace: Workspace, files: dict[int, str]) -> Iterator[_Near]:
    for some in _chunks(list(files)):
        rows = workspace.cache.manifest.db.execute(
            "SELECT a.file_id, b.file_id FROM files a CROSS JOIN files b INDEXED BY files_by_text"
            " ON b.text_digest = a.text_digest"
            f" WHERE a.file_id IN ({_marks(some)}) AND b.state = {SERVED} ORDER BY a.path, b.path",
            some,
        )
        yield from ((one, other, None) for one, other in rows.fetchall() if other not in files)


def _near_by_meaning(
    workspace: Workspace, embedder: Embedder, files: dict[int, str], most: int
) -> tuple[list[_Near], int]:
    """The nearest of each, and how many memories have no vectors."""
    cache = workspace.cache
    if cache.writable:
        _embed(workspace, embedder, files, most)
    matrix = cache.matrix(embedder)
    with cache.manifest.reading():
        found = pairs.nearest(cache.manifest, matrix, files, limit=COMPARED, least=MIN_COSINE)
        return list(found), embed.pending(cache, embedder)


def _embed(workspace: Workspace, embedder: Embedder, files: dict[int, str], most: int) -> None:
    """Embed all that is pending if that is little, else what arrived, if that is."""
    cache, vault = workspace.cache, workspace.vault
    try:
        if embed.pending(cache, embedder) <= most:
            embed.embed_pending(vault, cache, embedder, patience_seconds=EMBEDDING_SECONDS)
        else:
            for path in list(files.values())[:most]:
                embed.embed_file(vault, cache, embedder, path)
    except LockTimeout:
        return  # another process is at it: what has no vectors yet is counted


def _near_by_words(workspace: Workspace, files: dict[int, str]) -> tuple[list[_Near], int]:
    found: list[_Near] = []
    with workspace.cache.manifest.reading():
        for number, path in list(files.items())[:MOST_BY_WORDS]:
            if memory := read(workspace, path, Filters()):
                matches = Matches(workspace.cache.lexicon, Question.plain(memory.content))
                others = [other for other in matches.best(2 * COMPARED, "", []) if other not in files]
                found += [(number, other, None) for other in others[:COMPARED]]
    return found, max(0, len(files) - MOST_BY_WORDS)


# --- judgement -----------------------------------------------------------------------------------------------------


def _judge(workspace: Workspace, near: list[_Near], result: Compared) -> None:
    numbers = {number for one, other, _ in near for number in (one, other)}
    memories = _memories(workspace, numbers)
    replaced = superseded.by(workspace.cache.manifest, numbers, local=True)
    cosines = {(one, other): cosine for one, other, cosine in near if cosine is not None}
    now = datetime.now(UTC)
    for one, other in sorted({(one, other) for one, other, _ in near}):
        mine, its = memories.get(other), memories.get(one)
        if mine is None or its is None or {one, other} & replaced.keys() or _belong_together(mine, its):
            continue
        cosine = cosines.get((one, other))
        row = _row(workspace, its, mine, cosine)
        if same := _how_the_same(its, mine, cosine):
            result.duplicates.append(row | {"same": same})
        elif not (_has_expired(mine, now) or _has_expired(its, now)) and (
            found := disagreement(its.title, its.content, mine.title, mine.content)
        ):
            result.contradicts.append(row | {"difference": found.kind, "says": found.one, "yours_says": found.other})
    for rows in (result.contradicts, result.duplicates):
        rows.sort(key=lambda row: (-(row["similarity"] or 0), row["path"], row["yours"]["path"]))


def _memories(workspace: Workspace, numbers: Collection[int]) -> dict[int, Memory]:
    found: dict[int, Memory] = {}
    for some in _chunks(list(numbers)):
        ask = f"SELECT file_id, path FROM files WHERE file_id IN ({_marks(some)})"
        for number, path in workspace.cache.manifest.db.execute(ask, some).fetchall():
            if memory := read(workspace, path, Filters()):
                found[number] = memory
    return found


def _belong_together(one: Memory, other: Memory) -> bool:
    """Whether one names the other as its rival, which is told as a conflict, or as what it supersedes."""
    for this, that in ((one, other), (other, one)):
        if that.id in this.supersedes:
            return True
        if (name := rival_of(this)) and (name.lower() == that.id.lower() or that.path.endswith(name)):
            return True
    return False


def _has_expired(memory: Memory, now: datetime) -> bool:
    return memory.expires is not None and memory.expires <= now


def _how_the_same(one: Memory, other: Memory, cosine: float | None) -> str:
    """ "text", "words" (but for case and punctuation), "meaning"; "" for two that do not say the same."""
    if one.source and other.source and said(one) != said(other):
        return ""  # in a conversation, to say it again is another event
    if one.content == other.content:
        return "text"
    if said(one) == said(other):
        return "words"
    near = cosine is not None and cosine >= SAME_COSINE
    return "meaning" if near and says_the_same(one.title, one.content, other.title, other.content) else ""


def _row(workspace: Workspace, its: Memory, mine: Memory, cosine: float | None) -> Row:
    similarity = None if cosine is None else round(cosine, 2)
    return side(workspace, its) | {"similarity": similarity, "yours": side(workspace, mine)}


def side(workspace: Workspace, memory: Memory) -> Row:
    """A memory in a report: `id, path` (in the namespace), `agent, title` (or its first line), `local_only`."""
    return {
        "id": memory.id,
        "path": memory.path.removeprefix(f"{workspace.namespace}/"),
        "agent": memory.agent,
        "title": memory.title or memory.content.strip().partition("\n")[0],
        "local_only": memory.local_only,
    }
