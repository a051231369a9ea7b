"""`mesh mcp`."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Namespace


def mcp(
    namespace: Namespace = None,
    agent: Annotated[
        str | None, typer.Option("--agent", "-a", metavar="NAME", help="The author of what is learned.")
    ] = None,
    http: Annotated[bool, typer.Option("--http", help="Serve streamable HTTP at /mcp instead.")] = False,
    host: Annotated[str | None, typer.Option("--host", metavar="HOST", help="Where HTTP listens. [127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option("--port", metavar="PORT", min=0, max=65535, help="Its port; 0 for any. [7702]")
    ] = None,
) -> None:
    """Serve a client of the Model Context Protocol, as mesh-server does.

    The client starts it, and speaks to it over standard input and output. How clients are told of it stands in
    docs/MCP.md.
    """
    from mesh_servers.mcp_server import run

    run(namespace=namespace, agent=agent, http=http, host=host, port=port)
