"""How the servers refuse a secret, and let one that is none pass."""

from __future__ import annotations

import re

from mcp_talk import answer, refusal
from secret_corpus import secret_notes

NOTE = next(note for note in secret_notes() if note.kind == "github token" and note.where == "prose")


def test_http_answers_422_with_place_kind_and_remedy(app, home):
    """For learn and update; the fingerprint in the body lets it pass, local_only does on this machine."""
    refused = app.post("/learn", content=NOTE.text)
    assert refused.status == 422 and refused.error["code"] == "secret_found"
    assert refused.error["message"] == "content, line 1: it looks like a secret (GitHub token: ghp_…)"
    assert NOTE.secret not in refused.body.decode()
    name = re.search(r"allow_secrets: ([0-9a-f]{12})", refused.error["remedy"])[1]
    assert app.post("/learn", content=NOTE.text, local_only=True).status == 200
    memory_id = app.post("/learn", content="The lamp is lit").json()["result"]["memory_id"]
    assert app.post("/update", memory_id=memory_id, content=NOTE.text).status == 422
    assert app.post("/update", memory_id=memory_id, content=NOTE.text, allow_secrets=[name]).status == 200
    assert app.post("/learn", content="Or " + NOTE.text, allow_secrets=[name]).status == 200
    assert app.post("/learn", content=NOTE.text, allow_secrets=True).status == 400


def test_mcp_tells_the_model_to_ask_the_user(mcp_server, without_model, home):
    """An error of the tool, in one line; with the name of what was refused both tools accept it."""
    server = mcp_server()
    told = refusal(server, "mesh_learn", content=NOTE.text)
    assert "content, line 1: it looks like a secret (GitHub token: ghp_…)" in told and "\n" not in told.strip()
    assert NOTE.secret not in told and "Only if the user says that it is no secret" in told
    name = re.search(r'allow_secrets \["([0-9a-f]{12})"\]', told)[1]
    memory_id = answer(server, "mesh_learn", content="The lamp is lit")["memory_id"]
    refusal(server, "mesh_update", memory_id=memory_id, content=NOTE.text)
    answer(server, "mesh_update", memory_id=memory_id, content=NOTE.text, allow_secrets=[name])
    answer(server, "mesh_learn", content="Or " + NOTE.text, allow_secrets=[name])
