"""EASE against its least-squares problem, solved item by item."""

import numpy as np
import torch

from farzi.data import Log, Sequences
from farzi.evaluation.controls.ease import EASE, PENALTIES, ease, gram_of, weights


def matrix(log: Sequences, vocabulary: int) -> np.ndarray:
    x = np.zeros((len(log), vocabulary))
    for row, items in enumerate(log):
        x[row, items] = 1
    return x


def test_the_gram_matrix_counts_users_with_both(tiny: Log):
    x = matrix(tiny.train, 41)
    np.testing.assert_array_equal(gram_of(tiny.train, 41), x.T @ x)


def test_weights_are_the_ridge_regression_of_each_item_on_all_others(tiny: Log):
    x, penalty = matrix(tiny.train, 41), 3.0
    found = weights(gram_of(tiny.train, 41), penalty)
    for item in range(1, 41):
        others = [other for other in range(1, 41) if other != item]
        z = x[:, others]
        expected = np.linalg.solve(z.T @ z + penalty * np.eye(39), z.T @ x[:, item])
        np.testing.assert_allclose(found[others, item], expected, atol=1e-6)
    assert (np.diag(found) == 0).all()
    assert (found[0] == 0).all()


def test_scores_add_up_over_the_different_items_of_a_history(tiny: Log):
    found = weights(gram_of(tiny.train, 41), 3.0)
    histories = torch.tensor([[0, 5, 9], [7, 7, 8]])
    scores = EASE(found, 3).next_scores(histories).numpy()
    np.testing.assert_allclose(scores, [found[5] + found[9], found[7] + found[8]], rtol=1e-6)
    fresh = EASE(found, 3, repeats=False).next_scores(histories).numpy()
    assert np.isneginf(fresh[1, [7, 8]]).all()
    assert EASE(found, 3).bytes == 4 * 40 * 40


def test_the_validation_chooses_among_penalties(tiny: Log):
    assert len(list(ease(tiny.train, 41, 100))) == 2 * len(PENALTIES)
