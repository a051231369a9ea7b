"""The entry points. What they import, each command pays for: see `thin`."""

import sys

from .thin import hand_over


def main() -> None:
    """`mesh`: run one verb and exit."""
    _run_and_exit()


def namespaces() -> None:
    """`mesh-namespaces`: the same as `mesh namespaces`."""
    _run_and_exit("namespaces")


def export() -> None:
    """`mesh-export`: the same as `mesh export`."""
    _run_and_exit("export")


def import_() -> None:
    """`mesh-import`: the same as `mesh import`."""
    _run_and_exit("import")


def _run_and_exit(verb: str | None = None) -> None:
    """Have a warm process do it, or do it here."""
    try:
        watcher_is_missed = hand_over(verb)
        from .running import run_here
    except KeyboardInterrupt:
        from .running import interrupted

        sys.exit(interrupted())
    code = run_here(verb)
    if watcher_is_missed:
        from .server_process import watch_from_now

        watch_from_now()
    sys.exit(code)
