"""Texts to measure with: distinct made-up engineering notes of about 120 characters, the same on every run."""

from __future__ import annotations

import itertools
import random

THINGS = """billing worker|login page|search index|image resizer|mail gateway|session store|audit log|export job|price
engine|mobile app|admin console|feature flags|build cache|status page|push service|report builder|map tiles|rate
limiter|chat bridge|license check|invoice printer|backup script|edge proxy|data loader""".replace("\n", " ").split("|")
DOES = """reads its settings from|must be restarted before|waits at most thirty seconds for|keeps a copy of|is tested
against|hands failures over to|was split out of|shares its password with|writes one line a minute into|is paid for
by|breaks without|should never be deployed with|was measured beside|takes its schema from|sends a daily summary
to""".replace("\n", " ").split("|")
OTHERS = """the Lisbon database replica|a folder on the old file server|the second message queue|the vendor's test
account|the nightly batch on Sunday|our German tax module|the public GraphQL schema|a spreadsheet that finance owns|the
warehouse scanner|the hosted key store|the canary region|a forked parser library|the customer portal|the release
calendar|the Kubernetes ingress""".replace("\n", " ").split("|")
BECAUSE = """because retries doubled the bill|since the May outage|as the auditors asked|to keep start-up under a
second|until the new contract is signed|so that support can follow along|because clocks drifted apart|after two silent
failures|to make rollbacks boring|since nobody owned it before|because the old library was abandoned|to stop losing
uploads""".replace("\n", " ").split("|")


def texts(count: int, seed: int = 1) -> list[str]:
    """`count` distinct texts, at most about 60,000 before a number is added."""
    every = list(itertools.product(THINGS, DOES, OTHERS, BECAUSE))
    random.Random(seed).shuffle(every)
    made = (f"The {thing} {does} {other} {why}." for thing, does, other, why in every)
    more = (f"Note {number}: {text}" for number in itertools.count(2) for text in texts(len(every), seed))
    return list(itertools.islice(made if count <= len(every) else itertools.chain(made, more), count))


def questions(count: int, seed: int = 2) -> list[str]:
    """Questions that share some words with the texts, as people's do."""
    pick = random.Random(seed).choice
    forms = (
        "why does the {0} need {1}?",
        "what happened to the {0}",
        "who depends on {1}",
        "{0} {2}",
        "can I change {1} without breaking the {0}?",
    )
    return [forms[i % len(forms)].format(pick(THINGS), pick(OTHERS), pick(BECAUSE)) for i in range(count)]
