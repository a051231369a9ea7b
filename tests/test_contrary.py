"""Which pairs of texts may be one the update of the other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.contrary import difference

CONTRARY = [
    # numbers, versions, dates, times
    ("The API rate limit is 100 requests/min", "The API rate limit is 200 requests/min", "number"),
    ("The API rate limit is 100 requests/min", "Our API rate limit is now 250 requests/min", "number"),
    ("We run Python 3.11 in production", "We run Python 3.13 in production", "number"),
    ("Deploys happen on Fridays at 10:00", "Deploys happen on Fridays at 16:30", "number"),
    ("The contract ends on 2026-03-31", "The contract ends on 2027-03-31", "number"),
    ("Timeouts are 30s for all workers", "Timeouts are 45s for all workers", "number"),
    ("The pool holds 1,000 connections", "The pool holds 2,500 connections", "number"),
    ("Node v18 is required to build the site", "Node v22 is required to build the site", "number"),
    ("The invoice threshold is 3.5 percent", "The invoice threshold is 4.0 percent", "number"),
    # negation
    ("Feature flags are enabled for guests", "Feature flags are not enabled for guests", "negation"),
    ("You can deploy on Fridays", "You can never deploy on Fridays", "negation"),
    ("Tests may call the real carrier", "Tests may not call the real carrier", "negation"),
    ("The cache is enabled in staging", "The cache is disabled in staging", "negation"),
    ("The server doesn't retry failed webhooks", "The server does retry failed webhooks", "negation"),
    ("The v1 endpoint is supported for partners", "The v1 endpoint is no longer supported for partners", "negation"),
    # names
    ("The primary database is in Frankfurt today", "The primary database is in Dublin today", "name"),
    ("The on-call lead this quarter is Priya", "The on-call lead this quarter is Tomas", "name"),
    ("Events are queued in Redis for the workers", "Events are queued in Kafka for the workers", "name"),
]

PATHS = [
    ("The config lives in /etc/app/main.toml", "The config lives in /opt/app/main.yaml", "name"),
    ("Call get_user() to look up the account", "Call fetch_user() to look up the account", "name"),
]

FINE = [
    # paraphrases
    ("The API rate limit is 100 requests/min", "At most 100 requests per minute may be sent to the API"),
    ("We deploy on Tuesdays", "Tuesday is the day on which we ship to production"),
    ("Tests never call the real carrier", "Never call the real carrier in tests"),
    # additions
    ("The API rate limit is 100 requests/min", "The API rate limit is 100 requests/min, counted for each key"),
    ("The cache is enabled in staging", "The cache is enabled in staging since the outage of May 2026"),
    ("Deploys happen on Fridays", "Deploys happen on Fridays; Priya watches them"),
    ("Backups run every night", "Backups run every night and are kept for 30 days"),
    # unrelated
    ("The API rate limit is 100 requests/min", "Priya must not eat shellfish"),
    ("The pool holds 1,000 connections", "Black Week starts on 23 November"),
    ("Redis is our queue", "The office wifi fails at noon"),
    # the same
    ("The API rate limit is 100 requests/min", "the api rate limit is 100 requests/min."),
    ("Don't deploy on Fridays", "Don’t deploy on Fridays"),
    ("Order: red, green, blue", "Order: blue, green, red"),
]


@pytest.mark.parametrize(("old", "new", "kind"), CONTRARY, ids=[new for _, new, _ in CONTRARY])
def test_an_update_is_recognised(old, new, kind):
    """Nearly the same words with another number, name or "not": named as such, in both directions."""
    assert difference(old, new) == kind
    assert difference(new, old) == kind


@pytest.mark.parametrize(("old", "new", "kind"), PATHS, ids=[new for _, new, _ in PATHS])
def test_another_path_or_identifier_is_an_update(old, new, kind):
    """They are names, whatever their case."""
    assert difference(old, new) == kind == difference(new, old)


@pytest.mark.parametrize(("old", "new"), FINE, ids=[new for _, new in FINE])
def test_what_is_no_update_is_not_flagged(old, new):
    """Paraphrases, additions, unrelated texts and the same text are left in peace."""
    assert difference(old, new) is None
    assert difference(new, old) is None


@given(st.text(max_size=200))
def test_no_text_contradicts_itself(text):
    """Whatever it says."""
    assert difference(text, text) is None


@given(st.text(max_size=80), st.text(max_size=80))
def test_the_kind_does_not_depend_on_the_order(old, new):
    """An update and its withdrawal differ in the same thing."""
    assert difference(old, new) == difference(new, old)


@pytest.mark.parametrize("text", ["", " ", "!!!", "🎉"])
def test_a_text_without_words_contradicts_nothing(text):
    """There is nothing to compare."""
    assert difference(text, "the limit is 100") is None
