"""Training from scratch: on a summary as PyTorch's own optimizers, on real events with early stopping."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from farzi.data import Dataset, Sequences, crops
from farzi.losses import hard_next_event, soft_next_event
from farzi.recipe import InnerSettings, Recipe, StudentSettings
from farzi.models import SequenceModel
from farzi.summary import SummaryTensors
from farzi.training import (
    EventTraining,
    NextEvent,
    make_optimizer,
    make_model,
    train_on_events,
    train_on_summary,
)
from farzi.unroll import train

SETTINGS = StudentSettings(hidden=8)


@pytest.fixture
def summary() -> SummaryTensors:
    generator = torch.Generator().manual_seed(0)
    return SummaryTensors(torch.randn(6, 5, 4, generator=generator), torch.randn(4, 41, generator=generator))


def weights(student: SequenceModel) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in student.named_parameters()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.usefixtures("_generators_untouched")
def test_a_seed_decides_the_first_weights():
    first, again, second = (weights(make_model(SETTINGS, 41, 5, seed)) for seed in (1, 1, 2))
    assert same(first, again)
    assert not torch.equal(first["embedding"], second["embedding"])


@pytest.mark.usefixtures("_generators_untouched")
def test_the_same_seed_gives_the_same_student(tiny: Dataset, summary: SummaryTensors, recipe: Recipe):
    def on_summary(seed: int) -> dict[str, Tensor]:
        return weights(train_on_summary(summary, SETTINGS, recipe.inner, seed).student)

    def on_events(seed: int) -> dict[str, Tensor]:
        training = EventTraining(steps=6, every=3)
        return weights(train_on_events(tiny.train, SETTINGS, 41, 5, seed, training, lambda _: 0.0).student)

    for fit in (on_summary, on_events):
        assert same(fit(3), fit(3))
        assert not same(fit(3), fit(4))


OPTIMIZERS: dict[str, Callable[[list[Tensor]], torch.optim.Optimizer]] = {
    "sgd": lambda theta: torch.optim.SGD(theta, lr=0.02),
    "momentum": lambda theta: torch.optim.SGD(theta, lr=0.02, momentum=0.9),
    "adam": lambda theta: torch.optim.Adam(theta, lr=0.02, eps=1e-5),
    "adamw": lambda theta: torch.optim.AdamW(theta, lr=0.02, eps=1e-5),
    "adagrad": lambda theta: torch.optim.Adagrad(theta, lr=0.02, eps=1e-5),
    "rmsprop": lambda theta: torch.optim.RMSprop(theta, lr=0.02, eps=1e-5),
}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 2e-4)])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_on_a_summary_is_pytorchs_loop(
    summary: SummaryTensors, name: str, dtype: torch.dtype, tolerance: float
):
    inner = InnerSettings.model_validate(
        {"optimizer": name, "learning_rate": 0.02, "epsilon": 1e-5, "steps": 15}
    )
    events = summary.events().to(dtype)
    student = make_model(SETTINGS, 41, 5, seed=7).to(dtype)
    theirs = make_model(SETTINGS, 41, 5, seed=7).to(dtype)

    if dtype == torch.float32:
        ours = weights(train_on_summary(summary, SETTINGS, inner, seed=7).student)
    else:
        loss = NextEvent(student)
        end = train(loss.at, loss.parameters_of(student), events, make_optimizer(inner), [None] * 15)
        ours = weights(loss.put(end.theta))
    optimizer = OPTIMIZERS[name](list(theirs.parameters()))
    for _ in range(15):
        optimizer.zero_grad()
        NextEvent(theirs)(events).backward()
        optimizer.step()
    for parameter, value in weights(theirs).items():
        torch.testing.assert_close(ours[parameter], value, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("settings", "theirs"),
    [
        ({"optimizer": "adam", "beta1": 0.5, "beta2": 0.99, "weight_decay": 0.1}, torch.optim.Adam),
        ({"optimizer": "adamw", "beta1": 0.0, "beta2": 0.9, "weight_decay": 1.0}, torch.optim.AdamW),
        ({"optimizer": "sgd", "weight_decay": 0.1}, torch.optim.SGD),
    ],
)
def test_what_a_recipe_says_of_the_optimizer_is_what_it_does(settings: dict[str, Any], theirs: Any):
    inner = InnerSettings.model_validate({"learning_rate": 0.1, "epsilon": 1e-5, **settings})
    named = {"weight_decay": settings["weight_decay"], "lr": 0.1}
    if "beta1" in settings:
        named |= {"betas": (settings["beta1"], settings["beta2"]), "eps": 1e-5}
    start = torch.linspace(-1, 1, 7, dtype=torch.float64)
    weight = start.clone().requires_grad_()
    optimizer = theirs([weight], **named)
    for _ in range(5):
        optimizer.zero_grad()
        weight.pow(4).sum().backward()
        optimizer.step()

    def loss(theta: dict[str, Tensor], data: dict[str, Tensor], batch: None) -> Tensor:
        return theta["weight"].pow(4).sum()

    end = train(loss, {"weight": start}, {}, make_optimizer(inner), [None] * 5)
    torch.testing.assert_close(end.theta["weight"], weight.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cooldown", [0.3, 0.5, 1.0])
def test_the_learning_rate_cools_down_as_pytorchs_scheduler_makes_it(
    summary: SummaryTensors, cooldown: float
):
    inner = InnerSettings(optimizer="adamw", learning_rate=0.02, steps=30, cooldown=cooldown)
    student = make_model(SETTINGS, 41, 5, seed=7)
    optimizer = torch.optim.AdamW(student.parameters(), lr=0.02, eps=1e-5)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (12 - step) / (cooldown * 12))
    )
    events = summary.events()
    for _ in range(12):
        optimizer.zero_grad()
        NextEvent(student)(events).backward()
        optimizer.step()
        scheduler.step()
    ours = weights(train_on_summary(summary, SETTINGS, inner, seed=7, steps=12).student)
    for parameter, value in weights(student).items():
        torch.testing.assert_close(ours[parameter], value, rtol=2e-4, atol=2e-4)


def test_every_position_that_a_student_takes_is_trained(
    summary: SummaryTensors, tiny: Dataset, recipe: Recipe
):
    first = make_model(SETTINGS, 41, 5, seed=0)
    assert first.length == 4  # the last of five events is predicted, never read
    training = EventTraining(steps=4, every=4)
    for fit in (
        train_on_summary(summary, SETTINGS, recipe.inner, seed=0),
        train_on_events(tiny.train, SETTINGS, 41, 5, 0, training, lambda _: 0.0),
    ):
        assert fit.student.length == 4
        moved = weights(fit.student)["position"] - weights(first)["position"]
        assert (moved.abs().amax(1) > 1e-4).all()


@pytest.mark.parametrize("batch", [None, 4])
def test_training_on_whole_and_on_factored_soft_events_is_the_same(
    summary: SummaryTensors, batch: int | None
):
    found = []
    for soft_events in ("whole", "factored"):
        inner = InnerSettings.model_validate({"batch": batch, "soft_events": soft_events, "steps": 9})
        found.append(weights(train_on_summary(summary, SETTINGS, inner, seed=3).student))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-4, atol=1e-5)


def test_each_step_reads_the_sequences_that_the_seed_says(summary: SummaryTensors):
    inner = InnerSettings(batch=4, optimizer="sgd", steps=5, learning_rate=0.1)
    ours = weights(train_on_summary(summary, SETTINGS, inner, seed=7).student)
    theirs = make_model(SETTINGS, 41, 5, seed=7)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    orders = np.concatenate([np.random.default_rng([7, 3, k]).permutation(6) for k in range(4)])
    for rows in orders[:20].reshape(5, 4):
        optimizer.zero_grad()
        NextEvent(theirs)(summary.events()[rows]).backward()
        optimizer.step()
    for name, value in weights(theirs).items():
        torch.testing.assert_close(ours[name], value, rtol=1e-4, atol=1e-6)


def test_the_number_of_steps_is_the_recipes_or_the_one_asked_for(summary: SummaryTensors, recipe: Recipe):
    assert train_on_summary(summary, SETTINGS, recipe.inner, 0).steps == recipe.inner.steps
    none = train_on_summary(summary, SETTINGS, recipe.inner, 0, steps=0)
    assert none.steps == 0
    assert same(weights(none.student), weights(make_model(SETTINGS, 41, 5, 0)))


def test_the_loss_is_that_of_soft_or_of_hard_events(summary: SummaryTensors, tiny: Dataset):
    student = make_model(SETTINGS, 41, 5, seed=0)
    loss, table = NextEvent(student), student.output_table
    soft = summary.events()
    read = student.hidden((soft @ student.embedding)[:, :-1])  # the last event is predicted, never read
    expected = soft_next_event(read, table, soft @ table)
    torch.testing.assert_close(loss(soft), expected)
    hard = torch.from_numpy(crops(tiny.train, 5, 4, np.random.default_rng(0)))
    read = hard[:, :-1]
    expected = hard_next_event(student.hidden(student.embed(read), read > 0), table, hard)
    torch.testing.assert_close(loss(hard), expected)

    theta = loss.parameters_of(make_model(SETTINGS, 41, 5, seed=1))
    torch.testing.assert_close(loss.at(theta, soft), NextEvent(loss.put(theta))(soft))
    batch = torch.tensor([1, 3])
    torch.testing.assert_close(loss.at(theta, soft, batch), loss.at(theta, soft[batch]))


def test_putting_weights_leaves_the_first_student_alone():
    loss = NextEvent(make_model(SETTINGS, 41, 5, seed=0))
    before = weights(loss.student)
    put = loss.put(loss.parameters_of(make_model(SETTINGS, 41, 5, seed=1)))
    assert same(weights(put), weights(make_model(SETTINGS, 41, 5, seed=1)))
    assert same(weights(loss.student), before)


class Judge:
    """Gives prepared figures and remembers the weights that got them."""

    def __init__(self, *figures: float) -> None:
        self.figures, self.seen = list(figures), []

    def __call__(self, student: SequenceModel) -> float:
        self.seen.append(weights(student))
        return self.figures[len(self.seen) - 1]


def trained(log: Sequences, judge: Judge, **training: int):
    return train_on_events(log, SETTINGS, 41, 5, 0, EventTraining(every=2, batch=4, **training), judge)


def test_the_best_weights_are_kept_and_patience_ends_it(tiny: Dataset):
    judge = Judge(1.0, 3.0, 2.0, 3.0, 9.0)
    fit = trained(tiny.train, judge, steps=100, patience=2)
    assert len(judge.seen) == 4  # an equal figure is no better one
    assert fit.steps == 8
    assert same(weights(fit.student), judge.seen[1])


def test_each_measurement_is_heard(tiny: Dataset):
    heard: list[tuple[int, float]] = []
    training = EventTraining(every=2, batch=4, steps=5)
    judge = Judge(1.0, 3.0, 2.0)
    train_on_events(tiny.train, SETTINGS, 41, 5, 0, training, judge, heard=lambda *told: heard.append(told))
    assert heard == [(2, 1.0), (4, 3.0), (5, 2.0)]


def test_the_last_step_is_measured_though_it_falls_between_two_measurements(tiny: Dataset):
    judge = Judge(1.0, 2.0, 3.0)
    fit = trained(tiny.train, judge, steps=5, patience=2)
    assert fit.steps == 5
    assert same(weights(fit.student), judge.seen[2])


def test_another_batch_is_measured_after_as_many_windows():
    training = EventTraining(learning_rate=0.1, batch=128, steps=5000, every=50, patience=3)
    assert training.reading(20) == EventTraining(0.1, 20, steps=32000, every=320, patience=3)
    assert training.reading(10**6) == EventTraining(0.1, 10**6, steps=1, every=1, patience=3)


def test_without_any_figure_the_first_weights_are_kept(tiny: Dataset):
    fit = trained(tiny.train, Judge(*[float("nan")] * 3), steps=100, patience=3)
    assert fit.steps == 6
    assert same(weights(fit.student), weights(make_model(SETTINGS, 41, 5, 0)))


def test_training_on_events_learns_what_comes_next(tiny: Dataset):
    windows = torch.from_numpy(crops(tiny.train, 5, 200, np.random.default_rng(1)))

    def minus_loss(student: SequenceModel) -> float:
        with torch.no_grad():
            return -float(NextEvent(student)(windows))

    training = EventTraining(learning_rate=0.02, batch=32, steps=60, every=20)
    fit = train_on_events(tiny.train, SETTINGS, 41, 5, 0, training, minus_loss)
    assert minus_loss(make_model(SETTINGS, 41, 5, 0)) == pytest.approx(-np.log(40), abs=0.2)
    assert minus_loss(fit.student) > -2.5
