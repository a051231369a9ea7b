"""A namespace that is a folder of a project, as the servers have it."""

from __future__ import annotations

import shutil

from mcp_talk import answer, refusal

from mesh import link_namespace


def test_http_learns_and_recalls_in_the_folder(app, home, tmp_path):
    """As in any namespace; where it is gone, the answer is 503 with the remedy."""
    folder = tmp_path / "work" / "memory"
    folder.mkdir(parents=True)
    link_namespace(folder, "app")
    assert app.post("/learn", content="The lamp is lit", namespace="app").status == 200
    assert [path.suffix for path in folder.iterdir()] == [".md"]
    (folder / "by-hand.md").write_text("Deploy on Fridays\n")
    found = app.post("/recall", query="deploy", namespace="app").json()["results"]
    assert found[0]["content"] == "Deploy on Fridays"
    shutil.move(folder, tmp_path / "moved")
    gone = app.post("/recall", query="deploy", namespace="app")
    assert gone.status == 503 and "mesh link DIR app" in gone.error["remedy"]


def test_mcp_learns_and_recalls_in_the_folder(mcp_server, without_model, home, tmp_path):
    """And says in one line what is wrong when it is gone."""
    folder = tmp_path / "work" / "memory"
    folder.mkdir(parents=True)
    link_namespace(folder, "app")
    server = mcp_server()
    answer(server, "mesh_learn", content="The lamp is lit", namespace="app")
    assert [path.suffix for path in folder.iterdir()] == [".md"]
    assert "The lamp is lit" in str(answer(server, "mesh_recall", query="lamp", namespace="app"))
    shutil.move(folder, tmp_path / "moved")
    assert "is missing" in refusal(server, "mesh_recall", query="lamp", namespace="app")
