"""Shared memory for AI agents, kept as Markdown files that people can read.

>>> from mesh import Mesh
>>> mesh = Mesh(namespace="my-project", agent_id="coding-agent")
>>> mesh.learn("The API rate limit is 100 requests/min")
>>> mesh.recall("what are the API constraints?")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .api import Mesh
    from .errors import MeshError
    from .functions import (
        build_context,
        check_proposal,
        clone_namespace,
        create_namespace,
        delete_namespace,
        deleted_namespaces,
        export_namespace,
        import_namespace,
        link_namespace,
        linked_namespaces,
        list_namespaces,
        namespace_stats,
        rename_namespace,
        restore_namespace,
        share_namespace,
        shared_namespaces,
        unlink_namespace,
    )

__all__ = [
    "Mesh",
    "MeshError",
    "__version__",
    "build_context",
    "check_proposal",
    "clone_namespace",
    "create_namespace",
    "delete_namespace",
    "deleted_namespaces",
    "export_namespace",
    "import_namespace",
    "link_namespace",
    "linked_namespaces",
    "list_namespaces",
    "namespace_stats",
    "rename_namespace",
    "restore_namespace",
    "share_namespace",
    "shared_namespaces",
    "unlink_namespace",
]

_HOMES = dict.fromkeys(__all__, "functions") | {"Mesh": "api", "MeshError": "errors"}


def __getattr__(name: str) -> Any:
    """Load a part when it is first asked for: `mesh --help` must not pay for it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
