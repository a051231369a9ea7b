"""The prompts that a person can choose in a client. What they recall is marked as reference data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mesh import inputs
from mesh.errors import InvalidInput

from . import mcp_tools
from .meshes import Meshes


@dataclass(frozen=True, slots=True)
class Prompt:
    """`arguments`: what each is; all of them are needed."""

    title: str
    description: str
    arguments: dict[str, str]
    text: Callable[..., str]


def text_of(meshes: Meshes, name: str, arguments: Mapping[str, str]) -> str:
    """What the prompt says to a model. Raises `MeshError`."""
    prompt = PROMPTS[name]
    for given in arguments:
        if given not in prompt.arguments:
            known = ", ".join(prompt.arguments) or "no arguments"
            raise InvalidInput(f"there is no argument {given[:40]!r}", remedy=f"It takes {known}")
    for needed, what in prompt.arguments.items():
        if not arguments.get(needed, "").strip():
            raise InvalidInput("it is missing", place=needed, remedy=f"Give it: {what}")
    return prompt.text(meshes, **arguments)


def _recall(meshes: Meshes, query: str) -> str:
    found = mcp_tools.recall(meshes, inputs.query(query), 10)["text"]
    asked = " ".join(query.split())
    return f"This is what Mesh knows about: {asked}\n\n{found}\nUse what helps, and say which of it you used."


def _remember(meshes: Meshes, text: str) -> str:
    kept = inputs.content(text)
    return (
        f"Store the following in Mesh, namespace {meshes.mesh().namespace}. First look with mesh_recall whether it is "
        "known: if a memory says it already, say so; if one says something else, correct that one with mesh_update. "
        "Otherwise store it with mesh_learn, one statement each, with a fitting memory_type and tags, in words that "
        f"are understood without this conversation. Then say what you stored, and its id.\n\n{kept}"
    )


def _brief(meshes: Meshes) -> str:
    made = mcp_tools.context(meshes, count=20)
    return (
        f"{made['text']}\nThis is the latest of what Mesh holds for this project. Brief me in a few sentences: what is "
        "decided, what is constrained, what is open. Name the ids that you rely on, and what looks out of date."
    )


PROMPTS = {
    "recall": Prompt(
        "Recall from Mesh",
        "Put what Mesh knows about something into the conversation",
        {"query": "What you want to know"},
        _recall,
    ),
    "remember": Prompt(
        "Remember in Mesh",
        "Have something stored, after a look at what is known already",
        {"text": "What should be remembered"},
        _remember,
    ),
    "brief": Prompt("Brief me from Mesh", "What this project's memory says, in a few sentences", {}, _brief),
}
