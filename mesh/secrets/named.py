"""A random string beside a word that says what it is: `DB_PASSWORD=...`, "the token is ...", a column of a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from .candidate import Candidate
from .plausible import MIN_TOKEN, is_password, is_token, is_uuid

_PASSWORDS = (
    r"pass(?:word|wd|phrase|wort)|pwd|kennwort|contraseña|senha|mot de passe|пароль|密码|密碼|パスワード|비밀번호"
)
_PASSWORDS += r"|(?<![a-z])(?:pass|pw|sshpass)(?![a-z])"
_TOKENS = r"secret|token|credentials?|bearer|authorization|(?<![a-z])(?:auth|pat)(?![a-z])"
_TOKENS += r"|(?:api|access|private|auth|account|encryption|signing|client|service|master)[ _-]?key"
_NAMES = f"{_PASSWORDS}|{_TOKENS}"
_HINTS = (
    *("pass", "pwd", "pw:", "pw=", "pw ", "kennwort", "contraseña", "senha", "пароль", "密码", "密碼", "パスワード"),
    *("비밀번호", "secret", "token", "credential", "bearer", "auth", "_pat", "key"),
)
_BESIDE_HINTS = ("--", "login", "bearer", "basic", "sshpass")
_USER_HINTS = (" -u", "--user")

# What makes it the name of something that is no secret: after the word, and before it.
_OTHER_AFTER = (
    r"(?i)[_-]?(?:ids?|names?|paths?|files?|ur[li]s?|arns?|refs?|types?|lengths?|hash|digest|count|limit|ttl|expir\w*"
    r"|enabled|policy|field|endpoint|rotation|version|managers?|store|provider|headers?|prefix|source|verifier|reset\w*|changed\w*|s)\Z"
)
_OTHER_BEFORE = (
    r"(?i)(?<![a-z])(?:hash(?:ed)?|digest|public|encrypted|csrf|max|min|num|next|page|pagination|continuation"
    r"|sync|cursor)[_ -]?\Z"
)
_QUOTES = "\"'`*"
_TRAILING = ".,;:!?)]}>'\"`*。、，；）」』"
_VALUE = r"(?P<value>[^\s\"'`|<>（）。、，]{8,400})"


def candidates(text: str) -> Iterator[Candidate]:
    """Every value that is named a secret and may be one."""
    if not any(map(_may_be, text.split())):
        return
    lowered = text.lower()
    if any(hint in lowered for hint in _HINTS):
        yield from _named(_assigned(), text)
        if any(hint in lowered for hint in _BESIDE_HINTS):
            yield from _named(_beside(), text)
        yield from _named(_next_to(), text, alone=True)
        if not {"is", "was", "as"}.isdisjoint(lowered.split()):
            yield from _named(_before(), text, alone=True)
        yield from _columns(text)
    if "://" in text and "@" in text:
        yield from _judged(_in_url(), text, "password in a URL")
    if any(hint in text for hint in _USER_HINTS):
        yield from _judged(_user(), text, "password")


def _may_be(word: str) -> bool:
    """Whether any part of a word can be what `plausible` takes for a password or a token."""
    return any(map(str.isdigit, word)) or (len(word) >= MIN_TOKEN and not word.islower())


def _named(pattern: re.Pattern[str], text: str, *, alone: bool = False) -> Iterator[Candidate]:
    for match in pattern.finditer(text):
        begins, ends = match.span("name")
        suffix = re.match(r"[\w-]*", text[ends : ends + 25])
        if (
            suffix
            and not re.search(_OTHER_AFTER, suffix[0])
            and not re.search(_OTHER_BEFORE, text[max(0, begins - 14) : begins])
        ):
            yield from _candidate(match.start("value"), match["value"], match["name"], alone=alone)


def _candidate(start: int, raw: str, name: str, *, alone: bool = False) -> Iterator[Candidate]:
    """The value without what surrounds it, if it may be what its name says."""
    value = raw.split(";")[0].rstrip(_TRAILING)
    if raw.endswith(("...", "…")) or (name.lower() == "token" and is_uuid(value)):  # a UUID names a request, too
        return
    if "&" in value and "=" in value:  # the next parameter of a URL
        value = value.split("&")[0]
    user, colon, rest = value.partition(":")
    if name.lower().startswith("credential") and colon and user.isalnum():
        start, value, name = start + len(user) + 1, rest, "password"
    if re.fullmatch(_PASSWORDS, name, re.IGNORECASE):
        if is_password(value, alone=alone):
            yield Candidate(start, start + len(value), "password", f"{name} …")
    elif is_token(value, alone=alone):
        yield Candidate(start, start + len(value), "API key or token", f"{name} …")


def _judged(pattern: re.Pattern[str], text: str, kind: str) -> Iterator[Candidate]:
    for match in pattern.finditer(text):
        if is_password(match["value"]):
            yield Candidate(match.start("value"), match.end("value"), kind)


# --- tables ----------------------------------------------------------------------------------------------------


def _columns(text: str) -> Iterator[Candidate]:
    """The cells below a heading such as "password", in Markdown tables."""
    names: dict[int, str] = {}
    offset = 0
    lines = text.splitlines(keepends=True) if "|" in text else []
    for line, following in zip(lines, [*lines[1:], ""], strict=False):
        cells = _cells(line)
        if len(cells) > 1 and _is_rule(following):
            names = {
                number: match[0] for number, (_, cell) in enumerate(cells) if (match := _heading().fullmatch(cell))
            }
        elif len(cells) < 2:
            names = {}
        else:
            for number, (start, cell) in enumerate(cells):
                if number in names and " " not in cell:
                    yield from _candidate(offset + start, cell, _name_in(names[number]))
        offset += len(line)


def _cells(line: str) -> list[tuple[int, str]]:
    """The cells of a table's row: where each begins, and what it holds, without quote marks."""
    if "|" not in line:
        return []
    bare = [(match.start(), match[0], match[0].strip(" \t" + _QUOTES)) for match in re.finditer(r"[^|\n\r]+", line)]
    return [(start + raw.find(cell), cell) for start, raw, cell in bare if cell]


