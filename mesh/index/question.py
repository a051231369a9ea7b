"""What is asked for in words, from what somebody typed.

    deploy staging            memories with any of the words; the more and the rarer ones first
    "rate limit" api          only those that hold this, word for word (case and white space aside), if there are any
    Who sang "Yesterday"?     in a sentence, quotes name something: they are words like any other
    deploy -staging           none that holds the word after the dash, in any of its forms

A dash leaves out only where it stands before a word of two or more characters, at the beginning or after white space,
outside quotes: `well-known`, `-x` and `--force` are words like any other. Where `-word` may as well be an option of a
command, as in `rm -rf`, a memory that writes it with its dash is what was asked for, and stays. A word that is asked
for besides is not left out, and a question that only leaves out asks for its words instead.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from . import analysis

MAX_WORDS = 48  # and as many wholes
MOST_BESIDE_A_PHRASE = 3  # words that count, outside the quotes: with more of them it is a sentence

_SYNTAX = re.compile(
    r'(?<!\w)["“„«](?P<phrase>(?!\s)[^"“”„«»]++)["”“»](?!\w)'
    r"|(?<!\S)-(?P<excluded>[^\W\d_][\w./:-]*\w)(?=[\s,;.?!]|\Z)"
)
_MAY = re.compile(r"(?i)\b(?:in|of|on|by|since|until|from|to|last|next|this|early|mid|late)[ -]may\b|\bmay \d|\d may\b")
_ASKS = re.compile(
    r"(?i)\?\W*\Z|\A\W*(?:what|who|whom|whose|which|when|where|why|how|is|are|was|were|do|does|did|can|could|will|would"
    r"|should|has|have|had|tell|explain|describe)\b"
)
_EDGES = re.compile(r"\A\W+|(?<!\W)\W+\Z")
_MARKUP = str.maketrans({"*": None, "`": None, "’": "'"})

# Left out of a question, never of a memory: they are in nearly every text.
STOP_WORDS = frozenset(
    """a about above after again all also am an and any are aren as at be because been before being below between
    both but by can cannot could couldn d did didn do does doesn doing don down during each ever few for from
    further get gets had hadn has hasn have haven having he her here hers herself him himself his how i if in
    into is isn it its itself just kindly let ll m may me might more most must my myself no nor not now of off
    on once only or other our ours ourselves out over own please re s same shall she should shouldn so some
    such t tell than that the their theirs them themselves then there these they this those through to too
    under until up us ve very was wasn we were weren what when where which while who whom whose why will with
    won would wouldn yes you your yours yourself yourselves""".split()
)


class Asked(NamedTuple):
    """A word as it was asked for, in lower case, and the token that memories are searched for."""

    word: str
    token: str


@dataclass(frozen=True, slots=True)
class Question:
    """`text` is what is to be understood by its meaning: all but the excluded words."""

    text: str
    words: tuple[Asked, ...]
    phrases: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str) -> Question:
        """A question in which quotes and dashes count."""
        found = list(_SYNTAX.finditer(text))
        phrases = () if _is_sentence(text) else tuple(flat(one) for one in _quoted(found) if words_of(one))
        rest = _SYNTAX.sub(lambda match: match[0] if match["phrase"] else " ", text)
        words = _words(rest)
        asked = {one.token for one in words}
        dashed = dict.fromkeys(match["excluded"].lower() for match in found if match["excluded"])
        excluded = tuple(word for word in dashed if not asked.issuperset(tokens_of(word)))
        if not words or not excluded:
            return cls(text, _words(text), phrases)
        options = (Asked(f"-{word}", option_of(word)) for word in excluded)
        return cls(rest.strip(), (*words, *options), phrases, excluded)

    @classmethod
    def plain(cls, text: str) -> Question:
        """A text in which nothing but words counts."""
        return cls(text, _words(text))

    def admits(self, text: str) -> bool:
        """Whether a text has every phrase, from the beginning of a word to the end of one."""
        return not self.phrases or all(_holds(flat(text), phrase) for phrase in self.phrases)


def tokens_of(word: str) -> tuple[str, ...]:
    """What a text must have that holds an excluded word: the whole, if it is one."""
    whole = analysis.joined(analysis.folded(word))
    return (whole,) if "_" in whole else words_of(word)


def option_of(word: str) -> str:
    """The token of a memory that writes an excluded word with its dash."""
    return analysis.option(analysis.folded(word))


def words_of(text: str) -> tuple[str, ...]:
    """The single words that a text must have that holds this one: its tokens without the wholes."""
    plain = analysis.folded(text)
    return (*analysis.words(plain), *_characters(plain))


def _quoted(found: Iterable[re.Match[str]]) -> Iterator[str]:
    return (match["phrase"] for match in found if match["phrase"])


def _is_sentence(text: str) -> bool:
    """Whether quotes name something in it, rather than ask for what is in them word for word."""
    beside = _SYNTAX.sub(" ", text)
    words = [word for word in analysis.words(analysis.folded(beside)) if word not in STOP_WORDS]
    return bool(_ASKS.search(beside)) or len(words) > MOST_BESIDE_A_PHRASE


def flat(text: str) -> str:
    """For comparing phrases: without regard to case, kinds of white space, and marks of emphasis and code."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().translate(_MARKUP).split())


def _words(text: str) -> tuple[Asked, ...]:
    """The words that count, and the wholes, each once. A text of stop words only keeps them."""
    plain = analysis.folded(text)
    found = {one.token: one for one in (*_as_asked(text), *(Asked(part, part) for part in analysis.humps(text)))}
    may = {"may"} if _MAY.search(text) else set()
    counting = [one for token, one in found.items() if token not in STOP_WORDS or token in may] or [*found.values()]
    wholes = {token: Asked(word, token) for word, token in analysis.wholes(plain)}
    return (*counting[:MAX_WORDS], *list(wholes.values())[:MAX_WORDS])


def _as_asked(text: str) -> Iterator[Asked]:
    if text.isascii():
        yield from (Asked(word, word) for word in analysis.words(analysis.folded(text)))
        return
    for chunk in unicodedata.normalize("NFKC", text).lower().split():
        plain = analysis.folded(chunk)
        tokens = [*analysis.words(plain), *_characters(plain)]
        shown = [_EDGES.sub("", chunk)] if len(tokens) == 1 else tokens
        yield from (Asked(word, token) for word, token in zip(shown, tokens, strict=True))


def _characters(plain: str) -> list[str]:
    """Pairs of the characters of scripts without spaces, or the one there is."""
    return [part for run in analysis.runs(plain) for part in analysis.pairs(run) or [run]]


def _holds(text: str, phrase: str) -> bool:
    before = r"(?<!\w)" if _is_letter(phrase[0]) else ""
    after = r"(?!\w)" if _is_letter(phrase[-1]) else ""
    return re.search(before + re.escape(phrase) + after, text) is not None


def _is_letter(character: str) -> bool:
    """Of a word that ends at a space, that is."""
    return bool(analysis.words(character))
