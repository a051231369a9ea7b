"""Shared memory for AI agents, kept as Markdown files that people can read.

>>> from mesh import Mesh
>>> mesh = Mesh(namespace="my-project", agent_id="coding-agent")
>>> mesh.learn("The API rate limit is 100 requests/min")
>>> mesh.recall("what are the API constraints?")
"""

from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .api import Mesh
    from .errors import MeshError

__all__ = ["Mesh", "MeshError", "__version__"]


def __getattr__(name: str) -> Any:
    """Load `Mesh` when it is first asked for: `mesh --help` must not pay for it."""
    if name == "Mesh":
        from .api import Mesh

        return Mesh
    if name == "MeshError":
        from .errors import MeshError

        return MeshError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
