"""Training from scratch: on a summary as PyTorch's own optimizers, on real events with early stopping."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from farzi.data import Log, Sequences, crops
from farzi.event_training import train_on_events
from farzi.losses import hard_next_event, soft_next_event
from farzi.models import SequenceModel
from farzi.recipe import Inner, Recipe, Teach
from farzi.recipe.variants import Adam, SASRec
from farzi.summary import SummaryTensors
from farzi.training import (
    NextEvent,
    fit_to_summary,
    make_model,
    make_optimizer,
    train_on_summary,
)
from farzi.unroll import train
from tests.models.kinds import TYPES, settings

SETTINGS = SASRec(hidden=8)


def inner(name: str = "adam", **own: Any) -> Inner:
    """The training on a summary: with one of the optimizers, whole batches and no cooldown unless given."""
    group = {key: own.pop(key) for key in ("steps", "batch", "cooldown", "soft_inputs") if key in own}
    optimizer = {"type": name, "learning_rate": 0.02, **own}
    return Inner.model_validate(
        {"steps": 200, "batch": None, "cooldown": 0.0, **group, "optimizer": optimizer}
    )


def teach(**own: Any) -> Teach:
    """The training on real events."""
    rate = own.pop("learning_rate", 3e-3)
    return Teach(optimizer=Adam(learning_rate=rate, epsilon=1e-8), **own)


@pytest.fixture
def summary() -> SummaryTensors:
    generator = torch.Generator().manual_seed(0)
    return SummaryTensors(torch.randn(6, 5, 4, generator=generator), torch.randn(4, 41, generator=generator))


def weights(model: SequenceModel) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.usefixtures("_generators_untouched")
def test_a_seed_decides_the_first_weights():
    first, again, second = (weights(make_model(SETTINGS, 41, 5, seed)) for seed in (1, 1, 2))
    assert same(first, again)
    assert not torch.equal(first["embedding"], second["embedding"])


@pytest.mark.usefixtures("_generators_untouched")
def test_the_same_seed_gives_the_same_model(tiny: Log, summary: SummaryTensors, recipe: Recipe):
    def on_summary(seed: int) -> dict[str, Tensor]:
        return weights(train_on_summary(summary, SETTINGS, recipe.inner, seed).model)

    def on_events(seed: int) -> dict[str, Tensor]:
        training = teach(max_steps=6, validate_every=3)
        return weights(train_on_events(tiny.train, SETTINGS, 41, 5, seed, training, lambda _: 0.0).model)

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
    own = {} if name in ("sgd", "momentum") else {"epsilon": 1e-5}
    settings = inner(name, steps=15, **own)
    events = summary.soft_inputs().to(dtype)
    student = make_model(SETTINGS, 41, 5, seed=7).to(dtype)
    theirs = make_model(SETTINGS, 41, 5, seed=7).to(dtype)

    if dtype == torch.float32:
        ours = weights(train_on_summary(summary, SETTINGS, settings, seed=7).model)
    else:
        loss = NextEvent(student)
        end = train(loss.at, loss.parameters_of(student), events, make_optimizer(settings), [None] * 15)
        ours = weights(loss.student_with(end.theta))
    optimizer = OPTIMIZERS[name](list(theirs.parameters()))
    for _ in range(15):
        optimizer.zero_grad()
        NextEvent(theirs)(events).backward()
        optimizer.step()
    for parameter, value in weights(theirs).items():
        torch.testing.assert_close(ours[parameter], value, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        ({"type": "adam", "beta1": 0.5, "beta2": 0.99, "weight_decay": 0.1}, torch.optim.Adam),
        ({"type": "adamw", "beta1": 0.0, "beta2": 0.9, "weight_decay": 1.0}, torch.optim.AdamW),
        ({"type": "sgd", "weight_decay": 0.1}, torch.optim.SGD),
    ],
)
def test_what_a_recipe_says_of_the_optimizer_is_what_it_does(own: dict[str, Any], theirs: Any):
    named = {"weight_decay": own["weight_decay"], "lr": 0.1}
    if "beta1" in own:
        named |= {"betas": (own["beta1"], own["beta2"]), "eps": 1e-5}
        own = {**own, "epsilon": 1e-5}
    settings = Inner.model_validate({"optimizer": {"learning_rate": 0.1, **own}, "cooldown": 0.0})
    start = torch.linspace(-1, 1, 7, dtype=torch.float64)
    weight = start.clone().requires_grad_()
    optimizer = theirs([weight], **named)
    for _ in range(5):
        optimizer.zero_grad()
        weight.pow(4).sum().backward()
        optimizer.step()

    def loss(theta: dict[str, Tensor], data: dict[str, Tensor], batch: None) -> Tensor:
        return theta["weight"].pow(4).sum()

    end = train(loss, {"weight": start}, {}, make_optimizer(settings), [None] * 5)
    torch.testing.assert_close(end.theta["weight"], weight.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cooldown", [0.3, 0.5, 1.0])
def test_the_learning_rate_cools_down_as_with_pytorchs_scheduler(summary: SummaryTensors, cooldown: float):
    settings = inner("adamw", steps=30, cooldown=cooldown, epsilon=1e-5, weight_decay=0.01)
    student = make_model(SETTINGS, 41, 5, seed=7)
    optimizer = torch.optim.AdamW(student.parameters(), lr=0.02, eps=1e-5)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (12 - step) / (cooldown * 12))
    )
    events = summary.soft_inputs()
    for _ in range(12):
        optimizer.zero_grad()
        NextEvent(student)(events).backward()
        optimizer.step()
        scheduler.step()
    ours = weights(train_on_summary(summary, SETTINGS, settings, seed=7, steps=12).model)
    for parameter, value in weights(student).items():
        torch.testing.assert_close(ours[parameter], value, rtol=2e-4, atol=2e-4)


def test_every_position_that_a_model_reads_is_trained(summary: SummaryTensors, tiny: Log, recipe: Recipe):
    first = make_model(SETTINGS, 41, 5, seed=0)
    assert first.length == 4  # the last of five events is predicted, never read
    training = teach(max_steps=4, validate_every=4)
    for fit in (
        train_on_summary(summary, SETTINGS, recipe.inner, seed=0),
        train_on_events(tiny.train, SETTINGS, 41, 5, 0, training, lambda _: 0.0),
    ):
        assert fit.model.length == 4
        moved = weights(fit.model)["position"] - weights(first)["position"]
        assert (moved.abs().amax(1) > 1e-4).all()


@pytest.mark.parametrize("batch", [None, 4])
def test_training_on_materialized_and_on_factored_soft_inputs_is_the_same(
    summary: SummaryTensors, batch: int | None
):
    found = []
    for form in ("materialized", "factored"):
        settings = inner("adamw", epsilon=1e-5, batch=batch, soft_inputs=form, steps=9)
        found.append(weights(train_on_summary(summary, SETTINGS, settings, seed=3).model))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-4, atol=1e-5)


def test_each_step_reads_the_sequences_that_the_seed_says(summary: SummaryTensors):
    settings = inner("sgd", batch=4, steps=5, learning_rate=0.1)
    ours = weights(train_on_summary(summary, SETTINGS, settings, seed=7).model)
    theirs = make_model(SETTINGS, 41, 5, seed=7)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    orders = np.concatenate([np.random.default_rng([7, 3, k]).permutation(6) for k in range(4)])
    for rows in orders[:20].reshape(5, 4):
        optimizer.zero_grad()
        NextEvent(theirs)(summary.soft_inputs()[rows]).backward()
        optimizer.step()
    for name, value in weights(theirs).items():
        torch.testing.assert_close(ours[name], value, rtol=1e-4, atol=1e-6)


def test_the_number_of_steps_is_the_recipes_or_the_one_asked_for(summary: SummaryTensors, recipe: Recipe):
    assert train_on_summary(summary, SETTINGS, recipe.inner, 0).steps == recipe.inner.steps
    none = train_on_summary(summary, SETTINGS, recipe.inner, 0, steps=0)
    assert none.steps == 0
    assert same(weights(none.model), weights(make_model(SETTINGS, 41, 5, 0)))


def test_the_loss_is_that_of_soft_or_of_hard_events(summary: SummaryTensors, tiny: Log):
    student = make_model(SETTINGS, 41, 5, seed=0)
    loss, table = NextEvent(student), student.output_table
    soft = summary.soft_inputs()
    read = student.hidden((soft @ student.embedding)[:, :-1])  # the last event is predicted, never read
    expected = soft_next_event(read, table, soft @ table)
    torch.testing.assert_close(loss(soft), expected)
    hard = torch.from_numpy(crops(tiny.train, 5, 4, np.random.default_rng(0)))
    read = hard[:, :-1]
    expected = hard_next_event(student.hidden(student.embed(read), read > 0), table, hard)
    torch.testing.assert_close(loss(hard), expected)

    theta = loss.parameters_of(make_model(SETTINGS, 41, 5, seed=1))
    torch.testing.assert_close(loss.at(theta, soft), NextEvent(loss.student_with(theta))(soft))
    batch = torch.tensor([1, 3])
    torch.testing.assert_close(loss.at(theta, soft, batch), loss.at(theta, soft[batch]))


def test_a_student_with_other_parameters_is_a_copy():
    loss = NextEvent(make_model(SETTINGS, 41, 5, seed=0))
    before = weights(loss.student)
    other = loss.student_with(loss.parameters_of(make_model(SETTINGS, 41, 5, seed=1)))
    assert same(weights(other), weights(make_model(SETTINGS, 41, 5, seed=1)))
    assert same(weights(loss.student), before)


class Judge:
    """Gives prepared figures and remembers the weights that got them."""

    def __init__(self, *figures: float) -> None:
        self.figures, self.seen = list(figures), []

    def __call__(self, model: SequenceModel) -> float:
        self.seen.append(weights(model))
        return self.figures[len(self.seen) - 1]


def trained(log: Sequences, judge: Judge, **training: int):
    return train_on_events(log, SETTINGS, 41, 5, 0, teach(validate_every=2, batch=4, **training), judge)


def test_the_best_weights_are_kept_and_patience_ends_it(tiny: Log):
    judge = Judge(1.0, 3.0, 2.0, 3.0, 9.0)
    fit = trained(tiny.train, judge, max_steps=100, patience=2)
    assert len(judge.seen) == 4  # an equal figure is no better one
    assert fit.steps == 8
    assert same(weights(fit.model), judge.seen[1])


def test_each_validation_is_reported(tiny: Log):
    reports: list[tuple[int, float, float]] = []
    training = teach(validate_every=2, batch=4, max_steps=5)
    judge = Judge(1.0, 3.0, 2.0)
    train_on_events(tiny.train, SETTINGS, 41, 5, 0, training, judge, report=lambda *one: reports.append(one))
    assert [one[:2] for one in reports] == [(2, 1.0), (4, 3.0), (5, 2.0)]
    first, second, last = (left for *_, left in reports)
    assert first > second > last == 0


def test_the_last_step_is_validated_though_it_falls_between_two_validations(tiny: Log):
    judge = Judge(1.0, 2.0, 3.0)
    fit = trained(tiny.train, judge, max_steps=5, patience=2)
    assert fit.steps == 5
    assert same(weights(fit.model), judge.seen[2])


def test_without_any_figure_the_first_weights_are_kept(tiny: Log):
    fit = trained(tiny.train, Judge(*[float("nan")] * 3), max_steps=100, patience=3)
    assert fit.steps == 6
    assert same(weights(fit.model), weights(make_model(SETTINGS, 41, 5, 0)))


def test_training_on_events_learns_what_comes_next(tiny: Log):
    windows = torch.from_numpy(crops(tiny.train, 5, 200, np.random.default_rng(1)))

    def minus_loss(model: SequenceModel) -> float:
        with torch.no_grad():
            return -float(NextEvent(model)(windows))

    training = teach(learning_rate=0.02, batch=32, max_steps=60, validate_every=20)
    fit = train_on_events(tiny.train, SETTINGS, 41, 5, 0, training, minus_loss)
    assert minus_loss(make_model(SETTINGS, 41, 5, 0)) == pytest.approx(-np.log(40), abs=0.2)
    assert minus_loss(fit.model) > -2.5


# Dropout


def on_events(log: Log, student: Any, dropout: float, seed: int = 0, score: Any = lambda _: 0.0):
    training = teach(dropout=dropout, batch=8, max_steps=6, validate_every=2)
    return train_on_events(log.train, student, 41, 5, seed, training, score).model


@pytest.mark.usefixtures("_generators_untouched")
@pytest.mark.parametrize("name", TYPES)
def test_dropout_changes_training_and_depends_on_the_seed_alone(tiny: Log, name: str):
    student = settings(type=name, hidden=8)
    first = weights(on_events(tiny, student, 0.3))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        again = weights(on_events(tiny, student, 0.3))
    assert same(first, again)
    assert not same(first, weights(on_events(tiny, student, 0.3, seed=1)))
    assert not same(first, weights(on_events(tiny, student, 0.0)))


@pytest.mark.parametrize("name", TYPES)
def test_dropout_is_off_at_every_evaluation(tiny: Log, name: str):
    histories = torch.randint(1, 41, (3, 4))
    modes: list[bool] = []

    def score(model: SequenceModel) -> float:
        modes.append(model.training)
        assert torch.equal(model.next_scores(histories), model.next_scores(histories))
        return float(len(modes))

    model = on_events(tiny, settings(type=name, hidden=8), 0.3, score=score)
    assert modes == [False] * 3
    assert not model.training
    assert torch.equal(model.next_scores(histories), model.next_scores(histories))
    before = model.next_scores(histories)
    assert not torch.equal(model.train().next_scores(histories), before)  # else nothing were switched off


@pytest.mark.usefixtures("_generators_untouched")
@pytest.mark.parametrize("name", TYPES)
def test_on_a_summary_there_is_no_dropout(summary: SummaryTensors, name: str):
    model = make_model(settings(type=name, hidden=8), 41, 5, seed=3)
    right = weights(fit_to_summary(model, summary, inner(steps=4), seed=0).model)
    model.dropout = 0.5
    model.train()
    fit = fit_to_summary(model, summary, inner(steps=4), seed=0)
    assert same(weights(fit.model), right)
    assert not fit.model.training
    assert model.training  # the given model stays as it is


def test_a_submodule_of_a_model_of_ones_own_may_be_called_dropout():
    class Own(SequenceModel):
        def __init__(self) -> None:
            super().__init__()
            self.dropout: Any = torch.nn.Dropout(0.5)

        def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
            return self.dropout(vectors)

    assert isinstance(Own().dropout, torch.nn.Dropout)
    vectors = torch.ones(1, 2, 3)
    assert torch.equal(Own().eval().hidden(vectors), vectors)


def test_scores_at_given_parameters_are_the_students(tiny: Log):
    loss, other = NextEvent(make_model(SETTINGS, 41, 5, 0)), make_model(SETTINGS, 41, 5, 1)
    events = torch.from_numpy(crops(tiny.train, 4, 3, np.random.default_rng(0)))
    torch.testing.assert_close(loss.scores(loss.parameters_of(other), events), other(events))
