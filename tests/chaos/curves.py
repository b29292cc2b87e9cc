"""Series of figures as small curves, one above the other, in one SVG file. (pure)

Drawn by hand: a plotting library would be the largest thing that tests install.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

WIDTH: Final = 720
HEIGHT: Final = 90
"""Of one curve with its heading, in pixels."""

LEFT: Final = 10
TOP: Final = 24
"""Space for the heading."""

SPREAD_MIN: Final = 0.02
"""Of the highest figure: what a curve shows at least from top to bottom, so that one that is flat
looks flat."""


def curves(series: Mapping[str, Sequence[float]]) -> str:
    """The file's text. Every series begins at the left and fills the width."""
    drawn = [(name, values) for name, values in series.items() if values]
    size = f'width="{WIDTH}" height="{HEIGHT * len(drawn)}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, (name, values) in enumerate(drawn):
        parts += _curve(name, values, number * HEIGHT)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _curve(name: str, values: Sequence[float], top: int) -> Sequence[str]:
    low, high = min(values), max(values)
    heading = f"{name}: {low:g} to {high:g}, {len(values)} times, at the end {values[-1]:g}"
    points = " ".join([f"{x:.1f},{top + y:.1f}" for x, y in _places(values)])
    return [
        f'<text x="{LEFT}" y="{top + TOP - 7}">{escape(heading)}</text>',
        f'<polyline points="{points}" fill="none" stroke="steelblue" stroke-width="1.5"/>',
    ]


def _places(values: Sequence[float]) -> Sequence[tuple[float, float]]:
    low, high = min(values), max(values)
    spread = max(high - low, abs(high) * SPREAD_MIN, 1e-9)
    middle = (high + low) / 2
    width, height = WIDTH - 2 * LEFT, HEIGHT - TOP - 8
    steps = max(len(values) - 1, 1)
    return [
        (LEFT + width * n / steps, TOP + height * (0.5 - (value - middle) / spread))
        for n, value in enumerate(values)
    ]
