"""The namespaces that a server has open. Requests from several threads share them."""

from __future__ import annotations

import threading
from collections import OrderedDict

from mesh.api import Mesh
from mesh.settings import Settings

MOST_OPEN = 32  # each holds a database, a watch on the home and a mapped matrix


class Meshes:
    """Opens a namespace when it is first asked for, and closes the one unused for longest when there are many."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings.from_environment()
        self._open: OrderedDict[str, Mesh] = OrderedDict()
        self._turn = threading.Lock()

    def mesh(self, namespace: str | None = None, agent: str | None = None, *, must_exist: bool = False) -> Mesh:
        """The namespace asked for, as that author; the settings' ones for None.

        Raises `InvalidInput`, and with `must_exist` `UnknownNamespace`. The settings' own namespace always counts as
        existing: a server that has nothing yet answers with nothing.
        """
        chosen = self.settings.namespace if namespace is None else namespace
        author = self.settings.agent if agent is None else agent
        wanted = Mesh(chosen, author, self.settings.home)  # checks both names; opens nothing
        if must_exist and namespace is not None and wanted.namespace != self.settings.namespace.lower():
            wanted.workspace.vault.require(wanted.namespace)
        with self._turn:
            opened = self._open.setdefault(wanted.namespace, wanted)
            self._open.move_to_end(wanted.namespace)
            unused = self._open.popitem(last=False)[1] if len(self._open) > MOST_OPEN else None
        if unused:
            unused.close()  # one that is still in use opens itself again
        return opened.acting_as(wanted.agent_id)

    def warm_up(self) -> None:
        """Load the model, look at the default namespace's files, and watch them from now on."""
        mesh = self.mesh()
        mesh.refresh()
        if embedder := mesh.workspace.embedder:
            embedder.embed(["warm"])
        mesh.workspace.watch()

    def close(self) -> None:
        with self._turn:
            opened = list(self._open.values())
            self._open.clear()
        for mesh in opened:
            mesh.close()
