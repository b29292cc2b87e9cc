"""A simulation as a picture: an SVG file, or lines for a terminal. (pure)

Drawn by hand, as curves of three kinds need no plotting library.
"""

from collections.abc import Callable, Sequence
from typing import Final

from engine.capacity.clairvoyant import clairvoyant
from engine.capacity.simulate import Run

WIDTH: Final = 960
PLOT: Final = (64, 948)
"""Left and right end of the curves, in pixels."""

CAPACITY: Final = (40, 300)
LAG: Final = (340, 440)
"""Upper and lower end of a panel."""

HEIGHT: Final = 480

TICKS: Final = 8
"""Times written below."""

BLOCKS: Final = "▁▂▃▄▅▆▇█"

COLUMNS: Final = 72
"""Of a curve in the terminal."""


def svg(run: Run, title: str) -> str:
    """Load, size and the clairvoyant's size above; lag below."""
    seconds = len(run.units)
    load = _in_units(run)
    known = clairvoyant(run.parameters, run.model, run.load)
    top = max(*run.units, *known, *load)
    lag_top = max(*run.lag, run.parameters.config.lag_goal_seconds)
    place = _across(seconds)
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        _text(PLOT[0], 20, title, weight="bold"),
        *_legend(),
        *_panel(CAPACITY, top, "units"),
        *_panel(LAG, lag_top, "lag, s"),
        *_times(seconds),
        _curve(_wide(load, max), place, _height(CAPACITY, top), "#9bbbd8"),
        _steps(known, place, _height(CAPACITY, top), "#2a9d5c", dashed=True),
        _steps(run.units, place, _height(CAPACITY, top), "#d95f02"),
        _curve(_wide(run.lag, max), place, _height(LAG, lag_top), "#b2182b"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def terminal(run: Run) -> list[str]:
    """Load, size and lag as a line of blocks each, with the highest figure behind it."""
    return [
        _blocks("load, units", _in_units(run)),
        _blocks("size, units", [float(units) for units in run.units]),
        _blocks("lag, s", run.lag),
        f"{'':11}  {_clock(0)}{_clock(len(run.units)):>{COLUMNS - len(_clock(0))}}",
    ]


def _in_units(run: Run) -> list[float]:
    one = run.model.carries(run.parameters, 1)
    return [rows / one for rows in run.load]


def _blocks(name: str, values: Sequence[float]) -> str:
    highest = max(max(values, default=0.0), 1e-9)
    cells = [
        max(values[len(values) * n // COLUMNS : max(len(values) * (n + 1) // COLUMNS, 1)] or [0.0])
        for n in range(COLUMNS)
    ]
    drawn = [BLOCKS[min(len(BLOCKS) - 1, int(c / highest * len(BLOCKS)))] for c in cells]
    return f"{name:>11}  {''.join(drawn)}  {highest:.1f}"


Place = Callable[[float], float]


def _across(seconds: int) -> Place:
    left, right = PLOT
    return lambda second: left + (right - left) * second / max(seconds, 1)


def _height(panel: tuple[int, int], top: float) -> Place:
    upper, lower = panel
    return lambda value: lower - (lower - upper) * value / max(top, 1e-9)


def _wide(
    values: Sequence[float], choose: Callable[[Sequence[float]], float]
) -> list[tuple[float, float]]:
    """At most a point for each pixel: (second, value)."""
    width = max(1, len(values) // (PLOT[1] - PLOT[0]))
    return [(n, choose(values[n : n + width])) for n in range(0, len(values), width)]


def _curve(points: Sequence[tuple[float, float]], across: Place, up: Place, colour: str) -> str:
    places = " ".join(f"{across(second):.1f},{up(value):.1f}" for second, value in points)
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.2"/>'


def _steps(
    values: Sequence[int], across: Place, up: Place, colour: str, *, dashed: bool = False
) -> str:
    path: list[str] = []
    before: int | None = None
    for second, value in enumerate(values):
        if value != before:
            drawn = f"H{across(second):.1f}V" if path else f"M{across(second):.1f},"
            path.append(f"{drawn}{up(value):.1f}")
            before = value
    path.append(f"H{across(len(values)):.1f}")
    style = ' stroke-dasharray="5 3"' if dashed else ""
    return f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="1.8"{style}/>'


def _panel(panel: tuple[int, int], top: float, name: str) -> list[str]:
    upper, _ = panel
    parts = [_text(8, upper - 10, name)]
    for part in (0.0, 0.5, 1.0):
        y = _height(panel, 1.0)(part)
        parts.append(
            f'<line x1="{PLOT[0]}" x2="{PLOT[1]}" y1="{y:.0f}" y2="{y:.0f}" stroke="#dddddd"/>'
        )
        if part or name != "units":
            parts.append(_text(PLOT[0] - 6, round(y) + 4, f"{top * part:.3g}", anchor="end"))
    return parts


def _times(seconds: int) -> list[str]:
    place = _across(seconds)
    return [
        _text(
            round(place(seconds * tick / TICKS)),
            LAG[1] + 20,
            _clock(seconds * tick // TICKS),
            anchor="middle" if 0 < tick < TICKS else "end" if tick else "start",
        )
        for tick in range(TICKS + 1)
    ]


def _clock(second: int) -> str:
    return f"{second // 3600}:{second // 60 % 60:02}:{second % 60:02}"


def _legend() -> list[str]:
    named = (("load", "#4a84b5"), ("size", "#d95f02"), ("clairvoyant", "#2a9d5c"))
    return [
        _text(620 + 110 * n, 20, name, colour=colour, weight="bold")
        for n, (name, colour) in enumerate(named)
    ]


def _text(
    x: int, y: int, text: str, *, anchor: str = "start", colour: str = "#333", weight: str = ""
) -> str:
    bold = f' font-weight="{weight}"' if weight else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}"{bold}>{text}</text>'
