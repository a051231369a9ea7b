"""The namespaces that a server has open. Requests from several threads share them."""

from __future__ import annotations

import difflib
import logging
import sys
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh import inputs, links
from mesh.api import Mesh
from mesh.errors import UnknownNamespace
from mesh.keeper import Keeper
from mesh.scan import is_folder
from mesh.settings import Settings
from mesh.vault import Vault

if TYPE_CHECKING:
    from mesh.sharing.regularly import RegularSync

log = logging.getLogger("mesh")

MOST_OPEN = 32  # each holds a database, a watch on the home and a mapped matrix
FOLLOW_SECONDS = 2.0  # how often to look whether another model was chosen, though nobody asks for anything


class Meshes:
    """Opens a namespace when it is first asked for, and closes the one unused for longest when there are many.

    `local`: whether the server may tell of what must not leave this machine; each question may say it for itself.
    """

    def __init__(self, settings: Settings | None = None, *, local: bool = True) -> None:
        self.settings = settings or Settings.from_environment()
        self.local = local
        self._open: OrderedDict[str, Mesh] = OrderedDict()
        self._turn = threading.Lock()
        self._closed = threading.Event()
        self._keeper: Keeper | None = None
        self._syncs: RegularSync | None = None

    def mesh(
        self,
        namespace: str | None = None,
        agent: str | None = None,
        *,
        must_exist: bool = False,
        local: bool | None = None,
    ) -> Mesh:
        """The namespace asked for, as that author; the settings' ones for None.

        Raises `InvalidInput`, and with `must_exist` `UnknownNamespace`. The settings' own namespace always counts as
        existing: a server that has nothing yet answers with nothing.
        """
        wanted = inputs.namespace(self.settings.namespace if namespace is None else namespace)
        author = inputs.agent(self.settings.agent if agent is None else agent)
        if must_exist and namespace is not None and wanted != self.settings.namespace.lower():
            self._require(wanted, self.local if local is None else local)
        with self._turn:
            opened = self._open.get(wanted) or Mesh(wanted, author, self.settings.home)  # looks at no file yet
            self._open[wanted] = opened
            self._open.move_to_end(wanted)
            unused = self._open.popitem(last=False)[1] if len(self._open) > MOST_OPEN else None
        if unused:
            unused.close()  # one that is still in use opens itself again
        return opened.acting_as(author)

    def namespaces(self, *, local: bool | None = None) -> list[str]:
        """The namespaces that there are, sorted; the settings' own one in any case."""
        home, own = self.settings.home, self.settings.namespace.lower()
        local = self.local if local is None else local
        known = [name for name in Vault(home).namespaces() if local or is_folder(home, name)]
        return sorted({own, *known})

    def _require(self, namespace: str, local: bool) -> None:
        if local:
            Vault(self.settings.home).require(namespace)
        elif not is_folder(self.settings.home, namespace):
            links.require(self.settings.home, namespace)
            known = self.namespaces(local=local)
            closest = difflib.get_close_matches(namespace, known, n=1)
            raise UnknownNamespace(namespace, known, closest[0] if closest else None)

    def warm_up(self) -> None:
        """Load the model, look at the default namespace's files, and follow both from now on.

        Where no other process does, this one then keeps the caches of the whole home equal to its files.
        """
        mesh = self.mesh()
        mesh.refresh()
        if embedder := mesh.workspace.embedder:
            embedder.embed_questions(["warm"])
        mesh.workspace.watch()
        program = Path(sys.argv[0]).name
        self._syncs = _regular_sync(self.settings, program)
        tell = self._syncs.note if self._syncs else None
        self._keeper = Keeper(self.settings, program=program, keeps_model=True, tell=tell)
        self._keeper.start()
        if self._syncs:
            self._syncs.start()
        threading.Thread(target=self._follow_model, name="mesh-follow", daemon=True).start()

    def _follow_model(self) -> None:
        while not self._closed.wait(FOLLOW_SECONDS):
            _ = self.mesh().workspace.embedder  # looks, and has the work done elsewhere

    def close(self) -> None:
        self._closed.set()
        if self._syncs:
            self._syncs.stop()
        if self._keeper:
            self._keeper.stop()
        with self._turn:
            opened = list(self._open.values())
            self._open.clear()
        for mesh in opened:
            mesh.close()


def _regular_sync(settings: Settings, program: str) -> RegularSync | None:
    """What syncs the shared namespaces, if `MESH_SYNC_EVERY` asks for it: nothing else makes a server use a network."""
    every_seconds = inputs.sync_interval(settings.sync_every)
    if every_seconds is None:
        return None
    from mesh.sharing.regularly import RegularSync

    return RegularSync(settings, every_seconds, program=program, tell=_tell_of_sync)


def _tell_of_sync(row: dict[str, Any]) -> None:
    """For whoever keeps the server; what came is told as any other change is. A reason may name what is local_only."""
    if "error" in row:
        log.warning("%s: not synced (%s); mesh status says why", row["namespace"], row["error"])
    elif row["again"]:
        log.warning("%s: synced again", row["namespace"])
