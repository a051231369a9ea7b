"""Take records into a namespace: every one at most once, durable before it is counted, and to be gone on with later.

Records come in batches. Of each batch it is decided under the namespace's lock what is new; the new files are made
durable together and taken into the cache, so that they are found by words at once. What has no vectors yet is
embedded at the end, under no lock. After an interruption at any point a repeat does what is left.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from itertools import chain
from pathlib import Path
from typing import Protocol

from .. import bulk, links, secrets
from ..errors import EditConflict, MeshError, SecretFound
from ..files import failures_reported, sha256
from ..index.manifest import SERVED, Manifest
from ..memory import Memory, Problem
from ..vault import file_names, roots
from ..workspace import Workspace
from .deciding import Outcome, Wanted, allowing, decide, replacement, wanted
from .imported import Imported
from .reading import reader_for
from .record import Record
from .seen import Seen

BATCH_RECORDS = 256
BATCH_BYTES = 8 << 20

Decided = tuple[Outcome, Wanted]
Told = Callable[[Outcome, Wanted], None]


class Progress(Protocol):
    def __call__(self, phase: str, count: int, total: int | None) -> None:
        """`count` more records were "read" (their `total` is not known), or memories "embedded"."""


def import_source(
    workspace: Workspace,
    source: Path,
    *,
    dry_run: bool = False,
    replace: bool = False,
    progress: Progress | None = None,
    told: Told | None = None,
    allow_secrets: Sequence[str] | None = None,
) -> Imported:
    """Import a file or a folder of any kind that Mesh can read. Raises `MeshError` if it is none."""
    reader = reader_for(source)
    kind = reader.__module__.rpartition(".")[2].replace("peer_sqlite", "mesh_json")  # one program, the same ids
    return import_records(
        workspace,
        reader(source),
        kind=kind,
        dry_run=dry_run,
        replace=replace,
        progress=progress,
        told=told,
        allow_secrets=allow_secrets,
    )


def import_records(
    workspace: Workspace,
    records: Iterable[Record | Problem],
    *,
    kind: str = "",
    dry_run: bool = False,
    replace: bool = False,
    progress: Progress | None = None,
    told: Told | None = None,
    allow_secrets: Sequence[str] | None = None,
) -> Imported:
    """Take in records that come from a source of some `kind`.

    What is here already stays as it is, unless `replace`: then its old text goes to the trash. `told` hears of each
    decision. A record to be shared that holds a secret is a problem, unless its fingerprint is in `allow_secrets`.
    Raises `MeshError` if the vault cannot be written; what was imported before stays.
    """
    with closing(Seen()) as seen:
        work = _Import(workspace, kind, Imported(workspace.namespace, dry_run), replace, told, seen, allow_secrets)
        for batch in work.batches(records):
            work.carry_out(batch)
            if progress:
                progress("read", len(batch), None)
    if not dry_run:
        _embed(workspace, progress)
    if (error := work.result.broke_off) and work.result.written and not dry_run:
        error.cause += f"; {work.result.written:,} memories before that were imported"
    return work.result


def _embed(workspace: Workspace, progress: Progress | None) -> None:
    with workspace.turn:
        total = workspace.pending()
        if total:
            workspace.embed_all((lambda count: progress("embedded", count, total)) if progress else None)
            workspace.refresh()  # by now the files are old enough to be trusted unread, and the next recall is quick


class _Import:
    """One import: what it has met so far, and what became of it."""

    def __init__(
        self,
        workspace: Workspace,
        kind: str,
        result: Imported,
        replace: bool,
        told: Told | None,
        seen: Seen,
        allow_secrets: Sequence[str] | None,
    ) -> None:
        self._allow_secrets = allow_secrets
        self._workspace, self._kind, self._replace, self._told = workspace, kind, replace, told
        self.result, self._seen = result, seen
        self._manifest: Manifest | None = None  # the one that was made equal to the files

    # --- before the lock: records, prepared ------------------------------------------------------------------

    def batches(self, records: Iterable[Record | Problem]) -> Iterator[list[Wanted]]:
        """What is wanted of the records, so many at a time. Problems are noted, also one that ends the source."""
        batch: list[Wanted] = []
        size = 0
        for record in self._readable(records):
            if one := self._wanted(record):
                batch.append(one)
                size += len(one.data)
            if len(batch) == BATCH_RECORDS or size > BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _readable(self, records: Iterable[Record | Problem]) -> Iterator[Record]:
        try:
            for item in records:
                if isinstance(item, Problem):
                    self.result.note(item)
                else:
                    yield item
        except MeshError as error:
            self.result.broke_off = error

    def _wanted(self, record: Record) -> Wanted | None:
        try:
            one = wanted(record, self._workspace.namespace, self._kind)
            names = secrets.needed(one.memory, self._allow_secrets)
        except SecretFound as error:
            self.result.note(Problem(record.place, 0, "secret", f"{error.place}: {error.cause}", error.remedy))
            return None
        except MeshError as error:
            self.result.note(Problem(record.place, 0, "", error.cause, error.remedy))
            return None
        return allowing(one, names) if names else one

    # --- under the lock: decided and written -----------------------------------------------------------------

    def carry_out(self, batch: list[Wanted]) -> None:
        """Decide on a batch, and write what is new of it."""
        workspace, dry_run = self._workspace, self.result.dry_run
        with workspace.turn:
            if self._manifest is None and not dry_run:
                workspace.prepare()
            workspace.cache.run(self._refresh_if_unknown)  # as a rule not under the lock
            with nullcontext() if dry_run else workspace.vault.writing(workspace.namespace):
                found = workspace.cache.run(lambda: self._looked_up(batch))
                decided = [(self._decided(one, *here), one) for one, here in zip(batch, found, strict=True)]
                if not dry_run:
                    paths = {one.memory.id: path for one, (path, _) in zip(batch, found, strict=True) if path}
                    decided = self._written(decided, paths)
        for outcome, one in decided:
            self._count(outcome, one)

    def _refresh_if_unknown(self) -> None:
        """Make the cache equal the files, when it is opened and whenever it had to be made again."""
        if self._manifest is not self._workspace.cache.manifest:
            self._workspace.refresh()
            self._manifest = self._workspace.cache.manifest

    def _looked_up(self, batch: Iterable[Wanted]) -> list[tuple[str | None, bool]]:
        """Of each the path of the memory here that has its id, and whether any here has its text."""
        self._refresh_if_unknown()
        return [(self._workspace.path_of_id(one.memory.id), self._has_text(one.memory)) for one in batch]

    def _has_text(self, memory: Memory) -> bool:
        """As in `learn`: what is local does not stand in for what is to be shared, nor what has expired for any."""
        found = self._workspace.cache.manifest.db.execute(
            f"SELECT 1 FROM files WHERE text_digest = ? AND +state = {SERVED} AND (? OR local_only IS NOT 1)"
            " AND (expires IS NULL OR expires > ?) LIMIT 1",
            (sha256(memory.content.encode("utf-8")), memory.local_only, time.time()),
        )
        return found.fetchone() is not None

    def _decided(self, one: Wanted, path: str | None, has_text: bool) -> Outcome:
        """In the order of the source: a text that was taken from it before counts as one that is here."""
        seen = not self._seen.take_id(one.memory)
        try:
            here = self._workspace.vault.read(path)[0] if path and not seen else None
        except MeshError:
            return Outcome.DIFFERS  # it was changed a moment ago, and cannot be read now
        same_text = has_text or self._seen.has_text(one.memory)
        outcome = decide(one, here=here, same_text=same_text, seen=seen, replace=self._replace)
        if outcome in (Outcome.WRITE, Outcome.REPLACE) and not _has_expired(one.memory):
            self._seen.take_text(one.memory)
        return outcome

    def _written(self, decided: list[Decided], paths: Mapping[str, str]) -> list[Decided]:
        """Write what is new and what gives way; what could not give way is noted, and left out."""
        new = list(self._new_files(one for outcome, one in decided if outcome is Outcome.WRITE))
        home = self._workspace.vault.home
        with failures_reported(str(home)):
            written = bulk.create_all(home, new)
        done: list[Decided] = []
        for outcome, one in decided:
            try:
                if outcome is Outcome.REPLACE:
                    self._rewrite(one, paths[one.memory.id])
                    written.append(paths[one.memory.id])
                done.append((outcome, one))
            except EditConflict as error:
                self.result.note(Problem(one.place, 0, "", error.cause, error.remedy))
        self._workspace.refresh_paths(*written)
        return done

    def _new_files(self, batch: Iterable[Wanted]) -> Iterator[bulk.NewFile]:
        """Each in the folder and under the name it asks for, where those are free."""
        free: dict[str, bool] = {}
        for one in batch:
            root = roots(self._workspace.namespace)[one.memory.local_only]
            folder = f"{root}/{one.folder}" if one.folder else root
            if folder not in free:
                free[folder] = _is_free_for_a_folder(self._workspace.vault.home, folder)
            asked = [one.name] if one.name and free[folder] else []
            yield bulk.NewFile(folder if free[folder] else root, chain(asked, file_names(one.memory)), one.data)

    def _rewrite(self, one: Wanted, path: str) -> None:
        vault = self._workspace.vault
        with failures_reported(path):
            old = vault.bytes_of(path)
        vault.rewrite(self._workspace.namespace, path, sha256(old), replacement(one, old, path))

    def _count(self, outcome: Outcome, one: Wanted) -> None:
        self.result.outcomes[outcome] += 1
        if outcome is Outcome.TWICE:
            cause = f"its id {one.memory.id!r} stands in the source twice"
            self.result.note(Problem(one.place, 0, "", cause, "Give one of them another id"))
        if outcome in (Outcome.WRITE, Outcome.REPLACE):
            self.result.local_only += one.memory.local_only
        if self._told:
            self._told(outcome, one)


def _is_free_for_a_folder(home: Path, path: str) -> bool:
    """Whether every part of `path` is a folder, or nothing yet."""
    root, *parts = path.split("/")
    place = links.place(home, root)
    for part in ("", *parts):
        place = place / part
        if not os.path.lexists(place):
            return True
        if place.is_symlink() or not place.is_dir():
            return False
    return True


def _has_expired(memory: Memory) -> bool:
    return memory.expires is not None and memory.expires.timestamp() <= time.time()
