"""The lexical index of a manifest as numpy sees it, kept between questions and caught up with what changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .damage import CacheDamaged
from .manifest import Manifest
from .postings import held_by, split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.uint32]


class Lexicon:
    """The lexical index of a manifest: what every question needs of it is kept. One thread at a time."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.files, self.mean_length = 0, 0.0
        self._generation = self._last_drop = -1
        self._batches: dict[int, Numbers] = {}  # those that were read: their files
        self._lengths: Numbers | None = None

    def lengths(self) -> Numbers:
        """The length of each file by its number; 0 for those that are not there. Raises `CacheDamaged`."""
        generation = self.manifest.generation()
        if self._lengths is None or generation != self._generation:
            self._lengths = self._caught_up()
            self.files = int((self._lengths > 0).sum())
            self.mean_length = float(self._lengths.sum(dtype="f8")) / max(1, self.files)
            self._generation = generation
        return self._lengths

    def _caught_up(self) -> Numbers:
        """With what changed since the last time. What a batch says of a file is true until the file is dropped."""
        import numpy as np

        there = {batch for (batch,) in self.manifest.db.execute("SELECT batch FROM batches")}
        new = {batch: self._read(batch) for batch in sorted(there - self._batches.keys())}
        end = max((int(files.max(initial=0)) + 1 for files, _ in new.values()), default=0)
        old = np.empty(0, np.uint32) if self._lengths is None else self._lengths
        lengths = np.concatenate([old, np.zeros(max(0, end - len(old)), np.uint32)])
        for merged in self._batches.keys() - there:
            lengths[self._batches.pop(merged)] = 0
        for batch, (files, of_files) in new.items():
            lengths[files], self._batches[batch] = of_files, files
        drops = "SELECT place, file_id FROM dropped WHERE place > ? AND file_id BETWEEN 0 AND ? ORDER BY place"
        for place, file_id in self.manifest.db.execute(drops, (self._last_drop, len(lengths) - 1)).fetchall():
            lengths[file_id], self._last_drop = 0, place
        return lengths

    def _read(self, batch: int) -> tuple[Numbers, Numbers]:
        import numpy as np

        files, lengths = (np.array(half, np.uint32) for half in held_by(self.manifest.db, batch))
        last = self.manifest.db.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'files'").fetchone()[0]
        if int(files.max(initial=0)) > (last or 0):
            raise CacheDamaged(f"batch {batch} of the lexical index names files that never were")
        return files, lengths

    def posting(self, term: str) -> tuple[Numbers, NDArray[np.uint8]]:
        """The files that have a term, and its weight in each; of dropped files as well. Raises `CacheDamaged`."""
        import numpy as np

        ask = "SELECT data FROM batches CROSS JOIN postings USING (batch) WHERE term = ?"
        halves = [split(data) for (data,) in self.manifest.db.execute(ask, (term,))]
        files = np.frombuffer(b"".join(half for half, _ in halves), np.uint32)
        if len(files) and int(files.max()) >= len(self.lengths()):
            raise CacheDamaged(f"the posting of {term!r} in the lexical index names files that never were")
        return files, np.frombuffer(b"".join(half for _, half in halves), np.uint8)
