"""One sync of one namespace, as a process: `python -m mesh.sync_process HOME NAMESPACE`.

It writes a line of JSON: what `Mesh.sync` gives, or `namespace, error, message`. Told to end (SIGTERM), or left by the
process that began it, whose end of its standard input is then closed, it ends at once, and every git with it: a sync
may be killed anywhere. Exit codes: 0 it has told, 1 it could not.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

from .api import Mesh
from .errors import MeshError
from .git.running import end_all

TOLD_TO_END = 143  # as shells say it of SIGTERM


def main(home: str, namespace: str) -> int:
    signal.signal(signal.SIGTERM, lambda *_: _end())
    threading.Thread(target=_end_when_left, daemon=True).start()
    found: list[dict[str, Any]] = []
    # Not in the main thread: a signal's handler runs there, and must find git as it is, not half started.
    work = threading.Thread(target=lambda: found.append(_synced(home, namespace)), daemon=True)
    work.start()
    work.join()
    for row in found:
        print(json.dumps(row), flush=True)
    return 0 if found else 1


def _synced(home: str, namespace: str) -> dict[str, Any]:
    try:
        with Mesh(namespace, home=home) as mesh:
            return mesh.sync(patience_seconds=0.0)
    except MeshError as error:
        return {"namespace": namespace, "error": error.code, "message": str(error)}


def _end_when_left() -> None:
    os.read(0, 1)  # not by `sys.stdin`, whose lock would be held when this process ends
    _end()


def _end() -> None:
    end_all()
    os._exit(TOLD_TO_END)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
