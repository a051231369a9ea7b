"""`mesh link`, `mesh unlink`, and `mesh sync` of a namespace that is a folder of a project."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("without_model")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The folder for memories of a project named app."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = Pat\n\temail = pat@example.org\n")
    place = tmp_path / "app" / "docs" / "memory"
    place.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", "-b", "main", tmp_path / "app"], check=True)
    return place


def test_a_folder_is_linked_listed_synced_and_unlinked(run, folder):
    """What each of these says; JSON has the same."""
    ran = run("link", folder)
    assert (ran.code, ran.out) == (0, f"app\t{folder}\n") and "mesh sync app" in ran.said
    assert run("link", "--list").out == f"app\t{folder}\n"
    assert run("link", "--list", "--json").json()[0]["project"] == str(folder.parents[1])
    run("learn", "The lamp is lit", "-N", "app")
    assert (
        run("sync", "app").out
        == f"app\tcommitted 1; to push is the project's own work: git -C {folder.parents[1]} push\n"
    )
    assert run("sync", "app").out == "app\tnothing new\n"
    assert run("sync", "app", "--json").json()[0]["committed"] == []
    assert "learned" in run("log", "-N", "app").out
    assert run("unlink", "app").out == f"app\tunlinked\t{folder}\n"
    assert len(list(folder.iterdir())) == 1 and run("link", "--list").said.endswith("mesh link DIR NS")


def test_a_memory_is_named_by_where_its_file_lies(run, folder):
    """On this machine: as an editor, or git, shows it."""
    run("link", folder)
    (folder / "note.md").write_text("The lamp is lit\n")
    assert run("show", folder / "note.md", "-N", "app").out == "The lamp is lit\n"


def test_wrong_usage_is_one_line(run, folder, home):
    """With exit code 2; what is not linked is not found."""
    for arguments in (("link",), ("link", folder, "--list"), ("link", home), ("link", folder, "No Name")):
        ran = run(*arguments)
        assert ran.code == 2 and ran.said.startswith("mesh: ")
    assert run("unlink", "app").code == 1


def test_deleting_the_namespace_is_refused(run, folder):
    """With the verb that is meant."""
    run("link", folder)
    assert "mesh unlink app" in run("namespaces", "delete", "app", "--yes").said
    assert folder.is_dir()


def test_what_is_imported_lies_in_the_folder(run, folder):
    """And what doctor looks at."""
    run("link", folder)
    rows = b'{"id": "dddd9999dddd9999", "content": "Taken in"}\n{"id": "eeee9999eeee9999", "content": "As well"}\n'
    assert run("import", "-", "-N", "app", stdin=rows).code == 0
    assert sorted(path.read_text().splitlines()[-1] for path in folder.iterdir()) == ["As well", "Taken in"]
    notes = folder.parents[2] / "notes"
    (notes / "how-to").mkdir(parents=True)
    (notes / "how-to" / "deploy.md").write_text("Deploy on Fridays\n")
    assert run("import", notes, "-N", "app").code == 0 and (folder / "how-to" / "deploy.md").exists()
    assert "app" not in run("doctor", "-N", "app").out
