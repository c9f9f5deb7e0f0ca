"""Real windows with teachers' labels: what is stored, its bytes, and the losses, against brute force."""

import numpy as np
import pytest
import torch

from farzi.data import Log, Sequences, pad_left
from farzi.evaluation import Teachers
from farzi.evaluation.controls import Labelled, Random
from farzi.evaluation.controls.labelled import (
    LabelledLoss,
    label_windows,
    labelled_bytes,
    stored_label,
    train_on_labelled,
)
from farzi.recipe import Recipe
from farzi.recipe import variants as v
from farzi.training import make_model

V, LENGTH, KEEP = 41, 5, 4


@pytest.fixture
def teachers() -> Teachers:
    students = (v.SASRec(hidden=8), v.GRU4Rec(hidden=8))
    models = tuple(make_model(one, V, LENGTH, seed) for seed, one in enumerate(students))
    for model in models:  # far from uniform
        model.embedding.data *= 40
    return Teachers(models)


@pytest.fixture
def windows(tiny: Log) -> Sequences:
    chosen = Random()(tiny.pieces, LENGTH, 9, np.random.default_rng(0))
    return Sequences.from_lists([*list(chosen), [3, 4], [5, 6, 7]])  # two that are padded


def mean_prediction(teachers: Teachers, events: torch.Tensor) -> torch.Tensor:
    """(B, L, V): the mean of softmax over the teachers."""
    return torch.stack([torch.softmax(model(events), -1) for model in teachers.models]).mean(0)


def test_the_ensembles_prediction_is_the_mean_probability(teachers: Teachers, windows: Sequences):
    events = torch.from_numpy(pad_left(windows, LENGTH - 1))
    expected = mean_prediction(teachers, events)
    torch.testing.assert_close(teachers.last_scores(events, LENGTH - 1).exp(), expected)
    torch.testing.assert_close(teachers.next_scores(events).exp(), expected[:, -1])


def test_the_most_probable_items_are_kept_and_the_rest_is_spread_evenly(
    teachers: Teachers, windows: Sequences
):
    stored = label_windows(windows, LENGTH, teachers, KEEP)
    events = torch.from_numpy(pad_left(windows, LENGTH))
    assert torch.equal(stored["events"], events)
    prediction = mean_prediction(teachers, events[:, :-1])
    best = prediction.topk(KEEP, -1)
    assert torch.equal(stored["items"], best.indices)
    assert stored["probabilities"].dtype == torch.float16
    torch.testing.assert_close(stored["probabilities"].float(), best.values, rtol=1e-3, atol=1e-7)
    kept, rest = stored_label(stored["probabilities"].flatten(0, 1), V - 1)
    torch.testing.assert_close(kept.sum(-1) + rest * (V - 1 - KEEP), torch.ones(len(rest)))


def test_a_label_that_keeps_all_items_or_more_than_1_still_sums_to_1():
    kept, rest = stored_label(torch.full((1, 3), 0.25).half(), 3)
    torch.testing.assert_close(kept, torch.full((1, 3), 1 / 3))
    assert rest == 0
    kept, rest = stored_label(torch.tensor([[0.7, 0.5]]).half(), 3)
    torch.testing.assert_close(kept.sum(), torch.tensor(1.0))
    assert rest == 0


def test_the_loss_is_the_cross_entropy_with_the_stored_labels(teachers: Teachers, windows: Sequences):
    stored = label_windows(windows, LENGTH, teachers, KEEP)
    student = make_model(v.SASRec(hidden=6, tied=False), V, LENGTH, 7)
    kept, rest = stored_label(stored["probabilities"].flatten(0, 1), V - 1)
    label = rest[:, None].repeat(1, V)
    label[:, 0] = 0
    label.scatter_(1, stored["items"].flatten(0, 1), kept)
    events = stored["events"]
    logs = torch.log_softmax(student(events[:, :-1])[..., 1:], -1).flatten(0, 1)
    nats = -(label[:, 1:] * logs).sum(-1)
    real = events[:, 1:].flatten() > 0
    torch.testing.assert_close(LabelledLoss(student)(stored), nats[real].mean())


def test_the_loss_with_the_teachers_at_hand_is_that_of_the_whole_mean_prediction(
    teachers: Teachers, windows: Sequences
):
    student = make_model(v.GRU4Rec(hidden=6), V, LENGTH, 7)
    events = torch.from_numpy(pad_left(windows, LENGTH))
    logs = torch.log_softmax(student(events[:, :-1])[..., 1:], -1)
    nats = -(mean_prediction(teachers, events[:, :-1])[..., 1:] * logs).sum(-1)
    expected = nats[events[:, 1:] > 0].mean()
    found = teachers.loss_of(student)(events)
    torch.testing.assert_close(found, expected)
    parameters = list(student.parameters())
    for ours, theirs in zip(
        torch.autograd.grad(found, parameters), torch.autograd.grad(expected, parameters)
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    assert teachers.loss_of(student)(torch.zeros(2, LENGTH, dtype=torch.long)) == 0


def test_bytes_are_those_of_items_and_of_an_item_and_a_probability_for_each_kept():
    lengths = np.array([5, 2, 1])
    assert labelled_bytes(lengths, 41, 4).tolist() == [
        5 * 2 + 4 * 4 * (2 + 2),
        2 * 2 + 1 * 4 * (2 + 2),
        2,
    ]
    assert labelled_bytes(lengths, 70_000, 3).tolist() == [5 * 4 + 4 * 3 * 6, 2 * 4 + 3 * 6, 4]
    assert labelled_bytes(lengths, 3, 16)[1] == 2 * 2 + 2 * (2 + 2)  # no more items than there are
    assert labelled_bytes(lengths, 41, 0).tolist() == [10, 4, 2]


def test_the_windows_are_those_of_random(tiny: Log):
    ours, theirs = (
        one(tiny.pieces, LENGTH, 7, np.random.default_rng(3)) for one in (Labelled(keep=2), Random())
    )
    assert np.array_equal(ours.items, theirs.items)


def test_training_follows_the_inner_loop(teachers: Teachers, windows: Sequences, recipe: Recipe):
    """A step of plain gradient descent is that of autograd on the batch of the inner loop's schedule."""
    inner = recipe.inner.model_copy(update={"optimizer": v.SGD(learning_rate=0.5), "steps": 1, "batch": None})
    student = v.SASRec(hidden=8)
    stored = label_windows(windows, LENGTH, teachers, KEEP)
    trained = train_on_labelled(stored, V, student, inner, seed=3)
    model = make_model(student, V, LENGTH, 3)
    LabelledLoss(model)(stored).backward()
    for ours, theirs in zip(trained.model.parameters(), model.parameters()):
        grad = torch.zeros_like(theirs) if theirs.grad is None else theirs.grad
        torch.testing.assert_close(ours, theirs - 0.5 * grad)
    assert trained.steps == 1
