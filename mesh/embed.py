"""Give vectors to the memories that have none yet. A text is embedded once, whatever file it stands in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import served
from .errors import LockTimeout, MalformedMemory, VaultUnavailable
from .files import sha256
from .index import authors, compaction, models
from .index.cache import Cache
from .index.manifest import SERVED
from .locks import locked
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


def passages(memory: Memory, embedder: Embedder, *, authors_differ: bool) -> list[Passage]:
    """What is embedded of a memory: its content under its title, in overlapping parts if it is long.

    Where several authors speak in its source, such as a conversation, it matters who says something. Elsewhere the
    same name before every text would only make all of them more alike.
    """
    author = f"{memory.agent}: " if memory.agent and authors_differ else ""
    prefix = (f"{memory.title}\n" if memory.title else "") + author
    spans = embedder.split(memory.content, prefix)
    return [Passage(start, stop, prefix + memory.content[start:stop]) for start, stop in spans]


def pending(cache: Cache, embedder: Embedder) -> int:
    """How many memories have no vectors of this embedder yet."""
    matrix = cache.matrix(embedder)
    matrix.rows()
    return models.count_waiting(cache.manifest, matrix.model)


def embed_pending(
    vault: Vault,
    cache: Cache,
    embedder: Embedder,
    progress: Callable[[int], None] | None = None,
    *,
    batch: int = BATCH,
    patience_seconds: float = 600.0,
) -> None:
    """Embed all that is pending, batch by batch; each is kept at once, so that an interruption loses one batch.

    `progress(n)` is told how many memories each batch dealt with. A file that changed since the last refresh is
    left to the next one. Processes take turns: raises `LockTimeout` if another embeds for longer than the patience.
    """
    after, matrix = 0, cache.matrix(embedder)
    while True:
        with locked(cache.embedding_lock, timeout_seconds=patience_seconds):
            matrix.rows()
            some = models.some_waiting(cache.manifest, matrix.model, after=after, limit=batch)
            if not some:
                return
            after = some[-1][0]
            _embed_files(vault, cache, embedder, some)
        if progress:
            progress(len(some))


def embed_known(vault: Vault, cache: Cache, embedder: Embedder) -> None:
    """Give the memories that wait the vectors that the cache has of their texts; the others go on waiting."""
    after, matrix = 0, cache.matrix(embedder)
    matrix.rows()
    while matrix.model and (some := models.some_waiting(cache.manifest, matrix.model, after=after, limit=BATCH)):
        after = some[-1][0]
        _embed_files(vault, cache, embedder, some, new=False)


def compact(cache: Cache, embedder: Embedder) -> bool:
    """Make the matrix smaller if most of it belongs to texts that are gone, and nobody embeds at this moment."""
    try:
        with locked(cache.embedding_lock, timeout_seconds=0):
            return compaction.compact(cache.folder, cache.manifest, cache.matrix(embedder))
    except LockTimeout:
        return False


def embed_file(vault: Vault, cache: Cache, embedder: Embedder, path: str) -> None:
    """Embed one file of the manifest, if it is still what the manifest says."""
    row = cache.manifest.db.execute(
        "SELECT file_id, path, digest FROM files WHERE path = ? AND state = ?", (path, SERVED)
    ).fetchone()
    if row:
        _embed_files(vault, cache, embedder, [row])


def _embed_files(
    vault: Vault, cache: Cache, embedder: Embedder, rows: Sequence[tuple[int, str, bytes]], *, new: bool = True
) -> None:
    """Embed these files; without `new`, only those all of whose texts have vectors."""
    parts: dict[tuple[int, bytes], list[Passage]] = {}
    authors_differ: dict[str, bool] = {}
    for file_id, path, digest in rows:
        try:
            memory, now = served.read(vault, cache.manifest, path)
        except (VaultUnavailable, MalformedMemory):
            continue  # it changed since the refresh; the next one deals with it
        if now != digest:
            continue
        if memory.source not in authors_differ:
            authors_differ[memory.source] = authors.several(cache.manifest.db, memory.source)
        parts[file_id, digest] = passages(memory, embedder, authors_differ=authors_differ[memory.source])
    matrix = cache.matrix(embedder)
    texts = {passage.digest: passage.text for several in parts.values() for passage in several}
    vectors = _vectors(cache, embedder, texts) if new else {}
    with cache.manifest.transaction() as db:
        matrix.append(vectors)
        if any(authors.several(db, source) is not differ for source, differ in authors_differ.items()):
            return  # another author spoke meanwhile; the vectors are kept, what they are of is found anew
        lost = set(matrix.missing(list(texts)))  # the matrix may have been compacted since
        for (file_id, digest), several in parts.items():
            if (
                lost.isdisjoint(part.digest for part in several)
                and db.execute("SELECT 1 FROM files WHERE file_id = ? AND digest = ?", (file_id, digest)).fetchone()
            ):
                db.execute("DELETE FROM waiting WHERE model = ? AND file_id = ?", (matrix.model, file_id))
                db.execute("DELETE FROM passages WHERE model = ? AND file_id = ?", (matrix.model, file_id))
                db.executemany(
                    "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?)",
                    [(matrix.model, file_id, i, p.start, p.stop, p.digest) for i, p in enumerate(several)],
                )


def _vectors(cache: Cache, embedder: Embedder, texts: dict[bytes, str]) -> dict[bytes, NDArray[np.float32]]:
    """Vectors of the texts that have none in the cache."""
    missing = cache.matrix(embedder).missing(list(texts))
    fresh, key = cache.fresh_vectors, embedder.key
    vectors = {digest: fresh.pop((key, digest)) for digest in missing if (key, digest) in fresh}
    rest = [digest for digest in missing if digest not in vectors]
    if rest:
        vectors |= zip(rest, embedder.embed([texts[digest] for digest in rest]), strict=True)
    return vectors
