"""Records taken into a namespace: each at most once, nothing here lost, and to be gone on with after any end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hashing import HashEmbedder, bytes_below, hashed, wordsonly, write

from mesh import import_namespace
from mesh.errors import InvalidInput, MeshError, VaultUnavailable
from mesh.memory import Memory, Problem
from mesh.portability import importing
from mesh.portability.deciding import Outcome
from mesh.portability.importing import import_records, import_source
from mesh.portability.record import Record

LAMP = Memory("aaaa0000", "The lamp is lit", agent="ann", created=datetime(2026, 1, 31, tzinfo=UTC))
DOOR = Memory("bbbb0000", "The door is shut")


@pytest.fixture
def mesh(home):
    with wordsonly(home) as opened:
        yield opened


def records(*memories):
    return [
        one if isinstance(one, (Record, Problem)) else Record(f"x: memory {number}", one)
        for number, one in enumerate(memories, 1)
    ]


def outcomes(mesh, *memories, **options):
    return dict(import_records(mesh.workspace, records(*memories), **options).outcomes)


def export_of(tmp_path, count, name="many.json", **keys):
    rows = [
        {"id": f"id-{n:06}", "content": f"Fact {n} of the lamp", "created_at": "2026-01-31T12:00:00"}
        for n in range(count)
    ]
    path = tmp_path / name
    path.write_text(json.dumps({"mesh_version": "0.8.3", "namespace": "team", "memories": rows} | keys))
    return path


def contents(mesh):
    return Counter(row["content"] for row in mesh.inspect(None))


def test_what_is_new_is_written_with_all_it_says(mesh):
    """And found by words at once; its file is as any that Mesh writes."""
    result = import_records(mesh.workspace, records(LAMP, DOOR))
    assert (result.written, result.skipped, result.errors) == (2, 0, 0)
    row = mesh.get("aaaa")
    assert (row["source_agent"], row["created_at"], row["path"]) == (
        *("ann", "2026-01-31T00:00:00Z"),
        "shared/the-lamp-is-lit--aaaa0000.md",
    )
    assert [row["id"] for row in mesh.recall("which lamp is lit")] == ["aaaa0000"]


def test_importing_twice_adds_nothing(mesh, home):
    """Not a byte changes."""
    bare = [replace(LAMP, id=""), replace(DOOR, id="a:b")]
    assert outcomes(mesh, *bare) == {Outcome.WRITE: 2}
    before = bytes_below(home)
    assert outcomes(mesh, *bare) == {Outcome.PRESENT: 2}
    assert bytes_below(home) == before


@pytest.mark.parametrize("raw", ["aaaa0000", "", "a:b"])
def test_what_was_edited_here_is_not_imported_again(mesh, raw):
    """It differs, and stays; whether the source has ids or not."""
    outcomes(mesh, replace(LAMP, id=raw))
    (row,) = mesh.inspect()
    mesh.update(row["id"], "The lamp is out")
    assert outcomes(mesh, replace(LAMP, id=raw)) == {Outcome.DIFFERS: 1}
    assert contents(mesh) == {"The lamp is out": 1}


def test_what_differs_gives_way_if_it_is_asked_to(mesh):
    """Its old text goes to the trash, and can be brought back."""
    outcomes(mesh, LAMP)
    assert outcomes(mesh, replace(LAMP, content="The lamp is out"), replace=True) == {Outcome.REPLACE: 1}
    assert contents(mesh) == {"The lamp is out": 1}
    mesh.restore("aaaa")
    assert contents(mesh) == {"The lamp is lit": 1}


def test_a_text_that_is_here_is_not_written_again(mesh):
    """Whoever wrote it; nor one that stands in the source twice under two ids."""
    mesh.learn("The lamp is lit")
    assert outcomes(mesh, LAMP, DOOR, replace(DOOR, id="cccc0000")) == {Outcome.SAME_TEXT: 2, Outcome.WRITE: 1}
    assert contents(mesh) == {"The lamp is lit": 1, "The door is shut": 1}


def test_what_is_local_or_has_expired_stands_in_for_nothing(mesh):
    """A memory to be shared that has the text of a local one is still written, and one that holds."""
    mesh.learn("The lamp is lit", local_only=True)
    old = replace(DOOR, id="dddd0000", expires=datetime(2020, 1, 1, tzinfo=UTC))
    assert outcomes(mesh, LAMP, old, DOOR) == {Outcome.WRITE: 3}
    assert outcomes(mesh, replace(LAMP, id="eeee0000", local_only=True)) == {Outcome.SAME_TEXT: 1}


def test_an_id_that_stands_in_the_source_twice_is_a_problem(mesh):
    """The first counts; ids compare without regard to case."""
    result = import_records(mesh.workspace, records(LAMP, replace(DOOR, id="AAAA0000")))
    assert (result.written, result.errors) == (1, 1)
    assert str(result.problems[0]) == (
        "x: memory 2: its id 'AAAA0000' stands in the source twice. Give one of them another id"
    )


def test_what_is_local_goes_where_nothing_is_shared(mesh, home):
    """Into the other root of the namespace, with its folder."""
    note = Record("n", replace(DOOR, local_only=True), name="team/door.md")
    result = import_records(mesh.workspace, records(replace(LAMP, local_only=True), note))
    assert result.local_only == 2
    assert {*bytes_below(home)} == {"_local/shared/the-lamp-is-lit--aaaa0000.md", "_local/shared/team/door.md"}


def test_a_bad_record_is_noted_and_the_rest_goes_on(mesh):
    """Those of the reader, and those that no file can say; the first hundred are kept, all are counted."""
    bad = [replace(LAMP, id=f"bad-{number}", content="a\0b") for number in range(150)]
    result = import_records(mesh.workspace, records(LAMP, Problem("x: memory 2", 0, "", "no", "yes"), *bad, DOOR))
    assert (result.written, result.errors, len(result.problems)) == (2, 151, 100)
    assert result.problems[1].path == "x: memory 3"
    assert "NUL" in result.problems[1].cause
    assert result.as_dict()["problems"][0] == {"place": "x: memory 2", "cause": "no", "remedy": "yes"}


def test_a_name_is_kept_where_it_is_free(mesh, home):
    """Else another is made for it, in the same folder if that can be one."""
    write(home, "shared/team/taken.md", "mine\n")
    write(home, "shared/file", "no folder")
    (home / "shared/link").symlink_to(home)
    named = {"a": "team/free.md", "b": "team/taken.md", "c": "file/x.md", "d": "link/x.md", "e": "../../x.md"}
    several = [Record(letter, Memory(f"{letter}111", f"text {letter}"), name=name) for letter, name in named.items()]
    result = import_records(mesh.workspace, several)
    assert (result.written, result.errors) == (5, 0)
    assert {*bytes_below(home)} == {"shared/file", "shared/team/taken.md"} | {
        *("shared/team/free.md", "shared/team/text-b--b111.md"),
        *("shared/text-c--c111.md", "shared/text-d--d111.md", "shared/text-e--e111.md"),
    }


def test_a_dry_run_says_what_would_happen_and_writes_nothing(mesh, home, tmp_path):
    """Not even the namespace; what it says is what then happens."""
    told = []
    mixed = records(LAMP, DOOR, replace(DOOR, id="cccc0000"), replace(LAMP, content="twice"))
    dry = import_records(
        mesh.workspace, mixed, dry_run=True, told=lambda outcome, one: told.append((str(outcome), one.memory.id))
    )
    assert told == [("write", "aaaa0000"), ("write", "bbbb0000"), ("same text", "cccc0000"), ("twice", "aaaa0000")]
    assert not list(home.iterdir())
    assert (dry.as_dict()["imported"], dry.as_dict()["would_import"]) == (0, 2)
    real = import_records(mesh.workspace, mixed)
    assert (real.outcomes, real.errors) == (dry.outcomes, dry.errors)


def test_batches_do_not_show(mesh, monkeypatch):
    """Wherever one ends, also by its bytes, and for texts and ids across them."""
    monkeypatch.setattr(importing, "BATCH_RECORDS", 3)
    monkeypatch.setattr(importing, "BATCH_BYTES", 600)
    several = [Memory(f"id-{n}", f"text {n // 2}") for n in range(20)] + [
        Memory("id-3", "x" * 700),
        Memory("id-99", "x"),
    ]
    assert outcomes(mesh, *several) == {Outcome.WRITE: 11, Outcome.SAME_TEXT: 10, Outcome.TWICE: 1}
    assert mesh.count() == 11


def test_a_source_that_breaks_off_leaves_what_came_before(mesh, home, tmp_path):
    """Then a whole copy of it is gone on with."""
    whole = export_of(tmp_path, 10)
    cut = tmp_path / "cut.json"
    cut.write_bytes(whole.read_bytes()[:-300])
    result = import_source(mesh.workspace, cut)
    assert 0 < result.written < 10
    assert str(result.broke_off).startswith("cut.json: it ends too early, after byte ")
    assert f"; {result.written} memories before that were imported. Get a whole copy" in str(result.broke_off)
    with pytest.raises(MeshError, match="ends too early"):
        import_namespace(cut, home=home)
    rest = import_source(mesh.workspace, whole)
    assert (rest.written, rest.skipped) == (10 - result.written, result.written)


def test_what_is_imported_is_embedded_at_the_end(home, tmp_path):
    """Each once, with progress; after an interruption a repeat does the rest."""
    seen = []
    embedder = HashEmbedder()
    with hashed(home, embedder=embedder) as mesh:
        source = export_of(tmp_path, 300)
        import_source(mesh.workspace, source, progress=lambda *told: seen.append(told))
        assert (mesh.pending(), len(embedder.embedded)) == (0, 300)
        assert seen[:2] == [("read", 256, None), ("read", 44, None)]
        assert {(phase, total) for phase, _, total in seen[2:]} == {("embedded", 300)}
        assert sum(count for phase, count, _ in seen if phase == "embedded") == 300
        assert mesh.recall("Fact 17 of the lamp")[0]["content"] == "Fact 17 of the lamp"

    def interrupt(phase, count, total):
        if phase == "embedded":
            raise KeyboardInterrupt

    with hashed(home, "other", embedder=embedder) as mesh:
        with pytest.raises(KeyboardInterrupt):
            import_source(mesh.workspace, source, progress=interrupt)
        assert mesh.count() == 300
        assert mesh.pending() == 172
        import_source(mesh.workspace, source)
        assert (mesh.pending(), mesh.count()) == (0, 300)


IMPORT = """
import os, sys, signal, threading
from pathlib import Path
from mesh import Mesh
from mesh.portability.importing import import_source
def die(phase, count, total):
    global seen
    seen += count
    if seen >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
