"""The lines of history.jsonl: one for each validation."""

import math
from statistics import fmean, median
from typing import Any

from farzi.distillation.select import Validation
from farzi.files import finite_values
from farzi.progress import StepReport


def history_line(
    step: int, name: str, reports: list[StepReport], result: Validation, best: bool
) -> dict[str, Any]:
    """A validation and the steps since the last; null for what is not finite."""
    losses = [report.loss for report in reports if math.isfinite(report.loss)]
    norms = [report.norm for report in reports if math.isfinite(report.norm)]
    return {
        "outer_step": step,
        name: fmean(losses) if losses else None,
        "metagradient_norm": {"median": median(norms), "min": min(norms), "max": max(norms)}
        if norms
        else None,
        "steps_without_metagradient": len(reports) - len(norms),
        "validation": finite_values(result.figures),
        "relative_to_full": finite_values(result.relative),
        "best": best,
    }
