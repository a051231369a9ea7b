"""Cutting a long text into overlapping passages that each fit a model's window.

The text is seen as units that no word crosses (a run of letters, a mark, a stretch of white space), so the tokens of
a passage are the sum of its units' tokens. A passage ends at a paragraph, line, sentence or word end near the
window's end, and the next one begins about an eighth of the window before it.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

from mesh.embedding.wordpiece import CHINESE_BLOCKS, LONGEST_WORD, SPECIAL_TOKEN

Span = tuple[int, int]

_MOST_TOKENS_A_CHARACTER = 4  # canonical decomposition makes at most four characters of one
_LEAST_ROOM = 32
_OVERLAP = 8  # an eighth
_CHINESE = "".join(f"{chr(first)}-{chr(last)}" for first, last in CHINESE_BLOCKS)
_MARKS = r"!-/:-@\[-`{-~‐-‧‰-⁃⁅-⁑⁓-⁞、-〃〈-】〔-〟！-＃％-＊，-／：；？＠"  # some that BERT, too, takes as words
_units: re.Pattern[str] | None = None

# From the best place to end to the worst: how a unit must look for a passage to end after it.
_ENDS: tuple[Callable[[str, str], bool], ...] = (
    lambda unit, _: unit.isspace() and unit.count("\n") > 1,
    lambda unit, _: unit.isspace() and "\n" in unit,
    lambda unit, before: (before in ".!?…" and unit.isspace()) or unit in "。！？",
    lambda unit, _: unit.isspace(),
)


def passages(text: str, prefix: str, *, window: int, count: Callable[[str, int | None], int]) -> list[Span]:
    """Spans `(start, stop)` that cover `text` and overlap a little; `prefix + text[start:stop]` fits the window.

    `window`: tokens that text may take, the model's special ones not included. `count(text, limit)`: the tokens of
    a text, counted up to `limit`. A prefix that leaves less than 32 tokens is the exception: the spans then have 32
    tokens, and the model cuts them.
    """
    if _surely_fits(prefix, text, window) or count(prefix + text, window + 1) <= window:
        return [(0, len(text))]
    room = max(window - count(prefix, window) - _glue(prefix), _LEAST_ROOM)
    return _cut(*_units_and_tokens(text, room, count), room)


def _surely_fits(prefix: str, text: str, window: int) -> bool:
    """Without counting: a token takes at least one character, after decomposition."""
    most = 1 if text.isascii() and prefix.isascii() else _MOST_TOKENS_A_CHARACTER
    return (len(prefix) + len(text)) * most <= window


def _glue(prefix: str) -> int:
    """What a prefix may add by running into the first word. Keep it at 0: end prefixes with white space."""
    return LONGEST_WORD if prefix and not prefix[-1].isspace() else 0


def _units_and_tokens(text: str, room: int, count: Callable[[str, int | None], int]) -> tuple[list[str], list[int]]:
    """The units, and the tokens of each; one that alone exceeds `room` is cut by characters."""
    units: list[str] = []
    tokens: list[int] = []
    sizes: dict[str, int] = {}
    for unit in _unit_pattern().findall(text):
        size = sizes.get(unit)
        if size is None:
            size = sizes[unit] = count(unit, room + 1)
        if size <= room:
            units.append(unit)
            tokens.append(size)
        else:
            step = room // _MOST_TOKENS_A_CHARACTER
            parts = [unit[i : i + step] for i in range(0, len(unit), step)]
            units += parts
            tokens += (len(part) * _MOST_TOKENS_A_CHARACTER for part in parts)
    return units, tokens


def _unit_pattern() -> re.Pattern[str]:
    """Compiled on first use: a text that fits does not pay for it."""
    global _units
    if _units is None:
        space = r" \t\n\r"
        _units = re.compile(
            f"{SPECIAL_TOKEN.pattern[1:-1]}|[{space}]+|[{_CHINESE}]|[{_MARKS}]|[^{space}{_CHINESE}{_MARKS}]+"
        )
    return _units


def _cut(units: Sequence[str], tokens: Sequence[int], room: int) -> list[Span]:
    """Greedy: each passage takes what fits, ends at the best place of its last quarter, and the next steps back."""
    token_at = [0, *accumulate(tokens)]
    character_at = [0, *accumulate(map(len, units))]
    spans: list[Span] = []
    start = stop = 0
    while stop < len(units):
        full = bisect_right(token_at, token_at[start] + room) - 1
        earliest = max(bisect_left(token_at, token_at[start] + room * 3 // 4), stop + 1)
        stop = full if full == len(units) else _best_end(units, earliest, full)
        spans.append((character_at[start], character_at[stop]))
        if stop < len(units):
            start = _step_back(units, token_at, stop, min(room // _OVERLAP, room - tokens[stop]))
    return spans


def _best_end(units: Sequence[str], earliest: int, latest: int) -> int:
    for ends in _ENDS:
        for stop in range(latest, earliest - 1, -1):
            if ends(units[stop - 1], units[stop - 2] if stop > 1 else ""):
                return stop
    return latest


def _step_back(units: Sequence[str], token_at: Sequence[int], stop: int, overlap: int) -> int:
    """Where the next passage begins: at most `overlap` tokens before `stop`, at the start of a word."""
    earliest = bisect_left(token_at, token_at[stop] - overlap)
    for start in range(earliest, stop):
        if start and units[start - 1].isspace() and not units[start].isspace():
            return start
    return min(earliest, stop)
