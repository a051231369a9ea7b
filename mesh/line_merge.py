"""Three versions of a text merged line by line, as `git merge-file` does, and the same whichever side comes first.

Lines are any strings without their line ends. A *chunk* is a piece of the base with what each side made of it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

COMPARED = 40_000  # pairs of lines, at most, that are compared where no line is unique: beyond, all of it is replaced

LOOKS = 100  # at a line, on average, at most: then no more lines are matched. Texts of people need less than ten

Lines = Sequence[str]


class Chunk(NamedTuple):
    base: Lines
    one: Lines
    other: Lines

    @property
    def merged(self) -> Lines | None:
        """What both sides agree on, or the only one changed; None for a conflict."""
        if self.one == self.other or self.other == self.base:
            return self.one
        return self.other if self.one == self.base else None


def merged(base: Lines, one: Lines, other: Lines) -> list[str] | None:
    """The lines with the changes of both sides; None if they changed the same or neighbouring lines.

    A result is only given if it is stable: to merge it with either side again must change nothing. Where lines repeat,
    a merge by matching lines can fail that, and then it has guessed.
    """
    result = _merged(base, one, other)
    if result is None or any(_merged(base, result, side) != result for side in (one, other)):
        return None
    return result


def _merged(base: Lines, one: Lines, other: Lines) -> list[str] | None:
    result: list[str] = []
    for chunk in chunks(base, one, other):
        if (lines := chunk.merged) is None:
            return None
        result += lines
    return result


def with_markers(base: Lines, one: Lines, other: Lines, names: tuple[str, str]) -> list[str]:
    """The lines, with git's conflict markers around what both sides changed."""
    result: list[str] = []
    for chunk in chunks(base, one, other):
        if (lines := chunk.merged) is None:
            lines = [f"<<<<<<< {names[0]}", *chunk.one, "=======", *chunk.other, f">>>>>>> {names[1]}"]
        result += lines
    return result


def without_markers(lines: Lines) -> tuple[list[str], list[str]] | None:
    """The two sides of a text with git's conflict markers, the base between them left out; None if there are none."""
    sides: tuple[list[str], list[str]] = ([], [])
    place, found = 0, False  # 0: outside, then what follows each of the markers
    for line in lines:
        step = next((step for mark, step in _STEPS[place].items() if _is_marker(line, mark)), None)
        if step is not None:
            place, found = step, True
            continue
        if place in {0, 1}:
            sides[0].append(line)
        if place in {0, 3}:
            sides[1].append(line)
    return sides if found and not place else None


_STEPS = ({"<<<<<<< ": 1}, {"||||||| ": 2, "=======": 3}, {"=======": 3}, {">>>>>>> ": 0})


def _is_marker(line: str, mark: str) -> bool:
    return line.startswith(mark) if mark.endswith(" ") else line.removesuffix("\r") == mark


def chunks(base: Lines, one: Lines, other: Lines) -> Iterator[Chunk]:
    """The base from first to last line: what neither side touched, and in between what either did."""
    in_one, in_other = dict(matches(base, one)), dict(matches(base, other))
    kept = [(at, in_one[at], in_other[at]) for at in in_one if at in in_other]
    start = (0, 0, 0)
    for place in [*kept, (len(base), len(one), len(other))]:
        if place != start:
            yield Chunk(base[start[0] : place[0]], one[start[1] : place[1]], other[start[2] : place[2]])
        line = base[place[0] : place[0] + 1]
        if line:
            yield Chunk(line, line, line)
        start = (place[0] + 1, place[1] + 1, place[2] + 1)


def matches(old: Lines, new: Lines) -> list[tuple[int, int]]:
    """Pairs of places, both ascending, at which a line of `old` is one of `new`."""
    pairs: list[tuple[int, int]] = []
    pending = [(0, len(old), 0, len(new))]
    looks = LOOKS * (len(old) + len(new))
    while pending:
        low, high, new_low, new_high = pending.pop()
        while low < high and new_low < new_high and old[low] == new[new_low]:
            pairs.append((low, new_low))
            low, new_low = low + 1, new_low + 1
        while low < high and new_low < new_high and old[high - 1] == new[new_high - 1]:
            high, new_high = high - 1, new_high - 1
            pairs.append((high, new_high))
        looks -= high - low + new_high - new_low
        if low == high or new_low == new_high or looks < 0:
            continue
        anchors = _anchors(old[low:high], new[new_low:new_high])
        if not anchors:
            pairs += [(low + a, new_low + b) for a, b in _few(old[low:high], new[new_low:new_high])]
            continue
        ends = [*((low + a, new_low + b) for a, b in anchors), (high, new_high)]
        for place, new_place in ends:
            pending.append((low, place, new_low, new_place))
            low, new_low = place, new_place
    return sorted(pairs)


def _anchors(old: Lines, new: Lines) -> list[tuple[int, int]]:
    """The longest run of lines, in the order of both, that stand exactly once in each ("patience diff")."""
    count, new_count = Counter(old), Counter(new)
    place = {line: at for at, line in enumerate(new) if new_count[line] == 1}
    unique = [(at, place[line]) for at, line in enumerate(old) if count[line] == 1 and line in place]
    tails: list[int] = []  # the smallest end of an ascending run of each length
    before: list[int] = []  # how long the run is that ends at each pair
    for _, at in unique:
        length = bisect_left(tails, at)
        tails[length : length + 1] = [at]
        before.append(length)
    run: list[tuple[int, int]] = []
    wanted = len(tails) - 1
    for pair, length in zip(reversed(unique), reversed(before), strict=True):
        if length == wanted and (not run or pair[1] < run[-1][1]):
            run.append(pair)
            wanted -= 1
    return run[::-1]


def _few(old: Lines, new: Lines) -> list[tuple[int, int]]:
    """Pairs where no line is unique. To compare all with all takes too long for long texts."""
    if len(old) * len(new) > COMPARED:
        return []
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    return [(block.a + n, block.b + n) for block in blocks for n in range(block.size)]
