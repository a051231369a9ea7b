"""Write down what the system reports when programs save a file: `tests/traces/`, which `tests/test_traces.py` replays.

    python -m tests.record_traces

Each way to save (`tests.keeping.SAVES`) makes a file, then changes it. A line is one report: whether the file was
"new" or "changed", what was reported, of what, and its path in the home. Machines without these programs test what
they do all the same.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from mesh.home_events import HomeEvents
from tests.keeping import SAVES, until

TRACES = Path(__file__).parent / "traces"
SAVED = "shared/badger.md"
_END = ".end"


class Report(NamedTuple):
    """One event, as `HomeEvents` tells it."""

    occasion: str
    what: str
    is_folder: bool
    path: str

    @classmethod
    def parsed(cls, line: str) -> Report:
        occasion, what, kind, path = line.split("\t")
        return cls(occasion, what, kind == "folder", path)

    def __str__(self) -> str:
        return "\t".join((self.occasion, self.what, "folder" if self.is_folder else "file", self.path))


def recorded() -> dict[str, list[Report]]:
    """What was recorded, by the name of the way to save."""
    traces = sorted(TRACES.glob("*.tsv"))
    return {path.stem: [Report.parsed(line) for line in path.read_text().splitlines()] for path in traces}


def main() -> int:
    TRACES.mkdir(exist_ok=True)
    for save in SAVES:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder) / "home"
            (home / "shared").mkdir(parents=True)
            lines = [str(one) for occasion in ("new", "changed") for one in _reports(home, occasion, save)]
        trace = TRACES / f"{save.__name__.removeprefix('by_')}.tsv"
        trace.write_text("\n".join(lines) + "\n")
        print(f"{trace.name}: {len(lines)} reports")
    return 0


def _reports(home: Path, occasion: str, save: Callable[[Path, str], None]) -> Iterator[Report]:
    told: list[Report] = []
    events = HomeEvents(
        home, lambda path, is_folder, what: told.append(Report(occasion, what, is_folder, path)), lambda: None
    )
    save(home / SAVED, f"A badger digs, {occasion}")
    (home / _END).touch()
    until(lambda: any(one.path == _END for one in told))
    (home / _END).unlink()
    events.stop()
    return (one for one in told if one.path != _END)


if __name__ == "__main__":
    sys.exit(main())
