"""Many processes at once: every acknowledged text is there, every text that is read is whole."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from mesh import Mesh

pytestmark = pytest.mark.usefixtures("without_model")

WRITERS, LEARNS, READERS = 16, 20, 4

# A text that proves itself: whoever reads half of one, or two mixed, sees that the digest does not fit.
_TEXTS = """
import hashlib
def text_of(name):
    body = f"{name} " + " ".join(f"word{n}" for n in range(hash_of(name) % 200))
    return f"{body} digest {hashlib.sha256(body.encode()).hexdigest()}"
def hash_of(name):
    return int(hashlib.sha256(name.encode()).hexdigest(), 16)
"""

_WRITER = f"""
import sys
from mesh import Mesh
{_TEXTS}
writer = sys.argv[1]
sys.stdin.readline()
with Mesh(agent_id=f"writer-{{writer}}") as mesh:
    for number in range(int(sys.argv[2])):
        row = mesh.learn(text_of(f"fact {{number}} of writer {{writer}}"))
        print(row["status"], row["memory_id"], row["path"], flush=True)
"""

_READER = f"""
import sys, os
from mesh import Mesh
{_TEXTS}
sys.stdin.readline()
recalls = rows = 0
with Mesh() as mesh:
    while not os.path.exists(sys.argv[1]) or not recalls:
        for row in mesh.recall("fact of writer editor", n=30):
            body, _, digest = row["content"].rpartition(" digest ")
            assert hashlib.sha256(body.encode()).hexdigest() == digest, f"torn: {{row['path']}}: {{row['content']!r}}"
            rows += 1
        recalls += 1
print(recalls, rows)
"""

_EDITOR = f"""
import sys, os
{_TEXTS}
folder, stop = sys.argv[1:]
sys.stdin.readline()
number = 0
while not os.path.exists(stop) or not number:
    number += 1
    for name in ("one", "two", "three"):
        temporary = os.path.join(folder, f".{{name}}.md.swp")
        with open(temporary, "w") as file:
            file.write(text_of(f"edit {{number}} of the editor of {{name}}") + "\\n")
        os.replace(temporary, os.path.join(folder, f"{{name}}.md"))
print(number)
"""


def start(script, *arguments):
    """A process that waits for a line before it begins."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def go(processes):
    """Let all begin at once, and wait. What each printed; every one must have ended well."""
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    with ThreadPoolExecutor(len(processes)) as pool:
        ended = list(pool.map(lambda process: process.communicate(), processes))
    for process, (_, errors) in zip(processes, ended, strict=True):
        assert process.returncode == 0, errors
    return [output for output, _ in ended]


def is_whole(text):
    body, _, digest = text.rpartition(" digest ")
    return hashlib.sha256(body.encode()).hexdigest() == digest


@pytest.mark.parametrize(
    "first",
    [
        "in a new home",
        "in a home with memories",
    ],
)
def test_writers_readers_and_an_editor_at_once(tmp_path, monkeypatch, first):
    """No acknowledged memory is lost, no half text is read, nobody meets an exception."""
    home, stop = tmp_path / "home", tmp_path / "stop"
    monkeypatch.setenv("MESH_HOME", str(home))
    writers, learns = (WRITERS, LEARNS) if "with" in first else (WRITERS, 2)
    others = []
    if "with" in first:
        (home / "shared" / "hand").mkdir(parents=True)
        others = [start(_READER, stop) for _ in range(READERS)] + [start(_EDITOR, home / "shared" / "hand", stop)]
    started = [start(_WRITER, number, learns) for number in range(writers)]
    with ThreadPoolExecutor(2) as pool:
        beside = pool.submit(go, others) if others else None
        try:
            lines = [line.split() for output in go(started) for line in output.splitlines()]
        finally:
            stop.touch()
            read = beside.result() if beside else []
    assert len(lines) == writers * learns
    assert {status for status, _, _ in lines} <= {"stored", "stored_with_conflict"}
    assert len({memory_id for _, memory_id, _ in lines}) == len({path for _, _, path in lines}) == len(lines)
    for _, memory_id, path in lines:
        whole = (home / path).read_text()
        assert f"id: {memory_id}\n" in whole and is_whole(whole.split("\n---\n", 1)[1].rstrip("\n"))
    with Mesh() as mesh:
        rows = mesh.inspect(limit=1000)
        assert {memory_id for _, memory_id, _ in lines} <= {row["id"] for row in rows}
        assert len(rows) == len(lines) + (3 if others else 0)
        assert all(is_whole(row["content"]) for row in rows) and not mesh.problems()
        assert len(mesh.recall("digest", n=1000)) == len(rows), "the cache knows them all"
    assert not list(home.rglob(".mesh-*"))
    assert all(int(output.split()[0]) for output in read)


_PREPARER = """
import sys
from pathlib import Path
from mesh.vault import Vault
sys.stdin.readline()
for number in range(60):
    Vault(Path(sys.argv[1]) / str(number)).prepare("shared")
"""


def test_processes_that_make_a_home_at_once_all_find_it_made(tmp_path):
    """Whoever comes second has the same home, and no error."""
    go([start(_PREPARER, tmp_path) for _ in range(6)])
    assert all(len(list((tmp_path / str(number)).iterdir())) == 2 for number in range(60))


_LOOKER = """
import sys, os
from mesh import Mesh
sys.stdin.readline()
while not os.path.exists(sys.argv[1]):
    with Mesh() as mesh:
        mesh.recall("something")
"""

