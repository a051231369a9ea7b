"""`mesh status`, `mesh reindex`, `mesh doctor`."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from mesh.errors import InvalidInput

from .options import Json, Namespace, opened
from .output import Bar, bytes_said, counted, note, print_json, styled, visible
from .shared_state import print_state


def status(
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Say what is here. Works on a home that does not exist yet."""
    with opened(namespace, must_exist=False) as mesh:
        found = mesh.status()
    if as_json:
        print_json(found)
        return
    print(f"home        {found['home']}" + ("" if found["exists"] else "  (not there yet)"))
    print(f"agent       {found['agent']}")
    print(f"model       {found['model'] or 'none: recall goes by words only. Get it: mesh model pull'}")
    print(f"namespaces  {', '.join(found['namespaces']) or 'none'}")
    print(styled(f"{found['namespace']:<11}", "bold") + f" {_counts(found)}")
    print(f"cache       {bytes_said(found['cache_bytes'])}")
    watch = found["watch"]
    print("watched     " + (f"{watch['program']}, process {watch['pid']}, since {watch['since']}" if watch else "no"))
    for row in found["shared"]:
        print_state(row)


def _counts(found: dict[str, Any]) -> str:
    counts = [counted(found["memories"], "memory", "memories")]
    said = _SAID | ({"pending": "being embedded"} if found["watch"] else {})
    found = found | {"quarantined": len(found["quarantined"])}
    counts += [f"{found[key]:,} {what}" for key, what in said.items() if found[key]]
    return ", ".join(counts)


_SAID = {
    "local_only": "of them local only",
    "unindexed": "files not indexed yet (another process is at it)",
    "pending": "not embedded yet (mesh reindex)",
    "problems": "files with problems (mesh doctor)",
    "quarantined": "of them served as they were last good",
    "trash": "in the trash",
}


def reindex(
    everything: Annotated[bool, typer.Option("--all", help="Throw the cache away and make it again.")] = False,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Bring the cache up to date and embed what is pending, with a bar on a terminal.

    Each batch is kept at once: after an interruption the next run goes on where this one was.
    """
    with opened(namespace) as mesh:
        began = time.monotonic()
        if everything:
            mesh.workspace.cache.discard("it was asked for")
        mesh.workspace.refresh()
        bar = Bar(mesh.pending(), "memories", time.monotonic)
        bar.advance(0)
        try:
            receipt = mesh.reindex(progress=bar.advance)
        finally:
            bar.finish()
    if as_json:
        print_json(receipt.as_dict())
        return
    words = ", by words only" if receipt.lexical_only else ""
    print(f"{counted(receipt.scanned, 'file')} indexed{words} in {time.monotonic() - began:.1f} s")


def doctor(
    fix: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help="Apply one remedy: cache, ids, leftovers, local or modes.")
    ] = None,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Check files, cache and model. Changes nothing without --fix, and then only what is named.

    Exits with 1 if something serious was found.
    """
    from mesh.doctor import examine
    from mesh.remedies import REMEDIES
    from mesh.remedies import fix as apply

    for kind in fix or ():
        if kind not in REMEDIES:
            raise InvalidInput(f"{kind!r} is not a remedy", place="--fix", remedy=f"Use one of: {', '.join(REMEDIES)}")
    with opened(namespace, must_exist=False) as mesh:
        done = [line for kind in fix or () for line in apply(mesh.workspace, kind)]
        findings = examine(mesh.workspace)
    serious = sum(finding.serious for finding in findings)
    if as_json:
        from dataclasses import asdict

        print_json({"fixed": done, "findings": [asdict(finding) for finding in findings], "healthy": not serious})
    else:
        for line in done:
            print(visible(line))
        for finding in findings:
            mark = styled("error", "red") if finding.serious else styled("note ", "yellow")
            print(f"{mark}  {visible(str(finding))}")
        told = f"{counted(serious, 'error')}, {counted(len(findings) - serious, 'note')}"
        note(told if findings else "all is well")
    if serious:
        raise typer.Exit(1)
