"""The table of a comparison over several students."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.table import Table

from farzi.evaluation import Comparison, Measured, metric_of
from farzi.files import finite_values, write_text_atomic
from farzi.provenance import provenance
from farzi.report.comparison import figure_text, share_text, source_line


def print_transfer(compared: Sequence[Comparison], learnt_with: str, items: int) -> None:
    """Print a row for each student and kind of training data, and what they come to.

    Args:
        compared: one comparison a student.
        learnt_with: the student that the summary was learnt with.
        items: size of the catalogue that events were ranked in; tokens that one was predicted among.
    """
    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("student")
    table.add_column("trained on")
    for name in (*compared[0].headlines, "train s"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in compared:
        for entry in one.measured:
            cells = [_cell(one, entry, metric, "\n") for metric in one.headlines]
            name = one.student if entry.trained_on == "full" else ""
            style = "bold" if entry.trained_on == "summary" else None
            table.add_row(name, entry.trained_on, *cells, f"{entry.seconds:.1f}", style=style)
    console.print(table)
    for line in _closing_lines(compared, learnt_with, items):
        console.print(line, markup=False)


def save_transfer(
    compared: Sequence[Comparison],
    learnt_with: str,
    folder: str | Path,
    items: int,
    device: torch.device | str = "cpu",
) -> list[dict[str, Any]]:
    """Write students.json, a row for each student, kind of training data and metric, and students.md.

    Args:
        compared: one comparison a student.
        learnt_with: the student that the summary was learnt with.
        folder: the summary's.
        items: see `print_transfer`.
        device: where it was measured.

    Returns:
        The rows. A figure that is not defined (x / 0) is None.

    Raises:
        OSError: the disk is full or a file cannot be written.
    """
    folder, origin = Path(folder), provenance(device)
    rows = finite_values(
        [{"learnt_with": learnt_with, **row} for comparison in compared for row in comparison.rows()]
    )
    told = json.dumps({**origin, "rows": rows}, indent=2, allow_nan=False)
    write_text_atomic(folder / "students.json", told + "\n")
    headlines = compared[0].headlines
    lines = [
        f"| student | trained on | {' | '.join(headlines)} | learning rate | training |",
        f"|---|---|{'--:|' * len(headlines)}--:|--:|",
    ]
    for one in compared:
        for entry in one.measured:
            cells = [_cell(one, entry, metric, " ") for metric in headlines]
            lines.append(
                f"| {one.student} | {entry.trained_on} | {' | '.join(cells)} | {entry.learning_rate:.3g} "
                f"| {entry.seconds:.1f} s |"
            )
    said = " ".join(_closing_lines(compared, learnt_with, items))
    page = "\n".join(lines) + f"\n\n{said}\n\n{source_line(origin)}\n"
    write_text_atomic(folder / "students.md", page)
    return rows


def _cell(comparison: Comparison, entry: Measured, metric: str, between: str) -> str:
    figure = figure_text(entry, metric)
    if entry.trained_on == "full":
        return figure
    return f"{figure}{between}({share_text(comparison, entry, metric)})"


def _closing_lines(compared: Sequence[Comparison], learnt_with: str, items: int) -> list[str]:
    one = compared[0]
    seeds, units = next(iter(one.of("full").per_unit.values())).shape
    lines = [
        f"Test {one.kind.statement(units, items, one.window)}, mean of {seeds} students ± 95 % interval over "
        "them, and the share of the same student's figure on the full data.",
    ]
    others = [comparison for comparison in compared if comparison.student != learnt_with]
    shares = {
        metric: [comparison.share("summary", metric) for comparison in others] for metric in one.headlines
    }
    if others and not any(math.isnan(share) for found in shares.values() for share in found):
        mean = ", ".join(
            f"{metric} {metric_of(metric).ratio(float(np.mean(found)))}" for metric, found in shares.items()
        )
        lines.append(f"Learnt with {learnt_with}, it reaches on average over the other students: {mean}.")
    return lines
