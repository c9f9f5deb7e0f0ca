"""One outer step: its metagradient against autograd through the plain loop, its draws, its state."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from farzi.data import Dataset, crops
from farzi.distillation import Anew, Fresh, InnerLoop, Line, MetaMatching, Outer, Pool, Students
from farzi.distillation.clipping import RunningClip
from farzi.distillation.outer import cosine
from farzi.distillation.together import group
from farzi.distillation.window import Window
from farzi.recipe import InnerSettings, StudentSettings
from farzi.summary import Factored, LowRank, Feed, RandomInitializer, Size, SummaryTensors, Whole
from farzi.training import NextEvent, make_optimizer, make_model
from farzi.unroll import Adam, Eager, Store, unroll

SETTINGS = StudentSettings(hidden=6)
STEPS, WINDOW, SKIP, BATCH, SEED = 7, 3, 2, 5, 11
INNER = Adam(0.02, epsilon=1e-5)


class RecordingClip(RunningClip):
    """Keeps the metagradients that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def __call__(self, gradient: Tensor) -> tuple[Tensor, float]:
        self.seen.append(gradient.clone())
        return super().__call__(gradient)


def made(
    tiny: Dataset,
    pool: int,
    dtype: torch.dtype = torch.float32,
    feed: Feed | None = None,
    rows: int | None = None,
    together: int = 1,
    cooldown: float = 0.0,
    rate_range: float = 1.0,
) -> tuple[Outer, RecordingClip, Fresh]:
    start = RandomInitializer()(Size(6, 5, 4, 41, 0.5), tiny.train, np.random.default_rng(0))
    start = SummaryTensors(start.latents.to(dtype), start.decoder.to(dtype), start.temperature)
    loss = NextEvent(make_model(SETTINGS, 41, 5, 0))
    fresh = Fresh(loss, SETTINGS, 41, 5)

    def one(rng: np.random.Generator) -> dict[str, Tensor]:
        return {name: value.to(dtype) for name, value in fresh(rng).items()}

    several = group(loss, together)
    weights = several.weights(one)
    window = Window(WINDOW, INNER, 0.02, cooldown, STEPS)
    ahead = window.length
    runs = Pool(weights, STEPS, ahead, SKIP, pool) if pool else Anew(weights, STEPS, ahead, SKIP)
    clip = RecordingClip()
    students = Students([Line(several, runs)], tiny.train, BATCH, SEED)
    loop = InnerLoop(window, feed or Whole(), rows, SEED, Eager(), Store(), rate_range)
    return Outer(start, LowRank(), MetaMatching(students), loop, clip), clip, fresh


def by_autograd(
    loss: NextEvent,
    theta: dict[str, Tensor],
    summary: SummaryTensors,
    windows: Tensor,
    age: int,
    schedule: list[list[int]] | None = None,
    cooldown: float = 0.0,
    rate: float = 0.02,
) -> Tensor:
    """The metagradient of `age` fixed and `WINDOW` differentiated steps of Adam, written out as a loop.

    The learning rate falls to 0 in the last `cooldown` of them all.
    """
    latents, decoder = summary.latents.clone().requires_grad_(), summary.decoder.clone().requires_grad_()
    soft = SummaryTensors(latents, decoder, summary.temperature).events()
    mean = {name: torch.zeros_like(value) for name, value in theta.items()}
    square = {name: torch.zeros_like(value) for name, value in theta.items()}
    for t in range(1, age + WINDOW + 1):
        differentiated = t > age
        theta = {
            name: value if differentiated and t > age + 1 else value.detach().requires_grad_()
            for name, value in theta.items()
        }
        events = soft if schedule is None else soft[schedule[t - 1]]
        value = loss.at(theta, events if differentiated else events.detach())
        gradients = torch.autograd.grad(value, list(theta.values()), create_graph=differentiated)
        after = {}
        for (name, parameter), g in zip(theta.items(), gradients):
            mean[name] = 0.9 * mean[name] + 0.1 * g
            square[name] = 0.999 * square[name] + 0.001 * g * g
            # an element that never had a gradient has no update, and its root no derivative
            root = torch.where(square[name] > 0, square[name], 1.0).sqrt() * (square[name] > 0)
            step = mean[name] / (1 - 0.9**t) / (root / (1 - 0.999**t) ** 0.5 + 1e-5)
            falling = min(1.0, (age + WINDOW - (t - 1)) / cooldown) if cooldown else 1.0
            after[name] = parameter - rate * falling * step
        theta = after
    bars = torch.autograd.grad(loss.at(theta, windows), [latents, decoder])
    return torch.cat([bar.reshape(-1) for bar in bars])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-4)])
