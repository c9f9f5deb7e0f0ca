"""One outer step: its metagradient against autograd through the plain loop, its draws, its state."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from farzi.data import Log, crops
from farzi.distillation import OuterLoop
from farzi.distillation.inner import Rates, RunPool
from farzi.distillation.refine import RunningClip, cosine_decay
from farzi.recipe import Inner, Outer, Recipe, SummaryShape
from farzi.recipe import variants as v
from farzi.summary import RandomInitializer, Size, SummaryTensors
from farzi.training import NextEvent, make_model, make_optimizer
from farzi.unroll import Adam, unroll
from tests.distillation.recording import RecordingClip

from .states import assert_same_state, cloned, tensors_of

STUDENT = v.SASRec(hidden=6)
STEPS, WINDOW, BURN_IN, BATCH, SEED = 7, 3, 2, 5, 11
INNER = Adam(0.02, epsilon=1e-5)

Fresh = Callable[[np.random.Generator], dict[str, Tensor]]


def recipe_of(
    pool: int, soft_inputs: str, rows: int | None, replicas: int, cooldown: float, rate_range: float
) -> Recipe:
    """Cooldown in steps."""
    return Recipe(
        seed=SEED,
        student=STUDENT,
        summary=SummaryShape(
            sequences=6, length=5, temperature=0.5, parametrization=v.LowRank(dim=4, label_decoder=False)
        ),
        init=v.RandomInit(),
        inner=Inner.model_validate(
            {
                "optimizer": v.Adam(learning_rate=0.02, epsilon=1e-5),
                "cooldown": cooldown / STEPS,
                "steps": STEPS,
                "batch": rows,
                "soft_inputs": soft_inputs,
            }
        ),
        outer=Outer(
            batch=BATCH, window=WINDOW, burn_in=BURN_IN, pool=pool, replicas=replicas, rate_range=rate_range
        ),
    )


def made(
    tiny: Log,
    pool: int,
    dtype: torch.dtype = torch.float32,
    soft_inputs: str = "materialized",
    rows: int | None = None,
    replicas: int = 1,
    cooldown: float = 0.0,
    rate_range: float = 1.0,
) -> tuple[OuterLoop, RecordingClip, NextEvent, Fresh]:
    """An outer loop whose models have weights of a dtype; its clip, its loss and what draws the weights."""
    initial = RandomInitializer()(Size(6, 5, 4, 41, 0.5), tiny.train, np.random.default_rng(0))
    initial = SummaryTensors(initial.latents.to(dtype), initial.decoder.to(dtype), initial.temperature)
    loop = OuterLoop(recipe_of(pool, soft_inputs, rows, replicas, cooldown, rate_range), tiny, initial)
    loss = NextEvent(make_model(STUDENT, 41, 5, 0))

    def fresh(rng: np.random.Generator) -> dict[str, Tensor]:
        model = make_model(STUDENT, 41, 5, int(rng.integers(2**62)))
        return {name: value.to(dtype) for name, value in loss.parameters_of(model).items()}

    def weights(replica: int, rng: np.random.Generator) -> dict[str, Tensor]:
        return [fresh(rng) for _ in range(replicas)][replica]

    own = (loop.rates, BURN_IN, pool)
    loop.pools = [[RunPool(loss, partial(weights, replica), *own) for replica in range(replicas)]]
    loop.clip = clip = RecordingClip()
    return loop, clip, loss, fresh


def test_the_loop_draws_the_weights_that_these_tests_do(tiny: Log):
    """`made` replaces what draws weights only to have them in double precision."""
    recipe = recipe_of(2, "materialized", None, 1, 0.0, 1.0)
    initial = RandomInitializer()(Size(6, 5, 4, 41, 0.5), tiny.train, np.random.default_rng(0))
    plain, (loop, _, _, _) = OuterLoop(recipe, tiny, initial), made(tiny, 2)
    assert [plain.take_step(0.03) for _ in range(3)] == [loop.take_step(0.03) for _ in range(3)]
    assert_same_state(plain.state_dict(), loop.state_dict())


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
    soft = SummaryTensors(latents, decoder, summary.temperature).soft_inputs()
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
@pytest.mark.parametrize("soft_inputs", ["materialized", "factored"])
@pytest.mark.parametrize("rows", [None, 4])
def test_the_metagradient_is_that_of_the_plain_loop(
    tiny: Log, pool: int, dtype: torch.dtype, tolerance: float, soft_inputs: str, rows: int | None
):
    outer, clip, loss, fresh = made(tiny, pool, dtype, soft_inputs, rows)
    for step in range(2 if pool == 0 else 1):  # a pooled run's first steps are taken on an older summary
        before = outer.summary
        outer.take_step(0.03)
        rng = np.random.default_rng([SEED, 1, step])
        if pool:
            rng.integers(pool)
        age = BURN_IN if pool else int(rng.integers(BURN_IN, STEPS - WINDOW + 1))
        theta = fresh(rng)
        windows = torch.from_numpy(crops(tiny.train, 5, BATCH, rng))
        schedule = None
        if rows is not None:
            seed = int(np.random.default_rng([SEED, 4, step]).integers(2**62))
            orders = [np.random.default_rng([seed, 3, k]).permutation(6) for k in range(5)]
            schedule = np.concatenate(orders)[: rows * STEPS].reshape(STEPS, rows).tolist()
        expected = by_autograd(loss, theta, before, windows, age, schedule)
        error = (clip.seen[-1] - expected).norm() / expected.norm()
        assert expected.norm() > 1e-4
        assert error < tolerance


@pytest.mark.parametrize("cooldown", [2, 2.5, 3, 4])
@pytest.mark.parametrize("rows", [None, 4])
def test_each_window_ends_as_a_training_ends(tiny: Log, cooldown: float, rows: int | None):
    """A window is annealed on a copy of the run, which itself continues at the constant rate."""
    outer, clip, loss, fresh = made(tiny, 1, torch.float64, rows=rows, cooldown=cooldown)
    seed = int(np.random.default_rng([SEED, 4, 0]).integers(2**62))
    orders = np.concatenate([np.random.default_rng([seed, 3, k]).permutation(6) for k in range(5)])
    schedule = None if rows is None else orders[: rows * STEPS].reshape(STEPS, rows).tolist()
    before = outer.summary
    outer.take_step(0.03)
    rng = np.random.default_rng([SEED, 1, 0])
    rng.integers(1)
    theta = fresh(rng)
    windows = torch.from_numpy(crops(tiny.train, 5, BATCH, rng))
    age = BURN_IN + max(0, math.ceil(cooldown) - WINDOW)  # fixed steps; the last may be annealed already
    expected = by_autograd(loss, theta, before, windows, age, schedule, cooldown)
    assert (clip.seen[-1] - expected).norm() / expected.norm() < 1e-11
    plain, plain_clip, _, _ = made(tiny, 1, torch.float64, rows=rows)
    plain.take_step(0.03)
    assert (plain_clip.seen[-1] - expected).norm() / expected.norm() > 1e-2
    annealed, constant = tensors_of(outer.state_dict()["runs"]), tensors_of(plain.state_dict()["runs"])
    assert list(annealed) == list(constant) != []
    for name, value in annealed.items():
        torch.testing.assert_close(value, constant[name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("cooldown", [0, 3])
@pytest.mark.parametrize("pool", [0, 1])
def test_each_run_has_a_learning_rate_of_its_own(tiny: Log, pool: int, cooldown: float):
    """Between a third and three times the window's, from its first step to its last."""
    outer, clip, loss, fresh = made(tiny, pool, torch.float64, cooldown=cooldown, rate_range=3)
    factors, ahead = [], max(0, math.ceil(cooldown) - WINDOW)
    for step in range(1 if pool else 3):
        factors.append(3 ** np.random.default_rng([SEED, 6, step]).uniform(-1, 1))
        before = outer.summary
        outer.take_step(0.03)
        rng = np.random.default_rng([SEED, 1, step])
        if pool:
            rng.integers(pool)
        age = BURN_IN if pool else int(rng.integers(BURN_IN, STEPS - WINDOW - ahead + 1))
        theta = fresh(rng)
        windows = torch.from_numpy(crops(tiny.train, 5, BATCH, rng))
        rate = 0.02 * factors[-1]
        expected = by_autograd(loss, theta, before, windows, age + ahead, cooldown=cooldown, rate=rate)
        assert (clip.seen[-1] - expected).norm() / expected.norm() < 1e-11
    assert all(1 / 3 < factor < 3 for factor in factors)
    assert len(set(factors)) == len(factors)


