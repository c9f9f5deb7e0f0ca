"""Transfer: architectures that a summary was not distilled with, trained on it; and their table."""

import json
import math
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from farzi.data import Data
from farzi.evaluation import Comparison, Seen, aligned, metric_of, task_of
from farzi.evaluation.compare import check_vocabulary
from farzi.evaluation.controls import Random
from farzi.evaluation.trials import Trials
from farzi.files import finite_values, write_text_atomic
from farzi.provenance import provenance
from farzi.recipe import Inner, Recipe
from farzi.recipe.variants import AdamW, StudentVariant
from farzi.report.comparison import source_line
from farzi.summary import Summary, SummaryTensors
from farzi.training import train_on_summary

FACTORS = (1 / 3, 1.0, 3.0)
"""Learning rates tried for another architecture, as multiples of the recipe's."""


def trainings_of_others(inner: Inner, sequences: int) -> tuple[Inner, ...]:
    """The trainings on a summary that are tried for an architecture that it was not distilled with.

    The recipe's training at three learning rates, and one with more regularisation at the same rates, because
    this architecture's overfitting had no influence on the summary
    (docs/decisions/0013-students-of-others.md): AdamW with a decay of at least 1, at most a fifth of the
    sequences in each step, and a rate that decays over at least the last half.

    Args:
        inner: the recipe's training.
        sequences: number of sequences in the summary.
    """
    batch = min(inner.batch or sequences, max(1, sequences // 5))
    own = inner.optimizer.own
    rate, decay = float(own["learning_rate"]), max(1.0, float(own.get("weight_decay", 0.0)))
    same = {name: own[name] for name in ("beta1", "beta2", "epsilon") if name in own}
    regularised = inner.model_copy(
        update={
            "optimizer": AdamW(learning_rate=rate, weight_decay=decay, **same),
            "batch": batch,
            "cooldown": max(0.5, inner.cooldown),
        }
    )
    return tuple(
        one.model_copy(
            update={"optimizer": one.optimizer.model_copy(update={"learning_rate": factor * rate})}
        )
        for one in (inner, regularised)
        for factor in FACTORS
    )


def best_inner(trials: Trials, summary: SummaryTensors, tried: Sequence[Inner]) -> Inner:
    """The training on a summary with the best validation score; the first one of equal ones."""
    trials.progress("summary: choosing a training")
    seed, valid = trials.first_seed - 1, trials.dataset.valid
    return max(
        tried,
        key=lambda inner: trials.task.score(
            train_on_summary(summary, trials.student, inner, seed).model, valid
        ),
    )


def transfer(
    summary: Summary,
    data: Data,
    students: Sequence[StudentVariant],
    recipe: Recipe | None = None,
    *,
    seen: Seen | None = None,
    first_seed: int = 1000,
    device: torch.device | str = "cpu",
    progress: Callable[[str], None] | None = None,
) -> list[Comparison]:
    """Train and test several architectures on the full data, on a summary and on random sequences.

    Each is compared with its own training on the full data. On the summary, an architecture that it was
    distilled with is trained as the recipe says; another one gets the training of `trainings_of_others` that
    has the best validation score, as trainings on real events are tuned, too.

    Args:
        summary: the summary.
        data: the log or text that it was distilled from.
        students: the architectures.
        recipe: another recipe than the summary's; its `compare`, `teach` and `inner` are used.
        seen: whether rankings contain the items of a user's history; as in the recipe if None.
        first_seed: seeds of the models count up from here.
        device: where models are trained.
        progress: called with a line of text before each training.

    Returns:
        One comparison per architecture, of "full", "summary" and "random", in their order.

    Raises:
        FarziError: the data have other items than the summary.
    """
    recipe = recipe or summary.recipe
    check_vocabulary(data, summary)
    tensors, compared = summary.tensors.to(device), []
    for student in students:

        def report(text: str, name: str = student.type) -> None:
            if progress is not None:
                progress(f"{name}, {text}")

        trials = Trials(
            data,
            student,
            tensors.length,
            task_of(data, seen or recipe.select.seen),
            recipe.compare.seeds,
            recipe.teach,
            first_seed,
            report,
            tensors.device,
        )
        inner = recipe.inner
        if student not in (summary.recipe.student, *summary.recipe.outer.students):
            inner = best_inner(trials, tensors, trainings_of_others(recipe.inner, tensors.sequences))
        pick = trials.picker(Random(), tensors.sequences)
        results = (
            trials.on_full_data(),
            trials.on_summary(tensors, inner),
            trials.on_events("random", pick, trials.best_rate("random", pick)),
        )
        items = len(data.vocabulary) - 1
        compared.append(Comparison(student.type, trials.task, tensors.length, items, results))
    return compared


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
            *(one.cell(result, metric, "\n") for metric in headlines),
            f"{result.seconds:.1f}",
        ]
        for one in compared
        for result in one.results
    ]
    table = aligned(["student", "trained on", *headlines, "train s"], rows)
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
            cells = [one.cell(result, metric) for metric in headlines]
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