@pytest.mark.parametrize("pool", [0, 2])
@pytest.mark.parametrize("feed", [Whole(), Factored()], ids=["whole", "factored"])
@pytest.mark.parametrize("rows", [None, 4])
def test_the_metagradient_is_that_of_the_plain_loop(
    tiny: Dataset, pool: int, dtype: torch.dtype, tolerance: float, feed: Feed, rows: int | None
):
    outer, clip, fresh = made(tiny, pool, dtype, feed, rows)
    for step in range(2 if pool == 0 else 1):  # a pooled run's first steps are taken on an older summary
        before = outer.summary
        outer.take_step(0.03)
        rng = np.random.default_rng([SEED, 1, step])
        if pool:
            rng.integers(pool)
        age = SKIP if pool else int(rng.integers(SKIP, STEPS - WINDOW + 1))
        theta = {name: value.to(dtype) for name, value in fresh(rng).items()}
        windows = torch.from_numpy(crops(tiny.train, 5, BATCH, rng))
        schedule = None
        if rows is not None:
            seed = int(np.random.default_rng([SEED, 4, step]).integers(2**62))
            orders = [np.random.default_rng([seed, 3, k]).permutation(6) for k in range(5)]
            schedule = np.concatenate(orders)[: rows * STEPS].reshape(STEPS, rows).tolist()
        expected = by_autograd(fresh.loss, theta, before, windows, age, schedule)
        error = (clip.seen[-1] - expected).norm() / expected.norm()
        assert expected.norm() > 1e-4
        assert error < tolerance


