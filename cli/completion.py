"""`mesh completion`."""

from __future__ import annotations

from typing import Annotated

import typer

from mesh.errors import InvalidInput

from .thin import COMPLETE_VARIABLE

SHELLS = ("bash", "zsh", "fish")


def completion(shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="Your shell.")]) -> None:
    """Print the completion script of your shell.

    bash: mesh completion bash > ~/.local/share/bash-completion/completions/mesh
    zsh:  mesh completion zsh > ~/.zfunc/_mesh, with fpath+=~/.zfunc before compinit in ~/.zshrc
    fish: mesh completion fish > ~/.config/fish/completions/mesh.fish
    """
    from typer._completion_shared import get_completion_script

    if shell not in SHELLS:
        raise InvalidInput(f"{shell!r} is not known", place="shell", remedy=f"Use one of: {', '.join(SHELLS)}")
    print(get_completion_script(prog_name="mesh", complete_var=COMPLETE_VARIABLE, shell=shell))
