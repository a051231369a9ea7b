"""Put hooks and a merge driver into a repository, for people who use git in a shared namespace, and take them away.

Nobody's hook is replaced: what is there moves aside, and ours runs it. Where `core.hooksPath` leads elsewhere (husky, a
company's own) nothing is put there, since that folder may be in commits: the person is told which line to add.
"""

from __future__ import annotations

import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path

from ..errors import GitFailed
from ..git.heads import common_dir
from ..git.running import Git
from .hook_texts import ASIDE, ATTRIBUTES, BEGIN, CALL, DRIVER_NAME, END, MARK, NAMES, driver, hook

log = logging.getLogger("mesh")

_WANTED = "mesh.hooks"
_ASKED = r"^(core\.hookspath|mesh\.hooks|merge\.mesh\.(name|driver))$"


def keep(git: Git, wanted: bool | None = None, *, tell: bool = False) -> None:
    """Put right what is missing or outdated; nothing is written where all is as it should be.

    `wanted`: what a person says from now on; None for what they said before. What cannot be written is only told;
    `tell`: so is what they have to do themselves.
    """
    settings = _settings(git)
    if wanted is not None and wanted == (settings.get(_WANTED) == "false"):
        git.run("config", "--local", _WANTED, str(wanted).lower())
    is_on = wanted if wanted is not None else settings.get(_WANTED) != "false"
    try:
        if is_on:
            _install(git, settings, tell=tell)
        elif wanted is False:
            _remove(git)
    except (OSError, GitFailed) as error:
        log.warning("%s: the hooks of git are not as they should be (%s)", git.git_dir, error)


def are_there(git: Git) -> bool | None:
    """Whether git's own commands are held to the rules; None if a person said that they need not be."""
    settings = _settings(git)
    if settings.get(_WANTED) == "false":
        return None
    usual = common_dir(git.git_dir) / "hooks"
    folder = _elsewhere(git, settings.get("core.hookspath", ""), usual) or usual
    return all(
        os.access(folder / name, os.X_OK) and (MARK in (text := _text(folder / name)) or CALL in text) for name in NAMES
    )


def _settings(git: Git) -> dict[str, str]:
    """What git goes by here, from all its files, without what our own call says."""
    said = git.run("config", "--show-scope", "-z", "--get-regexp", _ASKED, accepted=(0, 1)).decode("utf-8", "replace")
    words = said.split("\0")[:-1]
    pairs = [(scope, *pair.partition("\n")[::2]) for scope, pair in zip(words[::2], words[1::2], strict=True)]
    return {key: value for scope, key, value in pairs if scope != "command"}


def _install(git: Git, settings: dict[str, str], *, tell: bool) -> None:
    for key, value in (("merge.mesh.name", DRIVER_NAME), ("merge.mesh.driver", driver())):
        if settings.get(key) != value:
            git.run("config", "--local", key, value)
    common = common_dir(git.git_dir)
    _write_attributes(common / "info" / "attributes", ATTRIBUTES)
    elsewhere = _elsewhere(git, settings.get("core.hookspath", ""), common / "hooks")
    if elsewhere is None:
        for name in NAMES:
            _put(common / "hooks" / name)
    elif tell:
        for name in NAMES:
            if CALL not in _text(elsewhere / name):
                log.warning('%s: git looks for this hook here. Add to it: %s %s "$@"', elsewhere / name, CALL, name)


def _elsewhere(git: Git, said: str, usual: Path) -> Path | None:
    """The folder in which git looks for hooks, if that is not the usual one, or this is a link to another."""
    if not said:
        return usual if usual.is_symlink() else None
    folder = (git.work_tree or git.git_dir) / Path(said).expanduser()
    return None if folder.resolve() == usual.resolve() else folder


# --- hooks ---------------------------------------------------------------------------------------------------------


def _put(place: Path) -> None:
    """Let a hook be ours, and call what was there before."""
    text = _text(place)
    if MARK in text:
        if text != hook(place.name) or not os.access(place, os.X_OK):  # git passes over one that cannot be run
            _write(place, hook(place.name), 0o755)
        return
    # Somebody's own hook asks Mesh itself; or pre-commit's, which has moved ours aside and runs it.
    if CALL in text or MARK in _text(place.with_name(f"{place.name}.legacy")):
        return
    place.parent.mkdir(exist_ok=True)
    if place.exists() or place.is_symlink():
        place.rename(_free(place))
    _write(place, hook(place.name), 0o755)


def _free(place: Path) -> Path:
    names = [place.with_name(place.name + ASIDE), *(place.with_name(f"{place.name}{ASIDE}-{n}") for n in range(2, 99))]
    return next(name for name in names if not (name.exists() or name.is_symlink()))


def _text(place: Path) -> str:
    """What stands in a hook, if it is a text; "" if there is none."""
    try:
        return place.read_bytes()[: 1 << 16].decode("utf-8", "replace")
    except (FileNotFoundError, IsADirectoryError):
        return ""


def _write(place: Path, text: str, mode: int) -> None:
    """In one step: git may start a hook at any moment."""
    place.parent.mkdir(exist_ok=True)
    new = place.with_name(f".mesh-{secrets.token_hex(4)}.tmp")
    try:
        new.write_text(text, "utf-8", newline="\n")
        new.chmod(mode)
        new.replace(place)
    finally:
        with suppress(FileNotFoundError):
            new.unlink()


def _remove(git: Git) -> None:
    """Take away what `_install` put there; what was there before is where it was."""
    common = common_dir(git.git_dir)
    for name in NAMES:
        for place in (common / "hooks" / name, common / "hooks" / f"{name}.legacy"):
            if MARK in _text(place):
                place.unlink()
                before = sorted(place.parent.glob(name + ASIDE + "*"))
                if before:
                    before[-1].rename(place)
                for other in before[:-1]:
                    log.warning("%s: this hook is not run any more; an older one was there as well", other)
    _write_attributes(common / "info" / "attributes", "")
    git.run("config", "--local", "--remove-section", "merge.mesh", accepted=(0, 128))


# --- attributes ----------------------------------------------------------------------------------------------------


def _write_attributes(place: Path, ours: str) -> None:
    """Let our lines come first: those of a person, who may want it otherwise, win."""
    text = _text(place)
    begins, ends = text.find(BEGIN + "\n"), text.find(END + "\n")
    others = text[:begins] + text[ends + len(END) + 1 :] if 0 <= begins < ends else text
    if ours + others == text:
        return
    if ours + others:
        _write(place, ours + others, 0o644)
    else:
        place.unlink()
