"""A run's whole state: how it begins, goes on, is measured, and passes into a checkpoint and back."""

import math
import time
from functools import cache
from pathlib import Path
from statistics import fmean, median
from typing import Any, Self

import torch
from torch import Tensor

from farzi.data import Data, Text
from farzi.data.fingerprint import fingerprint
from farzi.distillation.build import first_summary, form_of, outer_loop
from farzi.distillation.check import short_check
from farzi.distillation.checkpoint import Checkpoint
from farzi.distillation.clipping import RunningClip, Smoothness
from farzi.distillation.outer import StepReport, cosine
from farzi.distillation.progress import Progress
from farzi.distillation.reference import Reference, References, trainings
from farzi.distillation.validation import Validation, validate
from farzi.errors import FarziError
from farzi.evaluation import kind_of
from farzi.files import finite_values
from farzi.provenance import provenance
from farzi.recipe import Recipe, differences, parse_recipe
from farzi.summary import Folder, Summary

LOST = 10
"""Outer steps in a row without a finite metagradient after which a run gives up."""


class Run:
    """The outer loop, what was measured and the best summary; made by `begin` or `resume`.

    Attributes:
        outer: the outer loop.
        history: the lines of history.jsonl so far.
        precision: what the short check at the start found; None in a state saved before there was one.
    """

    def __init__(
        self, recipe: Recipe, dataset: Data, progress: Progress, start: Summary, full: Reference
    ) -> None:
        self.recipe, self.dataset, self.progress, self.full = recipe, dataset, progress, full
        self.clip, self.smoothness = RunningClip(recipe.outer.clip), Smoothness()
        self.outer = outer_loop(recipe, dataset, start, self.clip, full.trajectories)
        self.data = fingerprint(dataset)
        self.reports: list[StepReport] = []  # since the last measurement
        self.history: list[dict[str, Any]] = []
        self.precision: dict[str, Any] | None = None
        self.first: Validation | None = None  # of the start
        self.best_score, self.best = -math.inf, start
        self.lost = 0
        self.behind = 0.0  # seconds of earlier sessions
        self.started = time.monotonic()

    @classmethod
    def begin(
        cls,
        recipe: Recipe,
        dataset: Data,
        progress: Progress,
        unchecked: bool,
        references: References,
        device: torch.device | str = "cpu",
    ) -> Self:
        """A new run, with its start measured beside the full data, which `references` give the figures of.

        Raises:
            FarziError: the log is too small for the summary, or the metagradient is not precise, and
                `unchecked` does not allow that.
        """
        started = time.monotonic()

        @cache
        def full() -> Reference:
            number = len(trainings(recipe))
            several = "one student" if number == 1 else f"{number} students"
            progress.message(f"training {several} on the full data, to measure against")
            return references(recipe, dataset, device, progress)

        start = first_summary(recipe, dataset, lambda: full().teachers)
        run = cls(recipe, dataset, progress, start.to(device), full())
        run.started = started
        run.behind = full().before
        run.precision = short_check(run.outer, unchecked, progress, recipe.inner.gradient)
        run.measure()
        return run

    @classmethod
    def resume(cls, saved: Checkpoint, recipe: Recipe, dataset: Data, progress: Progress, out: Path) -> Self:
        """Go on from a state, where its tensors are.

        Raises:
            FarziError: it is of another recipe or another log.
        """
        values, temperature = saved.values, recipe.summary.temperature
        there = parse_recipe(values["recipe"], f"the recipe in {out}")
        refuse_another(there, recipe, values["data"], dataset, out, "an unfinished run")
        now, best = saved.part("outer"), saved.part("best")
        start = form_of(recipe).summary(now, temperature)
        full = Reference.of_tensors(saved.tensors, values["full"])
        run = cls(recipe, dataset, progress, start, full)
        run.outer.restore(now, values["step"])
        run.first = _first(values["history"], saved.part("first"))
        run.best_score = values["best"]
        run.best = Summary(**best, temperature=temperature)
        run.behind, run.lost, run.clip.mean = values["seconds"], values["lost"], values["clip_mean"]
        run.smoothness.norms.extend(values["norms"])
        run.smoothness.warned = values["warned"]
        figure = run.outer.objective.figure
        run.reports = [StepReport(loss, norm, figure) for loss, norm in values["reports"]]
        run.history = values["history"]
        run.precision = values.get("precision")
        return run

    @property
    def seconds(self) -> float:
        """Spent so far, in this session and those before."""
        return self.behind + time.monotonic() - self.started

    @property
    def fraction(self) -> float:
        """Of the run that is behind."""
        minutes = self.recipe.outer.minutes
        return self.outer.step / self.recipe.outer.steps if minutes is None else self.seconds / (60 * minutes)

    @property
    def done(self) -> bool:
        """Whether all steps, or all minutes, are behind; the last step is always measured."""
        return self.fraction >= 1 and self.history[-1]["outer_step"] == self.outer.step

    @property
    def due(self) -> bool:
        """Whether a validation is."""
        return self.outer.step % self.recipe.outer.validate_every == 0 or self.fraction >= 1

    def advance(self) -> None:
        """One outer step.

        Raises:
            FarziError: for `LOST` steps no metagradient was finite.
        """
        report = self.outer.take_step(self.recipe.outer.learning_rate * cosine(self.fraction))
        self.lost = 0 if math.isfinite(report.norm) else self.lost + 1
        if self.lost == LOST:
            raise FarziError(
                f"no finite metagradient for {LOST} outer steps (step {self.outer.step}): inner training "
                "diverges; lower --inner-learning-rate or raise --epsilon"
            )
        self.reports.append(report)
        if (warning := self.smoothness(report.norm)) is not None:
            self.progress.warning(warning)
        self.progress.step(self.outer.step, self.fraction, self.seconds, report)

    def measure(self) -> None:
        """A validation: write it down, keep the summary if it is the best so far.

        Of many validations that differ by chance the best one is the luckiest. Hence none takes the start's
        place that is not clear of it.
        """
        result = validate(self.outer.summary, self.dataset, self.recipe, self.full.figures)
        best = result.score > self.best_score and (self.first is None or result.clear_of(self.first))
        if not self.history:
            self.first = result
        if best:
            self.best_score, self.best = result.score, self.outer.summary
        line = _line(self.outer.step, self.outer.objective.figure, self.reports, result, best)
        self.history.append(line)
        self.reports = []
        self.progress.validation(self.outer.step, result, best)

    def checkpoint(self) -> Checkpoint:
        """The state, to go on from later."""
        tensors = {f"outer/{name}": value for name, value in self.outer.tensors().items()}
        tensors |= {f"best/{name}": part for name, part in self.best.parts.items()}
        tensors |= self.full.tensors
        if self.first is not None:
            tensors["first/without"] = torch.from_numpy(self.first.without)
        values = {
            "recipe": self.recipe.to_yaml(),
            "data": self.data,
            "step": self.outer.step,
            "seconds": self.seconds,
            "best": self.best_score,
            "clip_mean": self.clip.mean,
            "lost": self.lost,
            "norms": list(self.smoothness.norms),
            "warned": self.smoothness.warned,
            "reports": [[report.loss, report.norm] for report in self.reports],
            "history": self.history,
            "precision": self.precision,
            "full": self.full.values,
        }
        return Checkpoint(tensors, values)

    def folder(self) -> Folder:
        """The result: the best summary."""
        facts = {
            "kind": kind_of(self.dataset).name,
            "seconds": round(self.seconds, 1),
            "outer_steps": self.outer.step,
            "data_sha256": self.data,
            "validation_full": self.full.figures,
            "precision": self.precision,
            **provenance(self.outer.summary.device),
        }
        tokenizer = self.dataset.tokenizer if isinstance(self.dataset, Text) else None
        return Folder(
            self.best.to("cpu"), self.dataset.vocabulary, self.recipe, self.history, facts, tokenizer
        )


