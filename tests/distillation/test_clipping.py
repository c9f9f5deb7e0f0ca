"""Clipping by a running norm, and the one warning about a rough metagradient."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from farzi.data import Log
from farzi.distillation import Progress, initialise
from farzi.distillation.refine import RunningClip
from farzi.distillation.run import SWING, WATCHED, Run
from farzi.distillation.teach import FullData
from farzi.recipe import Recipe


def clipped(clip: RunningClip, length: float) -> tuple[float, float]:
    """The length after clipping and the norm reported, for a metagradient of some length."""
    gradient = torch.tensor([0.6, 0.0, -0.8]) * length
    result, norm = clip(gradient)
    if norm and math.isfinite(norm):
        torch.testing.assert_close(result / result.norm(), gradient / gradient.norm())
    return float(result.norm()), norm


def test_the_limit_is_a_multiple_of_the_running_mean():
    clip = RunningClip(factor=2.0, decay=0.5)
    assert clipped(clip, 1.0) == (pytest.approx(1), pytest.approx(1))
    assert clip.mean == pytest.approx(1)
    assert clipped(clip, 2.5) == (pytest.approx(2.5), pytest.approx(2.5))  # mean 1.75, limit 3.5
    assert clip.mean == pytest.approx(1.75)
    assert clipped(clip, 100.0) == (pytest.approx(7.0), pytest.approx(100))  # it enters as 5.25: mean 3.5
    assert clip.mean == pytest.approx(3.5)


def test_an_outlier_does_not_open_the_gate():
    clip = RunningClip()
    for _ in range(20):
        clipped(clip, 1.0)
    length, norm = clipped(clip, 1e6)
    assert norm == pytest.approx(1e6)
    assert length < 1.3
    assert clipped(clip, 1e6)[0] < 1.6


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_becomes_zero_and_leaves_the_mean_alone(value: float):
    clip = RunningClip()
    clipped(clip, 2.0)
    result, norm = clip(torch.tensor([1.0, value]))
    assert result.tolist() == [0, 0]
    assert norm == math.inf
    assert clip.mean == pytest.approx(2.0)


def test_it_gets_over_a_first_metagradient_of_zero():
    clip = RunningClip()
    assert clipped(clip, 0.0) == (0, 0)
    assert clipped(clip, 3.0) == (pytest.approx(3), pytest.approx(3))
    assert clipped(clip, 0.0) == (0, 0)


class Warned(Progress):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


WarningsOf = Callable[[list[float]], list[str]]


@pytest.fixture
def warnings_of(tiny: Log, recipe: Recipe) -> WarningsOf:
    """The warnings of a run whose metagradients have these norms."""

    def warned(norms: list[float]) -> list[str]:
        progress = Warned()
        run = Run(recipe, tiny, progress, initialise(recipe, tiny), FullData({}, 0.0))
        for norm in norms:
            run._watch(norm)
        return progress.warnings

    return warned


def test_a_steady_norm_is_no_news(warnings_of: WarningsOf):
    rng = np.random.default_rng(0)
    assert warnings_of((0.05 * np.exp(rng.normal(size=500))).tolist()) == []
    assert warnings_of([0.0] * 100) == []
    # over a run a norm may well fall by orders of magnitude, if it does so slowly
    assert warnings_of(np.geomspace(100, 1e-4, 1000).tolist()) == []


def test_a_swing_by_orders_of_magnitude_is_reported_once_in_one_line(warnings_of: WarningsOf):
    rng = np.random.default_rng(0)
    norms = np.exp(rng.uniform(np.log(0.2), np.log(25_000), size=300)).tolist()
    (line,) = warnings_of(norms)
    assert "\n" not in line
    assert "not smooth" in line
    assert "inner.optimizer.epsilon" in line


def test_the_swing_is_measured_among_the_last_steps(warnings_of: WarningsOf):
    assert warnings_of([1.0, *[2 * SWING] * 5]) == []  # too few to judge by
    assert len(warnings_of([1.0, *[2 * SWING] * 9])) == 1
    assert warnings_of([*[1.0] * 5, *np.geomspace(1, 2 * SWING, 2 * WATCHED)]) == []


@pytest.mark.parametrize("norm", [math.inf, 0.0])
def test_a_lost_or_vanished_metagradient_is_a_swing(norm: float, warnings_of: WarningsOf):
    (line,) = warnings_of([*[1.0] * 20, norm, *[1.0] * 20])
    assert f"{norm:.2g}" in line
