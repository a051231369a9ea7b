"""A real exchange with the peer, mesh-context-layer 0.8.3, which `.ci/peer` installs into `.peer`."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from mesh import Mesh, export_namespace, import_namespace
from mesh.memory import TYPES

PEER = Path(__file__).parent.parent / ".peer" / "bin" / "python"
COUNT = 200

pytestmark = [
    pytest.mark.skipif(not PEER.exists(), reason="the peer is not installed: sh .ci/peer"),
    pytest.mark.usefixtures("without_model"),
]

WRITE = """
import json, sys, mesh
store = mesh.Mesh(namespace="team", agent_id="peer-agent")
kinds = ("fact", "preference", "context", "result", "instruction")
for i in range(200):
    ttl = 30.0 if i % 10 == 0 else None
    store.learn(f"The service number {i} answers on port {4000 + i} of host-{i * 7}", memory_type=kinds[i % 5],
                confidence=1.0 if i % 3 else 0.5, tags=[f"tag{i % 4}", "service"], ttl_days=ttl)
store.close()
mesh.export_namespace("team", sys.argv[1])
"""
READ = """
import json, sys, mesh
print(json.dumps(mesh.import_namespace(sys.argv[1], target_namespace="back")))
with_ids = mesh.Mesh(namespace="back", agent_id="x").inspect(limit=1000)
print(json.dumps([{k: row[k] for k in ("id", "content", "memory_type", "tags", "source_agent", "confidence",
                                       "ttl_days", "created_at")} for row in with_ids]))
"""


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    """Run code in the peer's Python, with a home of its own."""
    user = tmp_path_factory.mktemp("peer")
    env = {name: value for name, value in os.environ.items() if not name.startswith("MESH_")}
    env |= {"HOME": str(user), "MESH_HOME": str(user / ".mesh"), "MESH_NO_MODEL_DOWNLOAD": "1"}
    env |= {"MESH_NO_AUTO_DAEMON": "1", "MESH_NO_UPDATE_CHECK": "1"}

    def run(code: str, *arguments: object) -> str:
        command = [PEER, "-c", code, *map(str, arguments)]
        done = subprocess.run(command, env=env, cwd=user, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.home = user
    return run


@pytest.fixture(scope="module")
def written(peer):
    """The peer's export of 200 memories, and its store."""
    export = peer.home / "export.json"
    peer(WRITE, export)
    return export, peer.home / ".mesh" / "mesh_team.db"


def facts(home) -> dict[str, tuple[object, ...]]:
    """What a namespace `team` of ours holds, by id."""
    with Mesh("team", home=home) as mesh:
        return {
            row["id"]: (
                row["content"],
                row["memory_type"],
                tuple(row["tags"]),
                row["source_agent"],
                row["confidence"],
                row["created_at"],
                row["expires_at"] is not None,
            )
            for row in mesh.inspect(limit=None)
        }


def theirs(export: Path) -> dict[str, tuple[object, ...]]:
    return {
        one["id"]: (
            one["content"],
            one["memory_type"],
            tuple(one["tags"]),
            one["source_agent"],
            one["confidence"],
            one["created_at"][:19] + "Z",
            one["ttl_days"] is not None,
        )
        for one in json.loads(export.read_text())["memories"]
    }


def test_the_peers_export_comes_in_whole(written, home):
    """All 200 memories, with id, type, tags, author, confidence, time and expiry; a second import adds nothing."""
    export, _ = written
    assert import_namespace(str(export), home=home)["imported"] == COUNT
    assert facts(home) == theirs(export)
    again = import_namespace(str(export), home=home)
    assert (again["imported"], again["skipped"]) == (0, COUNT)


def test_the_peers_store_comes_in_whole_and_stays_as_it_is(written, home):
    """The SQLite file gives the same 200, and neither it nor its folder is touched."""
    export, store = written
    before = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in store.parent.iterdir()}
    assert import_namespace(str(store), "team", home=home)["imported"] == COUNT
    assert facts(home) == theirs(export)
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in store.parent.iterdir()} == before


def test_our_export_is_imported_by_the_peer(written, peer, home, tmp_path):
    """All of it, with what the peer knows of a memory, whatever the type or the id."""
    import_namespace(str(written[0]), home=home)
    with Mesh("team", "our-agent", home) as mesh:
        for kind in TYPES:
            mesh.learn(f"A memory of the kind {kind}", memory_type=kind, ttl_days=10)
        mesh.learn("This one never leaves", local_only=True)
    out = tmp_path / "ours.json"
    told = export_namespace("team", str(out), home=home)
    assert (told["memory_count"], told["skipped_local_only"]) == (COUNT + len(TYPES), 1)
    result, rows = (json.loads(line) for line in peer(READ, out).splitlines()[-2:])
    assert result["errors"] == 0
    assert result["imported"] == COUNT + len(TYPES)
    there = {row["content"]: row for row in rows}
    assert "This one never leaves" not in out.read_text()
    for kind in TYPES:
        assert there[f"A memory of the kind {kind}"]["ttl_days"] == 10
        assert there[f"A memory of the kind {kind}"]["source_agent"] == "our-agent"
    known = theirs(written[0])
    for row in rows:
        if row["id"] in known:
            tags = tuple(json.loads(row["tags"]))  # the peer gives them as it stores them
            assert (row["content"], row["memory_type"], tags) == known[row["id"]][:3]