def refuse_another(
    recipe: Recipe, ours: Recipe, data: str | None, dataset: Data, out: Path, what: str
) -> None:
    """Refuse what the folder `out` holds where it came of another recipe than `ours` or of another log.

    Args:
        recipe: the one in the folder.
        ours: the one asked for.
        data: the fingerprint in the folder.
        dataset: the log asked for.
        out: the folder.
        what: it holds, for the message.

    Raises:
        FarziError: they differ.
    """
    if changed := differences(recipe, ours):
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise FarziError(
            f"{out} holds {what} of another recipe ({'; '.join(changed[:3])}{more}); "
            "choose another --out, or --restart"
        )
    if data != fingerprint(dataset):
        raise FarziError(
            f"{out} holds {what} of other data than {ours.data.file or ours.data.source} is now; "
            "choose another --out, or --restart"
        )


def _first(history: list[dict[str, Any]], kept: dict[str, Tensor]) -> Validation | None:
    """The start's validation, of a state's history and tensors; states once had no tensors of it."""
    if not kept:
        return None
    figures, relative = (
        {name: math.nan if value is None else value for name, value in history[0][what].items()}
        for what in ("validation", "relative_to_full")
    )
    return Validation(figures, relative, kept["without"].cpu().numpy())


def _line(
    step: int, figure: str, reports: list[StepReport], result: Validation, best: bool
) -> dict[str, Any]:
    """A line of history.jsonl: a measurement and the steps since the last; null for what is not finite."""
    losses = [report.loss for report in reports if math.isfinite(report.loss)]
    norms = [report.norm for report in reports if math.isfinite(report.norm)]
    return {
        "outer_step": step,
        figure: fmean(losses) if losses else None,
        "metagradient_norm": {"median": median(norms), "min": min(norms), "max": max(norms)}
        if norms
        else None,
        "steps_without_metagradient": len(reports) - len(norms),
        "validation": finite_values(result.figures),
        "relative_to_full": finite_values(result.relative),
        "best": best,
    }
