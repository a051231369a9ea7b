"""What a person or a program reads. Data goes to stdout, everything else to stderr."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Self

from mesh.settings import Settings

Row = dict[str, Any]
_STEERING = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MANY_FILES = 1000  # to be taken in by a refresh, before it gets a bar
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def styled(text: str, *styles: str) -> str:
    """`text` in some styles, on a terminal without NO_COLOR; plain elsewhere."""
    if not text or not sys.stdout.isatty() or not Settings.from_environment().color:
        return text
    return f"\033[{';'.join(_CODES[style] for style in styles)}m{text}\033[0m"


def note(text: str) -> None:
    """Something to know that is not data."""
    print(f"mesh: {one_line(text)}", file=sys.stderr)


def print_json(value: object) -> None:
    print(_json(value, indent=2))


def print_json_lines(rows: Iterable[object]) -> None:
    for row in rows:
        print(_json(row))


def _json(value: object, indent: int | None = None) -> str:
    """JSON without characters that steer a terminal: they can only stand in strings, where \\uXXXX means the same."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(text: str) -> str:
    """Safe to print, and one line."""
    return visible(text).replace("\n", "\ufffd").replace("\t", "\ufffd")


def first_line(text: str, limit: int = 0) -> str:
    """The first line of a text, cut to `limit` characters if that is not 0; safe to print on one line."""
    line = visible(text.strip().partition("\n")[0]).replace("\t", " ")
    return line if not limit or len(line) <= limit else line[: limit - 1].rstrip() + "…"


def visible(text: str) -> str:
    """Text without control characters: a memory must not be able to steer the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def width() -> int:
    return min(100, shutil.get_terminal_size((100, 24)).columns)


def indented(text: str, by: int = 3) -> str:
    """A text's paragraphs wrapped to the terminal, when there is one, and indented."""
    pad = " " * by
    if not sys.stdout.isatty():
        return textwrap.indent(visible(text), pad)
    lines: list[str] = []
    for line in visible(text).split("\n"):
        lines += textwrap.wrap(line, width() - by, break_long_words=False, break_on_hyphens=False) or [""]
    return "\n".join(pad + line for line in lines)


def about(row: Row) -> str:
    """The line under a memory: what it is, who wrote it and when, its id."""
    facts = [row["memory_type"], *(f"#{tag}" for tag in row["tags"]), row["source_agent"], age(row["created_at"])]
    if row["confidence"] != 1:
        facts.append(f"confidence {row['confidence']:g}")
    if row["local_only"]:
        facts.append("local only")
    if row["is_stale"]:
        facts.append("stale")
    if row.get("superseded_by"):
        facts.append(f"superseded by {row['superseded_by']}")
    return " · ".join(visible(str(fact)) for fact in facts if fact)


def age(when: str | None) -> str:
    """`today`, `3 days ago`, or the date."""
    if not when:
        return ""
    days = (datetime.now(UTC).date() - datetime.fromisoformat(when).date()).days
    if days == 0:
        return "today"
    return f"{days} day{'s' * (days > 1)} ago" if 0 < days < 14 else when[:10]


def counted(number: int, one: str, several: str = "") -> str:
    """`1 memory`, `2,000 memories`."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def bytes_said(number: float) -> str:
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


class Bar:
    """A progress bar on stderr, where stderr is a terminal; silent elsewhere. `total` None: only a count."""

    def __init__(self, total: int | None, unit: str, clock: Callable[[], float], began: float | None = None) -> None:
        """`began`: by the clock, if the work began before."""
        self._total, self._unit, self._clock = total, unit, clock
        self._done, self._began, self._shown = 0, clock() if began is None else began, False

    def advance(self, count: int) -> None:
        self._done += count
        if not sys.stderr.isatty() or self._total == 0:
            return
        seconds = max(self._clock() - self._began, 1e-6)
        rate = self._done / seconds
        shown = f"\r{self._done:,} {self._unit}  {rate:.0f}/s"
        if self._total:
            filled = round(24 * min(1.0, self._done / self._total))
            shown = f"\r{'█' * filled}{'░' * (24 - filled)} {self._done:,}/{self._total:,} {self._unit}"
            shown += f"  {rate:.0f}/s  {_time_said((self._total - self._done) / rate)} left" if rate else ""
        print(f"{shown}\033[K", end="", file=sys.stderr, flush=True)
        self._shown = True

    def finish(self) -> None:
        if self._shown:
            print(file=sys.stderr)


def _time_said(seconds: float) -> str:
    """`40 s`, `12 min`, `2 h 05 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"


class FilesBar:
    """A bar while a refresh takes in many files; it is told of each batch, and of how many there are in all."""

    def __init__(self) -> None:
        self._began, self._done = time.monotonic(), 0
        self._bar: Bar | None = None

    def __call__(self, count: int, total: int) -> None:
        if total < _MANY_FILES:
            return
        if self._bar is None:
            self._bar = Bar(total, "files", time.monotonic, self._began)
        self._bar.advance(count)
        self._done += count
        if self._done >= total:
            self._bar.finish()
            self._began, self._done, self._bar = time.monotonic(), 0, None


class Bars:
    """A bar for each kind of work, one after the other; the last one is finished at the end of a `with`."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._unit = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def finish(self) -> None:
        if self._bar:
            self._bar.finish()
        self._bar = None

    def __call__(self, unit: str, count: int, total: int | None) -> None:
        if unit != self._unit or self._bar is None:
            self.finish()
            self._bar, self._unit = Bar(total, unit, time.monotonic), unit
        self._bar.advance(count)
