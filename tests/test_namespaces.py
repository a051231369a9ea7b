"""Namespaces: kept apart, counted, made, renamed, deleted and brought back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hashing import HashEmbedder, hashed, wordsonly, write

from mesh import (
    Mesh,
    create_namespace,
    delete_namespace,
    deleted_namespaces,
    list_namespaces,
    namespace_stats,
    rename_namespace,
    restore_namespace,
)
from mesh.errors import InvalidInput, NotFound, UnknownMemory, UnknownNamespace, VaultUnavailable
from mesh.index.manifest import Manifest
from mesh.trash import DAYS_KEPT

pytestmark = pytest.mark.usefixtures("without_model")


def learned(home, namespace, *texts, **options):
    """Their ids."""
    with wordsonly(home, namespace) as mesh:
        return [mesh.learn(text, **options)["memory_id"] for text in texts]


def contents(home, namespace):
    with wordsonly(home, namespace) as mesh:
        return sorted(row["content"] for row in mesh.inspect(limit=None))


def everything_below(folder):
    """Every file and folder, hidden ones too: bytes, mode and times."""
    return {
        path.relative_to(folder).as_posix(): (
            path.read_bytes() if path.is_file() else None,
            path.stat().st_mode,
            path.stat().st_mtime_ns if path.is_file() else 0,
        )
        for path in folder.rglob("*")
    }


def untouched(home):
    """What lies in a home, but for caches and locks."""
    return {
        key: value for key, value in everything_below(home).items() if key.split("/")[0] not in {".cache", ".locks"}
    }


# --- apart from each other -----------------------------------------------------------------------------------------


def test_no_verb_reaches_into_another_namespace(home):
    """Neither by meaning nor by an id nor by a path."""
    (theirs,) = learned(home, "theirs", "The walrus sleeps at dawn")
    learned(home, "ours", "The lamp is lit")
    with hashed(home, "ours") as mesh:
        assert [row["content"] for row in mesh.recall("The walrus sleeps at dawn")] == ["The lamp is lit"]
        assert [row["content"] for row in mesh.inspect()] == ["The lamp is lit"]
        path = next((home / "theirs").glob("*.md"))
        for name in (theirs, theirs[:15], f"theirs/{path.name}", f"../theirs/{path.name}", str(path)):
            for verb in (mesh.get, mesh.forget, mesh.restore, mesh.file_of, lambda name: mesh.update(name, "other")):
                with pytest.raises(UnknownMemory):
                    verb(name)
        with pytest.raises(UnknownMemory):
            mesh.learn("text", supersedes=theirs)
        assert mesh.learn("The walrus sleeps at dawn")["status"] == "stored"
        assert mesh.count() == 2
    assert contents(home, "theirs") == ["The walrus sleeps at dawn"]


def test_a_name_that_begins_like_another_is_another(home):
    """`a` and `a-b` share no memory."""
    learned(home, "a", "one")
    learned(home, "a-b", "two")
    learned(home, "a.b", "three")
    assert [row["memory_count"] for row in list_namespaces()] == [1, 1, 1]
    rename_namespace("a", "b")
    delete_namespace("a-b")
    assert (contents(home, "b"), contents(home, "a.b")) == (["one"], ["three"])


# --- the list ------------------------------------------------------------------------------------------------------


def test_a_home_that_does_not_exist_has_no_namespaces_and_is_not_made(tmp_path):
    """Nor is it by asking for any of them."""
    home = tmp_path / "none"
    assert list_namespaces(home=home) == deleted_namespaces(home=home) == []
    for ask in (
        namespace_stats,
        delete_namespace,
        restore_namespace,
        lambda name, home: rename_namespace(name, "b", home=home),
    ):
        with pytest.raises(NotFound):
            ask("a", home=home)
    assert not home.exists()


def test_the_list_tells_how_much_is_in_each(home):
    """Local ones and those with problems count; hidden folders and those of other names are none."""
    learned(home, "one", "a", "b")
    learned(home, "one", "c", local_only=True)
    write(home, "one/flagged.md", "---\nlocal_only: true\n---\nd\n")
    write(home, "one/bad.md", "---\nid: [\n---\nbad\n")
    learned(home, "only-local", "e", local_only=True)
    write(home, "Upper/a.md", "not a namespace\n")
    os.utime(write(home, "old/x.md", "text\n"), (1_000_000_000, 1_000_000_000))
    create_namespace("empty")
    rows = {row.pop("namespace"): row for row in list_namespaces()}
    assert [*rows] == ["empty", "old", "one", "only-local"]
    assert {name: (row["memory_count"], row["local_only_count"]) for name, row in rows.items()} == {
        "empty": (0, 0), "old": (1, 0), "one": (4, 2), "only-local": (1, 1),
    }  # fmt: skip
    assert (rows["empty"]["last_updated"], rows["old"]["last_updated"]) == (None, "2001-09-09T01:46:40Z")
    assert datetime.now(UTC) - datetime.fromisoformat(rows["one"]["last_updated"]) < timedelta(days=1)
    assert all(row["problem"] is None for row in rows.values())


def test_a_namespace_that_cannot_be_read_is_listed_with_its_problem(home, tmp_path):
    """And the others with what is in them."""
    learned(home, "good", "text")
    (home / "linked").symlink_to(tmp_path)
    write(home, "half/a.md", "text\n")
    learned(home, "gone", "text", local_only=True)
    learned(home, "gone", "text")
    (home / "_local/half").write_text("a file")
    (home / "gone").rename(tmp_path / "gone")
    rows = {row["namespace"]: row for row in list_namespaces()}
    assert rows["good"]["memory_count"] == 1 and rows["good"]["problem"] is None
    assert "symbolic link" in rows["linked"]["problem"]
    assert "_local/half: not a folder" in rows["half"]["problem"]
    assert "1 memories were in it" in rows["gone"]["problem"]
    assert rows["gone"]["memory_count"] is rows["linked"]["last_updated"] is None


# --- stats ---------------------------------------------------------------------------------------------------------


def test_stats_count_what_is_there(home):
    """Types, authors, tags, confidence, age, staleness, problems and the trash."""
    with wordsonly(home, "ns", "alice") as mesh:
        mesh.learn("one", tags=["Api", "limits"], confidence=0.5)
        mesh.learn("two", memory_type="decision", tags=["api"])
        mesh.learn("three", local_only=True)
        mesh.forget(mesh.learn("four")["memory_id"])
    write(home, "ns/old.md", "---\nid: oldold\ncreated: 2001-02-03\nexpires: 2002-01-01\n---\nfive\n")
    write(home, "ns/bad.md", "---\nid: [\n---\nbad\n")
    write(home, "ns/.git/HEAD", "0123456789012345678901234567890123456789\n")
    found = namespace_stats("NS")
    newest = found.pop("newest_memory")
    assert datetime.now(UTC) - datetime.fromisoformat(newest) < timedelta(days=1)
    assert found == {
        "namespace": "ns",
        "memory_count": 4,
        "local_only_count": 1,
        "exportable_count": 3,
        "type_breakdown": {"fact": 3, "decision": 1},
        "agents": {"alice": 3, "unknown": 1},
        "tags": {"api": 2, "limits": 1},
        "avg_confidence": 0.875,
        "oldest_memory": "2001-02-03T00:00:00Z",
        "stale_count": 1,
        "problems": 1,
        "trash": 1,
        "path": str(home / "ns"),
        "git_head": "0123456789012345678901234567890123456789",
    }


def test_stats_of_an_empty_namespace_are_noughts(home):
    """No mean, no times, no error; and they are JSON."""
    create_namespace("empty")
    found = namespace_stats("empty")
    assert (found["memory_count"], found["exportable_count"], found["stale_count"]) == (0, 0, 0)
    assert found["avg_confidence"] is found["oldest_memory"] is found["newest_memory"] is None
    assert found["type_breakdown"] == found["agents"] == found["tags"] == {}
    json.dumps(found)


def test_stats_show_the_twenty_most_common_tags(home):
    """Equally common ones by name."""
    for number in range(30):
        write(home, f"ns/{number}.md", f"---\ntags: [every, t{number:02}]\n---\ntext {number}\n")
    assert [*namespace_stats("ns")["tags"]] == ["every", *(f"t{number:02}" for number in range(19))]


def test_an_unknown_namespace_suggests_the_closest(home):
    """For every function that needs one."""
    learned(home, "my-project", "text")
    for ask in (namespace_stats, delete_namespace, lambda name: rename_namespace(name, "new")):
        with pytest.raises(UnknownNamespace, match="Did you mean 'my-project'"):
            ask("my-projekt")


# --- making --------------------------------------------------------------------------------------------------------


def test_a_namespace_is_made_for_its_owner_only(tmp_path):
    """With the home, if need be; its name is folded."""
    home = tmp_path / "new" / "home"
    assert create_namespace("  My-Project ", home=home) == "my-project"
    assert [path.stat().st_mode & 0o777 for path in (home, home / "my-project")] == [0o700, 0o700]
    assert ".trash/" in (home / ".gitignore").read_text()
    assert [row["memory_count"] for row in list_namespaces(home=home)] == [0]


@pytest.mark.parametrize("local_only", [False, True])
def test_a_namespace_that_is_there_is_not_made_again(home, local_only):
    """Also one that has nothing but local memories."""
    learned(home, "there", "text", local_only=local_only)
    with pytest.raises(InvalidInput, match="there is a namespace 'there' already"):
        create_namespace("THERE")
    assert contents(home, "there") == ["text"]


def test_a_folder_that_was_removed_by_hand_does_not_haunt_a_new_one(home):
    """Its cache would say that memories are missing."""
    learned(home, "ns", "text")
    learned(home, "ns", "secret", local_only=True)
    (home / "ns").rename(home / "aside")
    (home / "_local/ns").rename(home / "_local/aside")
    create_namespace("ns")
    assert contents(home, "ns") == []
    assert namespace_stats("aside")["memory_count"] == 2


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "/etc", "a/b", "_local", ".cache", "con", "LPT1.txt", "x" * 64, "é", "a.", "a\0"]
)
def test_a_name_that_no_namespace_may_have_is_refused_everywhere(home, name):
    """Before anything is touched."""
    learned(home, "ns", "text")
    before = untouched(home)
    for use in (
        create_namespace, delete_namespace, restore_namespace, namespace_stats,
        lambda name: rename_namespace("ns", name), lambda name: rename_namespace(name, "new"),
    ):  # fmt: skip
        with pytest.raises(InvalidInput):
            use(name)
    assert untouched(home) == before


# --- deleting and bringing back ------------------------------------------------------------------------------------


def test_what_was_deleted_comes_back_byte_for_byte(home):
    """Files, folders, repository, modes and times; what was forgotten in it stays in the trash all the while."""
    write(home, "ns/deep/er/a.md", "---\r\nid: mine\r\n# comment\r\n---\r\nNo end")
    write(home, "ns/.git/objects/ab/cdef", b"\0\xff\n").chmod(0o444)
    write(home, "ns/picture.png", b"\x89PNG")
    os.utime(home / "ns/deep/er/a.md", ns=(1, 1_234_567_890_123_456_789))
    learned(home, "ns", "secret", local_only=True)
    with wordsonly(home, "ns") as mesh:
        mesh.forget(mesh.learn("forgotten")["memory_id"])
    before = {name: everything_below(home / name) for name in ("ns", "_local/ns", ".trash/ns")}
    assert delete_namespace("NS") == 2
    assert list_namespaces() == []
    assert not (home / "ns").exists() and not (home / "_local/ns").exists() and not (home / ".cache/ns").exists()
    assert everything_below(home / ".trash/ns") == before[".trash/ns"]
    assert [row["namespace"] for row in deleted_namespaces()] == ["ns"]
    assert restore_namespace("ns") == 2
    assert {name: everything_below(home / name) for name in before} == before
    assert deleted_namespaces() == [] and not list((home / ".trash/.namespaces").iterdir())


def test_what_comes_back_is_recalled_without_being_embedded_again(home):
    """Its cache was in the trash with it."""
    with hashed(home, "ns") as mesh:
        mesh.learn("The walrus sleeps at dawn")
    delete_namespace("ns")
    restore_namespace("ns")
    embedder = HashEmbedder()
    with hashed(home, "ns", embedder=embedder) as mesh:
        results = mesh.recall("walrus dawn")
    assert results[0]["similarity"] > 0.5 and results.receipt.pending == 0
    assert embedder.embedded == ["walrus dawn"]


def test_of_several_that_were_deleted_the_last_comes_back_first(home):
    """And then the one before."""
    for text in ("first", "second"):
        learned(home, "ns", text)
        delete_namespace("ns")
    assert [row["namespace"] for row in deleted_namespaces()] == ["ns", "ns"]
    restore_namespace("ns")
    assert contents(home, "ns") == ["second"]
    with pytest.raises(InvalidInput, match="Rename that one first: mesh namespaces rename ns"):
        restore_namespace("ns")
    rename_namespace("ns", "other")
    restore_namespace("ns")
    assert contents(home, "ns") == ["first"]


def test_a_namespace_that_was_never_deleted_does_not_come_back(home):
    """Nor one of another name."""
    learned(home, "ns", "text")
    delete_namespace("ns")
    with pytest.raises(NotFound, match="no namespace 'n' in the trash"):
        restore_namespace("n")


def test_a_deleted_namespace_is_empty_to_those_who_learn_in_it_again(home):
    """Nothing of the old one shines through, and both are kept."""
    learned(home, "ns", "old")
    learned(home, "ns", "old secret", local_only=True)
    delete_namespace("ns")
    learned(home, "ns", "new")
    assert contents(home, "ns") == ["new"]
    rename_namespace("ns", "other")
    restore_namespace("ns")
    assert contents(home, "ns") == ["old", "old secret"]


def test_after_30_days_a_deleted_namespace_is_gone_at_the_next_delete(home, tmp_path):
    """Not a day before, and through no link."""
    base = home / ".trash/.namespaces"
    outside = write(tmp_path, "outside/a.md", "not ours\n")
    ages = {"aged": timedelta(days=DAYS_KEPT, minutes=1), "young": timedelta(days=DAYS_KEPT, minutes=-1)}
    for name, age in ages.items():
        when = (datetime.now(UTC) - age).strftime("%Y%m%dT%H%M%S.%fZ")
        write(home, f".trash/.namespaces/{when}-{name}/{name}/a.md", "text\n")
    next(base.glob("*-aged")).joinpath("aged/link").symlink_to(outside.parent)
    write(home, ".trash/.namespaces/notes/a.md", "mine\n")
    learned(home, "ns", "text")
    delete_namespace("ns")
    assert [row["namespace"] for row in deleted_namespaces()] == ["ns", "young"]
    assert not list(base.glob("*-aged")) and outside.exists() and (base / "notes/a.md").exists()


@pytest.mark.skipif(os.name != "posix", reason="modes as POSIX has them")
def test_what_was_deleted_is_for_the_owner_only(home):
    """As it was before."""
    learned(home, "ns", "secret", local_only=True)
    delete_namespace("ns")
    assert not [path for path in (home / ".trash").rglob("*") if path.stat().st_mode & 0o077]


# --- renaming ------------------------------------------------------------------------------------------------------


def test_under_its_new_name_everything_is_found_without_being_embedded_again(home):
    """More than a recall would embed at once; local ones and derived ids too; the old name is nowhere."""
    with hashed(home, "old") as mesh:
        for number in range(150):
            write(home, f"old/part{number % 3}/{number}.md", f"The walrus number {number} sleeps\n")
        mesh.learn("A secret lamp", local_only=True)
        mesh.reindex()
    assert rename_namespace("old", "New") == 151
    embedder = HashEmbedder()
    with hashed(home, "new", embedder=embedder) as mesh:
        results = mesh.recall("walrus number 77 sleeps", n=200)
        assert results[0]["path"] == "new/part2/77.md"
        assert (len(results), results.receipt.pending, results.receipt.scanned) == (151, 0, 151)
        assert all(row["similarity"] is not None for row in results)
        assert mesh.get(results[0]["id"])["path"] == "new/part2/77.md"
        assert mesh.recall("secret lamp")[0]["path"].startswith("_local/new/")
    assert embedder.embedded == ["walrus number 77 sleeps", "secret lamp"]
    assert not [path for path in home.rglob("*") if path.name == "old" and ".trash" not in path.parts]
    with pytest.raises(UnknownNamespace):
        Mesh("old", home=home, must_exist=True)


def test_what_was_forgotten_under_the_old_name_comes_back_under_the_new(home):
    """Shared and local, to where it would be now; what was forgotten later too."""
    with wordsonly(home, "old") as mesh:
        write(home, "old/team/a.md", "---\nid: shared1\n---\nShared\n")
        local = mesh.learn("Local", local_only=True)["memory_id"]
        mesh.forget("shared1")
        mesh.forget(local)
    rename_namespace("old", "new")
    with wordsonly(home, "new") as mesh:
        mesh.forget(mesh.learn("Later")["memory_id"])
        assert len(mesh.trashed()) == 3
        assert mesh.restore("shared1")["path"] == "new/team/a.md"
        assert mesh.restore(local)["path"].startswith("_local/new/")
        assert mesh.restore(mesh.trashed()[0]["id"])["content"] == "Later"
        assert mesh.trashed() == []
    assert not (home / "old").exists() and not (home / "_local/old").exists()


def test_the_trash_of_an_earlier_namespace_of_that_name_is_kept_beside(home):
    """Entries of the same time and id too."""
    entry = "20990101T000000.000000Z-same0000"
    write(home, f".trash/old/{entry}/old/a.md", "---\nid: same0000\n---\nof the old\n")
    write(home, f".trash/new/{entry}/new/a.md", "---\nid: same0000\n---\nof the new\n")
    write(home, ".trash/old/notes/a.md", "the user's own\n")
    learned(home, "old", "text")
    rename_namespace("old", "new")
    with wordsonly(home, "new") as mesh:
        assert len(mesh.trashed()) == 2
        assert [mesh.restore("same0000")["content"] for _ in range(2)] == ["of the old", "of the new"]
    assert (home / ".trash/old/notes/a.md").exists()


def test_a_repository_goes_along(home):
    """`.git` as it was, and git is content with it."""
    learned(home, "old", "text")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, home / "old", *command], check=True)
    before = everything_below(home / "old")
    head = namespace_stats("old")["git_head"]
    rename_namespace("old", "new")
    assert everything_below(home / "new") == before
    assert namespace_stats("new")["git_head"] == head
    assert subprocess.run([*git, home / "new", "status", "--porcelain"], check=True, capture_output=True).stdout == b""


@pytest.mark.parametrize("there", ["new/a.md", "_local/new/a.md", "new/notes.txt"])
def test_a_name_that_is_taken_is_refused(home, there):
    """Also by a namespace with local memories only, and by an empty one; both stay as they are."""
    learned(home, "old", "text")
    write(home, there, "another\n")
    before = untouched(home)
    with pytest.raises(InvalidInput, match="there is a namespace 'new' already"):
        rename_namespace("old", "NEW")
    assert untouched(home) == before


def test_a_name_to_itself_is_refused(home):
    """Whatever its case."""
    learned(home, "old", "text")
    with pytest.raises(InvalidInput, match="its name already"):
        rename_namespace("old", " OLD")
    assert contents(home, "old") == ["text"]


def test_a_leftover_cache_of_that_name_is_in_nobodys_way(home):
    """It is of a namespace that is no more."""
    learned(home, "new", "gone")
    (home / "new").rename(home / "aside")
    learned(home, "old", "text")
    assert (home / ".cache/new").exists()
    rename_namespace("old", "new")
    assert contents(home, "new") == ["text"]


@pytest.mark.parametrize("place", ["old", "_local/old", "new", "_local/new"])
@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_link_or_a_file_in_the_place_of_a_folder_is_a_clear_error(home, tmp_path, place, kind):
    """Nothing is followed, nothing left behind, nothing moved."""
    write(home, "_local/old/a.md" if place == "old" else "old/a.md", "text\n")
    (home / "_local").mkdir(exist_ok=True)
    if kind == "link":
        write(tmp_path, "outside/a.md", "not ours\n")
        (home / place).symlink_to(tmp_path / "outside")
    else:
        (home / place).write_text("a file")
    before = untouched(home)
    uses = [lambda: rename_namespace("old", "new")]
    if place.endswith("old"):
        uses += [lambda: delete_namespace("old"), lambda: namespace_stats("old"), lambda: create_namespace("old")]
    for use in uses:
        with pytest.raises(VaultUnavailable, match=f"{place}: (a symbolic link|not a folder)"):
            use()
    assert untouched(home) == before


def test_only_local_memories_can_be_renamed_and_deleted_too(home):
    """A namespace is one even if nothing of it may be shared."""
    write(home, "_local/old/a.md", "secret\n")
    assert rename_namespace("old", "new") == 1
    assert delete_namespace("new") == 1
    assert restore_namespace("new") == 1
    assert contents(home, "new") == ["secret"] and not (home / "new").exists()


# --- while others have it open -------------------------------------------------------------------------------------


@pytest.mark.parametrize("watched", [False, True])
def test_a_mesh_that_has_either_name_open_goes_on_rightly(home, watched):
    """The old one is empty, the new one has all, by meaning; and to learn in the old makes a fresh one."""
    with hashed(home, "old") as old, hashed(home, "new") as new:
        old.learn("The walrus sleeps at dawn")
        assert (old.count(), new.count()) == (1, 0)
        if watched:
            assert old.workspace.watch()
            new.workspace.watch()
        for turn in range(2):
            rename_namespace("old", "new")
            assert (old.count(), old.recall("walrus")) == (0, [])
            assert [row["similarity"] is not None for row in new.recall("walrus sleeps")] == [True]
            write(home, "new/hand.md", f"The heron sleeps {turn} times\n")
            assert new.recall(f"heron {turn} times")[0]["content"] == f"The heron sleeps {turn} times"
            (home / "new/hand.md").unlink()
            assert new.count() == 1
            rename_namespace("new", "old")
            assert [row["similarity"] is not None for row in old.recall("walrus sleeps")] == [True]
            assert (new.count(), new.recall("walrus")) == (0, [])
        delete_namespace("old")
        assert old.recall("walrus") == []
        assert old.learn("The ocelot sleeps at dusk")["status"] == "stored"
        assert [row["content"] for row in old.recall("sleeps")] == ["The ocelot sleeps at dusk"]
        delete_namespace("old")
        restore_namespace("old")
        write(home, "old/by-hand.md", "The badger sleeps at noon\n")
        assert {row["content"][4:10] for row in old.recall("sleeps")} == {"ocelot", "badger"}


_ASKING = """
import sys
from hashing import hashed
from pathlib import Path
home = Path(sys.argv[1])
with hashed(home, "old") as old, hashed(home, "new") as new:
    old.count(), new.count(), old.workspace.watch(), new.workspace.watch()
    print("open", flush=True)
    for line in sys.stdin:
        found = [[row["similarity"] is not None for row in mesh.recall("walrus")] for mesh in (old, new)]
        print(found, flush=True)
        if line.strip():
            print(old.learn(line.strip())["path"].split("/")[0], flush=True)
