"""An outer loop that diverges goes back to its best state, at a lower rate, some times; and says so."""

import json
import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from farzi.data import Log
from farzi.distillation import OuterLoop, Progress, StepReport, distill, initialise
from farzi.distillation import run as stage
from farzi.distillation.backoff import FACTOR, LIMIT, Backoff
from farzi.distillation.select import Validation
from farzi.errors import FarziError
from farzi.recipe import Recipe

STEPS = 32


class Told(Progress):
    """Keeps the warnings; calls something after an outer step, once."""

    def __init__(self, at: int = 0, action: Callable[[], Any] = lambda: None) -> None:
        self.warnings: list[str] = []
        self.at, self.action = at, action

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def step(self, number: int, fraction: float, seconds: float, report: StepReport) -> None:
        if number == self.at:
            self.at = 0
            self.action()


def spoil(monkeypatch: pytest.MonkeyPatch, begin: int, end: int, value: float = math.nan) -> list[float]:
    """Metagradients of outer steps begin, begin + 1, ..., end − 1 are `value`; the rates of all steps."""
    rates, take = list[float](), OuterLoop.take_step

    def step(self: OuterLoop, rate: float) -> StepReport:
        rates.append(rate)
        clip = self.clip
        with monkeypatch.context() as patch:
            if begin <= self.step < end:
                patch.setattr(self, "clip", lambda gradient: clip(torch.full_like(gradient, value)))
            return take(self, rate)

    monkeypatch.setattr(OuterLoop, "take_step", step)
    return rates


@pytest.fixture
def longer(recipe: Recipe) -> Recipe:
    return recipe.changed({"outer.steps": STEPS, "select.every": 8, "outer.learning_rate": 0.01})


def test_steps_without_a_finite_metagradient_end_in_the_best_state_at_a_lower_rate(
    tiny: Log, longer: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rates, told = spoil(monkeypatch, 12, 22), Told()
    summary = distill(longer, tmp_path, dataset=tiny, progress=told)
    (event,) = summary.run["stages"]["refine"]["backed_off"]
    assert (event["outer_step"], event["factor"]) == (22, FACTOR)
    scores = {line["outer_step"]: line["relative_to_full"] for line in summary.history}
    assert event["back_to"] in scores
    assert event["back_to"] <= 12
    (line,) = [one for one in told.warnings if "back to" in one]
    assert line.startswith("outer step 22: no finite metagradient for 10 outer steps; back to ")
    assert "\n" not in line
    for step, rate in enumerate(rates):
        factor = FACTOR if step >= 22 else 1.0
        assert rate == pytest.approx(0.01 * factor * stage.cosine_decay(step / STEPS))
    lines = [json.loads(one) for one in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [one["outer_step"] for one in lines if "backed_off" in one] == [24]
    assert lines[-1]["outer_step"] == STEPS
    assert lines[-1]["relative_to_full"]["HR@10"] > 0


def test_it_is_the_state_of_the_best_validation(tiny: Log, recipe: Recipe):
    loop, backoff = OuterLoop(recipe, tiny, initialise(recipe, tiny)), Backoff()
    backoff.offer(loop, 0.5)
    loop.take_step(0.03)
    backoff.offer(loop, 0.9)
    best = loop.state_dict()
    loop.take_step(0.03)
    backoff.offer(loop, 0.7)
    assert "after outer step 1," in str(backoff.back(loop, "it diverged"))
    state = loop.state_dict()
    assert loop.step == 2
    for name, part in best["parts"].items():
        assert torch.equal(state["parts"][name], part)
        assert torch.equal(state["mean"][name], best["mean"][name])
    assert all(torch.equal(*pair) for pair in zip(state["adam"], best["adam"], strict=True))
    assert state["runs"] == [[[None] * recipe.outer.pool]]


def test_it_goes_back_a_bounded_number_of_times(
    tiny: Log, longer: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spoil(monkeypatch, 3, 10**9)
    told = Told()
    with pytest.raises(FarziError, match=r"lower outer\.learning_rate"):
        distill(longer.changed({"outer.steps": 200}), tmp_path, dataset=tiny, progress=told)
    assert sum("back to" in one for one in told.warnings) == LIMIT


def test_a_metagradient_that_is_zero_for_long_is_a_divergence(
    tiny: Log, longer: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spoil(monkeypatch, 5, 15, value=0.0)
    told = Told()
    summary = distill(longer, tmp_path, dataset=tiny, progress=told)
    (event,) = summary.run["stages"]["refine"]["backed_off"]
    assert (event["outer_step"], event["reason"]) == (15, "the metagradient was 0 for 10 outer steps")


def test_a_summary_that_becomes_far_worse_than_the_initial_one_is_left(
    tiny: Log, longer: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    measured, count = stage.validate, iter(range(100))

    def third_is_bad(*given: Any) -> Validation:
        found = measured(*given)
        factor = 0.5 if next(count) == 2 else 1.0
        relative = {name: factor * value for name, value in found.relative.items()}
        return Validation(found.figures, relative, factor * found.leave_one_out)

    monkeypatch.setattr(stage, "validate", third_is_bad)
    told = Told()
    summary = distill(longer, tmp_path, dataset=tiny, progress=told)
    (event,) = summary.run["stages"]["refine"]["backed_off"]
    assert event["reason"].startswith("the validation's score fell to ")
    assert (event["outer_step"], event["back_to"]) in ((16, 0), (16, 8))
    (line,) = [one for one in summary.history if "backed_off" in one]
    assert (line["outer_step"], line["backed_off"]) == (16, [event])
    assert sum("back to" in one for one in told.warnings) == 1


def test_a_run_that_goes_back_resumes_bit_for_bit(
    tiny: Log, longer: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spoil(monkeypatch, 12, 22)
    distill(longer, tmp_path / "whole", dataset=tiny)
    for step in (14, 23):  # before it goes back, and after
        told = Told(step, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            distill(longer, tmp_path / "cut", dataset=tiny, progress=told)
    distill(longer, tmp_path / "cut", dataset=tiny)
    for name in ("summary.safetensors", "history.jsonl"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
