"""The table of a comparison over several architectures, as text and as files."""

import json
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from farzi.evaluation import Comparison, aligned, cell, metric_of
from farzi.files import finite_values, write_text_atomic
from farzi.provenance import provenance
from farzi.report.comparison import source_line


def transfer_text(compared: Sequence[Comparison], distilled_with: str) -> str:
    """A row per architecture and kind of training data, and what they mean.

    Args:
        compared: one comparison per architecture.
        distilled_with: the architecture that the summary was distilled with.
    """
    headlines = compared[0].headlines
    rows = [
        [
            one.student if result.trained_on == "full" else "",
            result.trained_on,
            *(cell(one, result, metric, "\n") for metric in headlines),
            f"{result.seconds:.1f}",
        ]
        for one in compared
        for result in one.results
    ]
    table = aligned(["student", "trained on", *headlines, "train s"], rows, left=2)
    lines = [textwrap.fill(line, 100) for line in _conclusions(compared, distilled_with)]
    return "\n".join([table, "", *lines])


def save_transfer(
    compared: Sequence[Comparison],
    distilled_with: str,
    folder: str | Path,
    device: torch.device | str = "cpu",
) -> list[dict[str, Any]]:
    """Write students.json, a row per architecture, kind of training data and metric, and students.md.

    Args:
        compared: one comparison per architecture.
        distilled_with: the architecture that the summary was distilled with.
        folder: the summary's.
        device: where it was measured.

    Returns:
        The rows. A figure that is not defined (x / 0) is None.

    Raises:
        OSError: the disk is full or a file cannot be written.
    """
    folder, origin = Path(folder), provenance(device)
    rows = finite_values(
        [{"distilled_with": distilled_with, **row} for comparison in compared for row in comparison.rows()]
    )
    content = json.dumps({**origin, "rows": rows}, indent=2, allow_nan=False)
    write_text_atomic(folder / "students.json", content + "\n")
    headlines = compared[0].headlines
    lines = [
        f"| student | trained on | {' | '.join(headlines)} | learning rate | training |",
        f"|---|---|{'--:|' * len(headlines)}--:|--:|",
    ]
    for one in compared:
        for result in one.results:
            cells = [cell(one, result, metric) for metric in headlines]
            lines.append(
                f"| {one.student} | {result.trained_on} | {' | '.join(cells)} | {result.learning_rate:.3g} "
                f"| {result.seconds:.1f} s |"
            )
    text = " ".join(_conclusions(compared, distilled_with))
    page = "\n".join(lines) + f"\n\n{text}\n\n{source_line(origin)}\n"
    write_text_atomic(folder / "students.md", page)
    return rows


def _conclusions(compared: Sequence[Comparison], distilled_with: str) -> list[str]:
    one = compared[0]
    seeds, units = next(iter(one.result("full").per_unit.values())).shape
    lines = [
        f"Test {one.task.statement(units, one.items, one.window)}. Means of {seeds} models ± 95 % interval, "
        "and the share of the same architecture's figure on the full data.",
    ]
    others = [comparison for comparison in compared if comparison.student != distilled_with]
    shares = {
        metric: [comparison.share("summary", metric) for comparison in others] for metric in one.headlines
    }
    if others and not any(math.isnan(share) for values in shares.values() for share in values):
        mean = ", ".join(
            f"{metric} {metric_of(metric).ratio(float(np.mean(values)))}" for metric, values in shares.items()
        )
        lines.append(
            f"The summary was distilled with {distilled_with}. Of their full-data figures the other "
            f"architectures reach on average {mean}."
        )
    return lines
