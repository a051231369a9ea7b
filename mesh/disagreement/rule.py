"""The rule: which one thing two statements of one frame differ in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import NamedTuple

from .statements import Statement, Token, heading, is_code, statement, statements, whole
from .words import (
    AUXILIARIES,
    BOUNDS,
    CHANGES,
    CONDITIONS,
    GENERIC_KEYS,
    GRAMMAR,
    HARMLESS,
    LABELS,
    OPPOSITES,
    PAST,
    PRONOUNS,
    SCOPE,
    THE_ONE,
    stem,
)

SHARED_FRAME = 0.6  # of the shorter frame
MOST_ADDED = 3  # words that one of two statements may have more, after its verb
_SWITCH = {"on", "off"}
_VALUES = ("number", "day", "date", "clock", "often", "name")

_OPPOSITE: dict[str, set[str]] = {}
for _one, _other in OPPOSITES:
    _OPPOSITE.setdefault(stem(_one), set()).add(stem(_other))
    _OPPOSITE.setdefault(stem(_other), set()).add(stem(_one))

Pair = tuple[list[Token], list[Token]]


class Disagreement(NamedTuple):
    """`kind`: number, day, date, clock, often, name, negation, opposite or value. `one`, `other`: the words."""

    kind: str
    one: str
    other: str


def disagreement(title: str, content: str, other_title: str, other_content: str) -> Disagreement | None:
    """What two memories cannot both be right about; None if nothing is found. The same in both directions."""
    about, other_about = heading(title, content), heading(other_title, other_content)
    if about and other_about and _is_another_subject(statement(about), statement(other_about)):
        return None
    mine, its = statements(content), statements(other_content)
    lone = len(mine) == len(its) == 1
    both = {_bag(one) for one in mine} & {_bag(one) for one in its}
    for one in mine:
        for other in its:
            if _bag(one) not in both and _bag(other) not in both and (found := _between(one, other, lone)):
                return found
    return None


def says_the_same(title: str, content: str, other_title: str, other_content: str) -> bool:
    """Whether nothing that the rule knows tells two texts apart that are near in meaning: numbers, days, names, "not".

    Nor a word that only one of them has: "nuts" and "shellfish" are as near as other words for one thing.
    """
    if is_code(content) or is_code(other_content):
        return False
    one, other = (whole(f"{name}\n{text}") for name, text in ((title, content), (other_title, other_content)))
    mine, its = one.tokens, other.tokens
    if not mine or not its:
        return False
    if _values(mine) != _values(its) or _unknown_names(mine, its) or _unknown_names(its, mine):
        return False
    gone, came = _differing(mine, its)
    flips = _flips(gone, came)
    if flips % 2 or (flips and CONDITIONS & {*one.words, *other.words}):
        return False
    return not _unlike(gone, came) and not _unlike(came, gone)


def _values(tokens: Iterable[Token]) -> Counter[str]:
    return Counter(f"{one.kind} {one.key}" for one in tokens if one.kind in ("number", "day", "date", "clock", "often"))


def _unknown_names(some: Iterable[Token], others: Iterable[Token]) -> bool:
    known = {one.key for one in others}
    return any(one.kind == "name" and one.key not in known for one in some)


def _unlike(some: list[Token], others: list[Token]) -> list[Token]:
    """Words of one side that are not a form of a word of the other, nor say nothing by themselves."""
    words = [one for one in some if one.kind == "word" and one.key not in HARMLESS]
    return [one for one in words if not any(_is_said_by(one.key, other.key) for other in others)]


def _is_said_by(one: str, other: str) -> bool:
    """Whether two words begin alike (allergic, allergy), or one is the other's opposite, which a "not" made good."""
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    return other in _OPPOSITE.get(one, ()) or alike >= max(4, 0.6 * min(len(one), len(other)))


# --- two statements ------------------------------------------------------------------------------------------------


