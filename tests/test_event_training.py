"""Training on real events: against plain loops with PyTorch's optimizers."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import farzi
from farzi import event_training
from farzi.data import Log, epoch
from farzi.errors import FarziError
from farzi.evaluation import RecommendationTask
from farzi.event_training import drawn_negatives, train_on_events, windows_per_step
from farzi.models import SequenceModel
from farzi.progress import Progress
from farzi.recipe import Recipe, Teach
from farzi.recipe import variants as v
from farzi.training import make_model

from .event_trainings import EPSILON, LENGTH, RATE, STUDENT, Last, fit, same, teach, weights


def windows_of(log: Log, training: Teach, seed: int = 0) -> Iterator[Tensor]:
    events, number = windows_per_step(training, log.train, LENGTH) * LENGTH, 0
    while True:
        rng = np.random.default_rng([seed, 9, number])
        yield from map(torch.from_numpy, epoch(log.train, LENGTH, events, rng))
        number += 1


def plain(
    log: Log, training: Teach, optimizer: torch.optim.Optimizer, model: SequenceModel
) -> Iterator[None]:
    """A plain loop in evaluation mode: without dropout it is the same. Yields after each step."""
    for windows in windows_of(log, training):
        read, targets = windows[:, :-1], windows[:, 1:]
        scores = model(read)
        optimizer.zero_grad()
        F.cross_entropy(scores[targets > 0][:, 1:], targets[targets > 0] - 1).backward()
        optimizer.step()
        yield


@pytest.mark.parametrize(("warmup", "cooldown"), [(0, 0.0), (5, 0.0), (0, 0.5), (3, 0.4), (0, 1.0)])
def test_it_is_a_plain_loop_with_pytorchs_optimizer_and_scheduler(tiny: Log, warmup: int, cooldown: float):
    training = teach(warmup=warmup, cooldown=cooldown)
    ours = fit(tiny, training, Last())
    model = make_model(STUDENT, 41, LENGTH, 0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, eps=EPSILON, weight_decay=0.1)

    def factor(step: int) -> float:
        down = min(1.0, (12 - step) / (12 * cooldown)) if cooldown else 1.0
        return min(1.0, (step + 1) / (warmup + 1)) * down

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    loop = plain(tiny, training, optimizer, model)
    for _ in range(12):
        next(loop)
        scheduler.step()
    assert ours.steps == 12
    for name, value in weights(model).items():
        torch.testing.assert_close(weights(ours.model)[name], value, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_mean_weights_are_those_of_a_plain_loop(tiny: Log, decay: float):
    training = teach(average=decay)
    seen: list[dict[str, Tensor]] = []

    def score(model: SequenceModel) -> float:
        seen.append(weights(model))
        return float(len(seen))

    ours = fit(tiny, training, score)
    model = make_model(STUDENT, 41, LENGTH, 0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, eps=EPSILON, weight_decay=0.1)
    mean, loop = weights(model), plain(tiny, training, optimizer, model)
    for step in range(1, 13):
        next(loop)
        new = max(1 - decay, 1 / (step + 1))
        mean = {name: (1 - new) * mean[name] + new * value for name, value in weights(model).items()}
        if step % 4 == 0:
            for name, value in mean.items():
                torch.testing.assert_close(seen[step // 4 - 1][name], value, rtol=2e-4, atol=2e-5)
    assert same(weights(ours.model), seen[-1])
    assert not same(weights(model), seen[-1])


def test_sampled_items_are_drawn_for_large_vocabularies_or_if_set():
    assert drawn_negatives(Teach(), 50_000, "cpu") is None
    assert drawn_negatives(Teach(negatives=0), 10**6, "cpu") is None
    assert drawn_negatives(Teach(negatives=40), 41, "cpu") is None  # there are no more
    default, own = drawn_negatives(Teach(), 50_001, "cpu"), drawn_negatives(Teach(negatives=500), 41, "cpu")
    assert default is not None
    assert len(default) == 4096
    assert own is None
    few = drawn_negatives(Teach(negatives=3), 41, "cpu")
    assert few is not None
    assert ((few > 0) & (few < 41)).all()


def minus_loss(log: Log) -> Callable[[SequenceModel], float]:
    windows = next(windows_of(log, teach(batch=200)))

    def score(model: SequenceModel) -> float:
        targets = windows[:, 1:]
        with torch.no_grad():
            return -float(
                F.cross_entropy(model(windows[:, :-1])[targets > 0][:, 1:], targets[targets > 0] - 1)
            )

    return score


@pytest.mark.parametrize(
    "own", [{"precision": "bfloat16"}, {"negatives": 10}, {"dropout": 0.2}, {"average": 0.9}]
)
@pytest.mark.parametrize("block", ["pre_norm", "gated"])
def test_each_way_of_training_learns_what_comes_next(tiny: Log, own: dict[str, Any], block: Any):
    training = teach(batch=32, max_steps=60, validate_every=20, **own)
    score = minus_loss(tiny)
    student = v.SASRec(hidden=8, block=block)
    assert score(make_model(student, 41, LENGTH, 0)) == pytest.approx(-np.log(40), abs=0.3)
    assert score(fit(tiny, training, score, student=student).model) > -2.7


def test_bfloat16_leaves_weights_and_their_updates_in_float32(tiny: Log):
    low, high = (fit(tiny, teach(precision=name), Last()).model for name in ("bfloat16", "float32"))
    assert {value.dtype for value in low.parameters()} == {torch.float32}
    assert not same(weights(low), weights(high))
    for name, value in weights(high).items():
        assert (weights(low)[name] - value).norm() < 0.2 * value.norm() + 0.05


class Clock:
    """Seconds that pass as wanted: some with every step."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def perf_counter(self) -> float:
        self.now += self.step
        return self.now


