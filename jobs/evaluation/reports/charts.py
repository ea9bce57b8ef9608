"""Charts as inline SVG: bars and points with intervals, and labelled points in a plane. They need no script."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

WIDTH: Final = 760
LABEL_WIDTH: Final = 270
VALUE_WIDTH: Final = 70
ROW_HEIGHT: Final = 22
PLOT: Final = WIDTH - LABEL_WIDTH - VALUE_WIDTH
PLANE_HEIGHT: Final = 340
MARGIN: Final = 48


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its interval.

    Attributes
    ----------
    low, high : float or None
        Ends of its interval; None without one.
    strong : bool
        Whether it stands out.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    strong: bool = False


def bar_chart(bars: Sequence[Bar], *, title: str, points: bool = False) -> str:
    """Return horizontal bars from 0 with whiskers; with ``points`` a mark at each value, and a line at 0.

    >>> bar_chart([Bar("a", 0.5)], title="t").count("<rect")
    1
    """
    if not bars:
        return ""
    ends = [value for bar in bars for value in (bar.value, bar.low, bar.high) if value is not None]
    low, high = min(0.0, *ends), max(0.0, *ends)
    scale = PLOT / ((high - low) or 1.0)

    def at(value: float) -> float:
        return LABEL_WIDTH + (value - low) * scale

    parts = []
    for number, bar in enumerate(bars):
        middle = ROW_HEIGHT * number + ROW_HEIGHT / 2
        parts.append(_text(LABEL_WIDTH - 8, middle + 4, bar.label, anchor="end", strong=bar.strong))
        style = "strong" if bar.strong else "plain"
        if points:
            parts.append(f'<circle class="{style}" cx="{at(bar.value):.1f}" cy="{middle:.1f}" r="4.5"/>')
        else:
            left, right = sorted((at(0.0), at(bar.value)))
            size = f'x="{left:.1f}" y="{middle - 7:.1f}" width="{right - left:.1f}" height="14"'
            parts.append(f'<rect class="{style}" {size}/>')
        if bar.low is not None and bar.high is not None:
            parts.append(_line(at(bar.low), middle, at(bar.high), middle))
            parts += [_line(at(end), middle - 4, at(end), middle + 4) for end in (bar.low, bar.high)]
        figure = f"{bar.value:,}" if isinstance(bar.value, int) else f"{bar.value:.3f}"
        parts.append(_text(WIDTH - 6, middle + 4, figure, anchor="end", strong=bar.strong))
    height = ROW_HEIGHT * len(bars)
    parts.append(_line(at(0.0), 0, at(0.0), height))
    return _svg(parts, height, title)


def point_chart(
    points: Sequence[tuple[str, float, float]], *, title: str, x: str, y: str, strong: str = "", joined: bool = False
) -> str:
    """Return labelled points in a plane, with ``joined`` a line from each to the next.

    ``x`` and ``y`` name the axes, ``strong`` the point that stands out. Points at the same place share a text.

    >>> ">25%, 50%<" in point_chart([("0%", 0, 1), ("25%", 1, 0), ("50%", 1, 0)], title="t", x="x", y="y")
    True
    """
    if not points:
        return ""
    spans = []
    for values in ([point[1] for point in points], [point[2] for point in points]):
        low, high = min(values), max(values)
        pad = (high - low) * 0.08 or 1.0
        spans.append((max(low - pad, 0.0) if low >= 0 else low - pad, high + pad))
    (x_low, x_high), (y_low, y_high) = spans
    width, height = WIDTH - 2 * MARGIN - 90, PLANE_HEIGHT - MARGIN - 16
    parts = [
        _line(MARGIN, 8, MARGIN, 8 + height),
        _line(MARGIN, 8 + height, MARGIN + width, 8 + height),
        _text(MARGIN + width / 2, PLANE_HEIGHT - 6, x, anchor="middle"),
        f'<text transform="translate(12 {8 + height / 2:.0f}) rotate(-90)" text-anchor="middle">{escape(y)}</text>',
    ]

    def place(x_value: float, y_value: float) -> tuple[float, float]:
        left = MARGIN + (x_value - x_low) / (x_high - x_low) * width
        return left, 8 + height - (y_value - y_low) / (y_high - y_low) * height

    for x_value, y_value in ((x_low, y_low), (x_high, y_high)):
        left, top = place(x_value, y_value)
        parts.append(_text(left, 8 + height + 16, f"{x_value:.2f}", anchor="middle"))
        parts.append(_text(MARGIN - 4, top + 4, f"{y_value:.2f}", anchor="end"))
    places = [place(x_value, y_value) for _, x_value, y_value in points]
    if joined:
        parts += [_line(*start, *end) for start, end in pairwise(places)]
    labels: dict[tuple[float, float], list[str]] = {}
    for (label, _, _), at in zip(points, places, strict=True):
        labels.setdefault(at, []).append(label)
    for (left, top), names in labels.items():
        style = "strong" if strong in names else "plain"
        parts.append(f'<circle class="{style}" cx="{left:.1f}" cy="{top:.1f}" r="5"/>')
        parts.append(_text(left + 8, top + 4, ", ".join(names), strong=strong in names))
    return _svg(parts, PLANE_HEIGHT, title)


def _svg(parts: Sequence[str], height: int, title: str) -> str:
    inside = "".join(parts)
    label = escape(title, quote=True)
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">{inside}</svg>'


def _line(left: float, top: float, right: float, bottom: float) -> str:
    return f'<line x1="{left:.1f}" y1="{top:.1f}" x2="{right:.1f}" y2="{bottom:.1f}"/>'


def _text(left: float, top: float, content: str, *, anchor: str = "start", strong: bool = False) -> str:
    weight = ' font-weight="600"' if strong else ""
    return f'<text x="{left:.1f}" y="{top:.1f}" text-anchor="{anchor}"{weight}>{escape(content)}</text>'
