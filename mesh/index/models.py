"""The models whose vectors a cache holds, and which memories wait for which of them: each is embedded by itself.

A model that has no number yet has embedded nothing: all that is served waits for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .manifest import SERVED, Manifest


class Embedded(NamedTuple):
    """How much one model has embedded here: `memories` of those `of` that are served, in `size` bytes on disk."""

    key: str
    memories: int
    of: int
    size: int


def enter(manifest: Manifest, key: str, dimension: int) -> tuple[int, str]:
    """Give a new model its number, which no other ever had, and its file. The manifest's transaction must be open."""
    db = manifest.db
    number = db.execute(
        "INSERT INTO matrices (key, file, dimension, used, capacity, stamp) VALUES (?, '', ?, 0, 0, '')",
        (key, dimension),
    ).lastrowid
    file = "vectors.npy" if number == 1 else f"vectors-{number}.npy"
    db.execute("UPDATE matrices SET file = ? WHERE model = ?", (file, number))
    db.execute(f"INSERT INTO waiting SELECT ?, file_id FROM files WHERE state = {SERVED}", (number,))
    return number or 0, file


def remove(manifest: Manifest, folder: Path, key: str) -> bool:
    """Drop a model and its vectors; False if it has none here."""
    with manifest.transaction() as db:
        found = db.execute("SELECT model, file FROM matrices WHERE key = ?", (key,)).fetchone()
        if not found:
            return False
        number, file = found
        for table in ("waiting", "passages", "vectors", "matrices"):
            db.execute(f"DELETE FROM {table} WHERE model = ?", (number,))
        db.execute("DELETE FROM meta WHERE name = ?", (f"sketch {number}",))
    for path in folder.glob(f"{Path(file).stem}.*"):  # no manifest names it any more, whoever has it mapped keeps it
        path.unlink(missing_ok=True)
    return True


def listed(manifest: Manifest, folder: Path) -> list[Embedded]:
    """Every model that has vectors here, by key."""
    of = manifest.count()
    rows = manifest.db.execute("SELECT model, key, file FROM matrices ORDER BY key").fetchall()
    return [
        Embedded(key, of - count_waiting(manifest, model), of, _size(folder, Path(file).stem))
        for model, key, file in rows
    ]


def count_waiting(manifest: Manifest, model: int) -> int:
    """How many memories have no vectors of a model yet."""
    if not model:
        return manifest.count()
    return int(manifest.db.execute("SELECT count(*) FROM waiting WHERE model = ?", (model,)).fetchone()[0])


def anything_waits(manifest: Manifest) -> bool:
    """Whether any memory has no vectors of some model that has embedded here, or of any at all."""
    ask = (
        "SELECT EXISTS (SELECT 1 FROM waiting) OR NOT EXISTS (SELECT 1 FROM matrices)"
        f" AND EXISTS (SELECT 1 FROM files WHERE state = {SERVED})"
    )
    return bool(manifest.db.execute(ask).fetchone()[0])


def some_waiting(manifest: Manifest, model: int, *, after: int, limit: int) -> list[tuple[int, str, bytes]]:
    """`(file_id, path, digest)` of those that wait, by number, beginning after the number `after`."""
    if model:
        ask = (
            "SELECT f.file_id, path, digest FROM waiting w CROSS JOIN files f ON f.file_id = w.file_id"
            " WHERE w.model = ? AND w.file_id > ? ORDER BY w.file_id LIMIT ?"
        )
        return manifest.db.execute(ask, (model, after, limit)).fetchall()
    ask = "SELECT file_id, path, digest FROM files WHERE state = ? AND file_id > ? ORDER BY file_id LIMIT ?"
    return manifest.db.execute(ask, (SERVED, after, limit)).fetchall()


def _size(folder: Path, stem: str) -> int:
    found = [path.stat() for path in folder.glob(f"{stem}.*")]
    return sum(one.st_blocks * 512 if hasattr(one, "st_blocks") else one.st_size for one in found)
