"""Charts as SVG within a page: colours and type come from the page's style, in its light and dark form.

A chart is drawn for a width of `WIDTH` pixels and grows and shrinks with its column. Colours are classes,
`c0` to `c5`, each with a dash of its own, so that no line is known by colour alone.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from farzi.markup import Markup, tag

WIDTH, HEIGHT = 400, 240
LEFT, RIGHT, TOP, BOTTOM = 50, 14, 12, 42


class Line(NamedTuple):
    """A line of a chart."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0  # of the classes c0 to c5
    low: Sequence[float] = ()  # of each point's interval, with `high`
    high: Sequence[float] = ()
    dots: bool = True


class Bar(NamedTuple):
    """A row of a chart of intervals, or a bar from 0."""

    name: str
    mean: float
    low: float
    high: float
    colour: int = 0
    value: str = ""  # as it is printed


def number(value: float) -> str:
    """A tick: `0.05`, `20`, `1,500`."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def ticks(low: float, high: float, count: int = 5, log: bool = False) -> list[float]:
    """Round numbers from `low` to `high`, about `count` of them."""
    if log:
        digits = (1,) if high / low > 2000 else (1, 3) if high / low > 20 else (1, 2, 5)
        every = [digit * 10.0**power for power in range(-9, 13) for digit in digits]
        return [one for one in every if low * 0.999 <= one <= high * 1.001]
    step = 10 ** math.floor(math.log10((high - low) / count))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (factor * step) <= count)
    return [step * k for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def lines(
    series: Sequence[Line],
    label: str,
    x_title: str,
    y_title: str,
    reference: float | None = None,
    log_x: bool = False,
    zero: bool = False,
    x_text: Callable[[float], str] = number,
    y_text: Callable[[float], str] = number,
) -> Markup:
    """Lines over a common axis, with a legend below.

    Args:
        series: the lines; what is not finite is left out.
        label: what the chart shows, for those who do not see it.
        x_title: of the axis.
        y_title: of the axis.
        reference: a height that is marked by a dashed line.
        log_x: whether the axis is logarithmic.
        zero: whether the heights begin at 0.
        x_text: how a tick is written.
        y_text: the same of heights.
    """
    heights = [y for one in series for y in (*one.y, *one.low, *one.high) if math.isfinite(y)]
    places = [x for one in series for x in one.x]
    if not heights or not places:
        return Markup("")
    bottom, top = _range([*heights, *([] if reference is None else [reference]), *([0.0] if zero else [])])
    bottom = 0.0 if zero and bottom < 0 else bottom
    begin, end = (min(places) / 1.3, max(places) * 1.3) if log_x else _range(places, 0.02)
    across = math.log10 if log_x else float

    def x(value: float) -> float:
        share = (across(value) - across(begin)) / (across(end) - across(begin))
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM), 1)

    grid = [
        [
            tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y(one), y2=y(one), class_="grid"),
            tag("text", y_text(one), x=LEFT - 6, y=y(one) + 4, text_anchor="end"),
        ]
        for one in ticks(bottom, top)
    ]
    below = [
        tag("text", x_text(one), x=x(one), y=HEIGHT - BOTTOM + 17, text_anchor="middle")
        for one in ticks(begin, end, log=log_x)
    ]
    mark = None
    if reference is not None:
        mark = tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y(reference), y2=y(reference), class_="reference")
    drawn = [_line(one, x, y) for one in series]
    titles = [
        tag("text", x_title, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 5, text_anchor="middle", class_="axis")
    ]
    legend = tag(
        "ul",
        tag("li", y_title + ":", class_="unit"),
        [tag("li", _sample(one.colour), one.name) for one in series],
        class_="legend",
    )
    return Markup(_svg(HEIGHT, label, grid, below, titles, mark, drawn) + legend)


def _line(one: Line, x: Callable[[float], float], y: Callable[[float], float]) -> list[Markup]:
    points = [(x(a), y(b), b) for a, b in zip(one.x, one.y) if math.isfinite(b)]
    colour = f"c{one.colour}"
    path = " ".join(f"{a},{b}" for a, b, _ in points)
    spread = [
        tag("line", x1=x(a), x2=x(a), y1=y(low), y2=y(high), class_=f"spread {colour}")
        for a, low, high in zip(one.x, one.low, one.high)
    ]
    dots = [
        tag("circle", tag("title", f"{one.name}: {number(b)} at {number(a)}"), cx=x(a), cy=y(b), r=3)
        for a, b in zip(one.x, one.y)
        if one.dots and math.isfinite(b)
    ]
    return [
        *spread,
        tag("polyline", points=path, class_=f"line {colour}"),
        tag("g", dots, class_=f"dots {colour}"),
    ]


def intervals(
    rows: Sequence[Bar], label: str, x_title: str, reference: float | None = None, solid: bool = False
) -> Markup:
    """One row below the other: its name, its figure, and a dot with its interval, or a solid bar from 0.

    Args:
        rows: from the top down; of one that is not finite only the name is written.
        label: what the chart shows, for those who do not see it.
        x_title: of the axis.
        reference: a value that is marked by a dashed line.
        solid: draw bars in place of intervals.
    """
    row, left, right, edge = 34, 8, WIDTH - 56, WIDTH - 8  # figures stand to the right of the intervals
    height = row * len(rows) + 50
    ends = [v for one in rows for v in (one.low, one.high, one.mean) if math.isfinite(v)]
    end = 1.04 * max([*ends, reference or 0.0, 1e-9])

    def x(value: float) -> float:
        return round(left + value / end * (right - left), 1)

    grid = [
        [
            tag("line", x1=x(one), x2=x(one), y1=8, y2=height - 40, class_="grid"),
            tag("text", number(one), x=x(one), y=height - 24, text_anchor=_anchor(x(one))),
        ]
        for one in ticks(0.0, end)
    ]
    mark = None
    if reference is not None:
        mark = tag("line", x1=x(reference), x2=x(reference), y1=4, y2=height - 40, class_="reference")
    drawn = []
    for place, one in enumerate(rows):
        top = 8 + row * place
        drawn.append(tag("text", one.name, x=left, y=top + 12))
        drawn.append(tag("text", one.value, x=edge, y=top + 25, text_anchor="end", class_="value"))
        if not math.isfinite(one.mean):
            continue
        middle, colour = top + 20, f"c{one.colour}"
        if solid:
            wide = max(1.0, x(one.mean) - left)
            drawn.append(tag("rect", x=left, y=middle - 5, width=wide, height=9, class_=f"bar {colour}"))
            continue
        drawn.append(
            tag("line", x1=x(one.low), x2=x(one.high), y1=middle, y2=middle, class_=f"range {colour}")
        )
        drawn.append(tag("g", tag("circle", cx=x(one.mean), cy=middle, r=4.5), class_=f"dots {colour}"))
    title = tag("text", x_title, x=WIDTH / 2, y=height - 5, text_anchor="middle", class_="axis")
    return _svg(height, label, grid, mark, drawn, title)


def points(
    places: Sequence[tuple[float, float]], names: Sequence[str], weights: Sequence[float], label: str
) -> Markup:
    """Points on a plane, the heavier the larger; the heaviest are named where there is room.

    Args:
        places: (x, y) of each.
        names: of each; what a pointer shows.
        weights: of each, at least 0.
        label: what the chart shows, for those who do not see it.
    """
    width, height, edge = 760, 460, 12
    horizontal, vertical = _range([a for a, _ in places], 0.03), _range([b for _, b in places], 0.03)
    largest = max([*weights, 1e-9])

    def at(place: tuple[float, float]) -> tuple[float, float]:
        a, b = ((v - low) / (high - low) for v, (low, high) in zip(place, (horizontal, vertical)))
        return round(edge + a * (width - 2 * edge), 1), round(height - edge - b * (height - 2 * edge), 1)

    order = sorted(range(len(places)), key=lambda one: weights[one], reverse=True)
    dots, words, taken = [], [], []
    for one in order:
        a, b = at(places[one])
        radius = round(2 + 5 * math.sqrt(weights[one] / largest), 1)
        dots.append(tag("circle", tag("title", names[one]), cx=a, cy=b, r=radius, data_i=one))
        short = names[one] if len(names[one]) <= 26 else names[one][:25] + "…"
        box = (a + radius + 2, b - 7, a + radius + 6 + 7 * len(short), b + 7)
        free = not any(box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3] for t in taken)
        if free and box[2] < width and edge < b < height - edge and len(words) < 26:
            taken.append(box)
            words.append(tag("text", short, x=box[0], y=b + 4))
    return _svg(height, label, tag("g", dots, class_="map"), words, width=width)


def _range(values: Sequence[float], room: float = 0.06) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = room * (high - low) or 0.5 * abs(high) or 1.0
    return low - margin, high + margin


def _anchor(place: float) -> str:
    return "start" if place < 20 else "end" if place > WIDTH - 20 else "middle"


def _sample(colour: int) -> Markup:
    """The piece of a line in a legend."""
    piece = tag("line", x1=1, x2=21, y1=5, y2=5, class_=f"line c{colour}")
    return tag("svg", piece, viewBox="0 0 22 10", width=22, height=10, aria_hidden="true")


def _svg(height: float, label: str, *children: object, width: int = WIDTH) -> Markup:
    return tag(
        "svg", *children, viewBox=f"0 0 {width} {height}", role="img", aria_label=label, class_="chart"
    )
