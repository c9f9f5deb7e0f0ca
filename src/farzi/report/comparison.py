"""The files of a comparison: rows for programs, a page and a chart for people."""

import json
from pathlib import Path
from typing import Any

import torch

from farzi.errors import visible
from farzi.evaluation import Comparison
from farzi.files import finite_values, locked, write_text_atomic
from farzi.provenance import provenance
from farzi.report.plots import plot_comparison


def source_line(origin: dict[str, Any]) -> str:
    """Command, commit, day and machine of some figures; `origin` is from `provenance`."""
    command = visible(origin["command"]).replace("`", "'")
    return (
        f"`{command}`, farzi {origin['farzi']} at {origin['commit']}, {origin['date']}, {origin['machine']}."
    )


def save_report(
    comparison: Comparison,
    folder: str | Path,
    history: list[dict[str, Any]],
    device: torch.device | str = "cpu",
) -> list[dict[str, Any]]:
    """Write a comparison into the summary's folder; return the rows of results.json.

    results.json has one row per kind of training data and metric; a figure that is not defined (x / 0) is
    null. comparison.json has paired intervals, costs, learning rates, and the machine and command.
    comparison.md and comparison.png are for people.

    Args:
        comparison: what was measured.
        folder: the summary's.
        history: the lines of history.jsonl.
        device: where it was measured.

    Raises:
        FarziError: another process is at work in the folder.
        OSError: the disk is full or a file cannot be written.
    """
    folder, origin = Path(folder), provenance(device)
    facts = {
        **origin,
        **comparison.task.facts(comparison.window),
        "distilling_seconds": comparison.distilling,
        "speedup": comparison.speedup,
        "break_even_trainings": comparison.break_even,
        "learning_rates": {
            result.trained_on: result.learning_rate for result in comparison.results if result.learning_rate
        },
        "relative_to_full": {
            result.trained_on: {
                metric: finite_values(comparison.relative(result.trained_on, metric)._asdict())
                for metric in result.per_unit
            }
            for result in comparison.results
            if result.trained_on != "full"
        },
        "conclusions": comparison.conclusions(),
    }
    columns, cells = comparison.table()
    rule = ["---", *["--:"] * (len(columns) - 1)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in (columns, rule, *cells))
    text = f"{table}\n\n{' '.join(comparison.conclusions())}\n\n{source_line(origin)}\n"
    rows = finite_values(comparison.rows())
    with locked(folder):
        # files of two comparisons never stand side by side
        for name in ("results.json", "comparison.json", "comparison.md", "comparison.png"):
            (folder / name).unlink(missing_ok=True)
        _write_json(folder / "comparison.json", facts)
        write_text_atomic(folder / "comparison.md", text)
        plot_comparison(comparison, history, folder / "comparison.png")
        _write_json(folder / "results.json", rows)
    return rows


def _write_json(path: Path, value: Any) -> None:
    write_text_atomic(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
