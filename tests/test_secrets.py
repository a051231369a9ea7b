"""What counts as a secret, and that nothing of one is told."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from secret_corpus import (
    Maker,
    Note,
    harmless_notes,
    later_harmless_notes,
    later_secret_notes,
    secret_notes,
)

from mesh import secrets
from mesh.codec import render
from mesh.errors import SecretFound
from mesh.memory import Memory
from mesh.secrets import finding, library, plausible

SECRETS, HARMLESS = list(secret_notes()), list(harmless_notes())
PLAIN = "For the night we have {} and nothing else"


def memory(content: str, **parts) -> Memory:
    return Memory(id="aaaa1111", content=content, **parts)


def token(kind: str = "github token") -> Note:
    return next(note for note in SECRETS if note.kind == kind and note.where == "prose")


@pytest.mark.parametrize("kind", dict.fromkeys(note.kind for note in SECRETS))
def test_every_kind_of_secret_is_found_wherever_it_stands(kind):
    """In prose, code, tables, settings and JSON."""
    missed = [note.where for note in SECRETS if note.kind == kind and not secrets.find(note.text)]
    assert not missed


def test_the_corpus_is_as_large_as_the_documentation_says():
    """At least 20 kinds of secrets, at least 200 harmless notes."""
    assert len({note.kind for note in SECRETS}) >= 60
    assert len(HARMLESS) >= 300


def test_other_random_characters_are_found_as_well():
    """Of 464 secrets with other characters, at most one in a hundred looks like something else."""
    notes = list(secret_notes(seed=77))
    assert sum(bool(secrets.find(note.text)) for note in notes) >= 0.99 * len(notes)


@pytest.mark.parametrize("kind", dict.fromkeys(note.where for note in HARMLESS))
def test_harmless_notes_pass(kind):
    """Digests, ids, paths, code, placeholders, and prose about passwords, in several scripts."""
    alarms = [(note.text, secrets.find(note.text)) for note in HARMLESS if note.where == kind]
    assert not [alarm for alarm in alarms if alarm[1]]


def test_notes_that_were_written_after_the_rules_are_judged_nearly_as_well():
    """Nobody tuned the rules by the third set; docs/SECRETS.md reports these figures."""
    found = [bool(secrets.find(note.text)) for note in later_secret_notes()]
    alarms = [note.text for note in later_harmless_notes() if secrets.find(note.text)]
    assert (sum(found), len(found), len(alarms)) == (35, 40, 0)


def test_what_is_found_has_its_line_and_never_shows_the_secret():
    """Neither its record nor the error that is raised about it, in any form."""
    for note in SECRETS:
        if note.where not in {"prose", "code block"}:
            continue
        text = "first\n\n" + note.text
        found = secrets.find(text)
        with pytest.raises(SecretFound) as raised:
            secrets.needed(memory(text))
        told = f"{found!r} {raised.value} {raised.value!r} {vars(raised.value)}"
        value = note.secret.strip()
        assert not any(part in told for part in (value, value[-12:], value[len(value) // 2 :]))
        first = min(text[: text.index(value[:8])].count("\n") + 1, len(text))
        assert found[0].line in range(first, first + value.count("\n") + 1)


def test_a_secret_that_stands_there_twice_is_told_once():
    """And two that differ are two, in the order of the text."""
    one, other = token().secret, token("npm").secret
    found = secrets.find(f"{one}\nand {other}\nand {one} again")
    assert [(item.kind, item.line) for item in found] == [("GitHub token", 1), ("npm token", 2)]
    assert len({item.fingerprint for item in found}) == 2


def test_a_fingerprint_names_a_secret_wherever_it_stands():
    """So that what was refused in one text is allowed in the next, by name and only that one."""
    value = token().secret
    (first,), (second,) = secrets.find(PLAIN.format(value)), secrets.find(f"a\nb `{value}`")
    assert first.fingerprint == second.fingerprint and re.fullmatch("[0-9a-f]{12}", first.fingerprint)
    assert secrets.find(PLAIN.format(value), {first.fingerprint}) == []
    assert secrets.find(PLAIN.format(value), {"0" * 12})


def test_an_allowed_secret_does_not_let_another_one_pass():
    """Also behind more of them than are told at once."""
    maker = Maker(3)
    values = ["gh" + "p_" + maker.of("abcdefghijk0123456789XYZ", 36) for _ in range(finding.MOST_FOUND + 5)]
    text = "\n".join(values)
    assert len(secrets.find(text)) == finding.MOST_FOUND
    allowed = {finding.fingerprint(value) for value in values[:-1]}
    assert [one.line for one in secrets.find(text, allowed)] == [len(values)]


# --- memories --------------------------------------------------------------------------------------------------


def test_what_stays_on_this_machine_may_hold_secrets():
    """And its front matter need not say anything."""
    assert secrets.needed(memory(token().text, local_only=True)) == []


@pytest.mark.parametrize("part", ["title", "source", "tags", "evidence", "extra"])
def test_every_part_of_a_memory_is_looked_at(part):
    """The error names the part."""
    value = token().secret
    wrapped = {"tags": ("lamp", value), "evidence": (value,), "extra": {"note": value}}.get(part, value)
    with pytest.raises(SecretFound, match=f"^{'note' if part == 'extra' else part}: it looks like a secret"):
        secrets.needed(memory("The lamp is lit", **{part: wrapped}))


def test_what_is_allowed_by_name_goes_into_the_front_matter():
    """Only what the memory needs, and together with what is allowed there already."""
    one, other = token().secret, token("npm").secret
    names = [item.fingerprint for item in secrets.find(f"{one} {other}")]
    text = PLAIN.format(f"{one} and {other}")
    with pytest.raises(SecretFound) as raised:
        secrets.needed(memory(text), names[:1])
    assert raised.value.fingerprints == (names[1],)
    assert secrets.needed(memory(text), [*names, "feedfeedfeed"]) == names
    held = memory(text, extra={"allow_secrets": [names[0]]})
    assert secrets.needed(held, names[1:]) == [names[0], names[1]]
    assert secrets.needed(memory(text, extra={"allow_secrets": ", ".join(names).upper()})) == []


@pytest.mark.parametrize("value", ["true", "*", "", {"all": "yes"}, ["*"], [""]])
def test_nothing_but_a_fingerprint_allows_anything(value):
    """There is no word for all of them."""
    with pytest.raises(SecretFound):
        secrets.needed(memory(token().text, extra={"allow_secrets": value}))


def test_what_a_memory_held_before_is_not_refused_again():
    """So that a tag can be changed although a person wrote a secret into the file."""
    old = memory(token().text)
    assert secrets.needed(memory(token().text, title="Night"), before=old) == []
    with pytest.raises(SecretFound):
        secrets.needed(memory(f"{token().text} {token('npm').secret}"), before=old)


def test_a_file_that_leaves_is_read_with_its_own_front_matter():
    """Lines count from the beginning of the file, and a file that is no memory is read, too."""
    text = f"# Night\n\n{token().text}"
    (found,) = secrets.in_file(render(memory(text)), "shared/a.md")
    assert found.line == 6
    allowed = memory(text, extra={"allow_secrets": [found.fingerprint]})
    assert secrets.in_file(render(allowed), "shared/a.md") == []
    assert len(secrets.in_file(b"<<<<<<< \n=======\n>>>>>>> \n\xff" + token().text.encode(), "shared/b.md")) == 1


# --- the library -----------------------------------------------------------------------------------------------


RULES = [(plugin, rule) for plugin in library.plugins() for rule in plugin.denylist]


@pytest.mark.parametrize("number", range(len(RULES)))
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_rule_of_the_library_is_passed_over(number, data):
    """Whatever a rule matches, the look beforehand that spares the library's import sends on to it."""
    plugin, rule = RULES[number]
    kind = plugin.secret_type
    drawn = data.draw(st.from_regex(rule))
    assert library.may_match(drawn), f"{kind} ({rule.pattern}) matches {drawn!r}"
    if not hasattr(plugin, "is_formally_valid"):  # a token of JSON, which is longer than what matches its pattern
        assert any(map(finding.may_hold, drawn.split())), f"{kind} ({rule.pattern}) matches {drawn!r}"