def test_rates_of_a_recipe():
    inner = Inner(optimizer=v.AdamW(learning_rate=0.02), steps=40, cooldown=0.25)
    window = Rates.of(inner, 8)
    assert (window.window, window.length, window.annealed) == (8, 10, True)
    rates = dict(window.until(25 + window.length).hypers())["learning_rate"]
    torch.testing.assert_close(rates[:25], torch.full((25,), 0.02, dtype=torch.float64))
    torch.testing.assert_close(rates[25:35], 0.02 * torch.arange(10, 0, -1).double() / 10)
    assert (rates[35:] == 0).all()
    running = dict(window.until().hypers())["learning_rate"]
    assert running.shape == rates.shape
    assert (running == 0.02).all()
    assert Rates.of(inner.model_copy(update={"cooldown": 0.0}), 8).until(35) == make_optimizer(
        inner.model_copy(update={"cooldown": 0.0})
    )


@pytest.mark.parametrize("soft_inputs", ["materialized", "factored"])
@pytest.mark.parametrize("rows", [None, 4])
def test_the_metagradient_of_replicas_is_the_mean_of_theirs(tiny: Log, soft_inputs: str, rows: int | None):
    outer, clip, loss, fresh = made(tiny, 0, torch.float64, soft_inputs, rows, replicas=3)
    before = outer.summary
    report = outer.take_step(0.03)
    rng = np.random.default_rng([SEED, 1, 0])
    age = int(rng.integers(BURN_IN, STEPS - WINDOW + 1))
    thetas = [fresh(rng) for _ in range(3)]
    windows = torch.from_numpy(crops(tiny.train, 5, BATCH, rng))
    schedule = None
    if rows is not None:
        seed = int(np.random.default_rng([SEED, 4, 0]).integers(2**62))
        orders = np.concatenate([np.random.default_rng([seed, 3, k]).permutation(6) for k in range(5)])
        schedule = orders[: rows * STEPS].reshape(STEPS, rows).tolist()
    each = [by_autograd(loss, theta, before, windows, age, schedule) for theta in thetas]
    expected = torch.stack(each).mean(0)
    assert (clip.seen[-1] - expected).norm() / expected.norm() < 1e-11
    assert (each[0] - each[1]).norm() > 0.1 * each[0].norm()
    assert np.isfinite(report.loss)


