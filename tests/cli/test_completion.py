"""`mesh completion`: scripts that shells accept and that complete what there is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mesh_cli.verbs import VERBS

FOLDER = Path(sys.executable).parent
CHECKS = {"bash": ("bash", "-n"), "zsh": ("zsh", "-n"), "fish": ("fish", "--no-execute")}


@pytest.mark.parametrize("shell", CHECKS)
def test_the_script_is_valid_in_its_shell(run, shell, tmp_path):
    """As the shell's own syntax check says."""
    ran = run("completion", shell)
    assert (ran.code, ran.err) == (0, "")
    assert "mesh" in ran.out and "_MESH_COMPLETE" in ran.out
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed here")
    script = tmp_path / "script"
    script.write_text(ran.out)
    checked = subprocess.run([*CHECKS[shell], script], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def completed(run, *words):
    """What bash is offered for the last of `words`."""
    env = {"_MESH_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    ran = run(env=env)
    assert ran.err == "", ran.err
    return ran.lines


def test_every_verb_is_completed(run):
    """All of them for nothing, those that fit for a beginning."""
    assert set(completed(run, "mesh", "")) >= set(VERBS)
    assert set(completed(run, "mesh", "re")) == {verb for verb in VERBS if verb.startswith("re")}


def test_options_and_the_verbs_of_a_verb_are_completed(run):
    """Each verb's own."""
    assert "--type" in completed(run, "mesh", "learn", "--t")
    assert "--trash" in completed(run, "mesh", "list", "--")
    assert set(completed(run, "mesh", "model", "")) >= {"status", "pull"}


def test_bash_itself_completes_a_verb(run, tmp_path):
    """The script is sourced, and its function asked as the shell asks it."""
    script = tmp_path / "mesh.bash"
    script.write_text(run("completion", "bash").out)
    asked = (
        f'. "{script}"; COMP_WORDS=(mesh fo); COMP_CWORD=1;'
        ' $(complete -p mesh | sed "s/.*-F \\([^ ]*\\).*/\\1/") mesh fo mesh; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    env = os.environ | {"PATH": f"{FOLDER}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True, env=env)
    assert (done.stdout.split(), done.stderr) == (["forget"], "")


def test_zsh_and_fish_are_answered_as_well(run):
    """With the variables that their scripts set."""
    env = {"_TYPER_COMPLETE_ARGS": "mesh fo"}
    assert "forget" in run(env=env | {"_MESH_COMPLETE": "complete_zsh"}).out
    fish = run(env=env | {"_MESH_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"})
    assert "forget" in fish.out


@pytest.mark.cold("where there is no home, nothing serves it")
def test_completing_writes_nothing(home, run):
    """Not even a home: pressing TAB must not."""
    (home).rmdir()
    run(env={"_MESH_COMPLETE": "complete_bash", "COMP_WORDS": "mesh show ", "COMP_CWORD": "2"})
    assert not home.exists()


def test_an_unknown_shell_is_told_which_there_are(run):
    """One line, exit 2."""
    ran = run("completion", "tcsh")
    assert (ran.code, ran.out) == (2, "")
    for shell in CHECKS:
        assert shell in ran.said
