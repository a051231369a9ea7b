"""`mesh model status`, `use` and `forget`, as a person types them."""

from __future__ import annotations

import json

import pytest

DEFAULT = "all-MiniLM-L6-v2"
SHORT = (DEFAULT, "--dimension", "64")


@pytest.fixture
def vault(run, write):
    """Three memories in two namespaces, embedded."""
    write("a.md", "The lamp is lit\n")
    write("b.md", "The walrus sleeps\n")
    write("c.md", "We deploy on Mondays\n", "ops")
    assert run("reindex").code == run("reindex", "-N", "ops").code == 0


@pytest.mark.model
def test_to_use_a_model_embeds_everything_and_says_so(run, vault):
    """Every namespace; from then on every command goes by it, and the status tells of both models."""
    ran = run("model", "use", *SHORT)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("all-MiniLM-L6-v2, cut to 64 numbers: 3 memories embedded in ")
    for namespace in ("shared", "ops"):
        receipt = run("recall", "when do we ship?", "-N", namespace, "--json").json()["receipt"]
        assert receipt["model"].endswith("[:64]") and receipt["pending"] == 0
    status = run("model", "status")
    assert "chosen with mesh model use" in status.out
    found = run("model", "status", "--json").json()
    assert [(one["memories"], one["of"], one["used"]) for one in found["vectors"]] == [(3, 3, False), (3, 3, True)]
    assert all(one["key"] in status.out for one in found["vectors"])
    assert run("model", "use", *SHORT, "--json").json()["embedded"] == 0


@pytest.mark.model
def test_the_old_model_can_be_taken_again_or_forgotten(run, vault):
    """Its vectors were kept, so to go back embeds nothing; the one in use is not forgotten."""
    run("model", "use", *SHORT)
    assert run("model", "use", DEFAULT, "--json").json()["embedded"] == 0
    assert "[:64]" in run("model", "status").out
    ran = run("model", "forget", DEFAULT)
    assert ran.code == 0 and "[:64]" in ran.out and "freed" in ran.out
    assert [one["used"] for one in run("model", "status", "--json").json()["vectors"]] == [True]
    ran = run("model", "forget", DEFAULT)
    assert ran.code == 2 and "in use" in ran.said
    ran = run("model", "forget", "no-such-model")
    assert ran.code == 1 and "mesh model status" in ran.said


@pytest.mark.model
def test_what_is_left_to_the_background_is_told(run, vault):
    """The status names what is coming; recall goes by the model before."""
    ran = run("model", "use", *SHORT, "--background")
    assert ran.code == 0 and "mesh-server" in ran.out
    found = run("model", "status", "--json").json()
    assert (found["coming"], found["dimension"]) == ("all-MiniLM-L6-v2, cut to 64 numbers", None)
    assert "coming" in run("model", "status").out
    assert not run("recall", "lamp", "--json").json()["receipt"]["model"].endswith("[:64]")


@pytest.mark.model
def test_the_environment_wins_and_it_is_said(run, vault):
    """A note, and the commands that have the variable go on by it."""
    ran = run("model", "use", *SHORT, env={"MESH_MODEL": DEFAULT})
    assert ran.code == 0 and "MESH_MODEL is set" in ran.said
    model = run("recall", "lamp", "--json", env={"MESH_MODEL": DEFAULT}).json()["receipt"]["model"]
    assert not model.endswith("[:64]")
    assert run("recall", "lamp", "--json").json()["receipt"]["model"].endswith("[:64]")
    assert "named by MESH_MODEL" in run("model", "status", env={"MESH_MODEL": DEFAULT}).out


@pytest.mark.model
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([DEFAULT, "--dimension", "999"], 1, "384 numbers"),
        (["./nowhere"], 2, "no such folder"),
        ([""], 2, "no such folder"),
        (["nonsense/model"], 1, "mesh model pull nonsense/model"),
    ],
    ids=["too many numbers", "no folder", "nothing", "not here"],
)
def test_a_model_that_cannot_be_used_is_not_chosen(home, run, vault, arguments, code, said):
    """One line, and all is as it was."""
    ran = run("model", "use", *arguments, env={"HF_HUB_OFFLINE": "1"})
    assert ran.code == code and said in ran.said
    assert not (home / ".models/chosen.json").exists()
    assert len(run("model", "status", "--json").json()["vectors"]) == 1


