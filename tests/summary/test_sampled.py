"""Sequences that are sampled from teachers: their shares are the predictions, and no event comes twice."""

import numpy as np
import torch

from farzi.data import Sequences
from farzi.summary import Ensemble
from farzi.summary.initializers import sampled
from farzi.summary.initializers.sampled import sample_sequences

from .test_classes import CLASS_OF, CLASSES, LOG, VOCABULARY
from .test_teacher import Table

LENGTH = 12


def of_table(log: Sequences = LOG, seed: int = 0, count: int = 3000) -> np.ndarray:
    found = sample_sequences(Ensemble((Table(),)), log, count, LENGTH, np.random.default_rng(seed))
    assert len(found) == count
    assert (found.lengths == LENGTH + sampled.FURTHER).all()
    return found.items.reshape(count, -1)


def test_first_events_are_as_common_as_in_the_log_and_the_others_as_predicted():
    drawn = of_table()
    assert drawn.min() > 0
    first = np.bincount(drawn[:, 0], minlength=VOCABULARY) / len(drawn)
    np.testing.assert_allclose(
        first, np.bincount(LOG.items, minlength=VOCABULARY) / len(LOG.items), atol=0.04
    )
    predictions = torch.softmax(Table().output.detach().T[:, 1:], -1).numpy()
    for one in range(CLASSES):
        following = drawn[:, 1:][CLASS_OF[drawn[:, :-1]] == one]
        met = np.bincount(following, minlength=VOCABULARY)[1:] / len(following)
        np.testing.assert_allclose(met, predictions[one], atol=0.01)


def test_an_event_comes_twice_only_where_one_does_in_the_log(monkeypatch):
    monkeypatch.setattr(sampled, "FURTHER", 0)
    rng = np.random.default_rng(0)
    once = Sequences.from_lists([rng.permutation(np.arange(1, VOCABULARY))[:8] for _ in range(50)])
    assert all(len(set(row)) == LENGTH for row in of_table(once, count=950).tolist())
    assert any(len(set(row)) < LENGTH for row in of_table(count=950).tolist())


def test_the_draws_hang_on_the_generator_alone():
    assert (of_table(count=900) == of_table(count=900)).all()
    assert (of_table(count=900) != of_table(seed=1, count=900)).any()