def _bag(one: Statement) -> frozenset[tuple[str, str]]:
    return frozenset((token.kind, token.key) for token in one.tokens)


def _differing(mine: Sequence[Token], its: Sequence[Token]) -> Pair:
    """The tokens that only one side has, by what they say."""
    have, there = Counter(one.key for one in mine), Counter(one.key for one in its)
    return _beyond(mine, there), _beyond(its, have)


def _beyond(tokens: Sequence[Token], others: Counter[str]) -> list[Token]:
    left, found = others.copy(), []
    for one in tokens:
        if left[one.key] > 0:
            left[one.key] -= 1
        else:
            found.append(one)
    return found


def _is_another_subject(one: Statement, other: Statement) -> bool:
    gone, came = _differing(one.tokens, other.tokens)
    return bool(gone and came)


def _between(one: Statement, other: Statement, lone: bool) -> Disagreement | None:
    gone, came = _differing(one.tokens, other.tokens)
    if one.key and one.key == other.key:
        return _of_one_key(one, other, gone, came, lone)
    if not lone and (one.words[0] in PRONOUNS or other.words[0] in PRONOUNS):
        return None
    if not _same_frame(one, other, gone, came, lone):
        return None
    if any(_is_past(each) or not each.is_said for each in (one, other)):
        return None
    kinds = {kind for kind in _VALUES if any(t.kind == kind for t in gone) and any(t.kind == kind for t in came)}
    if _flips(gone, came) % 2:
        return _of_polarity(gone, came)
    if len(kinds) != 1:
        return None
    kind = kinds.pop()
    values = [token for token in gone if token.kind == kind], [token for token in came if token.kind == kind]
    if kind == "number":
        return _of_numbers(one, other, *values)
    return _of_one_value(kind, one, other, *values)


def _same_frame(one: Statement, other: Statement, gone: list[Token], came: list[Token], lone: bool) -> bool:
    """Whether two statements speak of one thing in one scope."""
    shared = Counter(t.key for t in one.frame) & Counter(t.key for t in other.frame)
    opposed = len({t.key for t in gone if _OPPOSITE.get(t.key, set()) & {t.key for t in came}})
    shorter = min(len(one.frame), len(other.frame)) - opposed
    if shared.total() < (1 if lone else 2) or shared.total() < SHARED_FRAME * shorter:
        return False
    left = [_frame_words(gone, came), _frame_words(came, gone)]
    if all(left):
        return False
    added, where = (left[0], one) if left[0] else (left[1], other)
    return len(added) <= MOST_ADDED and all(_is_no_scope(where, token) for token in added)


def _frame_words(some: list[Token], others: list[Token]) -> list[Token]:
    """Words that one side has more, but for opposites of what the other has, and what says nothing."""
    there = {one.key for one in others}
    return [
        one
        for one in some
        if one.kind == "word" and one.key not in HARMLESS | _SWITCH and not _OPPOSITE.get(one.key, set()) & there
    ]


def _is_no_scope(where: Statement, token: Token) -> bool:
    """Whether an added word stands after the verb, and not in a phrase that says where or when."""
    if token.place < where.verb or not where.verb:
        return False
    return not any(word in SCOPE for word in where.words[where.verb : token.place][-4:])


def _flips(gone: list[Token], came: list[Token]) -> int:
    """How many negations and opposites differ."""
    flips = sum(one.kind == "not" for one in [*gone, *came])
    there = {one.key for one in came}
    return flips + sum(bool(_OPPOSITE.get(one.key, set()) & there) for one in gone if one.kind == "word")


def _of_polarity(gone: list[Token], came: list[Token]) -> Disagreement | None:
    """The negation or the opposite in which they differ, if nothing else does: else it may hold in another case."""
    if any(one.kind in _VALUES for one in [*gone, *came]) or _frame_words(gone, came) or _frame_words(came, gone):
        return None
    for one in gone:
        for other in came:
            if other.key in _OPPOSITE.get(one.key, ()):
                if not one.place and not other.place:
                    return None  # "start it", "stop it": two commands
                return Disagreement("opposite", one.shown, other.shown)
    mine, its = ([t.shown for t in side if t.kind == "not"] for side in (gone, came))
    return Disagreement("negation", " ".join(mine), " ".join(its))


