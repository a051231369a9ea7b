"""Which paths of a foreign tree may become files here, whatever the file system and whoever reads them there."""

from __future__ import annotations

import re
import unicodedata

MAX_PART_BYTES = 255
MAX_PATH_BYTES = 1000
MAX_DEPTH = 32
OURS = frozenset({"_local", ".cache", ".trash", ".locks", ".models"})  # folders of a home that mean something else

_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?:[.:].*)?\Z", re.IGNORECASE)
_NOT_IN_NAMES = re.compile(r'[<>:"|?*\\]')
_GIT_ON_NTFS = re.compile(r"(?:\.git|git~\d+)[ .]*(?::.*)?\Z", re.IGNORECASE)
_SEEN = frozenset("Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Co".split())
# Characters that HFS+ leaves out when it compares names.
_IGNORED_ON_HFS = dict.fromkeys([*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF])


def impossible(path: bytes) -> str:
    """Why no honest git has made this path: the whole tree is refused for it. "" for one that it may have made."""
    parts = path.split(b"/")
    if b"" in parts:
        return "a path that begins with / or has an empty part"
    if b"." in parts or b".." in parts:
        return "a path that leads out of the repository"
    if any(is_git(part.decode("utf-8", "replace")) for part in parts):
        return "a path that some file systems take for .git"
    return ""


def is_git(part: str) -> bool:
    """Whether some file system takes a name for `.git`: by case, ignored characters, short names, streams."""
    seen = unicodedata.normalize("NFKC", part.translate(_IGNORED_ON_HFS)).split("\\")
    return any(_GIT_ON_NTFS.match(one) for one in seen)


def unfit(path: bytes) -> str:
    """Why a path cannot be a file in every vault: that file is left out. "" for one that can."""
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        return "its name is not UTF-8"
    parts = text.split("/")
    if len(path) > MAX_PATH_BYTES or len(parts) > MAX_DEPTH:
        return "its path is too long"
    if parts[0].casefold() in OURS:
        return f"{parts[0]} is a folder of Mesh's own"
    return next((why for part in parts if (why := _unfit_part(part))), "")


def _unfit_part(part: str) -> str:
    if len(part.encode("utf-8", "replace")) > MAX_PART_BYTES:
        return "a part of its path is too long"
    if not part.isprintable() and any(map(_is_unseen, part)):
        return "its name holds characters that cannot be seen"
    if unicodedata.normalize("NFC", part) != part:
        return "its name is not in Unicode's form NFC"
    if part[-1] in ". " or part[0] == " ":
        return "its name begins or ends with a space, or ends with a dot"
    if _RESERVED.match(part):
        return "its name is one that Windows reserves"
    if _NOT_IN_NAMES.search(part):
        return "its name has a character that not every file system can keep"
    if part[0] == "-":
        return "its name begins with a hyphen"
    return ""


def _is_unseen(character: str) -> bool:
    """Whether it changes what people see without being seen; not the joiners, which Persian and emoji need."""
    return character not in "\u200c\u200d" and unicodedata.category(character)[:2] not in _SEEN


def folded(path: str) -> str:
    """The same for all paths that some file system, or a person who looks at them, takes for one."""
    if path.isascii():
        return path.lower()
    plain = unicodedata.normalize("NFKD", path).casefold()
    return unicodedata.normalize("NFC", "".join(c for c in plain if unicodedata.category(c) != "Cf"))