"""


def test_another_process_that_has_it_open_goes_on_rightly(home):
    """With a watch on both names; what it learns under the old one lies in a fresh one."""
    with hashed(home, "old") as mesh:
        mesh.learn("The walrus sleeps at dawn")
    env = os.environ | {"PYTHONPATH": os.path.dirname(__file__)}
    command = [sys.executable, "-c", _ASKING, home]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as other:

        def asked(text=""):
            other.stdin.write(text + "\n")
            other.stdin.flush()
            return other.stdout.readline().strip()

        assert other.stdout.readline() == "open\n"
        assert asked() == "[[True], []]"
        rename_namespace("old", "new")
        assert asked() == "[[], [True]]"
        assert asked("The walrus is back") == "[[], [True]]"
        assert other.stdout.readline() == "old\n"
        assert asked() == "[[True], [True]]"
        delete_namespace("old")
        assert asked() == "[[], [True]]"
        restore_namespace("old")
        assert asked() == "[[True], [True]]"
        other.stdin.close()
    assert (contents(home, "old"), contents(home, "new")) == (["The walrus is back"], ["The walrus sleeps at dawn"])


_LEARNING = """
import sys
from hashing import wordsonly
from mesh.errors import VaultUnavailable
from pathlib import Path
with wordsonly(Path(sys.argv[1]), "old") as mesh:
    number = 0
    while number < 40:
        text = f"text {sys.argv[2]} {number}"
        try:
            mesh.learn(text, local_only=number % 2 == 1)
        except VaultUnavailable:  # the folder went away under it
            continue
        print(text, flush=True)
        number += 1
