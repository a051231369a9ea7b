"""The rules of detect-secrets: its plugins for single issuers.

Importing it takes 0.17 s of CPU, most of it for an HTTP client that we never use. So a text is asked first, with plain
words and a pattern, whether any of the rules can match: what they need of a text is listed here, and a test draws
strings from every rule to show that none is passed over. Left out are its rules for anything that looks random
(digests and ids do), for names and for URLs (`named` has both, and judges the value), for public addresses, and two
that match labels and mere mentions (Artifactory, private keys; `forms` has both).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from .candidate import Candidate
from .plausible import is_random

_PLUGINS = {
    "aws": "AWSKeyDetector",
    "azure_storage_key": "AzureStorageKeyDetector",
    "cloudant": "CloudantDetector",
    "discord": "DiscordBotTokenDetector",
    "github_token": "GitHubTokenDetector",
    "gitlab_token": "GitLabTokenDetector",
    "ibm_cloud_iam": "IbmCloudIamDetector",
    "ibm_cos_hmac": "IbmCosHmacDetector",
    "jwt": "JwtTokenDetector",
    "mailchimp": "MailchimpDetector",
    "npm": "NpmDetector",
    "openai": "OpenAIDetector",
    "pypi_token": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "softlayer": "SoftlayerDetector",
    "square_oauth": "SquareOAuthDetector",
    "stripe": "StripeDetector",
    "telegram_token": "TelegramBotTokenDetector",
    "twilio": "TwilioKeyDetector",
}
_HINTS = tuple(
    "AccountKey= GR1348941 _authToken= T3BlbkFJ pypi-Ag SG. sq0csp- sk_live_ rk_live_ eyJ ghp_ gho_ ghu_ ghs_ ghr_"
    " glpat- gldt- glft- glsoat- glrt- glcbt- glimt- glptt- glagent- gloas-".split()
)
_HINTS_IN_ANY_CASE = ("xox", "hooks.slack.com", "/soap/v3", ".cloudant.com")
_NAMES = ("key", "pwd", "pw", "pass", "token")  # one of them stands before what has no form of its own
_RUN_AFTER_NAME = r"[0-9A-Za-z_-]{44}|[0-9A-Fa-f]{48}|[0-9A-Za-z/+]{40}|[0-9A-Za-z]{64}|[A-Za-z]{24}"
_RUN = (
    r"(?:A3T|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}|(?:AC|SK)[0-9a-z]{32}|[0-9a-z]{32}-us\d|[MNO][\w-]{23}[\w.-]{8}"
    r"|\d{8}:[\w-]{35}"
)
SHORTEST = 8
_WINDOW, _OVERLAP = 4_000, 1_000  # a longer line is read in parts: some of the rules take the square of its length


def candidates(text: str) -> Iterator[Candidate]:
    """What the library's rules find, without placeholders."""
    if not may_match(text):
        return
    for offset, part in _parts(text):
        if may_match(part):
            for kind, start, end in _matches(part):
                yield Candidate(offset + start, offset + end, kind)


def may_match(text: str) -> bool:
    """Whether any of the rules can match anything in the text: a superset, found without the library."""
    if any(hint in text for hint in _HINTS) or _run().search(text):
        return True
    lowered = text.casefold()  # as the rules do: the long s is an s
    if any(hint in lowered for hint in _HINTS_IN_ANY_CASE):
        return True
    return any(name in lowered for name in _NAMES) and _run_after_name().search(text) is not None


def _parts(text: str) -> Iterator[tuple[int, str]]:
    offset = 0
    for line in text.splitlines(keepends=True):
        for start in range(0, max(1, len(line) - _OVERLAP), _WINDOW - _OVERLAP):
            yield offset + start, line[start : start + _WINDOW].rstrip("\r\n")
        offset += len(line)


def _matches(line: str) -> Iterator[tuple[str, int, int]]:
    """Kind and span of what the rules match; of what is no placeholder."""
    for plugin in plugins():
        is_valid = getattr(plugin, "is_formally_valid", None)
        for rule in plugin.denylist:
            for match in rule.finditer(line):
                group = _of_secret(match)
                if _begins_in_a_word(line, match.start()):
                    continue
                if is_random(match[group]) and (is_valid is None or is_valid(match[group])):
                    yield plugin.secret_type, *match.span(group)


def _begins_in_a_word(line: str, start: int) -> bool:
    """Whether a match is the end of something longer: of a number, a digest, an encoded file."""
    before = line[start - 1 : start]
    return before.isascii() and before.isalnum() and line[start].isalnum()


def _of_secret(match: re.Match[str]) -> int:
    """The group that holds the secret: the longest. The prefix of a token may be one, too, and is not meant."""
    longest = max(range(1, len(match.groups()) + 1), key=lambda number: len(match[number] or ""), default=0)
    return longest if len(match[longest] or "") >= SHORTEST else 0


@cache
def plugins() -> tuple[Any, ...]:
    """The library's plugins that are used, loaded at the first call."""
    from importlib import import_module

    return tuple(
        getattr(import_module(f"detect_secrets.plugins.{module}"), name)() for module, name in _PLUGINS.items()
    )


@cache
def _run() -> re.Pattern[str]:
    return re.compile(_RUN)


@cache
def _run_after_name() -> re.Pattern[str]:
    return re.compile(_RUN_AFTER_NAME, re.IGNORECASE)
