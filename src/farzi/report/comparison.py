"""The files of a comparison: rows for programs, a page and a chart for people."""

import json
from pathlib import Path
from typing import Any

import torch

from farzi.evaluation import Comparison, cell, conclusions, kib
from farzi.files import finite_values, write_text_atomic
from farzi.provenance import provenance
from farzi.report.plots import plot_comparison


def save_results(comparison: Comparison, path: str | Path) -> list[dict[str, Any]]:
    """Write the rows of results.json and return them; a figure that is not defined (x / 0) is null.

    Raises:
        OSError: the disk is full or the file cannot be written.
    """
    rows = finite_values(comparison.rows())
    write_text_atomic(path, json.dumps(rows, indent=2, allow_nan=False) + "\n")
    return rows


def source_line(origin: dict[str, Any]) -> str:
    """Command, commit, day and machine of some figures; `origin` is from `provenance`."""
    return "`{command}`, farzi {farzi} at {commit}, {date}, {machine}.".format(**origin)


def markdown_table(comparison: Comparison) -> str:
    """The table as Markdown: mean, 95 % interval over seeds, and the share of the full data's figure."""
    lines = [
        f"| trained on | sequences | KiB | {' | '.join(comparison.headlines)} | training |",
        f"|---|--:|--:|{'--:|' * len(comparison.headlines)}--:|",
    ]
    for result in comparison.results:
        cells = [result.trained_on, f"{result.sequences:,}", kib(result.bytes)]
        cells += [cell(comparison, result, metric) for metric in comparison.headlines]
        lines.append(f"| {' | '.join(cells)} | {result.seconds:.1f} s |")
    return "\n".join(lines) + "\n"


def save_report(
    comparison: Comparison,
    folder: str | Path,
    history: list[dict[str, Any]],
    device: torch.device | str = "cpu",
) -> list[dict[str, Any]]:
    """Write a comparison into the summary's folder; return the rows of results.json.

    results.json has one row per kind of training data and metric. comparison.json has paired intervals,
    costs, learning rates, and the machine and command. comparison.md and comparison.png are for people.

    Args:
        comparison: what was measured.
        folder: the summary's.
        history: the lines of history.jsonl.
        device: where it was measured.

    Raises:
        OSError: the disk is full or a file cannot be written.
    """
    folder, origin = Path(folder), provenance(device)
    facts = {
        **origin,
        **comparison.task.facts(comparison.window),
        "distilling_seconds": comparison.distilling,
        "speedup": comparison.speedup,
        "break_even_trainings": comparison.break_even,
        "learning_rates": {result.trained_on: result.learning_rate for result in comparison.results},
        "relative_to_full": {
            result.trained_on: {
                metric: finite_values(comparison.relative(result.trained_on, metric)._asdict())
                for metric in result.per_unit
            }
            for result in comparison.results
            if result.trained_on != "full"
        },
    }
    write_text_atomic(folder / "comparison.json", json.dumps(facts, indent=2, allow_nan=False) + "\n")
    text = " ".join(conclusions(comparison))
    page = f"{markdown_table(comparison)}\n{text}\n\n{source_line(origin)}\n"
    write_text_atomic(folder / "comparison.md", page)
    plot_comparison(comparison, history, folder / "comparison.png")
    return save_results(comparison, folder / "results.json")
