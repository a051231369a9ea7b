"""Which memories follow each other in the same source: a conversation, a document."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from .manifest import Manifest

REACH = 2  # places
_MOST_FILES = 500  # asked about in one query
_RUN_A_MEMBER = 50  # files of a source read in a row: no more work than to ask for what is beside one of them

Beside = dict[int, list[tuple[int, int]]]  # of a file: (file, places away)


class Company(NamedTuple):
    """Of one source: the files that were found in it, and what stands beside these and beside that."""

    found: list[int]
    beside: Beside


def of(manifest: Manifest, files: Iterable[int], where: str, values: Sequence[object]) -> dict[str, Company]:
    """By source, for those of some files that have one, and for what is beside them: all within reach of each.

    The order within a source is that of creation. Only files that `where` (a condition on `files`) admits count.
    """
    companies = {}
    for source, members in _by_source(manifest, files).items():
        company = companies[source] = Company([], {})
        for run, asked in _runs(manifest, source, members, where, values):
            _note(company.beside, run, asked)
        company.found.extend(one for one in members if one in company.beside)
    return companies


_Place = tuple[float, str]  # in a source: the time of creation, the id


def _by_source(manifest: Manifest, files: Iterable[int]) -> dict[str, dict[int, _Place]]:
    """The files with a source, by it, and their places."""
    found: dict[str, dict[int, _Place]] = {}
    wanted = iter(files)
    while some := list(islice(wanted, _MOST_FILES)):
        rows = manifest.db.execute(
            "SELECT file_id, source, born, id FROM files WHERE source <> '' AND born IS NOT NULL"
            f" AND file_id IN ({', '.join('?' * len(some))})",
            some,
        )
        for file_id, source, born, memory_id in rows:
            found.setdefault(source, {})[file_id] = (born, memory_id)
    return found


def _runs(
    manifest: Manifest, source: str, members: dict[int, _Place], where: str, values: Sequence[object]
) -> Iterator[tuple[list[int], Collection[int]]]:
    """Files that follow each other, and what is asked of them: a whole source, or each member of a long one."""
    ask = f"SELECT file_id FROM files WHERE source = ? AND source <> '' AND born IS NOT NULL AND {where}"
    most = _RUN_A_MEMBER * len(members)
    rows = manifest.db.execute(f"{ask} ORDER BY born, id LIMIT {most + 1}", (source, *values)).fetchall()
    if len(rows) <= most:
        yield [file_id for (file_id,) in rows], members
        return
    for file_id, place in members.items():
        sides = []
        for side, order in (("<", "DESC"), (">", "ASC")):
            near = f"{ask} AND (born, id) {side} (?, ?) ORDER BY born {order}, id {order} LIMIT {2 * REACH}"
            sides.append([one for (one,) in manifest.db.execute(near, (source, *values, *place))])
        yield [*reversed(sides[0]), file_id, *sides[1]], {file_id}


def _note(beside: Beside, run: Sequence[int], members: Collection[int]) -> None:
    """Note what stands beside the members of a run, and beside those that do."""
    places = {near for at, file_id in enumerate(run) if file_id in members for near in _around(at, run)}
    for at in places:
        beside[run[at]] = [(run[other], abs(other - at)) for other in _around(at, run) if other != at]


def _around(at: int, run: Sequence[int]) -> range:
    return range(max(0, at - REACH), min(len(run), at + REACH + 1))