@pytest.mark.parametrize("cooldown", [2, 2.5, 3, 4])
@pytest.mark.parametrize("rows", [None, 4])
def test_each_window_ends_as_a_training_ends(tiny: Dataset, cooldown: float, rows: int | None):
    """A run that is left, cools down and is differentiated goes on as if it had not been left."""
    outer, clip, fresh = made(tiny, 1, torch.float64, None, rows, cooldown=cooldown)
    seed = int(np.random.default_rng([SEED, 4, 0]).integers(2**62))
    orders = np.concatenate([np.random.default_rng([seed, 3, k]).permutation(6) for k in range(5)])
    schedule = None if rows is None else orders[: rows * STEPS].reshape(STEPS, rows).tolist()
    before = outer.summary
    outer.take_step(0.03)
    rng = np.random.default_rng([SEED, 1, 0])
    rng.integers(1)
    theta = {name: value.double() for name, value in fresh(rng).items()}
    windows = torch.from_numpy(crops(tiny.train, 5, BATCH, rng))
    age = SKIP + max(0, math.ceil(cooldown) - WINDOW)  # fixed steps; the last may have begun to cool down
    expected = by_autograd(fresh.loss, theta, before, windows, age, schedule, cooldown)
    assert (clip.seen[-1] - expected).norm() / expected.norm() < 1e-11
    plain, plain_clip, _ = made(tiny, 1, torch.float64, None, rows)
    plain.take_step(0.03)
    assert (plain_clip.seen[-1] - expected).norm() / expected.norm() > 1e-2
    gone_on, uncooled = outer.tensors(), plain.tensors()
    assert set(gone_on) == set(uncooled)
    for name in set(gone_on) - {"latents", "decoder", "adam/mean", "adam/square"}:
        torch.testing.assert_close(gone_on[name], uncooled[name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("cooldown", [0, 3])
@pytest.mark.parametrize("pool", [0, 1])
def test_each_run_has_a_learning_rate_of_its_own(tiny: Dataset, pool: int, cooldown: float):
    """Between a third and three times the window's, from its first step to its last."""
    outer, clip, fresh = made(tiny, pool, torch.float64, cooldown=cooldown, rate_range=3)
    factors, ahead = [], max(0, math.ceil(cooldown) - WINDOW)
    for step in range(1 if pool else 3):
        factors.append(3 ** np.random.default_rng([SEED, 6, step]).uniform(-1, 1))
        before = outer.summary
        outer.take_step(0.03)
        rng = np.random.default_rng([SEED, 1, step])
        if pool:
            rng.integers(pool)
        age = SKIP if pool else int(rng.integers(SKIP, STEPS - WINDOW - ahead + 1))
        theta = {name: value.double() for name, value in fresh(rng).items()}
        windows = torch.from_numpy(crops(tiny.train, 5, BATCH, rng))
        rate = 0.02 * factors[-1]
        expected = by_autograd(fresh.loss, theta, before, windows, age + ahead, cooldown=cooldown, rate=rate)
        assert (clip.seen[-1] - expected).norm() / expected.norm() < 1e-11
    assert all(1 / 3 < factor < 3 for factor in factors)
    assert len(set(factors)) == len(factors)


def test_windows_of_a_recipe():
    inner = InnerSettings(optimizer="adamw", learning_rate=0.02, steps=40, window=8, cooldown=0.25)
    window = Window.of(inner)
    assert (window.steps, window.length, window.cools) == (8, 10, True)
    rates = dict(window.ending(25).hypers())["learning_rate"]
    torch.testing.assert_close(rates[:25], torch.full((25,), 0.02, dtype=torch.float64))
    torch.testing.assert_close(rates[25:35], 0.02 * torch.arange(10, 0, -1).double() / 10)
    assert (rates[35:] == 0).all()
    running = dict(window.running.hypers())["learning_rate"]
    assert running.shape == rates.shape
    assert (running == 0.02).all()
    assert Window.of(inner.model_copy(update={"cooldown": 0.0})).ending(25) == make_optimizer(
        inner.model_copy(update={"cooldown": 0.0})
    )


@pytest.mark.parametrize("feed", [Whole(), Factored()], ids=["whole", "factored"])
@pytest.mark.parametrize("rows", [None, 4])
def test_the_metagradient_of_runs_side_by_side_is_the_mean_of_theirs(
    tiny: Dataset, feed: Feed, rows: int | None
):
    outer, clip, fresh = made(tiny, 0, torch.float64, feed, rows, together=3)
    before = outer.summary
    report = outer.take_step(0.03)
    rng = np.random.default_rng([SEED, 1, 0])
    age = int(rng.integers(SKIP, STEPS - WINDOW + 1))
    thetas = [{name: value.double() for name, value in fresh(rng).items()} for _ in range(3)]
    windows = torch.from_numpy(crops(tiny.train, 5, BATCH, rng))
    schedule = None
    if rows is not None:
        seed = int(np.random.default_rng([SEED, 4, 0]).integers(2**62))
        orders = np.concatenate([np.random.default_rng([seed, 3, k]).permutation(6) for k in range(5)])
        schedule = orders[: rows * STEPS].reshape(STEPS, rows).tolist()
    each = [by_autograd(fresh.loss, theta, before, windows, age, schedule) for theta in thetas]
    expected = torch.stack(each).mean(0)
    assert (clip.seen[-1] - expected).norm() / expected.norm() < 1e-11
    assert (each[0] - each[1]).norm() > 0.1 * each[0].norm()
    assert np.isfinite(report.loss)


def test_a_step_moves_the_summary_as_adam_does(tiny: Dataset):
    outer, _, _ = made(tiny, 0)
    parts = [outer.summary.latents.clone(), outer.summary.decoder.clone()]
    theirs = torch.optim.Adam([part.requires_grad_() for part in parts], lr=1.0)
    gate = RunningClip()
    for rate in (0.03, 0.02, 0.01):
        copy, clip, _ = made(tiny, 0)
        copy.restore(outer.tensors(), outer.step)
        copy.take_step(rate)
        gradient, _ = gate(clip.seen[-1])
        first, second = gradient.split([part.numel() for part in parts])
        parts[0].grad, parts[1].grad = first.view_as(parts[0]), second.view_as(parts[1])
        theirs.param_groups[0]["lr"] = rate
        theirs.step()
        report = outer.take_step(rate)
        assert report.norm == float(clip.seen[-1].norm())
        torch.testing.assert_close(outer.summary.latents, parts[0].detach())
        torch.testing.assert_close(outer.summary.decoder, parts[1].detach())
    assert outer.step == 3


@pytest.mark.usefixtures("_generators_untouched")
@pytest.mark.parametrize("pool", [0, 3])
@pytest.mark.parametrize("rows", [None, 4])
def test_a_step_depends_on_the_state_before_it_alone(tiny: Dataset, pool: int, rows: int | None):
    first, _, _ = made(tiny, pool, rows=rows)
    second, _, _ = made(tiny, pool, rows=rows)
    reports = [first.take_step(0.03) for _ in range(6)]
    assert [second.take_step(0.03) for _ in range(3)] == reports[:3]
    third, clip, _ = made(tiny, pool, rows=rows)
    third.restore({name: value.clone() for name, value in second.tensors().items()}, second.step)
    clip.mean = second._clip.mean
    assert [third.take_step(0.03) for _ in range(3)] == reports[3:]
    for name, value in first.tensors().items():
        assert torch.equal(third.tensors()[name], value), name


def test_the_check_sees_the_step_that_will_be_taken(tiny: Dataset):
    """Its rows and its feed: what `farzi check` differentiates is the metagradient of the next step."""
    for feed in (Whole(), Factored()):
        outer, clip, _ = made(tiny, 2, torch.float64, feed, 4)
        run = outer.as_run()
        leaves = {name: leaf.clone().requires_grad_() for name, leaf in run["data"].items()}
        end = unroll(
            run["loss"], run["theta0"], run["view"](leaves), INNER, run["batches"], state=run["state"]
        )
        bars = torch.autograd.grad(run["outer"](end), list(leaves.values()))
        outer.take_step(0.03)
        torch.testing.assert_close(torch.cat([bar.reshape(-1) for bar in bars]), clip.seen[0])


def test_nothing_is_left_to_differentiate(tiny: Dataset):
    outer, _, _ = made(tiny, 2)
    summary = outer.summary
    before = summary.latents.clone()
    outer.take_step(0.03)
    assert torch.equal(summary.latents, before)  # a summary that was handed out does not change
    assert not summary.latents.requires_grad
    assert not any(value.requires_grad for value in outer.tensors().values())


def test_the_rate_falls_as_a_cosine():
    assert cosine(0.0) == 1
    assert cosine(0.5) == pytest.approx(0.51)
    assert cosine(1.0) == cosine(2.0) == pytest.approx(0.02)
    rates = [cosine(k / 100) for k in range(101)]
    assert rates == sorted(rates, reverse=True)
    assert cosine(1.0, floor=0.0) == pytest.approx(0.0)
