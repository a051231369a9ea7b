"""Several folders of one home moved together or not at all, whatever happens in the middle.

The moves are noted in `.locks/_moves.json`, durably, before the first one, and the note goes after the last. An error
takes back what was done. After a crash the note is still there, and whoever looks at the home next carries out the
rest. Nobody writes meanwhile: the namespaces' write locks are held, and whoever gets one looks for a note first.

The order of locks: the one for moves, write locks of namespaces sorted by name, a cache's.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from .errors import VaultUnavailable
from .files import Folder, failures_reported
from .locks import locked

log = logging.getLogger("mesh")

_LOCKS = ".locks"
_LOCK = "_moves.lock"  # no namespace's name begins with an underscore
_NOTE = "_moves.json"


class Move(NamedTuple):
    """One folder's way, relative to the home. `inode` tells it from another that gets its name meanwhile."""

    source: str
    target: str
    inode: int


class Note(NamedTuple):
    namespaces: list[str]  # whose write locks are held
    moves: list[Move]


@contextmanager
def write_lock(home: Path, namespace: str) -> Iterator[None]:
    """Hold a namespace's write lock, with no move half done. Raises `LockTimeout`, `VaultUnavailable`."""
    path = home / _LOCKS / f"{namespace}.lock"
    while True:
        finish_interrupted(home)
        with ExitStack() as stack:
            with failures_reported(str(path)):
                stack.enter_context(locked(path))
            if not _is_noted(home):
                yield
                return


@contextmanager
def moving(home: Path, *namespaces: str) -> Iterator[None]:
    """Hold every lock that is needed to move folders of some namespaces. Within it nothing may take a write lock."""
    with _all_locked(home, [_LOCK]):
        _finish(home)
        with _all_locked(home, _lock_names(namespaces)):
            yield


def move_together(home: Path, namespaces: Iterable[str], pairs: Iterable[tuple[str, str]]) -> None:
    """Rename folders, `(source, target)` relative to the home: all or none, durably. The caller holds `moving`.

    Raises `VaultUnavailable`, with everything where it was.
    """
    with failures_reported(str(home)):
        moves = [Move(source, target, _inode(home, source)) for source, target in pairs]
        try:
            _write_note(home, Note(sorted(set(namespaces)), moves))
            for move in moves:
                with failures_reported(move.source):
                    _rename(home, move.source, move.target)
            _sync(home, moves)
        except BaseException:
            if not _take_back(home, moves) and _is_noted(home):
                _sync(home, moves)
                _remove_note(home)
            raise
        _remove_note(home)


def finish_interrupted(home: Path) -> None:
    """Carry out the rest of moves that a crash interrupted, or wait until they are done. One `stat` if there are none.

    Raises `VaultUnavailable`, `LockTimeout`.
    """
    if _is_noted(home):
        with _all_locked(home, [_LOCK]):
            _finish(home)


def settle(home: Path) -> None:
    """`finish_interrupted` for those who only look: a home that cannot be written can still be asked."""
    try:
        finish_interrupted(home)
    except VaultUnavailable as error:
        log.warning("a move of folders was interrupted and cannot be finished: %s", error)


# --- locks ---------------------------------------------------------------------------------------------------------


def _lock_names(namespaces: Iterable[str]) -> list[str]:
    return [f"{namespace}.lock" for namespace in sorted(set(namespaces))]


@contextmanager
def _all_locked(home: Path, names: Sequence[str]) -> Iterator[None]:
    with ExitStack() as stack:
        for name in names:
            with failures_reported(str(home / _LOCKS / name)):
                stack.enter_context(locked(home / _LOCKS / name))
        yield


# --- the note ------------------------------------------------------------------------------------------------------


def _is_noted(home: Path) -> bool:
    try:
        (home / _LOCKS / _NOTE).stat()
    except OSError:  # also of a home that others may only look at
        return False
    return True


def _write_note(home: Path, note: Note) -> None:
    with Folder.open(home, _LOCKS, create=True) as folder:
        folder.create(_NOTE, json.dumps(note._asdict()).encode())


def _remove_note(home: Path) -> None:
    with Folder.open(home, _LOCKS) as folder:
        folder.remove(_NOTE)


def _read_note(home: Path) -> Note | None:
    """What is noted. None if nothing is. Raises `VaultUnavailable` for what Mesh did not write."""
    place = str(home / _LOCKS / _NOTE)
    try:
        with failures_reported(place), Folder.open(home, _LOCKS) as folder:
            if not folder.exists(_NOTE):
                return None
            found = json.loads(folder.read(_NOTE))
        moves = [Move(_inside(source), _inside(target), int(inode)) for source, target, inode in found["moves"]]
        if not moves:
            raise ValueError(found)
        return Note([str(_inside(name)) for name in found["namespaces"]], moves)
    except (ValueError, TypeError, KeyError) as error:
        raise VaultUnavailable(
            "this note of an interrupted move is damaged", place=place, remedy="Look at the folders, then delete it"
        ) from error


def _inside(path: object) -> str:
    """A path that leads nowhere but into the home. Raises `ValueError`."""
    parts = PurePosixPath(str(path)).parts
    if not isinstance(path, str) or not parts or ".." in parts or parts[0].startswith("/") or "\\" in path:
        raise ValueError(path)
    return path


# --- moving --------------------------------------------------------------------------------------------------------


def _finish(home: Path) -> None:
    """Carry out what is noted; where something else is in the way by now, take all of it back."""
    note = _read_note(home)
    if note is None:
        return
    with _all_locked(home, _lock_names(note.namespaces)), failures_reported(str(home)):
        for move in _to_do(home, note.moves):
            try:
                _rename(home, move.source, move.target)
            except FileExistsError:
                log.warning("an interrupted move of folders is taken back: %s is in the way", move.target)
                for message in _take_back(home, note.moves):
                    log.warning("%s. Move it by hand", message)
                break
        else:
            log.warning("an interrupted move of folders is finished: %s is now %s", *note.moves[0][:2])
        _sync(home, note.moves)
        _remove_note(home)


def _to_do(home: Path, moves: Iterable[Move]) -> list[Move]:
    """The moves that have not been made. One is made when its source is gone, or is another folder than it was."""

    def is_made(move: Move) -> bool:
        if not os.path.lexists(home / move.source):
            return True
        return os.path.lexists(home / move.target) and _inode(home, move.source) != move.inode

    return [move for move in moves if not is_made(move)]


def _take_back(home: Path, moves: Sequence[Move]) -> list[str]:
    """Undo the moves that were made, the last one first; say which could not be undone."""
    stuck = []
    for move in reversed(moves):
        try:
            if os.path.lexists(home / move.target) and _inode(home, move.target) == move.inode:
                _rename(home, move.target, move.source)
        except OSError as error:
            stuck.append(f"{move.target}: it could not be moved back to {move.source} ({error.strerror})")
    return stuck


def _rename(home: Path, source: str, target: str) -> None:
    *from_parts, name = PurePosixPath(source).parts
    *to_parts, new_name = PurePosixPath(target).parts
    with Folder.open(home, *from_parts) as old, Folder.open(home, *to_parts, create=True) as new:
        old.move_folder(name, new, new_name)


def _sync(home: Path, moves: Iterable[Move]) -> None:
    """Flush every folder that lost or got one."""
    touched = {PurePosixPath(path).parent for move in moves for path in (move.source, move.target)}
    for folder in sorted(touched):
        if (home / folder).is_dir():
            with Folder.open(home, *folder.parts) as opened:
                opened.sync()


def _inode(home: Path, path: str) -> int:
    return (home / path).stat(follow_symlinks=False).st_ino
