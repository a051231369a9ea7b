"""What each route of `route_table.ROUTES` does: one call of the library, for a client here or elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mesh.api import Mesh
from mesh.version import __version__

from . import answers, elsewhere
from .http_errors import Refused
from .meshes import Meshes
from .route_table import ROUTES

Row = dict[str, Any]
OK = {"status": "ok"}


@dataclass(slots=True)
class Call:
    """One request: the values of its fields, and whether its client is on this machine."""

    meshes: Meshes
    given: Row
    local: bool

    def mesh(self, *, must_exist: bool = True) -> Mesh:
        """The namespace that is asked for, as the agent who asks."""
        namespace, agent = self.given.pop("namespace"), self.given.pop("agent_id", None)
        return self.meshes.mesh(namespace, agent, must_exist=must_exist, local=self.local)


def about(call: Call) -> Row:
    routes = {f"{route.method} {route.path}": route.summary for route in ROUTES}
    return {"name": "mesh-http", "version": __version__, "about": "Shared memory for AI agents", "routes": routes}


def health(call: Call) -> Row:
    return OK | {"version": __version__}


def learn(call: Call) -> Row:
    given = call.given
    if given["local_only"] and not call.local:
        raise Refused(403, "what is local_only can only be learned on this machine", "Ask it over the loopback address")
    mesh = call.mesh(must_exist=False)
    given["supersedes"] = [elsewhere.superseded(mesh, one, call.local) for one in given["supersedes"] or ()]
    return OK | {"result": mesh.learn(**given)}


def recall(call: Call) -> Row:
    mesh, given = call.mesh(), call.given
    return OK | answers.recalled(mesh, given.pop("query"), given.pop("count"), include_local=call.local, **given)


def context(call: Call) -> Row:
    mesh = call.mesh()
    return mesh.context(**call.given) | {"format": call.given["format"], "namespace": mesh.namespace}


def inspect(call: Call) -> Row:
    return answers.inspected(call.mesh(), include_local=call.local, **call.given)


def namespaces(call: Call) -> Row:
    from mesh.namespaces import listed

    rows = [elsewhere.counted(row, call.local) for row in listed(call.meshes.settings)]
    shown = set(call.meshes.namespaces(local=call.local))
    rows = [row for row in rows if row["namespace"] in shown]
    return {"namespaces": rows, "count": len(rows)}


def memory(call: Call) -> Row:
    return {"memory": elsewhere.seen(call.mesh(), call.given["memory_id"], call.local)}


def update(call: Call) -> Row:
    mesh, given = call.mesh(), call.given
    return OK | {"memory": mesh.update(elsewhere.named(mesh, given.pop("memory_id"), call.local), **given)}


def forget(call: Call) -> Row:
    mesh = call.mesh()
    return OK | {"memory": mesh.forget(elsewhere.named(mesh, call.given["memory_id"], call.local))}


def restore(call: Call) -> Row:
    mesh, name = call.mesh(), call.given["memory_id"]
    return OK | {"memory": mesh.restore(elsewhere.in_trash(mesh, name, call.local))}


ACTIONS: dict[str, Callable[[Call], Row]] = {
    "about": about,
    "health": health,
    "learn": learn,
    "recall": recall,
    "context": context,
    "inspect": inspect,
    "namespaces": namespaces,
    "memory": memory,
    "update": update,
    "forget": forget,
    "restore": restore,
}