_LEARNER = """
import sys
from mesh import Mesh
from mesh.errors import NotFound
sys.stdin.readline()
with Mesh(agent_id=sys.argv[1]) as mesh:
    for number in range(60):
        text = f"learner {sys.argv[1]} knows x{number}y{sys.argv[1]}"
        memory_id = mesh.learn(text)["memory_id"]
        try:
            mesh.get(memory_id)
        except NotFound:
            print(f"get did not find x{number}y{sys.argv[1]}")
        if memory_id not in [row["id"] for row in mesh.recall(f"x{number}y{sys.argv[1]}")]:
            print(f"recall did not find x{number}y{sys.argv[1]}")
        if mesh.learn(text)["status"] != "deduplicated":
            print(f"x{number}y{sys.argv[1]} was stored twice")
"""


def test_what_was_acknowledged_is_known_at_once_whatever_others_do(home, mesh, tmp_path):
    """While other processes look and learn, who has learned something can get it, recall it, and not store it twice."""
    mesh.learn("The first of all")
    stop = tmp_path / "stop"
    lookers = [start(_LOOKER, stop) for _ in range(2)]
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(go, lookers)
        try:
            missed = go([start(_LEARNER, number) for number in range(3)])
        finally:
            stop.touch()
        looking.result()
    assert not "".join(missed)


_SAME = """
import sys
from mesh import Mesh
with Mesh(agent_id=sys.argv[1]) as mesh:
    mesh.count()
    sys.stdin.readline()
    for number in range(25):
        row = mesh.learn(f"The same text, number {number}, by everybody")
        print(row["status"], row["memory_id"], flush=True)
"""


def test_a_text_that_several_learn_at_once_is_stored_once(home):
    """One of them stores it, and all get the same id."""
    answers = [[line.split() for line in output.splitlines()] for output in go([start(_SAME, n) for n in range(4)])]
    for number in range(25):
        statuses = [answer[number][0] for answer in answers]
        assert sum(status.startswith("stored") for status in statuses) == 1, statuses
        assert len({answer[number][1] for answer in answers}) == 1
    assert len(list((home / "shared").glob("*.md"))) == 25


_UPDATER = """
import sys
from mesh import Mesh
from mesh.errors import EditConflict
with Mesh(agent_id=sys.argv[1]) as mesh:
    mesh.count()
    sys.stdin.readline()
    for number in range(25):
        text = f"text {number} of updater {sys.argv[1]}"
        try:
            mesh.update(sys.argv[2], text)
            print("applied", text, flush=True)
        except EditConflict as conflict:
            assert conflict.kept_as is None
            print("conflict", text, flush=True)
"""


def test_updates_at_once_are_each_applied_or_refused(home, mesh):
    """An update that was acknowledged is the text now or is in the trash; one that was refused is nowhere."""
    memory_id = mesh.learn("The first text")["memory_id"]
    outputs = go([start(_UPDATER, number, memory_id) for number in range(4)])
    answers = [line.split(" ", 1) for output in outputs for line in output.splitlines()]
    applied = {text for status, text in answers if status == "applied"}
    there = re.compile(r"text \d+ of updater \d|The first text")
    now = mesh.get(memory_id)["content"]
    trashed = [there.search(path.read_text())[0] for path in (home / ".trash").rglob("*.md")]
    assert len(answers) == 100 and len(list((home / "shared").iterdir())) == 1
    assert sorted([now, *trashed]) == sorted(["The first text", *applied])
    assert applied, "somebody must get through"


_FORGETTER = """
import sys
from mesh import Mesh
from mesh.errors import EditConflict, NotFound, VaultUnavailable
with Mesh() as mesh:
    sys.stdin.readline()
    for memory_id in sys.argv[1:]:
        try:
            mesh.forget(memory_id)
            print(memory_id, flush=True)
        except (NotFound, VaultUnavailable):
            pass
"""


def test_a_memory_is_forgotten_by_one_of_those_who_try(home, mesh):
    """Each is in the trash exactly once, and exactly one process was told that it did it."""
    ids = [mesh.learn(f"Something to forget, number {number}")["memory_id"] for number in range(20)]
    told = [line for output in go([start(_FORGETTER, *ids) for _ in range(3)]) for line in output.splitlines()]
    assert sorted(told) == sorted(ids)
    assert sorted(row["id"] for row in mesh.trashed()) == sorted(ids)
    assert mesh.count() == 0


_THREADS = """
from concurrent.futures import ThreadPoolExecutor
from mesh import Mesh
input()
with Mesh() as mesh:
    def work(number):
        learned = mesh.learn(f"fact {number} of a thread")["memory_id"]
        assert mesh.get(learned)["content"] == f"fact {number} of a thread"
        mesh.recall("fact of a thread")
        return learned
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(work, range(200)))
    assert len(set(ids)) == 200 == mesh.count()
"""


def test_threads_may_share_one_mesh(home):
    """Eight threads learn, get and recall through one object. In a process of their own, which must survive it."""
    go([start(_THREADS)])


def test_two_meshes_in_one_process_see_each_other(home):
    """What one writes the other finds at once, in either direction, and after either forgot."""
    with Mesh(home=home) as one, Mesh(home=home) as other:
        memory_id = one.learn("The walrus sleeps at dawn")["memory_id"]
        assert [row["id"] for row in other.recall("walrus")] == [memory_id]
        other.update(memory_id, "The walrus snores")
        assert one.recall("walrus")[0]["content"] == "The walrus snores"
        one.forget(memory_id)
        assert other.recall("walrus") == []
