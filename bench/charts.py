"""Charts as SVG, written by hand: dots in rows, and lines through points. Read well on light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

COLOURS = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#64748b")
INK, GRID = "#64748b", "#cbd5e1"
FONT = 'font-family="system-ui, sans-serif" font-size="12"'
Point = tuple[float, float, str]  # x, y, label


@dataclass
class Drawing:
    width: int
    height: int
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, said: str, anchor: str = "start", colour: str = INK) -> None:
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(said)}</text>')

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str = GRID) -> None:
        self.parts.append(f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}"/>')

    def dot(self, x: float, y: float, colour: str) -> None:
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')

    def way(self, points: Sequence[tuple[float, float]], colour: str) -> None:
        steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self.parts.append(f'<path d="M{steps}" fill="none" stroke="{colour}" stroke-width="1.5"/>')

    def legend(self, names: Sequence[str], x: float, y: float) -> None:
        for name, colour in zip(names, COLOURS, strict=False):
            self.dot(x + 4, y - 4, colour)
            self.text(x + 14, y, name)
            x += 30 + 7 * len(name)

    def svg(self) -> str:
        size = f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}"'
        return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {FONT}>\n' + "\n".join(self.parts) + "\n</svg>\n"


def rows(title: str, axis: str, values: Mapping[str, Mapping[str, float]]) -> str:
    """One row a name, one colour a series: `values[series][name]`."""
    names = list(dict.fromkeys(name for series in values.values() for name in series))
    left, top, step, wide = 270, 64, 24, 480
    drawing = Drawing(left + wide + 30, top + step * len(names) + 40)
    ticks = _ticks([value for series in values.values() for value in series.values()])

    def across(value: float) -> float:
        return left + wide * (value - ticks[0]) / (ticks[-1] - ticks[0])

    drawing.text(12, 20, title)
    drawing.legend(list(values), 12, 44)
    bottom = top + step * len(names)
    for tick in ticks:
        drawing.line(across(tick), top - 8, across(tick), bottom)
        drawing.text(across(tick), bottom + 16, f"{tick:g}", "middle")
    drawing.text(left + wide, bottom + 34, axis, "end")
    for number, name in enumerate(names):
        y = top + step * (number + 0.5)
        drawing.text(left - 12, y + 4, name, "end")
        drawing.line(left, y, left + wide, y)
        for series, colour in zip(values.values(), COLOURS, strict=False):
            if name in series:
                drawing.dot(across(series[name]), y, colour)
    return drawing.svg()


def lines(title: str, x_axis: str, y_axis: str, series: Mapping[str, Sequence[Point]], *, joined: bool = True) -> str:
    """Points of several series, joined in their order, each with its label."""
    left, top, wide, high = 60, 88, 640, 320
    drawing = Drawing(left + wide + 40, top + high + 50)
    points = [point for several in series.values() for point in several]
    across, up = _ticks([x for x, _, _ in points]), _ticks([y for _, y, _ in points])

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            left + wide * (x - across[0]) / (across[-1] - across[0]),
            top + high - high * (y - up[0]) / (up[-1] - up[0]),
        )

    drawing.text(12, 20, title)
    drawing.legend(list(series), 12, 44)
    for tick in across:
        drawing.line(place(tick, 0)[0], top, place(tick, 0)[0], top + high)
        drawing.text(place(tick, 0)[0], top + high + 16, f"{tick:g}", "middle")
    for tick in up:
        drawing.line(left, place(0, tick)[1], left + wide, place(0, tick)[1])
        drawing.text(left - 8, place(0, tick)[1] + 4, f"{tick:g}", "end")
    drawing.text(left + wide, top + high + 36, x_axis, "end")
    drawing.text(12, top - 10, y_axis)
    for several, colour in zip(series.values(), COLOURS, strict=False):
        if joined:
            drawing.way([place(x, y) for x, y, _ in several], colour)
        for x, y, label in several:
            drawing.dot(*place(x, y), colour)
            right = place(x, y)[0] > left + wide / 2
            drawing.text(place(x, y)[0] + (-8 if right else 8), place(x, y)[1] + 4, label, "end" if right else "start")
    return drawing.svg()


def _ticks(values: Sequence[float], about: int = 6) -> list[float]:
    """Round numbers that reach from below the least value to above the greatest."""
    least, most = min(values), max(values)
    rough = (most - least or 1) / about
    unit = 10.0 ** _exponent(rough)
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    first = int(least // step)
    ticks = [round(number * step, 10) for number in range(first, first + 3 * about)]
    last = next(place for place, tick in enumerate(ticks) if tick >= most)
    return ticks[: max(last, 1) + 1]


def _exponent(number: float) -> int:
    return int(f"{number:e}".partition("e")[2])
