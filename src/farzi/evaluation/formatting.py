"""Figures as text: headline metrics side by side, ratios to the full data's, sizes in KiB, aligned tables."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from farzi.evaluation.metrics import headlines, metric_of


def kib(size: int) -> str:
    """Bytes as KiB, without the unit: `84`, or `1.9` below 10 KiB."""
    return f"{size / 1024:,.0f}" if size >= 10 * 1024 else f"{size / 1024:.1f}"


def shares(relative: Mapping[str, float | None]) -> str:
    """The headline metrics' ratios to the full data's: `HR@10 96 %, nDCG@10 93 %, HR@100 –`."""
    return ", ".join(f"{name} {metric_of(name).ratio(relative[name])}" for name in headlines(relative))


def headline_figures(figures: Mapping[str, float]) -> str:
    """The headline metrics: `HR@10 11.7 %, nDCG@10 5.8 %, HR@100 54.1 %`."""
    named = [(name, metric_of(name)) for name in headlines(figures)]
    return ", ".join(f"{name} {metric.text(figures[name])} {metric.unit}".rstrip() for name, metric in named)


def aligned(columns: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A table as plain text: a line of column names, a rule, the rows.

    Args:
        columns: their names.
        rows: the cells; a line break in a cell continues it on the next line.
        left: how many columns are aligned to the left; the others are aligned to the right.
    """
    lines = [tuple(columns)]
    for row in rows:
        lines += zip_longest(*(cell.split("\n") for cell in row), fillvalue="")
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    text = [
        "  ".join(
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([text[0], rule, *text[1:]])
