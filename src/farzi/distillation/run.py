"""A distillation between its stages: what it holds, how it advances, and its state for a checkpoint."""

import math
import time
from pathlib import Path
from typing import Any, NoReturn

import torch

from farzi.data import Data, Log, Text
from farzi.data.fingerprint import fingerprint
from farzi.distillation.backoff import LOST, Backoff
from farzi.distillation.check import check_parts, short_check
from farzi.distillation.checkpoint import ADVICE, NAME, refuse_another
from farzi.distillation.initialise import check_data, initialise, origin_text
from farzi.distillation.plan import warn_of_minutes
from farzi.distillation.refine import OuterLoop, cosine_decay
from farzi.distillation.select import Selection, Validation, history_line, validate
from farzi.distillation.teach import Cache, FullData, full_trainings, of_teachers, restored, teach
from farzi.errors import FarziError
from farzi.evaluation import headline_figures, nearest_windows, shares, task_of
from farzi.files import finite_values
from farzi.models import SequenceModel
from farzi.processes import current
from farzi.progress import Progress, StepReport, counted
from farzi.provenance import environment, provenance
from farzi.recipe import Recipe, parse_recipe
from farzi.states import check_like, restoring
from farzi.summary import Summary, SummaryTensors, checked_tensors
from farzi.summary.checked import Line
from farzi.training import NextEvent

PATIENCE = 10
"""Outer steps in a row without a finite metagradient after which a run backs off, or gives up."""

SAVED = ("history", "stages", "precision", "norms", "warned", "stopped", "without_gradient", "sessions")
"""Attributes of a run, JSON values, that a checkpoint holds as they are."""

RECORDED_STAGES = {
    "teach": ("seconds", "trainings"),
    "initialise": ("seconds",),
    "refine": ("seconds", "steps", "without_metagradient", "stopped_by_probe"),
    "select": ("seconds", "validations"),
}
"""Numbers of each stage that a checkpoint holds."""

SWING, WATCHED = 1000.0, 50
"""A norm that varies by more than this factor within so many outer steps is reported, once."""


