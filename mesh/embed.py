"""Give vectors to the memories that have none yet. A text is embedded once, whatever file it stands in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import codec
from .errors import MalformedMemory
from .files import sha256
from .index.cache import Cache
from .index.manifest import SERVED
from .memory import Memory
from .vault import Vault

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .embedding.protocol import Embedder

AT_ONCE = 128  # memories that a recall embeds before it answers; more are left to `mesh reindex`
BATCH = 128


@dataclass(frozen=True, slots=True)
class Passage:
    """A span of a memory's content, and the text that is embedded for it."""

    start: int
    stop: int
    text: str

    @property
    def digest(self) -> bytes:
        return sha256(self.text.encode("utf-8"))


def passages(memory: Memory, embedder: Embedder) -> list[Passage]:
    """What is embedded of a memory: its content under its title, in overlapping parts if it is long."""
    prefix = f"{memory.title}\n" if memory.title else ""
    spans = embedder.split(memory.content, prefix)
    return [Passage(start, stop, prefix + memory.content[start:stop]) for start, stop in spans]


def pending(cache: Cache, embedder: Embedder) -> int:
    """How many memories have no vectors of this embedder yet."""
    matrix, db = cache.matrix(embedder), cache.manifest.db
    matrix.rows()
    found = 0
    for side in ("<", ">"):  # two ranges of the index, both empty as a rule; "<>" would look at every file
        any_there = f"FROM files WHERE state = {SERVED} AND embedded {side} ?"
        if db.execute(f"SELECT 1 {any_there} LIMIT 1", (matrix.model or -1,)).fetchone():
            found += int(db.execute(f"SELECT count(*) {any_there}", (matrix.model or -1,)).fetchone()[0])
    return found


def embed_pending(
    vault: Vault, cache: Cache, embedder: Embedder, progress: Callable[[int], None] | None = None
) -> None:
    """Embed all that is pending, batch by batch; each is kept at once, so that an interruption loses one batch.

    `progress(n)` is told how many memories each batch dealt with. A file that changed since the last refresh is
    left to the next one.
    """
    after = 0
    while True:
        cache.matrix(embedder).rows()
        batch = cache.manifest.db.execute(
            "SELECT file_id, path, digest FROM files WHERE state = ? AND embedded <> ? AND file_id > ?"
            " ORDER BY file_id LIMIT ?",
            (SERVED, cache.matrix(embedder).model or -1, after, BATCH),
        ).fetchall()
        if not batch:
            return
        after = batch[-1][0]
        _embed_files(vault, cache, embedder, batch)
        if progress:
            progress(len(batch))


def embed_file(vault: Vault, cache: Cache, embedder: Embedder, path: str) -> None:
    """Embed one file of the manifest, if it is still what the manifest says."""
    row = cache.manifest.db.execute(
        "SELECT file_id, path, digest FROM files WHERE path = ? AND state = ?", (path, SERVED)
    ).fetchone()
    if row:
        _embed_files(vault, cache, embedder, [row])


def _embed_files(vault: Vault, cache: Cache, embedder: Embedder, rows: Sequence[tuple[int, str, bytes]]) -> None:
    parts: dict[tuple[int, bytes], list[Passage]] = {}
    for file_id, path, digest in rows:
        try:
            data = vault.bytes_of(path)
            if sha256(data) == digest:
                parts[file_id, digest] = passages(codec.read(data, path), embedder)
        except (OSError, MalformedMemory):
            continue  # it changed since the refresh; the next one deals with it
    matrix = cache.matrix(embedder)
    texts = {passage.digest: passage.text for several in parts.values() for passage in several}
    vectors = _vectors(cache, embedder, texts)
    with cache.manifest.transaction() as db:
        matrix.append(vectors)
        for (file_id, digest), several in parts.items():
            done = db.execute(
                "UPDATE files SET embedded = ? WHERE file_id = ? AND digest = ?", (matrix.model, file_id, digest)
            )
            if done.rowcount:
                db.execute("DELETE FROM passages WHERE model = ? AND file_id = ?", (matrix.model, file_id))
                db.executemany(
                    "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?)",
                    [(matrix.model, file_id, i, p.start, p.stop, p.digest) for i, p in enumerate(several)],
                )


def _vectors(cache: Cache, embedder: Embedder, texts: dict[bytes, str]) -> dict[bytes, NDArray[np.float32]]:
    """Vectors of the texts that have none in the cache."""
    missing = cache.matrix(embedder).missing(list(texts))
    vectors = {digest: cache.fresh_vectors.pop(digest) for digest in missing if digest in cache.fresh_vectors}
    rest = [digest for digest in missing if digest not in vectors]
    if rest:
        vectors |= zip(rest, embedder.embed([texts[digest] for digest in rest]), strict=True)
    return vectors
