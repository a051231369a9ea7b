"""Words: which of a question's count, and BM25 over the manifest's FTS5 table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import PurePosixPath

from ..memory import Memory
from .manifest import Manifest

MAX_TERMS = 48
_WORD = re.compile(r"[^\W_]+")
_MADE_NAME = re.compile(r"--[0-9a-z]{12,16}\.md\Z")
# Left out of a question, never of a memory: they are in nearly every text, and each costs a scan of it.
STOP_WORDS = frozenset(
    """a about above after again all also am an and any are aren as at be because been before being below between
    both but by can cannot could couldn d did didn do does doesn doing don down during each ever few for from
    further get gets had hadn has hasn have haven having he her here hers herself him himself his how i if in
    into is isn it its itself just kindly let ll m may me might more most must my myself no nor not now of off
    on once only or other our ours ourselves out over own please re s same shall she should shouldn so some
    such t tell than that the their theirs them themselves then there these they this those through to too
    under until up us ve very was wasn we were weren what when where which while who whom whose why will with
    won would wouldn yes you your yours yourself yourselves""".split()
)


def terms(question: str) -> list[str]:
    """The words of a question that count, each once, in order. A question of stop words only keeps them."""
    found = list(dict.fromkeys(word.lower() for word in _WORD.findall(question)))
    return [word for word in found if word not in STOP_WORDS][:MAX_TERMS] or found[:MAX_TERMS]


def about(memory: Memory) -> str:
    """What is searchable besides the content: title, type, tags, author, source, dates, and a name people gave."""
    parts = [memory.title, memory.type, *memory.tags, memory.agent, memory.source]
    if memory.born:
        parts.append(date_words(memory.born))
    if not (_MADE_NAME.search(memory.path) or f"--{memory.id[:12]}" in memory.path):
        parts.append(PurePosixPath(memory.path).stem)
    parts += PurePosixPath(memory.path).parts[1:-1]
    return " ".join(part for part in parts if part)


def date_words(moment: datetime) -> str:
    """`Sunday 22 November 2026`."""
    return f"{moment:%A} {moment.day} {moment:%B %Y}"


def match_expression(words: Sequence[str]) -> str:
    """An FTS5 query for any of some words."""
    return " OR ".join(f'"{word}"' for word in words)


def best(
    manifest: Manifest, words: Sequence[str], limit: int, where: str, values: Sequence[object]
) -> dict[int, float]:
    """BM25, above 0, of the `limit` best files among those that `where` (a condition on `files`) admits."""
    if not words:
        return {}
    # The plus keeps SQLite from running the query once for each file: it is run once, and filtered.
    rows = manifest.db.execute(
        "SELECT rowid, -rank FROM words WHERE words MATCH ?"
        f" AND +rowid IN (SELECT file_id FROM files WHERE {where}) ORDER BY rank LIMIT ?"
        if where
        else "SELECT rowid, -rank FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?",
        (match_expression(words), *values, limit),
    )
    return dict(rows.fetchall())


def scores(manifest: Manifest, words: Sequence[str], files: Iterable[int]) -> dict[int, float]:
    """The BM25 of given files; those without any of the words are left out."""
    wanted = list(files)
    if not words or not wanted:
        return {}
    rows = manifest.db.execute(
        f"SELECT rowid, -rank FROM words WHERE words MATCH ? AND +rowid IN ({', '.join('?' * len(wanted))})",
        (match_expression(words), *wanted),
    )
    return dict(rows.fetchall())


def matched(manifest: Manifest, words: Sequence[str], files: Iterable[int]) -> dict[int, list[str]]:
    """Of each file, those of the words, as asked, that it holds in some form."""
    found: dict[int, list[str]] = {file_id: [] for file_id in files}
    ask = f"SELECT rowid FROM words WHERE words MATCH ? AND rowid IN ({', '.join('?' * len(found))})"
    for word in words:
        for (file_id,) in manifest.db.execute(ask, (f'"{word}"', *found)):
            found[file_id].append(word)
    return found
