"""The files of the home: where memories lie, how they are read, written, thrown away and brought back.

Knows folders and bytes, and keeps the promises of FORMAT.md, section 7. Knows nothing of caches or meaning.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from . import codec, inputs, links
from .errors import EditConflict, InvalidInput, UnknownNamespace, VaultUnavailable
from .files import Folder, failures_reported, sha256
from .memory import Memory, slug
from .moves import write_lock
from .scan import Snapshot, folders, is_folder, scan
from .trash import Trash, Trashed

LOCAL = "_local"
_GITIGNORE = "_local/\n.cache/\n.trash/\n.links/\n.locks/\n.models/\n"


class Vault:
    """All namespaces of one home."""

    def __init__(self, home: Path) -> None:
        self.home = home

    # --- namespaces ----------------------------------------------------------------------------------------

    def namespaces(self) -> list[str]:
        """The names of all namespaces, sorted."""
        with failures_reported(str(self.home)):
            names = {*folders(self.home), *folders(self.home / LOCAL), *links.names(self.home)}
        return sorted(filter(_is_namespace, names))

    def exists(self, namespace: str) -> bool:
        return any(is_folder(self.home, root) for root in roots(namespace))

    def require(self, namespace: str) -> None:
        """Raise `UnknownNamespace`, with the closest name there is, unless the namespace exists."""
        if (self.home / namespace).is_symlink() and links.target(self.home, namespace) is None:
            raise VaultUnavailable(
                "a symbolic link, which is not followed", place=str(self.home / namespace), remedy="Use a real folder"
            )
        links.require(self.home, namespace)
        if not self.exists(namespace):
            known = self.namespaces()
            closest = difflib.get_close_matches(namespace, known, n=1)
            raise UnknownNamespace(namespace, known, closest[0] if closest else None)

    def prepare(self, namespace: str) -> None:
        """Make the home and a namespace's folder, for their owner only."""
        with failures_reported(str(self.home)):
            if not (self.home / namespace).is_dir():
                Folder.open(self.home, namespace, create=True).close()
            if not (self.home / ".gitignore").exists():
                with Folder.open(self.home, create=True) as home, suppress(FileExistsError):
                    home.create(".gitignore", _GITIGNORE.encode())

    def scan(self, namespace: str) -> Snapshot:
        return scan(self.home, roots(namespace))

    def trash(self, namespace: str) -> Trash:
        return Trash(self.home, namespace, roots(namespace))

    # --- reading -------------------------------------------------------------------------------------------

    def bytes_of(self, path: str) -> bytes:
        """The bytes of a memory file; of one too large to be a memory, enough to tell. Raises `OSError`."""
        *parts, name = PurePosixPath(path).parts
        with Folder.open(self.home, *parts) as folder:
            return folder.read(name, limit=codec.MAX_FILE_BYTES + 1)

    def read(self, path: str) -> tuple[Memory, bytes]:
        """A memory, and the sha256 that an edit of it must be based on. Raises `MeshError`."""
        with failures_reported(path):
            data = self.bytes_of(path)
        return codec.read(data, path), sha256(data)

    # --- writing: all of it under the namespace's write lock -------------------------------------------------

    @contextmanager
    def writing(self, namespace: str) -> Iterator[None]:
        """Hold the namespace's write lock. Nothing slow may happen inside: no network, no embedding, no git."""
        with write_lock(self.home, namespace):
            yield

    def add(self, namespace: str, memory: Memory) -> str:
        """Write a new file for `memory`, durably, and return its path."""
        root = roots(namespace)[memory.local_only]
        data = codec.render(memory)
        with failures_reported(str(self.home / root)), Folder.open(self.home, *root.split("/"), create=True) as folder:
            name = _create_unique(folder, data, memory)
        return f"{root}/{name}"

    def rewrite(self, namespace: str, path: str, base: bytes, data: bytes) -> None:
        """Replace a file that must still be `base` (a sha256), durably; what it was goes to the trash.

        Raises `EditConflict`, with nothing written or, if somebody saved within the last moment, with their text
        kept beside it.
        """
        *parts, name = PurePosixPath(path).parts
        with failures_reported(path), Folder.open(self.home, *parts) as folder:
            old = folder.read(name)
            if sha256(old) != base:
                raise EditConflict(path)
            trash = self.trash(namespace)
            entry = trash.keep(path, old)
            temporary = folder.exchange(name, data)
            if temporary is None:
                return
            if folder.read(temporary) != old:
                kept = rename_beside(folder, temporary, name)
                raise EditConflict(path, "/".join([*parts, kept]))
            # The displaced file itself takes its copy's place: an editor that holds it open still writes to it.
            trash.replace(entry, folder, temporary)

    def discard(self, namespace: str, path: str, base: bytes | None = None) -> Trashed:
        """Move a file to the trash, durably. With `base`, raises `EditConflict` if it is no longer that."""
        *parts, name = PurePosixPath(path).parts
        trash = self.trash(namespace)
        with failures_reported(path), Folder.open(self.home, *parts) as folder:
            data = folder.read(name)
            if base is not None and sha256(data) != base:
                raise EditConflict(path)
            entry = trash.take_in(path, folder, data)
            if trash.bytes_of(entry) != data:  # somebody saved in the last moment: theirs stays
                trash.put_back(entry)
                raise EditConflict(path)
            trash.empty_old()
        return entry


def roots(namespace: str) -> tuple[str, str]:
    """The two folders of a namespace, relative to the home: what may be shared, and what may not."""
    return namespace, f"{LOCAL}/{namespace}"


def _is_namespace(name: str) -> bool:
    try:
        return inputs.namespace(name) == name
    except InvalidInput:
        return False


def file_names(memory: Memory) -> Iterator[str]:
    """Names for a new file of a memory, in the order to try: slug and 12 characters of the id, then more of it."""
    from . import secrets

    text = (memory.title or memory.content)[:1000]
    beginning = slug("" if secrets.find(text) else text)  # names stand in lists, logs and answers
    for length in range(12, max(13, len(memory.id) + 1)):
        yield f"{beginning}--{memory.id[:length]}.md"
    yield _beside(f"{beginning}--{memory.id}.md", "copy")


def _create_unique(folder: Folder, data: bytes, memory: Memory) -> str:
    """Create the file under the first free name."""
    for name in file_names(memory):
        try:
            folder.create(name, data)
        except FileExistsError:
            continue
        return name
    raise FileExistsError(errno.EEXIST, "all its names are taken", memory.id)


def rename_beside(folder: Folder, temporary: str, name: str) -> str:
    """Give a displaced file a name that people see: `<name>.conflict-<time>.md`."""
    while True:
        kept = _beside(name, "conflict")
        with suppress(FileExistsError):
            folder.move(temporary, folder, kept)
            return kept


def _beside(name: str, word: str) -> str:
    """`<name>.<word>-<time>.md`, short enough for any file system."""
    stem = name.removesuffix(".md").encode()[:200].decode(errors="ignore")
    return f"{stem}.{word}-{datetime.now(UTC).strftime('%Y%m%dT%H%M%S.%fZ')}.md"
