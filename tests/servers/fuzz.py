"""Ask `mesh-http` whatever its OpenAPI document allows, and what it forbids, and hold every answer against it.

    python -m tests.servers.fuzz [requests]

schemathesis makes the requests, the same ones on every run. 5,000 take some minutes.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from mesh_servers.http_app import create_app
from mesh_servers.meshes import Meshes
from schemathesis.checks import not_a_server_error
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi import checks as openapi

from mesh.settings import Settings

CHECKS = [
    not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_headers_conformance,
    openapi.response_schema_conformance,
    openapi.negative_data_rejection,
]
# Their form is more than a schema can say (one line, a time in words), so that most made-up values are refused.
PARTICULAR = {
    "title",
    "source",
    "agent_id",
    "source_agent",
    "agent",
    "type",
    "since",
    "until",
    "tags",
    "supersedes",
    "namespace",
}
TEXTS = ("The API rate limit is 100 requests/min", "Deploys use ./scripts/deploy.sh", "Backups run at night")


def fuzz(requests: int, home: Path) -> Counter[tuple[str, int]]:
    """Make about that many requests; how many of each route ended with each status. Raises what a check finds."""
    meshes = Meshes(replace(Settings.from_environment(), home=home))
    try:
        return _asked(requests, meshes)
    finally:
        meshes.close()


def _asked(requests: int, meshes: Meshes) -> Counter[tuple[str, int]]:
    app = create_app(meshes)
    served, app.wsgi_app = app.wsgi_app, lambda environ, start: served(environ | {"REMOTE_ADDR": "127.0.0.1"}, start)
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app).exclude(path="/events")  # which never ends
    ids = [meshes.mesh().learn(text)["memory_id"] for text in TEXTS]
    operations = [found.ok() for found in schema.get_all_operations()]
    modes = [(one, mode) for one in operations for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)]
    modes = [(one, mode) for one, mode in modes if mode.is_positive or one.body or one.query or one.path_parameters]
    weights = [2 if one.body else 1 if one.query or one.path_parameters else 0 for one, _ in modes]
    seen: Counter[tuple[str, int]] = Counter()
    for (operation, mode), weight in zip(modes, weights, strict=True):
        _ask(operation, mode, max(4, ceil(requests * weight / sum(weights))), ids, seen)
    return seen


def _ask(operation: Any, mode: GenerationMode, requests: int, ids: list[str], seen: Counter[tuple[str, int]]) -> None:
    """Requests to one route. Half of the valid ones name a memory that there is, and nothing of particular form."""

    @seed(1)
    @settings(
        max_examples=requests,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), known=st.none() | st.sampled_from(ids))
    def ask(case: Any, known: str | None) -> None:
        for values in (case.body, case.path_parameters, case.query):
            if known and mode.is_positive and isinstance(values, dict):
                for name in values.keys() & ({"memory_id"} | PARTICULAR):
                    values.pop(name)
                    if name == "memory_id":
                        values[name] = known
        answer = case.call_and_validate(checks=CHECKS)
        seen[operation.label, answer.status_code] += 1

    ask()


def _lines(seen: Counter[tuple[str, int]]) -> Iterator[str]:
    for label in sorted({label for label, _ in seen}):
        counts = ", ".join(f"{status}: {count}" for (one, status), count in sorted(seen.items()) if one == label)
        yield f"{label:24} {counts}"


def main() -> None:
    warnings.filterwarnings("ignore", module=r"watchdog\.")  # as mesh-http does
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        seen = fuzz(requests, Path(folder))
    print("\n".join(_lines(seen)))
    print(
        f"{seen.total():,} requests in {time.monotonic() - began:.0f} s: each was answered as declared, none by a 5xx"
    )


if __name__ == "__main__":
    main()
