"""Whether a string may be a secret at all: neither a placeholder, nor code, a path, a date or words."""

from __future__ import annotations

import math
import re
from collections import Counter

# Patterns as text: `re` compiles each when it is first used, which in most commands none is.
_PLACEHOLDER = (
    r"(?i)example|placeholder|your|change.?me|redact|dummy|sample|fake|insecure|insert|replace|masked|hidden|xxx|\*\*\*"
    r"|\.\.\.|…|<|\{\w+\}|\$\{|\$\(|\{\{|%\(|^[$%!]|\A(?:test|demo|dev|local|foo|bar|my|the)[_-]|_here\b|12345678|abcdef"
)
# Long enough not to stand in a random string by chance.
_PLAIN_PLACEHOLDER = r"(?i)example|placeholder|redacted|xxxxx|00000|\*\*\*|\.\.\.|…|[<>{}$]|your[_-]|12345678|abcdefgh"
_REFERENCE = r"(?i)(?:op|vault|file|arn|env|ssm|secret|keyring|https?|ref|aws|gcp|kms)[:+]"
_CODE = r"[\w\]]\(|\w\[|\A[a-z_]\w*(?:\??\.[A-Za-z_]\w*)+\Z|::|=>"
_UUID = r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z"
_NUMBERS = r"(?i)v?\d+(?:[.,:/-]\d+)*[a-z%]{0,4}\Z"
_JOINED = r"[A-Za-z][-_./][A-Za-z]"
_PIECES = r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+"
_WEAK = frozenset("password passw0rd secret postgres postgresql rabbitmq minioadmin administrator".split())

MIN_PASSWORD, MIN_TOKEN = 8, 16
MEAN_PIECE = 3.2
MIN_ENTROPY = 3.0  # bits a character: 16 random hexadecimal digits have 3.3 as a rule


def is_placeholder(value: str) -> bool:
    """What stands in examples in the place of a secret."""
    return bool(re.search(_PLACEHOLDER, value)) or len(set(value)) < 5 or value.lower() in _WEAK


def is_random(value: str) -> bool:
    """For what has the form of its issuer: anything but a placeholder, and words that are joined by hyphens."""
    if re.search(_PLAIN_PLACEHOLDER, value) or len(set(value)) < 5:
        return False
    return not (re.search(_JOINED, value) and is_worded(value))


def is_token(value: str, *, alone: bool = False) -> bool:
    """What is likely to be a token where a token is said to be. `alone`: no sign says so, only the word before it."""
    if len(value) < MIN_TOKEN or _is_other(value) or is_worded(value):
        return False
    lower, upper, digit = _classes(value)
    if alone and not (lower and upper and digit and not value.startswith("0x") and len(value) > MIN_TOKEN):
        return False
    return (digit or (lower and upper)) and (lower or upper) and _entropy(value) >= MIN_ENTROPY


def is_uuid(value: str) -> bool:
    return re.match(_UUID, value) is not None


def is_password(value: str, *, alone: bool = False) -> bool:
    """What is likely to be a password where one is said to be; `alone` as above. One of plain words is not seen."""
    if len(value) < MIN_PASSWORD or _is_other(value) or not value.isascii():
        return False
    lower, upper, digit = _classes(value)
    if is_worded(value) and (alone or re.search(_JOINED, value)):
        return False
    return digit and ((lower and upper) or ((lower or upper) and not is_worded(value) and not alone))


def _classes(value: str) -> tuple[bool, bool, bool]:
    """Whether there are lower case letters, upper case letters, digits."""
    return any(map(str.islower, value)), any(map(str.isupper, value)), any(map(str.isdigit, value))


def _is_other(value: str) -> bool:
    """A placeholder, a reference to where the secret is, code, a number, a date, a version."""
    return bool(
        is_placeholder(value)
        or value.startswith("//")
        or re.match(_REFERENCE, value)
        or re.search(_CODE, value)
        or re.match(_NUMBERS, value)
    )


def is_worded(value: str) -> bool:
    """Whether it is words, perhaps with short numbers: `stripe-live-key-2026`, `/etc/ssl/server.key`, `OAuth2Proxy`."""
    parts = re.split(r"[-_./]", value)
    if len(parts) > 3 and all(
        part.isalpha() and (part.islower() or part.istitle() or part.isupper()) for part in parts
    ):
        return True
    pieces = re.findall(_PIECES, value)
    letters = [piece for piece in pieces if not piece.isdigit()]
    if not letters or any(len(piece) > 4 for piece in pieces if piece.isdigit()):
        return False
    if sum(map(len, letters)) < MEAN_PIECE * len(letters):  # random mixed case falls into shorter pieces
        return False
    short = sum(len(piece) < 3 for piece in pieces)
    return short * 3 <= len(pieces) and sum(map(_is_word, letters)) * 4 >= len(letters) * 3


def _is_word(piece: str) -> bool:
    plain = piece.lower()
    if len(plain) <= 4:
        return True
    return bool(re.search(r"[aeiouy]", plain)) and not re.search(r"[^aeiouy]{5}|[aeiouy]{4}", plain)


def _entropy(value: str) -> float:
    """Shannon's, in bits a character."""
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts)
