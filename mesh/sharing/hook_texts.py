"""What stands in the hooks, the settings and the attributes that Mesh puts into a repository.

The hooks are POSIX sh, and need nothing but what the shell has itself: programs with windows start git with an empty
PATH. They refuse where nothing could be looked at; the driver then merges as git does without one.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

SAID_WHY = 20  # the exit code of `mesh git-hook` that refuses, and of `mesh merge-driver` that leaves a conflict
MARK = "# mesh-hook:"  # in ours, and in no other
CALL = "mesh git-hook"  # in a hook of somebody else that asks ours itself
ASIDE = ".before-mesh"
BEGIN, END = "# Mesh: memories are merged key by key.", "# Mesh: end."
ATTRIBUTES = f"{BEGIN}\n*.md merge=mesh\n{END}\n"
DRIVER_NAME = "memories of Mesh, key by key"

_HOOK = """#!/bin/sh
{mark} put here by Mesh, and put right at every sync. To be rid of it: mesh share NAMESPACE --no-hooks
# It keeps secrets and local_only memories out of what is committed and pushed. A hook that was here before lies beside
# it as {name}{aside}, and is run as ever.

MESH_HOOK_DEPTH=$((${{MESH_HOOK_DEPTH:-0}} + 1))
export MESH_HOOK_DEPTH
if [ "$MESH_HOOK_DEPTH" -gt 8 ]; then
    echo "mesh: hooks call each other in a circle: look at {name} and what lies beside it in ${{0%/*}}" >&2
    exit 1
fi
{given}
before() {{
    for hook in "${{0%/*}}/{name}{aside}"*; do
        if [ -x "$hook" ]; then
            {pipe}"$hook" "$@" || exit
        fi
    done
}}

check() {{
    code=127
    for mesh in {mesh} mesh; do
        command -v "$mesh" >/dev/null 2>&1 || continue
        if [ "$mesh" = mesh ]; then
            case $(mesh --version 2>/dev/null) in "mesh "[0-9]*) ;; *) continue ;; esac
        fi
        {pipe}"$mesh" git-hook {name} -- "$@" && return
        code=$?
        [ "$code" -eq 126 ] || [ "$code" -eq 127 ] || break
    done
    if [ "$code" -ne {said_why} ]; then
        echo "mesh: {name}: nobody could look for secrets (exit code $code), so git stops here. Install Mesh anew," \\
            "or go on without it: {without}" >&2
    fi
    exit 1
}}

{order}
"""
_GIVEN = """
given=
while IFS= read -r line; do
    given="$given$line
"
done
"""
# A formatter that was there changes what is staged, so it comes first; what uploads comes after all was looked at.
_KINDS = {
    "pre-commit": {"given": "", "pipe": "", "order": 'before "$@"\ncheck "$@"', "without": "git commit --no-verify"},
    "pre-push": {
        "given": _GIVEN,
        "pipe": "printf '%s' \"$given\" | ",
        "order": 'check "$@"\nbefore "$@"',
        "without": "git push --no-verify",
    },
}
NAMES = tuple(_KINDS)
_DRIVER = (
    'for m in {mesh} mesh; do command -v "$m" >/dev/null 2>&1 || continue; "$m" merge-driver %O %A %B %P; '
    "case $? in 0) exit 0;; {said_why}) exit 1;; esac; done; "
    "git merge-file -q -L ours -L base -L theirs %A %O %B || exit 1"
)


def hook(name: str) -> str:
    """The text of a hook, for the Mesh that runs now."""
    kind = _KINDS[name]
    return _HOOK.format(mark=MARK, aside=ASIDE, name=name, mesh=shlex.quote(program()), said_why=SAID_WHY, **kind)


def driver() -> str:
    """The command of the merge driver, for the Mesh that runs now; `%` stands for what git fills in."""
    return _DRIVER.format(mesh=shlex.quote(program()).replace("%", "%%"), said_why=SAID_WHY)


def program() -> str:
    """The command `mesh` of this environment; only its name, if it has none."""
    place = Path(sys.executable).with_name("mesh.exe" if os.name == "nt" else "mesh")
    return str(place) if place.is_file() else "mesh"
