"""docs/HTTP.md says what is so."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from mesh_servers.route_table import ROUTES

PAGE = (Path(__file__).parent.parent.parent / "docs" / "HTTP.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| `((?:GET|POST) /[^`]*)` \| (.*?) \|", PAGE, re.MULTILINE))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_the_table_has_every_route_with_what_it_takes(route):
    """Every key and every default but those that say nothing; no other key."""
    row = ROWS[f"{route.method} {route.path}"]
    said = dict(re.findall(r"`(\w+)(?:=([^`]+))?`", row))
    fields = [field for field in route.fields if f"{{{field.name}}}" not in route.path]
    assert said.keys() - {field.alias for field in fields} == {field.name for field in fields}
    for field in fields:
        default = "" if field.default is None or field.default == "" else json.dumps(field.default)
        assert said[field.name] == default.removesuffix(".0"), field.name


def test_the_table_has_no_other_route():
    """One that is gone."""
    assert ROWS.keys() == {f"{route.method} {route.path}" for route in ROUTES}


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
def test_the_examples_are_answered(server, tmp_path, without_model):
    """By a server on another port than the one that is written there."""
    (lines,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in lines.splitlines():
        command = line.replace(":7701", f":{server.port}")
        done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, timeout=60, check=True)
        answer = json.loads(done.stdout or (tmp_path / "backup.json").read_bytes())
        assert "error" not in answer, line
        assert "deploy.sh" in json.dumps(answer) or "/learn" in line or "/namespaces" in line, line
