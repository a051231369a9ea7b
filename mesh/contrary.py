"""Whether a new text may be an update of an old one: nearly the same words, but another number, name or "not".

Pure. Meaning alone cannot tell: "the limit is 100" and "the limit is 200" are as near as two texts can be.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

SHARED_WORDS = 0.55  # of the shorter text's words that the longer one must have
MIN_COSINE = 0.70

_TOKEN = re.compile(r"[^\W_]+(?:[.:,/_-][^\W_]+)*", re.UNICODE)
_NEGATION = frozenset(
    """not no never none nothing without cannot dont doesnt isnt arent wasnt werent wont cant shouldnt mustnt didnt
    hasnt havent neither nor stop stopped disabled enabled forbidden allowed deprecated longer""".split()
)


def difference(old: str, new: str) -> str | None:
    """ "number", "negation" or "name": in what two texts of nearly the same words differ; None for any other two."""
    before, after = _counted(old), _counted(new)
    shorter = min(before.total(), after.total())
    if not shorter or (before & after).total() / shorter < SHARED_WORDS:
        return None
    gone, came = set(before - after), set(after - before)
    if _any(str.isdigit, gone) and _any(str.isdigit, came):
        return "number"
    if gone & _NEGATION != came & _NEGATION:
        return "negation"
    return "name" if gone & _names(old) and came & _names(new) else None


def _any(test: Callable[[str], bool], words: set[str]) -> bool:
    return any(test(character) for word in words for character in word)


def _counted(text: str) -> Counter[str]:
    return Counter(token.lower() for token in _TOKEN.findall(text.replace("’", "").replace("'", "")))


def _names(text: str) -> set[str]:
    """Words that look like names: a capital that does not begin a sentence, or a path or identifier."""
    found = set()
    for match in _TOKEN.finditer(text):
        token = match[0]
        begins = not text[: match.start()].rstrip(" \"'(*_`-") or text[: match.start()].rstrip()[-1:] in ".!?:\n"
        capital = token[:1].isupper() and not begins
        if capital or any(c in "/_" or c.isupper() for c in token[1:]):
            found.add(token.lower())
    return found
