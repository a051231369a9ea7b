"""Every verb of `mesh`: where it lives and what it does, in one line.

The table is all that `mesh --help` needs, so it costs no import. A test holds it against the commands themselves.
"""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    module: str  # of this package
    attribute: str  # a function, or a Typer app with verbs of its own
    summary: str


GROUPS: dict[str, dict[str, Verb]] = {
    "Remember and recall": {
        "learn": Verb("learning", "learn", "Store a memory as a Markdown file"),
        "recall": Verb("asking", "recall", "Find memories by meaning and by words"),
    },
    "Look": {
        "list": Verb("looking", "list_memories", "List memories, one a line: id, TAB, first line"),
        "show": Verb("looking", "show", "Print one memory"),
        "inspect": Verb("looking", "inspect", "Say all that is known of one memory, or of the latest"),
        "status": Verb("upkeep", "status", "Say what is here: namespaces, cache, model, problems"),
    },
    "Look back, in a namespace that is a git repository": {
        "log": Verb("history", "log", "Say what happened to memories, and who did it"),
        "diff": Verb("history", "diff", "Say which memories differ between two commits, or since the last"),
        "blame": Verb("history", "blame", "Say who wrote each line of a memory, and when"),
        "bisect": Verb("history", "bisect", "Find the commit that taught the answer to a question"),
        "undo": Verb("history", "undo", "Undo all that an agent changed since some time"),
    },
    "Change": {
        "edit": Verb("changing", "edit", "Open a memory in your editor"),
        "update": Verb("changing", "update", "Change a memory's text, type, tags or confidence"),
        "forget": Verb("changing", "forget", "Move memories to the trash, kept for 30 days"),
        "restore": Verb("changing", "restore", "Bring a memory back from the trash"),
    },
    "Move and share": {
        "link": Verb("linking", "link", "Make a folder elsewhere, such as a project's, a namespace"),
        "unlink": Verb("linking", "unlink", "Remove such a link; its files stay"),
        "share": Verb("sharing", "share", "Share a namespace through git"),
        "clone": Verb("sharing", "clone", "Take in a namespace that somebody shares"),
        "sync": Verb("syncing", "sync", "Commit, fetch, merge and push what is shared"),
        "conflicts": Verb("sharing", "conflicts", "List memories that were changed in two ways"),
        "resolve": Verb("sharing", "resolve", "Settle such a conflict"),
        "check": Verb("checking", "check", "Check what a pull request would bring in"),
        "export": Verb("portability", "export", "Write the memories to a file: JSON, Markdown, tar.gz"),
        "import": Verb("portability", "import_", "Take in memories from a file or folder of many kinds"),
        "namespaces": Verb("namespaces", "app", "List, make, rename, delete and bring back namespaces"),
    },
    "Serve": {
        "mcp": Verb("serving", "mcp", "Serve a client of the Model Context Protocol"),
    },
    "Keep in order": {
        "watch": Verb("watching", "watch", "Follow changes as they happen, and keep recall instant"),
        "reindex": Verb("upkeep", "reindex", "Embed what is pending; --all makes the cache again"),
        "doctor": Verb("upkeep", "doctor", "Check files, cache and model; changes nothing by itself"),
        "eval": Verb("evaluating", "evaluate", "Score recall on questions whose answers are known"),
        "model": Verb("models", "app", "Show, choose, fetch or forget embedding models"),
        "completion": Verb("completion", "completion", "Print the completion script of your shell"),
    },
}
# What git runs, and people only by hand where something is wrong: not in the help.
PLUMBING = {
    "git-hook": Verb("plumbing", "git_hook", "Say whether git may commit or push this"),
    "merge-driver": Verb("plumbing", "merge_driver", "Merge a memory's file in three versions"),
}
VERBS = {name: verb for group in GROUPS.values() for name, verb in group.items()}
ALIASES = {"add": "learn", "ask": "recall"}


def help_text() -> str:
    """What `mesh --help` prints."""
    lines = [
        "Usage: mesh VERB [OPTIONS] [ARGUMENTS]",
        "",
        "Shared memory for AI agents, kept as Markdown files that people can read.",
    ]
    for title, verbs in GROUPS.items():
        lines += ["", f"{title}:"]
        lines += [f"  {name:<12}{verb.summary}" for name, verb in verbs.items()]
    lines += [
        "",
        "Options:",
        "  -h, --help     Show this, or with a verb what it takes",
        "  -V, --version  Show the version",
        "",
        "Environment: MESH_HOME (~/.mesh), MESH_NAMESPACE (shared), MESH_AGENT_ID (agent)",
        "Exit codes: 0 done, 1 it failed, 2 wrong usage, 3 nothing was found.",
    ]
    return "\n".join(lines)