def _is_rule(line: str) -> bool:
    return "-" in line and not line.strip(" \t\r\n|:-")


def _name_in(heading: str) -> str:
    match = re.search(_NAMES, heading, re.IGNORECASE)
    return match[0] if match else heading


@cache
def _heading() -> re.Pattern[str]:
    return re.compile(rf"[\w ]{{0,20}}(?:{_NAMES})", re.IGNORECASE)


# --- patterns: each begins at a name or a quote mark, so that no run of characters is read twice ---------------------


@cache
def _assigned() -> re.Pattern[str]:
    """A name, perhaps "for" something; a sign or "is"; a value."""
    purpose = r"(?:[ \t](?:for|of|to|on|in|für|von|zu|de|pour)[ \t][^\n.:;=|()\[\]]{1,40}?)?"
    sign = rf"[{_QUOTES}\])]{{0,4}}[ \t]{{0,3}}(?::=|=>|={{1,3}}|[:：]|→|->|\bis[ \t]|\bwas[ \t]|\bist[ \t]|は)"
    opening = rf"[ \t{_QUOTES}(\[@]{{0,6}}(?:(?:bearer|basic|token)[ \t]+)?"
    return re.compile(rf"(?P<name>{_NAMES})[\w-]{{0,24}}?{purpose}{sign}{opening}{_VALUE}", re.IGNORECASE)


@cache
def _beside() -> re.Pattern[str]:
    """What follows an option of a command, a word of `.netrc`, or the scheme of an HTTP header."""
    before = rf"--[\w-]{{0,20}}?(?={_NAMES})|\blogin[ \t]+\S{{1,64}}[ \t]+(?=password)|\b(?=bearer|basic)|\b(?=sshpass)"
    return re.compile(
        rf"(?:{before})(?P<name>{_NAMES}|basic)[\w-]{{0,12}}[ \t]+(?:-p[ \t]*)?[{_QUOTES}]?{_VALUE}", re.IGNORECASE
    )


@cache
def _next_to() -> re.Pattern[str]:
    """A name and then a value, in the same line or alone in the next."""
    gap = rf"(?:[ \t]+[{_QUOTES}(]{{0,3}}|[ \t:{_QUOTES}]{{0,4}}\r?\n(?:[ \t]*\r?\n)?[ \t{_QUOTES}-]{{0,6}})"
    return re.compile(rf"(?P<name>{_NAMES})s?{gap}{_VALUE}", re.IGNORECASE)


@cache
def _before() -> re.Pattern[str]:
    """`"..." is the password`."""
    is_the = r"[ \t]+(?:is|was|as)[ \t]+(?:the|our|my|a|its)[ \t]+[\w \t-]{0,30}?"
    return re.compile(rf"[\"'`]{_VALUE}[\"'`]{is_the}(?P<name>{_NAMES})", re.IGNORECASE)


@cache
def _in_url() -> re.Pattern[str]:
    return re.compile(r"://[^\s/:@?#]{0,64}:(?P<value>[^\s/@\"'`<>]{8,200})@")


@cache
def _user() -> re.Pattern[str]:
    return re.compile(rf"[ ](?:-u|--user)[ =]?[{_QUOTES}]?[^\s:{_QUOTES}]{{1,64}}:(?P<value>[^\s{_QUOTES}]{{8,200}})")
