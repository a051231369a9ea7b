"""What messages of commits quote of a memory, and the same without it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from .. import codec
from ..errors import MalformedMemory
from ..secrets.finding import may_hold

PURGED = "(purged)"
_TITLE = 60  # characters of a first line that the message of a sync has, the last one an ellipsis
_LINE, _WORD = 12, 10  # characters; what is shorter says too little to be taken for a quotation
_AROUND = ".,;:!?()[]{}<>\"'`*#- \t"


class Wording:
    """Knows the texts of some versions, and takes their words out of messages."""

    def __init__(self, versions: Iterable[bytes], paths: Iterable[str] = ()) -> None:
        self._long, self._short = set[str](), set[str]()
        self.contents = set[str]()
        for data in versions:
            self._learn(data)
        self._learn_paths(paths)
        self._subjects: dict[str, str] = {}

    def _learn(self, data: bytes) -> None:
        try:
            memory = codec.read(data, "a.md")
            title, content = memory.title, memory.content
        except MalformedMemory:
            title, content = "", data.decode("utf-8", "replace")
        lines = [line.strip(_AROUND) for line in (title, *content.splitlines())]
        self._short |= {title.strip(), content.strip().partition("\n")[0].strip()} - {""}
        self._long |= {line for line in lines if len(line) >= _LINE}
        self._long |= {line[: _TITLE - 1].rstrip() for line in self._long | self._short if len(line) > _TITLE}
        self._long |= {word for line in lines for word in map(_bare, line.split()) if _tells(word)}
        self.contents.add(content.strip())

    def _learn_paths(self, paths: Iterable[str]) -> None:
        for path in paths:
            name = PurePosixPath(path)
            self._long |= {one for one in (path, name.name, name.stem) if len(one) >= _LINE}
            self._short |= {path, name.name}

    def without(
        self, message: bytes, encoding: str = "utf-8", touched: bool = False, paths: Iterable[bytes] = ()
    ) -> bytes:
        """A message without what it quotes. `touched`: its commit changed the memory, so a short title is one, too.

        `paths`: where the memory lay in that commit and those before it.
        """
        self._learn_paths(path.decode("utf-8", "replace") for path in paths)
        try:
            text = message.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            text, encoding = message.decode("utf-8", "surrogateescape"), "utf-8"
        new = self._replaced(text, touched)
        return message if new == text else new.encode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")

    def _replaced(self, text: str, touched: bool) -> str:
        new = text
        for old_subject, subject in self._subjects.items():
            new = new.replace(old_subject, subject)
        if found := self._pattern(self._long):
            new = found.sub(PURGED, new)
        if touched and (found := self._pattern(self._short, whole=True)):
            new = found.sub(PURGED, new)
        before, after = (one.partition("\n")[0] for one in (text, new))
        if touched and before != after:
            self._subjects[before] = after  # a stash or a reflog quotes it
        return new

    @staticmethod
    def _pattern(phrases: set[str], *, whole: bool = False) -> re.Pattern[str] | None:
        """The longest first: a part of one is often another. `whole`: between what are no letters."""
        some = "|".join(re.escape(one) for one in sorted(phrases, key=lambda one: (-len(one), one)))
        around = (r"(?<!\w)", r"(?!\w)") if whole else ("", "")
        return re.compile(f"{around[0]}(?:{some}){around[1]}…?") if some else None

    def is_told_in(self, data: bytes) -> bool:
        """Whether a file has the whole text of a version, or a word of one that tells a secret."""
        text = data.decode("utf-8", "replace")
        words = {one for one in self._long if _tells(one)}
        return any(one in text for one in words | {one for one in self.contents if len(one) >= _LINE})


def _bare(word: str) -> str:
    return word.strip(_AROUND)


def _tells(word: str) -> bool:
    """Whether a word may be a secret by itself: long, with letters and digits, or as the scanner has it."""
    mixed = any(map(str.isdigit, word)) and any(map(str.isalpha, word))
    return " " not in word and len(word) >= _WORD and (mixed or (len(word) >= 16 and may_hold(word)))
