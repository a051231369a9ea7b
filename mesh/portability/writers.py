"""The files that an export can be: JSON, JSON Lines, a tar archive. Each is written to a file that can be sought in."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import IO, Any

from ..memory import Memory, iso
from .shareable import Shareable, Shared

Row = dict[str, Any]
DAY = timedelta(days=1)


def write_json(file: IO[bytes], header: Row, shared: Shareable) -> None:
    """One object, a memory a line. The counts, known only at the end, are written into the space left for them."""
    file.write(_json(header)[:-1] + b",\n")
    counts_at = file.tell()
    file.write(_counts(shared) + b',\n"memories": [')
    for number, one in enumerate(shared):
        file.write((b",\n" if number else b"\n") + _json(row(one)))
    file.write(b"\n]}\n")
    _write_at(file, counts_at, _counts(shared))


def write_lines(file: IO[bytes], header: Row, shared: Shareable) -> None:
    """An object a line: what the file is, then the memories."""
    file.write(_json(header)[:-1] + b", ")
    counts_at = file.tell()
    file.write(_counts(shared) + b"}\n")
    for one in shared:
        file.write(_json(row(one)) + b"\n")
    _write_at(file, counts_at, _counts(shared))


def write_archive(file: IO[bytes], header: Row, shared: Shareable) -> None:
    """The Markdown files as they are, in a tar.gz that says nothing of who made it, or when."""
    import gzip
    import tarfile

    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for one in shared:
            member = tarfile.TarInfo(one.path)
            member.size, member.mode, member.mtime = len(one.data), 0o600, one.mtime_ns // 1_000_000_000
            tar.addfile(member, io.BytesIO(one.data))
            tar.members.clear()  # type: ignore[attr-defined]  # or it would keep them all


def row(one: Shared) -> Row:
    """A memory under the peer's keys, then under those that only Mesh has."""
    memory = one.memory
    decay_start, ttl_days = _life(memory)
    return {
        "id": memory.id,
        "content": memory.content,
        "memory_type": memory.type,
        "confidence": memory.confidence,
        "source_agent": memory.agent,
        "tags": list(memory.tags),
        "local_only": False,
        "created_at": iso(memory.born) if memory.born else None,
        "ttl_days": ttl_days,
        "decay_start_at": decay_start,
        "access_count": 0,
        "embedding": None,
        "updated_at": iso(memory.updated) if memory.updated else None,
        "expires_at": iso(memory.expires) if memory.expires else None,
        "title": memory.title,
        "source": memory.source,
        "evidence": list(memory.evidence),
        "supersedes": list(memory.supersedes),
        "path": one.path,
        "extra": dict(memory.extra),
    }


def _life(memory: Memory) -> tuple[str | None, float | None]:
    """When its confidence begins to fall, and in how many days from then it ends, as the peer has it.

    What ends without fading is said to fade within its last day, which is as near as the peer's keys come to it.
    """
    if memory.expires is None:
        return None, None
    start = memory.fades_from
    if start is None or start >= memory.expires:
        start = memory.expires - DAY
    return iso(start), (memory.expires - start) / DAY


def _counts(shared: Shareable) -> bytes:
    """Always as many bytes, whatever the numbers are."""
    return f'"memory_count": {shared.count:>10}, "skipped_local_only": {shared.local_only:>10}'.encode()


def _write_at(file: IO[bytes], place: int, data: bytes) -> None:
    file.seek(place)
    file.write(data)
    file.seek(0, io.SEEK_END)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8")
