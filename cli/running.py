"""Run one verb in this process. Knows how errors end."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

from .thin import COMPLETE_VARIABLE


def run_here(verb: str | None = None) -> int:
    """Run what the command line says, of all verbs or of the one that the program itself is named after.

    Returns the exit code; every error has been told by then.
    """
    for stream in (sys.stdout, sys.stderr):  # a memory in another script is no error in a narrow locale
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")
    code = 0
    try:
        if not _answered_at_once(sys.argv[1:], verb):
            # One question is too little work for a second thread to be worth starting. Read by numpy at its import.
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
            code = _run(verb)
        sys.stdout.flush()
    except BrokenPipeError:
        _close_stdout()
        code = 1
    except OSError as error:
        _close_stdout()
        print(f"mesh: {error.strerror or error}. Check the disk, or where the output goes", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    return interrupted() if code == 130 else code


def interrupted() -> int:
    """Say so; the exit code."""
    print("\nmesh: interrupted" if sys.stderr.isatty() else "mesh: interrupted", file=sys.stderr)
    return 130


def _answered_at_once(arguments: list[str], verb: str | None) -> bool:
    """Help and version, which must cost no import."""
    if not verb and COMPLETE_VARIABLE not in os.environ and arguments in ([], ["-h"], ["--help"], ["help"]):
        from .verbs import help_text

        print(help_text())
        return True
    if arguments in (["-V"], ["--version"]):
        from mesh.version import __version__

        print(f"mesh {__version__}")
        return True
    return False


def _run(verb: str | None) -> int:
    import typer

    from mesh.errors import MeshError, SecretFound

    from .group import command, group
    from .output import note

    _log_to_stderr()
    usage_error = typer.BadParameter.__base__  # UsageError, which typer does not export
    assert usage_error is not None
    if COMPLETE_VARIABLE in os.environ:
        from typer._completion_classes import completion_init

        completion_init()  # typer itself does it only for its option --install-completion
    try:
        if verb:
            return command(verb).main(prog_name=f"mesh-{verb}", standalone_mode=False) or 0
        return group().main(prog_name="mesh", complete_var=COMPLETE_VARIABLE, standalone_mode=False) or 0
    except MeshError as error:
        if isinstance(error, SecretFound):
            allow = " ".join(f"--allow-secret {one}" for one in error.fingerprints)
            error.remedy = error.remedied_by("mesh learn --local-only", allow)
        note(str(error))
        return error.exit_code
    except usage_error as error:  # type: ignore[misc]
        message = error.format_message()
        if "\n" in message:  # the help of a verb that was given nothing
            print(message, file=sys.stderr)
        else:
            said = message if message.endswith("?") else f"{message.rstrip('.')}."
            note(f"{said} See: {error.ctx.command_path if error.ctx else 'mesh'} --help")
        return 2


def _close_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit is quiet


def _log_to_stderr() -> None:
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("mesh: %(message)s"))
    logger = logging.getLogger("mesh")
    logger.addHandler(handler)
    logger.propagate = False
