"""Small trainings on real events, for tests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from farzi.data import Log
from farzi.event_training import Training, train_on_events
from farzi.models import SequenceModel
from farzi.recipe import Teach
from farzi.recipe import variants as v
from farzi.training import Trained

STUDENT, LENGTH, RATE = v.SASRec(hidden=8), 5, 0.02
EPSILON = 1e-4  # biases of keys have no gradient: with a small one, Adam would follow rounding errors


def teach(**own: Any) -> Teach:
    optimizer = own.pop("optimizer", v.AdamW(learning_rate=RATE, epsilon=EPSILON, weight_decay=0.1))
    return Teach(optimizer=optimizer, **{"batch": 4, "max_steps": 12, "validate_every": 4, **own})


def fit(
    log: Log, training: Teach, score: Callable[[SequenceModel], float] = lambda _: 0.0, **own: Any
) -> Trained:
    settings = {"student": STUDENT, "vocabulary": 41, "length": LENGTH, "seed": 0, **own}
    return train_on_events(log.train, teach=training, score=score, **settings)


def weights(model: SequenceModel) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


class Stop(Exception):
    """An interruption, as that of Ctrl-C."""


@contextmanager
def stopped_when_kept(by: type[BaseException] = Stop) -> Iterator[None]:
    """Interrupts a training as soon as its state is kept."""
    keep = Training.keep

    def stopping(training: Training, path: Path, key: str) -> None:
        keep(training, path, key)
        raise by

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "keep", stopping)
        yield


class Last:
    """A score that always improves, so that the last weights are kept."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, model: SequenceModel) -> float:
        self.count += 1
        return float(self.count)
