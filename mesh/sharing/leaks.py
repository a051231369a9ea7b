"""What must not leave this machine: what says local_only, and what looks like a secret, in files and words about them.

A person allows a string by its fingerprint: in a memory's own front matter, for that memory; and with
`git config --add mesh.allowSecret FINGERPRINT`, in one clone, for all that it sends.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from .. import codec, secrets
from ..errors import MalformedMemory
from ..git.running import Git
from ..memory import Memory, Problem
from ..secrets import Found

ALLOW_SETTING = "mesh.allowSecret"
PIECE = 1 << 18  # bytes, of what is looked at piece by piece
_OVERLAP = 1 << 12  # what a piece has of the one before: a name and its value may stand on two lines
# In the front matter of a file that cannot be read: for its size, its conflict markers, or whatever it is.
_SAYS_LOCAL = re.compile(
    rb"\A(?:\xef\xbb\xbf)?(?:---|<<<<<<< )(?s:.{0,8192}?)^local_only[ \t]*:[ \t]*[\"']?(?:true|yes)\b",
    re.MULTILINE | re.IGNORECASE,
)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # so begins what some shells write into files
_SIGNATURE = re.compile(
    r"-----BEGIN ((?:PGP|SSH) SIGNATURE)-----\r?\n(?:[A-Za-z0-9+/=]*\r?\n|\w+: .*\n)*-----END \1-----"
)


def allowed_here(git: Git) -> frozenset[str]:
    """The fingerprints that a repository's own settings allow."""
    said = git.run("config", "--local", "--no-includes", "--get-all", ALLOW_SETTING, accepted=(0, 1))
    return frozenset(said.decode("utf-8", "replace").lower().replace(",", " ").split())


def in_file(path: str, data: bytes, allowed: Collection[str] = ()) -> Iterator[Problem]:
    """Why a file may not leave, whatever its name, and also if nobody can read it as a memory."""
    memory = memory_in(path, data)
    if memory.local_only if memory else _SAYS_LOCAL.search(data):
        yield _local_only(path)
    own = secrets.allowed_by(memory) if memory else frozenset[str]()
    yield from in_text(f"{path}, its name", path, own.union(allowed))
    yield from secrets_in(path, data, memory, allowed)


def memory_in(path: str, data: bytes) -> Memory | None:
    """The memory in a file; None if it cannot be read as one."""
    try:
        return codec.read(data, path)
    except MalformedMemory:
        return None


def secrets_in(path: str, data: bytes, memory: Memory | None, allowed: Collection[str] = ()) -> Iterator[Problem]:
    """What in a file looks like a secret, by its lines. `memory`: what it is read as."""
    own = secrets.allowed_by(memory) if memory else frozenset[str]()
    coding = "utf-16" if data[:2] in _UTF_16 else "utf-8"
    for one in secrets.find(data.decode(coding, "replace"), own.union(allowed)):
        yield _secret(path, one, bool(memory) and path[-3:].lower() == ".md")


def _local_only(path: str) -> Problem:
    remedy = "Take that out, if others may see it; or move it out of what is shared: mesh doctor --fix local"
    return Problem(path, 0, "local_only", "it is local_only", remedy)


def in_pieces(path: str, pieces: Iterable[bytes], allowed: Collection[str] = ()) -> Iterator[Problem]:
    """The same of a file too large to be a memory, in memory of a few pieces."""
    told: set[str] = set()
    for number, (before, text) in enumerate(_windows(pieces)):
        if not number:
            if _SAYS_LOCAL.search(text):
                yield _local_only(path)
            yield from in_text(f"{path}, its name", path, allowed)
        for one in secrets.find(text.decode("utf-8", "replace"), {*allowed, *told}):
            told.add(one.fingerprint)
            yield _secret(path, one._replace(line=before + one.line), in_front_matter=False)


def in_text(place: str, text: str, allowed: Collection[str] = ()) -> Iterator[Problem]:
    """What in a message, or a name, looks like a secret."""
    for one in secrets.find(without_signatures(text), allowed):
        yield _secret(place, one if "\n" in text.strip() else one._replace(line=0), in_front_matter=False)


def without_signatures(text: str) -> str:
    """The text with as many lines, and none of what signs it: that is random by its nature."""
    return _SIGNATURE.sub(lambda found: "\n" * found[0].count("\n"), text)


def _secret(place: str, one: Found, in_front_matter: bool) -> Problem:
    allow = f"say so in its front matter: {secrets.ALLOW_KEY}: [{one.fingerprint}]"
    if not in_front_matter:
        allow = f"say so in this clone: git config --add {ALLOW_SETTING} {one.fingerprint}"
    cause = f"it looks like a secret ({one.kind}: {one.excerpt})"
    return Problem(place, one.line, "secret", cause, f"Leave it out; or, if it is none, {allow}")


def _windows(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Parts that overlap, and how many lines there are before each. They begin and end where lines do, if they can."""
    rest, lines = b"", 0
    for piece in pieces:
        whole = rest + piece
        end = whole.rfind(b"\n", max(0, len(whole) - PIECE // 2)) + 1
        window = whole[:end] if end else whole
        yield lines, window
        start = window.find(b"\n", max(0, len(window) - _OVERLAP)) + 1
        start = start if 0 < start < len(window) else max(0, len(window) - _OVERLAP)
        lines += whole.count(b"\n", 0, start)
        rest = whole[start:]
    if rest:
        yield lines, rest
