"""Memories as plain dictionaries: what Python, `--json`, MCP and HTTP all give."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from . import notices
from .learn import Learned
from .memory import LastGood, Memory, iso
from .recall import Hit, Recalled
from .rivals import rival_of
from .workspace import Receipt

Row = dict[str, Any]


class Results(list[Row]):
    """Rows, best first, the receipt of what they were made from, and whether any of them seems to answer."""

    receipt: Receipt | None = None
    answered: bool = True


def result_rows(recalled: Recalled, now: datetime) -> Results:
    """The answer to a question."""
    results = Results(hit_row(hit, now) for hit in recalled.hits)
    results.receipt, results.answered = recalled.receipt, recalled.answered
    return results


def memory_row(memory: Memory, now: datetime) -> Row:
    """One memory. Times are ISO 8601 in UTC, or None."""

    def when(moment: datetime | None) -> str | None:
        return iso(moment) if moment else None

    days = memory.days_until_stale(now)
    return {
        "id": memory.id,
        "content": memory.content,
        "memory_type": memory.type,
        "tags": list(memory.tags),
        "source_agent": memory.agent,
        "confidence": memory.confidence,
        "effective_confidence": round(memory.effective_confidence(now), 4),
        "is_stale": memory.is_stale(now),
        "days_until_stale": None if days is None else round(days, 2),
        "local_only": memory.local_only,
        "created_at": when(memory.born),
        "updated_at": when(memory.updated),
        "expires_at": when(memory.expires),
        "title": memory.title,
        "source": memory.source,
        "evidence": list(memory.evidence),
        "supersedes": list(memory.supersedes),
        "path": memory.path,
        "quarantined": _quarantined(memory.last_good),
        "rival_of": (rival := rival_of(memory)) or None,
        "rivals": [] if rival else [other.id for other in memory.versions],
        "notices": notices.of(memory, now),
    }


def _quarantined(one: LastGood | None) -> Row | None:
    """Of a memory whose file cannot be read: where and why, and the commit that has what is told instead."""
    if one is None:
        return None
    problem = one.problem
    said = {"path": problem.path, "line": problem.line, "cause": problem.cause, "remedy": problem.remedy}
    return said | {"commit": one.commit, "committed_at": iso(one.when)}


def hit_row(hit: Hit, now: datetime) -> Row:
    """A memory that answers a question, with its scores. `similarity` is the cosine, None where there is no vector."""
    return memory_row(hit.memory, now) | {
        "similarity": None if hit.similarity is None else round(hit.similarity, 6),
        "score": round(hit.score, 6),
        "bm25": round(hit.bm25, 6),
        "meaning_part": round(hit.meaning_part, 6),
        "words_part": round(hit.words_part, 6),
        "neighbours_part": round(hit.neighbours_part, 6),
        "time_part": round(hit.time_part, 6),
        "matched_words": list(hit.matched),
        "passage": hit.passage,
        "superseded_by": hit.superseded_by,
        "same_as": list(hit.same),
        "rerank_score": None if hit.rerank_score is None else round(hit.rerank_score, 6),
    }


def learned_row(learned: Learned) -> Row:
    """What became of a text that was to be learned."""
    conflict = learned.conflict
    return {
        "memory_id": learned.memory.id,
        "status": learned.status,
        "path": learned.memory.path,
        "superseded": list(learned.superseded),
        "conflict": conflict
        and {
            "existing_memory_id": conflict.memory.id,
            "existing_content": conflict.memory.content,
            "similarity": None if conflict.similarity is None else round(conflict.similarity, 6),
            "difference": conflict.difference,
            "stored_by": conflict.memory.agent,
            "stored_at": iso(conflict.memory.born) if conflict.memory.born else None,
        },
    }