def test_ordinary_text_never_loads_the_library():
    """It costs a cold `mesh learn` more than half of its time."""
    plain = ["The API rate limit is 100 requests/min", "Merged 4f2d9c1e8b7a6f5e4d3c2b1a09f8e7d6c5b4a392 at 10:31"]
    plain += ["See https://docs.internal/a/b?x=1#top, or ask ops@internal", "Run tests/test_a_hand_edit_survives.py"]
    plain += [note.text for note in HARMLESS if note.where in {"uuid", "git sha", "short sha", "ulid", "long path"}]
    assert not [text for text in plain if library.may_match(text)]


HARD = {
    "slashes": "//" * 32_000 + "_authToken=",
    "names": "password " * 7_000 + "a1b2c3d4",
    "signs": "token=" * 10_000 + "1",
    "one word": "a1" * 32_000 + " password=",
    "urls": "://a1:" * 10_000 + "@",
    "headers": "-----BEGIN PRIVATE KEY-----\n" * 2_300,
    "half tokens": "sk-" + "a1" * 30_000 + "T3BlbkFJ",
    "putty": "PuTTY-User-Key-File-3:" * 2_900,
    "tables": "|password|\n|---|\n" + "|a1|b|\n" * 9_000,
}


@pytest.mark.parametrize("name", HARD)
def test_no_text_takes_long(name):
    """The largest content there may be, made to keep patterns busy: some would take hours if they read a run twice."""
    began = time.process_time()
    secrets.find(HARD[name])
    assert time.process_time() - began < 20


@given(st.text(alphabet="abcXYZ019-_/.", max_size=60))
def test_words_are_judged_without_an_error(value):
    """Whatever they are made of; and what is a password alone is one beside a sign, too."""
    assert plausible.is_password(value) or not plausible.is_password(value, alone=True)
    assert plausible.is_token(value) or not plausible.is_token(value, alone=True)