class Run:
    """A distillation between its stages: full-data trainings, outer loop, selection, history."""

    def __init__(
        self, recipe: Recipe, dataset: Data, progress: Progress, initial: SummaryTensors, full_data: FullData
    ) -> None:
        self.recipe, self.dataset, self.progress, self.full_data = recipe, dataset, progress, full_data
        self.loop = OuterLoop(recipe, dataset, initial, full_data.trajectories, full_data.teachers)
        self.selection = Selection(initial.rounded(recipe.summary.precision))
        self.backoff = Backoff()
        self.data_sha256 = fingerprint(dataset)
        self.reports: list[StepReport] = []  # since the last validation
        self.history: list[dict[str, Any]] = []
        self.stages: dict[str, Any] = {}
        self.precision: dict[str, Any] | None = None
        self.norms: list[float] = []
        self.warned = self.stopped = False
        self.without_gradient = 0  # outer steps since the last finite metagradient
        self.sessions: list[dict[str, Any]] = []
        self.earlier_seconds = self.clock = 0.0
        self.started = time.monotonic()

    @staticmethod
    def begin(
        recipe: Recipe,
        dataset: Data,
        cache: Cache,
        progress: Progress,
        unchecked: bool = False,
        device: torch.device | str = "cpu",
    ) -> "Run":
        """A new run after its first two stages, with the initial summary validated; errors as `distill`."""
        started = time.monotonic()
        check_parts(recipe, len(dataset.vocabulary))
        check_data(dataset)
        count = len(full_trainings(recipe))

        def initial_summary(teachers: tuple[SequenceModel, ...]) -> tuple[SummaryTensors, float]:
            begun = time.monotonic()
            initial = current().once(lambda: initialise(recipe, dataset, teachers))
            return initial, time.monotonic() - begun

        # one that needs no teachers comes first: what it refuses is refused before the long trainings
        early = None if getattr(recipe.init.build(), "teachers", 0) else initial_summary(())
        current().once(lambda: warn_of_minutes(recipe, dataset, cache, progress, device))
        progress.message(f"teach: training {counted(count, 'model')} on the full data")
        full_data = teach(recipe, dataset, cache, device, progress)
        cached = f", {full_data.cached_seconds:.0f} s of it cached" if full_data.cached_seconds else ""
        figures = headline_figures(full_data.figures)
        line = f"{counted(count, 'full-data training')}{cached}; baseline, validation: {figures}"
        progress.stage("teach", line, full_data.seconds)
        initial, seconds = early or initial_summary(full_data.teachers)
        size = f"{recipe.summary.sequences} x {recipe.summary.length} positions"
        line = f"{size} by the initializer {recipe.init.type}{origin_text(recipe, dataset)}"
        progress.stage("initialise", line, seconds)
        run = Run(recipe, dataset, progress, initial.to(device), full_data)
        run.started, run.earlier_seconds = started, full_data.cached_seconds
        run.sessions = [{"outer_step": 0, **environment(run.loop.summary.device)}]
        run.stages = {
            "teach": {"seconds": round(full_data.seconds, 1), "trainings": count},
            "initialise": {"seconds": round(seconds, 1), "type": recipe.init.type},
            "refine": {"seconds": 0.0, "steps": 0, "without_metagradient": 0, "stopped_by_probe": False},
            "select": {"seconds": 0.0, "validations": 0},
        }
        exact = recipe.outer.adjoint.type == "exact"
        run.precision = current().once(lambda: short_check(run.loop, unchecked, progress, exact))
        run.validate()
        return run

    @staticmethod
    def resume(saved: dict[str, Any], recipe: Recipe, dataset: Data, progress: Progress, out: Path) -> "Run":
        """Continue from a state, on the device of its tensors.

        Raises:
            FarziError: it is of another recipe or other data, or no state of such a run.
        """
        with restoring(out / NAME, ADVICE):
            return Run._resume(saved, recipe, dataset, progress, out)

    @staticmethod
    def _resume(saved: dict[str, Any], recipe: Recipe, dataset: Data, progress: Progress, out: Path) -> "Run":
        try:
            there = parse_recipe(saved["recipe"], f"the recipe in {out}")
        except FarziError as error:  # a setting that this version does not have
            raise ValueError(str(error)) from error
        refuse_another(there, recipe, saved["data_sha256"], dataset, out, "an unfinished run")
        best = checked_tensors(dict(saved["selection"]["best"]), str(recipe.summary.temperature))
        trainings = of_teachers(full_trainings(recipe), recipe)
        weights = zip(trainings, saved["teachers"], strict=False)  # none where the outer loop reads none
        teachers = tuple(restored(training, dataset, theta) for training, theta in weights)
        full_data = FullData(**saved["full_data"], teachers=teachers)
        run = Run(recipe, dataset, progress, best, full_data)
        check_like(saved, run.state_dict())
        run.loop.load_state_dict(saved["loop"])
        run.selection.load_state_dict(saved["selection"])
        run.backoff.load_state_dict(saved["backoff"], run.loop)
        run.reports = [StepReport(*report) for report in saved["reports"]]
        run.earlier_seconds = saved["seconds"]
        for name in SAVED:
            setattr(run, name, saved[name])
        run._check_state()
        run._join(environment(best.device))
        run.read_clock()
        return run

    def _check_state(self) -> None:
        """Raise ValueError, or what a missing value raises, where a state cannot be one of this run."""
        step, outer, shape = self.loop.step, self.recipe.outer, self.recipe.summary
        if type(step) is not int or step < 0 or (outer.minutes is None and step > outer.steps):
            raise ValueError(f"outer step {step} of {outer.steps}")
        for line in self.history:
            Line.model_validate(line)
        last = self.history[-1]["outer_step"]
        if not 0 <= last <= step or not any(line["best"] for line in self.history):
            raise ValueError(f"a validation after outer step {last} of {step}")
        numbers = all(isinstance(norm, float) for norm in self.norms)
        if not numbers or not self.selection.best_score > -math.inf or not self.seconds >= 0:
            raise ValueError("a figure that is no number")
        first = self.selection.first
        if first and isinstance(self.dataset, Log) and len(first.leave_one_out) != len(self.dataset.valid):
            raise ValueError("a validation of other users")
        best, items = self.selection.best, len(self.dataset.vocabulary)
        if (best.sequences, best.length, best.vocabulary) != (shape.sequences, shape.length, items):
            raise ValueError("the best summary has another shape")
        for stage, names in RECORDED_STAGES.items():
            for name in names:
                float(self.stages[stage][name])

    def _join(self, here: dict[str, Any]) -> None:
        """Record where the run is resumed, and say what differs from where it was before."""
        for one in self.sessions:
            check_like(one, {"outer_step": 0, **here, "commit": None}, "a session")
        before = self.sessions[-1]
        changed = [name for name, value in here.items() if before[name] != value]
        self.sessions.append({"outer_step": self.loop.step, **here})
        if changed:
            then, now = (", ".join(f"{name} {where[name]}" for name in changed) for where in (before, here))
            self.progress.warning(
                f"begun with {then}, resumed with {now}: the result will not be the same bit for bit"
            )

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to continue later: nested dicts and lists of tensors and JSON values."""
        return {
            "recipe": self.recipe.to_yaml(),
            "data_sha256": self.data_sha256,
            "full_data": self.full_data.state_dict(),
            "teachers": self._teachers(),
            "loop": self.loop.state_dict(),
            "selection": self.selection.state_dict(),
            "backoff": self.backoff.state_dict(),
            "reports": [list(report) for report in self.reports],
            "seconds": self.seconds,
            **{name: getattr(self, name) for name in SAVED},
        }

    def _teachers(self) -> list[dict[str, torch.Tensor]]:
        """The weights of the models that the outer loop reads from."""
        models = self.loop.teachers.models if self.loop.teachers else ()
        return [NextEvent(model).parameters_of(model) for model in models]

    @property
    def seconds(self) -> float:
        """Spent so far, in this session and in earlier ones."""
        return self.earlier_seconds + time.monotonic() - self.started

    def read_clock(self) -> None:
        """Where the clock decides how many steps are taken, all processes go by that of the first one."""
        if self.recipe.outer.minutes is not None:
            self.clock = current().once(lambda: self.seconds)

    @property
    def fraction(self) -> float:
        """The finished fraction of the run."""
        outer = self.recipe.outer
        if outer.minutes is not None:
            return self.clock / (60 * outer.minutes)
        return self.loop.step / outer.steps if outer.steps else 1.0

    @property
    def done(self) -> bool:
        """Whether all steps, or all minutes, are over; the last step is always validated."""
        over = self.fraction >= 1 or self.stopped
        return over and self.history[-1]["outer_step"] == self.loop.step

    @property
    def validation_due(self) -> bool:
        """Whether a validation comes next."""
        return self.loop.step % self.recipe.select.every == 0 or self.fraction >= 1

    def advance(self) -> None:
        """One outer step.

        Raises:
            FarziError: for `PATIENCE` steps no metagradient was finite, and going back is of no use.
        """
        begun = time.monotonic()
        rate = self.recipe.outer.learning_rate * cosine_decay(self.fraction) * self.backoff.factor
        report = self.loop.take_step(rate)
        self.stages["refine"]["without_metagradient"] += not math.isfinite(report.norm)
        self.without_gradient = 0 if math.isfinite(report.norm) else self.without_gradient + 1
        self.reports.append(report)
        self._watch(report.norm)
        self._check_gradient()
        self.stages["refine"]["steps"] = self.loop.step
        self.stages["refine"]["seconds"] += time.monotonic() - begun
        self.read_clock()
        self.progress.step(self.loop.step, self.fraction, self.seconds, report)

    def _check_gradient(self) -> None:
        """Back off where the metagradient has been lost; `advance` says when that is an error."""
        last = self.norms[-PATIENCE:]
        if self.without_gradient == PATIENCE:
            finite_before = self.stages["refine"]["without_metagradient"] < self.loop.step
            if not (finite_before and self._back_off(f"no finite metagradient for {PATIENCE} outer steps")):
                self._give_up(f"for {PATIENCE} outer steps (step {self.loop.step})")
        elif len(last) == PATIENCE and not any(last) and any(self.norms):
            self._back_off(f"the metagradient was 0 for {PATIENCE} outer steps")

    def _back_off(self, reason: str) -> bool:
        """Go back to the best state at a lower rate, and say so; False if that was done too often."""
        line = self.backoff.back(self.loop, reason)
        if line is not None:
            self.progress.warning(line)
            self.norms, self.without_gradient = self.norms[-1:], 0
        return line is not None

    def _give_up(self, where: str) -> NoReturn:
        """Raise FarziError: after steps without a finite metagradient there is nothing to gain."""
        if self.stages["refine"]["without_metagradient"] < self.loop.step:  # it was finite at first
            advice = "an outer step has moved the summary too far; lower outer.learning_rate"
        else:
            advice = (
                "training on the summary diverges; lower inner.optimizer.learning_rate or raise "
                "inner.optimizer.epsilon"
            )
        raise FarziError(f"no finite metagradient {where}: {advice}")

    def validate(self, known: Validation | None = None) -> None:
        """Validate the summary, record it, and stop the outer loop if the probe gained nothing.

        `known` is what this validation would give, where it was made before.
        """
        begun = time.monotonic()
        summary = self.loop.averaged.rounded(self.recipe.summary.precision)  # as it would be stored
        result = known or validate(summary, self.dataset, self.recipe, self.full_data.figures)
        last = self.loop.step > 0 and self.fraction >= 1
        best = self.selection.offer(summary, result, last)
        self.backoff.offer(self.loop, result.score)
        line = history_line(self.loop.step, self.loop.objective.name, self.reports, result, best)
        self.history.append(line)
        self._record_gain(result)
        probe, first = self.recipe.outer.probe, self.selection.first
        step = self.loop.step
        if probe is not None and first is not None and step >= probe and not self.selection.improved:
            self.stopped = not result.better_than_noise(first)
            self.stages["refine"]["stopped_by_probe"] = self.stopped
        self._check_score(result)
        since = self.loop.step - len(self.reports)
        if events := [one for one in self.backoff.events if one["outer_step"] > since]:
            line["backed_off"] = events
        self.reports = []
        self.stages["select"]["seconds"] += time.monotonic() - begun
        self.stages["select"]["validations"] += 1
        self.read_clock()
        self.progress.validation(self.loop.step, result, best)

    def _check_score(self, result: Validation) -> None:
        """Back off where the summary has become far worse than the initial one."""
        first = self.selection.first
        if first is None or self.stopped or self.fraction >= 1:
            return
        if result.score < LOST * first.score and first.clearly_better(result):
            self._back_off(f"the validation's score fell to {result.score / first.score:.0%} of the first")

    def _record_gain(self, result: Validation) -> None:
        """Keep the largest gain over the initial summary, and how much would have been clear of noise."""
        gain, needed = result.gain_over(self.selection.first or result)
        select = self.stages["select"]
        if result is not self.selection.first and gain > select.get("gain", -math.inf):
            select |= {"gain": gain, "gain_needed": needed}

    def finish(self) -> Summary:
        """The best summary, with all that stands beside it; reports the last two stages.

        Raises:
            FarziError: more than half of the outer steps, up to the last, had no finite metagradient; or half
                of all steps, and no summary was better than the initial one.
        """
        lost, steps = self.stages["refine"]["without_metagradient"], counted(self.loop.step, "outer step")
        if 2 * self.without_gradient > self.loop.step:
            self._give_up(f"in the last {self.without_gradient} of {steps}")
        if lost and 2 * lost >= self.loop.step and not self.selection.improved:
            self._give_up(f"in {lost} of {steps}")
        best = [line for line in self.history if line["best"]][-1]
        refine, select = self.stages["refine"], self.stages["select"]
        early = ", stopped early: they gained nothing" if refine["stopped_by_probe"] else ""
        self.progress.stage("refine", f"{steps}{early}", refine["seconds"])
        if lost:
            self.progress.warning(f"{lost} of {steps} had no finite metagradient")
        updated = self.stages["initialise"].get("type") == "update"
        of = "the updated teacher's" if updated else "the full data's"
        chosen = f"outer step {best['outer_step']}" if self.selection.improved else "the initial summary"
        self.progress.stage(
            "select",
            f"{chosen}, of {counted(select['validations'], 'validation')}; of {of} figures: "
            f"{shares(best['relative_to_full'])}",
            select["seconds"],
        )
        refine["seconds"], select["seconds"] = round(refine["seconds"], 1), round(select["seconds"], 1)
        select["outer_step"] = best["outer_step"]
        if self.backoff.events:
            refine["backed_off"] = self.backoff.events
        tensors = self.selection.best.to("cpu")
        near = nearest_windows(tensors.top_events(), self.dataset.train)
        facts = {
            "task": task_of(self.dataset).name,
            "seconds": round(self.seconds, 1),
            "outer_steps": self.loop.step,
            "stages": finite_values(self.stages),
            "data_sha256": self.data_sha256,
            "validation_full": self.full_data.figures,
            "precision": self.precision,
            "nearest_real": {
                "positions": tensors.length,
                "equal": near.equal.tolist(),
                "longest_run": near.run.tolist(),
            },
            "sessions": self.sessions,
            **provenance(self.loop.summary.device),
        }
        tokenizer = self.dataset.tokenizer if isinstance(self.dataset, Text) else None
        return Summary(tensors, self.dataset.vocabulary, self.recipe, self.history, facts, tokenizer)

    def _watch(self, norm: float) -> None:
        """Warn once where the metagradient's norm swings by orders of magnitude."""
        self.norms = [*self.norms, norm][-WATCHED:]
        low, high = min(self.norms), max(self.norms)
        if self.warned or len(self.norms) < 10 or high <= SWING * low:
            return
        self.warned = True
        self.progress.warning(
            f"the metagradient is not smooth: its norm varied from {low:.2g} to {high:.2g} within "
            f"{len(self.norms)} steps; raise inner.optimizer.epsilon, lower inner.optimizer.learning_rate or "
            "shorten outer.window"
        )
