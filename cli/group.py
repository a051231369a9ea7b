"""`mesh` as a Typer group that imports a verb's module only when that verb is used."""

from __future__ import annotations

import difflib
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from mesh.errors import InvalidInput

from .verbs import ALIASES, PLUMBING, VERBS, help_text

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class LazyGroup(TyperGroup):
    """The verbs of the table in `verbs`, each built when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return command(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            closest = difflib.get_close_matches(name, [*VERBS, *ALIASES], n=1)
            remedy = f"Did you mean {closest[0]!r}?" if closest else "See: mesh --help"
            raise InvalidInput(f"there is no verb {name!r}", remedy=remedy)
        return super().resolve_command(ctx, args)

    def get_help(self, ctx: Any) -> str:
        return help_text()


def group() -> LazyGroup:
    return LazyGroup(name="mesh", context_settings=CONTEXT, rich_markup_mode=None, no_args_is_help=True)


@cache  # typer asks for each twice, and it takes some milliseconds
def command(name: str) -> Any:
    """The command of a verb or alias; None if there is no such verb."""
    verb = VERBS.get(ALIASES.get(name, name)) or PLUMBING.get(name)
    if verb is None:
        return None
    found = getattr(import_module(f".{verb.module}", __package__), verb.attribute)
    if not isinstance(found, typer.Typer):
        app = new_app()
        app.command(name, help=f"{verb.summary}.\n\n{_rest_of(found.__doc__)}")(found)
        found = app
    built = get_command(found)
    built.name = name
    return built


def new_app(**options: Any) -> typer.Typer:
    """A Typer app as all of `mesh` is: no rich, no extra options, `-h` for help."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=CONTEXT,
        **options,
    )


def _rest_of(doc: str | None) -> str:
    """A function's docstring without its first line, which the table of verbs has."""
    return (doc or "").partition("\n")[2]