def test_without_the_default_model_it_cannot_be_used(home, run, write, tmp_path):
    """The error says how to get it."""
    write("a.md", "The lamp is lit\n")
    ran = run("model", "use", DEFAULT, env={"MESH_MODEL_PATH": str(tmp_path)})
    assert ran.code == 1 and "MESH_MODEL_PATH" in ran.said
    assert not (home / ".models").exists()


@pytest.mark.model
def test_a_choice_that_cannot_be_understood_is_found_by_doctor(home, run, vault):
    """Recall goes by words and says so once; to choose again mends it."""
    (home / ".models").mkdir(exist_ok=True)
    (home / ".models/chosen.json").write_text("garbage")
    ran = run("recall", "lamp")
    assert ran.code == 0 and "lamp" in ran.out and "chosen.json" in ran.said
    found = run("doctor", "--json").json()["findings"]
    assert [(one["kind"], "mesh model use" in one["remedy"]) for one in found] == [("model", True)]
    ran = run("model", "status")
    assert ran.code == 1 and "chosen.json" in ran.said and "3 of 3" in ran.out
    assert run("model", "use", DEFAULT).code == 0
    assert run("doctor").code == 0


@pytest.mark.model
def test_a_bar_shows_how_far_it_is(run, terminal, write):
    """On a terminal: memories, how many a second, how long still."""
    for i in range(150):
        write(f"{i}.md", f"Lamp {i} hangs over table {i % 7}\n")
    run("reindex")
    session = terminal("model", "use", *SHORT)
    assert session.code == 0
    assert "150/150 memories" in session.plain and "/s" in session.plain and "s left" in session.plain


@pytest.mark.model
def test_ctrl_c_keeps_what_was_embedded(home, run, terminal, write):
    """130 in a line; the model before is in use, and the same command goes on."""
    for i in range(600):
        write(f"{i}.md", f"Lamp {i} hangs over table {i % 7} in room {i % 31}\n")
    run("reindex")
    session = terminal("model", "use", *SHORT, type_after=[("memories", b"\x03")])
    assert session.code == 130 and session.plain.rstrip().endswith("mesh: interrupted")
    assert not (home / ".models/chosen.json").exists()
    kept = {one["key"]: one["memories"] for one in run("model", "status", "--json").json()["vectors"]}
    done = next(memories for key, memories in kept.items() if key.endswith(f"[:{SHORT[-1]}]"))
    assert done > 0 and run("model", "use", *SHORT, "--json").json()["embedded"] == 600 - done


def test_any_folder_of_a_model_can_be_used(home, run, write, tmp_path):
    """By sentence-transformers, whose model has prompts of its own; named by a path that holds everywhere."""
    pytest.importorskip("sentence_transformers", reason="the extra is not installed")
    from tiny_models import made

    made(tmp_path / "tiny", prompts={"query": "search query ", "document": "search document "})
    write("a.md", "The lamp is lit\n")
    write("b.md", "The walrus sleeps\n")
    ran = run("model", "use", "tiny", cwd=tmp_path)
    assert (ran.code, ran.err) == (0, "") and "2 memories embedded" in ran.out
    assert json.loads((home / ".models/chosen.json").read_text()) == {"model": str(tmp_path / "tiny")}
    ran = run("recall", "the walrus sleeps", "--json")
    assert ran.err == "" and ran.json()["results"][0]["content"] == "The walrus sleeps"
    assert ran.json()["receipt"]["model"].startswith(f"{tmp_path}/tiny@")
    assert ran.json()["results"][0]["similarity"] < 0.9999, "the question's prompt is not the passage's"
