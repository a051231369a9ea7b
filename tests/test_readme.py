"""What the README shows is what happens."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PYTHON = ROOT / "docs" / "PYTHON.md"
_BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = {"sh": ["bash", "-eu", "-o", "pipefail"], "python": [sys.executable]}
SHOWN_ONLY = {"text", "json", "sh no-test"}


def blocks(page: Path = README) -> list[tuple[str, int, str]]:
    """`(language, line, text)` of every fenced block."""
    text = page.read_text("utf-8")
    return [(found[1].strip(), text.count("\n", 0, found.start()) + 2, found[2]) for found in _BLOCK.finditer(text)]


def test_every_block_says_whether_it_is_run():
    """`sh` and `python` blocks are run; `text`, `json` and `sh no-test` are not; there is no third kind."""
    unmarked = [f"line {line}: ```{kind}" for kind, line, _ in blocks() if kind not in RUN.keys() | SHOWN_ONLY]
    assert not unmarked, f"mark these blocks of README.md as sh, python, text, json or sh no-test: {unmarked}"


@pytest.mark.parametrize("language", RUN)
def test_the_readme_has_examples_of_both_kinds(language):
    """A README without an example that runs is not tested at all."""
    assert [kind for kind, _, _ in blocks() if kind == language], f"README.md has no ```{language} block to run"


@pytest.mark.model
@pytest.mark.skipif(not shutil.which("bash"), reason="the shell examples are run by bash")
@pytest.mark.parametrize("page", [README, PYTHON], ids=lambda page: page.name)
def test_the_examples_run_in_order_in_one_home(page, tmp_path):
    """With `mesh` on PATH and the home where a user has it: `~/.mesh`."""
    user, folder = tmp_path / "user", tmp_path / "folder"
    user.mkdir()
    folder.mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith("MESH_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env |= {"HOME": str(user), "PATH": path, "EDITOR": "true"}
    for kind, line, text in blocks(page):
        if kind not in RUN:
            continue
        done = subprocess.run(
            RUN[kind], input=text, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{page.name}:{line}: exit {done.returncode}\n{text}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, f"{page.name}:{line}: {done.stderr}"
    assert list((user / ".mesh").rglob("*.md")), "the examples stored nothing"


@pytest.mark.parametrize("page", [README, *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name)
def test_links_lead_to_pages_and_headings_that_there_are(page):
    """As a forge makes anchors of headings."""
    for place, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text("utf-8")):
        there = page.parent / place if place else page
        assert there.exists(), place
        if anchor:
            headings = re.findall(r"(?m)^#+ (.*)$", there.read_text("utf-8"))
            assert anchor in {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}, anchor
