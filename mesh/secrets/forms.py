"""Tokens with a form of their own, as those who issue them have published it.

What `library` has rules for stands here only where today's form is another one. A pattern is compiled only when a text
holds its hint: that is what keeps a scan of ordinary text in the microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from .candidate import Candidate
from .plausible import is_random

_W = "[0-9A-Za-z]"
_U = "[0-9A-Za-z_-]"
_FORMS = {  # what a token begins with: its kind, and the rest of it
    "github_pat_": ("GitHub token", f"{_W}{{22}}_{_W}{{59}}"),
    "ghp_": ("GitHub token", f"{_W}{{36,}}"),
    "glpat-": ("GitLab token", f"{_U}{{20,}}(?:\\.[0-9a-z.]+)?"),
    "xapp-": ("Slack token", r"\d-[A-Z0-9]+-\d+-[0-9a-z]{32,}"),
    "xoxe": ("Slack token", f"(?:\\.xox[bp])?-{_U}{{20,}}"),
    "sk-proj-": ("OpenAI key", f"{_U}{{40,}}"),
    "sk-svcacct-": ("OpenAI key", f"{_U}{{40,}}"),
    "sk-admin-": ("OpenAI key", f"{_U}{{40,}}"),
    "sk-ant-": ("Anthropic key", f"{_U}{{40,}}"),
    "sk-or-v1-": ("OpenRouter key", "[0-9a-f]{64}"),
    "AIza": ("Google API key", f"{_U}{{35}}"),
    "GOCSPX-": ("Google OAuth secret", f"{_U}{{28}}"),
    "ya29.": ("Google access token", f"{_U}{{40,}}"),
    "npm_": ("npm token", f"{_W}{{36}}"),
    "hf_": ("Hugging Face token", f"{_W}{{34,}}"),
    "dop_v1_": ("DigitalOcean token", "[0-9a-f]{64}"),
    "doo_v1_": ("DigitalOcean token", "[0-9a-f]{64}"),
    "dor_v1_": ("DigitalOcean token", "[0-9a-f]{64}"),
    "shpat_": ("Shopify token", "[0-9a-fA-F]{32}"),
    "shpss_": ("Shopify secret", "[0-9a-fA-F]{32}"),
    "shppa_": ("Shopify token", "[0-9a-fA-F]{32}"),
    "shpca_": ("Shopify token", "[0-9a-fA-F]{32}"),
    "dapi": ("Databricks token", r"[0-9a-f]{32}(?:-\d)?"),
    "key-": ("Mailgun key", "[0-9a-f]{32}"),
    "sq0atp-": ("Square token", f"{_U}{{22}}"),
    "whsec_": ("webhook secret", "[0-9A-Za-z+/=]{32,}"),
    "lin_api_": ("Linear key", f"{_W}{{40}}"),
    "ntn_": ("Notion token", f"{_W}{{46}}"),
    "hvs.": ("Vault token", f"{_U}{{24,}}"),
    "hvb.": ("Vault token", f"{_U}{{24,}}"),
    "dp.pt.": ("Doppler token", f"{_W}{{40,}}"),
    "dp.st.": ("Doppler token", "[0-9A-Za-z_.-]{40,}"),
    "AGE-SECRET-KEY-1": ("age key", "[0-9A-Z]{58}"),
    "glsa_": ("Grafana token", f"{_W}{{32}}_[0-9a-fA-F]{{8}}"),
    "NRAK-": ("New Relic key", "[0-9A-Z]{27}"),
    "dckr_pat_": ("Docker token", f"{_U}{{27,}}"),
    "tskey-": ("Tailscale key", f"(?:auth|api|client|scim|webhook)-{_W}+-{_W}{{20,}}"),
    "ATATT3": ("Atlassian token", r"[0-9A-Za-z_=-]{100,}"),
    "PMAK-": ("Postman key", "[0-9a-f]{24}-[0-9a-f]{34}"),
    "gsk_": ("Groq key", f"{_W}{{40,}}"),
    "xai-": ("xAI key", f"{_W}{{70,}}"),
    "r8_": ("Replicate token", f"{_W}{{37}}"),
    "pplx-": ("Perplexity key", f"{_W}{{40,}}"),
    "sbp_": ("Supabase token", "[0-9a-f]{40}"),
    "sb_secret_": ("Supabase key", f"{_U}{{20,}}"),
    "sntryu_": ("Sentry token", "[0-9a-f]{64}"),
    "sntrys_": ("Sentry token", "eyJ[0-9A-Za-z+/=_-]{40,}"),
    "pul-": ("Pulumi token", "[0-9a-f]{40}"),
    "rubygems_": ("RubyGems key", "[0-9a-f]{48}"),
    "cio": ("crates.io token", f"{_W}{{32}}"),
    "AKCp": ("Artifactory key", f"{_W}{{60,}}"),
    "HRKU-": ("Heroku key", f"{_U}{{36,}}"),
    "figd_": ("Figma token", f"{_U}{{40,}}"),
    "fm2_": ("Fly token", "[0-9A-Za-z+/=_-]{60,}"),
    "EAACEdEose0cBA": ("Facebook token", f"{_W}{{20,}}"),
}
_SHAPES = {  # hints, and the whole of it: what does not begin with the same characters each time
    "PRIVATE KEY": (
        "private key",
        # What may stand between the first line and the key: line ends, also written out, quote marks, header lines.
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
        r"(?:\\[nr]|[\s>|\"'`]|[A-Za-z-]+: [^\n]*\n)*+[0-9A-Za-z+/=]{32,}",
    ),
    "PuTTY-User-Key-File": (
        "private key",
        r"PuTTY-User-Key-File-\d:[^\0]{0,2000}?Private-Lines: \d+\s+[0-9A-Za-z+/=]+",
    ),
    ".atlasv1.": ("Terraform Cloud token", f"{_W}{{14}}\\.atlasv1\\.{_U}{{60,}}"),
    "hooks.slack.com": ("Slack webhook", r"hooks\.slack\.com/(?:services|workflows|triggers)/[0-9A-Za-z/_-]{30,}"),
    "/api/webhooks/": ("Discord webhook", f"discord(?:app)?\\.com/api/webhooks/\\d{{16,20}}/{_U}{{60,}}"),
    "webhook.office.com": ("Teams webhook", r"[\w-]+\.webhook\.office\.com/webhookb2/[\w@/-]{60,}"),
    "sig=": ("signed URL", r"[?&]sig=[0-9A-Za-z%+/=-]{40,}"),
    "X-Amz-Signature=": ("signed URL", r"X-Amz-Signature=[0-9a-f]{64}"),
}


def candidates(text: str) -> Iterator[Candidate]:
    """Every token in a known form that is not plainly made up."""
    for prefix in _FORMS:
        if prefix in text:
            kind, pattern = _form(prefix)
            for match in pattern.finditer(text):
                if is_random(match[0][len(prefix) :]):
                    yield Candidate(match.start(), match.end(), kind, f"{prefix}…")
    for hint in _SHAPES:
        if hint in text:
            kind, pattern = _shape(hint)
            for match in pattern.finditer(text):
                yield Candidate(match.start(), match.end(), kind, f"{hint}…")


@cache
def _form(prefix: str) -> tuple[str, re.Pattern[str]]:
    kind, rest = _FORMS[prefix]
    return kind, re.compile(f"(?<![0-9A-Za-z_-]){re.escape(prefix)}{rest}(?![0-9A-Za-z])")


@cache
def _shape(hint: str) -> tuple[str, re.Pattern[str]]:
    kind, whole = _SHAPES[hint]
    return kind, re.compile(whole)