def test_a_step_moves_the_summary_as_adam_does(tiny: Log):
    outer, _, _, _ = made(tiny, 0)
    parts = [outer.summary.latents.clone(), outer.summary.decoder.clone()]
    theirs = torch.optim.Adam([part.requires_grad_() for part in parts], lr=1.0)
    gate = RunningClip()
    for rate in (0.03, 0.02, 0.01):
        copy, clip, _, _ = made(tiny, 0)
        copy.load_state_dict(outer.state_dict())
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
def test_a_step_depends_on_the_state_before_it_alone(tiny: Log, pool: int, rows: int | None):
    first, _, _, _ = made(tiny, pool, rows=rows)
    second, _, _, _ = made(tiny, pool, rows=rows)
    reports = [first.take_step(0.03) for _ in range(6)]
    assert [second.take_step(0.03) for _ in range(3)] == reports[:3]
    third, _, _, _ = made(tiny, pool, rows=rows)
    third.load_state_dict(cloned(second.state_dict()))
    assert [third.take_step(0.03) for _ in range(3)] == reports[3:]
    assert_same_state(third.state_dict(), first.state_dict())


def test_the_check_sees_the_step_that_will_be_taken(tiny: Log):
    """Its batches and its soft inputs: `farzi check` differentiates the metagradient of the next step."""
    for soft_inputs in ("materialized", "factored"):
        outer, clip, _, _ = made(tiny, 2, torch.float64, soft_inputs, 4)
        run = outer.as_run()
        leaves = {name: leaf.clone().requires_grad_() for name, leaf in run["data"].items()}
        end = unroll(
            run["loss"], run["theta0"], run["view"](leaves), INNER, run["batches"], state=run["state"]
        )
        bars = torch.autograd.grad(run["outer"](end), list(leaves.values()))
        outer.take_step(0.03)
        torch.testing.assert_close(torch.cat([bar.reshape(-1) for bar in bars]), clip.seen[0])


def test_nothing_is_left_to_differentiate(tiny: Log):
    outer, _, _, _ = made(tiny, 2)
    summary = outer.summary
    before = summary.latents.clone()
    outer.take_step(0.03)
    assert torch.equal(summary.latents, before)  # a summary that was handed out does not change
    assert not summary.latents.requires_grad
    assert not any(value.requires_grad for value in tensors_of(outer.state_dict()).values())


def test_the_rate_falls_as_a_cosine_decay():
    assert cosine_decay(0.0) == 1
    assert cosine_decay(0.5) == pytest.approx(0.51)
    assert cosine_decay(1.0) == cosine_decay(2.0) == pytest.approx(0.02)
    rates = [cosine_decay(k / 100) for k in range(101)]
    assert rates == sorted(rates, reverse=True)
    assert cosine_decay(1.0, floor=0.0) == pytest.approx(0.0)
