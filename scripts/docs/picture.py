"""The picture of the idea: `python -m scripts.docs.picture` writes docs/images/idea.svg.

Drawn for a white card of its own, so that it reads the same on a light and on a dark page.
"""

import random
from pathlib import Path

TARGET = Path(__file__).resolve().parents[2] / "docs" / "images" / "idea.svg"
ITEMS = ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#edc948"]
INK, QUIET, LINE = "#1f2937", "#5b6472", "#475569"
LABELS, DATA = "#e8f0fb", "#fdf0e3"  # grounds of the two kinds of distillation
CELL, STEP = 15, 18


def main() -> None:
    """Write the picture."""
    random.seed(4)
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1120 520" role="img" '
        'aria-labelledby="title" font-family="Helvetica, Arial, sans-serif">',
        '<title id="title">Teachers trained on the log give a first summary. An outer loop improves it '
        "through the training of a fresh model. New models train on the summary alone.</title>",
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="7" markerHeight="7" '
        f'orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="{LINE}"/></marker></defs>',
        '<rect width="1120" height="520" rx="14" fill="#ffffff"/>',
        _ground(
            226,
            20,
            504,
            290,
            LABELS,
            44,
            "Knowledge distillation:",
            "a first summary from teachers' predictions",
        ),
        _ground(
            226,
            330,
            644,
            170,
            DATA,
            482,
            "Data distillation:",
            "the outer loop changes the summary itself, through training",
        ),
        _log(40, 126),
        _models(268, 134, "Teachers", "trained on the full log"),
        _summary(510, 126),
        _models(940, 134, "Your models", "trained in seconds"),
        _box(316, 374, 236, 66, "Loss", "on real events"),
        _box(618, 374, 216, 66, "Fresh model", "T training steps"),
        _arrow("M194 190H258"),
        _arrow(
            "M112 96V84Q112 72 124 72H664Q676 72 676 84V112",
            "windows of real users",
            at=(400, 66),
            dashed=True,
        ),
        _arrow("M408 190H494", "soft labels"),
        _arrow("M706 190H928", "the summary alone", at=(830, 180)),
        _arrow("M670 302V366"),
        _arrow("M618 407H560", "result", at=(588, 399)),
        _arrow("M534 374V302", "gradient through training", at=(440, 350)),
        _arrow("M112 330V387Q112 407 132 407H308", "real events", at=(178, 398), dashed=True),
        "</svg>",
    ]
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _text(
    x: float,
    y: float,
    text: str,
    size: int = 15,
    colour: str = INK,
    bold: bool = False,
    anchor: str = "middle",
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    style = f'font-size="{size}" fill="{colour}" text-anchor="{anchor}"{weight}'
    return f'<text x="{x}" y="{y}" {style}>{text}</text>'


def _ground(x: int, y: int, width: int, height: int, colour: str, line: int, title: str, note: str) -> str:
    """A coloured ground; `line` is where its title and note stand."""
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="12" fill="{colour}"/>'
        f'<text x="{x + 20}" y="{line}" font-size="15" fill="{QUIET}">'
        f'<tspan font-weight="bold" fill="{INK}">{title}</tspan><tspan dx="6">{note}</tspan></text>'
    )


def _log(x: int, y: int) -> str:
    """Many rows of events, one item each."""
    parts = []
    for row in range(9):
        for column in range(random.randint(5, 8)):
            colour = random.choice(ITEMS)
            opacity = 1 if row < 7 else (0.5 if row == 7 else 0.22)
            parts.append(
                f'<rect x="{x + STEP * column}" y="{y + STEP * row}" width="{CELL}" height="{CELL}" rx="3" '
                f'fill="{colour}" opacity="{opacity}"/>'
            )
    parts += [
        _text(x + 72, y - 14, "Your log", 17, bold=True),
        _text(x + 72, y + STEP * 9 + 18, "hundreds or thousands of users,", 13, QUIET),
        _text(x + 72, y + STEP * 9 + 35, "one item per event", 13, QUIET),
    ]
    return "".join(parts)


def _summary(x: int, y: int) -> str:
    """A few rows of soft events: each cell is a stack of shares."""
    width, height, gap = 26, 26, 5
    parts = [
        f'<rect x="{x - 8}" y="{y - 8}" width="{6 * (width + gap) + 11}" '
        f'height="{4 * (height + gap) + 11}" rx="8" fill="#ffffff"/>'
    ]
    for row in range(4):
        for column in range(6):
            left, top = x + (width + gap) * column, y + (height + gap) * row
            shares = sorted((random.random() ** 2 for _ in range(3)), reverse=True)
            colours = random.sample(ITEMS, 3)
            total, done = sum(shares), 0.0
            for share, colour in zip(shares, colours, strict=True):
                part = height * share / total
                parts.append(
                    f'<rect x="{left}" y="{top + done:.1f}" width="{width}" height="{part:.1f}" '
                    f'fill="{colour}"/>'
                )
                done += part
    parts += [
        _text(x + 92, y - 14, "Summary", 17, bold=True),
        _text(x + 92, y + 4 * (height + gap) + 22, "a few dozen synthetic sequences,", 13, QUIET),
        _text(x + 92, y + 4 * (height + gap) + 39, "each event a distribution over items", 13, QUIET),
    ]
    return "".join(parts)


def _models(x: int, y: int, title: str, note: str) -> str:
    """Several small networks, one behind the other."""
    parts = [_text(x + 66, y - 22, title, 17, bold=True), _text(x + 66, y + 140, note, 13, QUIET)]
    for number in reversed(range(3)):
        parts.append(_network(x + 14 * number, y + 8 * number))
    return "".join(parts)


def _network(x: int, y: int) -> str:
    width, height = 104, 96
    columns = [(x + 20, 3), (x + 52, 4), (x + 84, 3)]
    dots = [(cx, y + height * (i + 1) / (n + 1)) for cx, n in columns for i in range(n)]
    lines = [f"M{a[0]} {a[1]:.0f}L{b[0]} {b[1]:.0f}" for a in dots for b in dots if b[0] - a[0] == 32]
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="#ffffff" stroke="{LINE}"/>'
        f'<path d="{"".join(lines)}" stroke="#cbd5e1" stroke-width="1" fill="none"/>'
        + "".join(f'<circle cx="{cx}" cy="{cy:.0f}" r="5" fill="{LINE}"/>' for cx, cy in dots)
    )


def _box(x: int, y: int, width: int, height: int, title: str, note: str) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="#ffffff" stroke="{LINE}"/>'
        + _text(x + width / 2, y + 28, title, 16, bold=True)
        + _text(x + width / 2, y + 49, note, 13, QUIET)
    )


def _arrow(path: str, label: str = "", at: tuple[float, float] | None = None, dashed: bool = False) -> str:
    """An arrow along an SVG path. The label stands at `at`, or above the middle of a straight arrow."""
    dash = ' stroke-dasharray="6 5"' if dashed else ""
    drawn = f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="2" marker-end="url(#tip)"{dash}/>'
    if not label:
        return drawn
    if at is None:
        start, y, end = (float(part) for part in path[1:].replace("H", " ").split())
        at = ((start + end) / 2, y - 10)
    return drawn + _text(*at, label, 13)


if __name__ == "__main__":
    main()