def test_minutes_end_a_training_and_its_cooldown(tiny: Log, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(event_training, "time", Clock(1.0))  # it is looked at twice a step
    rates: list[float] = []
    take = event_training.Training.take_step

    def watched(training: Any, *given: Any) -> None:
        take(training, *given)
        rates.append(training.optimizer.param_groups[0]["lr"])

    monkeypatch.setattr(event_training.Training, "take_step", watched)
    judge = Last()
    ended = fit(tiny, teach(max_steps=10**6, minutes=1.0, cooldown=0.5, validate_every=1000), judge)
    assert 25 <= ended.steps <= 30
    assert judge.count == 1  # at the end
    assert rates[:10] == [RATE] * 10
    assert 0 <= rates[-1] < 0.1 * RATE
    assert rates[15:] == sorted(rates[15:], reverse=True)


def test_without_two_events_there_is_nothing_to_train_on(tiny: Log):
    alone = tiny.train.last(1)
    with pytest.raises(FarziError, match=r"^nothing to train on: no sequence has two events$"):
        train_on_events(alone, STUDENT, 41, LENGTH, 0, teach(), lambda _: 0.0)


# Validation


def test_models_in_training_are_validated_on_some_users(
    tiny: Log, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
):
    sizes: list[int] = []
    score = RecommendationTask.score

    def watched(task: Any, model: Any, held: Any) -> float:
        sizes.append(len(held))
        return score(task, model, held)

    monkeypatch.setattr(RecommendationTask, "score", watched)
    recipe = recipe.changed({"teach": {"max_steps": 4, "validate_every": 2, "validate_users": 7}})
    farzi.train(tiny, recipe, progress=Progress())
    farzi.train(tiny, recipe.changed({"teach.validate_users": 10**6}), progress=Progress())
    assert sizes == [7, 7, len(tiny.valid), len(tiny.valid)]


def test_some_users_are_spread_over_all(tiny: Log):
    few = tiny.valid.sample(5)
    users = [*(tiny.valid.histories.users or ())]
    places = [users.index(user) for user in few.histories.users or ()]
    assert places == [k * len(users) // 5 for k in range(5)]
    for place, history, target in zip(places, few.histories, few.targets, strict=True):
        assert np.array_equal(history, tiny.valid.histories[place])
        assert np.array_equal(target, tiny.valid.targets[place])
    assert tiny.valid.sample(None) is tiny.valid
    assert tiny.valid.sample(len(users)) is tiny.valid
