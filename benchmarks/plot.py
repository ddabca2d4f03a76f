"""Cost over depth as an SVG, for the documentation: lines on logarithmic axes.

Its greys and colours are legible on light and on dark ground, so it needs neither a ground of its
own nor a style sheet.
"""

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 200, 40, 50
GREY = "#808080"
COLOURS = ("#d9622b", "#2b83d9", "#2f9e63", "#a35fc9", "#c2a020", "#808080")

Line = Sequence[tuple[float, float]]
"""Points: depth in rows, time in milliseconds; both above 0."""


def svg(title: str, lines: Mapping[str, Line]) -> str:
    """The plot.

    Args:
        title: Stands above it, and is read aloud by screen readers.
        lines: By the name that stands at their end.
    """
    points = [point for line in lines.values() for point in line]
    across = Scale([x for x, _ in points], LEFT, WIDTH - RIGHT)
    up = Scale([y for _, y in points], HEIGHT - BOTTOM, TOP)
    drawn = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'font-family="sans-serif" font-size="12" fill="{GREY}">'
        ),
        f"<title>{escape(title)}</title>",
        text(LEFT, TOP - 20, title, size=14),
        *grid(across, up),
    ]
    places: list[float] = []
    coloured = list(zip(COLOURS, lines.items(), strict=False))
    # From the top down, so that names stand in the order in which the lines end.
    for colour, (name, line) in sorted(coloured, key=lambda one: -one[1][1][-1][1]):
        drawn += curve(name, line, colour, across, up, places)
    return "\n".join([*drawn, "</svg>"]) + "\n"


class Scale:
    """Places values from whole power of ten to whole power of ten."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.low = floor(log10(min(values)))
        self.high = max(ceil(log10(max(values))), self.low + 1)
        self._start = start
        self._length = end - start

    def __call__(self, value: float) -> float:
        share = (log10(value) - self.low) / (self.high - self.low)
        return round(self._start + share * self._length, 1)

    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


def grid(across: Scale, up: Scale) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    drawn: list[str] = []
    for value in across.ticks():
        drawn += [
            path([(across(value), TOP), (across(value), bottom)], GREY, opacity=0.25),
            text(across(value), bottom + 18, f"{value:,.0f}", anchor="middle"),
        ]
    for value in up.ticks():
        drawn += [
            path([(LEFT, up(value)), (right, up(value))], GREY, opacity=0.25),
            text(LEFT - 8, up(value) + 4, f"{value:g} ms", anchor="end"),
        ]
    return [*drawn, text((LEFT + right) / 2, HEIGHT - 10, "rows before the page", anchor="middle")]


def curve(
    name: str, line: Line, colour: str, across: Scale, up: Scale, places: list[float]
) -> list[str]:
    """The line with its name at the end, moved down where another name stands."""
    placed = [(across(x), up(y)) for x, y in line]
    x, y = placed[-1]
    while any(abs(y - other) < 14 for other in places):
        y += 2
    places.append(y)
    dots = [f'<circle cx="{cx}" cy="{cy}" r="3" fill="{colour}"/>' for cx, cy in placed]
    return [path(placed, colour, width=2), *dots, text(x + 10, y + 4, name, colour=colour)]


def path(
    points: Sequence[tuple[float, float]], colour: str, *, width: float = 1, opacity: float = 1
) -> str:
    corners = " ".join(f"{x},{y}" for x, y in points)
    return (
        f'<polyline points="{corners}" fill="none" stroke="{colour}" stroke-width="{width}" '
        f'stroke-opacity="{opacity}"/>'
    )


def text(
    x: float, y: float, content: str, *, anchor: str = "start", size: int = 12, colour: str = GREY
) -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">'
        f"{escape(content)}</text>"
    )