"""


def test_nothing_that_is_acknowledged_while_it_is_renamed_is_lost(home):
    """It is in the namespace of the new name, or in a fresh one of the old, once."""
    learned(home, "old", "before")
    env = os.environ | {"PYTHONPATH": os.path.dirname(__file__)}
    writers = [
        subprocess.Popen([sys.executable, "-c", _LEARNING, home, str(n)], stdout=subprocess.PIPE, text=True, env=env)
        for n in range(3)
    ]
    told = [[writer.stdout.readline().strip()] for writer in writers]
    readers = [
        threading.Thread(target=lambda said=said, writer=writer: said.extend(map(str.strip, writer.stdout)))
        for said, writer in zip(told, writers, strict=True)
    ]
    for reader in readers:
        reader.start()
    names = []
    while any(writer.poll() is None for writer in writers):
        name = f"new-{len(names)}"
        try:
            rename_namespace("old", name)
        except UnknownNamespace:  # nothing was learned since the last time
            continue
        names.append(name)
    for reader, writer in zip(readers, writers, strict=True):
        reader.join()
        assert writer.wait() == 0
    there = [text for row in list_namespaces() for text in contents(home, row["namespace"])]
    acknowledged = {"before", *(text for said in told for text in said)}
    assert acknowledged <= set(there) and len(there) == len(set(there))
    assert len(acknowledged) == 1 + 3 * 40 and len(names) > 1


def test_who_opens_a_namespace_while_it_is_renamed_lets_go_of_it(home, monkeypatch):
    """Its cache is moved in the very moment of opening it: what was learned goes on under the other name."""
    learned(home, "old", "before")
    opened, renamed = Manifest.open.__func__, []

    def open_and_rename(cls, path):
        manifest = opened(cls, path)
        if path.parent.name == "old" and not renamed:
            renamed.append(rename_namespace("old", "new", home=home))
        return manifest

    monkeypatch.setattr(Manifest, "open", classmethod(open_and_rename))
    with wordsonly(home, "old") as mesh:
        mesh.learn("after")
        assert [row["content"] for row in mesh.inspect(limit=None)] == ["after"]
    assert contents(home, "new") == ["before"] and renamed == [1]


def test_two_who_rename_at_once_take_turns(home):
    """One of them does it, the other is told that there is no such namespace; nothing is lost."""
    learned(home, "old", "text")
    ends = []

    def rename(new):
        try:
            ends.append(rename_namespace("old", new))
        except UnknownNamespace:
            ends.append("unknown")

    threads = [threading.Thread(target=rename, args=(f"new-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends, key=str) == [1, *["unknown"] * 5]
    assert [row["memory_count"] for row in list_namespaces()] == [1]
