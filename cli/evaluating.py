"""`mesh eval`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mesh.errors import InvalidInput
from mesh.evaluation.scoring import DEPTH, OVERALL, QUESTIONS, Comparison, compared, metrics

from .options import Json, Namespace
from .output import Bars, counted, note, print_json, styled, visible

if TYPE_CHECKING:
    from mesh.evaluation.running import Report

WRONG_FILE = 2
MOST_TOLD = 20


def evaluate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON Lines: questions and the ids that answer them.")],
    n: Annotated[int, typer.Option("-n", "--count", metavar="N", help="Results looked at for each question.")] = DEPTH,
    limit_questions: Annotated[int | None, typer.Option(metavar="N", help="Only the first N questions.")] = None,
    compare: Annotated[
        Path | None, typer.Option(metavar="BASE.json", help="What --json printed before, to be held against.")
    ] = None,
    bound: Annotated[float, typer.Option(metavar="POINTS", help="How far a figure may fall below the base.")] = 1.0,
    metric: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Judge only this figure, such as R@10; repeat for several.")
    ] = None,
    namespace: Namespace = None,
    as_json: Json = False,
) -> None:
    """Score recall on questions whose answers are known.

    A line {"question": "...", "id": "..."} asks your memories, of --namespace unless the line names another. A file of
    memories and questions (docs/RECALL.md) is tried in a home of its own, which is thrown away. With --compare it
    exits with 1 if a figure over all questions fell by more than --bound points, and 2 if the file cannot be used.
    """
    _check(compare, bound, metric)
    judged = _judged(metric, n)
    base = _base(compare, judged) if compare else None
    report = _evaluated(file, namespace, n, limit_questions)
    found = compared(report.figures, base["figures"], judged, bound) if base else None
    if as_json:
        print_json(report.as_dict() | ({"compared": _as_dict(found, compare, bound)} if found else {}))
    else:
        _print_report(report, found, compare)
    if base and found:
        _note_what_differs(report, base)
        for name in found.fell:
            note(f"{name} fell by {-found.differences[OVERALL][name]:g} points, more than {bound:g}")
        if found.fell:
            raise typer.Exit(1)


def _evaluated(file: Path, namespace: str | None, n: int, limit: int | None) -> Report:
    from dataclasses import replace

    from mesh import inputs
    from mesh.evaluation.questions import UnusableQuestions, read
    from mesh.evaluation.running import evaluate as run
    from mesh.settings import Settings

    settings = Settings.from_environment()
    if namespace is not None:
        settings = replace(settings, namespace=inputs.namespace(namespace))
    try:
        with Bars() as bars:
            return run(read(file), settings, n=n, limit=limit, progress=bars)
    except UnusableQuestions as error:
        for problem in error.problems[:MOST_TOLD]:
            note(str(problem))
        if len(error.problems) > MOST_TOLD:
            note(f"{file}: {len(error.problems) - MOST_TOLD:,} more lines cannot be used")
        raise typer.Exit(WRONG_FILE) from error


# --- the figures of another time ---------------------------------------------------------------------------------


def _check(compare: Path | None, bound: float, metric: Sequence[str] | None) -> None:
    if not bound >= 0:
        raise InvalidInput(f"{bound:g} is not a number from 0", place="--bound", remedy="Give points, such as 1")
    if metric and not compare:
        raise InvalidInput("there is nothing to judge", place="--metric", remedy="Give --compare BASE.json as well")


def _judged(chosen: Sequence[str] | None, n: int) -> tuple[str, ...]:
    known = metrics(n)
    by_name = {name.lower(): name for name in known}
    for name in chosen or ():
        if name.lower() not in by_name:
            raise InvalidInput(f"{name!r} is not known", place="--metric", remedy=f"Use one of: {', '.join(known)}")
    return tuple(dict.fromkeys(by_name[name.lower()] for name in chosen)) if chosen else known


def _base(path: Path, judged: Sequence[str]) -> dict[str, Any]:
    remedy = "Make it: mesh eval FILE --json > base.json"
    try:
        base = json.loads(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"cannot be read ({error.strerror or error})", place=str(path), remedy=remedy) from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"not JSON ({error})", place=str(path), remedy=remedy) from error
    figures: Any = base.get("figures") if isinstance(base, dict) else None
    if not _are_figures(figures):
        raise InvalidInput("not what mesh eval --json prints", place=str(path), remedy=remedy)
    if missing := next((name for name in judged if name not in figures[OVERALL]), None):
        raise InvalidInput(f"it has no {missing}", place=str(path), remedy="Make it with the same -n")
    return dict(base)


def _are_figures(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get(OVERALL), dict):
        return False
    rows = list(value.values())
    return all(isinstance(row, dict) for row in rows) and all(
        type(number) in (int, float) for row in rows for number in row.values()
    )


def _as_dict(found: Comparison, base: Path | None, bound: float) -> dict[str, Any]:
    return {"base": str(base), "bound": bound, "differences": found.differences, "fell": list(found.fell)}


def _note_what_differs(report: Report, base: Mapping[str, Any]) -> None:
    """What else may be the cause of a difference."""
    now = report.as_dict() | {QUESTIONS: report.figures[OVERALL][QUESTIONS]}
    then = {**base, QUESTIONS: base["figures"][OVERALL].get(QUESTIONS)}
    for name in ("model", "reranker", "memories", QUESTIONS):
        if now[name] != then.get(name):
            note(f"not the same {name} as in the base: {now[name]} now, {then.get(name)} then")


# --- for people --------------------------------------------------------------------------------------------------


def _print_report(report: Report, found: Comparison | None, base: Path | None) -> None:
    shown = metrics(report.n)
    wide = max(10, *(len(visible(group)) for group in report.figures))
    print(styled(f"{'':{wide}}  {QUESTIONS:>9}" + _row(shown), "bold"))
    for group, row in report.figures.items():
        print(f"{visible(group):{wide}}  {row[QUESTIONS]:>9,}" + _row([f"{row[name]:.1f}" for name in shown]))
    if found:
        print(styled(f"\nagainst {visible(str(base))}, in points", "bold"))
        for group, differences in found.differences.items():
            cells = [f"{differences[name]:+.1f}" if name in differences else "" for name in shown]
            print(f"{visible(group):{wide}}  {'':>9}" + _row(cells))
    times = report.as_dict()["recall_ms"]
    judged = f", {report.reranker}" if report.reranker else ""
    print(
        f"\n{counted(report.memories, 'memory', 'memories')}, {report.model or 'no model: by words only'}{judged}, "
        f"{times['p50']:.1f} ms a recall (p50)"
    )


def _row(cells: Sequence[str]) -> str:
    return "".join(f"  {cell:>8}" for cell in cells)
