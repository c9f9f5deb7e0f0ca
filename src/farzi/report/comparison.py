"""The comparison table, and the sentences under it that say what the figures are."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from farzi.evaluation import Comparison, Measured, kib, metric_of, seed_interval
from farzi.files import finite_values, write_text_atomic
from farzi.provenance import provenance
from farzi.report.plots import plot_comparison


def save_results(comparison: Comparison, path: str | Path) -> list[dict[str, Any]]:
    """Write the rows of results.json, and return them; a figure that is not defined (x / 0) is null.

    Raises:
        OSError: the disk is full or the file cannot be written.
    """
    rows = finite_values(comparison.rows())
    write_text_atomic(path, json.dumps(rows, indent=2, allow_nan=False) + "\n")
    return rows


def comparison_table(comparison: Comparison) -> Table:
    """A row for each kind of training data: figures, 95 % intervals, ratios to the full data's."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("trained on")
    for name in ("sequences", "KiB", *comparison.headlines, "train s"):
        table.add_column(name, justify="right", no_wrap=True)
    for entry in comparison.measured:
        cells = [entry.trained_on, f"{entry.sequences:,}", kib(entry.bytes)]
        for metric in comparison.headlines:
            figure, share = figure_text(entry, metric), share_text(comparison, entry, metric)
            cells.append(figure if entry.trained_on == "full" else f"{figure}\n{share}")
        table.add_row(*cells, f"{entry.seconds:.1f}", style="bold" if entry.trained_on == "summary" else None)
    return table


def print_comparison(comparison: Comparison, items: int, console: Console | None = None) -> None:
    """Print the table and what it means.

    Args:
        comparison: what was measured.
        items: size of the catalogue that events were ranked in; tokens that one was predicted among.
        console: where to; stdout if None.
    """
    console = console or Console(highlight=False)
    console.print(comparison_table(comparison))
    for line in closing_lines(comparison, items):
        console.print(line, markup=False)


def closing_lines(comparison: Comparison, items: int) -> list[str]:
    """What the figures are, how sure the summary's share of the full data is, and what it saves."""
    full = comparison.of("full")
    seeds, units = next(iter(full.per_unit.values())).shape
    shares = []
    for metric in comparison.headlines:
        mean, low, high = comparison.relative("summary", metric)
        shown = metric_of(metric).ratio
        sure = "" if math.isnan(mean) else f" ({shown(low)} to {shown(high)})"
        shares.append(f"{metric} {shown(mean)}{sure}")
    kind = comparison.kind
    ours = comparison.of("summary")
    lines = [
        f"Test {kind.statement(units, items, comparison.window)}, mean "
        f"of {seeds} students ± 95 % interval over them, and the share of the full data's figure.",
        f"Of the full data the summary reaches {', '.join(shares)}: 95 % intervals over {kind.units} and "
        "students.",
        f"Training on it takes {ours.seconds:.2f} s, on the full data {full.seconds:.1f} s: "
        f"{comparison.speedup:,.0f} times faster.",
    ]
    if comparison.distilling is not None:
        even = comparison.break_even
        paid = "never paid for" if even is None else f"paid for after {math.ceil(even):,} trainings"
        lines.append(f"Distilling took {comparison.distilling:,.0f} s, {paid}.")
    return lines


def source_line(origin: dict[str, Any]) -> str:
    """Where figures come from, under a table; `origin` as `provenance` gives it."""
    return "`{command}`, farzi {farzi} at {commit}, {date}, {machine}.".format(**origin)


def figure_text(entry: Measured, metric: str) -> str:
    """The mean over seeds and its 95 % interval."""
    named = metric_of(metric)
    mean, low, _ = seed_interval(entry.figures(metric))
    return f"{named.text(mean)} ±{named.text(mean - low)}"


def share_text(comparison: Comparison, entry: Measured, metric: str) -> str:
    """The share of the full data's figure."""
    return metric_of(metric).ratio(comparison.share(entry.trained_on, metric))


def markdown_table(comparison: Comparison) -> str:
    """The same table as Markdown: mean, 95 % interval over seeds, and the share of the full data's figure."""
    lines = [
        f"| trained on | sequences | KiB | {' | '.join(comparison.headlines)} | training |",
        f"|---|--:|--:|{'--:|' * len(comparison.headlines)}--:|",
    ]
    for entry in comparison.measured:
        cells = [entry.trained_on, f"{entry.sequences:,}", kib(entry.bytes)]
        for metric in comparison.headlines:
            figure, share = figure_text(entry, metric), share_text(comparison, entry, metric)
            cells.append(figure if entry.trained_on == "full" else f"{figure} ({share})")
        lines.append(f"| {' | '.join(cells)} | {entry.seconds:.1f} s |")
    return "\n".join(lines) + "\n"


def save_report(
    comparison: Comparison,
    folder: str | Path,
    items: int,
    history: list[dict[str, Any]],
    device: torch.device | str = "cpu",
) -> list[dict[str, Any]]:
    """Write all that a reader of the comparison needs beside the summary; return the rows of results.json.

    results.json: one row for each kind of training data and metric. comparison.json: paired intervals, costs,
    learning rates, and where the figures come from. comparison.md and comparison.png: for people.

    Args:
        comparison: what was measured.
        folder: the summary's.
        items: size of the catalogue that events were ranked in; tokens that one was predicted among.
        history: the lines of history.jsonl.
        device: where it was measured.

    Raises:
        OSError: the disk is full or a file cannot be written.
    """
    folder, origin = Path(folder), provenance(device)
    facts = {
        **origin,
        **comparison.kind.facts(comparison.window),
        "distilling_seconds": comparison.distilling,
        "speedup": comparison.speedup,
        "break_even_trainings": comparison.break_even,
        "learning_rates": {entry.trained_on: entry.learning_rate for entry in comparison.measured},
        "relative_to_full": {
            entry.trained_on: {
                metric: finite_values(comparison.relative(entry.trained_on, metric)._asdict())
                for metric in entry.per_unit
            }
            for entry in comparison.measured
            if entry.trained_on != "full"
        },
    }
    write_text_atomic(folder / "comparison.json", json.dumps(facts, indent=2, allow_nan=False) + "\n")
    said = " ".join(closing_lines(comparison, items))
    page = f"{markdown_table(comparison)}\n{said}\n\n{source_line(origin)}\n"
    write_text_atomic(folder / "comparison.md", page)
    plot_comparison(comparison, history, folder / "comparison.png")
    return save_results(comparison, folder / "results.json")
