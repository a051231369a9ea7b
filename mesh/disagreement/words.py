"""The words that the rule knows."""

from __future__ import annotations

import re

_IRREGULAR = {"kept": "keep", "held": "hold", "sent": "send", "stored": "store", "ran": "run", "written": "write"}
_IRREGULAR |= {"forbidden": "forbid", "built": "build", "given": "give", "taken": "take", "shown": "show"}


def stem(word: str) -> str:
    """A word without its English ending, roughly: only to compare it with others."""
    for ending, instead, least in (("ies", "y", 5), ("sses", "ss", 6), ("ing", "", 6), ("ed", "", 5), ("es", "e", 5)):
        if word.endswith(ending) and len(word) >= least:
            word = word.removesuffix(ending) + instead
            break
    else:
        if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
            word = word[:-1]
    word = _IRREGULAR.get(word, word)
    word = re.sub(r"([^aeiouls])\1\Z", r"\1", word)
    return word.removesuffix("e") if len(word) > 3 else word


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in text.split())


GRAMMAR = _set(
    """a an the is are be been being am was were of that it its this these those our we us you your
    they their there to has have had having do does did will would shall should must may might can could which who
    whose what where so then than as and or but also too just very only any some such each every all with by from for
    in at into onto about per up out over under it's there's let everybody everyone somebody someone anybody"""
)
# They add nothing that two statements could differ in: what is true now and what happens are said in many ways.
HARMLESS = _stems(
    """rate limit allow permit maximum max most quota cap currently now today value amount happen occur take place
    go get run use hold held keep need new anymore already still always usually normally default possible
    send sent accept serve"""
)
NEGATIONS = _set("not no never nothing nobody without cannot neither nor")
PRONOUNS = _set("it they this that these those he she here there")
SCOPE = _set(
    """in on at for during when while if unless except only with under outside within until before after of by above
    below between inside per where whose"""
)
CONDITIONS = _set("if when unless until while otherwise")
REASONS = re.compile(
    r"(?:[,;]?\s+(?:because|so that|since then|in order to|which|as it|as they|as we|whereas|but|see also)\b"
    r"|\s+[-\u2013\u2014]\s|;|,\s+(?:so|and|until)\b).*",
    re.IGNORECASE | re.DOTALL,
)
OPPOSITES = [
    ("enable", "disable"), ("allow", "forbid"), ("allow", "deny"), ("allow", "prohibit"), ("permit", "forbid"),
    ("before", "after"), ("on", "off"), ("true", "false"), ("required", "optional"),
    ("mandatory", "optional"), ("public", "private"), ("start", "stop"), ("increase", "decrease"), ("raise", "lower"),
    ("first", "last"), ("minimum", "maximum"), ("min", "max"), ("least", "most"), ("include", "exclude"),
    ("manually", "automatically"),
    ("manual", "automatic"), ("open", "closed"), ("accept", "reject"), ("accept", "refuse"), ("yes", "no"),
    ("synchronous", "asynchronous"), ("mutable", "immutable"), ("pass", "fail"), ("safe", "unsafe"),
    ("encrypted", "unencrypted"), ("internal", "external"), ("valid", "invalid"), ("available", "unavailable"),
    ("possible", "impossible"), ("present", "absent"), ("hot", "cold"), ("ascending", "descending"),
    ("online", "offline"), ("supported", "unsupported"), ("case-sensitive", "case-insensitive"),
    ("keep", "delete"),
]  # fmt: skip
NUMBERS = dict(zip("one two three four five six seven eight nine ten eleven twelve".split(), range(1, 13), strict=True))
DAYS = _set("monday tuesday wednesday thursday friday saturday sunday")
MONTHS = {
    name: number
    for number, names in enumerate(
        """january,jan february,feb march,mar april,apr may june,jun july,jul august,aug september,sep,sept october,oct
        november,nov december,dec""".split(),
        1,
    )
    for name in names.split(",")
}
OFTEN = _set("hourly daily nightly weekly biweekly monthly quarterly yearly annually")
SPANS = {"second": "secondly", "minute": "minutely", "hour": "hourly", "day": "daily", "night": "nightly"} | {
    "week": "weekly", "month": "monthly", "quarter": "quarterly", "year": "yearly"
}  # fmt: skip
# Into seconds and bytes, so that 60 s are a minute.
UNITS = {
    name: (dimension, factor)
    for dimension, factor, names in (
        ("time", 0.001, "ms millisecond milliseconds"),
        ("time", 1, "s sec secs second seconds"),
        ("time", 60, "min mins minute minutes"),
        ("time", 3600, "h hr hrs hour hours"),
        ("time", 86_400, "day days"),
        ("time", 604_800, "week weeks"),
        ("months", 1, "month months"),
        ("months", 12, "year years"),
        ("bytes", 1, "byte bytes"),
        ("bytes", 10**3, "kb kib"),
        ("bytes", 10**6, "mb mib"),
        ("bytes", 10**9, "gb gib"),
        ("bytes", 10**12, "tb tib"),
    )
    for name in names.split()
}
# What a number after them names instead of counting: another number is another thing.
LABELS = _stems(
    """server node shard phase step chapter section issue ticket pr sprint room floor team group level stage question
    batch line page table figure part lane gate zone rack host milestone quarter version iteration week day case
    appendix task bug story commit build release"""
)
# Verbs that a statement's subject ends before; participles are known by their ending.
VERBS = _stems(
    """is are be was were has have had do does did will would shall should must may might can could cannot run use go
    live lie stand hold keep last take expire listen start begin end stop return send accept reject require need allow
    contain include exclude serve support get give make cost weigh open close work sit stay belong happen occur
    rest sleep meet call own lead review report write read store queue deploy bake cook retry rotate leave arrive come
    speak love like want know change consist default point map mean equal receive reach build throw log print show
    charge pay bill sell buy cancel process handle delete remove add merge"""
)
PAST = _set(
    """was were took had went ran failed broke fell met got made gave came held led wrote threw lost found saw cost
    said began became sent spent"""
)
CHANGES = _set(
    "raised lowered changed increased reduced decreased moved renamed switched set bumped became replaced extended cut"
)
AUXILIARIES = _set("is are be been being must may can has have will shall should get gets cannot not never")
# Before a name, these say that it is the one and not one of several.
THE_ONE = _set("is are be called named in to at by from on")
BOUNDS = _stems("exceed more longer over above larger beyond older than greater higher")
# A key that says what kind of line it is, and not of what it speaks.
GENERIC_KEYS = _stems(
    """note tip warning example todo see also source date time author by tag step reminder fix cause symptom remark
    question answer task idea fact hint summary result context why how update info today yesterday http https link"""
)