def _is_past(one: Statement) -> bool:
    """Whether it tells what happened once: that it was otherwise another time is no contradiction."""
    for place, word in enumerate(one.words):
        before = one.words[max(0, place - 2) : place]
        if word in CHANGES:
            return False
        is_past = word in PAST or (word.endswith("ed") and len(word) > 4 and place > 0)
        if is_past and not AUXILIARIES & set(before):
            return True
    return False


def _in_subject(one: Statement, token: Token) -> bool:
    return token.place < one.verb


# --- values --------------------------------------------------------------------------------------------------------


def _of_numbers(one: Statement, other: Statement, mine: list[Token], its: list[Token]) -> Disagreement | None:
    """Numbers of one unit, or in one place."""
    if len(mine) != len(its) or [a.unit for a in mine] != [b.unit for b in its]:
        return None
    for statement_, tokens in ((one, mine), (other, its)):
        if any(_is_label(statement_, token) for token in tokens):
            return None
    if not all(a.unit or _before(one, a) == _before(other, b) for a, b in zip(mine, its, strict=True)):
        return None
    if one.negated and not any(stem(word) in BOUNDS for word in one.words):
        return None
    return Disagreement("number", *(" ".join(token.shown for token in side) for side in (mine, its)))


def _is_label(one: Statement, token: Token) -> bool:
    """Whether a number names the subject: "server 2", "Python 3.11 is supported"."""
    before = stem(_before(one, token))
    return not token.unit and (_in_subject(one, token) or (before in LABELS and not one.verb) or not token.place)


def _before(one: Statement, token: Token) -> str:
    words = [word for word in one.words[: token.place] if word not in GRAMMAR]
    return words[-1] if words else ""


def _of_one_value(
    kind: str, one: Statement, other: Statement, mine: list[Token], its: list[Token]
) -> Disagreement | None:
    """A day, a date, a name: one on each side, and not part of the subject."""
    if not (_is_one(mine) and _is_one(its)) or one.negated:
        return None
    for where, token in ((one, mine[0]), (other, its[0])):
        word = where.words[token.place - 1] if token.place else ""
        if _in_subject(where, token) or _is_listed(where, token):
            return None
        if not where.verb:
            return None
        if kind == "name" and not (word in THE_ONE and any(t.place < token.place for t in where.frame)):
            return None
    return Disagreement(kind, *(" ".join(token.shown for token in side) for side in (mine, its)))


def _is_one(tokens: list[Token]) -> bool:
    """Whether they stand side by side: the parts of one name."""
    return bool(tokens) and tokens[-1].place - tokens[0].place == len(tokens) - 1 <= 2


def _is_listed(where: Statement, token: Token) -> bool:
    around = where.words[max(0, token.place - 1) : token.place + 2]
    return bool({"and", "or", "also"} & set(around))


def _of_one_key(
    one: Statement, other: Statement, gone: list[Token], came: list[Token], lone: bool
) -> Disagreement | None:
    """`key: value` of one key, if it is the whole of both texts and each has one short value."""
    if not lone or any(stem(word) in GENERIC_KEYS or word.isdigit() for word in one.key.split()):
        return None
    values = [each.text.partition(":")[2].strip().rstrip(".") for each in (one, other)]
    if not gone or not came or any(len(value.split()) > 4 or ", " in value or " and " in value for value in values):
        return None
    units = [{token.unit for token in side if token.kind == "number"} for side in (gone, came)]
    if units[0] != units[1] or any(token.kind == "not" for token in (*gone, *came)):
        return None
    return Disagreement("number" if units[0] else "value", values[0], values[1])
