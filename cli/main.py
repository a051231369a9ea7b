"""The entry point. Knows how to be quick, and how errors end."""

from __future__ import annotations

import logging
import os
import sys

from .verbs import help_text

COMPLETE_VARIABLE = "_MESH_COMPLETE"


def main() -> None:
    """`mesh`: run one verb and exit."""
    arguments = sys.argv[1:]
    if COMPLETE_VARIABLE not in os.environ and arguments in ([], ["-h"], ["--help"]):
        print(help_text())
        return
    if arguments in (["-V"], ["--version"]):
        from mesh.version import __version__

        print(f"mesh {__version__}")
        return
    # One question is too little work for a second thread to be worth starting. Read by numpy when it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(_run())


def _run() -> int:
    from mesh.errors import MeshError

    from .group import group

    _log_to_stderr()
    try:
        group().main(prog_name="mesh", complete_var=COMPLETE_VARIABLE)
    except MeshError as error:
        print(f"mesh: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("mesh: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit is quiet as well
        return 1
    return 0


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("mesh: %(message)s"))
    logger = logging.getLogger("mesh")
    logger.addHandler(handler)
    logger.propagate = False
