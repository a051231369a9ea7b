"""A smaller matrix in place of one most of whose rows belong to texts that are gone.

A matrix only grows: each edit of a memory leaves a row behind. Some of these are worth keeping (a branch is checked
out again, a memory restored), so the latest stay. The rows that stay go into a new file, which the manifest names in
one transaction; readers that have the old one mapped go on with it. It is deleted a while later, by whoever compacts
or looks after the cache next, for a reader may just have been told its name.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .damage import CacheDamaged
from .manifest import Manifest
from .vectors import Matrix, stamp_of, write_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

LEAST_DEAD = 1024  # rows: for fewer it is not worth it
KEPT_DEAD = 0.5  # of the living ones, so many rows of texts that are gone are kept
DELETED_AFTER_SECONDS = 60.0
_BLOCK = 8192  # rows


class _Row(NamedTuple):
    row: int
    digest: bytes
    checksum: int
    is_live: bool


def is_worth_it(manifest: Manifest, model: int) -> bool:
    """Whether most rows of a model belong to texts that no memory holds."""
    used, live = manifest.db.execute(
        "SELECT coalesce((SELECT used FROM matrices WHERE model = ?1), 0),"
        " (SELECT count(DISTINCT text_digest) FROM passages WHERE model = ?1)",
        (model,),
    ).fetchone()
    return bool(used - live > max(LEAST_DEAD, live))


def compact(folder: Path, manifest: Manifest, matrix: Matrix) -> bool:
    """Do it if it is worth it, which needs the cache's embedding lock. Raises `CacheDamaged`, `OSError`."""
    sweep(folder, manifest)
    matrix.rows()
    if not is_worth_it(manifest, matrix.model):
        return False
    with manifest.transaction() as db:
        before = matrix.rows()
        model = matrix.model
        (old,) = db.execute("SELECT file FROM matrices WHERE model = ?", (model,)).fetchone()
        number = int(str(manifest.get("compacted") or 0)) + 1
        rows = _kept(manifest, model)
        file = f"vectors-{model}-{number}.npy"
        capacity = _write(folder / file, before, rows)
        db.execute("DELETE FROM vectors WHERE model = ?", (model,))
        db.executemany(
            "INSERT INTO vectors VALUES (?, ?, ?, ?)",
            ((model, place, one.digest, one.checksum) for place, one in enumerate(rows)),
        )
        db.execute(
            "UPDATE matrices SET file = ?, used = ?, capacity = ?, stamp = ? WHERE model = ?",
            (file, len(rows), capacity, stamp_of(folder / file), model),
        )
        manifest.set("compacted", number)
        manifest.set(f"sketch {model}", b"")
        matrix.extend_sketch()
    for name in (old, f"{old.removesuffix('.npy')}.bits"):
        with suppress(OSError):
            os.utime(folder / name)  # from now on it is not used
    return True


def sweep(folder: Path, manifest: Manifest) -> None:
    """Delete the files that the manifest has not named for a while."""
    named = {Path(file).stem for (file,) in manifest.db.execute("SELECT file FROM matrices")}
    for path in folder.glob("vectors*.*"):
        with suppress(OSError):
            if path.stem not in named and time.time() - path.stat().st_mtime > DELETED_AFTER_SECONDS:
                path.unlink()


def _kept(manifest: Manifest, model: int) -> list[_Row]:
    """The rows of texts that memories hold, and the latest of the others, in their order."""
    rows = [
        _Row(*found)
        for found in manifest.db.execute(
            "SELECT row, text_digest, checksum, EXISTS (SELECT 1 FROM passages p INDEXED BY passages_by_text"
            " WHERE p.model = v.model AND p.text_digest = v.text_digest) FROM vectors v WHERE model = ? ORDER BY row",
            (model,),
        )
    ]
    dead = [one.row for one in rows if not one.is_live]
    room = int(KEPT_DEAD * (len(rows) - len(dead)))
    latest = set(dead[max(0, len(dead) - room) :])
    return [one for one in rows if one.is_live or one.row in latest]


def _write(path: Path, matrix: Floats, rows: list[_Row]) -> int:
    path.unlink(missing_ok=True)  # left by a crash: no manifest names it
    used, capacity = 0, 0
    for block in _blocks(matrix, rows):
        capacity = write_rows(path, used, capacity, block)
        used += len(block)
    return capacity


def _blocks(matrix: Floats, rows: list[_Row]) -> Iterator[Floats]:
    for first in range(0, len(rows), _BLOCK):
        some = rows[first : first + _BLOCK]
        block = matrix[[one.row for one in some]]
        for one, vector in zip(some, block, strict=True):
            if zlib.crc32(vector) != one.checksum:
                raise CacheDamaged(f"row {one.row} of the vectors is not what was written")
        yield block