seen = 0
if float(sys.argv[4]):
    threading.Timer(float(sys.argv[4]), lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
with Mesh("shared", "tester", sys.argv[1]) as mesh:
    import_source(mesh.workspace, Path(sys.argv[2]), progress=die)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL as POSIX has it")
@pytest.mark.parametrize(("after", "seconds"), [(256, 0), (768, 0), (10_000, 0.05), (10_000, 0.2), (10_000, 0.4)])
def test_a_repeat_completes_what_was_killed(home, tmp_path, without_model, after, seconds):
    """At the end of a batch, and anywhere: nothing double, nothing half-written."""
    source = export_of(tmp_path, 1000)
    command = [sys.executable, "-c", IMPORT, home, source, str(after), str(seconds)]
    killed = subprocess.run(command, capture_output=True, check=False)
    assert killed.returncode in ({-signal.SIGKILL} if not seconds else {-signal.SIGKILL, 0}), killed.stderr
    left = {path: data for path, data in bytes_below(home).items() if not path.startswith(".")}
    assert all(data.endswith(b" of the lamp\n") for data in left.values())
    assert len(left) >= (after if not seconds else 0)
    with wordsonly(home) as mesh:
        result = import_source(mesh.workspace, source)
        assert (result.written, result.skipped, result.errors) == (1000 - len(left), len(left), 0)
        assert contents(mesh) == {f"Fact {n} of the lamp": 1 for n in range(1000)}


def test_two_imports_at_once_write_nothing_twice(home, tmp_path, without_model):
    """What one has written the other finds under the lock."""
    source = export_of(tmp_path, 1500)
    command = [sys.executable, "-c", IMPORT, home, source, "1000000", "0"]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    assert [one.communicate()[1].decode().count("Traceback") for one in both] == [0, 0]
    assert [one.returncode for one in both] == [0, 0]
    with wordsonly(home) as mesh:
        assert contents(mesh) == {f"Fact {n} of the lamp": 1 for n in range(1500)}
        assert not mesh.problems()


def test_a_cache_that_breaks_in_the_middle_does_no_harm(mesh, home, monkeypatch):
    """It is made again from the files, and what was written before is not written twice."""
    monkeypatch.setattr(importing, "BATCH_RECORDS", 4)

    def source():
        for number in range(20):
            if number == 10:
                mesh.workspace.cache.discard("a test does so")
            yield Record(str(number), Memory(f"id-{number}", f"text {number}"))
        yield from records(Memory("id-one-more", "text 1"), Memory("id-2", "text 2"))

    result = import_records(mesh.workspace, source())
    assert result.outcomes == {Outcome.WRITE: 20, Outcome.SAME_TEXT: 1, Outcome.TWICE: 1}
    assert mesh.count() == 20


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on a file's size as Linux has it")
def test_a_write_that_fails_is_a_clear_error_and_what_came_before_stays(home, tmp_path):
    """The batch in which it happens leaves nothing half-written."""
    rows = [{"id": f"id-{n:06}", "content": f"Fact {n} " + "x" * (20_000 if n == 300 else 10)} for n in range(400)]
    source = tmp_path / "x.json"
    source.write_text(json.dumps({"memories": rows}))
    code = f"""
        import resource, signal
        from pathlib import Path
        from mesh import Mesh, MeshError
        from mesh.portability.importing import import_source
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        def limit(size):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        with Mesh("shared", "tester", {str(home)!r}) as mesh:
            try:
                import_source(mesh.workspace, Path({str(source)!r}), progress=lambda *told: limit(15_000))
            except MeshError as error:
                print(error)
            limit(resource.RLIM_INFINITY)
            print(mesh.count(), len(list(Path({str(home)!r}, "shared").iterdir())))
            print(import_source(mesh.workspace, Path({str(source)!r})).written)
    """
    env = os.environ | {"MESH_MODEL_PATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False, env=env
    )
    assert done.stdout.splitlines() == [
        f"{home}: file too large. Check the disk and the folder",
        "256 256",
        "144",
    ], done.stderr


def test_a_namespace_whose_folder_went_missing_is_not_filled_anew(mesh, home):
    """It may be a disk that is not mounted."""
    outcomes(mesh, LAMP)
    (home / "shared").rename(home / "elsewhere")
    with pytest.raises(VaultUnavailable, match="the folder is missing"):
        outcomes(mesh, DOOR)
    assert not (home / "shared").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory as Linux tells it")
def test_memory_does_not_grow_with_the_source(home, tmp_path, without_model):
    """A file of 40 MB, of which one record is half, takes hardly more than one of a few bytes."""
    code = f"""
        import resource, sys
        from pathlib import Path
        from mesh import Mesh
        from mesh.portability.importing import import_source
        with Mesh("shared", "tester", {str(home)!r}) as mesh:
            mesh.workspace._asked_for_embedder = True
            print(import_source(mesh.workspace, Path(sys.argv[1])).as_dict()["errors"])
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    sources = [export_of(tmp_path, 5, "small.json"), tmp_path / "large.json"]
    large = [{"id": f"id-{n}", "content": f"{n} " + "word lamp " * 6000} for n in range(350)]
    huge = {"id": "huge", "content": 'x"é' * 5_000_000}
    sources[1].write_text(json.dumps({"memories": [*large, huge, {"id": "last", "content": "the last"}]}))
    peaks = []
    for source, errors in zip(sources, ("0", "1"), strict=True):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), source], capture_output=True, text=True, check=True
        )
        found, peak = done.stdout.split()
        assert found == errors
        peaks.append(int(peak) // 1024)
    assert sources[1].stat().st_size > 40_000_000
    assert peaks[1] < peaks[0] + 80, peaks


# --- sources -------------------------------------------------------------------------------------------------


def test_a_note_keeps_its_bytes_and_its_place(mesh, home, tmp_path):
    """Only an id is added; a copy of the folder made by hand is recognised."""
    notes = {
        "index.md": b"# Index\r\n\r\nSee [[lamp]]\r\n",
        "rooms/lamp.md": b"---\n# mine\naliases: [light]\ntype: note\ntags:\n  - room\n---\nThe lamp is lit\n",
        "rooms/door.md": b"---\nid: bbbb0000\n---\nThe door is shut",
    }
    for name, data in notes.items():
        write(tmp_path / "vault", name, data)
    result = import_source(mesh.workspace, tmp_path / "vault")
    assert (result.written, result.errors) == (3, 0)
    found = bytes_below(home / "shared")
    assert {*found} == {*notes}
    assert found["rooms/door.md"] == notes["rooms/door.md"]
    index, lamp = (mesh.get(f"shared/{name}") for name in ("index.md", "rooms/lamp.md"))
    assert found["index.md"] == b"---\r\nid: %s\r\n---\r\n" % index["id"].encode() + notes["index.md"]
    assert found["rooms/lamp.md"] == (
        b"---\n# mine\naliases: [light]\ntags:\n  - room\n  - note\nid: %s\n---\nThe lamp is lit\n"
        % lamp["id"].encode()
    )
    assert (lamp["memory_type"], lamp["tags"]) == ("fact", ["room", "note"])
    assert import_source(mesh.workspace, tmp_path / "vault").skipped == 3
    for name, data in notes.items():
        write(home, f"copied/{name}", data)
    with wordsonly(home, "copied") as copied:
        again = import_source(copied.workspace, tmp_path / "vault")
        assert (again.written, again.outcomes[Outcome.PRESENT]) == (0, 3)


def test_a_note_that_is_replaced_gets_the_bytes_of_the_source(mesh, home, tmp_path):
    """It is a file there as well as here."""
    write(tmp_path / "vault", "a.md", b"---\nid: aaaa0000\n---\nold\n")
    import_source(mesh.workspace, tmp_path / "vault")
    new = b"---\n# new\nid: aaaa0000\n---\r\nnew\r\n"
    write(tmp_path / "vault", "a.md", new)
    assert import_source(mesh.workspace, tmp_path / "vault").outcomes == {Outcome.DIFFERS: 1}
    assert import_source(mesh.workspace, tmp_path / "vault", replace=True).outcomes == {Outcome.REPLACE: 1}
    assert bytes_below(home / "shared") == {"a.md": new}


def test_the_source_is_left_as_it_is(mesh, tmp_path):
    """Whatever it is."""
    source = export_of(tmp_path, 5)
    write(tmp_path, "vault/a.md", "no id\n")
    before = bytes_below(tmp_path)
    for path in (source, tmp_path / "vault"):
        import_source(mesh.workspace, path)
    assert {path: data for path, data in bytes_below(tmp_path).items() if not path.startswith("home")} == before


def test_python_imports_into_the_namespace_that_is_named(home, tmp_path, monkeypatch):
    """By the call, else by the source, else by the environment."""
    monkeypatch.setenv("MESH_NAMESPACE", "mine")
    monkeypatch.setenv("MESH_MODEL_PATH", str(tmp_path / "none"))
    source = export_of(tmp_path, 2)
    assert import_namespace(source, dry_run=True)["would_import"] == 2
    assert not list(home.iterdir())
    found = import_namespace(str(source))
    none = dict.fromkeys(("skipped", "errors", "present", "same_text", "differs", "replaced", "local_only"), 0)
    assert found == none | {"namespace": "team", "imported": 2, "dry_run": False, "problems": []}
    assert import_namespace(source, "other")["namespace"] == "other"
    write(tmp_path, "note.md", "a note\n")
    assert import_namespace(tmp_path / "note.md")["namespace"] == "mine"
    with pytest.raises(InvalidInput, match="namespace"):
        import_namespace(source, "../x")
