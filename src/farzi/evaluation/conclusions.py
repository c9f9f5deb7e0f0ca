"""The table of a comparison as text, and what it means in sentences."""

import math
from typing import TYPE_CHECKING

from farzi.evaluation.formatting import aligned, kib
from farzi.evaluation.intervals import seed_interval
from farzi.evaluation.metrics import metric_of

if TYPE_CHECKING:
    from farzi.evaluation.compare import Comparison
    from farzi.evaluation.trials import Result


def figure_text(result: "Result", metric: str) -> str:
    """The mean over seeds and its 95 % interval, as `11.7 ±0.6`."""
    named = metric_of(metric)
    mean, low, _ = seed_interval(result.figures(metric))
    return f"{named.text(mean)} ±{named.text(mean - low)}"


def share_text(comparison: "Comparison", result: "Result", metric: str) -> str:
    """The ratio to the full data's figure, as `97 %`."""
    return metric_of(metric).ratio(comparison.share(result.trained_on, metric))


def cell(comparison: "Comparison", result: "Result", metric: str, separator: str = " ") -> str:
    """Figure, interval and ratio to the full data's, as `11.7 ±0.6 (97 %)`."""
    figure = figure_text(result, metric)
    if result.trained_on == "full":
        return figure
    return f"{figure}{separator}({share_text(comparison, result, metric)})"


def comparison_table(comparison: "Comparison") -> str:
    """A row per kind of training data: figures, 95 % intervals, ratios to the full data's."""
    rows = [
        [
            result.trained_on,
            f"{result.sequences:,}",
            kib(result.bytes),
            *(cell(comparison, result, metric, "\n") for metric in comparison.headlines),
            f"{result.seconds:.1f}",
        ]
        for result in comparison.results
    ]
    return aligned(["trained on", "sequences", "KiB", *comparison.headlines, "train s"], rows)


def conclusions(comparison: "Comparison") -> list[str]:
    """What the figures are, what the summary reaches, what it is ahead of, how it was made, what it saves."""
    full, ours, task = comparison.result("full"), comparison.result("summary"), comparison.task
    seeds, units = next(iter(full.per_unit.values())).shape
    reached = []
    for metric in comparison.headlines:
        mean, low, high = comparison.relative("summary", metric)
        ratio = metric_of(metric).ratio
        interval = "" if math.isnan(mean) else f" ({ratio(low)} to {ratio(high)})"
        reached.append(f"{metric} {ratio(mean)}{interval}")
    lines = [
        f"Test {task.statement(units, comparison.items, comparison.window)}. Means of {seeds} models ± 95 % "
        "interval; below them, the share of the full data's figure.",
        f"Of the full data's figures the summary reaches {', '.join(reached)}; 95 % intervals over "
        f"{task.units} and models.",
        leads(comparison),
    ]
    if comparison.origin:
        lines.append(comparison.origin)
    lines.append(
        f"Training on the summary takes {ours.seconds:.2f} s, on the full data {full.seconds:.1f} s: "
        f"{comparison.speedup:,.0f} times faster."
    )
    if comparison.distilling is not None:
        even = comparison.break_even
        paid = "never paid for" if even is None else f"paid for after {math.ceil(even):,} trainings"
        lines.append(f"Distilling took {comparison.distilling:,.0f} s, {paid}.")
    return lines


def leads(comparison: "Comparison") -> str:
    """One sentence: what the summary is ahead of, behind, and not clearly different from."""
    verdicts: dict[int, list[str]] = {1: [], -1: [], 0: []}
    for result in comparison.results:
        if result.trained_on == "summary":
            continue
        by_verdict: dict[int, list[str]] = {1: [], -1: [], 0: []}
        for metric in comparison.headlines:
            by_verdict[comparison.lead(result.trained_on, metric)].append(metric)
        for verdict, metrics in by_verdict.items():
            if metrics:
                some = "" if len(metrics) == len(comparison.headlines) else f" ({', '.join(metrics)})"
                verdicts[verdict].append(f'"{result.trained_on}"{some}')
    words = {1: "ahead of", -1: "behind", 0: "not clearly different from"}
    parts = [f"{words[verdict]} {_listed(names)}" for verdict, names in verdicts.items() if names]
    return f"The summary is {'; '.join(parts)} (95 % intervals of the differences)."


def _listed(names: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
